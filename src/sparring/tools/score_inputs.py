"""What ``sparring score`` scores: pictures or rows, by name, read as the run's training data was read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sparring.core.config import Data
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.spec import DataSpec
from sparring.data import DataSet
from sparring.data.opened import check, finish
from sparring.data.opening import read_through
from sparring.data.parallel import Progress
from sparring.data.sources import locate
from sparring.data.table import is_table
from sparring.data.table.strange import Strangers, read_strangers
from sparring.modalities import modality


@dataclass(frozen=True)
class Samples:
    """What is scored.

    Attributes:
        spec: of the run.
        unit: ``file`` or ``row``.
        names: of each sample, a file below the source or a row counted from 1.
        source: reads samples by number; of a table its rows.
        labels: of each sample, or None.
    """

    spec: DataSpec
    unit: str
    names: tuple[str, ...]
    source: DataSet | Strangers
    labels: tuple[str, ...] | None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def read(self, places: Sequence[int]) -> Tensor:
        """Samples ``(n, *spec.shape)`` as networks see them."""
        return read_of(self.source, places, self.spec)


def read_of(source: DataSet | Strangers, places: Sequence[int], spec: DataSpec) -> Tensor:
    """Samples of those places ``(n, *spec.shape)`` as networks see them."""
    if isinstance(source, Strangers):
        return source.encoded[list(places)]
    decoded: Tensor = modality(spec.modality).decode(source.get(places)[0], spec)
    return decoded


def open_samples(source: str, spec: DataSpec, settings: Data, labels: str, progress: Progress | None) -> Samples:
    """Read ``source`` as the run's training data was read. Raises `SparringError` where it is of another kind."""
    if is_table(source) and not spec.columns:
        raise SparringError(f"the run was trained on pictures, and {source} is a table; score pictures with it")
    if spec.columns and not is_table(source):
        raise SparringError(f"the run was trained on a table, and {source} is no file of one; give CSV, TSV or Parquet")
    if spec.columns:
        if any(column.name == labels and column.kind != "constant" for column in spec.columns):
            raise SparringError(
                f"the run knows the column '{labels}' itself, so scores cannot be measured by it; train without it"
            )
        rows = read_strangers(source, spec.columns, settings.schema, labels, progress)
        return Samples(spec, "row", _numbered(len(rows)), rows, rows.labels, rows.notes)
    if labels:
        raise SparringError("--labels names a column of a table; pictures have a folder for each class")
    channels, height, width = spec.shape
    size = settings.size if settings.crop else f"{height}x{width}"
    alike = replace(settings, size=size, pairs="none", channels=str(channels), held_out=0.0, labels="auto")  # type: ignore[arg-type]
    found = locate(source, alike, progress)
    opened = read_through(found, alike, progress)
    check(opened, source, alike)
    data = finish(opened, alike)
    classes = None if data.labels is None else tuple(data.spec.classes[label] for label in data.labels.tolist())
    notes = data.notes
    if settings.crop:
        notes += (
            f"of each picture the {height}x{width} in its middle are scored and nothing else: the run learnt from "
            "squares cut out of larger pictures (--data.crop); cut new ones into such squares to have all of it scored",
        )
    if found.layout is None:
        return Samples(spec, "row", _numbered(len(data)), data, classes, notes)
    names = tuple(name for name in found.layout.names if name not in opened.scan.bad)
    return Samples(spec, "file", names, data, classes, notes)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(1, count + 1)))


def abnormal_of(samples: Samples, normal: str, source: str) -> NDArray[np.bool_] | None:
    """Which samples are of another class than ``normal``; None where nobody asked."""
    if not normal:
        return None
    if samples.labels is None:
        raise SparringError(
            f"--normal {normal} names a class, and {source} has none: pictures need a folder for each, a table needs "
            "--labels COLUMN"
        )
    known = set(samples.labels)
    if normal not in known:
        raise SparringError(f"{source} has no class '{normal}'{did_you_mean(normal, known)}")
    if len(known) < 2:
        raise SparringError(f"all of {source} is '{normal}': there is nothing abnormal to tell from it")
    return np.array([label != normal for label in samples.labels])
