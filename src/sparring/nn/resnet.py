"""Residual generators and discriminators for pictures of any size (Gulrajani et al. 2017; Miyato et al. 2018).

At 32x32 they are the networks of those papers, parameter for parameter: a flat stack of blocks of one width. From
64 pixels a side they are their larger ones: widths double with each coarser block, 16 times the finest at most.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, relu

from sparring.nn.attention import SelfAttention
from sparring.nn.convolution import Conv2d, UpConv2d, twice

# Makes what is called as ``norm(x, condition)``, for so many features; see conditional.py.
Norm = Callable[[int], nn.Module]
FLAT = 3  # pictures halved so often at most are made by blocks of one width
CAP = 16


def halvings(shape: tuple[int, ...]) -> int:
    """How often a picture is halved: until its shorter side is 4 to 7, but once at least."""
    return max(1, int(math.log2(min(shape[1:]) / 4)))


def generator_widths(shape: tuple[int, ...], width: int, flat: int) -> list[int]:
    """Channels of the coarsest grid and of each block of G, coarsest first.

    Args:
        shape: of a picture.
        width: channels of the finest block of a large picture.
        flat: how many times as many every block of a small one has.
    """
    depth = halvings(shape)
    if depth <= FLAT:
        return [flat * width] * (depth + 1)
    return [width * min(2**level, CAP) for level in reversed(range(depth + 1))]


def discriminator_widths(shape: tuple[int, ...], width: int, flat: int) -> tuple[list[int], int]:
    """Channels of each block of D, finest first, and how many of them halve the map (the first ones)."""
    depth = halvings(shape)
    if depth <= FLAT:
        return [flat * width] * 4, min(2, depth)
    return [width * min(2**level, CAP) for level in range(depth + 1)], depth


def attention_level(shape: tuple[int, ...], side: int) -> int:
    """How often a picture is halved where attention sits: the first map with no side above ``side``, 1 at least."""
    return max(1, math.ceil(math.log2(max(shape[1:]) / side)))


class UpBlock(nn.Module):
    """norm, ReLU, twice the size, conv, norm, ReLU, conv; around it a 1x1 convolution."""

    def __init__(self, before: int, after: int, norm: Norm):
        super().__init__()
        self.norm1, self.norm2 = norm(before), norm(after)
        self.conv1 = UpConv2d(before, after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        h = self.conv1(relu(self.norm1(x, condition)))
        h = self.conv2(relu(self.norm2(h, condition)))
        # A 1x1 convolution and repeating pixels commute: done in this order it costs a quarter.
        return h + twice(self.shortcut(x))


class DownBlock(nn.Module):
    """ReLU, conv, ReLU, conv, half the size if ``down``; around it a 1x1 convolution where the shape changes.

    Args:
        before, after: channels.
        down: halve the map.
        first: the block that sees the picture; no ReLU in front of it.
        wide: the inner map has ``after`` channels (Brock et al. 2019), not ``before``.
    """

    def __init__(self, before: int, after: int, down: bool, first: bool = False, wide: bool = False):
        super().__init__()
        self.down, self.first = down, first
        inner = after if first or wide else before
        self.conv1 = Conv2d(before, inner, 3, padding=1)
        self.conv2 = Conv2d(inner, after, 3, padding=1)
        self.shortcut = Conv2d(before, after, 1) if down or before != after else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(relu(self.conv1(x if self.first else relu(x))))
        # Mean and 1x1 convolution commute: halved first it costs a quarter.
        x, h = (half(x), half(h)) if self.down else (x, h)
        return h + (x if self.shortcut is None else self.shortcut(x))


def half(x: Tensor) -> Tensor:
    """Means of 2x2; of what is there at an odd edge, so that no pixel goes unseen."""
    return avg_pool2d(x, 2, ceil_mode=True)


class ResGenerator(nn.Module):
    """z (and a condition) to a picture: a linear layer to the coarsest grid, blocks that double it, tanh.

    Args:
        shape: of a picture, ``(channels, height, width)``. A side that is no multiple of the grid is cut to size.
        z_dim: size of what goes into the linear layer.
        widths: see `generator_widths`; one block for each but the first.
        norm: makes the blocks' normalisation; the last one before the picture is plain BatchNorm.
        attention: side of the map that gets self-attention (see `attention_level`); 0 for none.
    """

    def __init__(self, shape: tuple[int, ...], z_dim: int, widths: Sequence[int], norm: Norm, attention: int = 0):
        super().__init__()
        channels, self.height, self.width = shape
        depth = len(widths) - 1
        grid = (math.ceil(self.height / 2**depth), math.ceil(self.width / 2**depth))
        self.linear = nn.Linear(z_dim, widths[0] * grid[0] * grid[1])
        self.unflatten = nn.Unflatten(1, (widths[0], *grid))
        self.blocks = nn.ModuleList(UpBlock(widths[i], widths[i + 1], norm) for i in range(depth))
        self.place = depth - min(attention_level(shape, attention), depth) if attention else -1  # before which block
        self.attention = SelfAttention(widths[self.place]) if attention else None
        self.norm = nn.BatchNorm2d(widths[-1])
        self.out = Conv2d(widths[-1], channels, 3, padding=1)
        self.apply(initialise)
        nn.init.xavier_uniform_(self.out.weight)

    def forward(self, z: Tensor, condition: Tensor | Sequence[Tensor] | None = None) -> Tensor:
        """``(n, z_dim)`` to ``(n, *shape)`` in [-1, 1]; the condition is the same for all blocks or one for each."""
        x = self.unflatten(self.linear(z))
        for place, block in enumerate(self.blocks):
            if self.attention is not None and place == self.place:
                x = self.attention(x)
            x = block(x, condition if condition is None or isinstance(condition, Tensor) else condition[place])
        image = torch.tanh(self.out(relu(self.norm(x))))
        top, left = (image.shape[2] - self.height) // 2, (image.shape[3] - self.width) // 2
        return image[:, :, top : top + self.height, left : left + self.width]


class ResDiscriminator(nn.Module):
    """A picture (and its class) to one logit ``(n, 1)``.

    phi(x) are the last features after a ReLU, summed over their grid. The logit is psi(phi(x)), psi linear; with
    classes, psi(phi(x)) + <embed(y), phi(x)>: the projection discriminator (Miyato and Koyama 2018, eq. 3).

    Args:
        shape: of a picture, ``(channels, height, width)``.
        widths: of each block.
        downs: how many of them, the first ones, halve the map.
        classes: how many classes there are; 0 for none.
        attention: side of the map that gets self-attention (see `attention_level`); 0 for none.
        wide: see `DownBlock`.
        mean: phi is averaged over its grid instead (Gulrajani et al. 2017).
        bias: psi has one.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        widths: Sequence[int],
        downs: int,
        classes: int = 0,
        attention: int = 0,
        wide: bool = False,
        mean: bool = False,
        bias: bool = False,
    ):
        super().__init__()
        self.mean = mean
        before = [shape[0], *widths]
        self.blocks = nn.ModuleList(
            DownBlock(before[i], after, down=i < downs, first=i == 0, wide=wide) for i, after in enumerate(widths)
        )
        self.place = min(attention_level(shape, attention), downs) - 1 if attention else -1  # after which block
        self.attention = SelfAttention(widths[self.place]) if attention else None
        self.head = nn.Linear(widths[-1], 1, bias=bias)
        self.embed = nn.Embedding(classes, widths[-1]) if classes else None
        self.apply(initialise)

    def features(self, image: Tensor) -> Tensor:
        """phi(x), ``(n, widths[-1])``."""
        x = image
        for place, block in enumerate(self.blocks):
            x = block(x)
            if self.attention is not None and place == self.place:
                x = self.attention(x)
        x = relu(x)
        return x.mean((2, 3)) if self.mean else x.sum((2, 3))

    def forward(self, image: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.features(image)
        logits: Tensor = self.head(features)
        if self.embed is not None:
            logits = logits + (self.embed(labels) * features).sum(1, keepdim=True)
        return logits


def initialise(module: nn.Module) -> None:
    """Glorot's uniform weights, for 3x3 convolutions sqrt(2) times as large, as in both papers' code; no biases."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        before_relu = isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
        nn.init.xavier_uniform_(module.weight, math.sqrt(2) if before_relu else 1.0)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def orthogonalise(module: nn.Module) -> None:
    """Orthogonal weights (Brock et al. 2019, app. B)."""
    if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
        nn.init.orthogonal_(module.weight)
