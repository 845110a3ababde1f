"""Single pictures at their full depth: 8 and 16 bit, whole numbers, floating point, any number of channels in ``.npy``.

16-bit colour is read twice, once for each byte (`sparring.data.sixteen`).
"""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, ImageFile

from sparring.data.decode import FORMATS, ORIENTATION, BadPictureError, reason
from sparring.data.geometry import Range
from sparring.data.parallel import quiet_decoders
from sparring.data.sixteen import GREY_ALPHA, OTHER_BYTE, rawmode, sixteen

Kind = Literal["png", "tiff", "npy"]
MOST_IN_FILE = 1 << 28  # pixels of an encoded picture; an .npy is read piece by piece and may be of any size
MAGIC = b"\x93NUMPY"
CHANNELS = 16  # that an array may have at most
RANGES = {np.dtype(np.uint8): (0.0, 255.0), np.dtype(np.uint16): (0.0, 65535.0)}
File = Path | bytes  # where a picture lies, or its content


@dataclass(frozen=True)
class Meta:
    """What a file says beside its pixels.

    Attributes:
        icc: colour profile.
        exif: without the rotation, which is applied.
        dpi: pixels per inch across and down.
    """

    icc: bytes = field(default=b"", repr=False)
    exif: bytes = field(default=b"", repr=False)
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True)
class Picture:
    """One picture, as deep as it was kept.

    Attributes:
        values: ``(h, w, c)`` of any numeric type, without transparency.
        alpha: transparency ``(h, w)`` of that type, or None.
        low, high: the values that -1 and 1 stand for.
        meta: what else the file says.
        kind: what keeps all of it: png where values have 8 or 16 bits.
        first: of an array, whether its channels came first.
        notes: what was decided, as sentences.
    """

    values: np.ndarray
    alpha: np.ndarray | None
    low: float
    high: float
    meta: Meta = Meta()
    kind: Kind = "png"
    first: bool = False
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.values.shape[0], self.values.shape[1]


def read_deep(path: Path, given: Range = None) -> Picture:
    """Read one picture.

    Args:
        path: PNG, JPEG, WebP, BMP, GIF, TIFF, PPM, or ``.npy``.
        given: the values that -1 and 1 stand for; None: those of its type, and of floating point 0 to 1 or -1 to 1.

    Raises:
        BadPictureError: saying what is wrong with it, in a few words.
    """
    if path.suffix.lower() == ".npy":
        return of_array(_read_npy(path), given, "npy")
    try:
        with quiet_decoders(), _allowing_large(), _open(path) as image:
            return _decode(path, image, given)
    except BadPictureError:
        raise
    except Exception as error:  # decoders meet a stranger's bytes, and raise nearly anything
        raise BadPictureError(reason(error)) from None


def read_bytes(data: bytes, given: Range = None) -> Picture:
    """As `read_deep`, of a file's content, and with Pillow's own limit of pixels. Raises `BadPictureError`."""
    try:
        if data.startswith(MAGIC):
            return of_array(_read_npy(data), given, "npy")
        with _open(data) as image:
            return _decode(data, image, given)
    except BadPictureError:
        raise
    except Exception as error:  # decoders meet a stranger's bytes, and raise nearly anything
        raise BadPictureError(reason(error)) from None


def size_of(path: Path) -> tuple[int, int]:
    """Height and width, as a person sees it, from the header. Raises `BadPictureError`."""
    if path.suffix.lower() == ".npy":
        values, _ = channels_last(_read_npy(path))
        return values.shape[0], values.shape[1]
    try:
        with quiet_decoders(), _allowing_large(), _open(path) as image:
            width, height = image.size
            turned = image.format in ("JPEG", "MPO", "TIFF", "WEBP") and image.getexif().get(ORIENTATION, 1) >= 5
            return (width, height) if turned else (height, width)
    except BadPictureError:
        raise
    except Exception as error:
        raise BadPictureError(reason(error)) from None


def of_array(values: np.ndarray, given: Range = None, kind: Kind = "png") -> Picture:
    """An array ``(h, w)``, ``(h, w, c)`` or ``(c, h, w)`` of numbers. Raises `BadPictureError`."""
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * 255
    if not (np.issubdtype(values.dtype, np.integer) or np.issubdtype(values.dtype, np.floating)):
        raise BadPictureError(f"it holds {values.dtype}; pictures are numbers")
    last, first = channels_last(values)
    low, high = _range(last, given)
    return Picture(last, None, low, high, kind=kind, first=first)


def of_image(image: Image.Image, given: Range = None) -> Picture:
    """A picture that Pillow holds, whatever its mode. Raises `BadPictureError`."""
    notes: list[str] = []
    mode = image.mode
    if mode == "F" or mode.startswith("I"):
        values = np.asarray(image)
        if mode != "F" and values.min() >= 0 and values.max() <= 65535:
            values = values.astype(np.uint16)
        return replace(of_array(values, given, "tiff" if mode == "F" else "png"), notes=tuple(notes))
    if mode == "CMYK":
        notes.append("CMYK is converted to RGB without its colour profile")
    if mode in ("1", "L") and not image.has_transparency_data:
        image = image.convert("L")
    elif mode == "L":
        image = image.convert("LA")
    elif mode in ("PA", "La", "RGBa") or (mode in ("P", "RGB") and image.has_transparency_data):
        image = image.convert("RGBA")
    elif mode not in ("LA", "RGB", "RGBA"):
        try:
            image = image.convert("RGB")
        except ValueError:
            raise BadPictureError(f"pixels of the kind '{mode}' are not supported") from None
    pixels = np.asarray(image)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return replace(_split(pixels, given), notes=tuple(notes))


