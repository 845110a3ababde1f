"""Sets that lie decoded in one file: npz, npy, idx, CIFAR's binary batches; and scikit-learn's digits."""

import gzip
import math
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.data.deep import range_of
from sparring.data.labels import numbered

IMAGE_KEYS = ("x_train", "train_images", "images", "x", "X", "data", "arr_0")
LABEL_KEYS = ("y_train", "train_labels", "labels", "label", "y", "Y", "targets", "target", "arr_1")
ROUNDING = 1e-3  # steps of 1/255: further from a whole number 8 bits would round a value
KEPT = ("are scaled to 8 bit", "are kept at their depth")
DEFAULT = Data()
_READ_ERRORS = (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, tarfile.TarError)


@dataclass(frozen=True)
class Arrays:
    """Decoded pictures.

    Attributes:
        pixels: ``(n, h, w, c)``, c of 1 to 4: uint8, or float32 in [-1, 1].
        labels: int64 ``(n,)`` or None.
        classes: class names.
        notes: how values were brought to that.
        kind: what the values were, for people.
    """

    pixels: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    kind: str = "uint8"


def digits() -> Arrays:
    """1,797 scanned digits of 8 x 8 with 17 grey levels (scikit-learn's ``load_digits``)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    return Arrays(pixels, bunch.target.astype(np.int64), tuple(map(str, bunch.target_names)), kind="0 to 16")


# ------------------------------------------------------------------ npz, npy


def read_npz(path: Path, settings: Data = DEFAULT) -> Arrays:
    """The training pictures of an ``.npz`` and their labels, found by well-known names. Nothing is unpickled.

    Raises `SparringError` listing what the file holds when none of it is a set of pictures.
    """
    try:
        # Opened here: numpy leaves a file open that it cannot read.
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            shapes = {key: _shape(file, key) for key in file.files}
            fitting = [key for key, shape in shapes.items() if _axes(shape) is not None]
            known = [key for key in IMAGE_KEYS if key in fitting]
            if not known and len(fitting) != 1:
                held = ", ".join(f"{key} {shape}" for key, shape in shapes.items()) or "nothing"
                raise SparringError(
                    f"{path} has no array of pictures (n, h, w) or (n, h, w, channels) called {', '.join(IMAGE_KEYS)}; "
                    f"it holds {held}"
                )
            key = (known or fitting)[0]
            values = file[key]
            labels = _find_labels(file, shapes, len(values))
            names = file["class_names"] if "class_names" in shapes else None
    except _READ_ERRORS as error:
        raise SparringError(f"cannot read {path}: {_why(error)}") from None
    return from_values(values, labels, names, f"{path}:{key}", settings)


def read_npy(path: Path, settings: Data = DEFAULT) -> Arrays:
    """A set of pictures in one ``.npy``."""
    try:
        with open(path, "rb") as raw:
            values = np.load(raw, allow_pickle=False)
    except _READ_ERRORS as error:
        raise SparringError(f"cannot read {path}: {_why(error)}") from None
    return from_values(values, None, None, str(path), settings)


def _shape(file: Any, key: str) -> tuple[int, ...]:
    """The shape of a member without reading its values; () where it is an object, which would have to be unpickled."""
    with file.zip.open(f"{key}.npy" if f"{key}.npy" in file.zip.namelist() else key) as member:
        try:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(member)
        except ValueError:  # some other kind of member
            return ()
    return () if dtype.hasobject else tuple(shape)


def _find_labels(file: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], count: int) -> Any:
    for key in LABEL_KEYS:
        if shapes.get(key) in ((count,), (count, 1)):
            return file[key].reshape(count)
        if len(shapes.get(key, ())) == 2 and shapes[key][0] == count:  # one-hot
            return file[key].argmax(1)
    return None


def _axes(shape: tuple[int, ...]) -> str | None:
    """``NHW``, ``NHWC`` or ``NCHW``; None where the shape is no set of pictures."""
    if len(shape) == 3:
        return "NHW"
    if len(shape) == 4:
        return "NHWC" if shape[3] <= 4 else "NCHW" if shape[1] <= 4 else None
    return None


def from_values(
    values: np.ndarray, labels: np.ndarray | None, names: np.ndarray | None, where: str, settings: Data = DEFAULT
) -> Arrays:
    """Values of any numeric kind by a rule for the whole set, to 8 bit where that loses nothing; labels to numbers."""
    axes = _axes(values.shape)
    if axes is None or 0 in values.shape:
        raise SparringError(
            f"{where} has the shape {values.shape}; pictures are (n, h, w), (n, h, w, c) or (n, c, h, w)"
        )
    pixels, notes = _to_pixels(values, where, settings)
    pixels = pixels[..., None] if axes == "NHW" else pixels.transpose(0, 2, 3, 1) if axes == "NCHW" else pixels
    kind = f"{values.dtype} {axes}"
    if labels is None:
        return Arrays(pixels, None, (), notes, kind)
    numbers, classes = numbered([_label(value) for value in labels.tolist()])
    if names is not None and all(c.isdecimal() and int(c) < len(names) for c in classes):
        classes = tuple(str(names[int(c)]) for c in classes)
    return Arrays(pixels, numbers, classes, notes, kind)


def _label(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def _to_pixels(values: np.ndarray, where: str, settings: Data) -> tuple[np.ndarray, tuple[str, ...]]:
    span = range_of(settings)
    if values.dtype == np.uint8 and span is None:
        return values, ()
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * 255, ("yes/no values become black and white",)
    if not np.issubdtype(values.dtype, np.integer) and not np.issubdtype(values.dtype, np.floating):
        raise SparringError(f"{where} holds {values.dtype}; pictures are numbers")
    low, high = float(values.min()), float(values.max())
    whole = np.issubdtype(values.dtype, np.integer)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise SparringError(f"{where} holds values that are not finite (NaN or infinity)")
    if span is not None and span[0] <= low and high <= span[1]:
        scale, note = 255 / (span[1] - span[0]), f"values from {span[0]:g} to {span[1]:g} are scaled to 8 bit"
        shift = -span[0] * scale
    elif span is not None:
        raise SparringError(f"{where} holds values from {low:g} to {high:g}, outside of data.range {settings.range}")
    elif whole and low >= 0 and high <= 255:
        scale, shift, note = 1.0, 0.0, ""
    elif whole and low >= 0 and high <= 65535:
        scale, shift, note = 1 / 257, 0.0, "16-bit values are scaled to 8 bit"
    elif not whole and low >= 0 and high <= 1:
        scale, shift, note = 255.0, 0.0, "values from 0 to 1 are scaled to 8 bit"
    elif not whole and low >= -1 and high <= 1:
        scale, shift, note = 127.5, 127.5, "values from -1 to 1 are scaled to 8 bit"
    elif not whole and low >= 0 and high <= 255:
        scale, shift, note = 1.0, 0.0, "floating-point values from 0 to 255 are scaled to 8 bit"
    else:
        raise SparringError(
            f"{where} holds values from {low:g} to {high:g}; pictures run from 0 to 255, 0 to 65535 (whole numbers), "
            "0 to 1 or -1 to 1; for others say data.range LOW,HIGH"
        )
    pixels = np.empty(values.shape, np.uint8)
    for index, value in enumerate(values):  # one at a time: float64 copies of a whole set would be large
        exact = value.astype(np.float64) * scale + shift
        pixels[index] = np.rint(exact)
        if settings.depth == "auto" and np.abs(exact - pixels[index]).max() > ROUNDING:
            return _deep(values, scale, shift), (note.replace(*KEPT),)
    return pixels, (note,) if note else ()


def _deep(values: np.ndarray, scale: float, shift: float) -> np.ndarray:
    """Float32 in [-1, 1]."""
    pixels = np.empty(values.shape, np.float32)
    for index, value in enumerate(values):
        pixels[index] = (value.astype(np.float64) * scale + shift) / 127.5 - 1
    return pixels


# ------------------------------------------------------------------ idx, as MNIST is kept


def read_idx(images: Path, labels: Path | None) -> Arrays:
    """A pair of idx files (plain or gzip): uint8 ``(n, h, w)`` and ``(n,)``."""
    values = _idx(images)
    if values.ndim not in (3, 4):
        raise SparringError(f"{images} holds {values.ndim} dimensions; give the file of pictures, not of labels")
    numbers = _idx(labels) if labels else None
    if numbers is not None and numbers.shape != (len(values),):
        raise SparringError(f"{labels} has {len(numbers):,} labels for the {len(values):,} pictures of {images}")
    return from_values(values, numbers, None, str(images))


def _idx(path: Path) -> np.ndarray:
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else open(path, "rb") as file:
            data = file.read()
    except _READ_ERRORS as error:
        raise SparringError(f"cannot read {path}: {_why(error)}") from None
    if len(data) < 4 or data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise SparringError(f"{path} is not an idx file of bytes")
    shape = tuple(int.from_bytes(data[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(data[3]))
    start = 4 + 4 * len(shape)
    if len(data) - start != math.prod(shape):
        raise SparringError(f"{path} is cut short: it announces {shape} and holds {len(data) - start:,} bytes")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def idx_labels_of(images: Path) -> Path | None:
    """The file of labels beside ``train-images-idx3-ubyte.gz``, however the pair is spelt."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    plain = name.removesuffix(".gz")
    for candidate in (name, plain, f"{plain}.gz"):
        path = images.with_name(candidate)
        if path != images and path.is_file():
            return path
    return None


