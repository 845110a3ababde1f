"""Writing so that a reader never sees half a file, whenever the power goes."""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """``$SPARRING_CACHE``, or ``~/.cache/sparring``: what can be had again, kept between runs."""
    given = os.environ.get("SPARRING_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "sparring"


def write_atomic(path: Path, data: bytes) -> None:
    """Write, fsync, rename, fsync the folder. The temporary lies beside its target: rename is atomic only there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_synced(temporary, data)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    sync_folder(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Write and fsync."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable. Windows cannot open a folder, and does not need it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Atomically write indented JSON."""
    write_atomic(path, (json.dumps(value, indent=2) + "\n").encode())


def sha256(data: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
