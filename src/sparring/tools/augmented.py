"""``sparring augment RUN --out DIR``: real data and samples as one training set that other tools read.

Pictures lie in a folder for each class, rows of a table in one ``table.csv``. Everything is written beside ``DIR`` and
renamed at the end, so that a folder of this name is whole.
"""

import csv
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sparring.core.columns import Layout
from sparring.core.errors import SparringError
from sparring.core.game import Game
from sparring.core.rows import Rows, compact, decode
from sparring.core.texts import guarded, lines_of
from sparring.data import DataSet
from sparring.data.parallel import Progress
from sparring.metrics.tables.efficacy import classes_of
from sparring.modalities.image import decode as to_floats
from sparring.modalities.image import picture
from sparring.tools.lessons import apportion, finite, missing_of, refuse_without_classes, target_among, values_of
from sparring.tools.reals import reals_of_run
from sparring.tools.run import Run
from sparring.tools.sample import CHUNK, draw, refuse_what_gives
from sparring.tools.where import draw_where

MANIFEST = ("file", "class", "synthetic", "seed")
PIECE = 8192  # rows that are written at a time
MARK = "synthetic"  # the column of a table that says which rows are
SPLITS = ("train", "test", "val", "valid", "validation")  # folders that many tools do not take for classes


@dataclass(frozen=True)
class Wanted:
    """How many samples: one of three ways, or as many as there are reals where none is said.

    Attributes:
        count: so many, classes as often as in the data.
        ratio: so many for each real one, classes as often as in the data.
        balance: of each class as many as it lacks to be as large as the largest.
    """

    count: int | None = None
    ratio: float | None = None
    balance: bool = False

    def __post_init__(self) -> None:
        if (self.count is not None) + (self.ratio is not None) + self.balance > 1:
            raise SparringError("--count, --ratio and --balance each say how many samples to make; give one of them")
        if self.count is not None and self.count < 1:
            raise SparringError(f"--count is 1 or more; got {self.count}")
        if self.ratio is not None and not 0 < self.ratio < 1e6:
            raise SparringError(f"--ratio is a number above 0, such as 0.5; got {self.ratio}")

    def total(self, reals: int) -> int:
        """How many, where it is not by class."""
        return self.count or max(1, round((1.0 if self.ratio is None else self.ratio) * reals))


@dataclass(frozen=True)
class Written:
    """What lies in the folder: how many reals and samples, and samples of each class, where there are any."""

    reals: int
    fakes: int
    by_class: dict[str, int]


