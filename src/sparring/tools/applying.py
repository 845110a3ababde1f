"""Files, films and folders through `Applier`: which there are, where each result goes, what is kept of them."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sparring.core.errors import SparringError
from sparring.data.decode import SUFFIXES, BadPictureError
from sparring.data.depth import Kind, Meta, Picture, of_array, read_deep, size_of
from sparring.data.files import is_junk
from sparring.data.films import FILMS, Film, is_film, look, remake
from sparring.data.geometry import Range
from sparring.data.strips import SUFFIX, open_strips
from sparring.tools.apply import Applier, normalises
from sparring.tools.tiles import Tiling

Progress = Callable[[str, int, int], None]
Format = Literal["auto", "png", "tiff", "npy"]
TONES = (
    "the network normalises over what it sees at once, so tiles may differ in tone; --tile 0 takes pictures whole, "
    "where memory allows it"
)
READ = SUFFIXES | {".npy"} | FILMS


@dataclass(frozen=True)
class Job:
    """One picture or film: where it is, where its result goes (without a suffix), and its height and width."""

    source: Path
    target: Path
    size: tuple[int, int]
    film: Film | None = None

    def tiles(self, tiling: Tiling) -> int:
        """How many the network is given for all of it."""
        return tiling.count(*self.size) * (self.film.frames if self.film else 1)


@dataclass(frozen=True)
class Applied:
    """What came of it.

    Attributes:
        written: the results.
        failed: pictures that could not be used, and why.
        notes: what was decided about some of them.
    """

    written: tuple[Path, ...]
    failed: tuple[tuple[Path, str], ...]
    notes: tuple[str, ...]


def apply_files(
    applier: Applier,
    inputs: Sequence[Path],
    out: Path,
    kind: Format = "auto",
    given: Range = None,
    progress: Progress | None = None,
) -> Applied:
    """Write the result of every picture below ``inputs`` under ``out``, a folder's with their paths below it.

    Args:
        applier: the network.
        inputs: files, or folders to look through; of films each frame is a picture.
        out: a folder, made where it is not there.
        kind: of pictures; auto: PNG for 8 and 16 bits, TIFF for TIFF and floating point, .npy for .npy.
        given: the values that -1 and 1 stand for, where a picture's type does not say.
        progress: called as ``progress("tiles", done, total)``.

    Raises:
        SparringError: where there is nothing to do, two results would have one name, one would be written over its
            picture, or ``out`` cannot be written. What is wrong with one picture of several is told in the result.
    """
    jobs, failed = _jobs(inputs, out)
    tiling = applier.tiling
    total, done = sum(job.tiles(tiling) for job in jobs), 0
    written: list[Path] = []
    notes: dict[str, int] = {}
    for job in jobs:
        before = done

        def tell(tiles: int, before: int = before) -> None:
            if progress:
                progress("tiles", before + tiles, total)

        try:
            if job.film:
                written.append(_write_film(applier, job, job.film, tell))
                said: tuple[str, ...] = ()
            else:
                picture = read_deep(job.source, given)
                written.append(_write(applier, picture, job, kind, tell))
                said = picture.notes
            told = TONES if normalises(applier.game) and tiling.count(*job.size) > 1 else ""
            for note in filter(None, (*said, told)):
                notes[note] = notes.get(note, 0) + 1
        except BadPictureError as error:
            failed.append((job.source, str(error)))
        except OSError as error:
            raise SparringError(f"cannot write under {out}: {error.strerror or error}") from None
        done += job.tiles(tiling)
        tell(0, done)
    counted = tuple(f"{note} ({count:,} pictures)" if len(jobs) > 1 else note for note, count in notes.items())
    return Applied(tuple(written), tuple(failed), counted)


def _write(applier: Applier, picture: Picture, job: Job, kind: Format, tell: Callable[[int], None]) -> Path:
    channels, _ = applier.channels(picture)
    scale = applier.game.scale
    shape = (picture.size[0] * scale, picture.size[1] * scale, channels)
    chosen: Kind = picture.kind if kind == "auto" else kind
    path = job.target.with_name(job.target.name + SUFFIX[chosen])
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = Meta(_fitting(picture.meta.icc, channels), picture.meta.exif, picture.meta.dpi)
    with open_strips(chosen, path, shape, picture.values.dtype, meta, picture.first) as file:
        for rows in applier.rows(picture, tell):
            file.write(rows)
    return path


def _write_film(applier: Applier, job: Job, film: Film, tell: Callable[[int], None]) -> Path:
    scale, each = applier.game.scale, applier.tiling.count(*job.size)
    path = job.target.with_name(job.target.name + film.suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = itertools.count()

    def make(frame: np.ndarray) -> np.ndarray:
        number = min(next(frames), film.frames - 1)  # a file may say fewer than it has
        picture = of_array(frame, None)
        if applier.channels(picture)[0] not in (1, 3):
            raise BadPictureError(f"the run makes {applier.made} channels, and a film has 1 or 3")
        return np.concatenate(list(applier.rows(picture, lambda tiles: tell(number * each + tiles))))

    remake(job.source, path, (job.size[0] * scale, job.size[1] * scale), make)
    return path


def _fitting(icc: bytes, channels: int) -> bytes:
    """A colour profile, where it is of as many colours as the result has (ICC.1, bytes 16 to 20 of its header)."""
    return icc if icc[16:20] == (b"RGB " if channels >= 3 else b"GRAY") else b""


def _jobs(inputs: Sequence[Path], out: Path) -> tuple[list[Job], list[tuple[Path, str]]]:
    """What to do, and what cannot be read."""
    found = list(itertools.chain.from_iterable(_below(path) for path in inputs))
    if not found:
        raise SparringError(f"there is no picture in {', '.join(map(str, inputs)) or 'what was named'}")
    targets: dict[Path, Path] = {}
    jobs: list[Job] = []
    failed: list[tuple[Path, str]] = []
    for source, name in found:
        target = out / name.with_suffix("")
        if target in targets:
            raise SparringError(
                f"{targets[target]} and {source} would both become {target}; apply them into folders of their own"
            )
        targets[target] = source
        ends = (*SUFFIX.values(), ".mp4", ".mkv")
        if any(target.with_name(target.name + suffix).resolve() == source.resolve() for suffix in ends):
            raise SparringError(f"{source} would be written over; say another folder with --out")
        try:
            film = look(source) if is_film(source) else None
            jobs.append(Job(source, target, film.size if film else size_of(source), film))
        except BadPictureError as error:
            failed.append((source, str(error)))
    return jobs, failed


def _below(path: Path) -> list[tuple[Path, Path]]:
    """Pictures with their names below ``path``; a file that is named is taken whatever its name."""
    if path.is_dir():
        inside = sorted(entry for entry in path.rglob("*") if entry.suffix.lower() in READ and entry.is_file())
        below = [(entry, entry.relative_to(path)) for entry in inside]
        return [(entry, name) for entry, name in below if not is_junk(name.as_posix())]
    if not path.is_file():
        raise SparringError(f"there is no file or folder {path}")
    return [(path, Path(path.name))]
