"""How alike series are in what can be computed from them: values, their order in time, channels with one another.

Each distance is 0 for the same series and takes values ``(n, channels, length)``, NaN after the end. Autocorrelation
and correlation are those within a series, around its own mean, averaged over series: so they see its shape and not its
height, which the marginals see.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sparring.metrics.tables.marginals import ks_complement

Values = NDArray[np.float64]
STILL = 1e-9  # variance below which a channel of a series stands still, and has no correlation


def marginal_ks(real: Values, fake: Values) -> Values:
    """Kolmogorov-Smirnov distance of all values of each channel, ``(channels,)``."""
    pooled = (side.transpose(1, 0, 2).reshape(side.shape[1], -1) for side in (real, fake))
    return np.array([1 - ks_complement(a[~np.isnan(a)], b[~np.isnan(b)]) for a, b in zip(*pooled, strict=True)])


def length_ks(real: Values, fake: Values) -> float:
    """Kolmogorov-Smirnov distance of the lengths."""
    return 1 - ks_complement(*((~np.isnan(side[:, 0])).sum(1).astype(float) for side in (real, fake)))


def around_mean(values: Values) -> tuple[Values, Values]:
    """Values less their mean over time, 0 after the end, and their sums of squares ``(n, channels)``."""
    there = ~np.isnan(values)
    filled = np.where(there, values, 0.0)
    means = filled.sum(2, keepdims=True) / np.maximum(there.sum(2, keepdims=True), 1)
    centred = np.where(there, values - means, 0.0)
    return centred, (centred**2).sum(2)


def autocorrelation(values: Values, lags: int) -> Values:
    """Sample autocorrelation at lags 1 to ``lags``, ``(channels, lags)``: sum_t d_t d_(t+l) / sum_t d_t^2, d the
    distance from the mean of the series. Channels that stand still in a series count in no mean.
    """
    centred, power = around_mean(values)
    moves = power > STILL
    safe = np.where(moves, power, 1.0)
    found = [(centred[:, :, lag:] * centred[:, :, :-lag]).sum(2) / safe * moves for lag in range(1, lags + 1)]
    return np.stack([own.sum(0) / np.maximum(moves.sum(0), 1) for own in found], axis=1)


def autocorrelation_distance(real: Values, fake: Values) -> float:
    """Mean of |difference| over channels and lags up to half the length."""
    lags = max(1, real.shape[2] // 2)
    return float(np.abs(autocorrelation(real, lags) - autocorrelation(fake, lags)).mean())


def correlation(values: Values) -> Values:
    """Pearson's correlation of each two channels within a series, averaged over series, ``(channels, channels)``."""
    centred, power = around_mean(values)
    moves = power > STILL
    roots = np.sqrt(np.where(moves, power, 1.0))
    both = moves[:, :, None] & moves[:, None, :]
    own = np.einsum("nct,ndt->ncd", centred, centred) / (roots[:, :, None] * roots[:, None, :]) * both
    mean: Values = own.sum(0) / np.maximum(both.sum(0), 1)
    return mean


def correlation_distance(real: Values, fake: Values) -> float:
    """Mean of |difference| over pairs of channels. Raises `ValueError` for one channel."""
    if real.shape[1] < 2:
        raise ValueError("one channel has no cross-correlation")
    pairs = np.triu_indices(real.shape[1], 1)
    return float(np.abs(correlation(real)[pairs] - correlation(fake)[pairs]).mean())


def summaries(values: Values) -> Values:
    """What a person would look at, ``(n, 9 channels + pairs + 1)``: of each channel mean, deviation, least, greatest,
    first and last value, mean and deviation of its steps, and autocorrelation at lag 1; correlations; the length.
    """
    centred, power = around_mean(values)
    lengths = (~np.isnan(values[:, 0])).sum(1)
    last = values[np.arange(len(values)), :, lengths - 1]
    steps = np.nan_to_num(np.diff(values, axis=2))
    count = np.maximum(lengths - 1, 1)[:, None]
    moves = np.abs(steps).sum(2) / count
    jumps = np.sqrt((steps**2).sum(2) / count)
    safe = np.where(power > STILL, power, 1.0)
    lag = (centred[:, :, 1:] * centred[:, :, :-1]).sum(2) / safe
    means = np.nansum(values, axis=2) / lengths[:, None]
    parts = [means, np.sqrt(power / lengths[:, None]), np.nanmin(values, axis=2), np.nanmax(values, axis=2)]
    parts += [values[:, :, 0], last, moves, jumps, lag]
    a, b = np.triu_indices(values.shape[1], 1)
    parts.append((centred[:, a] * centred[:, b]).sum(2) / np.sqrt(safe[:, a] * safe[:, b]))
    return np.concatenate([*parts, lengths[:, None]], axis=1)


# ---------------------------------------------------------------------- baselines


def resampled_blocks(values: Values, count: int, block: int, seed: int) -> Values:
    """The baseline that knows single windows by heart: ``count`` of them, each put together of blocks of ``block``
    steps of random windows at random places, moved so that the next begins where the last ended.

    ``values`` ``(n, channels, length)`` have no ends.
    """
    draw = np.random.default_rng(seed)
    n, channels, length = values.shape
    made = np.empty((count, channels, length))
    for first in range(0, length, block):
        size = min(block, length - first)
        rows, starts = draw.integers(0, n, count), draw.integers(0, length - size + 1, count)
        part = values[rows[:, None], :, starts[:, None] + np.arange(size)].transpose(0, 2, 1)
        if first:
            part = part + (made[:, :, first - 1] - part[:, :, 0])[:, :, None]
        made[:, :, first : first + size] = part
    return made


def autoregressive(values: Values, count: int, seed: int) -> Values:
    """The baseline that keeps means, covariances and the correlation from one step to the next, and nothing else:
    a Gaussian vector autoregression of order 1 fitted by least squares, begun at random first steps of the data.

    ``values`` ``(n, channels, length)`` have no ends.
    """
    draw = np.random.default_rng(seed)
    now, then = values[..., :-1], values[..., 1:]
    before, after = (part.transpose(0, 2, 1).reshape(-1, values.shape[1]) for part in (now, then))
    told = np.concatenate([before, np.ones((len(before), 1))], axis=1)
    weights, *_ = np.linalg.lstsq(told, after, rcond=None)
    errors = np.atleast_2d(np.cov((after - told @ weights).T))
    roots, vectors = np.linalg.eigh(errors)
    spread = vectors * np.sqrt(np.maximum(roots, 0))
    made = [values[draw.integers(0, len(values), count), :, 0]]
    for _ in range(values.shape[2] - 1):
        noise = draw.normal(size=(count, values.shape[1])) @ spread.T
        made.append(made[-1] @ weights[:-1] + weights[-1] + noise)
    return np.stack(made, axis=2)


def blocks_of(count: int, blocks: int = 10) -> Iterator[slice]:
    """``count`` places in blocks of equal size, in their order."""
    ends = np.linspace(0, count, blocks + 1).round().astype(int)
    yield from (slice(first, last) for first, last in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))
