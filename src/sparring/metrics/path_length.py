"""PPL: how much a picture changes along a path through latent space (Karras, Laine, Aila 2019, sec. 4.1).

    PPL = E [ d(G(z(t)), G(z(t + eps))) / eps^2 ],      z(t) on the way from one latent to another

with d a distance that grows with the square of a small change, as LPIPS does. Low is smooth. The mean is of what lies
between the 1st and the 99th percentile. Everything is float: rounding pictures to 8 bits would swamp so small a step.

Both ends are seeds, and the path is laid through the noise that a game draws, so any family can be measured without
knowing its latent: what it draws as vectors moves; what it draws with more axes (noise per pixel) and uniform numbers
stay those of the first seed. This is the paper's PPL in Z, not in W.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from sparring.core.batch import Batch
from sparring.core.errors import SparringError
from sparring.core.seeds import Noise, SeedNoise, seed_of

Path = Literal["slerp", "lerp"]
Where = Literal["full", "end"]

LARGEST = 256  # pictures above it are shrunk by a whole factor, as the paper does
KEPT = (0.01, 0.99)


class Distance(Protocol):
    """Of pictures float ``(n, c, h, w)`` in [-1, 1], pair by pair, ``(n,)``; its name goes into the protocol."""

    @property
    def name(self) -> str: ...

    def __call__(self, images: Tensor, others: Tensor, /) -> Tensor: ...


@dataclass(frozen=True)
class SquaredL2:
    """``|f(x) - f(y)|^2``, for where LPIPS has no weights: f is named, and the number is no published PPL's kin."""

    name: str
    embed: Callable[[Tensor], Tensor]

    def __call__(self, images: Tensor, others: Tensor, /) -> Tensor:
        return (self.embed(images) - self.embed(others)).flatten(1).square().sum(1)


PIXELS = SquaredL2("squared-L2-pixels", lambda images: images)


@dataclass(frozen=True)
class PathLength:
    """What was found.

    Attributes:
        value: the mean of what lies between the percentiles.
        error: its standard error.
        lengths: all of them, float64 ``(n,)``.
        protocol: how it was measured.
    """

    value: float
    error: float
    lengths: NDArray[np.float64]
    protocol: str


class PathNoise:
    """Noise on the way from ``start`` to ``end``.

    Args:
        start, end: of as many samples.
        places: ``(n,)``, 0 at the start, 1 at the end.
        path: slerp goes along the great circle between the directions, at constant angular speed, while the length
            changes evenly; lerp along the straight line, whose middle is shorter than any latent G was trained on.
    """

    def __init__(self, start: Noise, end: Noise, places: Tensor, path: Path = "slerp"):
        self.start, self.end, self.places = start, end, places
        self.between = slerp if path == "slerp" else lerp
        self.moved = False  # whether any vector has been drawn

    def normal(self, *shape: int) -> Tensor:
        """Vectors on the way; anything with more axes as it is at the start."""
        start = self.start.normal(*shape)
        if len(shape) != 1:
            return start
        self.moved = True
        # In float64, so that two places close together stay apart.
        on_path = self.between(start.double().cpu(), self.end.normal(*shape).double().cpu(), self.places[:, None])
        return on_path.to(start)

    def uniform(self, *shape: int) -> Tensor:
        """As at the start."""
        return self.start.uniform(*shape)


def lerp(start: Tensor, end: Tensor, places: Tensor) -> Tensor:
    """``(1 - t) a + t b``; ``(n, d)`` twice and ``(n, 1)``."""
    return start + places * (end - start)


def slerp(start: Tensor, end: Tensor, places: Tensor) -> Tensor:
    """Directions along the great circle, lengths along the line. Vectors on one line have no circle: `lerp`."""
    length, length_end = start.norm(dim=1, keepdim=True), end.norm(dim=1, keepdim=True)
    a, b = start / length, end / length_end
    cosine = (a * b).sum(1, keepdim=True)
    aside = b - cosine * a
    sine = aside.norm(dim=1, keepdim=True)
    angle = places * torch.atan2(sine, cosine)
    direction = a * angle.cos() + aside / sine * angle.sin()
    return torch.where(sine > 1e-7, lerp(length, length_end, places) * direction, lerp(start, end, places))


