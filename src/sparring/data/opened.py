"""A source that was read through, and its final form: the checks, the channels, the fingerprint."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.data.crops import Wholes, size_kept
from sparring.data.dataset import DataSet, Reader
from sparring.data.decode import Look
from sparring.data.deep import range_of
from sparring.data.geometry import Geometry, Part
from sparring.data.labels import compact, labels_warning
from sparring.data.notes import stated
from sparring.data.pixels import to_channels
from sparring.data.scans import Scan
from sparring.data.sources import Source
from sparring.data.survey import Record

MEMORY_LIMIT = 2 << 30  # bytes of decoded pixels


@dataclass
class Opened:
    """A source after it was read through.

    Attributes:
        source: what was found.
        scan: the sum of what was seen.
        records: every picture; empty when the scan was remembered.
        pixels: of the good ones, ``(h, w, c)`` each, uint8 or float32 in [-1, 1], when the set is kept in memory.
        part: what of each file is the picture.
    """

    source: Source
    scan: Scan
    records: list[Record]
    pixels: list[np.ndarray] | np.ndarray | None
    part: Part = "whole"


def keep_pixels(looks: Sequence[Look | str], geometry: Geometry, settings: Data) -> bool:
    """Whether decoded pixels are kept in memory."""
    if settings.store != "auto":
        return settings.store == "memory"
    good = [seen for seen in looks if isinstance(seen, Look)]
    most = max((seen.channels for seen in good), default=1)
    channels = most if settings.channels == "auto" else int(settings.channels)
    sizes = [size_kept(seen, geometry) for seen in good]
    return channels * sum(h * w for h, w in sizes) * (4 if geometry.deep else 1) <= MEMORY_LIMIT


def check(opened: Opened, source: str, settings: Data) -> None:
    """Raise `SparringError` when too few pictures are good, or too many bad."""
    scan = opened.scan
    if scan.bad:
        name, why = next(iter(scan.bad.items()))
        share = len(scan.bad) / scan.count
        if len(scan.bad) == scan.count:
            raise SparringError(f"none of the {scan.count:,} pictures of {source} can be read; {name}: {why}")
        if share > settings.max_bad:
            raise SparringError(
                f"{len(scan.bad):,} of {scan.count:,} pictures of {source} cannot be read ({share:.1%}, more than "
                f"{settings.max_bad:.1%}), first {name}: {why}; mend or remove them, or raise --data.max-bad"
            )
    if scan.count - len(scan.bad) < 2:
        raise SparringError(f"{source} has one picture that can be read; a set needs two or more")


def finish(opened: Opened, settings: Data) -> DataSet:
    """Bring what was read to its final form."""
    found, scan = opened.source, opened.scan
    layout, arrays = found.layout, found.arrays
    labels, classes = (layout or arrays).labels, (layout or arrays).classes  # type: ignore[union-attr]
    names = layout.names if layout else ()
    good = np.array([name not in scan.bad for name in names]) if layout else np.ones(scan.count, bool)
    counts: tuple[int, ...] = ()
    if labels is not None:
        labels, classes, counts = compact(labels[good], classes)
        if len(classes) < 2:
            labels, classes, counts = None, (), ()
    shape = (scan.channels, *scan.size)
    spec = DataSpec("image", shape, tuple(classes), counts, int(good.sum()), deep=scan.deep)
    notes = [*(layout or arrays).notes, *stated(scan, settings, found.name)]  # type: ignore[union-attr]
    if arrays is not None and settings.store == "stream":
        notes.append("a set of arrays is always kept in memory")
    if warning := labels_warning(spec):
        notes.append(warning)
    geometry = Geometry(
        *(scan.size, settings.fit, scan.reason, opened.part, False),
        *(scan.whole, scan.step, scan.deep, range_of(settings)),
    )
    pixels: torch.Tensor | None = None
    reader: Reader | Wholes | None = None
    if opened.pixels is not None and scan.whole is not None:
        reader = Wholes(tuple(_in_channels(picture, scan) for picture in opened.pixels), geometry)
    elif opened.pixels is not None:
        pixels = _stack(opened.pixels, scan)
    elif found.files is not None and layout is not None:
        chosen = tuple(index for index, usable in zip(layout.chosen, good, strict=True) if usable)
        reader = Reader(found.files, chosen, geometry, scan.channels)
    return DataSet(
        found.name,
        spec,
        _fingerprint(scan, spec, labels),
        tuple(notes),
        None if labels is None else torch.from_numpy(labels),
        pixels,
        reader,
    )


def _stack(pixels: list[np.ndarray] | np.ndarray, scan: Scan) -> torch.Tensor:
    """All pictures as ``(n, c, h, w)``; each is let go of as it is copied."""
    stacked = np.empty((len(pixels), scan.channels, *scan.size), pixels[0].dtype)
    for index in range(len(pixels)):
        stacked[index] = _in_channels(pixels[index], scan)
        if isinstance(pixels, list):
            pixels[index] = pixels[index][:0]
    return torch.from_numpy(stacked)


def _in_channels(picture: np.ndarray, scan: Scan) -> np.ndarray:
    """``(h, w, c)`` to ``(channels, h, w)``."""
    return to_channels(picture, scan.channels).transpose(2, 0, 1)


def _fingerprint(scan: Scan, spec: DataSpec, labels: np.ndarray | None) -> str:
    """Of the pixels of every good picture in order, their final shape, labels and class names."""
    digest = hashlib.sha256(f"{scan.digest} {spec.shape} {spec.classes} ".encode())
    digest.update(b"" if labels is None else labels.astype("<i8").tobytes())
    return digest.hexdigest()
