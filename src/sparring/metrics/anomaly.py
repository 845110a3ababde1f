"""How well a score tells abnormal samples from normal ones, and two scores that any other has to beat.

Samples are rows ``(n, d)`` here, scores ``(n,)``; the larger, the more abnormal.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.metrics.bootstrap import Interval, bootstrap

KEPT = 0.95  # of the variance, by the components of `PCAError`
NEIGHBOUR = 5  # the one whose distance `NeighbourDistance` takes
CHUNK = 256  # rows whose distances are kept at once


def auroc(normal: Tensor, abnormal: Tensor) -> float:
    """P(a > b) + P(a = b) / 2 for the scores a, b of an abnormal and a normal sample: the area under ROC.

    0.5 is guessing. Infinite scores are equal to one another, and beyond all others. Raises `ValueError` without
    samples on either side, or for NaN.
    """
    _check(normal, abnormal)
    ordered = normal.double().sort().values
    asked = abnormal.double().contiguous()
    below, not_above = (torch.searchsorted(ordered, asked, right=right).double() for right in (False, True))
    return float((below + not_above).mean() / 2 / len(ordered))


def auprc(normal: Tensor, abnormal: Tensor) -> float:
    """Average precision: the sum over thresholds of (recall - recall before) * precision, as scikit-learn has it.

    Equal scores pass a threshold together. The share of abnormal samples is what guessing gives. Raises as `auroc`.
    """
    _check(normal, abnormal)
    ours, theirs = (scores.double().sort().values for scores in (normal, abnormal))
    thresholds, hits = theirs.flip(0).unique_consecutive(return_counts=True)
    found = hits.cumsum(0)  # abnormal samples at a threshold or above
    alarms = len(ours) - torch.searchsorted(ours, thresholds.contiguous())
    return float((hits / len(theirs) * found / (found + alarms)).sum())


def _check(normal: Tensor, abnormal: Tensor) -> None:
    if not len(normal) or not len(abnormal):
        raise ValueError(f"{len(normal)} normal and {len(abnormal)} abnormal samples; each side needs one or more")
    if normal.isnan().any() or abnormal.isnan().any():
        raise ValueError("a score is not a number")


@dataclass(frozen=True)
class Separation:
    """Both areas with their intervals."""

    auroc: Interval
    auprc: Interval


def separation(normal: Tensor, abnormal: Tensor, repeats: int = 200, seed: int = 0) -> Separation:
    """`auroc` and `auprc` with bootstrap 95 % intervals; the two sides are drawn independently, in their sizes."""
    areas = (bootstrap(area, normal, abnormal, repeats=repeats, seed=seed) for area in (auroc, auprc))
    return Separation(*areas)


class PCAError:
    """Reconstruction by principal components of the training rows: the mean of (x - its reconstruction)^2.

    Args:
        train: ``(n, d)``, 2 rows or more.
        kept: as many components are kept as explain this share of the variance, all but one at the most.
    """

    def __init__(self, train: Tensor, kept: float = KEPT):
        if len(train) < 2 or not 0 < kept <= 1:
            raise ValueError(f"{len(train)} rows and a share of {kept}: 2 rows and a share above 0 are the least")
        self.mean = train.double().mean(0)
        centred = train.double() - self.mean
        # Of the two products the smaller one has the same eigenvalues above 0.
        wide = centred.shape[1] > len(centred)
        values, vectors = torch.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
        values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
        share = values.cumsum(0) / values.sum().clamp(min=1e-300)
        most = min(len(centred), centred.shape[1]) - 1
        self.components = min(int((share < kept - 1e-12).sum()) + 1, most)
        axes = centred.T @ vectors if wide else vectors
        axes = axes[:, : self.components]
        self.axes = axes / axes.norm(dim=0).clamp(min=1e-300)

    def __call__(self, rows: Tensor) -> Tensor:
        """The error of each row, ``(n,)``."""
        parts = []
        for part in rows.split(CHUNK):
            centred = part.double() - self.mean
            parts.append((centred - centred @ self.axes @ self.axes.T).square().mean(1))
        return torch.cat(parts)


class NeighbourDistance:
    """Euclidean distance to the k-th nearest training row (Ramaswamy et al. 2000); to the last where there are fewer.

    Args:
        train: ``(n, d)``.
        k: which neighbour, from 1.
    """

    def __init__(self, train: Tensor, k: int = NEIGHBOUR):
        if not len(train) or k < 1:
            raise ValueError(f"neighbour {k} of {len(train)} rows: there is none")
        self.train, self.k = train.double(), min(k, len(train))

    def __call__(self, rows: Tensor) -> Tensor:
        """The distance of each row, ``(n,)``."""
        parts = [torch.cdist(part.double(), self.train).kthvalue(self.k, dim=1).values for part in rows.split(CHUNK)]
        return torch.cat(parts)
