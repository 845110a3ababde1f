"""What the tests share: one thread, a cache of their own, and ``sparring`` called in this process."""

import contextlib
import errno
import io
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.data import open_data

# A run of half a second: a small family on the built-in digits, saved every half thousand images.
TINY = (
    *("train", "digits", "--family", "vanilla", "--game.width", "8", "--game.z-dim", "8", "--data.labels", "none"),
    *("--train.kimg", "2", "--train.save-kimg", "0.5", "--train.tick-kimg", "0.5", "--train.picture-kimg", "9"),
    *("--train.keep", "9"),
)


@pytest.fixture(autouse=True, scope="session")
def _small_and_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        if "SPARRING_CACHE" not in os.environ:
            patch.setenv("SPARRING_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@dataclass(frozen=True)
class Answer:
    """What a command left on the screen."""

    code: int
    out: str
    err: str


Sparring = Callable[..., Answer]


@pytest.fixture
def sparring(capsys: pytest.CaptureFixture[str]) -> Sparring:
    """``sparring("train", "digits")``: the command in this process."""

    def call(*arguments: str | Path) -> Answer:
        from sparring.cli import main

        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Answer(int(left.value.code or 0), said.out, said.err)

    return call


@pytest.fixture
def refused(sparring: Sparring) -> Callable[..., str]:
    """The command must fail as a person's mistake does: exit code 2 and one line, which is returned."""

    def call(*arguments: str | Path) -> str:
        answer = sparring(*arguments)
        assert answer.code == 2, answer
        lines = answer.err.splitlines()
        assert len(lines) == 1, answer.err
        assert lines[0].startswith("sparring: ")
        return lines[0]

    return call


# ---------------------------------------------------------------------- runs


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` by its path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def states(run: Path) -> list[Path]:
    """The states of a run, oldest first."""
    return sorted(run.glob("state/[0-9]*"))


def outcome(run: Path) -> dict[str, bytes]:
    """What must be the same, byte for byte, however often a run was cut off: its model and its last state."""
    last = states(run)[-1]
    return {f"{part.name}/{name}": data for part in (run / "model", last) for name, data in contents(part).items()}


def events(run: Path) -> list[dict[str, object]]:
    """The lines of ``events.jsonl``."""
    from sparring.core.folder import read_lines

    return list(read_lines(run / "events.jsonl"))


def changed(line: Sequence[str | Path], *pairs: tuple[str, str]) -> list[str | Path]:
    """A command with some options changed."""
    new = list(line)
    for option, value in pairs:
        if option in new:
            new[new.index(option) + 1] = value
        else:
            new += [option, value]
    return new


def told(run: Path, kind: str) -> list[str]:
    """What the events of one kind say."""
    return [str(event["message"]) for event in events(run) if event["kind"] == kind]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that was never interrupted. Read it, do not write there."""
    run = tmp_path_factory.mktemp("runs") / "finished"
    _play(*TINY, "--run", run)
    return run


@pytest.fixture(scope="session")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, stopped by a signal after 1.28 kimg. Copy it before going on."""
    run = tmp_path_factory.mktemp("runs") / "stopped"
    with stop_at(1280):
        assert _play(*TINY, "--run", run) == 75
    return run


def _play(*arguments: str | Path) -> int:
    from sparring.cli import main

    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


@contextlib.contextmanager
def stop_at(nimg: int) -> Iterator[None]:
    """Inside the block this process gets SIGINT as the step begins that shows image ``nimg``."""
    from sparring.engine.loop import Engine

    original = Engine.step

    def step(engine: Engine) -> None:
        if engine.nimg < nimg <= engine.nimg + engine.train.batch:
            os.kill(os.getpid(), signal.SIGINT)
        original(engine)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "step", step)
        yield


# ---------------------------------------------------------------------- pictures


def png(seed: int = 0, size: tuple[int, int] = (10, 10)) -> bytes:
    """A small picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_pictures(folder: Path, count: int, size: tuple[int, int] = (10, 10), first: int = 0) -> Path:
    """A folder of ``count`` different pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + count):
        (folder / f"{seed:03d}.png").write_bytes(png(seed, size))
    return folder


# ---------------------------------------------------------------------- a full disk


class FullDisk:
    """Refuses writes below ``root`` while ``full()``, as a disk without room does; reading goes on."""

    def __init__(self, root: Path):
        self.root = str(root)
        self.full: Callable[[], bool] = lambda: True
        self.refusals = 0

    def check(self, path: object) -> None:
        below = isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(self.root)
        if below and self.full():
            self.refusals += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], FullDisk]:
    """``fill(folder)`` makes the disk full there: no file is opened for writing, no folder made, none renamed."""

    def start(root: Path) -> FullDisk:
        disk = FullDisk(root.absolute())
        opened, made, renamed = io.open, os.mkdir, os.replace

        def open_(file: object, mode: str = "r", *rest: object, **more: object) -> object:
            if set(mode) & set("wax+"):
                disk.check(file)
            return opened(file, mode, *rest, **more)  # type: ignore[call-overload]

        def mkdir(path: object, *rest: object, **more: object) -> None:
            disk.check(path)
            made(path, *rest, **more)  # type: ignore[arg-type]

        def replace(source: object, target: object) -> None:
            disk.check(target)
            renamed(source, target)  # type: ignore[type-var]

        monkeypatch.setattr("builtins.open", open_)
        monkeypatch.setattr(io, "open", open_)
        monkeypatch.setattr(os, "mkdir", mkdir)
        monkeypatch.setattr(os, "replace", replace)
        return disk

    return start


def refuses(source: object, *words: str, settings: Data | None = None) -> str:
    """The one line by which such data is refused; ``words`` stand in it."""
    with pytest.raises(SparringError) as caught:
        open_data(str(source), settings or Data())
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text
    return text
