"""Tables: a sample is a row, encoded in numbers within [-1, 1] by the columns of its spec (`sparring.core.columns`).

Pictures of rows are small bar charts, one a column: how often each value, or range of values, occurs.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from sparring.core.columns import Column, Layout, extent
from sparring.core.errors import SparringError
from sparring.core.rows import Rows, Values, compact, expand
from sparring.core.rows import decode as to_values
from sparring.core.spec import DataSpec
from sparring.core.texts import guarded, lines_of, typed

SHOWN, MOST = 1024, 100_000
ARRAY = "rows"
CELL, GAP, ACROSS = (168, 112), 8, 6
BARS, CHARTS = 24, 60  # in a chart, and charts in a picture, at most
INK, SHARE_INK, FRAME = (31, 78, 121), (80, 80, 80), (176, 176, 176)


def fits(shape: tuple[int, ...]) -> bool:
    """Whether the shape is that of an encoded row."""
    return len(shape) == 1 and shape[0] >= 1


def describe(shape: tuple[int, ...]) -> str:
    """``rows of a table, 108 wide``."""
    return f"rows of a table, {shape[0]} wide"


def layout_of(spec: DataSpec | None) -> Layout:
    """Where the columns lie. Raises `ValueError` without a table's spec."""
    if spec is None or not spec.columns:
        raise ValueError("rows of a table cannot be read without its columns")
    return Layout(spec.columns)


def decode(kept: Tensor, spec: DataSpec | None = None) -> Tensor:
    """Data sets keep rows compact."""
    return expand(kept, layout_of(spec))


def values(rows: Tensor, spec: DataSpec | None = None, serial: int = 1) -> Rows:
    """Encoded rows as what they mean; identifiers count from ``serial``."""
    layout = layout_of(spec)
    return to_values(compact(rows.detach().cpu(), layout), layout, serial)


def array(rows: Tensor, spec: DataSpec | None = None) -> np.ndarray:
    """float32 ``(n, width)``, encoded."""
    encoded: np.ndarray = rows.detach().float().cpu().numpy()
    return encoded


# ---------------------------------------------------------------------- pictures


def grid(rows: Tensor, spec: DataSpec | None = None) -> Image.Image:
    """A chart a column, the first sixty of those that are learnt."""
    decoded = values(rows, spec)
    charts = [(column, own) for column, own in decoded if column.learnt and column.kind != "constant"][:CHARTS]
    across = min(ACROSS, max(1, len(charts)))
    down = -(-len(charts) // across)
    width, height = CELL
    sheet = Image.new("RGB", (across * (width + GAP) + GAP, down * (height + GAP) + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (column, own) in enumerate(charts):
        corner = (GAP + place % across * (width + GAP), GAP + place // across * (height + GAP))
        _chart(pen, corner, column, bars_of(column, own, extent(column, decoded.columns)))
    return sheet


def bars_of(column: Column, own: Values, ends: tuple[float, float]) -> np.ndarray:
    """Shares of rows ``(bars,)``: of each category (the commonest in the data first), or of equal ranges of numbers
    between ``ends``."""
    if column.numeric:
        numbers = own[~np.isnan(own)]
        counts = np.histogram(numbers, BARS, (ends[0], max(ends[1], ends[0] + 1e-9)))[0]
    else:
        states = len(column.categories) + len(column.rest)
        order = np.argsort(-np.array(column.counts[: len(column.categories)] or [0] * len(column.categories)))
        found = np.bincount(own[own >= 0].astype(np.int64), minlength=states)
        counts = np.concatenate([found[: len(column.categories)][order], found[len(column.categories) :]])[:BARS]
    return counts / max(len(own), 1)


def _chart(pen: ImageDraw.ImageDraw, corner: tuple[int, int], column: Column, shares: np.ndarray) -> None:
    left, top = corner
    width, height = CELL
    floor, head = top + height, top + 14
    name = column.name.encode("latin-1", "replace").decode("latin-1")
    pen.text((left, top), name if len(name) <= 27 else f"{name[:26]}~", fill=SHARE_INK)
    pen.line((left, floor, left + width, floor), fill=FRAME)
    if not len(shares) or shares.max() <= 0:
        return
    step = width / len(shares)
    for place, share in enumerate(shares / shares.max()):
        if share > 0:
            x = left + place * step
            pen.rectangle((x, floor - max(1.0, share * (floor - head)), x + max(step - 2, 1), floor), fill=INK)


# ---------------------------------------------------------------------- files


def write_files(
    parts: Iterable[tuple[Sequence[int], Tensor]], folder: Path, spec: DataSpec | None = None
) -> Iterator[int]:
    """One ``table.csv`` (UTF-8, commas) with the columns of the data, a line a row; yields how many each part had.

    Texts that a spreadsheet would take for formulas get an apostrophe in front; numbers and dates do not.
    """
    temporary = folder / "table.csv.part"
    done = 0
    try:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([guarded(column.name) for column in layout_of(spec).columns])
            for _, rows in parts:
                writer.writerows(lines_of(values(rows, spec, serial=done + 1)))
                done += len(rows)
                yield len(rows)
        temporary.replace(folder / "table.csv")
    finally:
        temporary.unlink(missing_ok=True)


def write_parquet(
    parts: Iterable[tuple[Sequence[int], Tensor]], path: Path, spec: DataSpec | None = None
) -> Iterator[int]:
    """One Parquet file of typed columns, missing values null; yields how many rows each part had."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise SparringError("writing parquet needs pyarrow: pip install 'sparring[parquet]'") from None
    temporary = path.with_name(f"{path.name}.part")
    done, writer = 0, None
    try:
        for _, rows in parts:
            table = pa.table(typed(values(rows, spec, serial=done + 1)))
            if writer is None:
                writer = pq.ParquetWriter(temporary, table.schema)
            writer.write_table(table)
            done += len(rows)
            yield len(rows)
        if writer is not None:
            writer.close()
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
