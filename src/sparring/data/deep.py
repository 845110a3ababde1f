"""Pictures of more than 8 bits for training: 16 bits, floating point, ``.npy``, kept as float32 in [-1, 1].

Where a set holds one such picture, all of it is kept so: 16-bit values lose nothing in float32, and neither do 8-bit
ones. Whole numbers run from 0 to 255 or 65,535 and floating point from 0 to 1, or all of them over ``data.range``.
"""

from collections.abc import Callable, Sequence
from typing import BinaryIO

import numpy as np
from PIL import Image

from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.data.decode import BadPictureError, Decoded, Look, decode, reason
from sparring.data.depth import MAGIC, channels_last, read_bytes, read_npy_header
from sparring.data.geometry import Geometry, Range, fit, parse_range
from sparring.data.pixels import fewest

MOST_CHANNELS = 4
KEPT = "values of more than 8 bits are kept as they are"


def look_at_array(open_file: Callable[[], BinaryIO]) -> Look:
    """Read the header of an ``.npy``. Raises `BadPictureError`."""
    try:
        with open_file() as file:
            shape, dtype = read_npy_header(file)
    except BadPictureError:
        raise
    except Exception as error:  # zips raise nearly anything on damaged members
        raise BadPictureError(reason(error)) from None
    last, _ = channels_last(np.broadcast_to(np.zeros((), np.uint8), shape))
    height, width, channels = last.shape
    if channels > MOST_CHANNELS:
        raise BadPictureError(f"it has {channels} channels; pictures to train on have 1 to {MOST_CHANNELS}")
    return Look((height, width), f"{dtype} array", "NPY", True, channels)


def are_deep(looks: Sequence[Look | str], settings: Data) -> bool:
    """Whether a set is kept at more than 8 bits."""
    if settings.depth == "8":
        if settings.range:
            raise SparringError("data.range is for pictures kept at their depth; leave it out, or data.depth 8")
        return False
    return bool(settings.range) or any(isinstance(seen, Look) and seen.deep for seen in looks)


def range_of(settings: Data) -> Range:
    """What ``data.range`` says. Raises `SparringError`."""
    return parse_range(settings.range, "data.range")


def decode_any(data: bytes, geometry: Geometry) -> Decoded:
    """A whole picture at its depth, brought to size. Raises `BadPictureError`."""
    if not geometry.deep and not data.startswith(MAGIC):
        return decode(data, geometry)
    picture = read_bytes(data, geometry.range)
    values = picture.values if picture.alpha is None else np.dstack([picture.values, picture.alpha])
    if picture.low < 0 and geometry.range is None:
        raise BadPictureError("floating point runs from 0 to 1, and some of its values are below; say data.range -1,1")
    shares = ((values.astype(np.float64) - picture.low) / (picture.high - picture.low)).astype(np.float32)
    fitted = fit_shares(shares, geometry)
    if not geometry.deep:
        return Decoded(fewest(np.rint(fitted * 255).astype(np.uint8)), picture.notes)
    notes = (KEPT, *picture.notes) if values.dtype != np.uint8 else picture.notes
    return Decoded(fewest(fitted * 2 - 1), notes)


def fit_shares(shares: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Float32 ``(h, w, c)`` from 0 to 1, or the half that is the picture, brought to size channel by channel."""
    width = shares.shape[1] // 2
    if geometry.part != "whole":
        shares = shares[:, :width] if geometry.part == "left" else shares[:, -width:]
    bands = [
        np.asarray(fit(Image.fromarray(np.ascontiguousarray(band)), geometry)) for band in np.moveaxis(shares, -1, 0)
    ]
    return np.clip(np.stack(bands, -1), 0, 1)