# ------------------------------------------------------------------ CIFAR-10's binary version

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def read_cifar10(path: Path, part: str = "data_batch_") -> Arrays:
    """The 50,000 training pictures of ``cifar-10-binary.tar.gz``, or the 10,000 of its ``test_batch``.

    They are records of a label and 3 x 32 x 32 bytes.

    Read as a stream of the tar; the more common python version of the set is pickled, and not read.
    """
    record = 1 + 3 * 32 * 32
    batches: dict[str, np.ndarray] = {}
    try:
        with tarfile.open(path, "r|gz") as tar:
            for member in tar:
                name = member.name.rpartition("/")[2]
                file = tar.extractfile(member) if name.startswith(part) and member.isfile() else None
                if file is not None:
                    data = np.frombuffer(file.read(), np.uint8)
                    if data.size % record:
                        raise SparringError(f"{path}: {name} is damaged, it is no whole number of records")
                    batches[name] = data.reshape(-1, record)
    except _READ_ERRORS as error:
        raise SparringError(f"cannot read {path}: {_why(error)}") from None
    if not batches:
        raise SparringError(f"{path} is not the binary version of CIFAR-10: it has no {part}*.bin")
    rows = np.concatenate([batches[name] for name in sorted(batches)])
    labels = rows[:, 0].astype(np.int64)
    if labels.max() >= len(CIFAR10):
        raise SparringError(f"{path} is damaged: it has the label {labels.max()}, expected 0 to 9")
    return Arrays(rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels, CIFAR10)


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    if "pickle" in text.lower():
        return "it holds Python objects, and sparring never unpickles; save plain numbers"
    return f"it is damaged or of another kind ({text[:120] or type(error).__name__})"
