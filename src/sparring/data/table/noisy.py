"""Counts of states with noise, for differential privacy: they say how often each state is asked for."""

from dataclasses import replace

import numpy as np

from sparring.core.columns import Layout
from sparring.core.seeds import seed_of
from sparring.data.dataset import DataSet


def with_noisy_counts(data: DataSet, deviation: float, seed: int) -> DataSet:
    """The same table, whose columns say their `Column.counts` with normal noise of ``deviation`` rows in each.

    Rounded, and 1 at least: no state is ruled out. Columns with one state count all rows, as before. What tells rare
    values apart (`Column.rest_counts`) is part of how rows are encoded, and stays.
    """
    columns = list(data.spec.columns)
    draw = np.random.default_rng(seed_of(seed, "counts"))
    for span in Layout(data.spec.columns).choices:
        exact = np.array(columns[span.place].counts, np.float64)
        noisy = np.maximum(np.rint(exact + draw.normal(0.0, deviation, len(exact))), 1)
        columns[span.place] = replace(columns[span.place], counts=tuple(int(count) for count in noisy))
    return replace(data, spec=replace(data.spec, columns=tuple(columns)))
