"""Number of statistically different bins, and Jensen-Shannon divergence over them (Richardson & Weiss 2018, arXiv
1805.12462): which parts of the real data come too seldom or too often."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.metrics.rows import as_rows, neighbours


@dataclass(frozen=True)
class BinCheck:
    """Fakes in the bins of the reals.

    Attributes:
        ndb: share of bins whose two-proportion z-test rejects, 0..1; alpha is what equal distributions score.
        js: Jensen-Shannon divergence in nats, 0 to ln 2, 0 is best. The size of the effect, where ``ndb`` is only its
            significance: with many samples the smallest difference is significant.
        shares: of the fakes in each bin, ``(k,)``, summing to 1.
        z: of each bin, ``(k,)``; negative where the fakes are too few.
        different: bins that reject, bool ``(k,)``.
    """

    ndb: float
    js: float
    shares: Tensor
    z: Tensor
    different: Tensor


@dataclass(frozen=True)
class Bins:
    """Cells of real data around ``centres`` ``(k, d)``, largest first, with ``counts`` ``(k,)`` of reals in each."""

    centres: Tensor
    counts: Tensor

    @classmethod
    def of(cls, reals: Tensor, bins: int = 100, seed: int = 0) -> "Bins":
        """Cluster reals ``(n, d)`` by seeded k-means. Some hundred rows a bin give a test that can see something.

        Raises:
            ValueError: fewer rows than bins, or values that are not finite.
        """
        from sklearn.cluster import KMeans

        if bins < 2:
            raise ValueError(f"at least 2 bins are needed, not {bins}")
        reals = as_rows(reals, "reals", at_least=bins)
        found = KMeans(bins, max_iter=100, n_init=1, random_state=seed).fit(reals.cpu().numpy())
        centres = torch.from_numpy(found.cluster_centers_).to(reals)
        counts = torch.bincount(nearest_centre(reals, centres), minlength=bins)
        order = counts.argsort(descending=True, stable=True)
        return cls(centres[order], counts[order])

    def assign(self, features: Tensor) -> Tensor:
        """Bin of each row ``(n, d)``, int64 ``(n,)``."""
        features = as_rows(features)
        if features.shape[1] != self.centres.shape[1]:
            raise ValueError(f"widths of features differ: {features.shape[1]}, bins {self.centres.shape[1]}")
        return nearest_centre(features, self.centres)

    def check(self, fakes: Tensor, alpha: float = 0.05) -> BinCheck:
        """Compare the shares of fakes ``(m, d)`` with those of the reals.

        Args:
            alpha: level of each bin's two-sided test, in (0, 1).
        """
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
        counts = torch.bincount(self.assign(fakes), minlength=len(self.counts))
        n, m = int(self.counts.sum()), int(counts.sum())
        real, fake = self.counts.double() / n, counts.double() / m
        both = (self.counts + counts).double() / (n + m)
        error = (both * (1 - both) * (1 / n + 1 / m)).sqrt()
        z = torch.where(error > 0, (fake - real) / error, torch.zeros_like(error))
        limit = torch.special.ndtri(torch.tensor(1 - alpha / 2, dtype=torch.float64))
        different = z.abs() > limit.to(z.device)
        return BinCheck(float(different.double().mean()), jensen_shannon(fake, real), fake, z, different)


def nearest_centre(rows: Tensor, centres: Tensor) -> Tensor:
    """Which of ``centres`` ``(k, d)`` each of ``rows`` ``(n, d)`` is nearest to, int64 ``(n,)``."""
    return neighbours(rows, centres)[1][:, 0]


def jensen_shannon(p: Tensor, q: Tensor) -> float:
    """Of two distributions ``(k,)``, in nats: H((p + q) / 2) - (H(p) + H(q)) / 2, 0 to ln 2."""
    entropy = torch.special.entr
    return max(0.0, float((entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2).sum()))
