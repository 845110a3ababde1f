"""From a table or an array to series as networks take them: read, hold out, fill, cut, scale, encode."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.core.columns import Column, Layout
from sparring.core.config import Data, plain
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.rows import Rows
from sparring.core.rows import encode as compact_rows
from sparring.core.series import Channel, Series
from sparring.core.spec import DataSpec
from sparring.core.steps import encode
from sparring.data.dataset import DataSet
from sparring.data.mixtures import OF_PICTURES
from sparring.data.series.recordings import Found, Recording, read_array, read_table
from sparring.data.series.windows import Sides, cut, divide, fill, padded, stride_for
from sparring.data.sources import short_name
from sparring.data.table import is_table
from sparring.data.table.opening import parse
from sparring.data.table.profile import Profile, column_of
from sparring.data.table.read import read_parquet_table, read_text
from sparring.data.table.schema import Schema, read_schema

ARRAYS = (".npy", ".npz")
USUAL = 24  # steps of a window when nobody says


def is_series(source: str, settings: Data) -> bool:
    """Whether ``source`` is to be read as series: by a window, or by [series] in the schema."""
    return settings.window > 0 or bool(settings.schema and read_schema(settings.schema).series is not None)


def usual_window(source: str) -> int:
    """The window of a source of which only the family says that it is of series: of an array its whole length."""
    path = Path(source).expanduser()
    if path.suffix.lower() in ARRAYS and path.is_file():
        return max((recording.steps for recording in read_array(path).recordings), default=USUAL)
    return USUAL


@dataclass(frozen=True)
class _Samples:
    """One side, cut: values ``(n, channels, length)``, and a row of attribute cells for each."""

    values: NDArray[np.float64]
    attributes: list[tuple[str, ...]]


def open_series(source: str, settings: Data, known: Series | None = None, length: int = 0) -> DataSet:
    """Open series.

    Args:
        source: a long table (a row a step), or an ``.npy`` or ``.npz`` of ``(n, length, channels)``.
        settings: the window, what is held out, and the schema.
        known: of series known before, by which these are encoded, with their ``length``. Nothing is held out then.

    Raises:
        SparringError: for whatever a person can put right.
    """
    for name, value in plain(settings).items():
        if name in (*OF_PICTURES, "balance") and value != getattr(Data(), name):
            raise SparringError(f"data.{name} is for pictures, and {source} is to be series; leave it out")
    schema = read_schema(settings.schema)
    window = settings.window or (schema.series.window if schema.series else 0)
    found = _read(source, schema, settings, known)
    if Path(source).suffix.lower() in ARRAYS and window >= max((own.steps for own in found.recordings), default=0):
        window = 0  # an array's series stay whole, and may end before others
    if not window and len(found.recordings) == 1 and known is None:
        raise SparringError(
            f"{source} is one long series: say into windows of how many steps to cut it (--data.window)"
        )
    whole = known is not None or not settings.held_out
    sides = Sides(found.recordings, []) if whole else divide(found.recordings, settings.held_out, window or 2)
    notes = found.notes
    ours = fill(sides.ours, found.channels, notes)
    theirs = fill(sides.theirs, found.channels, [])
    length = length or window or max((recording.steps for recording in ours), default=0)
    stride = known.stride if known else stride_for(ours, window) if window and _cuts(ours, window) else 0
    if stride > 1 and known is None:
        notes.append(f"windows begin at every {stride}th step: of all of them there would be too many")
    lesson, exam = (_cut(side, length, stride, window > 0, source, notes) for side in (ours, theirs))
    if len(lesson.values) < 2:
        raise SparringError(
            f"{source} gives {len(lesson.values)} samples of {length} steps from {len(ours):,} series (the longest has "
            f"{max((own.steps for own in ours), default=0):,}); two or more are needed: take a shorter --data.window"
        )
    series = known or _describe(lesson, found, schema, stride, notes)
    data = _encoded(lesson, series, found, schema, source, notes)
    if whole:
        return data
    apart = _encoded(exam, series, found, schema, source, notes) if len(exam.values) else None
    if apart is None or min(len(data), len(apart)) < 2:
        raise SparringError(
            f"--data.held-out {settings.held_out:g} leaves {len(data):,} samples to train on and "
            f"{0 if apart is None else len(apart)} held out; each side needs two or more"
        )
    note = f"held out: {sides.how}, {len(apart):,} samples beside {len(data):,}; nothing is learnt from them"
    return replace(data, notes=(*notes, note), held_out=replace(apart, notes=tuple(notes)))


def _read(source: str, schema: Schema, settings: Data, known: Series | None) -> Found:
    path = Path(source).expanduser()
    if not path.exists():
        raise SparringError(f"there is no file {source}")
    names = tuple(channel.name for channel in known.channels) if known else ()
    if path.suffix.lower() in ARRAYS:
        found = read_array(path)
        if known and (known.attributes or len(found.channels) != len(names)):
            raise SparringError(f"{source} has other channels or attributes than the series before")
        return found
    if not is_table(source):
        raise SparringError(
            f"series are read from tables (CSV, TSV, Parquet) and arrays (n, length, channels) in .npy or .npz; "
            f"{source} is none"
        )
    text = read_parquet_table(path) if path.suffix.lower() == ".parquet" else read_text(path, schema.header)
    found = read_table(text, schema, settings.max_bad, names)
    if known:
        for column in known.attributes:
            if column.name not in found.attributes:
                raise SparringError(
                    f"{source} needs the attribute '{column.name}'{did_you_mean(column.name, found.attributes)}"
                )
    return found


def _cuts(recordings: Sequence[Recording], window: int) -> bool:
    """Whether any is longer than the window; else each is a sample of its own, in no order."""
    return any(recording.steps > window for recording in recordings)


def _cut(
    recordings: list[Recording], length: int, stride: int, windows: bool, source: str, notes: list[str]
) -> _Samples:
    """Windows, or whole series padded to one length."""
    if windows:
        values, attributes, short = cut(recordings, length, stride or 1)
        if short:
            notes.append(f"{short:,} series of {source} are left out: they are shorter than the window of {length}")
        return _Samples(values, attributes)
    lasting = [recording for recording in recordings if 2 <= recording.steps <= length]
    if len(lasting) < len(recordings):
        notes.append(
            f"{len(recordings) - len(lasting):,} series of {source} are left out: they have one step, or more than "
            f"{length:,}, the most of those that are learnt from"
        )
    return _Samples(padded(lasting, length), [recording.attributes for recording in lasting])


# ---------------------------------------------------------------------- what is learnt of the training side


def _describe(lesson: _Samples, found: Found, schema: Schema, stride: int, notes: list[str]) -> Series:
    lows, highs = np.nanmin(lesson.values, axis=(0, 2)).tolist(), np.nanmax(lesson.values, axis=(0, 2)).tolist()
    channels = tuple(map(Channel, found.channels, lows, highs, found.decimals))
    constant = [channel.name for channel in channels if channel.minimum == channel.maximum]
    if len(constant) == len(channels):
        raise SparringError("there is nothing to learn: each channel is constant")
    if constant:
        notes.append(f"always the same, and so in samples: {', '.join(constant)}")
    flags = bool(np.isnan(lesson.values).any())
    if flags:
        notes.append("lengths differ: a flag says of each step whether the series goes on")
    return Series(channels, _attributes(lesson, found, schema, notes), flags, stride)


def _attributes(lesson: _Samples, found: Found, schema: Schema, notes: list[str]) -> tuple[Column, ...]:
    """The columns of attributes, with the counts of their states."""
    columns = []
    for place, name in enumerate(found.attributes):
        profile = Profile(name)
        profile.see([row[place] for row in lesson.attributes], schema.missing)
        column = column_of(profile, schema, notes)
        if column is None or not column.learnt:
            raise SparringError(f"the attribute '{name}' tells series apart and says nothing of them; leave it out")
        columns.append(column)
    if not columns:
        return ()
    layout = Layout(tuple(columns))
    kept, _ = compact_rows(_rows(lesson, found, tuple(columns), schema))
    counts = {span.place: (len(kept),) for span in layout.spans if columns[span.place].states == 1}
    for at, span in enumerate(layout.choices):
        states = kept[:, len(layout.scalars) + at].long()
        counts[span.place] = tuple(torch.bincount(states, minlength=span.states).tolist())
    return tuple(replace(column, counts=counts.get(place, ())) for place, column in enumerate(columns))


def _rows(side: _Samples, found: Found, columns: tuple[Column, ...], schema: Schema) -> Rows:
    places = [found.attributes.index(column.name) for column in columns]
    cells = [[row[place] for row in side.attributes] for place in places]
    return Rows(columns, tuple(parse(c, own, schema.missing) for c, own in zip(columns, cells, strict=True)))


def _encoded(side: _Samples, series: Series, found: Found, schema: Schema, source: str, notes: list[str]) -> DataSet:
    """One side as a data set; what these channels and attributes cannot hold is cut off or left out, and noted."""
    values, attributes = side.values, torch.zeros(len(side.values), 0)
    if series.attributes and len(values):
        attributes, known = compact_rows(_rows(side, found, series.attributes, schema))
        if not known.all():
            notes.append(
                f"{int((~known).sum()):,} series are left out: they have attributes that no series to train on has"
            )
            values, attributes = values[known], attributes[torch.from_numpy(known)]
    lasting = series.flags | ~np.isnan(values).any((1, 2))
    if not lasting.all():
        notes.append(f"{int((~lasting).sum()):,} series are left out: they end before those to train on")
        values, attributes = values[lasting], attributes[torch.from_numpy(lasting)]
    low = np.array([[channel.minimum] for channel in series.channels])
    high = np.array([[channel.maximum] for channel in series.channels])
    beyond = int(((values < low) | (values > high)).sum())
    if beyond:
        notes.append(
            f"{beyond / max((~np.isnan(values)).sum(), 1):.1%} of the values to compare with lie beyond the range of "
            "those to train on, and are cut off there"
        )
    return _data_set(short_name(Path(source).expanduser()), encode(values, attributes, series), series, notes)


def _data_set(name: str, samples: Tensor, series: Series, notes: Sequence[str]) -> DataSet:
    digest = hashlib.sha256(json.dumps(asdict(series)).encode())
    digest.update(samples.numpy().tobytes())
    spec = DataSpec("series", tuple(samples.shape[1:]), count=len(samples), series=series)
    return DataSet(name, spec, digest.hexdigest(), tuple(notes), pixels=samples)
