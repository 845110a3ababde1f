"""Measuring a set of metrics, each beside what real data scores on it.

A kind of data names its metrics in a module of its own, ``sparring.metrics.sets.<modality>``: a tuple ``METRICS``, and
``CHEAP``, the keys of those that are worth their time while training.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor

from sparring.core.errors import SparringError, did_you_mean
from sparring.core.game import Game
from sparring.core.spec import DataSpec
from sparring.metrics.protocol import Better, Plain, Protocol, Score

Need = Literal[
    "features", "logits", "labels", "asked", "train", "held-out", "16 pixels", "game", "targets", "enlarged", "maps"
]
LEAST = 10  # samples below which no metric means anything

WHY_NOT: dict[Need, str] = {
    "features": "a feature network",
    "logits": "a feature network with classes",
    "labels": "samples made by class, reals with labels, and a feature network with classes",
    "asked": "samples made by class, and labels of all reals",
    "train": "to know the training data",
    "16 pixels": "pictures of 16 pixels a side or more",
    "held-out": "real data that training never saw: --data.held-out when training, test files, or --data",
    "game": "a run, whose generator it walks through",
    "targets": "a run that makes pictures from pictures, and pairs that say what each should be",
    "enlarged": "a run that makes pictures larger",
    "maps": "a run that makes pictures from label maps with --data.palette, and its training data",
}


@dataclass(frozen=True)
class Sample:
    """One side of a comparison, looked at once.

    Attributes:
        images: uint8 ``(n, c, h, w)``, or values ``(n, d)`` of another kind of data.
        features: float ``(n, d)``, or None without a feature network.
        logits: float ``(n, classes)`` of that network where it has classes.
        labels: int64 ``(n,)``: of reals their class, of samples the class asked for; None without.
        game: the generator that they were drawn from, in evaluation mode; None of files and of reals.
        targets: what each picture should be, where that is known: uint8, uint16 where data has more than 8 bits.
        exact: the pictures of that type.
        scale: how many times larger they are than what they were made from.
        given: that, uint8, where they are larger.
        maps: class numbers ``(n, h, w)`` of the label maps that they were made from, or belong to.
    """

    images: Tensor
    features: Tensor | None = None
    logits: Tensor | None = None
    labels: Tensor | None = None
    game: Game | None = None
    targets: Tensor | None = None
    exact: Tensor | None = None
    scale: int = 1
    given: Tensor | None = None
    maps: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def seen(self) -> Tensor:
        """The features. Raises `SparringError` where there are none."""
        if self.features is None:
            raise SparringError("this metric needs a feature network; name one with --extractor")
        return self.features

    def take(self, indices: Tensor) -> "Sample":
        """The samples of those numbers."""

        def some(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor[indices]

        return Sample(self.images[indices], some(self.features), some(self.logits), some(self.labels))


@dataclass(frozen=True)
class Sides:
    """What samples are compared with.

    Attributes:
        reals: the reference.
        null: two sets of reals without a sample in common; the first plays the samples in real-vs-real numbers.
        null_words: what those two are, for people.
        train: what the generator learnt from, where that is known; of much of it a part.
        held_out: whether training never saw ``reals``.
        own_classes: whether the feature network's classes are those of the labels.
        seed: of the metrics' own random choices.
        spec: of all of them, where a metric cannot read samples without it, as those of tables cannot.
        palette: of the label maps that pictures are made from, the colour of each class.
        learnt: all that the generator learnt from, where that is in memory.
        overlap: how many of ``reals`` that follow one share steps of time with it, where these are windows of series.
    """

    reals: Sample
    null: tuple[Sample, Sample]
    null_words: str
    train: Sample | None
    held_out: bool
    own_classes: bool = False
    seed: int = 0
    spec: DataSpec | None = None
    palette: tuple[str, ...] = ()
    learnt: Sample | None = None
    overlap: int = 0

    @property
    def least(self) -> int:
        """The smallest number of reals on any side: what a metric's dimension must stay well below."""
        return min(len(side) for side in (self.reals, *self.null))

    @property
    def of_null(self) -> "Sides":
        """What the reals of `null` that play the samples are compared with."""
        return replace(self, reals=self.null[1])

    def available(self, fakes: Sample) -> set[Need]:
        """What metrics can be measured with."""
        found: set[Need] = set()
        if self.reals.features is not None:
            found.add("features")
        if self.reals.logits is not None:
            found.add("logits")
            if self.own_classes and fakes.labels is not None and self.reals.labels is not None:
                found.add("labels")
        if self.reals.images.ndim == 4 and min(self.reals.images.shape[2:]) >= 16:
            found.add("16 pixels")
        if self.train is not None:
            found.add("train")
            if self.held_out:
                found.add("held-out")
            if not any(side.labels is None for side in (fakes, self.reals, self.train)):
                found.add("asked")
        if fakes.game is not None:
            found.add("game")
        if fakes.targets is not None:
            found.add("targets")
        if fakes.given is not None and fakes.given.shape[1] == fakes.images.shape[1]:
            found.add("enlarged")
        if fakes.maps is not None and self.train is not None and self.train.maps is not None:
            found.add("maps")
        return found


