"""Looking at every picture once: headers first, to choose a size, then all pixels, to know what there is."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from sparring.data.decode import BadPictureError, Decoded, Look, look, reason
from sparring.data.deep import decode_any, fit_shares, look_at_array
from sparring.data.files import Files
from sparring.data.geometry import OWN, Geometry, Size, fit
from sparring.data.parallel import Progress, spread
from sparring.data.pixels import fewest


@dataclass(frozen=True)
class Record:
    """What is known of one picture.

    Attributes:
        name: its path below the source.
        problem: why it cannot be used; empty for a good one.
        size: ``(height, width)`` before it is brought to size.
        mode: Pillow's mode, or the kind of an array.
        channels: the fewest that hold it.
        digest: of its pixels at the final size.
        constant: whether it is nearly one plain colour.
        policies: what was decided about it.
    """

    name: str
    problem: str = ""
    size: Size = (0, 0)
    mode: str = ""
    channels: int = 0
    digest: bytes = b""
    constant: bool = False
    policies: tuple[str, ...] = ()


def look_at_all(files: Files, chosen: Sequence[int], progress: Progress | None = None) -> list[Look | str]:
    """Every header, or why it cannot be read."""

    def one(index: int) -> Look | str:
        try:
            is_array = files.names[index].lower().endswith(".npy")
            return (look_at_array if is_array else look)(partial(files.open, index))
        except BadPictureError as error:
            return str(error)

    return list(spread(one, chosen, "look at", progress))


def read_picture(files: Files, index: int) -> bytes:
    """A whole encoded picture. Raises `BadPictureError`."""
    try:
        return files.read(index)
    except BadPictureError:
        raise
    except Exception as error:  # zips raise nearly anything on damaged members
        raise BadPictureError(reason(error)) from None


def decode_all(
    files: Files,
    chosen: Sequence[int],
    looks: Sequence[Look | str],
    geometry: Geometry,
    *,
    keep: bool,
    progress: Progress | None = None,
) -> tuple[list[Record], list[np.ndarray]]:
    """Decode every picture. Returns a record of each, and the pixels ``(h, w, c)`` of the good ones if ``keep``."""

    def one(item: tuple[int, Look | str]) -> tuple[Record, np.ndarray | None]:
        index, seen = item
        name = files.names[index]
        if isinstance(seen, str):
            return Record(name, seen), None
        try:
            decoded = decode_any(read_picture(files, index), geometry)
        except BadPictureError as error:
            return Record(name, str(error), seen.size, seen.mode), None
        return _record(name, seen.size, seen.mode, decoded), decoded.pixels if keep else None

    records: list[Record] = []
    pixels: list[np.ndarray] = []
    for record, kept in spread(one, zip(chosen, looks, strict=True), "read", progress):
        records.append(record)
        if kept is not None:
            pixels.append(kept)
    return records, pixels


def fit_all(
    pixels: np.ndarray, kind: str, geometry: Geometry, progress: Progress | None = None
) -> tuple[list[Record], np.ndarray]:
    """Bring decoded pictures ``(n, h, w, c)`` to size. Returns a record of each, and all with their fewest channels."""
    size: Size = (pixels.shape[1], pixels.shape[2])
    if geometry.fitted not in (size, OWN):

        def one(picture: np.ndarray) -> np.ndarray:
            if picture.dtype != np.uint8:
                return fit_shares((picture + 1) / 2, geometry) * 2 - 1
            image = Image.fromarray(np.ascontiguousarray(picture[..., 0] if picture.shape[-1] == 1 else picture))
            fitted = np.asarray(fit(image, geometry))
            return fitted[..., None] if fitted.ndim == 2 else fitted

        resized = np.empty((len(pixels), *geometry.fitted, pixels.shape[-1]), pixels.dtype)
        for index, picture in enumerate(spread(one, pixels, "resize", progress)):
            resized[index] = picture
        pixels = resized
    pixels = fewest(pixels)
    width = len(str(len(pixels) - 1))
    records = [_record(f"#{index:0{width}d}", size, kind, Decoded(picture)) for index, picture in enumerate(pixels)]
    return records, pixels


def _record(name: str, size: Size, mode: str, decoded: Decoded) -> Record:
    channels = decoded.pixels.shape[-1]
    return Record(name, "", size, mode, channels, decoded.digest, decoded.constant, decoded.policies)


def sizes_of(looks: Sequence[Look | str]) -> Counter[Size]:
    """How many readable pictures there are of each size."""
    return Counter(seen.size for seen in looks if isinstance(seen, Look))
