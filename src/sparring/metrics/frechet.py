"""Fréchet distance between Gaussians fitted to features (Dowson & Landau 1982; Heusel et al. 2017, arXiv 1706.08500).

    FD = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)),        0 and up, 0 is best

It sees means and covariances and nothing else. It is called FID only with the Inception network of 2015 and a named
pixel rule; here it is a distance of whatever features it is given. Covariances divide by n - 1, as ``numpy.cov``.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sparring.metrics.rows import as_rows, pick, seeded

CHUNK = 4096  # rows turned to float64 at a time
STRIP = 256  # rows of the scatter computed at a time


@dataclass(frozen=True)
class Gaussian:
    """Mean ``(d,)`` and covariance ``(d, d)``, float64, of ``count`` rows. Constant features have covariance zero."""

    mean: Tensor
    covariance: Tensor
    count: int

    def __post_init__(self) -> None:
        dim = len(self.mean)
        if self.mean.shape != (dim,) or self.covariance.shape != (dim, dim):
            raise ValueError(
                f"mean {tuple(self.mean.shape)} and covariance {tuple(self.covariance.shape)} do not fit together"
            )
        if not (bool(self.mean.isfinite().all()) and bool(self.covariance.isfinite().all())):
            raise ValueError("mean or covariance is not finite")

    @classmethod
    def of(cls, features: Tensor) -> "Gaussian":
        """Of rows ``(n, d)``, n >= 2.

        Raises:
            ValueError: fewer than 2 rows, or values that are not finite.
        """
        if features.dim() != 2:
            raise ValueError(f"features must have shape (n, d), not {tuple(features.shape)}")
        moments = Moments(features.shape[1])
        moments.add(features)
        return moments.gaussian()

    @cached_property
    def root(self) -> Tensor:
        """R ``(d, r)`` with R R^T the covariance: triangular where that has full rank, else of its eigenvectors."""
        triangular, failed = torch.linalg.cholesky_ex(self.covariance)
        if self.count > len(self.mean) and not int(failed):
            return triangular
        values, vectors = torch.linalg.eigh(self.covariance)
        kept = values > values[-1] * len(values) * torch.finfo(values.dtype).eps  # the rest is only rounding
        return vectors[:, kept] * values[kept].sqrt()

    @property
    def note(self) -> str | None:
        """What to say next to a number made of it; None when there is nothing to say."""
        return rank_note(self.count, len(self.mean))


def rank_note(count: int, dim: int) -> str | None:
    """A sentence where ``count`` rows cannot fill a covariance of ``dim`` features, else None."""
    if count > dim:
        return None
    return f"{count:,} samples leave the covariance of {dim:,} features without full rank: the distance is biased"


class Moments:
    """Mean and scatter of any number of rows, in memory that does not grow with them: 8 d^2 bytes and one batch.

    Batches and shards are joined by the update of Chan, Golub & LeVeque (1983), which never subtracts large sums. Of
    ``scatter`` what lies below the diagonal means nothing.
    """

    def __init__(self, dim: int) -> None:
        if dim < 1:
            raise ValueError(f"features need at least one dimension, not {dim}")
        self.dim = dim
        self.count = 0
        self.mean = torch.zeros(dim, dtype=torch.float64)
        self.scatter = torch.zeros(dim, dim, dtype=torch.float64)

    def add(self, batch: Tensor) -> None:
        """Take in rows ``(n, dim)``; everything moves to the device of the first batch.

        Raises:
            ValueError: another width, or a value that is not finite.
        """
        if batch.dim() != 2 or batch.shape[1] != self.dim:
            raise ValueError(f"a batch must have shape (n, {self.dim}), not {tuple(batch.shape)}")
        if self.count == 0:
            self.mean, self.scatter = self.mean.to(batch.device), self.scatter.to(batch.device)
        for part in batch.split(CHUNK):
            if len(part):
                rows = as_rows(part)
                mean = rows.mean(0)
                centred = rows - mean
                self._join(len(rows), mean)
                for start in range(0, self.dim, STRIP):  # on and above the diagonal only: close to half of the work
                    strip = centred[:, start : start + STRIP]
                    self.scatter[start : start + STRIP, start:].addmm_(strip.T, centred[:, start:])

    def merge(self, other: "Moments") -> None:
        """Take in what another accumulator saw, as of another shard.

        Raises:
            ValueError: another width.
        """
        if other.dim != self.dim:
            raise ValueError(f"moments of {other.dim} and {self.dim} features do not merge")
        if other.count:
            if self.count == 0:
                self.mean, self.scatter = self.mean.to(other.mean.device), self.scatter.to(other.mean.device)
            self._join(other.count, other.mean.to(self.mean.device))
            self.scatter += other.scatter.to(self.scatter.device)

    def _join(self, count: int, mean: Tensor) -> None:
        """Count and mean of both; the scatter between the two means, not that within what is joined."""
        total = self.count + count
        shift = mean - self.mean
        self.scatter.addr_(shift, shift, alpha=self.count * count / total)
        self.mean = self.mean + shift * (count / total)
        self.count = total

    def gaussian(self) -> Gaussian:
        """What was seen so far.

        Raises:
            ValueError: fewer than 2 rows were seen.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 samples, not {self.count}")
        above = self.scatter.triu() / (self.count - 1)
        return Gaussian(self.mean.clone(), above + above.triu(1).T, self.count)


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """FD, >= 0, symmetric; 0 only for equal means and covariances.

    With S2 = R R^T the eigenvalues of S1 S2 are those of the symmetric R^T S1 R: real arithmetic throughout, and
    defined at any rank. No more of them than the smaller rank are summed, since the root of what should be 0 is not.

    Raises:
        ValueError: the widths differ.
    """
    if len(a.mean) != len(b.mean):
        raise ValueError(f"widths of features differ: {len(a.mean)} and {len(b.mean)}")
    squares = torch.linalg.eigvalsh(b.root.T @ a.covariance @ b.root).clamp_min(0)
    rank = min(len(squares), a.count - 1)
    shared = squares[len(squares) - rank :].sqrt().sum()
    traces = a.covariance.trace() + b.covariance.trace() - 2 * shared
    return max(0.0, float((a.mean - b.mean).square().sum() + traces))


