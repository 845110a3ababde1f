"""Recordings: what was measured, one series after the other, before anything is cut, filled or scaled."""

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparring.core.cells import INFINITE, MISSING, WITH_COMMA, decimals_of, find_format, is_number, to_time
from sparring.core.errors import SparringError, did_you_mean
from sparring.data.table.read import TextTable
from sparring.data.table.schema import Roles, Schema

Numbers = NDArray[np.float64]

STRAY = 0.01  # share of texts in a column of numbers that count as missing
COARSE = ("%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%b %Y")  # times that no date of a table has
TIME = re.compile(r"(time|t|step|date|datetime|timestamp|year|month|week|day|hour|minute|second)s?", re.I)
JUMP = 5  # usual steps between two times from which they count as apart


@dataclass(frozen=True)
class Recording:
    """One series as it was measured.

    Attributes:
        name: its id, or "".
        values: ``(channels, steps)``, NaN where missing.
        attributes: a cell for each attribute.
    """

    name: str
    values: Numbers
    attributes: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        return self.values.shape[1]


@dataclass
class Found:
    """What a source holds.

    Attributes:
        channels: their names.
        decimals: of each channel.
        attributes: their names.
        notes: what was decided, as sentences.
    """

    recordings: list[Recording]
    channels: tuple[str, ...]
    decimals: tuple[int, ...]
    attributes: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


# ---------------------------------------------------------------------- arrays


