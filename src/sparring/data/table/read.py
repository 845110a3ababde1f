"""Text in columns, in pieces, from delimited files of any dialect and encoding, and from Parquet.

Whatever a file holds becomes text first, so that a column means the same from wherever it comes. A file is read through
as often as is asked for and never kept whole.
"""

import codecs
import csv
import gzip
import io
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from sparring.core.cells import is_number
from sparring.core.errors import SparringError

PIECE = 32_768  # rows
PREVIEW = 1 << 18  # bytes by which dialect and encoding are found
DELIMITERS = ",;\t|"
TEXT_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
MOST_COLUMNS = 20_000
LONGEST = 1 << 20  # characters in a cell

Piece = list[Sequence[str]]  # a sequence of cells for each column
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass
class TextTable:
    """A table as text.

    Attributes:
        where: the file, for people.
        names: of the columns, all different.
        pieces: reads it through from the start, some rows at a time.
        notes: what was decided about it, as sentences.
        ragged: line number and number of cells of the rows that were left out, in the last reading.
    """

    where: str
    names: tuple[str, ...]
    pieces: Callable[[], Iterator[Piece]]
    notes: list[str] = field(default_factory=list)
    ragged: list[tuple[int, int]] = field(default_factory=list)


def read_text(path: Path, header: bool | None = None) -> TextTable:
    """A file of delimited text, also as ``.gz``.

    Args:
        header: whether its first line names the columns; None: seen from the line.

    Raises:
        SparringError: for what is no text, or empty.
    """
    start = _start(path)
    if not start.strip():
        raise SparringError(f"{path} is empty; it has no row")
    encoding = _encoding(path, start)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(start)
    if "\0" in text:
        raise SparringError(f"{path} is not text: it holds NUL characters; give CSV, TSV or Parquet")
    delimiter = find_delimiter(text)
    first = next((row for row in _rows_of(io.StringIO(text, newline=""), delimiter, path) if _filled(row)), [])
    if len(first) > MOST_COLUMNS:
        raise SparringError(f"{path} has {len(first):,} columns; {MOST_COLUMNS:,} are the most that are read")
    if header is None:
        header = looks_like_names(first)
    notes = [] if encoding in ("utf-8", "utf-8-sig") else [f"the file is not UTF-8: it was read as {encoding}"]
    names = tuple(cell.strip() for cell in first) if header else tuple(f"column {k + 1}" for k in range(len(first)))
    if not header:
        notes.append(
            "the first line holds values, not names: columns are numbered (header = true in a schema names them)"
        )
    table = TextTable(str(path), distinct(names, notes), lambda: iter(()), notes)
    table.pieces = lambda: _pieces(table, path, encoding, delimiter, bool(header))
    return table


def _open(path: Path) -> BinaryIO:
    try:
        return cast(BinaryIO, gzip.open(path, "rb") if path.suffix.lower() == ".gz" else open(path, "rb"))
    except OSError as error:
        raise SparringError(f"cannot read {path}: {error.strerror or error}") from None


def _start(path: Path) -> bytes:
    try:
        with _open(path) as file:
            return file.read(PREVIEW)
    except (OSError, EOFError, zlib.error) as error:
        raise SparringError(f"cannot read {path}: it is damaged or cut off ({error})") from None


def _encoding(path: Path, start: bytes) -> str:
    """UTF-8 or UTF-16 where the file says or is so throughout, else Windows' western one, which reads anything."""
    for mark, name in MARKS:
        if start.startswith(mark):
            return name
    for place, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(start) > 3 and start[place::2].count(0) > len(start) // 4:
            return name
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with _open(path) as file:
            while block := file.read(1 << 20):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    except (OSError, EOFError, zlib.error) as error:
        raise SparringError(f"cannot read {path}: it is damaged or cut off ({error})") from None
    return "utf-8"


def find_delimiter(text: str) -> str:
    """The delimiter that cuts most of the first lines into equally many cells, two or more; a comma where none does."""
    best, most = ",", 0
    for delimiter in DELIMITERS:
        lines = list(_some_rows(text, delimiter))
        lengths = [len(row) for row in lines[:-1] or lines if _filled(row)]
        if not lengths:
            continue
        usual = max(set(lengths), key=lengths.count)
        score = lengths.count(usual) * (usual > 1) * (1000 + usual) // len(lengths)
        if score > most:
            best, most = delimiter, score
    return best


