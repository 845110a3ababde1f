"""What a column holds, seen piece by piece in bounded memory, and what it is taken for."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from sparring.core.cells import FORMATS, INFINITE, MISSING, TRUTHS, find_format, other_format
from sparring.core.columns import Column
from sparring.core.errors import SparringError
from sparring.data.labels import natural
from sparring.data.table.mixture import fit_modes
from sparring.data.table.reading import COMMA, Reading, number_of
from sparring.data.table.schema import Schema

MOST_TEXTS = 50_000  # different texts of a column that are kept
MOST_STATES = 64  # categories with a state of their own, the rarer ones' common state among them
FREQUENT = 0.03  # share of the rows from which a number is a state of its own
FEW = 20  # different numbers that are all states of their own
FEW_ROWS = 20  # rows from which values that are all different give somebody away
STRAY = 0.01  # share of texts among numbers that counts as missing
MOST_STRAYS = 1000
KEY = re.compile(r"(^|[ _.-])(id|ids|uuid|guid|key|index|idx|rowid|row|nr|no)$", re.I)


@dataclass
class Profile:
    """One column's cells, summed up.

    Attributes:
        pattern: the format of its dates where a person said one.
        texts: different texts and how often they were seen, missing ones aside; one alone when there are too many.
        different: how many of them there are, or were when there were too many.
        gaps: the same of the texts that mean "missing".
        strays: texts that are no numbers, and how often, while there are few.
        plain: all cells as numbers.
        ways: all cells in the other ways in which they could be read when their texts became too many.
    """

    name: str
    pattern: str = ""
    texts: Counter[str] = field(default_factory=Counter)
    different: int = 0
    gaps: Counter[str] = field(default_factory=Counter)
    strays: Counter[str] = field(default_factory=Counter)
    plain: Reading = field(default_factory=Reading)
    ways: list[Reading] = field(default_factory=list)
    overflown: bool = False
    filled: int = 0
    infinite: int = 0

    def see(self, cells: Sequence[str], missing: frozenset[str]) -> None:
        """Take in some cells, stripped of blanks."""
        counts = Counter(cells)
        for text in list(counts):
            low = text.lower()
            if low in MISSING or low in missing:
                self.gaps[text] += counts.pop(text)
            elif low in INFINITE:
                self.infinite += counts[text]
                self.gaps[""] += counts.pop(text)
        self.filled += counts.total()
        for text in self.plain.see(counts, cells):
            if len(self.strays) < MOST_STRAYS:
                self.strays[text] += counts[text]
        for reading in self.ways:
            reading.see(counts, cells)
        if not self.overflown:
            self.texts.update(counts)
            self.different = len(self.texts)
            if self.different > MOST_TEXTS:
                self._overflow()

    def _overflow(self) -> None:
        """From here on texts are not kept, but read in all ways in which those seen so far can be."""
        ways = [COMMA, *FORMATS] if self.plain.others else []
        first = list(islice(self.texts, 1000))
        fitting = [way for way in ways if sum(number_of(t, way) is None for t in first) <= STRAY * len(first)]
        self.ways = [Reading.of(self.texts, way) for way in ([self.pattern] if self.pattern else fitting)]
        self.texts, self.overflown = Counter(first[:1]), True

    def read_as(self, way: str) -> Reading:
        """All cells, read in one way."""
        if not self.overflown:
            return Reading.of(self.texts, way)
        return next((reading for reading in self.ways if reading.way == way), Reading(way, self.filled))

    def formats(self) -> list[str]:
        """Formats in which its texts are dates, the likeliest first."""
        if not self.overflown:
            texts = list(self.texts)
            found = find_format(texts)
            return [way for way in (found, other_format(texts, found)) if way]
        least = min((reading.others for reading in self.ways), default=0)
        best = [reading.way for reading in self.ways if reading.others == least and reading.way != COMMA]
        return best if least <= STRAY * self.filled else []


def column_of(profile: Profile, schema: Schema, notes: list[str]) -> Column | None:
    """What a column is: as the schema says, else as it looks. None for one that is dropped.

    What was decided is added to ``notes``. Raises `SparringError` where the schema says what cannot be.
    """
    said = schema.kind(profile.name)
    if said == "drop":
        notes.append(f"column '{profile.name}' is left out, as the schema says")
        return None
    if profile.infinite:
        notes.append(f"column '{profile.name}': {profile.infinite:,} infinite values count as missing")
    kind = said or _kind_of(profile, notes)
    gap = profile.gaps.most_common(1)[0][0] if profile.gaps else ""
    plain = Column(profile.name, "constant", missing=bool(profile.gaps), missing_as=gap)
    if not profile.filled:
        notes.append(f"column '{profile.name}' is missing throughout")
        return plain
    if kind == "identifier":
        return replace(plain, kind="identifier", missing=False)
    if len(profile.texts) == 1 and not profile.gaps and not profile.overflown:
        return replace(plain, categories=tuple(profile.texts))
    if kind == "date":
        return _date(profile, plain, notes)
    if kind in ("categorical", "boolean"):
        return _categorical(profile, replace(plain, kind=kind), notes)  # type: ignore[arg-type]
    return _number(profile, plain, kind, notes)


def _kind_of(profile: Profile, notes: list[str]) -> str:
    """The kind that a column looks like."""
    name, texts, filled = profile.name, profile.texts, profile.filled
    different, plain = profile.different, profile.plain
    if not filled or (different == 1 and not profile.overflown):
        return "categorical"
    if not profile.overflown and {text.lower() for text in texts} in TRUTHS:
        return "boolean"
    number = plain.others == 0
    if not number and different - len(profile.strays) > FEW and plain.others <= STRAY * filled:
        shown = ", ".join(repr(text) for text, _ in profile.strays.most_common(3))
        notes.append(f"column '{name}' is of numbers: {plain.others:,} texts in it ({shown}) count as missing")
        number = True
    all_different = filled >= FEW_ROWS and (profile.overflown or different == filled)
    if number:
        serial = plain.maximum - plain.minimum == filled - 1
        if all_different and plain.decimals == 0 and (serial or KEY.search(name)):
            notes.append(f"column '{name}' numbers the rows: samples get serial numbers of their own")
            return "identifier"
        return "integer" if plain.decimals == 0 else "continuous"
    if profile.read_as(COMMA).others <= (STRAY * filled if profile.overflown else 0):
        return "continuous"
    if profile.formats():
        return "date"
    if filled >= FEW_ROWS and (profile.overflown or different > filled / 2):
        least = "at least " * profile.overflown
        notes.append(
            f"column '{name}' tells rows apart ({least}{different:,} different texts in {filled:,}), so it may name "
            "people: it is not learnt, samples get serial numbers (a schema can say otherwise)"
        )
        return "identifier"
    return "categorical"


def _categorical(profile: Profile, column: Column, notes: list[str]) -> Column:
    if profile.overflown:
        raise SparringError(
            f"column '{profile.name}' has more than {MOST_TEXTS:,} different texts, too many for a categorical one; "
            "a schema may call it identifier or drop"
        )
    ranked = sorted(profile.texts, key=lambda text: (-profile.texts[text], natural(text), text))
    kept = ranked if len(ranked) <= MOST_STATES else ranked[: MOST_STATES - 1]
    rest = ranked[len(kept) :]
    if rest:
        share = sum(profile.texts[text] for text in rest) / profile.filled
        notes.append(
            f"column '{profile.name}' has {len(ranked):,} values: the {len(rest):,} rarest ({share:.1%} of rows) share "
            "one state, and are told apart by their order in frequency alone"
        )
    categories = tuple(sorted(kept, key=lambda text: (natural(text), text)))
    return replace(column, categories=categories, rest=tuple(rest), rest_counts=tuple(profile.texts[t] for t in rest))


def _date(profile: Profile, column: Column, notes: list[str]) -> Column:
    formats = [profile.pattern] if profile.pattern else profile.formats()
    reading = profile.read_as(formats[0]) if formats else Reading(others=profile.filled)
    if reading.others == profile.filled:
        raise SparringError(
            f"column '{profile.name}' is to be a date, and {next(iter(profile.texts))!r} is none that is known; say "
            "its format in the schema, as in 'date %d/%m/%Y'"
        )
    if formats[1:]:
        notes.append(
            f"column '{profile.name}' is read as {formats[0]}, but {formats[1]} would fit as well; a schema can say so"
        )
    if reading.others:
        notes.append(
            f"column '{profile.name}': {reading.others:,} texts that are no date {formats[0]} count as missing"
        )
    missing = column.missing or bool(reading.others)
    column = replace(column, kind="date", format=formats[0], missing=missing)
    return _states(column, reading.numbers(), reading.minimum, reading.maximum)


def _number(profile: Profile, column: Column, kind: str, notes: list[str]) -> Column:
    reading = profile.plain
    if reading.others and profile.read_as(COMMA).others < reading.others:
        notes.append(f"column '{profile.name}' is read with decimal commas; samples are written with points")
        reading = profile.read_as(COMMA)
    decimals, minimum, maximum, sample = reading.decimals, reading.minimum, reading.maximum, reading.numbers()
    if not len(sample):
        example = next(iter(profile.texts))
        raise SparringError(f"column '{profile.name}' is to be {kind}, and none of it is a number, such as {example!r}")
    if max(abs(minimum), abs(maximum)) >= 1 << 53:
        notes.append(f"column '{profile.name}' has numbers of 2^53 and more: nine digits of them are kept")
        kind, decimals = "continuous", -1
    column = replace(
        column,
        kind="integer" if kind == "integer" else "continuous",
        decimals=0 if kind == "integer" else decimals,
        missing=column.missing or reading.others > 0,
    )
    return _states(column, sample, minimum, maximum)


def _states(column: Column, numbers: NDArray[np.float64], minimum: float, maximum: float) -> Column:
    """Frequent values and modes of a column of numbers."""
    values, counts = np.unique(numbers, return_counts=True)
    frequent = values[counts >= FREQUENT * len(numbers)]
    points = values if len(values) <= FEW else frequent
    left = numbers[~np.isin(numbers, points)]
    thinned = minimum < values[0] or maximum > values[-1]  # then the ends may be missing among the numbers kept
    centres: tuple[float, ...] = ()
    reaches: tuple[float, ...] = ()
    if thinned:
        centres, reaches = fit_modes(np.array([*left, minimum, maximum]))
    elif len(left):
        centres, reaches = fit_modes(left)
    return replace(
        column,
        points=tuple(points.tolist()),
        centres=centres,
        reaches=reaches,
        minimum=float(minimum),
        maximum=float(maximum),
    )


def states_of(column: Column, numbers: NDArray[np.float64]) -> Column:
    """The column with its states found anew for other numbers, as where it is told by its distance from another."""
    return _states(replace(column, counts=()), numbers, float(numbers.min()), float(numbers.max()))
