"""The networks of R3GAN for any picture of 8 pixels or more a side (Huang et al. 2024, sec. 4).

No normalisation, no styles, no noise: grouped residual blocks with a Fixup-like initialisation, and between them
resampling by 2 with [1, 3, 3, 1]. At 32x32, width 768, 2 blocks and 10 classes they are the paper's, parameter for
parameter (20,781,952 and 21,280,512 of them).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from sparring.nn.convolution import Conv2d
from sparring.nn.dcgan import stages
from sparring.nn.fir import Blur

SLOPE = 0.2
GROUP = 16  # channels in a group of the 3x3 convolution


def stage_widths(height: int, width: int, channels: int) -> list[int]:
    """Channels of each stage, coarsest first: constant for four stages, then halved with each finer one."""
    return [max(1, channels >> max(0, stage - 3)) for stage in range(stages(height, width) + 1)]


def scaled(weight: Tensor, gain: float, fan_in: int) -> None:
    """Draw from N(0, gain^2 / fan_in)."""
    nn.init.normal_(weight, 0.0, gain / math.sqrt(fan_in))


def projection(before: int, after: int) -> Conv2d:
    """A 1x1 convolution without bias, which keeps the variance."""
    layer = Conv2d(before, after, 1, bias=False)
    scaled(layer.weight, 1.0, before)
    return layer


class Block(nn.Module):
    """x + a bottleneck turned inside out: 1x1 to twice the width, a grouped 3x3, and 1x1 back, which is 0 at first.

    Args:
        width: channels in and out.
        blocks: how many blocks the whole network has. With m = 3 layers in each, Fixup scales all but the last by
            blocks^(-1/(2m - 2)): then what all of them add at a step does not grow with their number.
    """

    def __init__(self, width: int, blocks: int):
        super().__init__()
        inner = 2 * width
        group = math.gcd(GROUP, inner)
        expand, mix = Conv2d(width, inner, 1), Conv2d(inner, inner, 3, padding=1, groups=inner // group)
        back = Conv2d(inner, width, 1, bias=False)
        gain = nn.init.calculate_gain("leaky_relu", SLOPE) * blocks ** (-1 / 4)
        for layer, fan_in in ((expand, width), (mix, 9 * group)):
            scaled(layer.weight, gain, fan_in)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        nn.init.zeros_(back.weight)
        self.layers = nn.Sequential(expand, nn.LeakyReLU(SLOPE), mix, nn.LeakyReLU(SLOPE), back)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.layers(x)
        return x + added


class Up(nn.Module):
    """Change the width, then double both sides."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.width = projection(before, after) if before != after else nn.Identity()
        self.blur = Blur()

    def forward(self, x: Tensor) -> Tensor:
        return self.blur.up(self.width(x))


class Down(nn.Module):
    """Halve both sides, rounded down, then change the width."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.width = projection(before, after) if before != after else nn.Identity()
        self.blur = Blur()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.width(self.blur.down(x))
        return y


class R3Generator(nn.Module):
    """z (and a class) to a picture: learnt patterns on the coarsest grid, weighed by z, then blocks between doublings.

    Args:
        shape: of a picture, ``(channels, height, width)``. A side that is no multiple of the grid is cut to size.
        z_dim: size of the latent, and of a class embedding beside it.
        widths: channels of each stage, coarsest first; one doubling fewer than there are stages.
        blocks: blocks in each stage.
        classes: how many there are to embed; 0 for none.
    """

    def __init__(self, shape: tuple[int, ...], z_dim: int, widths: Sequence[int], blocks: int, classes: int = 0):
        super().__init__()
        channels, self.height, self.breadth = shape
        scale = 2 ** (len(widths) - 1)
        self.grid = (math.ceil(self.height / scale), math.ceil(self.breadth / scale))
        inputs = 2 * z_dim if classes else z_dim
        self.embed = nn.Embedding(classes, z_dim) if classes else None
        self.weigh = nn.Linear(inputs, widths[0], bias=False)
        scaled(self.weigh.weight, 1.0, inputs)
        if self.embed is not None:
            scaled(self.embed.weight, 1.0, classes)
        self.patterns = nn.Parameter(torch.randn(widths[0], *self.grid))
        layers: list[nn.Module] = [Block(widths[0], blocks * len(widths)) for _ in range(blocks)]
        for before, after in pairwise(widths):
            layers += [Up(before, after), *(Block(after, blocks * len(widths)) for _ in range(blocks))]
        self.layers = nn.Sequential(*layers, projection(widths[-1], channels))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """``(n, z_dim)`` and int64 ``(n,)`` to ``(n, *shape)``; nothing bounds the values but training."""
        if self.embed is not None:
            z = torch.cat([z, self.embed(labels)], dim=1)
        image: Tensor = self.layers(self.patterns * self.weigh(z)[:, :, None, None])
        top, left = (image.shape[2] - self.height) // 2, (image.shape[3] - self.breadth) // 2
        return image[:, :, top : top + self.height, left : left + self.breadth]


class R3Discriminator(nn.Module):
    """A picture (and a class) to one logit ``(n, 1)``: G the other way round, with a depthwise look at the whole grid.

    With classes, the logit is the product of the features with an embedding of the class (Miyato and Koyama 2018,
    without their unconditional term).
    """

    def __init__(self, shape: tuple[int, ...], widths: Sequence[int], blocks: int, classes: int = 0):
        super().__init__()
        channels, height, breadth = shape
        fine = list(reversed(widths))
        scale = 2 ** (len(widths) - 1)
        grid = (height // scale, breadth // scale)
        layers: list[nn.Module] = [projection(channels, fine[0])]
        for before, after in pairwise(fine):
            layers += [*(Block(before, blocks * len(fine)) for _ in range(blocks)), Down(before, after)]
        layers += [Block(fine[-1], blocks * len(fine)) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        features = fine[-1]
        outputs = fine[0] if classes else 1
        self.look = Conv2d(features, features, grid, groups=features, bias=False)
        self.score = nn.Linear(features, outputs, bias=False)
        scaled(self.look.weight, 1.0, grid[0] * grid[1])
        scaled(self.score.weight, 1.0, features)
        self.embed = nn.Embedding(classes, outputs) if classes else None
        if self.embed is not None:
            scaled(self.embed.weight, outputs**-0.5, classes)

    def forward(self, image: Tensor, labels: Tensor | None = None) -> Tensor:
        scores: Tensor = self.score(self.look(self.layers(image)).flatten(1))
        return scores if self.embed is None else (scores * self.embed(labels)).sum(1, keepdim=True)
