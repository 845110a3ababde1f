"""Does something help a classifier? Marks of one classifier, means over seeds, paired differences, and a verdict.

Each seed trains one classifier in every arm, so arms are compared seed by seed: what a seed does to all of them drops
out. Intervals are Student's, of the mean over seeds. They say how sure the mean is for one generator, one training set
and one test set; another of any of them is not covered.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
EQUAL = 1e-9
MARGIN = 0.01  # a gain in balanced accuracy below one point is none that anybody would want

Verdict = Literal["helps", "does not help", "harms", "cannot tell"]


@dataclass(frozen=True)
class Marks:
    """How one classifier did on one set of samples; shares in 0..1.

    Attributes:
        balanced_accuracy: mean of the recalls; 1 / classes is guessing, however common one of them is.
        macro_f1: mean over classes of 2 hits / (samples of the class + samples taken for it).
        auroc: area under the ROC curve where there are two classes, else NaN.
        recalls: share of each class that was found, ``(classes,)``; NaN where the set has none of it.
    """

    balanced_accuracy: float
    macro_f1: float
    auroc: float
    recalls: tuple[float, ...]


def marks(truth: NDArray[np.int64], chances: NDArray[np.float64]) -> Marks:
    """Mark what a classifier says ``(n, classes)`` of samples whose classes are ``truth`` ``(n,)``.

    Classes that the samples have none of count nowhere. Raises `ValueError` for an empty or unlike set.
    """
    if not len(truth) or len(truth) != len(chances):
        raise ValueError(f"{len(truth)} classes for {len(chances)} answers")
    classes = chances.shape[1]
    said = chances.argmax(1)
    hits = np.bincount(truth[said == truth], minlength=classes)
    there, taken = np.bincount(truth, minlength=classes), np.bincount(said, minlength=classes)
    present = there > 0
    recalls = np.where(present, hits / np.maximum(there, 1), np.nan)
    f1 = 2 * hits / np.maximum(there + taken, 1)
    return Marks(
        balanced_accuracy=float(recalls[present].mean()),
        macro_f1=float(f1[present].mean()),
        auroc=_area(truth, chances[:, 1]) if classes == 2 and present.all() else math.nan,
        recalls=tuple(recalls.tolist()),
    )


def _area(truth: NDArray[np.int64], score: NDArray[np.float64]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, score))


@dataclass(frozen=True)
class Mean:
    """The mean of ``count`` numbers, and the interval ``low`` to ``high`` that covers the true one in 95 % of cases."""

    value: float
    low: float
    high: float
    count: int


def mean_of(values: Sequence[float], level: float = LEVEL) -> Mean:
    """Mean -+ t standard errors, t Student's with ``len(values) - 1`` degrees of freedom.

    NaN makes NaN. Raises `ValueError` for fewer than two numbers, of which nobody knows how they spread.
    """
    from scipy.stats import t  # type: ignore[import-untyped]

    if len(values) < 2:
        raise ValueError(f"an interval needs two numbers or more, not {len(values)}")
    numbers = np.asarray(values, np.float64)
    value = float(numbers.mean())
    reach = float(t.ppf((1 + level) / 2, len(numbers) - 1) * numbers.std(ddof=1) / math.sqrt(len(numbers)))
    return Mean(value, value - reach, value + reach, len(numbers))


def paired(values: Sequence[float], base: Sequence[float], level: float = LEVEL) -> Mean:
    """The mean of ``values - base``, seed by seed: the interval of the paired t test. `ValueError` as `mean_of`."""
    if len(values) != len(base):
        raise ValueError(f"{len(values)} numbers cannot be paired with {len(base)}")
    return mean_of([ours - theirs for ours, theirs in zip(values, base, strict=True)], level)


def verdict(gain: Mean, margin: float = MARGIN) -> Verdict:
    """What an interval of a gain allows to say.

    ``helps``: all of it is above 0; ``harms``: all of it is below; ``does not help``: 0 is in it, and a gain above
    ``margin`` is not; ``cannot tell``: both are. Seeds that agree to the last digit, as on a small test set, say
    nothing of chance: they cannot tell, unless nothing moved at all.
    """
    if gain.high - gain.low < EQUAL:
        return "does not help" if abs(gain.value) < EQUAL else "cannot tell"
    if gain.low > 0:
        return "helps"
    if gain.high < 0:
        return "harms"
    return "does not help" if gain.high <= margin else "cannot tell"
