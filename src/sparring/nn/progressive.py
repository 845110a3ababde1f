"""Networks that grow: each size is faded in beside the one before (Karras et al. 2018, sec. 2).

Level 0 is the coarsest grid, each further level doubles it. A network is played at ``(level, alpha)``: ``level`` is the
newest size, and ``alpha`` how far it has been faded in, 1 when the size before has no say any more.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, leaky_relu, pad

from sparring.nn.equalised import EqualisedConv, EqualisedLinear, pixel_norm
from sparring.nn.levels import channels_at, coarsest, halvings
from sparring.nn.stddev import MinibatchStddev

HE = math.sqrt(2)  # the gain before a ReLU, here in the layer's weights as in the authors' code


def growth(nimg: int, levels: int, stable_kimg: float, fade_kimg: float) -> float:
    """How far a network has grown: 1.25 is a quarter through the fade from level 1 to level 2. At most ``levels``.

    Each level is trained for ``stable_kimg`` before the next one is faded in over ``fade_kimg``.
    """
    done, rest = divmod(nimg / 1000, stable_kimg + fade_kimg)
    fading = (rest - stable_kimg) / fade_kimg if rest > stable_kimg else 0.0
    return min(done + fading, float(levels))


def stage(grown: float) -> tuple[int, float]:
    """``(level, alpha)`` of a growth: 1.25 is level 2 faded in by a quarter, 2.0 is level 2 alone."""
    level = math.ceil(grown)
    return level, grown - level + 1


def double(x: Tensor) -> Tensor:
    """Every pixel four times."""
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


class Frame:
    """Brings pictures to the grid that halves evenly, and back.

    Args:
        shape: of a picture ``(channels, height, width)``, 8 pixels a side or more.
    """

    def __init__(self, shape: tuple[int, ...]):
        self.levels = halvings(shape)
        self.height, self.width = shape[1:]
        canvas = [side * 2**self.levels for side in coarsest(shape)]
        self.top, self.left = (canvas[0] - self.height) // 2, (canvas[1] - self.width) // 2
        self.bottom, self.right = canvas[0] - self.height - self.top, canvas[1] - self.width - self.left

    def at(self, images: Tensor, level: int, alpha: float) -> Tensor:
        """Full-sized pictures as D is to see them at this stage: averaged down, and blurred as fading fakes are.

        Sides that do not halve evenly are first filled up with their border pixels.
        """
        if self.top or self.bottom or self.left or self.right:
            images = pad(images, (self.left, self.right, self.top, self.bottom), mode="replicate")
        if level < self.levels:
            images = avg_pool2d(images, 2 ** (self.levels - level))
        return images if alpha == 1 else (1 - alpha) * double(avg_pool2d(images, 2)) + alpha * images

    def full(self, images: Tensor, level: int) -> Tensor:
        """Pictures of a level at full size, pixels repeated, the filling cut off."""
        for _ in range(level, self.levels):
            images = double(images)
        return images[:, :, self.top : self.top + self.height, self.left : self.left + self.width]


class Widening(nn.Module):
    """Double the sides, then twice a 3x3 convolution, leaky ReLU and pixel norm."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv0 = EqualisedConv(inputs, outputs, 3, gain=HE, up=True)
        self.conv1 = EqualisedConv(outputs, outputs, 3, gain=HE)

    def forward(self, x: Tensor) -> Tensor:
        x = pixel_norm(leaky_relu(self.conv0(x), 0.2))
        return pixel_norm(leaky_relu(self.conv1(x), 0.2))


class Opening(nn.Module):
    """z to the coarsest grid: a dense layer, then a 3x3 convolution."""

    def __init__(self, z_dim: int, outputs: int, grid: tuple[int, int]):
        super().__init__()
        self.grid = grid
        # 4 less than HE: 16 outputs of the dense layer form one channel, as the authors' code has it
        self.dense = EqualisedLinear(z_dim, outputs * grid[0] * grid[1], bias=None, gain=HE / 4)
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.conv = EqualisedConv(outputs, outputs, 3, gain=HE)

    def forward(self, z: Tensor) -> Tensor:
        x = self.dense(pixel_norm(z)).unflatten(1, (-1, *self.grid)) + self.bias
        x = pixel_norm(leaky_relu(x, 0.2))
        return pixel_norm(leaky_relu(self.conv(x), 0.2))


