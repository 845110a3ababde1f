"""The order for differential privacy: each batch is a subset of the data, drawn uniformly, whatever others were.

Its analysis wants just that. To walk through a permutation is something else: there a sample that was dealt is not
dealt again before all others were.
"""

import numpy as np
import torch
from torch import Tensor

from sparring.core.seeds import seed_of
from sparring.data.order import Order


class Subsets(Order):
    """Positions ``k * batch`` to ``(k + 1) * batch`` hold ``batch`` different samples, drawn by the seed and k."""

    def __init__(self, count: int, batch: int, seed: int):
        super().__init__(count, seed)
        if not 1 <= batch <= count:
            raise ValueError(f"no subset of {batch} can be drawn from {count} samples")
        self.batch = batch

    def indices(self, first: int, count: int) -> Tensor:
        """Sample numbers int64 ``(count,)`` at positions ``first`` to ``first + count``."""
        if first < 0 or count < 1:
            raise ValueError(f"cannot deal {count} samples from position {first}")
        numbers = range(first // self.batch, (first + count - 1) // self.batch + 1)
        skipped = first - numbers[0] * self.batch
        return torch.cat([self._subset(number) for number in numbers])[skipped : skipped + count]

    def _subset(self, number: int) -> Tensor:
        draw = np.random.default_rng(seed_of(self.seed, "subset", number))
        return torch.from_numpy(draw.choice(self.count, self.batch, replace=False))
