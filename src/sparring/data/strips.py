"""Writing a picture strip by strip, at full depth: PNG and TIFF (8 and 16 bit, TIFF also floating point), and ``.npy``.

Pillow writes whole pictures only, and 16-bit colour not at all. PNG as ISO/IEC 15948, each row with filter 1 (Sub);
TIFF 6.0, little endian, Deflate. A file appears when it is whole: until then it goes under another name.
"""

import os
import struct
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from sparring.data.decode import BadPictureError
from sparring.data.depth import Kind, Meta

LEVEL = 1  # of compression: more takes several times as long, and noise does not get smaller
PIECE = 1 << 20  # bytes of a PNG's chunk
ROWS = 64  # of a TIFF's strip
MOST_TIFF = (1 << 32) - (1 << 26)  # bytes: places in a TIFF are 32-bit numbers
GREY, COLOUR, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 4, 6
PNG_TYPES = {1: GREY, 2: GREY_ALPHA, 3: COLOUR, 4: COLOUR_ALPHA}
SUFFIX: dict[Kind, str] = {"png": ".png", "tiff": ".tif", "npy": ".npy"}


class Strips(ABC):
    """A picture being written from the top down; a context manager that leaves no half file behind.

    Args:
        path: where it will be.
        shape: ``(height, width, channels)``; channels of 2 and 4 have transparency, but for arrays.
        dtype: of the values.
        meta: what else to say.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: np.dtype, meta: Meta):
        self.path, self.shape, self.dtype, self.meta = path, shape, dtype, meta
        self.temporary = path.with_name(f".{path.name}.{os.getpid()}.part")

    def __enter__(self) -> "Strips":
        try:
            self.begin()
        except BaseException:
            self.temporary.unlink(missing_ok=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.end(whole=kind is None)
            if kind is None:
                os.replace(self.temporary, self.path)
        finally:
            self.temporary.unlink(missing_ok=True)

    @abstractmethod
    def begin(self) -> None:
        """Open the file."""

    @abstractmethod
    def write(self, rows: np.ndarray) -> None:
        """The next rows ``(n, width, channels)`` of the type that was said."""

    @abstractmethod
    def end(self, whole: bool) -> None:
        """Close the file; ``whole``: all rows were written."""


def open_strips(
    kind: Kind, path: Path, shape: tuple[int, int, int], dtype: np.dtype, meta: Meta, first: bool
) -> Strips:
    """A writer of that kind. Raises `BadPictureError` for what such a file cannot hold."""
    if kind == "npy":
        return NpyStrips(path, shape, dtype, meta, first)
    if shape[2] not in PNG_TYPES:
        raise BadPictureError(f"a {kind} of {shape[2]} channels is not written; say --format npy")
    if kind == "png":
        if dtype not in (np.uint8, np.uint16):
            raise BadPictureError(f"a PNG holds 8 and 16 bits, not {dtype}; say --format tiff or npy")
        return PngStrips(path, shape, dtype, meta)
    if dtype.kind not in "uif" or dtype.itemsize > 4:
        raise BadPictureError(f"a TIFF of {dtype} is not written; say --format npy")
    if int(np.prod(shape)) * dtype.itemsize > MOST_TIFF:
        raise BadPictureError("a TIFF holds 4 GiB at most; say --format png or npy")
    return TiffStrips(path, shape, dtype, meta)


class PngStrips(Strips):
    """8 or 16 bits, 1 to 4 channels."""

    file: BinaryIO

    def begin(self) -> None:
        height, width, channels = self.shape
        self.file = open(self.temporary, "wb")  # noqa: SIM115 (`end` closes it)
        self.deflate = zlib.compressobj(LEVEL)
        self.waiting = bytearray()
        self.file.write(b"\x89PNG\r\n\x1a\n")
        self._chunk(
            b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * self.dtype.itemsize, PNG_TYPES[channels], 0, 0, 0)
        )
        if self.meta.icc:
            self._chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(self.meta.icc))
        if self.meta.dpi:
            across, down = (round(value / 0.0254) for value in self.meta.dpi)  # per metre
            self._chunk(b"pHYs", struct.pack(">IIB", across, down, 1))
        if self.meta.exif:
            self._chunk(b"eXIf", self.meta.exif.removeprefix(b"Exif\0\0"))

    def write(self, rows: np.ndarray) -> None:
        flat = np.ascontiguousarray(rows, self.dtype.newbyteorder(">")).view(np.uint8).reshape(len(rows), -1)
        step = self.dtype.itemsize * self.shape[2]
        filtered = np.empty((len(rows), 1 + flat.shape[1]), np.uint8)
        filtered[:, 0] = 1
        filtered[:, 1 : 1 + step] = flat[:, :step]
        np.subtract(flat[:, step:], flat[:, :-step], out=filtered[:, 1 + step :])
        self.waiting += self.deflate.compress(filtered.tobytes())
        if len(self.waiting) >= PIECE:
            self._chunk(b"IDAT", bytes(self.waiting))
            self.waiting.clear()

    def end(self, whole: bool) -> None:
        if whole:
            self._chunk(b"IDAT", bytes(self.waiting) + self.deflate.flush())
            self._chunk(b"IEND", b"")
        self.file.close()

    def _chunk(self, name: bytes, data: bytes) -> None:
        self.file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))


class TiffStrips(Strips):
    """Whole numbers or floating point of 8 to 32 bits, 1 to 4 channels."""

    file: BinaryIO

    def begin(self) -> None:
        self.file = open(self.temporary, "wb")  # noqa: SIM115 (`end` closes it)
        self.file.write(b"II*\0" + bytes(4))  # where the directory is, is written last
        self.waiting = np.empty((0, *self.shape[1:]), self.dtype)
        self.places: list[int] = []
        self.sizes: list[int] = []

    def write(self, rows: np.ndarray) -> None:
        self.waiting = np.concatenate([self.waiting, rows.astype(self.dtype, copy=False)])
        while len(self.waiting) >= ROWS:
            self._strip(self.waiting[:ROWS])
            self.waiting = self.waiting[ROWS:]

    def end(self, whole: bool) -> None:
        if whole:
            if len(self.waiting):
                self._strip(self.waiting)
            self._directory()
        self.file.close()

    def _strip(self, rows: np.ndarray) -> None:
        data = zlib.compress(np.ascontiguousarray(rows, self.dtype.newbyteorder("<")).tobytes(), LEVEL)
        self.places.append(self.file.tell())
        self.sizes.append(len(data))
        self.file.write(data + bytes(len(data) % 2))

    def _directory(self) -> None:
        height, width, channels = self.shape
        short, long, rational, undefined = (3, "H"), (4, "I"), (5, "I"), (7, "B")
        sample = {"u": 1, "i": 2, "f": 3}[self.dtype.kind]
        across, down = (round(value * 1000) for value in self.meta.dpi or (72.0, 72.0))
        tags = [
            (256, long, [width]),
            (257, long, [height]),
            (258, short, [8 * self.dtype.itemsize] * channels),
            (259, short, [8]),  # Deflate
            (262, short, [2 if channels >= 3 else 1]),  # RGB, or 0 is black
            (273, long, self.places),
            (277, short, [channels]),
            (278, long, [ROWS]),
            (279, long, self.sizes),
            (282, rational, [across, 1000]),
            (283, rational, [down, 1000]),
            (284, short, [1]),
            (296, short, [2]),  # inches
            *([(338, short, [2])] if channels in (2, 4) else []),  # transparency that was not multiplied in
            (339, short, [sample] * channels),
            *([(34675, undefined, list(self.meta.icc))] if self.meta.icc else []),
        ]
        entries = b""
        for tag, (kind, letter), values in tags:
            data = struct.pack(f"<{len(values)}{letter}", *values)
            count = len(values) // 2 if kind == 5 else len(values)
            if len(data) > 4:
                place = self.file.tell()
                self.file.write(data + bytes(len(data) % 2))
                data = struct.pack("<I", place)
            entries += struct.pack("<HHI", tag, kind, count) + data.ljust(4, b"\0")
        place = self.file.tell()
        self.file.write(struct.pack("<H", len(tags)) + entries + bytes(4))
        self.file.seek(4)
        self.file.write(struct.pack("<I", place))


class NpyStrips(Strips):
    """Any number of channels, first or last as they came; a picture without a channel axis keeps none."""

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: np.dtype, meta: Meta, first: bool):
        super().__init__(path, shape, dtype, meta)
        self.first, self.row = first, 0

    def begin(self) -> None:
        height, width, channels = self.shape
        shape: tuple[int, ...] = (channels, height, width) if self.first else self.shape
        if channels == 1 and not self.first:
            shape = (height, width)
        with open(self.temporary, "wb"):
            self.values = np.lib.format.open_memmap(self.temporary, mode="w+", dtype=self.dtype, shape=shape)

    def write(self, rows: np.ndarray) -> None:
        part = slice(self.row, self.row + len(rows))
        self.row = part.stop
        if self.first:
            self.values[:, part] = np.moveaxis(rows, -1, 0)
        else:
            self.values[part] = rows[..., 0] if self.values.ndim == 2 else rows

    def end(self, whole: bool) -> None:
        if whole:
            self.values.flush()
        del self.values
