"""Values of a table as text and as typed cells, for files and for people."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from sparring.core.cells import EPOCH, from_times, tells_time
from sparring.core.columns import Column
from sparring.core.rows import Rows, Values

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def texts_of(column: Column, values: Values) -> list[str]:
    """The cells of a column, its own word for "missing" among them."""
    if column.kind == "identifier":
        return [str(number) for number in values.tolist()]
    if not column.numeric:
        words = [*column.categories, *column.rest, column.missing_as]
        return [words[code] for code in values.tolist()]
    gone = np.isnan(values)
    numbers = np.where(gone, column.minimum, values)
    texts = from_times(numbers, column.format) if column.kind == "date" else numbers_to_text(numbers, column.decimals)
    return [column.missing_as if missing else text for text, missing in zip(texts, gone.tolist(), strict=True)]


def numbers_to_text(numbers: Values, decimals: int) -> list[str]:
    """``1500``, ``0.25``; nine digits where ``decimals`` is -1."""
    pattern = "{:.9g}" if decimals < 0 else f"{{:.{decimals}f}}"
    return [pattern.format(number) for number in numbers.tolist()]


def guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe is put before what could begin one (OWASP)."""
    return f"'{text}" if text.startswith(FORMULA) else text


def lines_of(rows: Rows) -> list[Sequence[str]]:
    """Rows of cells as they stand in a CSV file: texts are `guarded`, numbers and dates are not."""
    cells = []
    for column, values in rows:
        texts = texts_of(column, values)
        cells.append(texts if column.numeric or column.kind == "identifier" else list(map(guarded, texts)))
    return list(zip(*cells, strict=True))


def typed(rows: Rows) -> dict[str, list[Any]]:
    """Columns by name: int, float, date or datetime, else text; None where missing."""
    return {column.name: _typed(column, values) for column, values in rows}


def _typed(column: Column, values: Values) -> list[Any]:
    if column.kind == "identifier":
        return list(values.tolist())
    if not column.numeric:
        words = [*column.categories, *column.rest, None]
        return [words[code] for code in values.tolist()]
    cells: list[Any] = [None if math.isnan(number) else number for number in values.tolist()]
    if column.kind == "integer" or (column.kind == "sum" and column.decimals == 0):
        return [None if cell is None else int(cell) for cell in cells]
    if column.kind == "date":
        if tells_time(column.format):
            return [None if cell is None else EPOCH + timedelta(seconds=cell) for cell in cells]
        return [None if cell is None else (EPOCH + timedelta(days=cell)).date() for cell in cells]
    return cells
