"""Are samples copies of the training data? Evidence for it; no number here can show that nothing was learnt by heart.

All look at distances in the features they are given: a copy that the features see as different goes unseen, and a
collapsed generator can look like a copying one. Held-out reals come from the same source and were never trained on.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.metrics.frechet import Gaussian, frechet_distance
from sparring.metrics.rows import as_pair, as_rows, neighbours, pick, seeded


@dataclass(frozen=True)
class Nearest:
    """For each fake its k nearest training rows, nearest first: ``distances`` and ``indices``, each ``(n, k)``."""

    distances: Tensor
    indices: Tensor

    def closest(self, count: int = 16) -> Tensor:
        """Which fakes lie nearest to the training data, nearest first, int64 ``(count,)``: the pairs to look at."""
        return self.distances[:, 0].argsort(stable=True)[:count]


def nearest(fakes: Tensor, train: Tensor, k: int = 1) -> Nearest:
    """Of features ``(n, d)`` and ``(m, d)``; exact copies are at distance exactly 0.

    Raises:
        ValueError: fewer than k training rows, other widths, values that are not finite.
    """
    squares, indices = neighbours(*as_pair(fakes, train), k)
    return Nearest(squares.sqrt(), indices)


def authenticity(fakes: Tensor, train: Tensor) -> float:
    """Share of fakes, 0..1, farther from their nearest training row than that row is from its own nearest other.

    AuthPct over 100 (Alaa et al. 2022, arXiv 2102.08921). Copies make it 0. What a perfect generator scores is below 1
    and depends on the data: compare with held-out reals in the place of the fakes.

    Raises:
        ValueError: fewer than 2 training rows, other widths, values that are not finite.
    """
    fakes, train = as_pair(fakes, train)
    squares, indices = neighbours(fakes, train)
    own = neighbours(train, train, itself=True)[0][:, 0]
    return float((own[indices[:, 0]] < squares[:, 0]).double().mean())


def rank_z(fakes: Tensor, held_out: Tensor) -> float:
    """Mann-Whitney U of numbers ``(m,)`` over ``(n,)``, as a z-score: below 0 where the fakes' are the smaller ones."""
    ordered, fakes = held_out.sort().values, fakes.contiguous()
    below, up_to = torch.searchsorted(ordered, fakes), torch.searchsorted(ordered, fakes, right=True)
    u = float((below + up_to).double().sum()) / 2  # pairs in which the fake's is larger; ties count one half
    m, n = len(fakes), len(held_out)
    return (u - n * m / 2 + 0.5) / (n * m * (n + m + 1) / 12) ** 0.5


def copying(fakes: Tensor, train: Tensor, held_out: Tensor, cells: int = 3, at_least: int = 20, seed: int = 0) -> float:
    """C_T (Meehan et al. 2020, arXiv 2004.05675): are fakes nearer to the training data than held-out reals are?

    In each k-means cell of the training data a Mann-Whitney z-score of the distances to the cell's nearest training
    row; their mean weighted by held-out rows. About normal with variance at most 1 for a perfect generator; far below 0
    is copying, far above 0 underfitting. Cells with ``at_least`` fakes or fewer do not count.

    Raises:
        ValueError: no cell has fakes and held-out rows enough, other widths, values that are not finite.
    """
    from sklearn.cluster import KMeans

    fakes, train = as_pair(fakes, train)
    held_out = as_rows(held_out, "held_out")
    if held_out.shape[1] != train.shape[1]:
        raise ValueError(f"widths of features differ: held_out {held_out.shape[1]}, train {train.shape[1]}")
    if not 1 <= cells <= len(train):
        raise ValueError(f"{len(train)} training rows do not make {cells} cells")
    found = KMeans(cells, n_init=10, random_state=seed).fit(train.cpu().numpy())
    centres = torch.from_numpy(found.cluster_centers_).to(train)
    of_fakes, of_train, of_held_out = (neighbours(rows, centres)[1][:, 0] for rows in (fakes, train, held_out))
    score, weight = 0.0, 0
    for cell in range(cells):
        here, there, out = fakes[of_fakes == cell], train[of_train == cell], held_out[of_held_out == cell]
        if len(here) > at_least and len(out):
            score += len(out) * rank_z(neighbours(here, there)[0][:, 0], neighbours(out, there)[0][:, 0])
            weight += len(out)
    if not weight:
        raise ValueError(f"none of {cells} cells holds more than {at_least} fakes and a held-out row")
    return score / weight


def neighbour_ratio(fakes: Tensor, train: Tensor, held_out: Tensor, seed: int = 0) -> float:
    """Median distance of fakes to the nearest training row over that to the nearest held-out row; 0 and up.

    1 if the fakes are as near to one as to the other; towards 0 with copies. The larger set is cut, seeded, to the
    smaller one: more rows are nearer. Infinite if more than half of the fakes are copies of held-out rows, NaN if of
    both.
    """
    count = min(len(train), len(held_out))
    generator = seeded(seed)
    to_train = nearest(fakes, pick(train, count, generator)).distances.median()
    to_held_out = nearest(fakes, pick(held_out, count, generator)).distances.median()
    return float(to_train / to_held_out)


@dataclass(frozen=True)
class FrechetGap:
    """FD of the same fakes to as many (``count``) training rows and held-out rows."""

    train: float
    held_out: float
    count: int

    @property
    def gap(self) -> float:
        """held-out minus train: about 0 for a generator that learnt the distribution, above it for one that copies."""
        return self.held_out - self.train


def frechet_gap(fakes: Tensor, train: Tensor, held_out: Tensor, seed: int = 0) -> FrechetGap:
    """FD to the training data against FD to held-out data, both cut to the smaller count so that bias is the same.

    Raises:
        ValueError: fewer than 2 rows, other widths, values that are not finite.
    """
    count = min(len(train), len(held_out))
    generator = seeded(seed)
    of_fakes = Gaussian.of(fakes)
    to_train = frechet_distance(of_fakes, Gaussian.of(pick(train, count, generator)))
    to_held_out = frechet_distance(of_fakes, Gaussian.of(pick(held_out, count, generator)))
    return FrechetGap(to_train, to_held_out, count)
