"""Groups of people in a table: how many of each there are, what becomes of them, and what models taught by the table do
to them. Real and synthetic rows are each measured alike.

The gaps are those of the fairlearn library for two outcomes, and the largest over outcomes where there are more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sparring.core.columns import Column
from sparring.core.rows import Rows
from sparring.metrics.tables.efficacy import classes_of, predict, target_of

LEAST = 30  # rows of a group, below which its rates mean nothing
MOST_GROUPS = 12
QUARTERS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Groups:
    """How rows are grouped by a column.

    Attributes:
        column: its values, or for numbers of many values the quarters of the rows that they lie in.
        names: of the groups; "others" are the rarest values of many, and "missing" is the last where there are gaps.
        edges: between those quarters; none of other columns.
        values: the numbers of the values that are a group each.
    """

    column: Column
    names: tuple[str, ...]
    edges: tuple[float, ...] = ()
    values: tuple[int, ...] = ()

    def of(self, rows: Rows) -> NDArray[np.int64]:
        """The number of the group of each row ``(n,)``."""
        values, missing = rows[self.column.name], len(self.names) - 1
        if self.edges:
            return np.where(np.isnan(values), missing, np.searchsorted(self.edges, values, side="right"))
        codes = classes_of(self.column, values)
        group = np.full(max(*self.values, *codes.tolist()) + 1, len(self.values))
        group[list(self.values)] = np.arange(len(self.values))
        return np.where(codes < 0, missing, group[codes])


def groups_by(name: str, rows: Rows) -> Groups:
    """Groups by a column, as ``rows`` (those learnt from) divide. Raises `ValueError` for a column that groups nobody.

    Of more than `MOST_GROUPS` values the rarest are one group; of so many numbers each quarter of the rows is one.
    """
    column = next((column for column in rows.columns if column.name == name), None)
    if column is None or column.kind in ("identifier", "constant"):
        raise ValueError(f"no column '{name}' is learnt, so nobody can be grouped by it")
    gone = ("missing",) * column.missing
    of_itself = column.points and not column.centres and not column.base  # else states say something else than numbers
    if column.numeric and not (of_itself and len(column.points) <= MOST_GROUPS):
        there = rows[name][~np.isnan(rows[name])]
        edges = tuple(np.unique(np.quantile(there, QUARTERS)).tolist())
        words = [f"{edge:.6g}" for edge in edges]
        middle = [f"{low} to {high}" for low, high in pairwise(words)]
        return Groups(column, (f"below {words[0]}", *middle, f"{words[-1]} and above", *gone), edges)
    names = [f"{point:g}" for point in sorted(column.points)] or [*column.categories, *column.rest]
    if len(names) <= MOST_GROUPS:
        return Groups(column, (*names, *gone), values=tuple(range(len(names))))
    codes = classes_of(column, rows[name])
    kept = np.bincount(codes[codes >= 0], minlength=len(names)).argsort(kind="stable")[:-MOST_GROUPS:-1].tolist()
    return Groups(column, (*(names[code] for code in kept), "others", *gone), values=tuple(kept))


@dataclass(frozen=True)
class Outcomes:
    """What becomes of groups.

    Attributes:
        rates: share of each group with each outcome ``(groups, outcomes)``; NaN of groups that are too small.
        gap: demographic parity difference: the largest difference between two groups in the share of any outcome.
        odds: equalised odds difference: the same among rows with one true outcome, the largest over those; NaN where
            outcomes are no predictions.
    """

    rates: NDArray[np.float64]
    gap: float
    odds: float = float("nan")


def outcomes(
    groups: NDArray[np.int64],
    count: int,
    found: NDArray[np.int64],
    classes: int,
    truth: NDArray[np.int64] | None = None,
) -> Outcomes:
    """Rates and gaps of outcomes ``found`` ``(n,)`` of rows in ``groups`` ``(n,)``; ``truth`` where they are predicted.

    Groups of fewer than `LEAST` rows are left out of gaps. With fewer than two groups left a gap is NaN.
    """
    rates = _rates(groups, count, found, classes)
    if truth is None:
        return Outcomes(rates, _gap(rates))
    parts = [_gap(_rates(groups[truth == k], count, found[truth == k], classes)) for k in range(classes)]
    known = [part for part in parts if not np.isnan(part)]
    return Outcomes(rates, _gap(rates), max(known, default=float("nan")))


def _rates(groups: NDArray[np.int64], count: int, found: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    table = np.zeros((count, classes))
    np.add.at(table, (groups, found), 1)
    sizes = table.sum(1, keepdims=True)
    return np.where(sizes >= LEAST, table / np.maximum(sizes, 1), np.nan)


def _gap(rates: NDArray[np.float64]) -> float:
    known = rates[~np.isnan(rates[:, 0])]
    return float(np.ptp(known, axis=0).max()) if len(known) > 1 else float("nan")


@dataclass(frozen=True)
class Audit:
    """A table, seen by groups.

    Attributes:
        shares: of each group ``(groups,)``.
        data: what becomes of groups in the table itself; None without a target.
        taught: what a classifier taught by the table predicts for the groups of held-out real rows; None likewise.
    """

    shares: NDArray[np.float64]
    data: Outcomes | None
    taught: Outcomes | None


def audit(rows: Rows, groups: Groups, exam: Rows, seed: int = 0) -> Audit:
    """Shares of groups, and outcomes in ``rows`` and of boosted trees that they teach, predicting for ``exam``."""
    own, count = groups.of(rows), len(groups.names)
    shares = np.bincount(own, minlength=count) / max(len(rows), 1)
    target = target_of(rows)
    if target is None or target.name == groups.column.name:
        return Audit(shares, None, None)
    classes = target.states - target.missing
    said, truth = (classes_of(target, side[target.name]) for side in (rows, exam))
    data = outcomes(own[said >= 0], count, said[said >= 0], classes)
    exam, truth = exam.take(truth >= 0), truth[truth >= 0]
    guesses = predict("boosting", rows, exam, seed)
    return Audit(shares, data, outcomes(groups.of(exam), count, guesses, classes, truth))


def words(groups: Groups, shares: Sequence[float], others: Sequence[float]) -> str:
    """``Female 33.1% (real 33.2%), Male 66.9% (real 66.8%)``."""
    return ", ".join(
        f"{name} {100 * a:.1f}% (real {100 * b:.1f}%)" for name, a, b in zip(groups.names, shares, others, strict=True)
    )
