"""What is so of a run, in numbers, and which failures that means; never from the referee's readings."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.metrics.frechet import Gaussian, frechet_distance
from sparring.metrics.rows import neighbours

EXACT = 0.002  # root mean square distance, of values in [-1, 1], below which a sample is a copy


@dataclass(frozen=True)
class Truth:
    """What is so, of one run. Numbers that have no meaning there are NaN.

    Attributes:
        nimg: images shown at the newest state.
        finished: whether the run came to its end.
        troubles: events of gradients that were not finite.
        missing: modes or classes with less than a twentieth (points) or a quarter (classes) of their fair share.
        of: how many there are.
        clean: share of samples within 3 sigma of a mode; of pictures, how sure the classifier is, over that of reals.
        diversity: mean distance between samples over that between reals, 0 and up.
        within: the same between samples of one class (asked for, else recognised), the mean over classes.
        hit: share of samples recognised as the class asked for.
        copies: share of samples that are training rows, to `EXACT`.
        distance: Fréchet distance to reals in points or 16 principal components, over the reals' variance.
        auc: probability that D scores a real above a sample of the live weights.
        train_auc: probability that D scores a training row above a held-out one.
        gradient: mean length of the gradient of G's loss at a sample, times how many there are.
        loudest: largest absolute score of D.
        net_path: net over total path of fixed-seed samples through the states of the run's second half, mean of both.
        stride: their mean way from one state to the next, over the mean distance between reals.
        growth: largest factor between the top singular values of a weight matrix in the newest and the first state.
        moved: distance of D's weights between first and newest state, over their length.
    """

    nimg: int
    finished: bool
    troubles: int
    missing: int
    of: int
    clean: float
    diversity: float
    within: float
    hit: float
    copies: float
    distance: float
    auc: float
    train_auc: float
    gradient: float
    loudest: float
    net_path: float
    stride: float
    growth: float
    moved: float


def auc(first: Tensor, second: Tensor) -> float:
    """Probability that a number of ``first`` lies above one of ``second``; ties count one half."""
    ordered, first = second.flatten().sort().values, first.flatten().contiguous()
    below, up_to = torch.searchsorted(ordered, first), torch.searchsorted(ordered, first, right=True)
    return float((below + up_to).double().mean()) / (2 * len(ordered))


def net_over_path(places: Tensor) -> float:
    """``(times, n, d)``: how far each of n went in all over the way it took, the mean; 1 is straight, 0 is circles."""
    steps = (places[1:] - places[:-1]).norm(dim=2).sum(0)
    net = (places[-1] - places[0]).norm(dim=1)
    return float((net / steps.clamp_min(1e-12)).mean())


def copied(samples: Tensor, rows: Tensor) -> float:
    """Share of ``samples`` within `EXACT` of one of ``rows``, root mean square; each ``(n, ...)``."""
    flat = samples.flatten(1).float()
    squares, _ = neighbours(flat, rows.flatten(1).float())
    return float((squares[:, 0] < EXACT**2 * flat.shape[1]).double().mean())


def top_singular(state: Mapping[str, Tensor]) -> dict[str, float]:
    """The largest singular value of each weight matrix (a convolution's as ``(out, rest)``), by name."""
    matrices = {k: v for k, v in state.items() if v.is_floating_point() and v.dim() > 1 and "rows" not in k}
    return {k: float(torch.linalg.matrix_norm(v.flatten(1).double(), 2)) for k, v in matrices.items()}


def weights_of(state: Mapping[str, Tensor], prefix: str) -> Tensor:
    """Every number of the parts whose names begin so, in the order of the names."""
    names = [name for name in sorted(state) if name.startswith(prefix) and state[name].is_floating_point()]
    return torch.cat([state[name].flatten() for name in names])


class Features:
    """Points as they are, pictures in the 16 first principal components of the reals."""

    def __init__(self, reals: Tensor):
        flat = reals.flatten(1).double()
        self.mean = flat.mean(0)
        self.axes = torch.linalg.svd(flat - self.mean, full_matrices=False)[2][:16]
        self.of_reals = Gaussian.of((flat - self.mean) @ self.axes.T)

    def distance(self, samples: Tensor) -> float:
        """Fréchet distance to the reals over their variance: that of one sample alone, the reals' mean, is 1."""
        found = Gaussian.of((samples.flatten(1).double() - self.mean) @ self.axes.T)
        return frechet_distance(found, self.of_reals) / float(self.of_reals.covariance.trace())


# ---------------------------------------------------------------------- what that means


def so(truth: Truth) -> frozenset[str]:
    """The kinds of failure that a run shows, as they are defined here, independently of any rule's thresholds."""
    collapsed = truth.diversity < 0.4 or truth.within < 0.4  # nothing is below NaN, which stands for no meaning
    far = truth.distance > 0.3
    found = {
        "non_finite": truth.troubles > 0,
        "divergence": truth.loudest > 100  # e^-88 is float32's least: a cross-entropy is past any certainty
        or truth.diversity > 2,
        "vanishing_gradient": truth.gradient < 1e-3 and truth.auc > 0.98,
        "dead_discriminator": truth.moved < 1e-3 and far,
        "collapse": collapsed,
        "dropped_modes": truth.missing > 0 and not collapsed,
        "memorisation": truth.copies > 0.5,
        "discriminator_overfitting": truth.train_auc > 0.75,
        "oscillation": truth.net_path < 0.25 and truth.stride > 0.6 and far,
        "spectral_explosion": truth.growth > 10,
        "weak_discriminator": truth.auc < 0.55 and far,
        "strong_discriminator": truth.auc > 0.98 and far,
        "class_confusion": truth.hit < 0.5,
    }
    return frozenset(name for name, true in found.items() if true)


HARMLESS = frozenset({"spectral_explosion"})  # weights may grow while samples are good


def healthy(truth: Truth, facts: frozenset[str]) -> bool:
    """Whether nothing is wrong and the samples show it: near the data, nothing missing, no class uniform."""
    good = truth.finished and truth.missing == 0 and truth.distance < 0.3 and 0.7 < truth.diversity < 1.3
    return good and not facts - HARMLESS and not truth.within < 0.6 and not truth.hit < 0.75
