"""Precision, recall, density, coverage: which samples lie in whose neighbourhoods.

Each row carries a ball out to its k-th nearest other row of its own set. Precision and recall: Kynkäänniemi et al.
2019, arXiv 1904.06991, k = 3 there. Density and coverage: Naeem et al. 2020, arXiv 2002.09797, k = 5 there.

In many dimensions balls of equal distributions miss one another: a precision below 1 is no fault as such. Look at the
value of one half of the reals against the other at the same counts.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.metrics.rows import as_pair, neighbours, squared_distances


@dataclass(frozen=True)
class Manifold:
    """All four; more is better.

    Attributes:
        precision: share of fakes inside some real's ball, 0..1.
        recall: share of reals inside some fake's ball, 0..1.
        density: how many reals' balls a fake lies in, over k; 0 and up, 1 on average for equal distributions.
        coverage: share of reals whose ball holds a fake, 0..1; see `expected_coverage`.
        k: neighbour that sets the radius.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    k: int


def manifold(fakes: Tensor, reals: Tensor, k: int = 5, closed: bool = False) -> Manifold:
    """Of features ``(n, d)`` and ``(m, d)``, in memory that does not grow with n m.

    Args:
        closed: a row at exactly the radius is inside: ``<=``, as Kynkäänniemi et al., NVlabs and torch-fidelity have
            it. By default ``<``, as the ``prdc`` package has it. They differ only where distances tie.

    Raises:
        ValueError: k or fewer rows, other widths, values that are not finite.
    """
    fakes, reals = as_pair(fakes, reals, at_least=k + 1)
    real_radius = neighbours(reals, reals, k, itself=True)[0][:, -1]
    fake_radius = neighbours(fakes, fakes, k, itself=True)[0][:, -1]
    inside = torch.le if closed else torch.lt
    in_balls = torch.zeros(len(fakes), dtype=torch.int64, device=fakes.device)
    covered, recalled = (torch.zeros(len(reals), dtype=torch.bool, device=reals.device) for _ in range(2))
    for part, squares in squared_distances(fakes, reals):
        hits = inside(squares, real_radius)
        in_balls[part] = hits.sum(1)
        covered |= hits.any(0)
        recalled |= inside(squares, fake_radius[part, None]).any(0)
    return Manifold(
        precision=float((in_balls > 0).double().mean()),
        recall=float(recalled.double().mean()),
        density=float(in_balls.double().mean()) / k,
        coverage=float(covered.double().mean()),
        k=k,
    )


def expected_coverage(fakes: int, reals: int, k: int = 5) -> float:
    """Coverage to expect of so many fakes from the very distribution of the reals; 1 - 2^-k for many of each.

    A ball stays empty if the k nearest of all other rows are reals, so that coverage is
    1 - prod_{i=1..k} (reals - i) / (reals + fakes - i).
    """
    return 1 - math.prod((reals - i) / (reals + fakes - i) for i in range(1, k + 1))
