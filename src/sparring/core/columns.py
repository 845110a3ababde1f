"""Columns of a table, and how a row of them is laid out in numbers.

Every column is in one of a few *states*: a category, a mode of a mixture of Gaussians, a value so frequent that it
stands for itself, "missing". Where a state leaves something to say, as a mode does, a *scalar* in [-1, 1] says it. A
row is encoded column by column, the scalar (if the column has one) followed by its states, one of them 1 and the others
0. A column with one state only needs none of them, and a constant takes no room at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Literal

Kind = Literal["continuous", "integer", "date", "categorical", "boolean", "constant", "identifier", "sum"]
NUMBERS = ("continuous", "integer", "date", "sum")


@dataclass(frozen=True)
class Column:
    """One column, all that is needed to encode and decode it.

    Its states are, in this order, of numbers: a mode of the mixture each, a frequent value (`points`) each; of
    categories: a category each, one for all of `rest`; and of both: missing, where `missing` says so.

    Attributes:
        name: its heading.
        kind: what its values are. Identifiers are not learnt: samples get serial numbers. A ``sum`` is not learnt
            either, it is what `terms` add up to.
        counts: rows in each state.
        categories: values with a state of their own; of a constant its one value, or none where all is missing.
        rest: rarer values, which share a state; the scalar says which, by their share of it (`rest_counts`).
        rest_counts: rows with each of them.
        centres, reaches: of each mode; a value x of a mode has the scalar (x - centre) / reach.
        points: values so frequent that each is a state.
        minimum, maximum: of the values (of what is above `base`, where it has one); samples stay within.
        decimals: to which values are rounded; -1 for numbers without a last decimal, written with nine digits.
        format: as ``strptime`` reads a date, whose number is days, or seconds where it tells the time, since 1970.
        missing: whether values are missing.
        missing_as: how files say so.
        target: whether models are to predict it, when samples are judged by how well models learn from them.
        base: name of another column that this one is never below; what is encoded is how far above it is.
        terms: names of the columns that a ``sum`` adds up.
    """

    name: str
    kind: Kind
    counts: tuple[int, ...] = ()
    categories: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    rest_counts: tuple[int, ...] = ()
    centres: tuple[float, ...] = ()
    reaches: tuple[float, ...] = ()
    points: tuple[float, ...] = ()
    minimum: float = 0.0
    maximum: float = 0.0
    decimals: int = 0
    format: str = ""
    missing: bool = False
    missing_as: str = ""
    target: bool = False
    base: str = ""
    terms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.counts and len(self.counts) != self.states:
            raise ValueError(f"column '{self.name}' has {self.states} states and {len(self.counts)} counts")
        if len(self.centres) != len(self.reaches) or not all(reach > 0 for reach in self.reaches):
            raise ValueError(f"column '{self.name}' needs a reach above 0 for each centre")
        if len(self.rest) != len(self.rest_counts):
            raise ValueError(f"column '{self.name}' needs a count for each rare value")

    @property
    def numeric(self) -> bool:
        """Whether values are numbers, dates among them."""
        return self.kind in NUMBERS

    @property
    def learnt(self) -> bool:
        """Whether a generator makes it, in part at least."""
        return self.kind not in ("identifier", "sum")

    @property
    def states(self) -> int:
        """How many states it has."""
        if not self.learnt:
            return 0
        own = len(self.centres) + len(self.points) if self.numeric else len(self.categories) + bool(self.rest)
        return own + self.missing

    @property
    def scalar(self) -> bool:
        """Whether a scalar goes with some of its states."""
        return bool(self.centres or self.rest)

    @property
    def told(self) -> tuple[int, int]:
        """First and last-but-one of the states that a scalar goes with."""
        return (
            (0, len(self.centres)) if self.numeric else (len(self.categories), len(self.categories) + bool(self.rest))
        )

    @property
    def label(self) -> str:
        """``categorical, 9 values, 5.6% missing`` for a person."""
        words: list[str] = [self.kind]
        if self.kind in ("categorical", "boolean"):
            words.append(f"{len(self.categories) + len(self.rest):,} values")
            if self.rest:
                words.append(f"{len(self.rest):,} of them rare, in one state")
        elif self.kind == "constant":
            words.append(f"always {self.categories[0]!r}" if self.categories else "always missing")
        elif self.kind == "sum":
            words.append(f"{' + '.join(self.terms)}")
        elif self.numeric:
            words.append(
                f"{len(self.centres)} modes" + (f", {len(self.points)} frequent values" if self.points else "")
            )
            if self.base:
                words.append(f"never below {self.base}")
        if self.missing and self.kind != "constant":
            words.append(f"{self.counts[-1] / max(sum(self.counts), 1):.1%} missing")
        return ", ".join(words)


@dataclass(frozen=True)
class Span:
    """Where a column lies.

    Attributes:
        place: its number in the table.
        scalar: index of its scalar in an encoded row, or -1.
        first: index of its first state in an encoded row, or -1 where it has one state only.
        asked: index of its first state in a condition, or -1.
        states: how many states are encoded: 0, or 2 and more.
    """

    place: int
    scalar: int
    first: int
    asked: int
    states: int


@dataclass(frozen=True)
class Layout:
    """Where everything of an encoded row lies.

    A data set keeps rows *compact*: all scalars, then the number of the state of each column that has several.
    A *condition* is a 1 at one state of one column and 0 elsewhere, over the states of all columns.
    """

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError("two columns have the same name")
        plain = {column.name for column in self.columns if column.numeric and not (column.base or column.terms)}
        for column in self.columns:
            for other in (column.base, *column.terms):
                if other and other not in plain:
                    raise ValueError(
                        f"column '{column.name}' follows '{other}', which is no column of numbers by itself"
                    )

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """One for each column, those that take no room among them."""
        spans, at, asked = [], 0, 0
        for place, column in enumerate(self.columns):
            states = column.states if column.states > 1 else 0
            scalar = at if column.scalar else -1
            at += column.scalar
            spans.append(Span(place, scalar, at if states else -1, asked if states else -1, states))
            at, asked = at + states, asked + states
        return tuple(spans)

    @cached_property
    def scalars(self) -> tuple[Span, ...]:
        """The columns that have a scalar."""
        return tuple(span for span in self.spans if span.scalar >= 0)

    @cached_property
    def choices(self) -> tuple[Span, ...]:
        """The columns that have states to choose between."""
        return tuple(span for span in self.spans if span.states)

    @property
    def width(self) -> int:
        """Numbers in an encoded row."""
        return len(self.scalars) + self.asked

    @property
    def asked(self) -> int:
        """Numbers in a condition."""
        return sum(span.states for span in self.choices)

    @cached_property
    def firsts(self) -> tuple[int, ...]:
        """Where each choice begins in an encoded row."""
        return tuple(span.first for span in self.choices)


def extent(column: Column, columns: Sequence[Column]) -> tuple[float, float]:
    """The least and the largest number that a column of numbers can hold, by the rule that it follows if it has one."""
    followed = [other for other in columns if other.name in (column.base, *column.terms)]
    own = () if column.kind == "sum" else (column,)
    return sum(part.minimum for part in (*own, *followed)), sum(part.maximum for part in (*own, *followed))


def shares(counts: Sequence[int]) -> list[float]:
    """Cumulative shares, the last of them 1."""
    total = max(sum(counts), 1)
    return [part / total for part in accumulate(counts)]
