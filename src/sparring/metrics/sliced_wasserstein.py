"""SWD: how alike the patches of two sets of pictures are, at each size (Karras et al. 2018, sec. 5). Needs no network.

Of each level of a Laplacian pyramid down to 16 pixels, patches of 7x7 at random places; every channel standardised over
the set; then the sliced Wasserstein-1 distance, the mean over random directions of the distance between the sorted
projections. Printed times 1000. The finest level tells of noise and edges, the coarsest of layout. Each set is
standardised by itself, so a change of brightness or contrast alone goes unseen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from sparring.core.errors import SparringError

PATCH = 7
COARSEST = 16
BATCH = 256  # pictures at a time
DIRECTIONS_AT_ONCE = 32  # projections held at a time, per patch
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


@dataclass(frozen=True)
class SlicedWasserstein:
    """Distances times 1000.

    Attributes:
        levels: by the shorter side of the level, in pixels, finest first.
        mean: over levels.
        protocol: how it was measured.
    """

    levels: dict[int, float]
    mean: float
    protocol: str


def pyramid_distance(
    fakes: Tensor, reals: Tensor, patches: int = 128, directions: int = 512, seed: int = 0
) -> SlicedWasserstein:
    """SWD times 1000 between two sets of as many pictures.

    Args:
        fakes, reals: ``(n, c, h, w)`` of one shape, any type, at least 16 pixels a side. The paper takes n = 8192.
        patches: of each picture and level. Both sets are read at the same places, so equal sets are at 0 exactly.
        directions: random projections; the paper draws 4 times 128.
        seed: of places and directions.

    Raises:
        SparringError: pictures too small, or sets of different shape.
    """
    if fakes.ndim != 4 or fakes.shape != reals.shape:
        raise SparringError(
            f"SWD compares two sets of as many pictures of one shape; got {tuple(fakes.shape)} and {tuple(reals.shape)}"
        )
    if min(fakes.shape[2:]) < COARSEST:
        raise SparringError(f"SWD needs pictures of {COARSEST} pixels a side or more; got {tuple(fakes.shape[2:])}")
    sides = _sides(min(fakes.shape[2:]))
    of_fakes, of_reals = (_descriptors(images, len(sides), patches, seed) for images in (fakes, reals))
    levels = {}
    for side in sides:
        distance = sliced_wasserstein(
            standardise(of_fakes.pop(0)).flatten(1), standardise(of_reals.pop(0)).flatten(1), directions, seed
        )
        levels[side] = 1000 * distance
    return SlicedWasserstein(
        levels=levels,
        mean=sum(levels.values()) / len(levels),
        protocol=f"SWDx1e3, {len(fakes)} pictures, {patches} patches of {PATCH}x{PATCH}, {directions} directions, "
        f"levels {'-'.join(map(str, sides))}, seed {seed}",
    )


def sliced_wasserstein(a: Tensor, b: Tensor, directions: int = 512, seed: int = 0) -> float:
    """Sliced Wasserstein-1 distance between two clouds of as many points, float ``(n, d)`` each.

    Of a cloud and the same moved by m it is |m| Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)), up to the luck of directions.
    """
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"two clouds (n, d) of one shape are compared; got {tuple(a.shape)} and {tuple(b.shape)}")
    generator = torch.Generator().manual_seed(seed)
    unit = torch.randn(directions, a.shape[1], generator=generator, dtype=torch.float64)
    unit = (unit / unit.norm(dim=1, keepdim=True)).to(a)
    total = 0.0
    for some in unit.split(DIRECTIONS_AT_ONCE):  # (k, d): each row of a projection is sorted in one piece of memory
        gap = (some @ a.T).sort(1).values - (some @ b.T).sort(1).values
        total += gap.abs().mean(1).sum().item()
    return total / directions


def standardise(patches: Tensor) -> Tensor:
    """``(n, c, 7, 7)`` with mean 0 and standard deviation 1 in every channel; a channel that never varies becomes 0."""
    mean = patches.mean((0, 2, 3), keepdim=True)
    deviation = patches.std((0, 2, 3), correction=0, keepdim=True)
    return (patches - mean) / torch.where(deviation > 0, deviation, 1)


def gaussian_pyramid_down(images: Tensor) -> Tensor:
    """Blur by the binomial 1-4-6-4-1 and keep every second pixel, the first too (Burt and Adelson 1983)."""
    return _blur(images)[:, :, ::2, ::2]


def gaussian_pyramid_up(images: Tensor, height: int, width: int) -> Tensor:
    """Enlarge to ``height``, ``width``: zeros between the pixels, then the binomial, four times as strong."""
    spread = images.new_zeros(*images.shape[:2], height, width)
    spread[:, :, ::2, ::2] = images
    return 4 * _blur(spread)


def laplacian_levels(images: Tensor, count: int) -> list[Tensor]:
    """Float32 details of ``count`` levels, finest first; the last is the small picture itself."""
    levels = [images.float()]
    for _ in range(count - 1):
        coarse = gaussian_pyramid_down(levels[-1])
        levels[-1] = levels[-1] - gaussian_pyramid_up(coarse, *levels[-1].shape[2:])
        levels.append(coarse)
    return levels


def _sides(side: int) -> list[int]:
    found = []
    while side >= COARSEST:
        found.append(side)
        side //= 2
    return found


def _descriptors(images: Tensor, count: int, patches: int, seed: int) -> list[Tensor]:
    """Patches ``(n * patches, c, 7, 7)`` of each level; places depend on the seed and the picture's number alone."""
    generator = torch.Generator().manual_seed(seed)
    parts: list[Sequence[Tensor]] = []
    for batch in images.split(BATCH):
        levels = laplacian_levels(batch, count)
        parts.append(list(_cut(levels, patches, generator)))
    return [torch.cat(level) for level in zip(*parts, strict=True)]


def _cut(levels: Sequence[Tensor], patches: int, generator: torch.Generator) -> Iterator[Tensor]:
    for level in levels:
        n, channels, height, width = level.shape
        top = torch.randint(height - PATCH + 1, (n * patches, 1, 1, 1), generator=generator)
        left = torch.randint(width - PATCH + 1, (n * patches, 1, 1, 1), generator=generator)
        picture = torch.arange(n).repeat_interleave(patches)[:, None, None, None]
        channel = torch.arange(channels)[:, None, None]
        offset = torch.arange(PATCH)
        yield level[picture, channel, top + offset[:, None], left + offset]


def _blur(images: Tensor) -> Tensor:
    channels = images.shape[1]
    kernel = torch.tensor(BINOMIAL, dtype=images.dtype, device=images.device).expand(channels, 1, -1)
    padded = pad(images, (2, 2, 2, 2), mode="reflect")
    return conv2d(conv2d(padded, kernel[..., None], groups=channels), kernel[..., None, :], groups=channels)
