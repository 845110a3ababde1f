"""Tar files of pictures, read in place: where each member lies is found out once, and nothing is unpacked."""

import contextlib
import io
import os
import re
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from sparring.core.errors import SparringError
from sparring.core.files import cache_folder, sha256, write_atomic
from sparring.data.files import Files, hash_of, is_junk, points_outside

SMALL = 1 << 18  # bytes: one read is faster than the many small ones of who reads a header
VERSION = 1  # of the index
MOST_SHARDS = 100_000


class TarFiles(Files):
    """The members of one tar file, or of several that are one set; of several each name begins with its file's.

    Any member is read by its offset, so shards can be as large as they like, and threads and processes share nothing.

    Raises `SparringError` for a file that is no tar, is compressed or cut short, or has a member that is a link or a
    device or would leave the folder it is unpacked in: nothing is unpacked here, but such a file was made to harm, or
    is damaged.
    """

    def __init__(self, *paths: Path):
        self.paths = paths
        root = Path(os.path.commonpath([path.parent for path in paths]))
        self.where = str(paths[0]) if len(paths) == 1 else str(root)
        found: dict[str, tuple[int, int, int]] = {}
        self._stamps: list[tuple[str, int, int]] = []
        for place, path in enumerate(paths):
            folder = "" if len(paths) == 1 else f"{path.relative_to(root).as_posix()}/"
            names, spans = read_index(path)
            self._stamps.append(_stamp(path))
            for name, (offset, size) in zip(names, spans.tolist(), strict=True):
                if not is_junk(name):
                    found[folder + name] = place, offset, size
        self.names = tuple(sorted(found))
        self._spans = np.array([found[name] for name in self.names], np.int64).reshape(-1, 3)

    def open(self, index: int) -> BinaryIO:
        place, offset, size = self._spans[index].tolist()
        file = open(self.paths[place], "rb")  # noqa: SIM115 (`Window` closes it)
        if size > SMALL:
            return cast(BinaryIO, io.BufferedReader(Window(file, offset, size)))
        with file:
            file.seek(offset)
            return io.BytesIO(file.read(size))

    def stamp(self) -> str:
        return hash_of(self._stamps)

    def __reduce__(self) -> tuple[Any, ...]:
        return TarFiles, self.paths


class Window(io.RawIOBase):
    """A part of a file as a file of its own.

    Args:
        file: open for reading; closed with this.
        first, size: where the part begins, and its bytes.
    """

    def __init__(self, file: BinaryIO, first: int, size: int):
        self.file, self.first, self.size, self.place = file, first, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.place, os.SEEK_END: self.size}[whence]
        self.place = max(0, base + offset)
        return self.place

    def readinto(self, buffer: Any) -> int:
        self.file.seek(self.first + self.place)
        data = self.file.read(max(0, min(len(buffer), self.size - self.place)))
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)

    def close(self) -> None:
        self.file.close()
        super().close()


def read_index(path: Path) -> tuple[list[str], NDArray[np.int64]]:
    """Names of the members that are files, and where each lies, int64 ``(n, 2)`` of offset and size.

    It is kept in the cache folder: a tar has no table of its own, and one of many gigabytes would have to be walked
    through at every start. Raises as `TarFiles`.
    """
    try:
        stamp = _stamp(path)
    except OSError as error:
        raise SparringError(f"cannot read {path}: {error.strerror or error}") from None
    kept = cache_folder() / "tars" / f"{sha256(repr((VERSION, str(path.resolve()), stamp)).encode())}.npz"
    try:
        with np.load(io.BytesIO(kept.read_bytes()), allow_pickle=False) as held:
            names = held["names"].tobytes().decode().split("\0") if len(held["names"]) else []
            spans = held["spans"]
            if spans.shape == (len(names), 2) and spans.dtype == np.int64:
                return names, spans
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # it is made again
    names, spans = _walk(path)
    buffer = io.BytesIO()
    np.savez(buffer, names=np.frombuffer("\0".join(names).encode(), np.uint8), spans=spans)
    with contextlib.suppress(OSError):  # then it is made again next time
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, buffer.getvalue())
    return names, spans


def _stamp(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return path.name, status.st_size, status.st_mtime_ns


def _walk(path: Path) -> tuple[list[str], NDArray[np.int64]]:
    """From header to header, once."""
    names: list[str] = []
    spans: list[tuple[int, int]] = []
    again = "; copy or download it again"
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # else it would keep them all
                _check_member(path, member)
                if member.isreg():
                    names.append(_readable(str(PurePosixPath(member.name))))
                    spans.append((member.offset_data, member.size))
            end = tar.offset
        with open(path, "rb") as file:
            file.seek(end)
            block = file.read(tarfile.BLOCKSIZE)
    except tarfile.TarError:
        if names:
            raise SparringError(f"{path} is cut short in its member '{names[-1]}'{again}") from None
        raise SparringError(f"{path} is not a tar file, or is compressed; unpack a .tar.gz to a .tar first") from None
    except OSError as error:
        raise SparringError(f"cannot read {path}: {error.strerror or error}") from None
    if any(block) or not block:  # `tarfile` takes both for the end
        what = "is damaged" if block else "is cut short"
        after = f" after its member '{names[-1]}'" if names else ""
        raise SparringError(f"{path} {what}{after}{again}")
    return names, np.array(spans, np.int64).reshape(-1, 2)


def _check_member(path: Path, member: tarfile.TarInfo) -> None:
    name = _readable(member.name)
    if points_outside(member.name):
        raise SparringError(f"{path} is refused: its member '{name}' points outside the tar")
    if member.issym() or member.islnk():
        raise SparringError(f"{path} is refused: its member '{name}' is a link")
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise SparringError(f"{path} is refused: its member '{name}' is neither a plain file nor a folder")


def _readable(name: str) -> str:
    """A name that can be printed and kept, whatever its bytes."""
    return name.encode(errors="surrogateescape").decode(errors="replace").replace("\0", "")


def expand(source: str) -> Sequence[str]:
    """``data-{000..009}.tar`` as the ten names that it stands for; any other source as it is."""
    found = re.search(r"\{([0-9]{1,9})\.\.([0-9]{1,9})\}", source)
    if found is None or not source.lower().endswith(".tar"):
        return [source]
    first, last = found[1], found[2]
    if not 0 <= int(last) - int(first) < MOST_SHARDS:
        raise SparringError(f"'{source}' stands for no shards, or for too many; write data-{{000..009}}.tar")
    numbers = (f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))
    return [name for number in numbers for name in expand(source[: found.start()] + number + source[found.end() :])]