def write_set(
    run: Run,
    out: Path,
    wanted: Wanted | None = None,
    data: str | None = None,
    only: bool = False,
    mark: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Written:
    """Write reals and samples under ``out``.

    Args:
        run: a run by class on pictures (any run where the data has no classes), or on a table.
        out: a folder that is not there yet, or empty.
        wanted: how many samples.
        data: the real data; left out, what the run was trained on.
        only: samples only; the real data is counted and not written.
        mark: of a table, whether a column `MARK` says 1 of samples and 0 of reals.
        seed: the first seed; `sparring sample` makes the same pictures from the seeds in ``manifest.csv``.

    Raises:
        SparringError: for a run or data that does not fit, a folder that is not empty, one that cannot be written.
    """
    wanted, game = wanted or Wanted(), run.game
    refuse_what_gives(game)
    if game.spec.modality not in ("image", "table"):
        raise SparringError(f"augmentation is for pictures and tables; this run makes {game.spec.modality} data")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SparringError(f"{out} is not empty; name another folder with --out, so that two sets are not mixed")
    found = reals_of_run(run.folder, game.spec, data, progress)
    reals = found.reference if data is not None else found.train
    assert reals is not None
    out = out.resolve()
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        if game.spec.columns:
            written = _write_rows(game, reals, temporary, wanted, only, mark, seed, progress)
        else:
            written = _write_pictures(game, reals, temporary, wanted, only, seed, progress)
        if out.exists():
            out.rmdir()
        temporary.replace(out)
    except OSError as error:
        raise SparringError(f"cannot write to {out}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return written


# ---------------------------------------------------------------------- pictures


def _write_pictures(
    game: Game,
    reals: DataSet,
    folder: Path,
    wanted: Wanted,
    only: bool,
    seed: int,
    progress: Progress | None,
) -> Written:
    """PNG of 8 bits in the run's size, and ``manifest.csv``, which names each."""
    labelled = reals.labels is not None and bool(reals.spec.classes)
    if labelled or wanted.balance:
        refuse_without_classes(game)
    if game.conditional(game.config) and not labelled:
        raise SparringError(f"{reals.name} has other classes than the run, or none; give pictures by the run's classes")
    classes = reals.spec.classes if labelled else ("",)
    counts = reals.spec.class_counts if labelled else (len(reals),)
    made = missing_of(counts) if wanted.balance else apportion(wanted.total(len(reals)), counts)
    folders = folders_for(classes) if labelled else ("",)
    total, done = sum(made) + (0 if only else len(reals)), 0
    for name in folders:
        (folder / name).mkdir(exist_ok=True)
    with open(folder / "manifest.csv", "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(MANIFEST)
        for name, label, own, image in _pictures(game, reals, made, only, labelled, seed):
            place = f"{folders[label]}/{name}" if labelled else name
            picture(image).save(folder / place)
            lines.writerow((place, guarded(classes[label]), int(own is not None), "" if own is None else own))
            done += 1
            if progress and done % CHUNK == 0:
                progress("write pictures", done, total)
    by_class = dict(zip(classes, made, strict=True)) if labelled else {}
    return Written(0 if only else len(reals), sum(made), by_class)


def _pictures(
    game: Game, reals: DataSet, made: Sequence[int], only: bool, labelled: bool, seed: int
) -> Iterator[tuple[str, int, int | None, Tensor]]:
    """Name of the file, class, the seed where it is made, and the picture ``(c, h, w)`` in [-1, 1]."""
    if not only:
        for places in torch.arange(len(reals)).split(CHUNK):
            kept, labels = reals.get(places)
            for place, image in zip(places.tolist(), to_floats(kept), strict=True):
                label = int(labels[place - int(places[0])]) if labelled and labels is not None else 0
                yield f"real-{place:08d}.png", label, None, image
    for label, count in enumerate(made):
        seeds = range(seed, seed + count)
        parts = draw(game, seeds, game.spec.classes[label] if labelled else None)
        for own, image in zip(seeds, (image for part in parts for image in finite(part)), strict=True):
            yield f"fake-seed{own:08d}.png", label, own, image
        seed += count


def folders_for(classes: Sequence[str]) -> tuple[str, ...]:
    """A folder's name for each class: its own where any system allows it and no tool takes it for a split."""
    plain = [re.sub(r"[^\w +,=@()-]", "_", name).strip() for name in classes]
    lower = [name.lower() for name in plain]
    return tuple(
        name if name and lower.count(name.lower()) == 1 and name.lower() not in SPLITS else f"class-{index}-{name}"
        for index, name in enumerate(plain)
    )


# ---------------------------------------------------------------------- tables


def _write_rows(
    game: Game,
    reals: DataSet,
    folder: Path,
    wanted: Wanted,
    only: bool,
    mark: bool,
    seed: int,
    progress: Progress | None,
) -> Written:
    """``table.csv`` (UTF-8, commas), reals first. Identifiers are counted anew."""
    layout = Layout(game.spec.columns)
    names = [column.name for column in layout.columns]
    if mark and MARK in names:
        raise SparringError(f"the table has a column '{MARK}' already; --no-mark leaves the new one out")
    by_class: dict[str, int] = {}
    total = wanted.total(len(reals))
    made = draw(game, range(seed, seed + total))
    if wanted.balance:
        by_class = _lacking(reals, layout)
        total = sum(by_class.values())
        target = target_among(layout.columns)
        asked = [(f"{target.name}={name}", count) for name, count in by_class.items() if count]
        made = (part for text, count in asked for part in draw_where(game, text, count, seed))
    fakes, first = 0, 1 if only else len(reals) + 1
    of_real, of_fake = (["0"], ["1"]) if mark else ([], [])
    with open(folder / "table.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*map(guarded, names), *([MARK] if mark else [])])
        for rows in () if only else _pieces(reals, layout):
            writer.writerows([*line, *of_real] for line in lines_of(rows))
        for part in made:
            rows = decode(compact(finite(part), layout), layout, first + fakes)
            writer.writerows([*line, *of_fake] for line in lines_of(rows))
            fakes += len(part)
            if progress:
                progress("make rows", fakes, total)
    return Written(0 if only else len(reals), fakes, by_class)


def _pieces(reals: DataSet, layout: Layout) -> Iterator[Rows]:
    """All rows, some thousands at a time."""
    for places in torch.arange(len(reals)).split(PIECE):
        yield decode(reals.get(places)[0], layout, int(places[0]) + 1)


def _lacking(reals: DataSet, layout: Layout) -> dict[str, int]:
    """How many rows each value of the target lacks."""
    target = target_among(layout.columns)
    names = values_of(target)
    counts = np.zeros(len(names), np.int64)
    for rows in _pieces(reals, layout):
        labels = classes_of(target, rows[target.name])
        counts += np.bincount(labels[labels >= 0], minlength=len(names))
    return dict(zip(names, missing_of(counts.tolist()), strict=True))
