"""Multi-layer perceptrons: the networks for points.

A perceptron sees the coarse before the fine, and modes may be a hundred times narrower than the space between them. So
its inputs are joined by waves of them (Fourier features, Tancik et al. 2020, arXiv 2006.10739). The units of G are
tanh: what takes a latent to narrow modes is a staircase, and units that saturate have steps, rectifiers slopes.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

SLOPE = 0.2
DEPTH = 4  # hidden layers


class Waves(nn.Module):
    """``(n, d)`` to ``(n, d (1 + 2 count))``: x, and sin and cos of base x, 2 base x, 4 base x and so on."""

    def __init__(self, count: int, base: float):
        super().__init__()
        self.frequencies = [base * 2**k for k in range(count)]

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, *(wave(f * x) for f in self.frequencies for wave in (torch.sin, torch.cos))], dim=1)


def perceptron(inputs: int, width: int, outputs: int, unit: nn.Module, waves: int, base: float) -> nn.Sequential:
    """``(n, inputs)`` and waves of it to ``(n, outputs)``, through hidden layers of ``width`` times ``unit``."""
    sizes = [inputs * (1 + 2 * waves)] + [width] * DEPTH
    layers: list[nn.Module] = [Waves(waves, base)]
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), unit]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


class PointGenerator(nn.Module):
    """z to a point ``(n, d)`` within (-1, 1). Points have no classes: labels are not heard."""

    def __init__(self, shape: tuple[int, ...], z_dim: int, width: int):
        super().__init__()
        self.layers = nn.Sequential(*perceptron(z_dim, width, shape[0], nn.Tanh(), waves=4, base=0.5), nn.Tanh())

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        point: Tensor = self.layers(z)
        return point


class PointDiscriminator(nn.Module):
    """A point ``(n, d)`` within [-1, 1] to one logit ``(n, 1)``."""

    def __init__(self, shape: tuple[int, ...], width: int):
        super().__init__()
        self.layers = perceptron(shape[0], width, 1, nn.LeakyReLU(SLOPE), waves=3, base=math.pi)

    def forward(self, point: Tensor, labels: Tensor | None = None) -> Tensor:
        score: Tensor = self.layers(point)
        return score
