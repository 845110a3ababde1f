"""Networks trained on ImageNet whose features a perceptual loss compares. Their weights are files that a person brings:
nothing is fetched, and no other network stands in for one that is missing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sparring.core.files import sha256_file
from sparring.core.precision import full_precision
from sparring.core.weights import WeightsFile, check_digest, fill, find, read_tensors
from sparring.nn import squeezenet

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours, 0..1
# torchvision's names hold the first 8 digits of the SHA-256; a safetensors copy has another.
VGG19 = WeightsFile("vgg19-dcbb9e9d.pth", "dcbb9e9d", "torchvision", ("vgg19-dcbb9e9d.safetensors",))
# conv1_2, 2_2, 3_4, 4_4, 5_4 before their ReLU, and how much each counts (Wang et al. 2021, Real-ESRGAN).
VGG19_TAPS = {2: 0.1, 7: 0.1, 16: 1.0, 25: 1.0, 34: 1.0}


class VGG19Taps(nn.Module):
    """VGG-19 (Simonyan and Zisserman 2015) down to conv5_4; pictures in [-1, 1] to the features of `VGG19_TAPS`."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs, count in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
            layers += [nn.MaxPool2d(2, 2)] if layers else []
            for _ in range(count):
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                inputs = outputs
        self.features = nn.Sequential(*layers[:-1])

    def forward(self, images: Tensor) -> list[Tensor]:
        mean, std = (images.new_tensor(values)[:, None, None] for values in (MEAN, STD))
        x, found = ((images + 1) / 2 - mean) / std, []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in VGG19_TAPS:
                found.append(VGG19_TAPS[place] * x)
        return found


class SqueezeNetTaps(nn.Module):
    """SqueezeNet 1.0: pictures in [-1, 1] to its seven taps, each of length 1 a place, so that all count alike."""

    def __init__(self) -> None:
        super().__init__()
        self.network = squeezenet.SqueezeNet()

    def forward(self, images: Tensor) -> list[Tensor]:
        taps = self.network.taps(squeezenet.less_mean_colour((images + 1) * 127.5))
        return [tap / (tap.norm(dim=1, keepdim=True) + 1e-6) * tap.shape[1] ** 0.5 for tap in taps]


class RandomTaps(nn.Module):
    """Filters that nobody trained, the same always: their statistics still tell textures apart (Ustyuzhaninov et al.
    2017). Pictures in [-1, 1] to what four layers make of them.
    """

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.layers = nn.ModuleList()
        for before, after, stride in ((3, 32, 1), (32, 64, 2), (64, 64, 2), (64, 64, 2)):
            layer = nn.Conv2d(before, after, 5 if before == 3 else 3, stride, 1 if before > 3 else 2, bias=False)
            fan_in = layer.weight[0].numel()
            layer.weight = nn.Parameter(torch.randn(layer.weight.shape, generator=draw) * (2 / fan_in) ** 0.5)
            self.layers.append(layer)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, found = images, []
        for layer in self.layers:
            x = layer(x).relu()
            found.append(x)
        return found


@dataclass(frozen=True)
class Kind:
    """A network.

    Attributes:
        make: makes it.
        file: its weights; None where it needs none.
        names: the file's tensors under the network's names.
    """

    make: Callable[[], nn.Module]
    file: WeightsFile | None = None
    names: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict


KINDS = {
    "random": Kind(RandomTaps),
    "squeezenet": Kind(
        SqueezeNetTaps,
        squeezenet.WEIGHTS,
        lambda tensors: {f"network.{key}": value for key, value in squeezenet.parameter_names(tensors).items()},
    ),
    "vgg19": Kind(
        VGG19Taps,
        VGG19,
        lambda tensors: {key: value for key, value in tensors.items() if key.startswith("features.")},
    ),
}


class FeatureNetwork:
    """Pictures ``(n, 1 or 3, h, w)`` in [-1, 1] to lists of features, differentiable in the pictures.

    Not a module: its weights are read when it is first asked, and belong to no player, state or model.

    Args:
        kind: ``squeezenet``, ``vgg19``, or ``random``, which needs no file.
    """

    def __init__(self, kind: str):
        self.kind = KINDS[kind]
        self.network: nn.Module | None = None

    def __call__(self, images: Tensor) -> list[Tensor]:
        if self.network is None:
            self.network = load(self.kind)
        with full_precision(images):
            seen = images.to(torch.promote_types(images.dtype, torch.float32)).expand(-1, 3, -1, -1)
            found: list[Tensor] = self.network.to(seen)(seen)
            return found


def check_weights(kind: str) -> None:
    """Raise `SparringError` that says which file is missing and where it belongs, unless it is there."""
    file = KINDS[kind].file
    if file is not None:
        find(file, None)


def load(kind: Kind) -> nn.Module:
    """The network with its weights, for looking only. Raises `SparringError` for a file that is missing or another."""
    if kind.file is None:
        return kind.make()
    path = find(kind.file, None)
    known = sha256_file(path).startswith(kind.file.sha256)
    if not known and path.name not in kind.file.other_names:
        check_digest(path, kind.file)
    with torch.device("meta"):
        network = kind.make()
    # torchvision's file is of the format before zip, which is read for its known bytes alone.
    old = known and path.suffix == ".pth"
    tensors = torch.load(path, map_location="cpu", weights_only=True) if old else read_tensors(path)
    return fill(network, kind.names(tensors), path)
