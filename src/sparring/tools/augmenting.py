"""``sparring augment RUN --study``: do samples of a run help a classifier, or would something cheaper help more?

Samples alone are the classification accuracy score of Ravuri and Vinyals 2019 (arXiv 1905.10887), samples beside reals
their naive augmentation score. Every classifier takes the same number of updates. How much is mixed in, and which arm
is looked at in the end, is chosen on the validation side; the test side only marks.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch

from sparring.core.errors import SparringError
from sparring.data.parallel import Progress
from sparring.metrics.pupils import How
from sparring.metrics.study import MARGIN, Marks, Mean, Verdict, marks, paired, verdict
from sparring.tools.exams import Leak, Sides, leak, sides_of
from sparring.tools.lessons import Part, missing_of
from sparring.tools.run import Run

RATIOS = (0.25, 0.5, 1.0, 2.0)
FEWEST_SEEDS, ENOUGH_SEEDS = 2, 5
FEWEST_UPDATES = 10  # fewer leave the one-cycle rate no room to rise and fall
APART = 1_000_000_000  # the sample seeds of one classifier seed from those of the next
REAL, ONLY, EVENED = "real only", "synthetic only", "real + synthetic, rare classes filled up"

Kind = Literal["base", "without", "alone", "with"]
Score = Literal["balanced_accuracy", "macro_f1", "auroc"]


@dataclass(frozen=True)
class Arm:
    """One way to teach.

    Attributes:
        name: for people.
        kind: ``base`` is real data only, ``without`` is what can be done without a generator, ``alone`` is samples
            only, ``with`` is real data and samples.
        lesson: samples in the lesson, real and made.
        validation: balanced accuracy there, of each seed.
        test: marks of the test side, of each seed.
    """

    name: str
    kind: Kind
    lesson: int
    validation: tuple[float, ...]
    test: tuple[Marks, ...]

    def values(self, score: Score) -> list[float]:
        """A score of each seed."""
        return [float(getattr(one, score)) for one in self.test]

    def recall(self, label: int) -> float:
        """Mean over seeds of one class's recall."""
        return math.fsum(one.recalls[label] for one in self.test) / len(self.test)


@dataclass(frozen=True)
class Study:
    """What came out.

    Attributes:
        arms: all of them, real only first.
        classes: their names.
        counts: training samples of each.
        validation, test: how many there are.
        updates, unit: what each classifier took.
        leak: whether samples know the test side.
        notes: where the sides come from, and what could not be done.
    """

    arms: tuple[Arm, ...]
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    validation: int
    test: int
    updates: int
    unit: str
    leak: Leak
    notes: tuple[str, ...] = field(default=())

    def best(self, kind: Kind) -> Arm | None:
        """The arm of a kind that is best on the validation side; the first of equals. None where there is none."""
        return max((arm for arm in self.arms if arm.kind == kind), key=lambda arm: sum(arm.validation), default=None)

    def gain(self, arm: Arm, over: Arm | None = None, score: Score = "balanced_accuracy") -> Mean:
        """How much better than ``over`` (real only), paired by seed, on the test side."""
        return paired(arm.values(score), (over or self.arms[0]).values(score))

    def verdict(self) -> tuple[Verdict, str]:
        """Of the arm with samples that was chosen on the validation side, in a word and in plain sentences."""
        chosen, rival = self.best("with"), self.best("without")
        if chosen is None:
            return "cannot tell", "No arm with synthetic data could be taught; the notes say why."
        gain = self.gain(chosen)
        word = verdict(gain)
        text = (
            f"{SENTENCES[word]} With the arm that validation chose ({chosen.name}) balanced accuracy on the test side "
            f"moves by {points(gain)} against real data only ({gain.count} seeds, paired)."
        )
        if rival is not None:
            against = self.gain(chosen, rival)
            text += f" Against {rival.name}, the best without a generator, it is {points(against)}: {_beside(against)}."
        if self.leak.suspicious:
            text += " Samples lie nearer to the test side than chance allows: something may have leaked."
        return word, text

    def plain(self) -> dict[str, Any]:
        """As JSON has it, the verdict among it."""
        word, text = self.verdict()
        return {**_strict(asdict(self)), "verdict": word, "sentence": text}