def _decode(file: File, image: ImageFile.ImageFile, given: Range) -> Picture:
    notes = []
    if getattr(image, "is_animated", False) and image.format != "MPO":
        notes.append("of several frames or pages the first is taken")
    raw = rawmode(image)
    if raw in OTHER_BYTE or raw == GREY_ALPHA:
        picture = _split(sixteen(image, lambda: _open(file), raw), given)
    else:
        image.load()
        picture = of_image(image, given)
        notes += picture.notes
    exif = image.getexif()
    orientation = exif.get(ORIENTATION, 1)
    kept = b""
    if image.format in ("JPEG", "MPO", "PNG", "WEBP"):  # the tags of a TIFF say where its pixels lie
        exif.pop(ORIENTATION, None)
        kept = exif.tobytes() if len(exif) else b""
    icc = b"" if image.mode in ("CMYK", "LAB", "YCbCr") else image.info.get("icc_profile") or b""
    dpi = image.info.get("dpi")
    meta = Meta(icc, kept, (float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None)
    kind: Kind = "tiff" if image.format == "TIFF" or picture.values.dtype not in RANGES else "png"
    alpha = None if picture.alpha is None else _turned(picture.alpha, orientation)
    values = _turned(picture.values, orientation)
    return replace(picture, values=values, alpha=alpha, meta=meta, kind=kind, notes=tuple(notes))


def _split(pixels: np.ndarray, given: Range) -> Picture:
    """``(h, w, c)`` with c of 1 to 4 into colour and transparency."""
    low, high = _range(pixels, given)
    if pixels.shape[-1] in (2, 4):
        return Picture(pixels[..., :-1], pixels[..., -1], low, high)
    return Picture(pixels, None, low, high)


def _open(file: File) -> ImageFile.ImageFile:
    image = Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS)
    if image.width * image.height > MOST_IN_FILE:
        raise BadPictureError(
            f"{image.width}x{image.height} pixels are more than {MOST_IN_FILE >> 20} Mi; cut it up, or give an .npy"
        )
    return image


@contextlib.contextmanager
def _allowing_large() -> Iterator[None]:
    """A person names these files: the limit is ours, not the one that Pillow has for a stranger's."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _read_npy(file: File) -> np.ndarray:
    try:
        if isinstance(file, bytes):
            return np.asanyarray(np.load(io.BytesIO(file), allow_pickle=False))
        return np.asanyarray(np.load(file, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise _no_numbers(error) from None


def read_npy_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type, without the values. Raises `BadPictureError`."""
    try:
        old = np.lib.format.read_magic(file) == (1, 0)
        shape, _, dtype = (np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0)(file)
    except (OSError, ValueError, EOFError) as error:
        raise _no_numbers(error) from None
    if dtype.hasobject:
        raise _no_numbers(ValueError("pickle"))
    return tuple(shape), dtype


def _no_numbers(error: Exception) -> BadPictureError:
    text = " ".join(str(error).split())[:120]
    if "pickle" in text.lower():
        return BadPictureError("it holds Python objects, and sparring never unpickles; save plain numbers")
    return BadPictureError(f"not a whole .npy of numbers ({text})")


def channels_last(values: np.ndarray) -> tuple[np.ndarray, bool]:
    """``(h, w, c)``, and whether the channels came first."""
    if values.ndim == 2 and 0 not in values.shape:
        return values[..., None], False
    if values.ndim == 3 and 0 not in values.shape:
        if values.shape[2] <= CHANNELS:
            return values, False
        if values.shape[0] <= CHANNELS:
            return np.moveaxis(values, 0, -1), True
    raise BadPictureError(
        f"an array of the shape {values.shape} is no picture; give (h, w), (h, w, channels) or (channels, h, w)"
    )


def _range(values: np.ndarray, given: Range) -> tuple[float, float]:
    """The values that -1 and 1 stand for; what lies outside is refused, never clipped."""
    if given is None and values.dtype in RANGES:
        return RANGES[values.dtype]
    rows = [values[start : start + 256] for start in range(0, len(values), 256)]  # an .npy stays on the disk
    low, high = min(float(part.min()) for part in rows), max(float(part.max()) for part in rows)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadPictureError("it holds values that are not finite (NaN or infinity)")
    bounds = given
    if bounds is None and np.issubdtype(values.dtype, np.floating) and low >= -1 and high <= 1:
        bounds = (0.0, 1.0) if low >= 0 else (-1.0, 1.0)
    if bounds is None or low < bounds[0] or high > bounds[1]:
        raise BadPictureError(
            f"its values run from {low:g} to {high:g}"
            + (f", outside of {bounds[0]:g} to {bounds[1]:g}" if bounds else "")
            + "; say which values are black and white: --range LOW,HIGH, in training --data.range LOW,HIGH"
        )
    return bounds


def _turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """Upright, by EXIF's eight orientations."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values
