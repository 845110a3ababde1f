"""Samples by seed: seed 7 is the same picture in any batch."""

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sparring.core.batch import Batch
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.files import write_atomic
from sparring.core.game import Game
from sparring.core.seeds import SeedNoise, draw_labels
from sparring.core.spec import DataSpec
from sparring.modalities import modality

# Networks always see so many samples at once, the last batch filled up: kernels round differently for other sizes.
CHUNK = 64


def parse_seeds(text: str) -> Sequence[int]:
    """``"0-63"``, ``"7"`` or ``"1,5,10-12"``; a range stays a range, however long."""
    parts: list[range] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        seeds = [int(seed) for seed in (first, last) if re.fullmatch("[0-9]{1,18}", seed)]  # they fit in 64 bits
        if len(seeds) < 2 or seeds[1] < seeds[0]:
            raise SparringError(f"'{text}' are no seeds; write 7, or 0-63, or 1,5,10-12")
        parts.append(range(seeds[0], seeds[1] + 1))
    return parts[0] if len(parts) == 1 else [seed for part in parts for seed in part]


def class_index(game: Game, wanted: str | int) -> int:
    """The index of a class given by name or number. Raises `SparringError` where there is no such class."""
    names = game.spec.classes
    if not game.conditional(game.config):
        raise SparringError("this run was not trained by class; train with --game.conditional to sample a class")
    if str(wanted) in names:
        return names.index(str(wanted))
    if str(wanted).isdecimal() and int(wanted) < len(names):
        return int(wanted)
    raise SparringError(f"there is no class '{wanted}'{did_you_mean(str(wanted), names)}")


def class_shares(game: Game, labels: str) -> tuple[float, ...]:
    """How often each class is drawn, in proportion: ``"as-data"``, ``"balanced"`` or ``"cat:3,dog:1"``.

    Classes are given by name or number; one that is not named is not drawn. Raises `SparringError` for what is no class
    or no share.
    """
    if labels == "as-data":
        return game.spec.class_counts
    if labels == "balanced":
        class_index(game, 0)  # refuses a game without classes
        return (1.0,) * len(game.spec.classes)
    shares = [0.0] * len(game.spec.classes)
    for part in labels.split(","):
        name, colon, text = part.strip().rpartition(":")
        if not (colon and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text)):
            raise SparringError(f"'{labels}' are no shares of classes; write balanced, as-data, or cat:3,dog:1")
        shares[class_index(game, name)] += float(text)
    if sum(shares) == 0:
        raise SparringError(f"'{labels}' leaves no class to draw; give one a share above 0")
    return tuple(shares)


def check_truncation(game: Game, truncation: float | None) -> None:
    """Raise `SparringError` where this game's samples cannot be truncated, or not by that."""
    if truncation is None:
        return
    if not game.truncates:
        raise SparringError(
            "truncation cannot be asked for here: this family says no way to keep samples close to the typical"
        )
    if not (math.isfinite(truncation) and truncation >= 0):
        raise SparringError(f"truncation is a number from 0, such as 0.7; got {truncation}")


def batch_of_reals(
    game: Game, reals: Tensor, labels: Tensor | None, given: Tensor | None, device: torch.device
) -> Batch:
    """A batch to sample from, of a game that `gives`: real data, and what `Game.give` makes of it; seeds from 0."""
    real, given = reals.to(device), None if given is None else given.to(device)
    labels = None if labels is None else labels[: len(reals)].to(device)
    batch = Batch(real, labels, 0, SeedNoise(range(len(reals)), device), given=given)
    batch.given = game.give(batch)
    return batch


def refuse_what_gives(game: Game) -> None:
    """Raise `SparringError` for a game whose samples are made from something that a person gives."""
    if game.gives:
        raise SparringError(
            "this run makes pictures from pictures, not from seeds alone; use sparring apply RUN PICTURES --out FOLDER"
        )


def shares_for(game: Game, wanted: str | int | None, labels: str) -> tuple[float, ...]:
    """`class_shares`, or those of one class that is ``wanted``. Raises `SparringError` where both are asked for."""
    if wanted is None:
        return class_shares(game, labels)
    if labels != "as-data":
        raise SparringError(f"samples are all of class '{wanted}', or drawn by '{labels}'; ask for one of them")
    only = class_index(game, wanted)
    return tuple(float(k == only) for k in range(len(game.spec.classes)))


