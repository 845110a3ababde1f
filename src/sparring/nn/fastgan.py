"""The networks of FastGAN for any picture of 8 pixels or more a side (Liu et al. 2021, sec. 3).

The paper's are made for 256 to 1024 pixels. Here they are counted from the coarsest grid, of 4 to 7 pixels, so that at
256 the stages, widths and links are the paper's, and smaller pictures have fewer stages and shorter links.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from sparring.nn.convolution import UpConv2d
from sparring.nn.dcgan import initialise, stages
from sparring.nn.spectral import spectral

WIDTHS = (16, 8, 4, 2, 2, 1, 1 / 2, 1 / 4, 1 / 8)  # of G's levels 4, 8, 16, ... 1024, in units of its width
Size = tuple[int, int]


def conv(before: int, after: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    """Without bias, as all of them."""
    return nn.Conv2d(before, after, kernel, stride, padding, bias=False)


def gated(before: int, after: int, up: bool = False) -> list[nn.Module]:
    """A 3x3 convolution, of twice the sides if ``up``, BatchNorm, and half of the channels gating the other half."""
    first = UpConv2d(before, 2 * after, bias=False) if up else conv(before, 2 * after, 3, 1, 1)
    return [first, nn.BatchNorm2d(2 * after), nn.GLU(1)]


def small_size(height: int, width: int) -> Size:
    """Of the small picture that G makes besides, and D judges besides: half, but 128 to 255 where that is less."""
    depth = stages(height, width)
    scale = 2 ** max(1, depth - 5)
    return math.ceil(height / scale), math.ceil(width / scale)


class Excitation(nn.Module):
    """Skip-layer excitation: coarse features say how much of each fine channel is wanted (eq. 1)."""

    def __init__(self, coarse: int, fine: int):
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), conv(coarse, fine, 4), nn.SiLU(), conv(fine, fine, 1), nn.Sigmoid()
        )

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        gate: Tensor = self.gate(coarse)
        return fine * gate


class Noise(nn.Module):
    """Add noise, one map for all channels, as much as is learnt; none at first."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return x + self.weight * noise


