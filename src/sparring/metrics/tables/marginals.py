"""How alike single columns are, and pairs of columns: 1 is the same, 0 has nothing in common.

The scores are those of the SDMetrics library by name and formula, with two differences: a missing value is a value of
its own everywhere, and numbers are binned by the real data alone, so that a shifted column cannot look alike.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from sparring.core.columns import Column
from sparring.core.rows import Rows, Values

BINS = 10  # equal ranges into which numbers are cut beside categories


def ks_complement(real: Values, fake: Values) -> float:
    """1 - sup |F_real - F_fake| of two samples of numbers; missing ones (NaN) count as below all others."""
    ours, theirs = (np.sort(np.where(np.isnan(side), -np.inf, side)) for side in (real, fake))
    both = np.concatenate([ours, theirs])
    gaps = np.searchsorted(ours, both, side="right") / len(ours) - np.searchsorted(theirs, both, side="right") / len(
        theirs
    )
    return float(1 - np.abs(gaps).max())


def tv_complement(real: Values, fake: Values) -> float:
    """1 - half the sum of |p_real - p_fake| over categories (numbers of them from -1, missing)."""
    size = int(max(real.max(), fake.max())) + 2
    shares = [np.bincount(side.astype(np.int64) + 1, minlength=size) / len(side) for side in (real, fake)]
    return float(1 - np.abs(shares[0] - shares[1]).sum() / 2)


def shape(column: Column, real: Values, fake: Values) -> float:
    """`ks_complement` of numbers, `tv_complement` of anything else."""
    return (ks_complement if column.numeric else tv_complement)(real, fake)


def learnt(rows: Rows) -> Iterator[tuple[Column, Values]]:
    """The columns that there is something to say of: no identifiers, no constants."""
    return ((column, values) for column, values in rows if column.kind not in ("identifier", "constant"))


def column_shapes(real: Rows, fake: Rows) -> dict[str, float]:
    """`shape` of each column by name."""
    return {column.name: shape(column, values, fake[column.name]) for column, values in learnt(real)}


def correlation_similarity(real: tuple[Values, Values], fake: tuple[Values, Values]) -> float:
    """1 - |r_real - r_fake| / 2 with Pearson's r over rows where both are there; a constant side has an r of 0."""
    return 1 - abs(_pearson(*real) - _pearson(*fake)) / 2


def _pearson(a: Values, b: Values) -> float:
    both = ~(np.isnan(a) | np.isnan(b))
    if both.sum() < 2 or a[both].std() == 0 or b[both].std() == 0:
        return 0.0
    return float(np.corrcoef(a[both], b[both])[0, 1])


def contingency_similarity(real: tuple[Values, Values], fake: tuple[Values, Values]) -> float:
    """1 - half the sum of |R_ab - S_ab| over the cells of two columns of categories."""
    width = int(max(real[1].max(), fake[1].max())) + 2
    ours, theirs = ((a.astype(np.int64) + 1) * width + b.astype(np.int64) + 1 for a, b in (real, fake))
    cells, places = np.unique(np.concatenate([ours, theirs]), return_inverse=True)  # few of all that there could be
    shares = [
        np.bincount(side, minlength=len(cells)) / len(side) for side in (places[: len(ours)], places[len(ours) :])
    ]
    return float(1 - np.abs(shares[0] - shares[1]).sum() / 2)


def binned(numbers: Values, edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """The number of the range that each number lies in, the outer ones open; -1 where missing."""
    return np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers, side="right"))


def edges_of(numbers: Values) -> NDArray[np.float64]:
    """The inner edges of `BINS` equal ranges."""
    there = numbers[~np.isnan(numbers)]
    if not len(there):
        return np.empty(0)
    return np.linspace(there.min(), there.max(), BINS + 1)[1:-1]


def pair_trends(real: Rows, fake: Rows) -> dict[tuple[str, str], float]:
    """For each pair of columns how alike they go together: by correlation of two numbers, by contingency of others."""
    found = {}
    cut = {c.name: edges_of(values) for c, values in learnt(real) if c.numeric}
    as_codes = [
        {c.name: binned(values, cut[c.name]) if c.numeric else values for c, values in learnt(side)}
        for side in (real, fake)
    ]
    for (a, _), (b, _) in combinations(learnt(real), 2):
        if a.numeric and b.numeric:
            score = correlation_similarity((real[a.name], real[b.name]), (fake[a.name], fake[b.name]))
        else:
            ours, theirs = ((codes[a.name], codes[b.name]) for codes in as_codes)
            score = contingency_similarity(ours, theirs)
        found[a.name, b.name] = score
    return found


def independent(rows: Rows, seed: int) -> Rows:
    """The baseline that keeps every column and no pair: each shuffled by itself."""
    draw = np.random.default_rng(seed)
    return Rows(rows.columns, tuple(draw.permutation(values) for values in rows.values))


def resampled(rows: Rows, count: int, seed: int) -> Rows:
    """The baseline that keeps everything and nobody's privacy: rows drawn with replacement."""
    return rows.take(np.random.default_rng(seed).integers(0, len(rows), count))
