"""The run folder: the only contract between training and everything after it.

=================  ====================================================================================
recipe.json        what is trained on what, strict and versioned: an unknown key or version is an error
env.json           versions, device, seed of the process that trained
log.jsonl          every logged number, a line per tick
events.jsonl       verdicts, resumes, skipped steps, settings that changed
metrics.jsonl      every evaluation: scores with their protocols
samples/           what a person looks at: grids on fixed seeds, ``reals.png``, ``timelapse.gif``
report.html        one self-contained page
model/             ``generator.safetensors`` + ``model.json``: loads without unpickling anything
best/              the same at the best evaluation so far, where ``--eval.every`` asked for any
state/             full training states, newest few, checksummed
tensorboard/       where ``--train.track`` names it; ``tracking.json`` holds other trackers' run names
=================  ====================================================================================
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparring.core.errors import SparringError
from sparring.core.files import write_json

VERSION = 1


class RunFolder:
    """Paths and plain records of one run."""

    def __init__(self, root: str | Path):
        self.root = Path(root)
        self.samples = self.root / "samples"
        self.model = self.root / "model"
        self.state = self.root / "state"
        self.report = self.root / "report.html"
        self.log = self.root / "log.jsonl"
        self.events = self.root / "events.jsonl"
        self.metrics = self.root / "metrics.jsonl"
        self.best = self.root / "best"

    def create(self) -> None:
        """Make the folders. Raises `SparringError` where that is not allowed."""
        try:
            for folder in (self.root, self.samples, self.model, self.state):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SparringError(f"cannot make the run folder {self.root}: {error.strerror}") from None

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return (self.root / "recipe.json").is_file()

    def write_recipe(self, recipe: dict[str, Any]) -> None:
        """Keep the recipe, with the version of this layout."""
        write_json(self.root / "recipe.json", {"version": VERSION, **recipe})

    def read_recipe(self) -> dict[str, Any]:
        """The recipe. Raises `SparringError` when it is missing, damaged or of another version."""
        path = self.root / "recipe.json"
        if not path.is_file():
            raise SparringError(f"{self.root} is not a run folder: it has no recipe.json")
        try:
            recipe = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SparringError(f"{path} is damaged: {error}; put it back from a copy") from None
        version = recipe.pop("version", None) if isinstance(recipe, dict) else None
        if version != VERSION:
            raise SparringError(f"{path} has version {version}; this sparring reads version {VERSION}")
        return dict(recipe)

    def read_log(self) -> list[dict[str, Any]]:
        """Every whole line of the log; a line cut short by a crash is left out."""
        return list(read_lines(self.log))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one trainer. The system lets go when the process dies, however it dies.

        Raises `SparringError` when a live process holds it.
        """
        path = self.root / ".lock"
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(open(path, "a+b", buffering=0))
            except OSError as error:
                raise SparringError(f"cannot write in the run folder {self.root}: {error.strerror}") from None
            try:
                _lock(file.fileno())
            except OSError:
                file.seek(0)
                raise SparringError(
                    f"{self.root} is being trained by another process ({file.read().decode() or 'unknown'}); "
                    "wait for it, stop it, or train into another --run"
                ) from None
            with contextlib.suppress(OSError):  # a full disk: who holds it is a courtesy, the lock is held all the same
                file.truncate(0)
                file.write(f"process {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}".encode())
            yield


def _lock(descriptor: int) -> None:
    if os.name == "posix":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a ``.jsonl`` file; a last line without its newline was cut short and is left out."""
    if not path.is_file():
        return
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                with contextlib.suppress(ValueError):
                    yield json.loads(line)
