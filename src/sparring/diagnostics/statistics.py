"""The arithmetic of the readings: pure functions of scores and of rows of features ``(n, d)``, in any distances' unit.

Each says what it is for two sets of the same distribution, with which a reading is compared.
"""

import math

import torch
from torch import Tensor

POINTS = 4  # columns up to which distances are taken one by one
NEIGHBOURS = 5  # of coverage, as by Naeem et al. 2020, arXiv 2002.09797
WORTH = 20  # expected samples from which a cluster can be missed
MISSING = 0.2  # share of the expected below which it is
SURE = 5.0  # standard errors


def auc(high: Tensor, low: Tensor) -> Tensor:
    """P(a > b) + P(a = b) / 2 over all pairs of ``high`` ``(n,)`` and ``low`` ``(m,)``; a scalar on their device.

    1/2 for one distribution. It heeds ranks alone: no offset and no scale of a critic moves it.
    """
    ordered, high = low.float().sort().values, high.float().contiguous()
    below = torch.searchsorted(ordered, high)
    up_to = torch.searchsorted(ordered, high, right=True)
    return (below + up_to).float().mean() / (2 * len(ordered))


def mean_pairwise_distance(rows: Tensor) -> float:
    """Mean Euclidean distance between two different rows of ``(n, ...)``."""
    if len(rows) < 2:
        raise ValueError(f"a distance between samples needs two of them, got {len(rows)}")
    return float(torch.pdist(rows.detach().float().flatten(1)).mean())


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances ``(n, m)`` of rows ``(n, d)`` to rows ``(m, d)``.

    Of points one by one: the shortcut over products errs by more than narrow modes leave between neighbours.
    """
    exact = x.shape[1] <= POINTS
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist" if exact else "use_mm_for_euclid_dist")


def others(rows: Tensor) -> Tensor:
    """Distances ``(n, n)`` between rows; no row is its own neighbour, infinitely far from itself."""
    return distances(rows, rows).fill_diagonal_(math.inf)


def duplicates(samples: Tensor, radius: float) -> float:
    """Share of samples whose nearest other one is closer than ``radius``."""
    return float((others(samples).amin(1) < radius).float().mean())


def expected_coverage(fakes: int, reals: int, k: int = NEIGHBOURS) -> float:
    """Share of reals that fakes of their very distribution cover: 1 - prod_i (reals - i) / (reals + fakes - i)."""
    return 1 - math.prod((reals - i) / (reals + fakes - i) for i in range(1, k + 1))


def covered(distances: Tensor, radii: Tensor) -> Tensor:
    """Which reals ``(r,)`` have a sample within their radius ``(r,)``: the distance of their k-th nearest other real.

    ``distances`` ``(n, r)`` are those of samples to reals.
    """
    return distances.amin(0) < radii


def cluster_shares(own: Tensor, of: Tensor, count: int, at_least: int = WORTH) -> float:
    """Least mean of ``own`` ``(n,)`` over the clusters ``of`` ``(n,)`` that hold ``at_least``; NaN where none does."""
    sizes = torch.bincount(of, minlength=count)
    means = torch.zeros(count).index_add_(0, of, own.float()) / sizes
    kept = means[sizes >= at_least]
    return float(kept.min()) if len(kept) else math.nan


def excess_divergence(samples: Tensor, reals: Tensor) -> float:
    """KL(samples || reals) of counts ``(k,)`` in nats, minus what chance adds; about 0 for one distribution.

    k of m equally large clusters alone give ln(m / k). By chance it is (k - 1)/2 (1/n + 1/m) in expectation, of n and m
    draws. A cluster without reals counts for half a real.
    """
    n, m = int(samples.sum()), int(reals.sum())
    p, q = samples.double() / n, reals.clamp(min=0.5).double() / m
    divergence = float(torch.special.xlogy(p, p / q).sum())
    return divergence - (len(samples) - 1) / 2 * (1 / n + 1 / m)


def missing(samples: Tensor, reals: Tensor) -> Tensor:
    """Which clusters samples leave out, bool ``(k,)``, of counts ``(k,)``.

    At least 20 samples are expected there, at most a fifth of them came, and the shares lie 5 standard errors apart.
    """
    n, m = float(samples.sum()), float(reals.sum())
    expected = reals * (n / m)
    both = (samples + reals) / (n + m)
    error = (both * (1 - both) * (1 / n + 1 / m)).sqrt()
    z = (samples / n - reals / m) / error.clamp(min=1e-12)
    return (expected >= WORTH) & (samples <= MISSING * expected) & (z < -SURE)


def frechet_distance(samples: Tensor, reals: Tensor) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) over tr S2; 0 for one distribution, and 1 for the reals' mean alone.

    Of n samples it is about 1/n too high for each dimension that matters: use few.
    """
    (m1, s1), (m2, s2) = (_moments(rows) for rows in (samples, reals))
    values, vectors = torch.linalg.eigh(s2)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ s1 @ root).clamp(min=0).sqrt().sum()
    distance = (m1 - m2).square().sum() + s1.trace() + s2.trace() - 2 * cross
    spread = float(s2.trace())
    return max(0.0, float(distance)) / spread if spread > 0 else math.nan


def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    rows = rows.double()
    return rows.mean(0), torch.cov(rows.T).reshape(rows.shape[1], rows.shape[1])


def copies(distances: Tensor, own: Tensor) -> float:
    """Share of samples nearer to a training row than that row is to its nearest other one, ``own`` ``(r,)``.

    1 minus authenticity (Alaa et al. 2022, arXiv 2102.08921), of ``distances`` ``(n, r)`` of samples to training rows.
    Not 0 for one distribution: see what other reals score.
    """
    nearest = distances.min(1)
    return float((nearest.values < own[nearest.indices]).float().mean())


def votes(distances: Tensor, labels: Tensor, voters: int = NEIGHBOURS) -> Tensor:
    """The class that most of the nearest reals have, int64 ``(n,)``, by ``distances`` ``(n, r)`` and its classes."""
    nearest = distances.topk(min(voters, distances.shape[1]), dim=1, largest=False)
    return labels[nearest.indices].mode(1).values


def travel(places: Tensor) -> float:
    """Net over total path of ``places`` ``(t, n, d)``, the same n things at t times: 1 straight ahead, 0 in circles."""
    path = float((places[1:] - places[:-1]).flatten(1).norm(dim=1).sum())
    return float((places[-1] - places[0]).norm()) / path if path > 0 else math.nan


def colour_drift(pixels: Tensor, reals: Tensor) -> float:
    """How far the mean colour of pictures ``(n, c, h, w)`` lies from the reals', at most over channels.

    In standard deviations over the reals of a picture's mean colour.
    """
    own, wanted = pixels.float().mean((2, 3)), reals.float().mean((2, 3))
    drift = (own.mean(0) - wanted.mean(0)).abs() / wanted.std(0).clamp(min=1e-6)
    return float(drift.max())


def effective_rank(singular_values: Tensor) -> float:
    """exp(entropy of s / sum s) of singular values ``(k,)`` (Roy and Vetterli 2007): k if all are equal, 1 of one."""
    total = float(singular_values.sum())
    return math.exp(float(torch.special.entr(singular_values / total).sum())) if total > 0 else math.nan
