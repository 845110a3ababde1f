"""From a file to a table as networks take it: profile each column, decide what it is, encode."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.core.cells import INFINITE, MISSING, is_number, to_time
from sparring.core.columns import Column, Layout
from sparring.core.config import Data, plain
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.rows import UNKNOWN, Rows, Values, encode, rounded, tolerance
from sparring.core.spec import DataSpec
from sparring.data.dataset import DataSet
from sparring.data.mixtures import OF_PICTURES
from sparring.data.parallel import Progress
from sparring.data.sources import short_name
from sparring.data.table.profile import Profile, column_of, states_of
from sparring.data.table.read import TEXT_SUFFIXES, Piece, TextTable, read_parquet_table, read_text
from sparring.data.table.schema import Schema, read_rules, read_schema

MOST_CLASSES = 20  # values of a last column that is taken for the target


def is_table(source: str) -> bool:
    """Whether ``source`` is a file of a table: delimited text, or Parquet without a column of pictures."""
    path = Path(source).expanduser()
    name = path.name.lower().removesuffix(".gz")
    if path.is_file() and name.endswith(TEXT_SUFFIXES):
        return True
    return path.is_file() and name.endswith(".parquet") and not _holds_pictures(path)


def _holds_pictures(path: Path) -> bool:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = [field.type for field in pq.read_schema(path)]
    except (ImportError, OSError, ValueError):  # said by whoever reads it; pyarrow's exceptions are ValueErrors
        return True
    return any(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_struct(kind) for kind in kinds)


def open_table(
    source: str, settings: Data, progress: Progress | None = None, columns: Sequence[Column] = ()
) -> DataSet:
    """Open a table.

    Args:
        source: a file.
        settings: what is held out, and the schema.
        progress: called as ``progress(stage, done, total)``.
        columns: of a table known before, by which the rows are encoded; rows that those columns cannot hold are left
            out. Nothing is held out then.

    Raises:
        SparringError: for whatever a person can put right.
    """
    for name, value in plain(settings).items():
        if name in (*OF_PICTURES, "balance") and value != getattr(Data(), name):
            raise SparringError(f"data.{name} is for pictures, and {source} is a table; leave it out")
    path, schema = Path(source).expanduser(), read_schema(settings.schema)
    text = read_parquet_table(path) if path.suffix.lower() == ".parquet" else read_text(path, schema.header)
    if columns:
        return _encoded_as(text, tuple(columns), schema, path)
    share = settings.held_out
    profiles, count = _profile(text, schema, share, progress)
    _check_ragged(text, count, settings.max_bad)
    if count < 2:
        raise SparringError(f"{source} has {count} row{'s' * (count != 1)} of values; a table needs two or more")
    notes = list(text.notes)
    if text.ragged:
        notes.append(
            f"{len(text.ragged):,} rows of another length than the first are left out, first in line "
            f"{text.ragged[0][0]:,}"
        )
    found = [column for profile in profiles if (column := column_of(profile, schema, notes))]
    found = _with_target(_with_rules(text, schema, found, share), schema, notes)
    kept, apart, found = _encode_all(text, schema, found, share, notes, progress)
    layout = Layout(tuple(found))
    if not layout.width:
        raise SparringError(f"{source} has nothing to learn: each of its columns is constant, missing or an identifier")
    data = _data_set(short_name(path), kept, layout, notes)
    if not share:
        return data
    if min(len(kept), len(apart)) < 2:
        raise SparringError(
            f"--data.held-out {share} leaves {len(kept):,} rows to train on and {len(apart):,} held out; each side "
            "needs two or more"
        )
    note = (
        f"{len(apart):,} rows ({len(apart) / (len(apart) + len(kept)):.1%}) are held out: nothing is learnt from them"
    )
    return replace(data, notes=(*data.notes, note), held_out=_data_set(data.name, apart, layout, notes))


def _data_set(name: str, kept: Tensor, layout: Layout, notes: Sequence[str]) -> DataSet:
    digest = hashlib.sha256(json.dumps([asdict(column) for column in layout.columns]).encode())
    digest.update(kept.numpy().tobytes())
    spec = DataSpec("table", (layout.width,), count=len(kept), given=(layout.asked,), columns=layout.columns)
    return DataSet(name, spec, digest.hexdigest(), tuple(notes), pixels=kept)


def _check_ragged(text: TextTable, count: int, most: float) -> None:
    if len(text.ragged) > most * (count + len(text.ragged)):
        line, cells = text.ragged[0]
        raise SparringError(
            f"{text.where}: {len(text.ragged):,} of {count + len(text.ragged):,} rows are of another length "
            f"than the first, of {len(text.names)} cells; line {line:,} has {cells}; mend them, or raise --data.max-bad"
        )


# ---------------------------------------------------------------------- reading through


def _stripped(piece: Piece) -> list[list[str]]:
    return [[cell.strip() for cell in cells] for cells in piece]


def _sides(piece: list[list[str]], text: TextTable, schema: Schema, share: float) -> NDArray[np.bool_]:
    """Which rows are held out: by a hash of what they say, so that copies stay on one side.

    Columns that a person calls identifiers, or drops, say nothing: people who are alike but for a number are copies.
    """
    if not share:
        return np.zeros(len(piece[0]), bool)
    limit = int(share * 2**64)
    said = [own for name, own in zip(text.names, piece, strict=True) if schema.kind(name) not in ("drop", "identifier")]
    rows = ("\0".join(row).encode() for row in zip(*(said or piece), strict=True))
    hashed = (hashlib.blake2b(row, digest_size=8, person=b"held out").digest() for row in rows)
    return np.array([int.from_bytes(digest, "little") < limit for digest in hashed], bool)


def _profile(text: TextTable, schema: Schema, share: float, progress: Progress | None) -> tuple[list[Profile], int]:
    for name in (*schema.columns, *schema.protected):
        if name not in text.names:
            raise SparringError(f"the schema names a column '{name}' that there is not{did_you_mean(name, text.names)}")
    profiles, count = [Profile(name, schema.format(name)) for name in text.names], 0
    for piece in map(_stripped, text.pieces()):
        ours = ~_sides(piece, text, schema, share)
        for profile, cells in zip(profiles, piece, strict=True):
            profile.see(cells if ours.all() else [c for c, own in zip(cells, ours, strict=True) if own], schema.missing)
        count += len(piece[0])
        if progress:
            progress("read rows", count, count)
    return profiles, count


def parse(column: Column, cells: Sequence[str], missing: frozenset[str] = frozenset()) -> Values:
    """Values of cells: numbers with NaN, or numbers of categories with -1, where missing, and -2 where unknown."""
    table: dict[str, float] | dict[str, int]
    different = set(cells)
    gone = {
        text for text in different if text.lower() in MISSING or text.lower() in INFINITE or text.lower() in missing
    }
    if column.kind == "date":
        times = {text: to_time(text, column.format) for text in different - gone}
        table = {text: float("nan") if time is None else time for text, time in times.items()}
    elif column.numeric:
        table = {text: _number(text) for text in different - gone}
    else:
        places = {text: place for place, text in enumerate((*column.categories, *column.rest))}
        codes = np.array([-1 if cell in gone else places.get(cell, UNKNOWN) for cell in cells], np.int64)
        return codes
    return np.array([table.get(cell, float("nan")) for cell in cells], np.float64)


def _number(text: str) -> float:
    text = text.replace(",", ".") if text.count(",") == 1 else text
    return float(text) if is_number(text) else float("nan")


def _rows(text: TextTable, columns: Sequence[Column], schema: Schema) -> Iterator[tuple[Rows, list[list[str]]]]:
    """Values piece by piece, and the text that they were read off."""
    places = [text.names.index(column.name) for column in columns]
    for piece in map(_stripped, text.pieces()):
        values = tuple(
            parse(column, piece[place], schema.missing) for column, place in zip(columns, places, strict=True)
        )
        yield Rows(tuple(columns), values), piece


def _encode_all(
    text: TextTable, schema: Schema, columns: list[Column], share: float, notes: list[str], progress: Progress | None
) -> tuple[Tensor, Tensor, list[Column]]:
    """Compact rows to train on, those held out, and the columns with the counts of their states."""
    ours, theirs, unknown, done = [], [], 0, 0
    for rows, piece in _rows(text, columns, schema):
        kept, known = encode(rows)
        apart = _sides(piece, text, schema, share)
        ours.append(kept[torch.from_numpy(~apart)])
        theirs.append(kept[torch.from_numpy(apart & known)])
        unknown += int((apart & ~known).sum())
        done += len(rows)
        if progress:
            progress("encode rows", done, done)
    if unknown:
        notes.append(f"{unknown:,} held-out rows are left out: they hold values that no row to train on has")
    kept = torch.cat(ours)
    return kept, torch.cat(theirs), _counted(kept, columns)


def _counted(kept: Tensor, columns: Sequence[Column]) -> list[Column]:
    layout = Layout(tuple(columns))
    counts = {span.place: (len(kept),) for span in layout.spans if columns[span.place].states == 1}
    for at, span in enumerate(layout.choices):
        states = kept[:, len(layout.scalars) + at].long()
        counts[span.place] = tuple(torch.bincount(states, minlength=span.states).tolist())
    return [replace(column, counts=counts.get(place, ())) for place, column in enumerate(columns)]


# ---------------------------------------------------------------------- what columns have to do with one another


def _with_rules(text: TextTable, schema: Schema, columns: list[Column], share: float) -> list[Column]:
    """Columns that follow a rule told by the columns they follow. Raises `SparringError` where the data breaks it."""
    rules = read_rules(schema, columns)
    if not rules:
        return columns
    pieces = [rows.take(~_sides(piece, text, schema, share)) for rows, piece in _rows(text, columns, schema)]
    names = [column.name for column in columns]
    for rule in rules:
        place = names.index(rule.name)
        others = (rule.base,) if rule.base else rule.terms
        own, *rest = (np.concatenate([rows[name] for rows in pieces]) for name in (rule.name, *others))
        each = [columns[names.index(name)].decimals for name in (rule.name, *others)]
        decimals = -1 if -1 in each else max(each)
        gap = rounded(own - sum(rest), decimals)
        near = tolerance(np.abs([own, *rest]).max(0), decimals)
        broken = (gap < 0) if rule.base else (np.abs(gap) > near)
        if broken.any():
            said = f"{rule.base} <= {rule.name}" if rule.base else f"{rule.name} = {' + '.join(rule.terms)}"
            raise SparringError(
                f"the rule '{said}' is broken by {int(broken.sum()):,} of {len(gap):,} rows of the data"
            )
        if rule.base:
            columns[place] = states_of(replace(columns[place], base=rule.base, decimals=decimals), gap)
        else:
            columns[place] = Column(rule.name, "sum", decimals=decimals, terms=rule.terms)
    return columns


def _with_target(columns: list[Column], schema: Schema, notes: list[str]) -> list[Column]:
    names = [column.name for column in columns]
    if schema.target and schema.target not in names:
        raise SparringError(f"the schema's target '{schema.target}' is no column{did_you_mean(schema.target, names)}")
    place = names.index(schema.target) if schema.target else len(columns) - 1
    column = columns[place] if columns else None
    if column is None or not 2 <= column.states <= MOST_CLASSES or column.scalar or column.base:
        if schema.target:
            raise SparringError(
                f"the schema's target '{schema.target}' must have 2 to {MOST_CLASSES} different values, and no rule to "
                "follow"
            )
        return columns
    if not schema.target:
        notes.append(f"target '{column.name}': the last column, which has few values (a schema can name another)")
    return [replace(item, target=item is column) for item in columns]


def _encoded_as(text: TextTable, columns: tuple[Column, ...], schema: Schema, path: Path) -> DataSet:
    """Rows of another file by the columns of a table known before."""
    lacking = [column.name for column in columns if column.kind != "identifier" and column.name not in text.names]
    if lacking:
        raise SparringError(f"{path} has no column '{lacking[0]}'{did_you_mean(lacking[0], text.names)}")
    here = [column for column in columns if column.name in text.names]
    parts, unknown = [], 0
    for rows, _ in _rows(text, here, schema):
        kept, known = encode(rows)
        parts.append(kept[torch.from_numpy(known)])
        unknown += int((~known).sum())
    kept = torch.cat(parts) if parts else torch.empty(0, 0)
    if len(kept) < 2:
        raise SparringError(f"{path} has {len(kept)} rows that these columns can hold; two or more are needed")
    notes = (
        [f"{unknown:,} rows of {path} are left out: they hold values that the training data has not"] if unknown else []
    )
    return _data_set(short_name(path), kept, Layout(columns), notes)


def rows_of(
    text: TextTable, columns: Sequence[Column], schema: Schema, held_out: float = 0.0
) -> Iterator[tuple[Rows, list[list[str]]]]:
    """Values piece by piece, and the text that they were read off: those that a share holds out, or all with none."""
    for rows, piece in _rows(text, columns, schema):
        kept = np.flatnonzero(_sides(piece, text, schema, held_out) if held_out else np.ones(len(rows), bool))
        yield rows.take(kept), [[cells[row] for row in kept] for cells in piece]
