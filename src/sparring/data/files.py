"""Where encoded pictures lie: a folder, a zip (read in place, never unpacked), a parquet column."""

import hashlib
import io
import os
import stat
import zipfile
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from sparring.core.errors import SparringError
from sparring.data.decode import MOST_BYTES, BadPictureError

JUNK = frozenset(("thumbs.db", "desktop.ini", "__macosx"))


class Files(ABC):
    """Many files by number. Picklable, and safe to use from threads and from forked processes.

    Attributes:
        names: paths below the root with ``/``, sorted; hidden files and systems' litter are left out.
        where: what to call the source in a message.
    """

    names: tuple[str, ...]
    where: str

    @abstractmethod
    def open(self, index: int) -> BinaryIO:
        """Open one file for reading from its start."""

    @abstractmethod
    def stamp(self) -> str:
        """Changes when a file is added, removed or changed, as far as can be told without reading them."""

    def read(self, index: int) -> bytes:
        """A whole file. Raises `BadPictureError` beyond 256 MiB."""
        with self.open(index) as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise BadPictureError(f"larger than {MOST_BYTES >> 20} MiB")
        return data


def is_junk(name: str) -> bool:
    """Hidden files, and what operating systems leave behind."""
    return any(part.startswith(".") or part.lower() in JUNK for part in PurePosixPath(name).parts)


class FolderFiles(Files):
    """Every regular file below a folder; links are followed, each folder once."""

    def __init__(self, root: Path):
        self.root, self.where = root, str(root)
        found: dict[str, tuple[int, int]] = {}
        seen: set[str] = set()
        for folder, inner, files in os.walk(root, followlinks=True, onerror=_cannot_read):
            real = os.path.realpath(folder)
            if real in seen:
                inner.clear()
                continue
            seen.add(real)
            for file in files:
                path = Path(folder, file)
                name = path.relative_to(root).as_posix()
                if is_junk(name):
                    continue
                try:
                    status = path.stat()
                except OSError:  # a link to nowhere
                    continue
                if stat.S_ISREG(status.st_mode):  # never a pipe or a device, which could wait forever
                    found[name] = (status.st_size, status.st_mtime_ns)
        self.names = tuple(sorted(found))
        self._stamps = [(name, *found[name]) for name in self.names]

    def open(self, index: int) -> BinaryIO:
        return open(self.root / self.names[index], "rb")

    def stamp(self) -> str:
        return hash_of(self._stamps)


def _cannot_read(error: OSError) -> None:
    raise SparringError(f"cannot read the folder {error.filename}: {error.strerror}; check its permissions")


class ZipFiles(Files):
    """The members of a zip file.

    Raises `SparringError` for a file that is no zip, an encrypted one, or one with a member that would leave the folder
    it is unpacked in: nothing is unpacked here, but such a file was made to harm, or is damaged.
    """

    def __init__(self, path: Path):
        self.path, self.where = path, str(path)
        self._pid, self._zip = os.getpid(), _open_zip(path)
        found: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            _check_member(path, member)
            if not member.is_dir() and not is_junk(member.filename):
                found[member.filename] = member
        self.names = tuple(sorted(found))
        self._members = [found[name] for name in self.names]

    def open(self, index: int) -> BinaryIO:
        if self._pid != os.getpid():  # a forked process would share the file position with its parent
            self._pid, self._zip = os.getpid(), _open_zip(self.path)
        member = self._members[index]
        if member.file_size <= 1 << 18:  # one read is faster than the many small ones of who reads a header
            return io.BytesIO(self._zip.read(member))
        return cast(BinaryIO, self._zip.open(member))

    def stamp(self) -> str:
        return hash_of([(member.filename, member.file_size, member.CRC) for member in self._members])

    def __reduce__(self) -> tuple[Any, ...]:
        return ZipFiles, (self.path,)


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise SparringError(f"{path} is not a zip file, or is cut short; copy or download it again") from None
    except OSError as error:
        raise SparringError(f"cannot read {path}: {error.strerror or error}") from None


def points_outside(name: str) -> bool:
    """Whether a member of that name would leave the folder that an archive is unpacked in."""
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":")


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    # `filename` has had separators changed and may be cut at a NUL byte; `orig_filename` is what the file says.
    for name in (member.filename, member.orig_filename):
        if points_outside(name):
            raise SparringError(f"{path} is refused: its member '{name}' points outside the zip")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise SparringError(f"{path} is refused: its member '{member.filename}' is a symbolic link")
    if member.flag_bits & 1:
        raise SparringError(
            f"{path} is encrypted (its member '{member.filename}'); give an unencrypted zip or a folder"
        )


class ParquetFiles(Files):
    """A column of encoded pictures. The encoded bytes of the column stay in memory.

    Attributes:
        labels: the label of each row as text, or None without such a column.
    """

    def __init__(self, path: Path):
        from sparring.data.parquet import read_parquet

        self.path, self.where = path, str(path)
        self._cells, self.labels = read_parquet(path)
        width = len(str(max(len(self._cells) - 1, 0)))
        self.names = tuple(f"row {index:0{width}d}" for index in range(len(self._cells)))

    def open(self, index: int) -> BinaryIO:
        data = self._cells[index].as_py()
        if not data:
            raise BadPictureError("the cell is empty")
        return io.BytesIO(data)

    def stamp(self) -> str:
        paths = sorted(self.path.rglob("*.parquet")) if self.path.is_dir() else [self.path]
        return hash_of([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths])

    def __reduce__(self) -> tuple[Any, ...]:
        return ParquetFiles, (self.path,)


def hash_of(rows: list[Any]) -> str:
    """Hex SHA-256 of what is known of many files."""
    return hashlib.sha256(repr(rows).encode()).hexdigest()
