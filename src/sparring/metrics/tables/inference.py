"""Attribute inference: what samples give away of one column of somebody whose other columns are known.

Most of a column can be inferred by anybody who has seen other people, and no table is to blame for that. So the same
attackers stand beside it with real rows that nobody learnt from in place of the samples; only what samples tell beyond
those is a leak.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparring.core.columns import Column
from sparring.core.rows import Rows, Values
from sparring.metrics.tables.efficacy import learner
from sparring.metrics.tables.marginals import binned
from sparring.metrics.tables.matrix import design, gower
from sparring.metrics.tables.privacy import nearest_rows

MOST = 3000  # rows that are attacked, and that the attackers learn from
RANGES = 10  # equally filled, in which a number is to be inferred
LEAST = 20  # rows on each side, below which nothing can be said


@dataclass(frozen=True)
class Inference:
    """How often an attacker is right about a column of the rows that were learnt from.

    Attributes:
        from_samples: share of rows that the better of two attackers infers from samples.
        from_reals: the same of attackers who learn from as many held-out rows.
        error: standard error of the difference.
    """

    from_samples: float
    from_reals: float
    error: float

    @property
    def gain(self) -> float:
        """What samples give away beyond what anybody could infer."""
        return self.from_samples - self.from_reals

    @property
    def leaks(self) -> bool:
        """Whether the gain is more than chance, by three standard errors."""
        return self.gain > 3 * self.error


def infer(column: Column, fake: Rows, train: Rows, held_out: Rows, seed: int = 0) -> Inference:
    """Attack ``column`` of rows of ``train``; all others of their columns are known to the attacker.

    One attacker takes the value of the nearest row (Gower's distance), which finds copies; the other learns with a
    random forest, which finds what is common. Numbers are right in the right one of `RANGES` ranges. Both sides learn
    from equally many rows.

    Raises:
        ValueError: for too few rows, or a column that has one value only or is not learnt.
    """
    if column.kind in ("identifier", "constant"):
        raise ValueError(f"'{column.name}' is not learnt, so samples say nothing of it")
    count = min(len(fake), len(held_out), MOST)
    if min(count, len(train)) < LEAST:
        raise ValueError(f"attribute inference takes {LEAST} samples and held-out rows or more")
    draw = np.random.default_rng(seed)
    samples, reals = (rows.take(draw.permutation(len(rows))[:count]) for rows in (fake, held_out))
    victims = train.take(draw.permutation(len(train))[:MOST])
    edges = _edges(column, reals[column.name])
    truth = _answers(column, victims[column.name], edges)
    if len(np.unique(truth)) < 2:
        raise ValueError(f"the rows learnt from have one value of '{column.name}' only")
    found = [_best(column, lesson, reals, victims, truth, edges, seed) for lesson in (samples, reals)]
    difference = found[0].astype(float) - found[1]
    return Inference(float(found[0].mean()), float(found[1].mean()), float(difference.std() / np.sqrt(len(difference))))


def _edges(column: Column, numbers: Values) -> NDArray[np.float64]:
    """Between the ranges of a column of numbers; none of other columns."""
    there = numbers[~np.isnan(numbers)] if column.numeric else np.empty(0)
    return np.unique(np.quantile(there, np.linspace(0, 1, RANGES + 1)[1:-1])) if len(there) else np.empty(0)


def _answers(column: Column, values: Values, edges: NDArray[np.float64]) -> NDArray[np.int64]:
    return binned(values, edges) if column.numeric else values.astype(np.int64)


def _best(
    column: Column,
    lesson: Rows,
    scale: Rows,
    victims: Rows,
    truth: NDArray[np.int64],
    edges: NDArray[np.float64],
    seed: int,
) -> NDArray[np.bool_]:
    """Which rows the better of the attackers is right about, who learn from ``lesson``."""
    answers, hidden = _answers(column, lesson[column.name], edges), (column.name,)
    nearest = nearest_rows(gower(victims, scale, hidden), gower(lesson, scale, hidden))
    guesses = [answers[nearest]]
    if len(np.unique(answers)) > 1:
        model = learner("forest", seed).fit(design(lesson, scale, hidden), answers)
        guesses.append(model.predict(design(victims, scale, hidden)))
    return max((guess == truth for guess in guesses), key=lambda right: right.mean())