@dataclass(frozen=True)
class Look:
    """A network that a metric brings along, as `Protocol` names the feature network."""

    extractor: str
    digest: str
    preprocessing: str
    layer: str


@dataclass(frozen=True)
class Measured:
    """What a metric says of one set of samples; see `Score` for the meaning."""

    value: float
    interval: tuple[float, float] | None = None
    bias: float = 0.0
    note: str = ""
    layer: str = ""  # where features were not taken as they are: added to the protocol's layer
    real_vs_real: float | None = None  # of a metric whose null is its own
    null: str = ""  # and which reals those were, in words
    look: Look | None = None


@dataclass(frozen=True)
class Metric:
    """A measurement that gives one number, or a few that cost no more than one.

    Attributes:
        key: what ``--metrics`` takes.
        numbers: by the name that `Protocol.metric` has, which way is good.
        measure: ``measure(samples, sides)`` gives each number by name; one that cannot be had may be left out.
        needs: without these it is left out.
        looks: ``features`` where the feature network is part of the protocol, ``pixels`` where it is not.
        parameters: what else the protocol must say.
        null: which reals play the samples in the real-vs-real number: ``reals``, those of `Sides.null`; ``held-out``,
            one half of the reference while the other stays the reference, where training saw neither; ``own``, those
            that the metric chooses, or none.
        slow: only measured when named.
    """

    key: str
    numbers: Mapping[str, Better]
    measure: Callable[[Sample, Sides], dict[str, Measured]]
    needs: frozenset[Need] = frozenset()
    looks: Literal["features", "pixels"] = "features"
    parameters: Mapping[str, Plain] = field(default_factory=dict)
    null: Literal["reals", "held-out", "own"] = "reals"
    slow: bool = False


def metric_set(modality: str) -> ModuleType:
    """The metrics of a kind of data. Raises `SparringError` where there are none yet."""
    try:
        return importlib.import_module(f"sparring.metrics.sets.{modality}")
    except ModuleNotFoundError:
        raise SparringError(
            f"there are no metrics for {modality} data yet: look at its samples with `sparring sample`, and train "
            "without --eval.every"
        ) from None


def choose(metrics: Sequence[Metric], asked: Sequence[str], available: set[Need]) -> tuple[list[Metric], list[str]]:
    """What to measure, and why the rest is left out, a sentence each.

    Raises:
        SparringError: when a metric is asked for by name that there is not, or that cannot be measured here.
    """
    known = {metric.key: metric for metric in metrics}
    for key in asked:
        if key not in known:
            raise SparringError(f"there is no metric '{key}'{did_you_mean(key, known)}")
    chosen, left_out = [], []
    for metric in metrics:
        if metric.key not in asked and (asked or metric.slow):
            continue
        missing = [WHY_NOT[need] for need in sorted(metric.needs - available)]
        if missing and asked:
            raise SparringError(f"the metric '{metric.key}' needs {' and '.join(missing)}")
        if missing:
            left_out.append(f"{', '.join(metric.numbers)}: left out, needs {' and '.join(missing)}")
        else:
            chosen.append(metric)
    return chosen, left_out


