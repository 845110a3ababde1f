"""Is the generator still making different things? The first probe of the referee."""

import math

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from sparring.core.batch import Batch, Outcome
from sparring.core.game import Turn
from sparring.core.observer import Probe


def mean_pairwise_distance(samples: Tensor) -> float:
    """Mean Euclidean distance between two different samples ``(n, ...)``; pictures are pooled to at most 16x16."""
    if len(samples) < 2:
        raise ValueError(f"a distance between samples needs two of them, got {len(samples)}")
    if samples.dim() == 4 and min(samples.shape[2:]) > 16:
        samples = adaptive_avg_pool2d(samples, 16)
    return float(torch.pdist(samples.detach().float().flatten(1)).mean())


def diversity_ratio(samples: Tensor, reals: Tensor) -> float:
    """Mean distance among samples over that among as many reals: about 1 when varied alike, 0 when collapsed."""
    among_reals = mean_pairwise_distance(reals)
    return mean_pairwise_distance(samples) / among_reals if among_reals > 0 else math.nan


class Diversity(Probe):
    """Reads `diversity_ratio` on the fixed-seed samples of each picture."""

    def __init__(self) -> None:
        self.last: float | None = None

    def see(self, turn: Turn, batch: Batch, outcome: Outcome) -> None:
        """Nothing to see here: it looks at samples."""

    def see_samples(self, samples: Tensor, reals: Tensor) -> None:
        self.last = diversity_ratio(samples, reals)

    def report(self) -> dict[str, float]:
        return {} if self.last is None else {"probe/diversity": self.last}
