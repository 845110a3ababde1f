"""What a column holds, seen piece by piece in bounded memory, and what it is taken for."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sparring.core.cells import (
    INFINITE,
    MISSING,
    TRUTHS,
    WITH_COMMA,
    decimals_of,
    find_format,
    is_number,
    other_format,
    to_time,
)
from sparring.core.columns import Column
from sparring.core.errors import SparringError
from sparring.data.labels import natural
from sparring.data.table.mixture import fit_modes
from sparring.data.table.schema import Schema

MOST_TEXTS = 50_000  # different texts of a column that are kept
MOST_STATES = 64  # categories with a state of their own, the rarer ones' common state among them
FREQUENT = 0.03  # share of the rows from which a number is a state of its own
FEW = 20  # different numbers that are all states of their own
FEW_ROWS = 20  # rows from which values that are all different give somebody away
STRAY = 0.01  # share of texts among numbers that counts as missing
SAMPLE = 20_000  # numbers kept for the mixture
KEY = re.compile(r"(^|[ _.-])(id|ids|uuid|guid|key|index|idx|rowid|row|nr|no)$", re.I)


@dataclass
class Profile:
    """One column's cells, summed up.

    Attributes:
        texts: different texts and how often they were seen, missing ones aside, until there are too many.
        gaps: the same of the texts that mean "missing".
        strays: texts that are no numbers, and how often, while there are few.
        sample: numbers, thinned evenly.
    """

    name: str
    texts: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    strays: Counter[str] = field(default_factory=Counter)
    sample: list[NDArray[np.float64]] = field(default_factory=list)
    overflown: bool = False
    filled: int = 0
    others: int = 0
    infinite: int = 0
    decimals: int = 0
    minimum: float = float("inf")
    maximum: float = float("-inf")
    stride: int = 1

    def see(self, cells: Sequence[str], missing: frozenset[str]) -> None:
        """Take in some cells, stripped of blanks."""
        counts = Counter(cells)
        numbers: dict[str, float] = {}
        for text, count in counts.items():
            low = text.lower()
            if low in MISSING or low in missing:
                self.gaps[text] += count
                continue
            if low in INFINITE:
                self.infinite += count
                self.gaps[""] += count
                continue
            self.filled += count
            if not self.overflown:
                self.texts[text] += count
            if is_number(text):
                numbers[text] = float(text)
            else:
                self.others += count
                if len(self.strays) < 1000:
                    self.strays[text] += count
        self.overflown |= len(self.texts) > MOST_TEXTS
        if numbers:
            self.minimum = min(self.minimum, *numbers.values())
            self.maximum = max(self.maximum, *numbers.values())
            found = decimals_of(numbers)
            self.decimals = -1 if -1 in (found, self.decimals) else max(found, self.decimals)
            self._keep(np.array([numbers[cell] for cell in cells if cell in numbers]))

    def _keep(self, numbers: NDArray[np.float64]) -> None:
        self.sample.append(numbers[:: self.stride])
        if sum(map(len, self.sample)) > 2 * SAMPLE:
            self.sample = [np.concatenate(self.sample)[::2]]
            self.stride *= 2


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
        return _date(profile, plain, schema.format(profile.name), notes)
    if kind in ("categorical", "boolean"):
        return _categorical(profile, replace(plain, kind=kind), notes)  # type: ignore[arg-type]
    return _number(profile, plain, kind, notes)


def _kind_of(profile: Profile, notes: list[str]) -> str:
    """The kind that a column looks like."""
    name, texts, filled = profile.name, profile.texts, profile.filled
    different = len(texts)
    if not filled or (different == 1 and not profile.overflown):
        return "categorical"
    if not profile.overflown and {text.lower() for text in texts} in TRUTHS:
        return "boolean"
    number = profile.others == 0
    if not number and different - len(profile.strays) > FEW and profile.others <= STRAY * filled:
        shown = ", ".join(repr(text) for text, _ in profile.strays.most_common(3))
        notes.append(f"column '{name}' is of numbers: {profile.others:,} texts in it ({shown}) count as missing")
        number = True
    all_different = filled >= FEW_ROWS and (profile.overflown or different == filled)
    if number:
        serial = profile.maximum - profile.minimum == filled - 1
        if all_different and profile.decimals == 0 and (serial or KEY.search(name)):
            notes.append(f"column '{name}' numbers the rows: samples get serial numbers of their own")
            return "identifier"
        return "integer" if profile.decimals == 0 else "continuous"
    if not profile.overflown and all(WITH_COMMA.fullmatch(text) or is_number(text) for text in texts):
        return "continuous"
    if find_format(list(texts)):
        return "date"
    if filled >= FEW_ROWS and (profile.overflown or different > filled / 2):
        notes.append(
            f"column '{name}' tells rows apart ({different:,} different texts in {filled:,}), so it may name people: "
            "it is not learnt, samples get serial numbers (a schema can say otherwise)"
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


def _date(profile: Profile, column: Column, pattern: str, notes: list[str]) -> Column:
    texts = list(profile.texts)
    pattern = pattern or find_format(texts)
    times = {text: to_time(text, pattern) for text in texts} if pattern else {}
    good = {text: time for text, time in times.items() if time is not None}
    if not good:
        raise SparringError(
            f"column '{profile.name}' is to be a date, and {texts[0]!r} is none that is known; say its format in the "
            "schema, as in 'date %d/%m/%Y'"
        )
    if other := other_format(texts, pattern):
        notes.append(
            f"column '{profile.name}' is read as {pattern}, but {other} would fit as well; a schema can say so"
        )
    bad = sum(profile.texts[text] for text in texts if text not in good)
    if bad:
        notes.append(f"column '{profile.name}': {bad:,} texts that are no date {pattern} count as missing")
    numbers = np.repeat(list(good.values()), [profile.texts[text] for text in good])
    missing = column.missing or bool(bad) or profile.overflown
    return _states(replace(column, kind="date", format=pattern, missing=missing), numbers, numbers.min(), numbers.max())


def _number(profile: Profile, column: Column, kind: str, notes: list[str]) -> Column:
    commas = [text for text in profile.texts if WITH_COMMA.fullmatch(text)]
    decimals, minimum, maximum = profile.decimals, profile.minimum, profile.maximum
    sample = np.concatenate(profile.sample) if profile.sample else np.empty(0)
    others = profile.others
    if commas and not profile.overflown:
        notes.append(f"column '{profile.name}' is read with decimal commas; samples are written with points")
        read = {text: float(text.replace(",", ".")) for text in profile.texts if text in commas or is_number(text)}
        sample = np.repeat(list(read.values()), [profile.texts[text] for text in read])
        decimals = decimals_of(text.replace(",", ".") for text in read)
        minimum, maximum, others = sample.min(), sample.max(), profile.filled - len(sample)
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
        missing=column.missing or others > 0,
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
