"""SMOTE: what a generator of rows must beat (Chawla et al. 2002, arXiv 1106.1813)."""

import numpy as np
from numpy.typing import NDArray


def smote(
    rows: NDArray[np.float32], labels: NDArray[np.int64], seed: int, neighbours: int = 5
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """``rows`` ``(n, d)`` and ``labels`` ``(n,)`` with new rows behind them: every class as large as the largest.

    A new row lies at a random place between a row and one of its nearest ``neighbours`` of the same class. A column of
    nothing but 0 and 1 is rounded: a one-hot code stays one, the nearer parent's. A class of one row is repeated.
    """
    from sklearn.neighbors import NearestNeighbors

    draw = np.random.default_rng(seed)
    codes = ((rows == 0) | (rows == 1)).all(0)
    found, counts = np.unique(labels, return_counts=True)
    parts = [rows]
    for label, count in zip(found, counts, strict=True):
        own, wanted = rows[labels == label], int(counts.max() - count)
        first = draw.integers(0, count, wanted)
        place = draw.random((wanted, 1), np.float32)
        k = min(neighbours, int(count) - 1)
        if k and wanted:
            near = NearestNeighbors(n_neighbors=k).fit(own).kneighbors(return_distance=False)
            second = near[first, draw.integers(0, k, wanted)]
        else:
            second = first
        new = own[first] + place * (own[second] - own[first])
        parts.append(np.where(codes, new.round(), new))
    return np.concatenate(parts), np.concatenate([labels, np.repeat(found, counts.max() - counts)])
