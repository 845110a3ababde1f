"""16-bit colour by way of Pillow, which reads it as 8 bits, but can be told which of the two bytes to take."""

from collections.abc import Callable

import numpy as np
from PIL import ImageFile

# The other byte of each 16-bit value, by the mode that Pillow reads.
OTHER_BYTE = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGBA;16B": "RGBA;16L", "RGBA;16L": "RGBA;16B"}
GREY_ALPHA = "LA;16B"


def rawmode(image: ImageFile.ImageFile) -> str:
    """How the decoder reads the file's bytes, ``RGB;16B`` for example."""
    if not image.tile:
        return ""
    args = image.tile[0][3]
    raw = args[0] if isinstance(args, tuple) and args else args
    if isinstance(raw, str) and raw.endswith(";16N"):  # libtiff hands over the machine's own order
        return raw[:-1] + ("L" if np.little_endian else "B")
    return raw if isinstance(raw, str) else ""


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether a picture that was not loaded yet may hold more than 8 bits a value."""
    return image.mode == "F" or image.mode.startswith("I") or ";16" in rawmode(image)


def sixteen(image: ImageFile.ImageFile, again: Callable[[], ImageFile.ImageFile], raw: str) -> np.ndarray:
    """uint16 ``(h, w, c)`` of 16-bit colour, or of grey with transparency; ``again`` opens the same file once more."""
    if raw == GREY_ALPHA:  # four bytes a pixel, which Pillow reads as they are
        with again() as other:
            _read_as(other, "RGBA")
            four = np.asarray(other).astype(np.uint16)
        return np.stack([four[..., 0] << 8 | four[..., 1], four[..., 2] << 8 | four[..., 3]], -1)
    image.load()
    with again() as other:
        _read_as(other, OTHER_BYTE[raw])
        upper, lower = np.asarray(image).astype(np.uint16), np.asarray(other)
    return upper << 8 | lower


def _read_as(image: ImageFile.ImageFile, raw: str) -> None:
    if raw == "RGBA":
        image._mode = "RGBA"
    image.tile = [
        tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw) for tile in image.tile
    ]
    image.load()
