"""What is measured of series: values, shape in time, channels together, and what networks trained afterwards say."""

from statistics import mean, stdev

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.core.series import Series
from sparring.core.steps import decode, split
from sparring.metrics.series import judges, statistics
from sparring.metrics.suite import Measured, Metric, Sample, Sides
from sparring.metrics.tables.marginals import column_shapes

MOST_COMPARED = 1000  # samples and held-out series of which all pairs with those learnt from count
MOST_TRAINED = 10_000  # of these, at most


def series_of(sides: Sides) -> Series:
    """What the rows of samples are."""
    assert sides.spec is not None
    assert sides.spec.series is not None
    return sides.spec.series


def values_of(side: Sample, series: Series) -> NDArray[np.float64]:
    """Channels in [-1, 1], ``(n, channels, length)``, NaN after the end."""
    channels, there, _ = split(side.images, series)
    return np.where(there[:, None].numpy(), channels.double().numpy(), np.nan)


def likeness(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Distances of what can be computed, and the mean of them."""
    series = series_of(sides)
    ours, reals = values_of(fakes, series), values_of(sides.reals, series)
    apart = statistics.marginal_ks(reals, ours)
    worst = int(apart.argmax())
    found = {
        "marginal KS": Measured(
            float(apart.mean()), note=f"the worst is {series.channels[worst].name}, {apart[worst]:.3f}"
        ),
        "ACF distance": Measured(statistics.autocorrelation_distance(reals, ours)),
    }
    if len(series.channels) > 1:
        found["cross-correlation distance"] = Measured(statistics.correlation_distance(reals, ours))
    if series.flags:
        found["length KS"] = Measured(statistics.length_ks(reals, ours))
    if series.attributes:
        shapes = column_shapes(*(decode(side.images, series).attributes for side in (sides.reals, fakes)))
        found["attribute distance"] = Measured(1 - mean(shapes.values()))
    return {"series distance": Measured(mean(part.value for part in found.values())), **found}


def told_apart(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """By a GRU, and by boosted trees on summaries."""
    series = series_of(sides)
    count = min(len(fakes), len(sides.reals))
    real, fake = (judges.evenly(side.images, count) for side in (sides.reals, fakes))
    overlap = -(-sides.overlap * count // len(sides.reals))  # fewer of them, as far apart as they are then
    lengths = split(real, series)[1].sum(1), split(fake, series)[1].sum(1)
    scores = judges.discriminate(real, fake, lengths, overlap, sides.seed)
    ours, theirs = (statistics.summaries(values_of(Sample(side), series)) for side in (real, fake))
    return {
        "discriminative score": Measured(mean(scores), note=spread(scores)),
        "discriminative score of trees": Measured(judges.discriminate_by_trees(ours, theirs, overlap, sides.seed)),
    }


def spread(scores: list[float]) -> str:
    """``mean of 3 networks, standard deviation 0.012``."""
    return f"mean of {len(scores)} networks, standard deviation {stdev(scores) if len(scores) > 1 else 0:.3f}"


def teaching(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """What a network that learnt from samples makes of held-out series; beside it stands one that learnt from reals."""
    series = series_of(sides)
    lesson, exam, channels = fakes.images, sides.reals.images, len(series.channels)
    told, there = split(lesson, series)[1], split(exam, series)[1]
    scores = judges.predict(lesson, exam, channels, there, told, sides.seed)
    still = judges.persistence(exam, channels, there)
    note = f"{spread(scores)}; saying that nothing changes scores {still:.4f}"
    return {"predictive score": Measured(mean(scores), note=note)}


def copying(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Median distance of samples to the nearest series learnt from, over that of held-out series: 0 of copies.

    To ask which side a sample is nearer to would not do: held-out windows of a few blocks are less varied than as many
    windows from all of the time, and so anything is nearer to the latter.
    """
    assert sides.train is not None
    train, *others = (
        judges.evenly(images, min(len(images), most)).flatten(1).double()
        for images, most in (
            (sides.train.images, MOST_TRAINED),
            *((images, MOST_COMPARED) for images in (fakes.images, sides.reals.images)),
        )
    )
    ours, theirs = (float(torch.cdist(side, train).amin(1).median()) for side in others)
    if theirs == 0:
        raise ValueError("most held-out series equal one that was learnt from")
    return {"NN ratio": Measured(ours / theirs, real_vs_real=1.0, null="1 of held-out series, by definition")}


LIKENESS = (
    *("series distance", "marginal KS", "ACF distance", "cross-correlation distance"),
    *("length KS", "attribute distance"),
)
NETWORK = {"iterations": judges.ITERATIONS, "batch": judges.BATCH, "runs": judges.RUNS}
METRICS: tuple[Metric, ...] = (
    Metric("likeness", dict.fromkeys(LIKENESS, "lower"), likeness, looks="pixels"),
    Metric(
        "discriminative",
        {"discriminative score": "lower", "discriminative score of trees": "lower"},
        told_apart,
        looks="pixels",
        parameters={**NETWORK, "test blocks": "3rd and 8th of ten, apart by a window"},
    ),
    Metric(
        "predictive",
        {"predictive score": "lower"},
        teaching,
        frozenset({"train", "held-out"}),
        looks="pixels",
        parameters={**NETWORK, "error": "next step, all channels, ranges of 1"},
    ),
    Metric(
        "copies",
        {"NN ratio": "nearer"},
        copying,
        frozenset({"train", "held-out"}),
        looks="pixels",
        parameters={"series": MOST_COMPARED, "learnt from": MOST_TRAINED},
        null="own",
    ),
)
CHEAP = ("likeness",)
BEST_BY = "series distance"
