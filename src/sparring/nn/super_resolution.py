"""Networks that make pictures larger: convolutions at the small size, then pixels shuffled into place.

Each takes ``(n, c, h, w)`` of any size to ``(n, c, scale * h, scale * w)``. `SRResNet` and `RRDBNet` add what they make
to the picture enlarged by bicubic interpolation, so that they begin with that and learn the rest.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from sparring.nn.convolution import Conv2d
from sparring.nn.resample import enlarge

GROWTH = 0.5  # channels that a dense block's layers add, of the trunk's width
DAMPED = 0.2


def steps_of(scale: int) -> list[int]:
    """The factors by which it is enlarged, one after another. Raises `ValueError` for what is no 2, 3, 4 or 8."""
    steps = {2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}
    if scale not in steps:
        raise ValueError(f"scale is one of 2, 3, 4 and 8; got {scale}")
    return steps[scale]


class SRResNet(nn.Module):
    """As its successors rebuilt it: residual blocks without normalisation (Lim et al. 2017; Wang et al. 2018).

    At width 64, 16 blocks and scale 4 it has 1,517,571 parameters, as BasicSR's MSRResNet.
    """

    def __init__(self, channels: int, width: int, blocks: int, scale: int):
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.body = nn.Sequential(*(PlainBlock(width) for _ in range(blocks)))
        self.up = nn.Sequential(
            *(layer for step in steps_of(scale) for layer in shuffled(width, step, nn.LeakyReLU(0.1)))
        )
        self.last = nn.Conv2d(width, width, 3, padding=1)
        self.out = Conv2d(width, channels, 3, padding=1)
        _shrink(self, 0.1)
        nn.init.zeros_(self.out.weight)  # begin with bicubic

    def forward(self, small: Tensor) -> Tensor:
        x = leaky_relu(self.head(small), 0.1)
        x = leaky_relu(self.last(self.up(self.body(x))), 0.1)
        return enlarge(small, self.scale) + self.out(x)


class PaperSRResNet(nn.Module):
    """As Ledig et al. 2017 drew it, with BatchNorm; 1,549,462 parameters at width 64, 16 blocks and scale 4."""

    def __init__(self, channels: int, width: int, blocks: int, scale: int):
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(
            *(NormedBlock(width) for _ in range(blocks)), nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        )
        self.up = nn.Sequential(*(layer for step in steps_of(scale) for layer in shuffled(width, step, nn.PReLU())))
        self.out = nn.Conv2d(width, channels, 9, padding=4)

    def forward(self, small: Tensor) -> Tensor:
        x = self.head(small)
        made: Tensor = self.out(self.up(x + self.body(x)))
        return made


class RRDBNet(nn.Module):
    """ESRGAN's: dense blocks within residual blocks, enlarged by repeating pixels (Wang et al. 2018).

    At width 64 with 23 blocks and scale 4 it has 16,697,987 parameters, as the authors'.
    """

    def __init__(self, channels: int, width: int, blocks: int, scale: int):
        super().__init__()
        self.scale, self.steps = scale, steps_of(scale)
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(width) for _ in range(blocks)))
        self.after = nn.Conv2d(width, width, 3, padding=1)
        self.up = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in self.steps)
        self.last = nn.Conv2d(width, width, 3, padding=1)
        self.out = Conv2d(width, channels, 3, padding=1)
        _shrink(self, 0.1)
        nn.init.zeros_(self.out.weight)  # begin with bicubic

    def forward(self, small: Tensor) -> Tensor:
        x = self.head(small)
        x = x + self.after(self.body(x))
        for step, conv in zip(self.steps, self.up, strict=True):
            x = leaky_relu(conv(interpolate(x, scale_factor=float(step), mode="nearest")), 0.2)
        return enlarge(small, self.scale) + self.out(leaky_relu(self.last(x), 0.2))


NETWORKS = {"srresnet": SRResNet, "paper": PaperSRResNet, "rrdb": RRDBNet}


class PlainBlock(nn.Module):
    """x + conv ReLU conv x."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class NormedBlock(nn.Module):
    """x + BatchNorm conv PReLU BatchNorm conv x."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.PReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class DenseBlock(nn.Module):
    """Five convolutions, each of all before it; the sum is damped."""

    def __init__(self, width: int):
        super().__init__()
        growth = max(1, int(width * GROWTH))
        self.convs = nn.ModuleList(
            nn.Conv2d(width + place * growth, growth if place < 4 else width, 3, padding=1) for place in range(5)
        )

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for conv in self.convs[:-1]:
            seen.append(leaky_relu(conv(torch.cat(seen, 1)), 0.2))
        return x + DAMPED * self.convs[-1](torch.cat(seen, 1))


class RRDB(nn.Module):
    """Residual in residual: three dense blocks, damped again."""

    def __init__(self, width: int):
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock(width) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return x + DAMPED * (self.blocks(x))


def shuffled(width: int, step: int, activation: nn.Module) -> list[nn.Module]:
    """``step^2`` times as many channels, moved to ``step`` times as many pixels a side (Shi et al. 2016)."""
    return [nn.Conv2d(width, width * step**2, 3, padding=1), nn.PixelShuffle(step), activation]


def _shrink(network: nn.Module, factor: float) -> None:
    """He's initialisation, times ``factor``: many residual blocks begin near the identity (Wang et al. 2018, 3.3)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            layer.weight.data.mul_(factor)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class VGGDiscriminator(nn.Module):
    """SRGAN's critic of whole pictures: pairs of 3x3 convolutions, the second of stride 2; logits ``(n, 1)``.

    Args:
        shape: of a picture; halved until its shorter side is 6 to 11, four times at most, as 96 is in the paper.
        width: channels of the first pair, doubled with each, 8 times as many at most.
        batch_norm: after every convolution but the first; without, a caller bounds it otherwise.
    """

    def __init__(self, shape: tuple[int, ...], width: int, batch_norm: bool):
        super().__init__()
        channels, height, breadth = shape
        halvings = max(1, min(4, int(math.log2(max(min(height, breadth), 12) / 6))))
        widths = [width * min(2**level, 8) for level in range(halvings)]
        layers: list[nn.Module] = []
        before = channels
        for after in widths:
            for stride in (1, 2):
                norm = batch_norm and bool(layers)
                layers += [nn.Conv2d(before, after, 3, stride, 1, bias=not norm)]
                layers += [nn.BatchNorm2d(after)] if norm else []
                layers += [nn.LeakyReLU(0.2)]
                before = after
        for _ in range(halvings):
            height, breadth = (height + 1) // 2, (breadth + 1) // 2
        self.layers = nn.Sequential(
            *layers,
            nn.Flatten(),
            nn.Linear(before * height * breadth, 16 * width),
            nn.LeakyReLU(0.2),
            nn.Linear(16 * width, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits


class UNetDiscriminator(nn.Module):
    """Real-ESRGAN's critic: a logit for every pixel, ``(n, 1, h, w)`` (Schonfeld et al. 2020; Wang et al. 2021).

    At width 64 it has 4,376,897 parameters. A caller normalises its weights spectrally, all but ``first``'s and
    ``last``'s as the authors do.
    """

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.inner = nn.ModuleDict(
            {
                **{f"down{k}": nn.Conv2d(width << k, width << k + 1, 4, 2, 1, bias=False) for k in range(3)},
                **{f"up{k}": nn.Conv2d(width << k + 1, width << k, 3, 1, 1, bias=False) for k in range(3)},
                **{f"after{k}": nn.Conv2d(width, width, 3, 1, 1, bias=False) for k in range(2)},
            }
        )
        self.last = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        levels = [leaky_relu(self.first(images), 0.2)]
        for k in range(3):
            levels.append(leaky_relu(self.inner[f"down{k}"](levels[-1]), 0.2))
        x = levels[3]
        for k in reversed(range(3)):
            size = levels[k].shape[2:]
            x = interpolate(x, (size[0], size[1]), mode="bilinear", align_corners=False)
            x = leaky_relu(self.inner[f"up{k}"](x), 0.2) + levels[k]
        for k in range(2):
            x = leaky_relu(self.inner[f"after{k}"](x), 0.2)
        logits: Tensor = self.last(x)
        return logits
