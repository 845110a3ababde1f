"""How many different things a generator can draw, by the birthday paradox (Arora & Zhang 2017, arXiv 1706.08224).

Of N equally likely things, s draws hold a pair of equals with probability 1 - exp(-s^2 / 2N), one half at
s = sqrt(2 N ln 2). Equal means closer than a radius: run the reals through the same test as a control. If they collide
as often, the radius is too large and the result says nothing.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.metrics.rows import as_rows, neighbours, seeded, squared_distances


@dataclass(frozen=True)
class Birthday:
    """What was found among n samples.

    Attributes:
        half: number of draws that hold a duplicate half of the time; infinite if n do not.
        support: half^2 / (2 ln 2), the number N of equally likely things; infinite likewise.
        pairs: duplicate pairs among the n.
        effective: n (n - 1) / 2 pairs over the duplicates: 1 / sum p^2 of unequally likely things. Uses every pair and
            so varies less than ``support``; infinite without duplicates.
        low, high: its 95 % interval, by taking the number of pairs for a Poisson variable. Without duplicates ``low``
            is the bound that is left.
    """

    half: float
    support: float
    pairs: int
    effective: float
    low: float
    high: float


def duplicate_radius(reals: Tensor, quantile: float = 0.001) -> float:
    """Distance below which two of the reals ``(n, d)`` are nearest neighbours with probability ``quantile``."""
    distances = neighbours(*(as_rows(reals, "reals", at_least=2),) * 2, itself=True)[0].sqrt()
    return float(distances.flatten().quantile(quantile))


def birthday(samples: Tensor, radius: float, orders: int = 1000, seed: int = 0) -> Birthday:
    """Support of samples ``(n, d)``; rows at most ``radius`` apart count as the same thing.

    Draws are the first s rows of seeded random orders of the samples. Take n well above the square root of the support;
    it needs n^2 bytes.

    Args:
        radius: 0 for exact copies; see `duplicate_radius`.
        orders: how many.

    Raises:
        ValueError: fewer than 2 rows, a negative radius, values that are not finite.
    """
    from scipy.stats import chi2  # type: ignore[import-untyped]

    if not radius >= 0 or orders < 1:
        raise ValueError(f"a radius of at least 0 and at least 1 order are needed, not {radius} and {orders}")
    samples = as_rows(samples, "samples", at_least=2)
    count = len(samples)
    equal = torch.zeros(count, count, dtype=torch.bool)
    for part, squares in squared_distances(samples, samples):
        equal[part] = (squares <= radius**2).cpu()
    equal.fill_diagonal_(False)
    duplicates = int(equal.sum()) // 2
    generator = seeded(seed)
    twins = equal.any(1)  # what has no equal is drawn like the rest, but decides nothing
    equal = equal[twins][:, twins]
    firsts = sorted(first_duplicate(equal, torch.randperm(count, generator=generator)[twins]) for _ in range(orders))
    half = firsts[(orders - 1) // 2]
    everything = count * (count - 1) / 2
    return Birthday(
        half=half,
        support=half**2 / (2 * math.log(2)),
        pairs=duplicates,
        effective=everything / duplicates if duplicates else math.inf,
        low=everything / float(chi2.ppf(0.975, 2 * duplicates + 2) / 2),
        high=everything / float(chi2.ppf(0.025, 2 * duplicates) / 2) if duplicates else math.inf,
    )


def first_duplicate(equal: Tensor, position: Tensor) -> float:
    """How many draws until two of them are equal; infinite if none are.

    Args:
        equal: bool ``(n, n)``, symmetric, without the diagonal.
        position: of each of the n among all draws, from 0, int64 ``(n,)``.
    """
    order, size = position.argsort(), 32
    while True:
        head = order[:size]
        held = equal[head][:, head].tril()  # row i: equals that came before it
        rows = held.any(1).nonzero()
        if len(rows):
            return float(position[head[rows[0]]] + 1)
        if size >= len(order):
            return math.inf
        size *= 4
