"""Series: a sample is a matrix ``(rows, length)`` of channels, flag and attributes in [-1, 1] (`sparring.core.series`).

Pictures of series are small line charts, a panel each. A line fills its panel from its own least value to its greatest;
on the left a dot of its colour stands at its mean, from the least value in the data to the greatest.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from sparring.core.series import Series
from sparring.core.spec import DataSpec
from sparring.core.steps import decode as to_values
from sparring.core.texts import guarded, lines_of, numbers_to_text

SHOWN, MOST = 24, 400
ARRAY = "series"
CELL, GAP, GUTTER = (180, 96), 8, 10
FINER = 2  # drawn so many times as large, then shrunk: Pillow's lines have hard edges
INKS = ((31, 78, 121), (192, 80, 40), (60, 130, 70), (130, 80, 150), (150, 120, 30), (70, 150, 160))
FRAME = (200, 200, 200)


def fits(shape: tuple[int, ...]) -> bool:
    """Whether the shape is that of a series."""
    return len(shape) == 2 and shape[0] >= 1 and shape[1] >= 2


def describe(shape: tuple[int, ...]) -> str:
    """``series of 24 steps, 6 rows``."""
    rows, length = shape
    return f"series of {length} steps, {rows} row{'s' * (rows != 1)}"


def series_of(spec: DataSpec | None) -> Series:
    """What the rows are. Raises `ValueError` without a series' spec."""
    if spec is None or spec.series is None:
        raise ValueError("series cannot be read without their channels")
    return spec.series


def decode(kept: Tensor, spec: DataSpec | None = None) -> Tensor:
    """Data sets keep series as they are."""
    return kept.float()


def array(samples: Tensor, spec: DataSpec | None = None) -> np.ndarray:
    """Values float32 ``(n, length, channels)``, NaN after the end; attributes are written to files alone."""
    values: np.ndarray = to_values(samples, series_of(spec)).values.transpose(0, 2, 1).astype(np.float32)
    return values


# ---------------------------------------------------------------------- pictures


def grid(samples: Tensor, spec: DataSpec | None = None) -> Image.Image:
    """A panel a series; of more channels than colours the first."""
    series = series_of(spec)
    values = to_values(samples, series).values[:, : len(INKS)]
    spans = [(channel.minimum, channel.maximum) for channel in series.channels]
    across = max(1, min(6, math.ceil(math.sqrt(len(values)))))
    down = -(-len(values) // across)
    size = across * (CELL[0] + GAP) + GAP, down * (CELL[1] + GAP) + GAP
    sheet = Image.new("RGB", (size[0] * FINER, size[1] * FINER), "white")
    pen = ImageDraw.Draw(sheet)
    for place, channels in enumerate(values):
        corner = (GAP + place % across * (CELL[0] + GAP), GAP + place // across * (CELL[1] + GAP))
        _panel(pen, corner, channels, spans)
    return sheet.resize(size, Image.Resampling.BOX)


def _panel(
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    channels: NDArray[np.float64],
    spans: Sequence[tuple[float, float]],
) -> None:
    left, top, width, height = (FINER * number for number in (*corner, *CELL))
    pen.rectangle((left, top, left + width, top + height), outline=FRAME, width=FINER)
    first, room = left + GUTTER * FINER, width - GUTTER * FINER
    for line, ink, (low, high) in zip(channels, INKS, spans, strict=False):
        there = line[~np.isnan(line)]
        steps = first + np.arange(len(there)) * room / max(channels.shape[1] - 1, 1)
        rises = 1 - placed(there, float(there.min()), float(there.max()))
        pen.line(list(zip(steps.tolist(), (top + rises * height).tolist(), strict=True)), fill=ink, width=FINER)
        x, y = left + GUTTER * FINER / 2, top + height * (1 - float(placed(there.mean(), low, high)))
        pen.ellipse((x - 2 * FINER, y - 2 * FINER, x + 2 * FINER, y + 2 * FINER), fill=ink)


def placed(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Where values lie between two others, 0 to 1; in the middle where these are one."""
    return (values - low) / (high - low) if high > low else np.full_like(values, 0.5)


# ---------------------------------------------------------------------- files


def write_files(
    parts: Iterable[tuple[Sequence[int], Tensor]], folder: Path, spec: DataSpec | None = None
) -> Iterator[int]:
    """One ``series.csv`` in long form: a line ``series,step,attributes...,channels...`` for each step there is.

    ``series`` is the seed, ``step`` counts from 0. Yields how many series each part had.
    """
    series = series_of(spec)
    temporary = folder / "series.csv.part"
    names = [*(column.name for column in series.attributes), *(channel.name for channel in series.channels)]
    try:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["series", "step", *map(guarded, names)])
            for seeds, samples in parts:
                writer.writerows(lines(seeds, samples, series))
                yield len(samples)
        temporary.replace(folder / "series.csv")
    finally:
        temporary.unlink(missing_ok=True)


def lines(seeds: Sequence[int], samples: Tensor, series: Series) -> Iterator[list[str]]:
    """The lines of some series."""
    decoded = to_values(samples, series)
    said = lines_of(decoded.attributes) if series.attributes else [()] * len(samples)
    for seed, values, length, about in zip(seeds, decoded.values, decoded.lengths.tolist(), said, strict=True):
        texts = [
            numbers_to_text(line[:length], channel.decimals)
            for line, channel in zip(values, series.channels, strict=True)
        ]
        for step, cells in enumerate(zip(*texts, strict=True)):
            yield [str(seed), str(step), *about, *cells]
