"""The networks of f-AnoGAN: a generator, its inverse, a critic that shows its features; for pictures and for rows.

No layer looks across the batch: a sample's score must not depend on what else is scored, and G must make the same of a
code while it is trained, while E learns to invert it, and ever after.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from sparring.core.columns import Layout
from sparring.core.spec import DataSpec
from sparring.nn.dcgan import DCTrunk, stages
from sparring.nn.table import States, perceptron

DEPTH = 2  # hidden layers of networks for rows
GROUPS = 8  # of channels that are normalised together, at most


class PictureGenerator(nn.Module):
    """z to a picture by DCGAN's layers, each normalised within the sample (GroupNorm, Wu and He 2018).

    Args:
        shape: of a picture, ``(channels, height, width)``. A side that is no multiple of the grid is cut to size.
        z_dim: size of the latent.
        width: channels of the finest hidden layer, doubled with each coarser one.
    """

    def __init__(self, shape: tuple[int, ...], z_dim: int, width: int):
        super().__init__()
        channels, self.height, self.width = shape
        depth = stages(self.height, self.width)
        grid = (math.ceil(self.height / 2**depth), math.ceil(self.width / 2**depth))
        widths = [width * 2**level for level in reversed(range(depth))]
        layers: list[nn.Module] = [
            nn.Linear(z_dim, widths[0] * grid[0] * grid[1]),
            nn.Unflatten(1, (widths[0], *grid)),
            *_normalised(widths[0]),
        ]
        for before, after in pairwise(widths):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1), *_normalised(after)]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """``(n, z_dim)`` to ``(n, *shape)`` in [-1, 1]."""
        image: Tensor = self.layers(z)
        top, left = (image.shape[2] - self.height) // 2, (image.shape[3] - self.width) // 2
        return image[:, :, top : top + self.height, left : left + self.width]


def _normalised(channels: int) -> list[nn.Module]:
    return [nn.GroupNorm(math.gcd(GROUPS, channels), channels), nn.ReLU()]


class RowGenerator(nn.Module):
    """z to an encoded row ``(n, width)`` in [-1, 1]: a perceptron, tanh for scalars, softmax over states.

    States are shares, not draws: what G makes of a code is a function that can be inverted.
    """

    def __init__(self, layout: Layout, z_dim: int, width: int):
        super().__init__()
        self.layers = perceptron(z_dim, [width] * DEPTH, layout.width)
        self.states = States(layout)

    def forward(self, z: Tensor) -> Tensor:
        raw: Tensor = self.layers(z)
        scalars = torch.tanh(raw.index_select(1, self.states.scalars))
        return self.states.rows(scalars, self.states.logits(raw).softmax(2))


class Critic(nn.Module):
    """A sample to one score ``(n, 1)``, linear in its features."""

    def __init__(self, spec: DataSpec, width: int):
        super().__init__()
        self.trunk, count = trunk(spec, width)
        self.head = nn.Linear(count, 1)

    def features(self, sample: Tensor) -> Tensor:
        """What the score is linear in, ``(n, count)``."""
        features: Tensor = self.trunk(sample)
        return features

    def forward(self, sample: Tensor) -> Tensor:
        score: Tensor = self.head(self.features(sample))
        return score


def generator(spec: DataSpec, z_dim: int, width: int) -> nn.Module:
    """z ``(n, z_dim)`` to samples ``(n, *spec.shape)``."""
    if spec.modality == "table":
        return RowGenerator(Layout(spec.columns), z_dim, width)
    return PictureGenerator(spec.shape, z_dim, width)


def encoder(spec: DataSpec, z_dim: int, width: int) -> nn.Sequential:
    """Samples to codes ``(n, z_dim)`` in [-1, 1]: the critic's layers with another end."""
    layers, count = trunk(spec, width)
    return nn.Sequential(layers, nn.Linear(count, z_dim), nn.Tanh())


def trunk(spec: DataSpec, width: int) -> tuple[nn.Module, int]:
    """Samples to flat features, and how many of them there are."""
    if spec.modality == "table":
        layers: list[nn.Module] = []
        for before, after in pairwise([*spec.shape, *[width] * DEPTH]):
            layers += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
        return nn.Sequential(*layers), width
    convolutions = DCTrunk(spec.shape, width, "none")
    return nn.Sequential(convolutions, nn.Flatten()), convolutions.features * math.prod(convolutions.grid)
