"""Rows of another file by the columns of a table known before, none of them left out.

Where `open_table` leaves out what those columns cannot hold, here it is said: a value that training never saw is the
first thing to know about a row that may be abnormal.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sparring.core.columns import Column, Layout
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.rows import UNKNOWN, Rows, Values, encode, expand, tolerance
from sparring.data.parallel import Progress
from sparring.data.table.opening import rows_of
from sparring.data.table.read import read_parquet_table, read_text
from sparring.data.table.schema import read_schema

FURTHEST = 1000.0  # half-ranges that a number lies beyond its column's range, at most


@dataclass(frozen=True)
class Strangers:
    """All rows of a file.

    Attributes:
        rows: their values, of the learnt columns and the constant ones that the file has.
        encoded: as networks see them, float32 ``(n, width)`` in [-1, 1]; what columns cannot hold is encoded anyhow.
        unknown: bool ``(n, columns)``, by the place of each column: where a value is one that training never saw, such
            as a new category, a number beside the few that a column has, or a gap in a column that had none.
        beyond: float64 ``(n, columns)``: how far a number lies outside of its column's range, as though that range were
            -1 to 1; 0 within it.
        labels: the column of labels as text, where one was asked for.
        notes: what was decided about the file, as sentences.
    """

    rows: Rows
    encoded: Tensor
    unknown: NDArray[np.bool_]
    beyond: NDArray[np.float64]
    labels: tuple[str, ...] | None
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def strangeness(self) -> NDArray[np.float64]:
        """What networks cannot see, added to a score, ``(n, columns)``: the square of how far numbers lie beyond their
        range, as of one number among all that are encoded; of unknown values no end.
        """
        return np.where(self.unknown, np.inf, self.beyond**2 / self.encoded.shape[1])


def read_strangers(
    source: str,
    columns: tuple[Column, ...],
    schema: str = "",
    labels: str = "",
    progress: Progress | None = None,
    held_out: float = 0.0,
) -> Strangers:
    """Read ``source``.

    Args:
        columns: of the table known before.
        schema: the file that was given when it was opened, or "".
        labels: the name of a column that is kept apart, and is no part of `Strangers.rows`; "": none.
        held_out: only the rows that this share keeps from training; 0: all of them.

    Raises:
        SparringError: for a file that lacks a column, one without rows, or whatever else a person can put right.
    """
    path, said = Path(source).expanduser(), read_schema(schema)
    text = read_parquet_table(path) if path.suffix.lower() == ".parquet" else read_text(path, said.header)
    needed = [column for column in columns if column.kind not in ("identifier", "constant")]
    for name in (*(column.name for column in needed), *([labels] if labels else [])):
        if name not in text.names:
            raise SparringError(f"{path} has no column '{name}'{did_you_mean(name, text.names)}")
    here = [column for column in columns if column.name in text.names and column.kind != "identifier"]
    here = [column for column in here if column.name != labels]
    parts: list[Rows] = []
    told: list[str] = []
    for found, piece in rows_of(text, here, said, held_out):
        parts.append(found)
        if labels:
            told += piece[text.names.index(labels)]
        if progress:
            progress("read rows", sum(map(len, parts)), sum(map(len, parts)))
    if not parts:
        raise SparringError(f"{path} has no row of values")
    rows = Rows(tuple(here), tuple(np.concatenate(own) for own in zip(*(part.values for part in parts), strict=True)))
    notes = list(text.notes)
    if text.ragged:
        notes.append(
            f"{len(text.ragged):,} rows of another length than the first are left out, first in line "
            f"{text.ragged[0][0]:,}"
        )
    encoded = expand(encode(rows)[0], Layout(columns))
    unknown, beyond = strangeness(rows, columns)
    return Strangers(rows, encoded, unknown, beyond, tuple(told) if labels else None, tuple(notes))


def strangeness(rows: Rows, columns: tuple[Column, ...]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """`Strangers.unknown` and `Strangers.beyond` of values, whose columns are some of ``columns``."""
    unknown, beyond = np.zeros((len(rows), len(columns)), bool), np.zeros((len(rows), len(columns)))
    for column, values in rows:
        place = columns.index(column)
        if not column.learnt:
            continue
        if not column.numeric:
            never_missing = bool(column.categories) if column.kind == "constant" else not column.missing
            unknown[:, place] = (values == UNKNOWN) | ((values == -1) & never_missing)
            continue
        own = values - rows[column.base] if column.base else values
        unknown[:, place] = np.isnan(own) & (not column.missing)
        if not column.centres:  # the nearest of a few values is all that networks can be told
            unknown[:, place] |= ~np.isnan(own) & ~among(own, column)
        outside = np.maximum(np.maximum(column.minimum - own, own - column.maximum), 0)
        half = max(column.maximum - column.minimum, 1e-300) / 2
        beyond[:, place] = np.nan_to_num(np.minimum(outside / half, FURTHEST))
    return unknown, beyond


def among(numbers: Values, column: Column) -> NDArray[np.bool_]:
    """Which of them are values that the column has a state for, to its last decimal."""
    near = tolerance(numbers, column.decimals)
    found: NDArray[np.bool_] = (np.abs(numbers[:, None] - np.array(column.points)) <= near[:, None]).any(1)
    return found