class ProgressiveGenerator(nn.Module):
    """z to a picture of any level.

    Args:
        shape: of a full-sized picture.
        z_dim: size of the latent.
        base, most: channels, see `channels_at`.

    ``grown`` is a buffer that says how far the weights have grown, for those who sample from them.
    """

    def __init__(self, shape: tuple[int, ...], z_dim: int, base: int, most: int):
        super().__init__()
        widths = [channels_at(level, base, most) for level in range(halvings(shape) + 1)]
        self.blocks = nn.ModuleList([Opening(z_dim, widths[0], coarsest(shape))])
        self.blocks.extend(Widening(before, after) for before, after in pairwise(widths))
        self.to_rgb = nn.ModuleList(EqualisedConv(width, shape[0], 1) for width in widths)
        self.grown: Tensor
        self.register_buffer("grown", torch.zeros(()))

    def forward(self, z: Tensor, level: int, alpha: float) -> Tensor:
        """``(n, z_dim)`` to ``(n, channels, ...)`` at the size of ``level``, unbounded."""
        x = z
        for block in self.blocks[:level]:
            x = block(x)
        new: Tensor = self.to_rgb[level](self.blocks[level](x))
        if alpha == 1:
            return new
        return (1 - alpha) * double(self.to_rgb[level - 1](x)) + alpha * new


class Narrowing(nn.Module):
    """Two 3x3 convolutions with leaky ReLU, then the mean of every 2x2 pixels."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv0 = EqualisedConv(inputs, inputs, 3, gain=HE)
        self.conv1 = EqualisedConv(inputs, outputs, 3, gain=HE)

    def forward(self, x: Tensor) -> Tensor:
        x = leaky_relu(self.conv0(x), 0.2)
        return avg_pool2d(leaky_relu(self.conv1(x), 0.2), 2)


class Closing(nn.Module):
    """The coarsest features to one logit."""

    def __init__(self, inputs: int, grid: tuple[int, int], group: int):
        super().__init__()
        self.stddev = MinibatchStddev(group)
        self.conv = EqualisedConv(inputs + 1, inputs, 3, gain=HE)
        self.dense = EqualisedLinear(inputs * grid[0] * grid[1], inputs, gain=HE)
        self.head = EqualisedLinear(inputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = leaky_relu(self.conv(self.stddev(x)), 0.2)
        logits: Tensor = self.head(leaky_relu(self.dense(x.flatten(1)), 0.2))
        return logits


class ProgressiveDiscriminator(nn.Module):
    """A picture of any level to one logit ``(n, 1)``. Arguments as of the generator, and the samples a group."""

    def __init__(self, shape: tuple[int, ...], base: int, most: int, group: int):
        super().__init__()
        widths = [channels_at(level, base, most) for level in range(halvings(shape) + 1)]
        self.from_rgb = nn.ModuleList(EqualisedConv(shape[0], width, 1, gain=HE) for width in widths)
        self.blocks = nn.ModuleList([Closing(widths[0], coarsest(shape), group)])
        self.blocks.extend(Narrowing(after, before) for before, after in pairwise(widths))

    def forward(self, images: Tensor, level: int, alpha: float) -> Tensor:
        """``(n, channels, ...)`` at the size of ``level``."""
        x = self.blocks[level](leaky_relu(self.from_rgb[level](images), 0.2))
        if alpha != 1:
            old = leaky_relu(self.from_rgb[level - 1](avg_pool2d(images, 2)), 0.2)
            x = (1 - alpha) * old + alpha * x
        for block in list(self.blocks[:level])[::-1]:
            x = block(x)
        return x
