"""Kernel distance: unbiased squared MMD with a cubic kernel (Bińkowski et al. 2018, arXiv 1801.01401).

    k(x, y) = (x.y / d + 1)^3

Called KID only on Inception's features. Papers print it times 1000. Unbiased: right for few samples, and at a perfect
generator it is negative about half of the time. The kernel sees moments up to the third; 0 is best.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.metrics.rows import as_pair, blocks, pick, seeded


@dataclass(frozen=True)
class KernelDistance:
    """Mean over subsets.

    Attributes:
        value: unbounded below by a little, 0 is best.
        deviation: population standard deviation over subsets, as papers print it. Subsets share rows: it is no
            standard error of ``value``.
        subsets, size: how many, of how many rows.
    """

    value: float
    deviation: float
    subsets: int
    size: int


def kernel_sum(x: Tensor, y: Tensor) -> float:
    """Sum of k over all pairs of float64 rows ``(n, d)``, ``(m, d)``."""
    total = torch.zeros((), dtype=torch.float64, device=x.device)
    for part in blocks(len(x), len(y)):
        total += (x[part] @ y.T / x.shape[1] + 1).pow(3).sum()
    return float(total)


def within(x: Tensor) -> float:
    """Mean of k over all ordered pairs of different rows."""
    diagonal = float((x.square().mean(1) + 1).pow(3).sum())
    return (kernel_sum(x, x) - diagonal) / (len(x) * (len(x) - 1))


def kernel_distance(fakes: Tensor, reals: Tensor) -> float:
    """Unbiased MMD^2 over all rows ``(n, d)`` and ``(m, d)``; the counts may differ. Memory does not grow with n m.

    Raises:
        ValueError: fewer than 2 rows, other widths, values that are not finite.
    """
    fakes, reals = as_pair(fakes, reals, at_least=2)
    between = kernel_sum(fakes, reals) / (len(fakes) * len(reals))
    return within(fakes) + within(reals) - 2 * between


def kid(fakes: Tensor, reals: Tensor, subsets: int = 100, size: int = 1000, seed: int = 0) -> KernelDistance:
    """Mean of `kernel_distance` over seeded subsets without replacement: the protocol of the literature.

    Raises:
        ValueError: fewer rows than ``size``; a smaller size is another protocol, for the caller to choose and to name.
    """
    fakes, reals = as_pair(fakes, reals, at_least=2)
    if subsets < 1 or not 2 <= size <= min(len(fakes), len(reals)):
        raise ValueError(
            f"{subsets} subsets of {size} rows cannot be drawn of {len(fakes)} fakes and {len(reals)} reals"
        )
    generator = seeded(seed)
    values = torch.tensor(
        [kernel_distance(pick(fakes, size, generator), pick(reals, size, generator)) for _ in range(subsets)],
        dtype=torch.float64,
    )
    return KernelDistance(float(values.mean()), float(values.std(correction=0)), subsets, size)
