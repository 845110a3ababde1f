"""What feature-space metrics share: checked float64 rows, seeded subsets, distances in bounded memory."""

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK = 2**22  # entries of one block of a matrix of pairs: 32 MB
ROUNDING = 1e-13  # squared distances below this share of the squared lengths are nothing but rounding


def as_rows(features: Tensor, name: str = "features", at_least: int = 1) -> Tensor:
    """``features`` ``(n, d)`` as float64 on their own device.

    Raises:
        ValueError: not a matrix, fewer than ``at_least`` rows, no column, or a value that is not finite.
    """
    if features.dim() != 2:
        raise ValueError(f"{name} must have shape (n, d), not {tuple(features.shape)}")
    if len(features) < at_least or features.shape[1] == 0:
        raise ValueError(f"{name} of shape {tuple(features.shape)}: at least {at_least} rows and 1 column are needed")
    if not bool(features.isfinite().all()):
        bad = int((~features.isfinite()).any(1).sum())
        raise ValueError(f"{name} hold NaN or infinity in {bad} of {len(features)} rows")
    return features.detach().double()


def as_pair(fakes: Tensor, reals: Tensor, at_least: int = 1) -> tuple[Tensor, Tensor]:
    """Both as float64 rows of one width.

    Raises:
        ValueError: as `as_rows`, or the widths differ.
    """
    fakes, reals = as_rows(fakes, "fakes", at_least), as_rows(reals, "reals", at_least)
    if fakes.shape[1] != reals.shape[1]:
        raise ValueError(f"widths of features differ: fakes {fakes.shape[1]}, reals {reals.shape[1]}")
    return fakes, reals


def seeded(seed: int) -> torch.Generator:
    """A generator on the CPU, whatever the device, so that a seed means the same rows everywhere."""
    return torch.Generator().manual_seed(seed)


def pick(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``count`` different rows of ``(n, ...)``, in random order."""
    return rows[torch.randperm(len(rows), generator=generator)[:count].to(rows.device)]


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of ``rows`` such that a slice times ``columns`` stays near `BLOCK` entries."""
    step = max(1, BLOCK // columns)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def squared_distances(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Blocks ``(slice of x, squared distances (b, m))`` of float64 ``x`` ``(n, d)`` and ``y`` ``(m, d)``.

    By |x|^2 + |y|^2 - 2 x.y, many times faster than differences; equal rows are at exactly 0. Both are shifted by the
    first row of y, which changes no distance, so that features far from the origin keep their digits.
    """
    x, y = x - y[0], y - y[0]
    x_square, y_square = x.square().sum(1), y.square().sum(1)
    for part in blocks(len(x), len(y)):
        scale = x_square[part, None] + y_square
        squares = torch.addmm(scale, x[part], y.T, alpha=-2)
        yield part, squares.masked_fill_(squares <= scale.mul_(ROUNDING), 0.0)


def neighbours(x: Tensor, y: Tensor, k: int = 1, itself: bool = False) -> tuple[Tensor, Tensor]:
    """Squared distances and indices, each ``(n, k)``, of the k nearest rows of ``y`` to each of ``x``, nearest first.

    Args:
        itself: x and y are the same rows, and no row counts as its own neighbour; its copies do.

    Raises:
        ValueError: y has too few rows.
    """
    if not 1 <= k <= len(y) - itself:
        raise ValueError(f"{k} neighbours asked for among {len(y) - itself} other rows")
    found: list[tuple[Tensor, Tensor]] = []
    for part, squares in squared_distances(x, y):
        if itself:
            row = torch.arange(part.stop - part.start, device=x.device)
            squares[row, row + part.start] = torch.inf
        nearest = squares.topk(k, dim=1, largest=False)
        found.append((nearest.values, nearest.indices))
    return torch.cat([values for values, _ in found]), torch.cat([indices for _, indices in found])