class UpBlock(nn.Module):
    """Double both sides, then a gated convolution; with 2 ``noises`` two of them, with noise in each."""

    def __init__(self, before: int, after: int, noises: int):
        super().__init__()
        self.layers = nn.ModuleList(gated(before, after, up=True))
        if noises:
            self.layers.extend(gated(after, after))
        self.noises = nn.ModuleList(Noise() for _ in range(noises))

    def forward(self, x: Tensor, noises: Sequence[Tensor]) -> Tensor:
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index % 3 == 0 and self.noises:  # between convolution and BatchNorm
                x = self.noises[index // 3](x, noises[index // 3])
        return x


class FastGenerator(nn.Module):
    """z to a picture and a small one from a coarser level.

    Args:
        shape: of a picture, ``(channels, height, width)``. A side that is no multiple of the grid is cut to size.
        z_dim: size of the latent.
        width: channels at 128 pixels; `WIDTHS` times as many elsewhere.

    Attributes:
        noise_shapes: of the noise that a pass takes, ``(1, h, w)`` each.
    """

    def __init__(self, shape: tuple[int, ...], z_dim: int, width: int):
        super().__init__()
        channels, height, breadth = shape
        depth = stages(height, breadth)
        self.size, self.small = (height, breadth), small_size(height, breadth)
        self.small_level = min(5, depth - 1)
        grid = (math.ceil(height / 2**depth), math.ceil(breadth / 2**depth))
        widths = [max(2, int(width * factor)) for factor in WIDTHS[: depth + 1]]
        self.start = nn.Sequential(
            nn.Linear(z_dim, 2 * widths[0] * grid[0] * grid[1], bias=False),
            nn.Unflatten(1, (2 * widths[0], *grid)),
            nn.BatchNorm2d(2 * widths[0]),
            nn.GLU(1),
        )
        levels = range(1, depth + 1)
        self.blocks = nn.ModuleList(UpBlock(widths[i - 1], widths[i], 2 * (i % 2)) for i in levels)
        self.noise_shapes = [(1, grid[0] << i, grid[1] << i) for i in levels if i % 2 for _ in range(2)]
        self.reach = 4 if depth >= 4 else 2
        linked = range(self.reach, min(depth, 7) + 1)
        self.links = nn.ModuleDict({str(i): Excitation(widths[i - self.reach], widths[i]) for i in linked})
        self.to_picture = conv(widths[-1], channels, 3, 1, 1)
        self.to_small = conv(widths[self.small_level], channels, 1)
        self.apply(initialise)
        spectral(self)

    def forward(self, z: Tensor, noises: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """``(n, z_dim)`` and noise ``(n, *noise_shapes[i])`` to pictures, whole and small, in [-1, 1]."""
        levels = [self.start(z)]
        left = list(noises)
        for level, block in enumerate(self.blocks, start=1):
            x = block(levels[-1], [left.pop(0) for _ in range(2 * (level % 2))])
            levels.append(self.links[str(level)](levels[level - self.reach], x) if str(level) in self.links else x)
        small = self.to_small(levels[self.small_level]).tanh()
        return middle(self.to_picture(levels[-1]).tanh(), self.size), middle(small, self.small)


def middle(images: Tensor, size: Size) -> Tensor:
    """The middle of ``images``, ``size`` large."""
    top, left = (images.shape[2] - size[0]) // 2, (images.shape[3] - size[1]) // 2
    return images[:, :, top : top + size[0], left : left + size[1]]


class DownBlock(nn.Module):
    """Halve both sides: two convolutions, averaged with a pooled shortcut that has a bend of its own (fig. 4)."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.main = nn.Sequential(*halving(before, after), *bend(conv(after, after, 3, 1, 1)))
        self.direct = nn.Sequential(nn.AvgPool2d(2), *bend(conv(before, after, 1)))

    def forward(self, x: Tensor) -> Tensor:
        main, direct = self.main(x), self.direct(x)
        return (main + direct) / 2


def bend(layer: nn.Conv2d) -> list[nn.Module]:
    """A convolution, its normalisation, and the bend after it."""
    return [layer, nn.BatchNorm2d(layer.out_channels), nn.LeakyReLU(0.2)]


def halving(before: int, after: int) -> list[nn.Module]:
    """From ``before`` channels to ``after``, at half the size."""
    return bend(conv(before, after, 4, 2, 1))


class Decoder(nn.Module):
    """Features back to a picture ``2^doublings`` times their size."""

    def __init__(self, features: int, channels: int, doublings: int):
        super().__init__()
        widths = [features, 128, 64, 64, 32][: doublings + 1]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Identity(), *gated(before, after, up=True)]  # numbered as with a layer that doubles
        self.layers = nn.Sequential(*layers, conv(widths[-1], channels, 3, 1, 1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        image: Tensor = self.layers(x)
        return image


class FastDiscriminator(nn.Module):
    """A picture and its small version to a map of logits each, and to what three decoders make of the features.

    Args:
        shape: of a picture, ``(channels, height, width)``.
        width: channels at 64 pixels of a picture of 256; the last features have 8 times as many.
    """

    def __init__(self, shape: tuple[int, ...], width: int):
        super().__init__()
        channels, height, breadth = shape
        depth = stages(height, breadth)
        strides, downs = max(0, depth - 6), min(depth, 6) - 1  # the last map has 8 to 15 pixels
        widths = [max(2, (8 * width) >> (downs - i)) for i in range(downs + 1)]
        stem_widths = [max(2, widths[0] >> (strides - 1 - i)) for i in range(strides)]
        first = conv(channels, stem_widths[0], 4, 2, 1) if strides else conv(channels, widths[0], 3, 1, 1)
        stem: list[nn.Module] = [first, nn.LeakyReLU(0.2)]
        for before, after in pairwise(stem_widths):
            stem += halving(before, after)
        self.stem = nn.Sequential(*stem)
        self.blocks = nn.ModuleList(DownBlock(widths[i], widths[i + 1]) for i in range(downs))
        self.reach = min(3, downs)
        linked = range(self.reach, downs + 1)
        self.links = nn.ModuleDict({str(i): Excitation(widths[i - self.reach], widths[i]) for i in linked})
        self.judge = nn.Sequential(*bend(conv(widths[-1], 16 * width, 1)), conv(16 * width, 1, 4))

        halvings = min(5, depth - 1) - 1  # of the small picture, to 8 to 15 pixels
        small_widths = [max(2, (4 * width) >> max(0, halvings - 1 - i)) for i in range(max(1, halvings))]
        first = conv(channels, small_widths[0], 4, 2, 1) if halvings else conv(channels, small_widths[0], 3, 1, 1)
        small: list[nn.Module] = [first, nn.LeakyReLU(0.2)]
        for before, after in pairwise(small_widths):
            small += halving(before, after)
        self.small = nn.Sequential(*small)
        self.judge_small = conv(small_widths[-1], 1, 4)

        doublings = min(4, max(1, downs - 1))
        self.decode = Decoder(widths[-1], channels, doublings)
        self.decode_part = Decoder(widths[-2], channels, doublings)
        self.decode_small = Decoder(small_widths[-1], channels, doublings)
        self.apply(initialise)
        spectral(self)

    def forward(self, images: Tensor, small: Tensor) -> Tensor:
        """Logits ``(n, k)``, those of the whole picture first."""
        return self.score(*self.features(images, small))

    def features(self, images: Tensor, small: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The last but one and last features of the whole picture, and those of the small one."""
        levels = [self.stem(images)]
        for level, block in enumerate(self.blocks, start=1):
            x = block(levels[-1])
            levels.append(self.links[str(level)](levels[level - self.reach], x) if str(level) in self.links else x)
        return levels[-2], levels[-1], self.small(small)

    def score(self, _: Tensor, last: Tensor, small: Tensor) -> Tensor:
        """Logits ``(n, k)`` of what `features` returned."""
        return torch.cat([self.judge(last).flatten(1), self.judge_small(small).flatten(1)], dim=1)

    def rebuild(
        self, images: Tensor, features: tuple[Tensor, Tensor, Tensor], quadrants: Tensor
    ) -> list[tuple[Tensor, Tensor]]:
        """``(made, wanted)`` of the whole picture, of one quadrant of it, and of the small picture (eq. 4).

        Args:
            images: whole pictures that the ``features`` are of.
            features: what `features` returned.
            quadrants: which one of each picture, int64 ``(n,)`` in 0 to 3.
        """
        before, last, small = features
        made = [self.decode(last), self.decode_part(quadrant(before, quadrants)), self.decode_small(small)]
        wanted = [images, quadrant(images, quadrants), images]
        return [
            (picture, adaptive_avg_pool2d(whole, (picture.shape[2], picture.shape[3])))
            for picture, whole in zip(made, wanted, strict=True)
        ]


def quadrant(x: Tensor, which: Tensor) -> Tensor:
    """Of each sample of ``(n, c, h, w)`` one quarter, ``(n, c, h // 2, w // 2)``.

    ``which``, int64 ``(n,)``: 0 is top left, 1 top right, 2 bottom left, 3 bottom right.
    """
    height, width = x.shape[2] // 2, x.shape[3] // 2
    which = which[:, None, None, None]
    rows = torch.where(which < 2, x[:, :, :height], x[:, :, -height:])
    return torch.where(which % 2 == 0, rows[..., :width], rows[..., -width:])
