"""MMD with a Gaussian kernel, and CMMD (Jayasumana et al. 2024, arXiv 2401.09603).

k(x, y) = exp(-|x - y|^2 / (2 sigma^2))
"""

import torch
from torch import Tensor

from sparring.metrics.rows import as_pair, squared_distances

SIGMA = 10.0  # of CMMD


def mean_kernel(x: Tensor, y: Tensor, sigma: float) -> float:
    """Mean of k over all pairs of float64 rows, each row with itself included."""
    total = torch.zeros((), dtype=torch.float64, device=x.device)
    for _, squares in squared_distances(x, y):
        total += squares.mul_(-0.5 / sigma**2).exp_().sum()
    return float(total) / (len(x) * len(y))


def gaussian_mmd(fakes: Tensor, reals: Tensor, sigma: float) -> float:
    """Biased MMD^2 (Gretton et al. 2012, equation 5) of rows ``(n, d)`` and ``(m, d)``: 0..2, 0 is best.

    The bias, about (1 - E k)(1/n + 1/m), is what equal distributions score.

    Raises:
        ValueError: sigma not above 0, other widths, values that are not finite.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be above 0, not {sigma}")
    fakes, reals = as_pair(fakes, reals)
    value = mean_kernel(fakes, fakes, sigma) + mean_kernel(reals, reals, sigma) - 2 * mean_kernel(fakes, reals, sigma)
    return max(0.0, value)


def cmmd(fakes: Tensor, reals: Tensor) -> float:
    """1000 times `gaussian_mmd` at sigma 10 of embeddings scaled to length 1: 0..2000, 0 is best.

    Called CMMD only on the embeddings of CLIP ViT-L/14 at 336 pixels. On unit vectors such a wide kernel sees little
    but the difference of the means, about 10 |m1 - m2|^2: it is blind to diversity. Never a detector of collapse.

    Raises:
        ValueError: a row of zeros, other widths, values that are not finite.
    """
    fakes, reals = as_pair(fakes, reals)
    lengths = fakes.norm(dim=1, keepdim=True), reals.norm(dim=1, keepdim=True)
    if not all(bool((length > 0).all()) for length in lengths):
        raise ValueError("a row of zeros has no direction")
    return 1000 * gaussian_mmd(fakes / lengths[0], reals / lengths[1], SIGMA)