def _strict(value: Any) -> Any:
    """None for NaN, which JSON has not."""
    if isinstance(value, dict):
        return {name: _strict(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


SENTENCES: Mapping[Verdict, str] = {
    "helps": "Synthetic data helps here.",
    "does not help": f"Synthetic data does not help here: a gain of more than {100 * MARGIN:g} point is excluded.",
    "harms": "Synthetic data harms here.",
    "cannot tell": "Whether synthetic data helps here, these seeds cannot tell.",
}


def points(mean: Mean) -> str:
    """``+1.2 points [+0.3, +2.1]`` of a difference of shares."""
    return f"{100 * mean.value:+.1f} points [{100 * mean.low:+.1f}, {100 * mean.high:+.1f}]"


def _beside(against: Mean) -> str:
    if against.low > 0:
        return "better"
    return "worse" if against.high < 0 else "no difference can be told"


def study(
    run: Run,
    validation: str | None = None,
    test: str | None = None,
    seeds: int = 5,
    updates: int | None = None,
    progress: Progress | None = None,
) -> Study:
    """Teach a classifier in every arm with every seed, and mark it.

    Args:
        run: a run by class on pictures, or on a table with a target; it knows its training data.
        validation: real data to choose on; left out, what the run held out or half of it, else half of the test data.
        test: real data to test on; left out, the data's test files, else half of what the run held out.
        seeds: classifiers an arm, each with samples of its own; five or more for an answer worth telling.
        updates: steps or rounds of each classifier; None: 400 steps, 100 rounds.

    Raises:
        SparringError: where no study can be made of this run; see `sides_of`.
    """
    if seeds < FEWEST_SEEDS:
        raise SparringError(
            f"a study needs {FEWEST_SEEDS} seeds or more, or nobody knows how much is chance; got {seeds}"
        )
    if updates is not None and updates < FEWEST_UPDATES:
        raise SparringError(f"classifiers take {FEWEST_UPDATES} updates or more; got {updates}")
    sides = sides_of(run, validation, test, updates, progress)
    material, notes = sides.material, list(sides.notes)
    if seeds < ENOUGH_SEEDS:
        notes.append(f"{seeds} seeds are few: an answer worth telling needs {ENOUGH_SEEDS} or more")
    found: dict[str, tuple[Kind, int, list[float], list[Marks]]] = {}
    near: Leak | None = None
    total, done = seeds * (len(RATIOS) + 6), 0
    for seed in range(seeds):
        for name, kind, how, lesson in _lessons(sides, seed, notes):
            predict = material.pupil.learn(lesson.x, lesson.y, len(material.classes), how, seed)
            at = found.setdefault(name, (kind, len(lesson), [], []))
            at[2].append(marks(sides.validation.y.numpy(), predict(sides.validation.x)).balanced_accuracy)
            at[3].append(marks(sides.test.y.numpy(), predict(sides.test.x)))
            if kind == "alone" and near is None:
                near = leak(sides, lesson)
            done += 1
            if progress:
                progress("classifiers", done, total)
    assert near is not None
    arms = [
        Arm(name, kind, size, tuple(validation), tuple(tested))
        for name, (kind, size, validation, tested) in found.items()
        if len(tested) == seeds
    ]
    return Study(
        tuple(arms),
        material.classes,
        material.counts(sides.train),
        len(sides.validation),
        len(sides.test),
        material.pupil.updates,
        material.pupil.unit,
        near,
        tuple(dict.fromkeys(notes)),
    )


def _lessons(sides: Sides, seed: int, notes: list[str]) -> Iterator[tuple[str, Kind, How, Part]]:
    """Name, kind, way and content of each arm, in the order of the table; what cannot be made is noted."""
    material, train = sides.material, sides.train
    yield REAL, "base", "plain", train
    yield f"real, {material.pupil.classical}", "without", "augmented", train
    yield "real, class weights", "without", "weighted", train
    yield "real, oversampled", "without", "oversampled", train
    pool = material.like_data(math.ceil(max(1.0, *RATIOS) * len(train)), seed * APART)
    if not len(pool):
        raise SparringError("the generator makes no sample whose class is known, so none can teach")
    yield ONLY, "alone", "plain", pool.take(torch.arange(min(len(train), len(pool))))
    for ratio in RATIOS:
        some = pool.take(torch.arange(min(round(ratio * len(train)), len(pool))))
        yield f"real + {ratio:g} x synthetic", "with", "plain", train.beside(some)
    lacking = missing_of(material.counts(train))
    if not sum(lacking):
        notes.append("all classes are equally common, so none is filled up")
        return
    try:
        more = material.by_class(lacking, seed * APART + APART // 2)
    except SparringError as error:
        notes.append(f"rare classes cannot be filled up: {error}")
        return
    yield EVENED, "with", "plain", train.beside(more)