def _some_rows(text: str, delimiter: str, most: int = 50) -> Iterator[list[str]]:
    try:
        for _, row in zip(range(most), csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), strict=False):
            yield row
    except csv.Error:
        return


def looks_like_names(row: Sequence[str]) -> bool:
    """Whether a first row names columns: no cell of it is a number, and some cell holds something."""
    return any(cell.strip() for cell in row) and not any(is_number(cell.strip()) for cell in row)


def distinct(names: Sequence[str], notes: list[str]) -> tuple[str, ...]:
    """Names that are all different and never empty; what was changed is noted."""
    taken: set[str] = set()
    made = []
    for place, name in enumerate(names):
        own = " ".join(name.split()) or f"column {place + 1}"
        candidate, count = own, 2
        while candidate in taken:
            candidate, count = f"{own} ({count})", count + 1
        if candidate != own:
            notes.append(f"two columns are called '{own}': the later one is '{candidate}' from here on")
        taken.add(candidate)
        made.append(candidate)
    return tuple(made)


def _pieces(table: TextTable, path: Path, encoding: str, delimiter: str, header: bool) -> Iterator[Piece]:
    table.ragged.clear()
    width, rows, skip = len(table.names), list[list[str]](), header
    with _open(path) as raw:
        # Undefined bytes of cp1252, and the end of a UTF-16 file cut off, become the replacement character.
        text = io.TextIOWrapper(cast(Any, raw), encoding, errors="replace", newline="")
        for number, row in enumerate(_rows_of(text, delimiter, path), 1):
            if not _filled(row):
                continue
            if skip:
                skip = False
                continue
            if len(row) != width:
                table.ragged.append((number, len(row)))
                continue
            rows.append(row)
            if len(rows) == PIECE:
                yield list(zip(*rows, strict=True))
                rows = []
    if rows:
        yield list(zip(*rows, strict=True))


def _filled(row: Sequence[str]) -> bool:
    return len(row) > 1 or bool(row and row[0].strip())


def _rows_of(text: io.TextIOBase, delimiter: str, path: Path) -> Iterator[list[str]]:
    csv.field_size_limit(LONGEST)
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True)
    try:
        yield from reader
    except csv.Error as error:
        raise SparringError(f"{path}, line {reader.line_num}: {error}; is there a quotation mark too many?") from None
    except (OSError, EOFError, zlib.error) as error:
        raise SparringError(f"cannot read {path}: it is damaged or cut off ({error})") from None


def read_parquet_table(path: Path) -> TextTable:
    """A Parquet file, or a folder of them. Raises `SparringError` when pyarrow is missing or a file is damaged."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise SparringError("reading parquet needs pyarrow: pip install 'sparring[parquet]'") from None
    paths = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]

    def pieces() -> Iterator[Piece]:
        try:
            for part in paths:
                for batch in pq.ParquetFile(part).iter_batches(PIECE):
                    yield [[as_text(cell) for cell in column.to_pylist()] for column in batch.columns]
        except (pa.ArrowException, OSError) as error:
            raise SparringError(f"cannot read {path} as parquet: {' '.join(str(error).split())[:200]}") from None

    try:
        names = list(pq.read_schema(paths[0]).names)
    except (pa.ArrowException, OSError) as error:
        raise SparringError(f"cannot read {path} as parquet: {' '.join(str(error).split())[:200]}") from None
    notes: list[str] = []
    return TextTable(str(path), distinct(names, notes), pieces, notes)


def as_text(cell: Any) -> str:
    """A cell of a typed table as it would stand in a file; "" where it is missing."""
    if cell is None or type(cell).__name__ in ("NaTType", "NAType") or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1 << 53:
        return str(int(cell))
    if hasattr(cell, "isoformat"):
        return str(cell.isoformat(sep=" ") if hasattr(cell, "hour") and hasattr(cell, "year") else cell.isoformat())
    return str(cell)