def bias(gaussian: Gaussian, fakes: float, reals: float = math.inf) -> float:
    """What FD is on average between samples of one and the same Gaussian: what is left of it at a perfect score.

    To first order in 1/n, with eigenvalues l of the covariance S,

        (1/fakes + 1/reals) [tr S + 1/2 sum_ij l_i l_j (1 + [i = j]) / (l_i + l_j)],

    by the delta method for both moments of a Gaussian sample; for S = I and n on both sides (2 d + d (d + 1) / 2) / n.
    Good for counts well above d; a covariance of few samples understates it.

    Args:
        gaussian: the reference; its own count is not used.
        fakes, reals: number of samples behind each side; infinite for a side known exactly.
    """
    if min(fakes, reals) < 2:
        raise ValueError(f"a covariance needs at least 2 samples, not {min(fakes, reals)}")
    values = torch.linalg.eigvalsh(gaussian.covariance).clamp_min(0)
    pairs = (values[:, None] * values / (values[:, None] + values)).nan_to_num(0.0)  # 0 / 0 between constant features
    return float(values.sum() + (pairs.sum() + pairs.trace()) / 2) * (1 / fakes + 1 / reals)


@dataclass(frozen=True)
class Extrapolation:
    """A line through FD_N against 1/N.

    Attributes:
        value: its height at 1/N = 0; may fall a little below 0.
        slope: FD times samples; how much bias N samples carry is slope / N.
        counts, distances: the points.
    """

    value: float
    slope: float
    counts: tuple[int, ...]
    distances: tuple[float, ...]


def frechet_infinite(
    fakes: Tensor, reference: Gaussian, points: int = 15, smallest: int | None = None, seed: int = 0
) -> Extrapolation:
    """FD of infinitely many fakes ``(n, d)`` to the reference (Chong & Forsyth 2020, arXiv 1911.07023).

    Least squares through FD_N against 1/N over ``points`` seeded subsets of evenly spaced size. The reference's own
    part of the bias stays in. Fakes are drawn by an ordinary generator, not by a quasi-random sequence as in the paper.

    Args:
        smallest: subset; by default min(5000, n / 10), as dgm-eval has it. Above d, or the line is none.

    Raises:
        ValueError: fewer than two sizes of subsets, or what `Gaussian.of` refuses.
    """
    fakes = as_rows(fakes, "fakes", at_least=3)
    low = max(2, min(5000, len(fakes) // 10)) if smallest is None else smallest
    if not (2 <= low < len(fakes) and points >= 2):
        raise ValueError(f"a line needs two sizes of subsets: {points} points from {low} to {len(fakes)} rows")
    generator = seeded(seed)
    counts = [round(low + (len(fakes) - low) * step / (points - 1)) for step in range(points)]
    distances = [frechet_distance(Gaussian.of(pick(fakes, count, generator)), reference) for count in counts]
    inverse = 1 / torch.tensor(counts, dtype=torch.float64)
    heights = torch.tensor(distances, dtype=torch.float64)
    centred = inverse - inverse.mean()
    slope = float((centred * heights).sum() / centred.square().sum())
    return Extrapolation(float(heights.mean() - slope * inverse.mean()), slope, tuple(counts), tuple(distances))
