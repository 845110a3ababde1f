"""Label maps: pictures whose colours are classes, told apart by the nearest colour of a palette.

What is looked at are flat spots: pixels whose four neighbours are nearly alike. Between two areas, resizing and JPEG
make colours that mean nothing; those take the nearest class without a question.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sparring.core.errors import SparringError

ALIKE = 8  # largest difference in a channel between neighbours of a flat spot
NEAR = 40  # and between a flat spot and its class: JPEG moves colours, and palettes keep theirs further apart
MOST = 256  # classes
LOOKED_AT = 200  # pictures that a palette is found in
COVERED = 0.999  # of all flat spots, by the palette that is found
LEAST = 4  # flat spots of a colour before it counts


@dataclass(frozen=True)
class Palette:
    """The colour of each class, as ``#rrggbb``, in the order of the classes."""

    colours: tuple[str, ...]

    @property
    def values(self) -> np.ndarray:
        """int16 ``(classes, 3)``."""
        return np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in self.colours], np.int16)

    @staticmethod
    def read(path: str | Path) -> "Palette":
        """From a text file: a line for each class that begins with its colour, ``#ff8000`` or ``255 128 0``.

        Raises `SparringError` for a file that cannot be read, or a line without a colour.
        """
        try:
            lines = Path(path).expanduser().read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SparringError(f"data.palette: cannot read {path}: {error}; give a file of colours, or auto") from None
        colours = [_colour(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
        if not 2 <= len(colours) <= MOST or len(set(colours)) < len(colours):
            raise SparringError(f"{path} holds {len(colours)} colours; a palette has 2 to {MOST}, each once")
        return Palette(tuple(colours))

    @staticmethod
    def find(pixels: Tensor) -> "Palette":
        """The colours that uint8 pictures ``(n, 3, h, w)`` are made of, most common first.

        Raises `SparringError` where they are too many for label maps.
        """
        places = torch.linspace(0, len(pixels) - 1, min(LOOKED_AT, len(pixels))).long()
        colours, counts = np.unique(
            np.concatenate([_flat_spots(p)[1] for p in _last(pixels[places])]), axis=0, return_counts=True
        )
        found: list[np.ndarray] = []
        total = rest = int(counts.sum())
        while rest > (1 - COVERED) * total and len(found) <= MOST:
            most = colours[counts.argmax()]
            if counts.max() < LEAST:
                break
            found.append(most)
            near = np.abs(colours.astype(np.int16) - most).max(1) <= NEAR
            counts = np.where(near, 0, counts)
            rest = int(counts.sum())
        if not 2 <= len(found) <= MOST or rest > 0.01 * total:
            raise SparringError(
                f"data.palette auto: the pictures that are given are no label maps: {len(found)} colours cover "
                f"{1 - rest / max(total, 1):.0%} of them; leave it out, or name the file of their colours"
            )
        return Palette(tuple(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in found))

    def one_hot(self, pixels: Tensor, names: Sequence[str]) -> Tensor:
        """uint8 ``(n, 3, h, w)`` to a channel for each class, 255 where a pixel is of it: ``(n, classes, h, w)``.

        Raises `SparringError` naming picture, place and colour where a flat spot is of no class.
        """
        values = self.values
        made = torch.zeros(len(pixels), len(values), *pixels.shape[2:], dtype=torch.uint8)
        for index, picture in enumerate(_last(pixels)):
            apart = np.abs(picture[..., None, :].astype(np.int16) - values).astype(np.int32)
            nearest = np.square(apart).sum(-1).argmin(-1)
            flat, _ = _flat_spots(picture)
            reach = np.take_along_axis(apart.max(-1), nearest[..., None], -1)[..., 0]
            unknown = flat & (reach > NEAR)
            if unknown.any():
                row, column = np.argwhere(unknown)[0]
                red, green, blue = picture[row, column]
                some = ", ".join(self.colours[:6]) + (", ..." if len(values) > 6 else "")
                raise SparringError(
                    f"{names[index]} has the colour #{red:02x}{green:02x}{blue:02x} at row {row}, column {column}, "
                    f"which is none of the palette's ({some}); mend the picture, or add the colour to the file that "
                    "--data.palette names"
                )
            made[index].scatter_(0, torch.from_numpy(nearest)[None], 255)
        return made


def _last(pixels: Tensor) -> np.ndarray:
    """uint8 ``(n, h, w, 3)``."""
    moved: np.ndarray = pixels.movedim(1, -1).numpy()
    return moved


def _flat_spots(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where they are, bool ``(h, w)``, and their colours ``(n, 3)``; pixels at the edge have fewer neighbours."""
    signed = picture.astype(np.int16)
    flat = np.ones(picture.shape[:2], bool)
    for axis in (0, 1):
        alike = np.abs(np.diff(signed, axis=axis)).max(-1) <= ALIKE
        before, after = [(0, 0), (0, 0)], [(0, 0), (0, 0)]
        before[axis], after[axis] = (1, 0), (0, 1)
        flat &= np.pad(alike, before, constant_values=True) & np.pad(alike, after, constant_values=True)
    return flat, picture[flat]


def _colour(line: str, where: str) -> str:
    text = line.strip().lower()
    if re.match(r"#[0-9a-f]{6}\b", text):
        return text[:7]
    numbers = re.match(r"(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})\b", text)
    if numbers and max(map(int, numbers.groups())) <= 255:
        return "#" + "".join(f"{int(number):02x}" for number in numbers.groups())
    raise SparringError(f"{where}: a line begins with a colour, #ff8000 or 255 128 0; got '{line.strip()[:40]}'")
