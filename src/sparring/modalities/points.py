"""Points: ``(d,)`` with d of 2 or more, in [-1, 1]. Pictures of them are scatter plots of the first two coordinates."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from sparring.core.spec import DataSpec

SHOWN, MOST = 2048, 100_000
ARRAY = "points"
INK, FRAME = (31, 78, 121), (176, 176, 176)
FINER = 3  # drawn so many times as large, then shrunk: Pillow's dots have hard edges


def fits(shape: tuple[int, ...]) -> bool:
    """Whether the shape is that of a point."""
    return len(shape) == 1 and shape[0] >= 2


def describe(shape: tuple[int, ...]) -> str:
    """``2-D points``."""
    return f"{shape[0]}-D points"


def decode(kept: Tensor, spec: DataSpec | None = None) -> Tensor:
    """Data sets keep points as they are."""
    return kept.float()


def array(points: Tensor, spec: DataSpec | None = None) -> np.ndarray:
    """float32 ``(n, d)``."""
    values: np.ndarray = points.detach().float().cpu().numpy()
    return values


def grid(points: Tensor, side: int = 512, spec: DataSpec | None = None) -> Image.Image:
    """Points ``(n, d)`` as dots on a white square from -1 to 1 both ways, the second coordinate upwards."""
    size, radius = side * FINER, 1.25 * FINER
    sheet = Image.new("RGB", (size, size), "white")
    pen = ImageDraw.Draw(sheet)
    for right, up in points[:, :2].detach().float().cpu().mul(size / 2).tolist():
        x, y = size / 2 + right, size / 2 - up
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=INK)
    pen.rectangle((0, 0, size - 1, size - 1), outline=FRAME, width=FINER)
    return sheet.resize((side, side), Image.Resampling.BOX)


def write_files(
    parts: Iterable[tuple[Sequence[int], Tensor]], folder: Path, spec: DataSpec | None = None
) -> Iterator[int]:
    """One ``points.csv`` with a line ``seed,x1,x2`` for each seed; yields how many each part had.

    Nine digits keep a float32 exactly.
    """
    temporary = folder / "points.csv.part"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            for number, (seeds, points) in enumerate(parts):
                if number == 0:
                    print("seed", *(f"x{axis + 1}" for axis in range(points.shape[1])), sep=",", file=file)
                for seed, point in zip(seeds, points.tolist(), strict=True):
                    print(seed, *(f"{value:.9g}" for value in point), sep=",", file=file)
                yield len(points)
        temporary.replace(folder / "points.csv")
    finally:
        temporary.unlink(missing_ok=True)
