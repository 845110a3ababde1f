"""Rows as matrices, for distances and for classifiers; everything is fitted on one table only, the reference."""

import numpy as np
from numpy.typing import NDArray

from sparring.core.rows import Rows
from sparring.metrics.tables.marginals import learnt


def gower(rows: Rows, reference: Rows, skip: tuple[str, ...] = ()) -> NDArray[np.float32]:
    """A matrix ``(n, d)`` whose L1 distances are Gower's, times the number of columns (Gower 1971).

    Numbers count by their difference over the reference's range, 1 at the most; categories by 0 or 1, and so does
    missing against there.
    """
    parts = []
    for column, values in learnt(rows):
        if column.name in skip:
            continue
        if column.numeric:
            there = reference[column.name][~np.isnan(reference[column.name])]
            low, span = (there.min(), max(float(np.ptp(there)), 1e-300)) if len(there) else (0.0, 1.0)
            gone = np.isnan(values)
            scaled = np.clip((np.where(gone, low, values) - low) / span, 0, 1)
            parts += [np.where(gone, 0.5, scaled).astype(np.float32)[:, None], gone[:, None] * np.float32(0.5)]
        else:
            states = len(column.categories) + len(column.rest) + 1
            codes = values.astype(np.int64) + 1
            used = np.unique(reference[column.name].astype(np.int64) + 1) if states > 256 else np.arange(states)
            parts.append((codes[:, None] == used) * np.float32(0.5))
    return np.concatenate(parts, axis=1)


def design(rows: Rows, reference: Rows, skip: tuple[str, ...] = ()) -> NDArray[np.float32]:
    """A matrix ``(n, d)`` for classifiers: standardised numbers, missing ones at the mean and marked; one-hot codes.

    Of columns with many categories the reference's 64 most frequent have a place of their own.
    """
    parts = []
    for column, values in learnt(rows):
        if column.name in skip:
            continue
        ours = reference[column.name]
        if column.numeric:
            there = ours[~np.isnan(ours)]
            mean, scale = (there.mean(), max(there.std(), 1e-12)) if len(there) else (0.0, 1.0)
            gone = np.isnan(values)
            parts.append(np.where(gone, 0.0, (np.where(gone, mean, values) - mean) / scale).clip(-20, 20)[:, None])
            if np.isnan(ours).any():
                parts.append(gone[:, None])
        else:
            codes, counts = np.unique(ours, return_counts=True)
            kept = codes[np.argsort(-counts, kind="stable")][:64]
            parts.append(values[:, None] == kept)
    return np.concatenate(parts, axis=1).astype(np.float32)