def draw(
    game: Game,
    seeds: Sequence[int],
    wanted: str | int | None = None,
    truncation: float | None = None,
    labels: str = "as-data",
) -> Iterator[Tensor]:
    """Yield samples ``(n <= 64, *shape)`` in [-1, 1] in the order of ``seeds``; memory does not grow with their number.

    Args:
        game: in eval mode, on its device.
        seeds: any integers from 0.
        wanted: a class by name or number; None draws a class for each seed.
        truncation: how close to the typical to stay, where the family truncates; None: the whole distribution.
        labels: how often each class is drawn, as `class_shares` reads it.
    """
    return (samples for samples, _ in draw_labelled(game, seeds, wanted, truncation, labels))


@torch.inference_mode()
def draw_labelled(
    game: Game, seeds: Sequence[int], wanted: str | int | None, truncation: float | None, labels: str
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """As `draw`, each part with the classes that were asked for, int64 ``(n,)``; None of a game without."""
    refuse_what_gives(game)
    check_truncation(game, truncation)
    device = next(game.parameters()).device
    shares = shares_for(game, wanted, labels)
    for start in range(0, len(seeds), CHUNK):
        part = list(seeds[start : start + CHUNK])
        filled = part + [part[0]] * (CHUNK - len(part))
        drawn = draw_labels(filled, shares) if game.conditional(game.config) else None
        samples = game.sample(Batch.of_seeds(filled, drawn, device, truncation))
        yield samples[: len(part)], None if drawn is None else drawn[: len(part)]


def sample_to(
    game: Game,
    seeds: Sequence[int],
    out: Path,
    kind: Literal["files", "grid", "npz", "parquet"] = "files",
    wanted: str | int | None = None,
    truncation: float | None = None,
    labels: str = "as-data",
    drawn: Iterator[Tensor] | None = None,
) -> Iterator[int]:
    """Write samples under ``out``, yielding how many are done.

    As files, pictures are called ``seed00000007.png``, points are lines of one ``points.csv``, rows of one
    ``table.csv``. ``drawn`` are the samples, `CHUNK` at a time, where they are not simply those of the seeds.

    Raises:
        SparringError: when ``out`` cannot be written, or more are asked for than a grid can show.
    """
    room = modality(game.spec.modality)
    check_truncation(game, truncation)
    if kind == "grid" and len(seeds) > room.MOST:
        raise SparringError(
            f"a grid of {len(seeds):,} would not be seen; ask for at most {room.MOST:,}, or for files or npz"
        )
    if kind == "parquet" and not game.spec.columns:
        raise SparringError("parquet is for rows of tables; ask for files, grid or npz")
    try:
        out.mkdir(parents=True, exist_ok=True)
        drawn = draw(game, seeds, wanted, truncation, labels) if drawn is None else drawn
        starts = range(0, len(seeds), CHUNK)
        parts = ((seeds[start : start + CHUNK], part) for start, part in zip(starts, drawn, strict=True))
        if kind == "npz":
            arrays = (room.array(part, spec=game.spec) for _, part in parts)
            yield from _write_npz(room, seeds, arrays, out / "samples.npz")
        elif kind == "grid":
            kept: list[Tensor] = []
            for _, samples in parts:
                kept.append(samples.cpu())
                yield sum(map(len, kept))
            save_grid(torch.cat(kept), out / "grid.png", game.spec)
        elif kind == "parquet":
            yield from itertools.accumulate(room.write_parquet(parts, out / "table.parquet", spec=game.spec))
        else:
            yield from itertools.accumulate(room.write_files(parts, out, spec=game.spec))
    except OSError as error:
        raise SparringError(f"cannot write to {out}: {error.strerror or error}") from None


def _write_npz(room: ModuleType, seeds: Sequence[int], parts: Iterator[np.ndarray], path: Path) -> Iterator[int]:
    """All samples in one array, ``parts`` of it, through a memory-mapped file, so that a million fit."""
    import zipfile

    raw = path.with_suffix(".npy.part")
    try:
        done, array = 0, None
        for part in parts:
            if array is None:
                shape = (len(seeds), *part.shape[1:])
                array = np.lib.format.open_memmap(raw, mode="w+", dtype=part.dtype, shape=shape)
            array[done : done + len(part)] = part
            done += len(part)
            yield done
        if array is None:
            raise ValueError("no seeds")
        array.flush()
        del array
        temporary = path.with_suffix(".npz.part")
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            archive.write(raw, f"{room.ARRAY}.npy")
            with archive.open("seeds.npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(seeds, dtype=np.int64))
        temporary.replace(path)
    finally:
        raw.unlink(missing_ok=True)


def save_grid(samples: Tensor, path: Path, spec: DataSpec) -> None:
    """Write a grid of samples atomically."""
    import io

    buffer = io.BytesIO()
    modality(spec.modality).grid(samples, spec=spec).save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())
