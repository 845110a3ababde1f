"""A space to see samples in that is the same for a whole run: small pixels on their principal directions, clusters.

It sees colour, layout and rough shape, and nothing finer; cheap enough to look often.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from sparring.core.look import View
from sparring.diagnostics.statistics import mean_pairwise_distance

SIDE = 16
DIRECTIONS = 32
PER_CLUSTER = 25  # samples of a look, on average: fewer could not show that a cluster is missing
FEWEST, MOST = 2, 25  # clusters
TRIES = 10  # of k-means: of a grid of 25 it must find all; in many dimensions there is no best one, and 2 do


def shrink(samples: Tensor) -> Tensor:
    """Pictures ``(n, c, h, w)`` with means over areas for pixels, at most 16 a side; anything else as it is."""
    samples = samples.detach().float()
    if samples.dim() != 4:
        return samples
    height, width = (min(SIDE, side) for side in samples.shape[2:])
    return adaptive_avg_pool2d(samples, (height, width))


def diversity_ratio(samples: Tensor, reals: Tensor) -> float:
    """Mean distance among samples over that among as many reals: about 1 when varied alike, 0 when collapsed.

    Both ``(n, *shape)``, shrunk. NaN where all reals are alike.
    """
    among_reals = mean_pairwise_distance(shrink(reals))
    return mean_pairwise_distance(shrink(samples)) / among_reals if among_reals > 0 else math.nan


@dataclass(frozen=True)
class Space:
    """Principal directions ``(d, values)`` of reals around their ``mean`` ``(values,)``; none where data is flat."""

    mean: Tensor
    directions: Tensor | None

    @classmethod
    def of(cls, pixels: Tensor) -> "Space":
        """Of shrunken reals ``(n, ...)``; data of few values, such as points, keeps its own coordinates."""
        flat = pixels.flatten(1)
        mean = flat.mean(0)
        if pixels.dim() == 2 and flat.shape[1] <= DIRECTIONS:
            return cls(mean, None)
        _, vectors = torch.linalg.eigh((flat - mean).double().T @ (flat - mean).double())
        return cls(mean, vectors.T.flip(0)[:DIRECTIONS].float())

    def view(self, samples: Tensor, labels: Tensor | None = None) -> View:
        """Samples or reals ``(n, *shape)`` as seen here; on the CPU."""
        pixels = shrink(samples).cpu()
        flat = pixels.flatten(1) - self.mean
        return View(pixels, flat if self.directions is None else flat @ self.directions.T, labels)


@dataclass(frozen=True)
class Clusters:
    """Cells of the reals' features around ``centres`` ``(k, d)``, with ``counts`` ``(k,)`` of reals in each."""

    centres: Tensor
    counts: Tensor

    @classmethod
    def of(cls, features: Tensor, samples: int, seed: int = 0) -> "Clusters":
        """Seeded k-means on reals ``(n, d)``, with so many clusters that a look at ``samples`` can judge each."""
        from sklearn.cluster import KMeans

        distinct = len(torch.unique(features, dim=0))
        count = max(1, min(MOST, max(FEWEST, samples // PER_CLUSTER), distinct, math.isqrt(len(features))))
        found = KMeans(count, n_init=TRIES if features.shape[1] <= 8 else 2, random_state=seed).fit(features.numpy())
        centres = torch.from_numpy(found.cluster_centers_).to(features)
        of = torch.cdist(features, centres).argmin(1)
        return cls(centres, torch.bincount(of, minlength=count))

    def __len__(self) -> int:
        return len(self.centres)

    def assign(self, features: Tensor) -> Tensor:
        """The cluster of each row ``(n, d)``, int64 ``(n,)``."""
        return torch.cdist(features, self.centres).argmin(1)

    def count(self, features: Tensor) -> Tensor:
        """How many rows lie in each, int64 ``(k,)``."""
        return torch.bincount(self.assign(features), minlength=len(self))
