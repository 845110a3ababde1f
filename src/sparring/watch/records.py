"""What is kept for good: a line of ``log.jsonl`` per tick, a line of ``events.jsonl`` per event."""

import json
import math
import numbers
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from sparring.core.files import write_atomic
from sparring.core.folder import RunFolder
from sparring.core.observer import Tick, Watcher
from sparring.watch.words import now


class Lines:
    """A ``.jsonl`` file that is only ever appended to, a whole line at a time."""

    def __init__(self, path: Path):
        self.path = path
        self._whole = False  # whether the file is known to end with a newline

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line in one write. Raises `OSError` when it cannot be written whole."""
        line = (json.dumps(clean(record), allow_nan=False) + "\n").encode()
        if not self._whole:
            self.heal()
        self._whole = False
        with open(self.path, "ab", buffering=0) as file:
            if file.write(line) != len(line):
                raise OSError(f"{self.path}: only part of a line could be written; is the disk full?")
        self._whole = True

    def heal(self) -> None:
        """Trim a last line that a crash cut short; end it when only its newline is missing."""
        if self.path.is_file():
            with open(self.path, "r+b") as file:
                data = file.read()
                start = data.rfind(b"\n") + 1
                if _record(data[start:]) is not None:
                    file.write(b"\n")
                elif start < len(data):
                    file.truncate(start)
        self._whole = True

    def keep_until(self, nimg: int) -> None:
        """Drop, atomically, the lines of images beyond ``nimg`` and those that are no records."""
        self.heal()
        if not self.path.is_file():
            return
        lines = self.path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if (record := _record(line)) and _nimg(record) <= nimg]
        if len(kept) < len(lines):
            write_atomic(self.path, b"".join(kept))


class Records(Watcher):
    """Writes the run's log and its events. A run that is set back drops the log of the future that it lost."""

    def __init__(self, folder: RunFolder):
        self.log, self.events = Lines(folder.log), Lines(folder.events)
        self.nimg: int | None = None

    def start(self, nimg: int, total_nimg: int) -> None:
        self.nimg = nimg
        self.log.keep_until(nimg)
        self.events.heal()

    def tick(self, tick: Tick) -> None:
        if self.nimg is not None and tick.nimg <= self.nimg:  # rolled back while running
            self.log.keep_until(tick.nimg - 1)
        self.nimg = tick.nimg
        self.log.append(
            {
                "nimg": tick.nimg,
                "kimg": tick.nimg / 1000,
                "total_kimg": tick.total_nimg / 1000,
                "seconds": round(tick.seconds, 3),
                "images_per_second": round(tick.images_per_second, 3),
                "memory_mb": round(tick.memory_mb, 1),
                "terms": tick.terms,
                "time": now(),
            }
        )

    def event(self, kind: str, message: str, **details: Any) -> None:
        """Keep an event; without an ``nimg`` of its own it gets that of the last tick."""
        position = {} if self.nimg is None else {"nimg": self.nimg}
        self.events.append({"kind": kind, "message": message, **position, "time": now(), **details})

    def picture(self, path: Path, nimg: int) -> None:
        self.nimg = nimg


def clean(value: Any) -> Any:
    """The JSON form of whatever an event carries: NaN and infinities become None, the unknown becomes its text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): clean(item) for key, item in value.items()}
    if isinstance(value, Tensor | np.ndarray):
        return clean(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item) for item in value]
    return str(value)


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:  # UnicodeDecodeError is one too
        return None
    return record if isinstance(record, dict) else None


def _nimg(record: Mapping[str, Any]) -> float:
    nimg = record.get("nimg")
    return nimg if isinstance(nimg, int | float) else math.inf
