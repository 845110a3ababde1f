"""From a source to a `DataSet`: choose a size, read everything once, count what is bad, keep or stream."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.data import scans
from sparring.data.arrays import Arrays
from sparring.data.dataset import DataSet, Reader
from sparring.data.decode import Look
from sparring.data.geometry import Geometry, choose
from sparring.data.labels import compact, labels_warning
from sparring.data.mixtures import is_mixture, open_mixture
from sparring.data.notes import stated
from sparring.data.parallel import Progress
from sparring.data.pixels import to_channels
from sparring.data.scans import Scan
from sparring.data.sources import Source, locate
from sparring.data.survey import Record, decode_all, fit_all, look_at_all, sizes_of

DEFAULT = Data()
MEMORY_LIMIT = 2 << 30  # bytes of decoded pixels


@dataclass
class Opened:
    """A source after it was read through.

    Attributes:
        source: what was found.
        scan: the sum of what was seen.
        records: every picture; empty when the scan was remembered.
        pixels: uint8 of the good ones, ``(h, w, c)`` each, when the set is kept in memory.
    """

    source: Source
    scan: Scan
    records: list[Record]
    pixels: list[np.ndarray] | np.ndarray | None


def open_data(source: str, settings: Data = DEFAULT, progress: Progress | None = None) -> DataSet:
    """Open real data.

    Args:
        source: a built-in name (digits, mnist, fashion-mnist, cifar10, ring, grid), a folder or ``.zip`` of pictures,
            ``.npz``, ``.npy``, idx or ``.parquet``.
        settings: size, channels, labels and where samples are kept.
        progress: called as ``progress(stage, done, total)``.

    Raises `SparringError` for whatever a person can put right.
    """
    if is_mixture(source):
        return open_mixture(source, settings)
    opened = read_through(source, settings, progress)
    check(opened, source, settings)
    return finish(opened, settings)


def arrays_as_data(name: str, arrays: Arrays, settings: Data = DEFAULT) -> DataSet:
    """Decoded pictures as a `DataSet`. Raises `SparringError` as `open_data` does."""
    opened = _of_arrays(Source(name, arrays=arrays), settings, None)
    check(opened, name, settings)
    return finish(opened, settings)


def read_through(source: str, settings: Data, progress: Progress | None = None, remember: bool = True) -> Opened:
    """Locate a source and read every picture once; what was seen of a streamed set before is ``remember``ed."""
    found = locate(source, settings, progress)
    if found.arrays is not None:
        return _of_arrays(found, settings, progress)
    if found.files is None or found.layout is None:
        raise ValueError("a source is files with a layout, or arrays")
    key = scans.key(found.files.stamp(), found.layout.names, settings)
    scan = scans.recall(key) if remember and settings.store != "memory" else None
    if scan is not None:
        return Opened(found, scan, [], None)
    looks = look_at_all(found.files, found.layout.chosen, progress)
    sizes = sizes_of(looks)
    if not sizes:
        records = [Record(name, str(why)) for name, why in zip(found.layout.names, looks, strict=True)]
        return Opened(found, scans.summary(records, Geometry((0, 0), settings.fit, ""), settings), records, None)
    geometry = choose(sizes, settings)
    keep = _keep(looks, geometry, settings)
    records, pixels = decode_all(found.files, found.layout.chosen, looks, geometry, keep=keep, progress=progress)
    scan = scans.summary(records, geometry, settings)
    if not keep and remember:
        scans.store(key, scan)
    return Opened(found, scan, records, pixels if keep else None)


def _of_arrays(found: Source, settings: Data, progress: Progress | None) -> Opened:
    arrays = found.arrays
    if arrays is None:
        raise ValueError("no arrays")
    height, width = arrays.pixels.shape[1:3]
    geometry = choose({(height, width): len(arrays.pixels)}, settings)
    records, pixels = fit_all(arrays.pixels, arrays.kind, geometry, progress)
    return Opened(found, scans.summary(records, geometry, settings), records, pixels)


def _keep(looks: Sequence[Look | str], geometry: Geometry, settings: Data) -> bool:
    if settings.store != "auto":
        return settings.store == "memory"
    good = [seen for seen in looks if isinstance(seen, Look)]
    channels = max(seen.channels for seen in good) if settings.channels == "auto" else int(settings.channels)
    return len(good) * channels * geometry.size[0] * geometry.size[1] <= MEMORY_LIMIT


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
    spec = DataSpec("image", shape, tuple(classes), counts, int(good.sum()))
    notes = [*(layout or arrays).notes, *stated(scan, settings, found.name)]  # type: ignore[union-attr]
    if arrays is not None and settings.store == "stream":
        notes.append("a set of arrays is always kept in memory")
    if warning := labels_warning(spec):
        notes.append(warning)
    pixels = None if opened.pixels is None else _stack(opened.pixels, scan)
    reader = None
    if pixels is None and found.files is not None and layout is not None:
        chosen = tuple(index for index, usable in zip(layout.chosen, good, strict=True) if usable)
        reader = Reader(found.files, chosen, Geometry(scan.size, settings.fit, scan.reason), scan.channels)
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
    """All pictures as uint8 ``(n, c, h, w)``; each is let go of as it is copied."""
    stacked = np.empty((len(pixels), scan.channels, *scan.size), np.uint8)
    for index in range(len(pixels)):
        stacked[index] = to_channels(pixels[index], scan.channels).transpose(2, 0, 1)
        if isinstance(pixels, list):
            pixels[index] = pixels[index][:0]
    return torch.from_numpy(stacked)


def _fingerprint(scan: Scan, spec: DataSpec, labels: np.ndarray | None) -> str:
    """Of the pixels of every good picture in order, their final shape, labels and class names."""
    digest = hashlib.sha256(f"{scan.digest} {spec.shape} {spec.classes} ".encode())
    digest.update(b"" if labels is None else labels.astype("<i8").tobytes())
    return digest.hexdigest()
