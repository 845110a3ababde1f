"""Metrics of feature vectors, the same for every kind of data that has a feature network."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from sparring.metrics import frechet, memorisation
from sparring.metrics.bins import Bins
from sparring.metrics.birthday import birthday, duplicate_radius
from sparring.metrics.bootstrap import jackknife
from sparring.metrics.inception_score import inception_score
from sparring.metrics.kid import kernel_distance
from sparring.metrics.manifold import manifold
from sparring.metrics.mind import mind
from sparring.metrics.mmd import SIGMA, cmmd, mean_kernel
from sparring.metrics.per_class import per_class
from sparring.metrics.rows import pick, seeded
from sparring.metrics.suite import Measured, Metric, Need, Sample, Sides
from sparring.metrics.vendi import vendi

MOST_PAIRS = 5000  # rows on each side of what looks at all pairs
MOST_BINS = 100
CLASS_DIM = 16
DUPLICATES = 0.01  # share of reals that have a duplicate, by which one is defined
WIDE = 512  # features above which the square roots of covariances take seconds
NORMAL = 1.96  # standard errors to either side of 95 %


def some(features: Tensor, seed: int, count: int = MOST_PAIRS) -> Tensor:
    """At most ``count`` rows, drawn by ``seed``."""
    return features if len(features) <= count else pick(features, count, seeded(seed))


def together(
    statistic: Callable[..., tuple[float, ...]], *samples: Tensor, count: int, seed: int, groups: int = 10
) -> list[Measured]:
    """Jackknife intervals of the ``count`` numbers that one computation gives."""
    found: list[tuple[float, ...]] = []
    measured = []
    for place in range(count):
        calls = itertools.count()

        def one(*rows: Tensor, place: int = place, calls: Iterator[int] = calls) -> float:
            call = next(calls)  # the same rows in the same order each time: they are drawn by the seed
            if call == len(found):
                found.append(statistic(*rows))
            return found[call][place]

        interval = jackknife(one, *samples, groups=groups, seed=seed)
        measured.append(Measured(interval.value, (interval.low, interval.high)))
    return measured


# ---------------------------------------------------------------------- distances


def narrowed(fakes: Tensor, sides: Sides, dim: int | None = None) -> tuple[Tensor, Tensor, str]:
    """Features of samples and reals in as many dimensions as the counts can bear, and the words for it.

    A covariance of d features needs more than d rows. With fewer, both sides are projected on the reals' first
    principal components, a quarter as many as rows, rounded down to a power of two.
    """
    reals = sides.reals.seen.double()
    rows = min(len(fakes), sides.least)
    if dim is None:
        if rows > 2 * reals.shape[1]:
            return fakes.double(), reals, ""
        dim = 2 ** max(0, (rows // 4).bit_length() - 1)
    dim = min(dim, reals.shape[1])
    mean = reals.mean(0)
    axes = torch.linalg.svd(reals - mean, full_matrices=False).Vh[:dim].T
    return (fakes.double() - mean) @ axes, (reals - mean) @ axes, f">pca-{dim}"


def fd(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Fréchet distance, with its bias at these counts."""
    ours, reals, layer = narrowed(fakes.seen, sides)
    of = frechet.Gaussian.of
    groups = 10 if reals.shape[1] <= WIDE else 5
    found = jackknife(lambda a, b: frechet.frechet_distance(of(a), of(b)), ours, reals, groups=groups, seed=sides.seed)
    bias = frechet.bias(of(reals), len(ours), len(reals))
    note = "too few samples for all features: measured on the first principal components" if layer else ""
    return {"FD": Measured(found.value, (max(found.low, 0.0), found.high), bias, note, layer)}


