"""MIND, a sliced Wasserstein distance of features (Berthet et al. 2026, arXiv 2605.06797)."""

import torch
from torch import Tensor

from sparring.metrics.rows import as_pair, blocks, pick, seeded


def mind(fakes: Tensor, reals: Tensor, directions: int = 1000, seed: int = 0) -> float:
    """3 d times the mean, over seeded unit directions, of the squared 2-Wasserstein distance of projections.

    0 and up, 0 is best; a shift of every feature by mu gives 3 d mu^2 on average. Samples of equal distributions score
    above 0: print what reals against reals give. Of unequal counts the larger set is cut, seeded, to the smaller.

    Raises:
        ValueError: no direction, other widths, values that are not finite.
    """
    if directions < 1:
        raise ValueError(f"directions must be at least 1, not {directions}")
    fakes, reals = as_pair(fakes, reals)
    generator = seeded(seed)
    count, dim = min(len(fakes), len(reals)), fakes.shape[1]
    axes = torch.randn(directions, dim, dtype=torch.float64, generator=generator).to(fakes.device)
    axes = axes / axes.norm(dim=1, keepdim=True)
    if len(fakes) > count:
        fakes = pick(fakes, count, generator)
    if len(reals) > count:
        reals = pick(reals, count, generator)
    total = torch.zeros((), dtype=torch.float64, device=fakes.device)
    for part in blocks(directions, count):
        total += ((axes[part] @ fakes.T).sort(1).values - (axes[part] @ reals.T).sort(1).values).square().sum()
    return 3 * dim * float(total) / (count * directions)
