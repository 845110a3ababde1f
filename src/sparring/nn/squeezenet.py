"""SqueezeNet 1.0 (Iandola et al. 2016): 1.2 million weights, 5 MB, ImageNet accuracy of AlexNet's kind."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparring.core.weights import WeightsFile

WEIGHTS = WeightsFile(
    name="squeezenet1_0_imagenet.safetensors",
    sha256="4e3ce7636ef707dcb5ddd09d40a7def7dc07a9a45ee48cb5bd23ca7f4902024f",
    origin="github.com/songhan/SqueezeNet-Deep-Compression, decoded to float32",
)
BLUE_GREEN_RED = (104.0, 117.0, 123.0)  # the mean colour that it was trained without, of 255


class Fire(nn.Module):
    """A 1x1 squeeze to ``narrow`` channels; 1x1 and 3x3 expansions to ``wide`` each."""

    def __init__(self, before: int, narrow: int, wide: int):
        super().__init__()
        self.conv1x1_1 = nn.Conv2d(before, narrow, 1)
        self.conv1x1_2 = nn.Conv2d(narrow, wide, 1)
        self.conv3x3_2 = nn.Conv2d(narrow, wide, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1x1_1(x))
        return F.relu(torch.cat([self.conv1x1_2(x), self.conv3x3_2(x)], 1))


class SqueezeNet(nn.Module):
    """``(n, 3, 227, 227)`` as `squeezenet_input` makes it, to features ``(n, 512)`` and logits ``(n, 1000)``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 7, stride=2)
        self.fire2 = Fire(96, 16, 64)
        self.fire3 = Fire(128, 16, 64)
        self.fire4 = Fire(128, 32, 128)
        self.fire5 = Fire(256, 32, 128)
        self.fire6 = Fire(256, 48, 192)
        self.fire7 = Fire(384, 48, 192)
        self.fire8 = Fire(384, 64, 256)
        self.fire9 = Fire(512, 64, 256)
        self.conv_final = nn.Conv2d(512, 1000, 1, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        last = self.taps(x)[-1]
        return last.mean((2, 3)), F.relu(self.conv_final(last)).mean((2, 3))

    def taps(self, x: Tensor) -> list[Tensor]:
        """Seven activations, after conv1 and fires 3, 5, 6, 7, 8, 9: 96, 128, 256, 384, 384, 512, 512 channels.

        They lie where LPIPS taps SqueezeNet 1.1 (Zhang et al. 2018), whose heads are not for this network: it begins
        with 64 channels.
        """
        conv1 = F.relu(self.conv1(x))
        fire3 = self.fire3(self.fire2(_pool(conv1)))
        fire5 = self.fire5(_pool(self.fire4(fire3)))
        fire6 = self.fire6(fire5)
        fire7 = self.fire7(fire6)
        fire8 = self.fire8(fire7)
        return [conv1, fire3, fire5, fire6, fire7, fire8, self.fire9(_pool(fire8))]


def _pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=2, ceil_mode=True)


def less_mean_colour(images: Tensor) -> Tensor:
    """Pictures ``(n, 3, h, w)``, 0..255, in the order blue, green, red, less the mean colour: what it takes."""
    return images.flip(1) - images.new_tensor(BLUE_GREEN_RED)[:, None, None]


def parameter_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The file's names, ``fire2/conv1x1_1.weight``, as this network has them."""
    return {key.replace("/", "."): tensor for key, tensor in tensors.items()}
