"""From a source to a `DataSet`: choose a size, read everything once, count what is bad, keep or stream."""

from dataclasses import replace

import numpy as np

from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.data import scans
from sparring.data.arrays import Arrays
from sparring.data.crops import with_room
from sparring.data.dataset import DataSet
from sparring.data.deep import are_deep, range_of
from sparring.data.geometry import Geometry, choose, show
from sparring.data.mixtures import is_mixture, open_mixture
from sparring.data.opened import Opened, check, finish, keep_pixels
from sparring.data.parallel import Progress
from sparring.data.series import is_series, open_series
from sparring.data.sources import Source, locate
from sparring.data.survey import Record, decode_all, fit_all, look_at_all, sizes_of
from sparring.data.table import is_table, open_table
from sparring.data.two_sides import check_sides, finish_sides, read_sides

DEFAULT = Data()


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
    if is_series(source, settings):
        return open_series(source, settings)
    if is_table(source):
        return open_table(source, settings, progress)
    found = locate(source, settings, progress)
    if found.pairing is not None:
        sides = read_sides(found, settings, progress)
        check_sides(sides, source, settings)
        return finish_sides(sides, settings)
    opened = read_through(found, settings, progress)
    check(opened, source, settings)
    return finish(opened, settings)


def arrays_as_data(name: str, arrays: Arrays, settings: Data = DEFAULT) -> DataSet:
    """Decoded pictures as a `DataSet`. Raises `SparringError` as `open_data` does."""
    opened = _of_arrays(Source(name, arrays=arrays), settings, None)
    check(opened, name, settings)
    return finish(opened, settings)


def read_through(found: Source, settings: Data, progress: Progress | None = None, remember: bool = True) -> Opened:
    """Read every picture of a source once; what was seen of a streamed set before is ``remember``ed."""
    if found.arrays is not None:
        return _of_arrays(found, settings, progress)
    if found.files is None or found.layout is None:
        raise ValueError("a source is files with a layout, or arrays")
    key = scans.key(found.files.stamp(), found.layout.names, settings)
    scan = scans.recall(key) if remember and settings.store != "memory" else None
    if scan is not None:
        return Opened(found, scan, [], None)
    looks = look_at_all(found.files, found.layout.chosen, progress)
    looks = with_room(looks, settings.crop, settings)
    sizes = sizes_of(looks)
    if not sizes:
        records = [Record(name, str(why)) for name, why in zip(found.layout.names, looks, strict=True)]
        return Opened(found, scans.summary(records, Geometry((0, 0), settings.fit, ""), settings), records, None)
    geometry = replace(choose(sizes, settings), deep=are_deep(looks, settings), range=range_of(settings))
    keep = keep_pixels(looks, geometry, settings)
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
    if settings.crop > min(height, width) and settings.size == "auto":
        raise SparringError(f"data.crop {settings.crop} does not fit into pictures of {show((height, width))}")
    geometry = replace(geometry, deep=arrays.pixels.dtype != np.uint8)
    records, pixels = fit_all(arrays.pixels, arrays.kind, geometry, progress)
    return Opened(found, scans.summary(records, geometry, settings), records, pixels)
