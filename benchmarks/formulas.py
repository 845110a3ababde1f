"""The formulas of the metrics, written down once more: slowly, by NumPy and SciPy alone, for `parity.py`."""

import math

import numpy as np
import torch


def frechet_by_sqrtm(x, y):
    """As pytorch-fid writes it, with SciPy's square root of the product, which may be complex."""
    from scipy.linalg import sqrtm

    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.asarray(sqrtm(a @ b))
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * np.trace(root).real)


def kernel_by_sums(x, y):
    """The unbiased estimator, pair by pair."""

    def k(a, b):
        return (math.fsum(a * b) / len(a) + 1) ** 3

    within = [math.fsum(k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j) for z in (x, y)]
    between = math.fsum(k(a, b) for a in x for b in y)
    n, m = len(x), len(y)
    return within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * between / (n * m)


def cmmd_by_sums(x, y):
    x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))

    def mean(a, b):
        return np.exp(-((a[:, None] - b) ** 2).sum(2) / 200).mean()

    return 1000 * float(mean(x, x) + mean(y, y) - 2 * mean(x, y))


def vendi_by_cosines(x):
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    shares = np.linalg.eigvalsh(unit @ unit.T / len(x))
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def mind_by_sorting(x, y, directions=1000):
    """The directions are those of our seed; the rest is the formula."""
    axes = torch.randn(directions, x.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(0)).numpy()
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return 3 * x.shape[1] * float(np.mean([((np.sort(x @ u) - np.sort(y @ u)) ** 2).mean() for u in axes]))


def authenticity_by_hand(x, train):
    own = np.linalg.norm(train[:, None] - train, axis=2)
    np.fill_diagonal(own, np.inf)
    to_train = np.linalg.norm(x[:, None] - train, axis=2)
    return float((own.min(1)[to_train.argmin(1)] < to_train.min(1)).mean())


def rank_z_of_scipy(x, y):
    from scipy.stats import mannwhitneyu

    n, m = len(x), len(y)
    u = mannwhitneyu(x, y, alternative="less").statistic
    return float((u - (n * m / 2 - 0.5)) / math.sqrt(n * m * (n + m + 1) / 12))


def jensen_shannon_of_scipy(p, q):
    from scipy.spatial.distance import jensenshannon

    return float(jensenshannon(p, q) ** 2)
