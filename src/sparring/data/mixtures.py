"""Toy data whose answer is known: mixtures of narrow Gaussians in the plane, drawn when they are opened.

In the units of the literature: `ring` is 8 Gaussians around a circle of radius 2, each of standard deviation 0.02, and
`grid` 25 of them at {-4, -2, 0, 2, 4} x {-4, -2, 0, 2, 4}, of 0.05 (Metz et al. 2017, Srivastava et al. 2017). All are
equally likely. Points lie in [-1, 1] here: one unit becomes `Mixture.scale`.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sparring.core.config import Data, plain
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.data.dataset import DataSet

COUNT = 100_000
OF_PICTURES = ("size", "fit", "channels", "pairs", "palette", "flip")


@dataclass(frozen=True)
class Mixture:
    """Equally likely Gaussians of one width, as they are trained on.

    Attributes:
        centres: ``(x, y)`` of each.
        sigma: standard deviation along either axis.
        scale: what one unit of the literature has become.
    """

    centres: tuple[tuple[float, float], ...]
    sigma: float
    scale: float

    def draw(self, count: int = COUNT, seed: int = 0) -> Tensor:
        """Points, float32 ``(count, 2)`` in [-1, 1]; the same seed gives the same points."""
        generator = torch.Generator().manual_seed(seed)
        modes = torch.randint(len(self.centres), (count,), generator=generator)
        noise = torch.randn(count, 2, generator=generator)
        return torch.tensor(self.centres)[modes] + self.sigma * noise


def _scaled(centres: list[tuple[float, float]], sigma: float, scale: float) -> Mixture:
    return Mixture(tuple((scale * x, scale * y) for x, y in centres), scale * sigma, scale)


_TURNS = [2 * math.pi * k / 8 for k in range(8)]
_STEPS = (-4.0, -2.0, 0.0, 2.0, 4.0)

MIXTURES: dict[str, Mixture] = {
    "ring": _scaled([(2 * math.cos(turn), 2 * math.sin(turn)) for turn in _TURNS], 0.02, 0.4),
    "grid": _scaled([(x, y) for x in _STEPS for y in _STEPS], 0.05, 0.2),
}


def is_mixture(source: str) -> bool:
    """Whether ``source`` names one of `MIXTURES`; a file or folder of that name wins over it."""
    return source in MIXTURES and not Path(source).exists()


def open_mixture(source: str, settings: Data, seed: int = 0) -> DataSet:
    """100,000 points of a mixture as a `DataSet` without labels.

    Raises:
        SparringError: for a setting that has a meaning for pictures only.
    """
    for name, value in plain(settings).items():
        if name in OF_PICTURES and value not in (getattr(Data(), name), "none"):
            raise SparringError(f"data.{name} is for pictures, and {source} is points; leave it out")
    mixture = MIXTURES[source]
    points = mixture.draw(seed=seed)
    note = (
        f"{source}: {COUNT:,} points of {len(mixture.centres)} Gaussians of standard deviation {mixture.sigma:g}, in "
        f"units of [-1, 1]; 1 is {1 / mixture.scale:g} in the literature's units"
    )
    digest = hashlib.sha256(points.numpy().tobytes()).hexdigest()
    return DataSet(source, DataSpec("points", (2,), count=COUNT), digest, (note,), pixels=points)
