"""The ImageNet networks that LPIPS looks through, down to their last tap, with the parameter names of torchvision."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sparring.core.weights import WeightsFile

MEAN, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # version 0.1; 0.0 did not scale its input


@dataclass(frozen=True)
class Kind:
    """One network.

    Attributes:
        layers: makes what torchvision calls ``features``.
        taps: the layers whose output is compared.
        channels: of each tap.
        smallest: pixels a side that still reach the last tap.
        file: torchvision's own.
    """

    layers: Callable[[], nn.Sequential]
    taps: tuple[int, ...]
    channels: tuple[int, ...]
    smallest: int
    file: WeightsFile


class Trunk(nn.Module):
    """Pictures float ``(n, 3, h, w)`` in [-1, 1] to the outputs of the taps, one tensor ``(n, channels, ...)`` each."""

    def __init__(self, kind: Kind):
        super().__init__()
        self.taps = kind.taps
        self.features = kind.layers()

    def forward(self, images: Tensor) -> list[Tensor]:
        mean, scale = images.new_tensor(MEAN), images.new_tensor(SCALE)
        x = (images - mean[:, None, None]) / scale[:, None, None]
        found = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in self.taps:
                found.append(x)
        return found


class Fire(nn.Module):
    """Squeeze to a few channels, expand by 1x1 and 3x3 side by side (Iandola et al. 2016)."""

    def __init__(self, inputs: int, squeezed: int, outputs: int):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, outputs // 2, 1)
        self.expand3x3 = nn.Conv2d(squeezed, outputs // 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1).relu()


def alexnet() -> nn.Sequential:
    """AlexNet as in Krizhevsky 2014, to relu5."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    )


def vgg16() -> nn.Sequential:
    """VGG-16 (Simonyan and Zisserman 2015), to relu5_3."""
    layers: list[nn.Module] = []
    inputs = 3
    for outputs, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        if layers:
            layers.append(nn.MaxPool2d(2, 2))
        for _ in range(count):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            inputs = outputs
    return nn.Sequential(*layers)


def squeezenet1_1() -> nn.Sequential:
    """SqueezeNet 1.1 (Iandola et al. 2016), to fire9; 1.0 has other widths and does not fit the heads."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(Fire(64, 16, 128), Fire(128, 16, 128), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(Fire(128, 32, 256), Fire(256, 32, 256), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(Fire(256, 48, 384), Fire(384, 48, 384), Fire(384, 64, 512), Fire(512, 64, 512)),
    )


KINDS = {
    "squeeze": Kind(
        layers=squeezenet1_1,
        taps=(1, 4, 7, 9, 10, 11, 12),
        channels=(64, 128, 256, 384, 384, 512, 512),
        smallest=17,
        file=WeightsFile(
            "squeezenet1_1-b8a52dc0.pth",
            "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
            "torchvision",
        ),
    ),
    "alex": Kind(
        layers=alexnet,
        taps=(1, 4, 7, 9, 11),
        channels=(64, 192, 384, 256, 256),
        smallest=31,
        file=WeightsFile(
            "alexnet-owt-7be5be79.pth",
            "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            "torchvision",
        ),
    ),
    "vgg": Kind(
        layers=vgg16,
        taps=(3, 8, 15, 22, 29),
        channels=(64, 128, 256, 512, 512),
        smallest=16,
        file=WeightsFile(
            "vgg16-397923af.pth",
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            "torchvision",
        ),
    ),
}