def path_length(
    sample: Callable[[Batch], Tensor],
    distance: Distance,
    seeds: Sequence[int],
    labels: Tensor | None = None,
    device: torch.device | None = None,
    epsilon: float = 1e-4,
    where: Where = "full",
    path: Path = "slerp",
    batch: int = 32,
) -> PathLength:
    """PPL of a game.

    Args:
        sample: `Game.sample` of a game in evaluation mode: pictures ``(n, c, h, w)`` in [-1, 1], float32 or better.
        distance: such as LPIPS, or `PIXELS`.
        seeds: two for each path, its start and its end. The paper takes 50,000 to 100,000 paths.
        labels: int64 ``(paths,)``: both ends are of one class. None where the game has none.
        device: of the game.
        epsilon: of the step; the paper's is 1e-4.
        where: full measures anywhere on the path, end at its start, where latents are typical ones.
        path: see `PathNoise`.
        batch: paths at a time; it does not change the result beyond rounding.

    Raises:
        SparringError: an odd number of seeds or none, a step that is not small and positive, or a game that draws no
            latent vectors.
    """
    if not len(seeds) or len(seeds) % 2:
        raise SparringError(f"a path takes two seeds, its start and its end; got {len(seeds)} seeds")
    if not 0 < epsilon < 0.5:
        raise SparringError(f"the step of a path length is above 0 and small, such as 1e-4; got {epsilon}")
    device = device or torch.device("cpu")
    places = _places(seeds[::2], where)
    lengths = []
    for first in range(0, len(places), batch):
        here = slice(first, first + batch)
        chosen = None if labels is None else labels[here]
        ends = seeds[::2][here], seeds[1::2][here]
        near, far = (_pictures(sample, *ends, chosen, device, p, path) for p in (places[here], places[here] + epsilon))
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            lengths.append((distance(near, far).double() / epsilon**2).cpu())
    found = torch.cat(lengths).numpy()
    low, high = np.quantile(found, KEPT[0], method="lower"), np.quantile(found, KEPT[1], method="higher")
    kept = found[(found >= low) & (found <= high)]
    return PathLength(
        value=float(kept.mean()),
        error=float(kept.std(ddof=1) / len(kept) ** 0.5) if len(kept) > 1 else float("nan"),
        lengths=found,
        protocol=f"PPL[{distance.name}], Z, {path}, {where}, eps {epsilon:g}, {len(found)} paths, "
        f"percentiles {100 * KEPT[0]:g}-{100 * KEPT[1]:g}, float",
    )


def _places(seeds: Sequence[int], where: Where) -> Tensor:
    """Where on each path, float64 ``(n,)``: a function of its start alone, whatever is measured beside it."""
    if where == "end":
        return torch.zeros(len(seeds), dtype=torch.float64)
    generators = [torch.Generator().manual_seed(seed_of("place", seed)) for seed in seeds]
    return torch.cat([torch.rand(1, generator=generator, dtype=torch.float64) for generator in generators])


def _pictures(
    sample: Callable[[Batch], Tensor],
    starts: Sequence[int],
    ends: Sequence[int],
    labels: Tensor | None,
    device: torch.device,
    places: Tensor,
    path: Path,
) -> Tensor:
    batch = Batch.of_seeds(starts, labels, device)
    batch.random = noise = PathNoise(batch.random, SeedNoise(ends, device), places, path)
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        images = sample(batch).float()
    if not noise.moved:
        raise SparringError("a path length needs a game that draws latent vectors, and this one draws none")
    factor = min(images.shape[2:]) // LARGEST
    return avg_pool2d(images, factor) if factor > 1 else images
