"""Samples by seed: seed 7 is the same picture in any batch."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sparring.core.batch import Batch
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.files import write_atomic
from sparring.core.game import Game
from sparring.core.seeds import draw_labels
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


@torch.inference_mode()
def draw(
    game: Game, seeds: Sequence[int], wanted: str | int | None = None, truncation: float | None = None
) -> Iterator[Tensor]:
    """Yield samples ``(n <= 64, *shape)`` in [-1, 1] in the order of ``seeds``; memory does not grow with their number.

    Args:
        game: in eval mode, on its device.
        seeds: any integers from 0.
        wanted: a class by name or number; None draws classes as often as the data has them.
        truncation: how close to the typical to stay, where the family truncates; None: the whole distribution.
    """
    check_truncation(game, truncation)
    device = next(game.parameters()).device
    fixed = None if wanted is None else class_index(game, wanted)
    for start in range(0, len(seeds), CHUNK):
        part = list(seeds[start : start + CHUNK])
        filled = part + [part[0]] * (CHUNK - len(part))
        labels = None
        if fixed is not None:
            labels = torch.full((CHUNK,), fixed)
        elif game.conditional(game.config):
            labels = draw_labels(filled, game.spec.class_counts)
        yield game.sample(Batch.of_seeds(filled, labels, device, truncation))[: len(part)]


def sample_to(
    game: Game,
    seeds: Sequence[int],
    out: Path,
    kind: Literal["files", "grid", "npz"] = "files",
    wanted: str | int | None = None,
    truncation: float | None = None,
) -> Iterator[int]:
    """Write samples under ``out``, yielding how many are done. Files are called ``seed00000007.png``.

    Raises:
        SparringError: when ``out`` cannot be written, or a grid of more than 1,024 is asked for.
    """
    room = modality(game.modality)
    check_truncation(game, truncation)
    if kind == "grid" and len(seeds) > 1024:
        raise SparringError(f"a grid of {len(seeds):,} would not be seen; ask for at most 1,024, or for files or npz")
    try:
        out.mkdir(parents=True, exist_ok=True)
        if kind == "npz":
            yield from _write_npz(
                room, game.spec.shape, seeds, draw(game, seeds, wanted, truncation), out / "samples.npz"
            )
            return
        done, kept = 0, []
        for samples in draw(game, seeds, wanted, truncation):
            if kind == "grid":
                kept.append(samples.cpu())
            else:
                for seed, sample in zip(seeds[done : done + len(samples)], samples, strict=True):
                    room.write(sample, str(out / f"seed{seed:08d}{room.SUFFIX}"))
            done += len(samples)
            yield done
        if kept:
            room.grid(torch.cat(kept)).save(out / "grid.png")
    except OSError as error:
        raise SparringError(f"cannot write to {out}: {error.strerror or error}") from None


def _write_npz(
    room: object, shape: tuple[int, ...], seeds: Sequence[int], drawn: Iterator[Tensor], path: Path
) -> Iterator[int]:
    """One ``images`` array, uint8 ``(n, h, w, c)``, through a memory-mapped file, so that a million fit."""
    import zipfile

    channels, *sides = shape
    raw = path.with_suffix(".npy.part")
    try:
        array = np.lib.format.open_memmap(raw, mode="w+", dtype=np.uint8, shape=(len(seeds), *sides, channels))
        done = 0
        for samples in drawn:
            pixels = room.to_uint8(samples).movedim(1, -1).cpu().numpy()  # type: ignore[attr-defined]
            array[done : done + len(pixels)] = pixels
            done += len(pixels)
            yield done
        array.flush()
        del array
        temporary = path.with_suffix(".npz.part")
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            archive.write(raw, "images.npy")
            with archive.open("seeds.npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(seeds, dtype=np.int64))
        temporary.replace(path)
    finally:
        raw.unlink(missing_ok=True)


def save_grid(samples: Tensor, path: Path, kind: str = "image") -> None:
    """Write a grid of samples atomically."""
    import io

    buffer = io.BytesIO()
    modality(kind).grid(samples).save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())