def read_array(path: Path) -> Found:
    """Series ``(n, length, channels)`` of an ``.npy`` or ``.npz``; steps at the end that are all NaN are none."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            array = loaded
        else:
            with loaded:
                arrays = {name: loaded[name] for name in loaded.files}
            names = [name for name, own in arrays.items() if own.ndim == 3]
            if "series" not in names and len(names) != 1:
                raise SparringError(f"{path} needs one array (n, length, channels); it has {len(names)} of them")
            array = arrays["series" if "series" in names else names[0]]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SparringError(f"cannot read {path}: {' '.join(str(error).split())[:200]}") from None
    if array.ndim != 3 or array.dtype.kind not in "fiu":
        raise SparringError(
            f"series are an array of numbers (n, length, channels); {path} holds {array.dtype} of shape {array.shape}"
        )
    values = array.astype(np.float64).transpose(0, 2, 1)
    values[~np.isfinite(values)] = np.nan
    recordings = []
    for number, own in enumerate(values):
        there = np.flatnonzero(~np.isnan(own).all(0))
        recordings.append(Recording(str(number), own[:, : there[-1] + 1 if len(there) else 0]))
    decimals = 0 if array.dtype.kind in "iu" else -1
    count = array.shape[2]
    return Found(recordings, tuple(f"channel {k + 1}" for k in range(count)), (decimals,) * count)


# ---------------------------------------------------------------------- tables


def read_table(text: TextTable, schema: Schema, most_bad: float, known: Sequence[str] = ()) -> Found:
    """The recordings of a long table: a row a step.

    Args:
        schema: says which columns tell series, time and attributes.
        most_bad: share of rows of another length above which the file is refused.
        known: channels that there must be, each of numbers; none: all columns of numbers.

    Raises:
        SparringError: for whatever a person can put right.
    """
    roles, cells = schema.series or Roles(), _cells(text, most_bad)
    for name in (roles.id, roles.time, *roles.attributes, *known):
        if name and name not in cells:
            raise SparringError(f"{text.where} has no column '{name}'{did_you_mean(name, cells)}")
    for name in () if known else schema.columns:  # another file need not have those that the schema drops
        if name not in cells:
            raise SparringError(f"the schema names a column '{name}' that there is not{did_you_mean(name, cells)}")
    if roles.attributes and not roles.id:
        raise SparringError("attributes belong to series that a column tells apart: say id = NAME in [series] as well")
    notes = list(text.notes)
    if text.ragged:
        notes.append(f"{len(text.ragged):,} rows of another length than the first are left out")
    groups = _groups(cells[roles.id]) if roles.id else {"": np.arange(len(next(iter(cells.values()))))}
    channels = _channels(cells, roles, schema, known, notes)
    if gone := ", ".join(f"'{name}'" for name in known if name not in channels):
        raise SparringError(
            f"{text.where} has no numbers in {gone}, and the series before have; give data in which that is measured"
        )
    others = {name: own for name, own in cells.items() if name not in known}
    time = roles.time or _find_time(others, channels, roles, groups)
    channels.pop(time, None)
    if not channels:
        raise SparringError(f"{text.where} has no column of numbers besides those that tell series and time")
    if time:
        if not roles.time:
            notes.append(f"column '{time}' tells the time (a schema can say otherwise)")
        groups = _in_order(groups, _times(cells[time], time), time, text.where, notes)
    recordings = []
    for name, places in groups.items():
        about = tuple(_attribute(cells[attribute], places, attribute, name) for attribute in roles.attributes)
        recordings.append(Recording(name, np.stack([numbers[places] for numbers, _ in channels.values()]), about))
    decimals = tuple(decimals for _, decimals in channels.values())
    return Found(recordings, tuple(channels), decimals, roles.attributes, notes)


def _cells(text: TextTable, most_bad: float) -> dict[str, list[str]]:
    """All columns, stripped of blanks."""
    columns: list[list[str]] = [[] for _ in text.names]
    for piece in text.pieces():
        for column, cells in zip(columns, piece, strict=True):
            column.extend(cell.strip() for cell in cells)
    count = len(columns[0])
    if len(text.ragged) > most_bad * (count + len(text.ragged)):
        line, width = text.ragged[0]
        raise SparringError(
            f"{text.where}: {len(text.ragged):,} rows are of another length than the first, of {len(columns)} cells; "
            f"line {line:,} has {width}; mend them, or raise --data.max-bad"
        )
    if count < 2:
        raise SparringError(f"{text.where} has {count} row{'s' * (count != 1)} of values; a series needs two or more")
    return dict(zip(text.names, columns, strict=True))


def _groups(ids: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Rows of each id, by its first appearance."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(ids):
        places.setdefault(name, []).append(place)
    return {name: np.array(own) for name, own in places.items()}


def _channels(
    cells: dict[str, list[str]], roles: Roles, schema: Schema, known: Sequence[str], notes: list[str]
) -> dict[str, tuple[Numbers, int]]:
    """Numbers and decimals of each column that is no id, time or attribute."""
    found: dict[str, tuple[Numbers, int]] = {}
    skipped = {roles.id, roles.time, *roles.attributes}
    for name in known or cells:
        if name in skipped:
            continue
        if schema.kind(name) == "drop":
            notes.append(f"column '{name}' is left out, as the schema says")
            continue
        numbers, strays, decimals = numbers_of(cells[name], schema.missing)
        filled = int((~np.isnan(numbers)).sum()) + strays
        if not filled:
            notes.append(f"column '{name}' is missing throughout: it is left out")
        elif strays > STRAY * filled:
            if _times(cells[name], "") is None:
                notes.append(f"column '{name}' is of text and no channel: it is left out (a schema can say otherwise)")
        else:
            if strays:
                notes.append(f"column '{name}': {strays:,} texts among its numbers count as missing")
            found[name] = numbers, decimals
    return found


def numbers_of(cells: Sequence[str], missing: frozenset[str]) -> tuple[Numbers, int, int]:
    """Numbers with NaN where there is none, how many cells are texts, and the decimals."""
    table, strays = dict[str, float](), set[str]()
    for text in set(cells):
        low, plain = text.lower(), text.replace(",", ".") if WITH_COMMA.fullmatch(text) else text
        if low in MISSING or low in INFINITE or low in missing:
            continue
        if is_number(plain):
            table[text] = float(plain)
        else:
            strays.add(text)
    numbers = np.array([table.get(text, np.nan) for text in cells], np.float64)
    return numbers, sum(text in strays for text in cells), decimals_of(text.replace(",", ".") for text in table)


# ---------------------------------------------------------------------- time


def _times(cells: Sequence[str], name: str) -> Numbers | None:
    """Numbers that grow with time. None for a column, of no ``name``, that tells none; else raises `SparringError`."""
    if all(is_number(cell) for cell in cells):
        return np.array([float(cell) for cell in cells])
    pattern = find_format(cells) or next((p for p in COARSE if all(to_time(cell, p) is not None for cell in cells)), "")
    if pattern:
        return np.array([to_time(cell, pattern) for cell in cells], np.float64)
    if not name:
        return None
    odd = next(cell for cell in cells if not is_number(cell))
    raise SparringError(
        f"column '{name}' is to tell the time: its cells are numbers, or dates of one known format, all of them; "
        f"'{odd}' is no number"
    )


def _find_time(
    cells: dict[str, list[str]],
    channels: dict[str, tuple[Numbers, int]],
    roles: Roles,
    groups: dict[str, NDArray[np.int64]],
) -> str:
    """The column that tells the time by itself: dates, or numbers that a heading calls so and that only grow."""
    for name, own in cells.items():
        if name in (roles.id, *roles.attributes):
            continue
        if name in channels:
            numbers = channels[name][0]
            grows = all((np.diff(numbers[places]) > 0).all() for places in groups.values())
            if grows and TIME.fullmatch(name) and not np.isnan(numbers).any():
                return name
        elif _times(own, "") is not None:
            return name
    return ""


def _in_order(
    groups: dict[str, NDArray[np.int64]], times: Numbers | None, time: str, where: str, notes: list[str]
) -> dict[str, NDArray[np.int64]]:
    """Rows of each series by time. Raises `SparringError` where two have the same."""
    assert times is not None
    moved, apart, ordered = 0, 0, {}
    for name, places in groups.items():
        order = np.argsort(times[places], kind="stable")
        moved += int((order != np.arange(len(order))).sum())
        ordered[name] = places[order]
        gaps = np.diff(times[ordered[name]])
        if (gaps == 0).any():
            of = f" of series '{name}'" if name else ""
            raise SparringError(
                f"{where}: {int((gaps == 0).sum()):,} rows{of} have the same '{time}' as the row before; if the table "
                "holds many series, say in a schema which column tells them apart ([series] id = NAME)"
            )
        apart += int((gaps > JUMP * np.median(gaps)).sum()) if len(gaps) else 0
    if moved:
        notes.append(f"the rows were not in the order of '{time}': they were sorted, {moved:,} of them moved")
    if apart:
        notes.append(
            f"{apart:,} steps of '{time}' are more than {JUMP} times as long as usual: steps count as even all the same"
        )
    return ordered


def _attribute(cells: Sequence[str], places: NDArray[np.int64], attribute: str, name: str) -> str:
    found = {cells[place] for place in places.tolist()}
    if len(found) > 1:
        some = ", ".join(repr(text) for text in sorted(found)[:3])
        raise SparringError(
            f"the attribute '{attribute}' of series '{name}' is not the same in all its rows ({some}); what changes is "
            "a channel, not an attribute"
        )
    return next(iter(found))