def measure(
    metrics: Sequence[Metric],
    fakes: Sample,
    sides: Sides,
    protocol: Protocol,
    strict: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[list[Score], list[str]]:
    """Each metric of ``fakes``, and of reals beside it; and what could not be measured, a sentence each.

    Args:
        strict: raise for a metric that cannot be measured, instead of leaving it out.
        protocol: of a metric of features; the metric's own name and parameters are filled in.
        progress: called as ``progress("measure", done, total)``.

    Raises:
        SparringError: for too few samples, samples that are all alike, and values that are not finite.
    """
    for name, side in (("samples", fakes), ("reals", sides.reals), *(("control reals", side) for side in sides.null)):
        check(side, name)
    scores: list[Score] = []
    left_out: list[str] = []
    for done, metric in enumerate(metrics):
        if progress:
            progress("measure", done, len(metrics))
        try:
            scores += _scores(metric, fakes, sides, protocol)
        except (ValueError, SparringError) as error:
            if strict:
                raise SparringError(f"the metric '{metric.key}' cannot be measured here: {error}") from None
            left_out.append(f"{', '.join(metric.numbers)}: left out, {error}")
    if progress:
        progress("measure", len(metrics), len(metrics))
    return scores, left_out


def _scores(metric: Metric, fakes: Sample, sides: Sides, protocol: Protocol) -> list[Score]:
    ours, theirs, words = metric.measure(fakes, sides), dict[str, Measured](), ""
    if metric.null == "reals":
        theirs, words = metric.measure(sides.null[0], sides.of_null), sides.null_words
    elif metric.null == "held-out" and sides.held_out:
        one, other = halves(sides.reals, sides.seed)
        theirs, words = metric.measure(one, replace(sides, reals=other)), "one half of the held-out reals"
    alike = {name for name, found in theirs.items() if name in ours and found.layer == ours[name].layer}
    said = replace(protocol, parameters=tuple(metric.parameters.items()))
    if metric.looks == "pixels":
        said = replace(said, extractor="", digest="", preprocessing="", layer="")
    return [
        Score(
            value=found.value,
            protocol=replace(
                said,
                metric=name,
                **(asdict(found.look) if found.look else {"layer": said.layer + found.layer}),
            ),
            better=metric.numbers[name],
            interval=found.interval,
            real_vs_real=theirs[name].value if name in alike else found.real_vs_real,
            null=words if name in alike else found.null,
            bias=found.bias,
            note=found.note,
        )
        for name, found in ours.items()
    ]


def check(side: Sample, name: str) -> None:
    """Raise `SparringError` where nothing measured on ``side`` would mean anything."""
    if len(side) < LEAST:
        raise SparringError(f"{len(side)} {name} are too few to measure anything; give {LEAST} or more")
    if bool((side.images == side.images[:1]).all()):
        raise SparringError(f"all {len(side):,} {name} are one and the same; there is nothing to measure")
    for what, values in (("samples", side.images), ("features", side.features), ("logits", side.logits)):
        if values is not None and values.is_floating_point() and not bool(values.isfinite().all()):
            bad = int((~values.isfinite()).flatten(1).any(1).sum())
            raise SparringError(
                f"the {what} of {bad:,} of {len(side):,} {name} are not finite; a network that overflowed, or a "
                "damaged feature network, makes such"
            )


def halves(sample: Sample, seed: int) -> tuple[Sample, Sample]:
    """Two disjoint halves, drawn by ``seed``."""
    order = torch.randperm(len(sample), generator=torch.Generator().manual_seed(seed))
    middle = len(sample) // 2
    return sample.take(order[:middle].sort().values), sample.take(order[middle:].sort().values)
