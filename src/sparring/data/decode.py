"""One encoded picture to pixels. What a file is called does not matter, only what is in it."""

import hashlib
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

from sparring.data.geometry import OWN, Geometry, Size, fit, half
from sparring.data.pixels import fewest
from sparring.data.sixteen import is_deep, rawmode

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # an allow-list: Pillow reads many more, less hardened
_PORTABLE = (".ppm", ".pgm", ".pbm", ".pnm", ".pfm")
SUFFIXES = frozenset(
    (".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff", *_PORTABLE)
)
MOST_BYTES = 1 << 28
PLUGINS = (TiffImagePlugin, WebPImagePlugin)  # imported here once: Pillow would look for them file by file
ORIENTATION = 0x0112
_SIXTEEN = "16-bit values are scaled to 8 bit"
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8", b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


@dataclass(frozen=True)
class Look:
    """What a picture's header says: ``(height, width)`` as a person sees it, Pillow's mode and format; whether it may
    hold more than 8 bits a value; and of an array how many channels it has.
    """

    size: Size
    mode: str
    format: str
    deep: bool = False
    count: int = 0

    @property
    def channels(self) -> int:
        """The most channels its pixels can need."""
        if self.count:
            return self.count
        if self.mode in ("1", "L", "I", "F") or self.mode.startswith("I;"):
            return 2 if self.format in ("PNG", "GIF") else 1  # these may name one grey as transparent
        return {"LA": 2, "CMYK": 3, "YCbCr": 3}.get(self.mode, 3 if self.format in ("JPEG", "MPO", "BMP") else 4)


@dataclass(frozen=True)
class Decoded:
    """A picture's pixels.

    Attributes:
        pixels: ``(h, w, c)`` at the final size, with the fewest channels that hold it: uint8, or float32 in [-1, 1].
        policies: what was decided about it, as sentences.
    """

    pixels: np.ndarray
    policies: tuple[str, ...] = ()

    @property
    def digest(self) -> bytes:
        """16 bytes that two pictures share only when their pixels are equal."""
        return hashlib.blake2b(self.pixels.tobytes(), digest_size=16, salt=bytes(self.pixels.shape[-1:])).digest()

    @property
    def constant(self) -> bool:
        """Whether no channel spans more than 8 of the 256 levels, or of 65,536 where it is deeper."""
        flat = self.pixels.reshape(-1, self.pixels.shape[-1])
        parts = (flat[::61], flat)  # a few pixels tell nearly always
        most = 8 if flat.dtype == np.uint8 else 8 / 32767.5
        return all(bool((part.max(0).astype(float) - part.min(0) <= most).all()) for part in parts)


class BadPictureError(Exception):
    """Why a picture cannot be used, in a few words."""


def is_picture(head: bytes) -> bool:
    """Whether a file's first 12 bytes or more are those of an allowed format."""
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    portable = len(head) > 2 and head[:1] == b"P" and head[1:2] in b"123456fF" and head[2:3].isspace()
    return webp or portable or head.startswith(_MAGIC)


def look(open_file: Callable[[], BinaryIO]) -> Look:
    """Read a header. Raises `BadPictureError`."""
    try:
        with open_file() as file, _open(file) as image:
            width, height = image.size
            # Pillow looks for EXIF behind the pixels of a PNG, which would decode it.
            if image.format not in ("PNG", "GIF") and image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8):
                width, height = height, width
            return Look((height, width), image.mode, image.format or "", is_deep(image))
    except BadPictureError:
        raise
    except Exception as error:  # decoders meet a stranger's bytes, and raise nearly anything
        raise BadPictureError(reason(error)) from None


def decode(data: bytes, geometry: Geometry) -> Decoded:
    """Decode a whole picture and bring it to size. Raises `BadPictureError`."""
    policies: list[str] = []
    try:
        with _open(io.BytesIO(data)) as opened:
            if getattr(opened, "is_animated", False) and opened.format != "MPO":
                policies.append("of pictures with several frames or pages the first is taken")
            if ";16" in rawmode(opened) and not opened.mode.startswith("I"):
                policies.append("of 16-bit colour the upper 8 bits are taken")
            if opened.format == "JPEG" and geometry.part == "whole" and not geometry.nearest:
                # The decoder itself can shrink by 2, 4 or 8: keep twice what is needed for the resampling after it.
                least = 2 * max(geometry.fitted)
                if geometry.fitted != OWN and min(opened.size) > 2 * least:
                    scale = min(opened.size) / least
                    opened.draft(None, (int(opened.width / scale), int(opened.height / scale)))
            opened.load()
            image = ImageOps.exif_transpose(opened)
    except BadPictureError:
        raise
    except Exception as error:
        raise BadPictureError(reason(error)) from None
    image = fit(_plain(half(image, geometry.part), policies), geometry)
    pixels = np.asarray(image)
    return Decoded(fewest(pixels[..., None] if pixels.ndim == 2 else pixels), tuple(policies))


def reason(error: Exception) -> str:
    """A few words for a person."""
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "too many pixels (a decompression bomb?)"
    if isinstance(error, UnidentifiedImageError):
        return "not a PNG, JPEG, WebP, BMP, GIF, TIFF or PPM picture"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())[:120]
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "the file is cut short"
    if isinstance(error, zlib.error) or "CRC" in text:
        return "the file is damaged (wrong checksum)"
    return f"damaged: {text or type(error).__name__}"


def _open(file: BinaryIO) -> ImageFile.ImageFile:
    image = Image.open(file, formats=FORMATS)
    limit = Image.MAX_IMAGE_PIXELS
    if limit and image.width * image.height > limit:  # where the warning was not made an error
        raise Image.DecompressionBombError
    return image


def _plain(image: Image.Image, policies: list[str]) -> Image.Image:
    """To L, LA, RGB or RGBA."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _from_numbers(image, policies)
    if image.mode in ("1", "L"):
        return image.convert("LA" if image.has_transparency_data else "L")
    if image.mode in ("LA", "RGBA"):
        return image
    if image.mode in ("La", "PA", "RGBa") or (image.mode in ("P", "RGB") and image.has_transparency_data):
        return image.convert("RGBA")
    if image.mode == "CMYK":
        policies.append("CMYK pictures are converted to RGB without a colour profile")
    try:
        return image if image.mode == "RGB" else image.convert("RGB")
    except ValueError:
        raise BadPictureError(f"pixels of the kind '{image.mode}' are not supported") from None


def _from_numbers(image: Image.Image, policies: list[str]) -> Image.Image:
    """16- or 32-bit whole numbers in 0..65535, or floats in 0..1, to 8 bit. Never clips: other values are refused."""
    values = np.asarray(image)
    if image.mode == "F":
        top, scale, policy = 1.0, 255.0, "floating-point values (0 to 1) are scaled to 8 bit"
    else:
        top, scale, policy = 65535.0, 1 / 257, _SIXTEEN
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= top):  # also refuses NaN
        raise BadPictureError(f"its values run from {low:g} to {high:g}, expected 0 to {top:g}")
    policies.append(policy)
    return Image.fromarray(np.rint(values.astype(np.float64) * scale).astype(np.uint8))
