"""Counts of states with noise, for differential privacy: they say how often each state is asked for."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sparring.core.columns import Column, Layout
from sparring.core.rows import decode, encode
from sparring.core.seeds import seed_of
from sparring.data.dataset import DataSet


def with_noisy_counts(data: DataSet, deviation: float, seed: int) -> DataSet:
    """The same table, whose columns say their `Column.counts` with normal noise of ``deviation`` rows in each.

    Rounded, and 1 at least: no state is ruled out. Columns with one state count all rows, as before. Rare values, which
    are told apart by their shares of one state (`Column.rest_counts`), get equal ones: nothing is counted for them.
    """
    columns = list(data.spec.columns)
    draw = np.random.default_rng(seed_of(seed, "counts"))
    for span in Layout(data.spec.columns).choices:
        exact = np.array(columns[span.place].counts, np.float64)
        noisy = np.maximum(np.rint(exact + draw.normal(0.0, deviation, len(exact))), 1)
        columns[span.place] = replace(columns[span.place], counts=tuple(int(count) for count in noisy))
    return told_by(data, [replace(column, rest_counts=(1,) * len(column.rest)) for column in columns])


def told_by(data: DataSet, columns: Sequence[Column]) -> DataSet:
    """The same table, told by columns with other counts: what tells rare values apart is encoded anew.

    Its fingerprint stays. So does what is held out, told by the same columns.
    """
    if data.pixels is None:
        raise ValueError("a table is kept in memory")
    layout, kept = Layout(data.spec.columns), data.pixels
    places = {span.place: len(layout.scalars) + at for at, span in enumerate(layout.choices)}
    for at, span in enumerate(layout.scalars):
        before, after = data.spec.columns[span.place], columns[span.place]
        if before.rest_counts != after.rest_counts:
            kept = kept.clone() if kept is data.pixels else kept
            own = decode(kept[:, [at, places[span.place]]], Layout((before,)))
            kept[:, at] = encode(replace(own, columns=(after,)))[0][:, 0]
    held_out = None if data.held_out is None else told_by(data.held_out, columns)
    spec = replace(data.spec, columns=tuple(columns))
    return replace(data, spec=spec, pixels=kept, held_out=held_out)
