"""Fetching a file once: checked by digest, resumed where it was cut off, never seen half."""

import contextlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sparring.core.errors import SparringError
from sparring.core.files import sha256_file, sync_folder
from sparring.data.parallel import Progress

TIMEOUT_SECONDS = 30.0
TRIES = 3
_PIECE = 1 << 18
_NETWORK_ERRORS = (urllib.error.URLError, OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Remote:
    """A file on the web: its name, its SHA-256, and mirrors to try in order."""

    name: str
    sha256: str
    urls: tuple[str, ...]


def fetch(remote: Remote, folder: Path, progress: Progress | None = None) -> Path:
    """The file in ``folder``, downloaded unless it is there. One that was put there by hand is checked like any other.

    Raises `SparringError` that names the file to put there by hand when no mirror can be reached, or a digest is wrong.
    """
    target = folder / remote.name
    try:
        if not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(folder / f".{remote.name}.lock"):
                if not target.exists():
                    _download(remote, target, progress)
        elif sha256_file(target) != remote.sha256:
            raise SparringError(
                f"{target} is not the file it should be (its SHA-256 differs); delete it to have it downloaded again"
            )
    except OSError as error:
        raise SparringError(f"cannot keep {remote.name} in {folder}: {error.strerror or error}") from None
    return target


def _download(remote: Remote, target: Path, progress: Progress | None) -> None:
    part = target.with_name(f"{target.name}.part")
    problem = ""
    for url in remote.urls:
        for _ in range(TRIES):
            try:
                whole = _append(url, part, f"download {remote.name}", progress)
            except _Local as error:
                raise error.error from None
            except _NETWORK_ERRORS as error:
                problem = _why(error)
                if isinstance(error, urllib.error.HTTPError) or not part.exists():
                    break  # trying again at once would give the same answer
                continue
            if not whole:
                problem = "the connection was cut"
            elif sha256_file(part) == remote.sha256:
                os.replace(part, target)
                sync_folder(target.parent)
                return
            else:  # what is there is wrong from its start on, perhaps of another mirror: begin again
                part.unlink()
                problem = f"what {url} sends has another SHA-256"
    raise SparringError(
        f"cannot download {remote.name} ({problem}); put the file into {target.parent} by hand, from {remote.urls[0]}"
    )


class _Local(Exception):
    """Tells a full disk from a broken connection: both are OSErrors."""

    def __init__(self, error: OSError):
        self.error = error


def _append(url: str, part: Path, stage: str, progress: Progress | None) -> bool:
    """Bring ``part`` as far as the server lets us; whether all of it came."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "sparring", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return True  # nothing is left to send: the digest decides
        raise
    with response:
        begins = f"bytes {have}-"
        goes_on = response.status == http.client.PARTIAL_CONTENT and (
            response.headers.get("Content-Range", "").startswith(begins)
        )
        if response.status == http.client.PARTIAL_CONTENT and not goes_on:
            raise OSError("the server sent another part than was asked for")
        have = have if goes_on else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length and length.isdecimal() else 0
        with _writing(part, "ab" if goes_on else "wb") as write:
            while piece := response.read(_PIECE):
                write(piece)
                have += len(piece)
                if progress:
                    progress(stage, have, max(total, have))
    return not total or have >= total


@contextlib.contextmanager
def _writing(path: Path, mode: str) -> Iterator[Callable[[bytes], None]]:
    try:
        file = open(path, mode)  # noqa: SIM115 - closed below
    except OSError as error:
        raise _Local(error) from None

    def write(piece: bytes) -> None:
        try:
            file.write(piece)
        except OSError as error:
            raise _Local(error) from None

    try:
        yield write
        file.flush()
        os.fsync(file.fileno())
    finally:
        file.close()


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process downloads, the others wait for it: the system lets go when it dies."""
    if os.name != "posix":
        yield
        return
    import fcntl

    with open(lock, "a", encoding="utf-8") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        yield


def _why(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    text = " ".join(str(getattr(cause, "strerror", None) or cause).split())
    return text or type(cause).__name__
