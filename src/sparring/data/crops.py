"""Crops: a square out of a larger picture, at a place of its own for each showing; the middle where nobody shows it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sparring.core.config import Data
from sparring.data.decode import Look
from sparring.data.geometry import Geometry, Size, show

At = tuple[float, float]  # how far down and across a crop lies, each from 0 to below 1
MIDDLE: At = (0.5, 0.5)


def cut(picture: np.ndarray, geometry: Geometry, at: At = MIDDLE) -> np.ndarray:
    """``geometry.size`` out of ``(c, h, w)``, each place that there is as likely as any other."""
    places = [
        geometry.step * int(share * ((side - kept) // geometry.step + 1))
        for share, side, kept in zip(at, picture.shape[1:], geometry.size, strict=True)
    ]
    (top, left), (height, width) = places, geometry.size
    return picture[:, top : top + height, left : left + width]


def with_room(looks: Sequence[Look | str], side: int, settings: Data) -> list[Look | str]:
    """The same, but for pictures that a crop of so many pixels a side does not fit into: those say so."""
    if not settings.crop or settings.size != "auto":
        return list(looks)
    small = f"smaller than the {show((side, side))} that data.crop {settings.crop} cuts out"
    return [
        f"it is {show(seen.size)}, {small}" if isinstance(seen, Look) and min(seen.size) < side else seen
        for seen in looks
    ]


@dataclass(frozen=True)
class Wholes:
    """Whole pictures in memory, of any sizes, from which crops are read as a `Reader` reads pictures from files.

    Attributes:
        pictures: ``(channels, h, w)`` each, as sets keep them.
        geometry: what is cut out of them.
    """

    pictures: tuple[np.ndarray, ...]
    geometry: Geometry

    def __len__(self) -> int:
        return len(self.pictures)

    def read(self, index: int, at: At = MIDDLE) -> np.ndarray:
        """A crop of picture ``index``."""
        return cut(self.pictures[index], self.geometry, at)

    def read_many(self, indices: Sequence[int], at: Sequence[At] | None = None) -> np.ndarray:
        """Crops ``(n, channels, h, w)``."""
        places = at or [MIDDLE] * len(indices)
        return np.stack([self.read(index, place) for index, place in zip(indices, places, strict=True)])

    def subset(self, indices: np.ndarray) -> "Wholes":
        """Those pictures."""
        return replace(self, pictures=tuple(self.pictures[index] for index in indices))


def size_kept(seen: Look, geometry: Geometry) -> Size:
    """The size at which a picture is kept in memory."""
    return seen.size if geometry.whole == (0, 0) else geometry.fitted