def fd_infinity(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Fréchet distance extrapolated to infinitely many samples."""
    ours, reals, layer = narrowed(fakes.seen, sides)
    smallest = max(2 * ours.shape[1], min(5000, len(ours) // 10))
    if smallest > len(ours) // 2:
        return {}
    reference = frechet.Gaussian.of(reals)
    found = frechet.frechet_infinite(ours, reference, smallest=smallest, seed=sides.seed)
    left = frechet.bias(reference, float("inf"), len(reals))
    return {"FD-infinity": Measured(found.value, None, left, "the bias left is that of the reals", layer)}


def kd(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Kernel distance: KID where the features are Inception's."""
    found = jackknife(kernel_distance, fakes.seen, sides.reals.seen, seed=sides.seed)
    return {"KD": Measured(found.value, (found.low, found.high))}


def mmd(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """With the kernel and the scale of CMMD, whatever the features."""
    ours, reals = (some(side.seen, sides.seed) for side in (fakes, sides.reals))
    found = jackknife(cmmd, ours, reals, seed=sides.seed)
    unit = F.normalize(reals.double())
    bias = 1000 * (1 - mean_kernel(unit, unit, SIGMA)) * (1 / len(ours) + 1 / len(reals))
    return {"MMD": Measured(found.value, (max(found.low, 0.0), found.high), bias)}


def sliced(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """MIND: sorted projections of the features compared."""
    ours, reals = (some(side.seen, sides.seed) for side in (fakes, sides.reals))
    found = jackknife(partial(mind, directions=200, seed=sides.seed), ours, reals, seed=sides.seed)
    return {"MIND": Measured(found.value, (max(found.low, 0.0), found.high))}


def class_score(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Inception score where the classes are Inception's; a class score elsewhere."""
    assert fakes.logits is not None
    found = inception_score(fakes.logits, seed=sides.seed)
    reach = 2.26 * found.deviation / (found.splits - 1) ** 0.5  # t of 9 degrees of freedom: the splits are disjoint
    return {"IS": Measured(found.value, (found.value - reach, found.value + reach))}


# ---------------------------------------------------------------------- fidelity and variety


def neighbourhoods(names: tuple[str, str], k: int, most: float, fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Two of precision, recall, density and coverage, as ``names`` says, from balls of ``k`` neighbours."""
    ours, reals = (some(side.seen, sides.seed) for side in (fakes, sides.reals))

    def both(a: Tensor, b: Tensor) -> tuple[float, float]:
        found = manifold(a, b, k)
        return getattr(found, names[0]), getattr(found, names[1])

    found = together(both, ours, reals, count=2, seed=sides.seed)
    return {name: _within(measured, most) for name, measured in zip(names, found, strict=True)}


def _within(measured: Measured, most: float) -> Measured:
    """The interval cut to what the metric can be, 0 to ``most``."""
    low, high = measured.interval or (0.0, most)
    return replace(measured, interval=(max(low, 0.0), min(high, most)))


def variety(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Vendi score: how many samples of no likeness to one another these are worth."""
    count = min(len(fakes), sides.least)
    found = jackknife(vendi, some(fakes.seen, sides.seed, count), seed=sides.seed)
    return {"Vendi": Measured(found.value, (found.low, found.high))}


def bins(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """NDB and JS over clusters of the reals."""
    reals = sides.reals.seen
    cells = Bins.of(reals, max(2, min(MOST_BINS, sides.least // 10)), sides.seed)
    whole = cells.check(fakes.seen)
    js = jackknife(lambda rows: cells.check(rows).js, fakes.seen, seed=sides.seed)
    bias = len(cells.counts) / 8 * (1 / len(reals) + 1 / len(fakes))
    return {
        "NDB": Measured(whole.ndb, None, 0.05, f"of {len(cells.counts)} bins; 0.05 is chance"),
        "JS": Measured(js.value, (max(js.low, 0.0), js.high), bias),
    }


def support(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Birthday paradox: how many different pictures there seem to be."""
    radius = duplicate_radius(some(sides.reals.seen, sides.seed, min(MOST_PAIRS, sides.least)), DUPLICATES)
    count = min(len(fakes), sides.least)
    found = birthday(some(fakes.seen, sides.seed, min(count, MOST_PAIRS)), radius, orders=1, seed=sides.seed)
    if not found.pairs:
        return {"birthday support": Measured(found.low, None, note="no duplicate was found: at least so many")}
    return {"birthday support": Measured(found.effective, (found.low, found.high))}


# ---------------------------------------------------------------------- memorisation


def authentic(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Share of samples nearer to no training picture than that is to its own neighbour."""
    assert sides.train is not None
    share = memorisation.authenticity(some(fakes.seen, sides.seed), some(sides.train.seen, sides.seed))
    reach = NORMAL * (share * (1 - share) / min(len(fakes), MOST_PAIRS)) ** 0.5
    return {"authenticity": Measured(share, (max(0.0, share - reach), min(1.0, share + reach)))}


def copied(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """NN ratio and C_T: are samples nearer to the training pictures than held-out ones are?"""
    assert sides.train is not None
    ours, train, held_out = (some(side.seen, sides.seed) for side in (fakes, sides.train, sides.reals))
    ratio = jackknife(partial(memorisation.neighbour_ratio, seed=sides.seed), ours, train, held_out, seed=sides.seed)
    found = {"NN ratio": Measured(ratio.value, (ratio.low, ratio.high))}
    if len(train) >= 60 and len(ours) > 60:
        z = memorisation.copying(ours, train, held_out, seed=sides.seed)
        found["C_T"] = Measured(z, (z - NORMAL, z + NORMAL), note="a z-score: below -3 is copying")
    return found


def fd_gap(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Fréchet distance to held-out reals less that to training ones."""
    assert sides.train is not None
    ours, held_out, layer = narrowed(fakes.seen, sides)
    train = narrowed(sides.train.seen, sides, ours.shape[1])[0] if layer else sides.train.seen.double()
    gap = jackknife(
        lambda a, b, c: memorisation.frechet_gap(a, b, c, sides.seed).gap, ours, train, held_out, seed=sides.seed
    )
    return {"FD gap": Measured(gap.value, (gap.low, gap.high), note="FD to held-out less FD to training", layer=layer)}


# ---------------------------------------------------------------------- by class


def by_class(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Class hit, Fréchet distance and spread class by class."""
    assert fakes.logits is not None
    assert fakes.labels is not None
    assert sides.reals.labels is not None
    hits = float((fakes.logits.argmax(1) == fakes.labels).double().mean())
    reach = NORMAL * (hits * (1 - hits) / len(fakes)) ** 0.5
    ours, reals, layer = narrowed(fakes.seen, sides, CLASS_DIM)
    of = frechet.Gaussian.of
    distances = per_class(
        lambda a, b: frechet.frechet_distance(of(a), of(b)),
        ours,
        fakes.labels,
        reals,
        sides.reals.labels,
        at_least=2 * CLASS_DIM,
    )
    spreads = per_class(_spread, ours, fakes.labels, reals, sides.reals.labels, at_least=2 * CLASS_DIM)
    found = {"class hit": Measured(hits, (hits - reach, hits + reach))}
    known = {label: value for label, value in distances.items() if value is not None}
    if known:
        worst = max(known, key=lambda label: known[label])
        ratios = torch.tensor([value for value in spreads.values() if value is not None])
        found |= {
            "FD by class, mean": Measured(sum(known.values()) / len(known), layer=layer),
            "FD by class, worst": Measured(known[worst], note=f"class number {worst}", layer=layer),
            "spread within classes": Measured(float(ratios.mean()), layer=layer),
        }
    return found


def _spread(fakes: Tensor, reals: Tensor) -> float:
    """How far samples of a class lie from its middle, over how far reals do: 1 when varied alike, 0 when collapsed."""
    inner, outer = (float((side - side.mean(0)).square().sum(1).mean().sqrt()) for side in (fakes, reals))
    return inner / outer if outer > 0 else 0.0


FEATURES: frozenset[Need] = frozenset({"features"})
TRAIN: frozenset[Need] = frozenset({"features", "train"})
HELD_OUT: frozenset[Need] = TRAIN | {"held-out"}

METRICS: tuple[Metric, ...] = (
    Metric("fd", {"FD": "lower"}, fd, FEATURES),
    Metric("fd-infinity", {"FD-infinity": "lower"}, fd_infinity, FEATURES, parameters={"points": 15}),
    Metric("kid", {"KD": "lower"}, kd, FEATURES, parameters={"kernel": "cubic", "rows": "all"}),
    Metric("cmmd", {"MMD": "lower"}, mmd, FEATURES, parameters={"sigma": SIGMA, "rows": MOST_PAIRS}, slow=True),
    Metric("mind", {"MIND": "lower"}, sliced, FEATURES, parameters={"directions": 200, "rows": MOST_PAIRS}),
    Metric("is", {"IS": "higher"}, class_score, FEATURES | {"logits"}, parameters={"splits": 10}),
    Metric(
        "precision",
        {"precision": "higher", "recall": "higher"},
        partial(neighbourhoods, ("precision", "recall"), 3, 1.0),
        FEATURES,
        parameters={"k": 3, "rows": MOST_PAIRS},
    ),
    Metric(
        "density",
        {"density": "nearer", "coverage": "higher"},
        partial(neighbourhoods, ("density", "coverage"), 5, math.inf),
        FEATURES,
        parameters={"k": 5, "rows": MOST_PAIRS},
    ),
    Metric("vendi", {"Vendi": "nearer"}, variety, FEATURES, parameters={"kernel": "cosine"}),
    Metric("bins", {"NDB": "lower", "JS": "lower"}, bins, FEATURES, parameters={"bins": MOST_BINS, "alpha": 0.05}),
    Metric("birthday", {"birthday support": "nearer"}, support, FEATURES, parameters={"duplicates": DUPLICATES}),
    Metric(
        "authenticity", {"authenticity": "nearer"}, authentic, TRAIN, parameters={"rows": MOST_PAIRS}, null="held-out"
    ),
    Metric(
        "copying",
        {"NN ratio": "nearer", "C_T": "nearer"},
        copied,
        HELD_OUT,
        parameters={"rows": MOST_PAIRS, "cells": 3},
        null="held-out",
    ),
    Metric("fd-gap", {"FD gap": "nearer"}, fd_gap, HELD_OUT, null="held-out"),
    Metric(
        "classes",
        {
            "class hit": "higher",
            "FD by class, mean": "lower",
            "FD by class, worst": "lower",
            "spread within classes": "nearer",
        },
        by_class,
        frozenset({"features", "labels"}),
    ),
)
