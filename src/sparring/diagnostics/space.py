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
# A silhouette above 0.7 is called a strong structure (Kaufman and Rousseeuw 1990). The ring cut into its 8 modes has
# 0.98, the grid into its 25 0.96, and no cut of the digits more than 0.2.
STRONG = 0.7
COMPARED = 500  # reals by which cuts are compared


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
        """Seeded k-means on reals ``(n, d)``, with so many clusters that a look at ``samples`` can judge each.

        Where the data falls into fewer parts that lie clearly apart, those are its clusters.
        """
        from sklearn.cluster import KMeans

        distinct = len(torch.unique(features, dim=0))
        count = max(1, min(MOST, max(FEWEST, samples // PER_CLUSTER), distinct, math.isqrt(len(features))))
        found = KMeans(count, n_init=TRIES if features.shape[1] <= 8 else 2, random_state=seed).fit(features.numpy())
        centres = apart(features, torch.from_numpy(found.cluster_centers_).to(features))
        of = torch.cdist(features, centres).argmin(1)
        return cls(centres, torch.bincount(of, minlength=len(centres)))

    def __len__(self) -> int:
        return len(self.centres)

    def assign(self, features: Tensor) -> Tensor:
        """The cluster of each row ``(n, d)``, int64 ``(n,)``."""
        return torch.cdist(features, self.centres).argmin(1)

    def count(self, features: Tensor) -> Tensor:
        """How many rows lie in each, int64 ``(k,)``."""
        return torch.bincount(self.assign(features), minlength=len(self))


def apart(features: Tensor, centres: Tensor) -> Tensor:
    """Centres ``(m, d)`` of the parts that reals ``(n, d)`` clearly fall into, else the ``centres`` ``(k, d)`` given.

    Cells are joined, the nearest first, and of all cuts the one of greatest silhouette counts (Rousseeuw 1987). k-means
    cuts each narrow mode into several cells, and samples that stay near their mode's centre would leave out some.
    """
    from scipy.cluster.hierarchy import fcluster, linkage  # type: ignore[import-untyped]
    from sklearn.metrics import silhouette_score

    if len(centres) <= FEWEST:
        return centres
    cells = torch.cdist(features, centres).argmin(1)
    some = torch.linspace(0, len(features) - 1, min(COMPARED, len(features))).long()
    tree = linkage(centres.double().numpy(), "average")
    best, found = STRONG, centres
    for count in range(len(centres), FEWEST - 1, -1):
        parts = torch.from_numpy(fcluster(tree, count, "maxclust")).long()[cells]
        if 1 < len(parts[some].unique()) < len(some):
            score = float(silhouette_score(features[some].numpy(), parts[some].numpy()))
            if score > best:
                best, found = score, torch.stack([features[parts == part].mean(0) for part in parts.unique()])
    return found
