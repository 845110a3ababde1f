"""Rows of a table: as values, compact as a data set keeps them, and encoded as networks see them (`core.columns`)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.core.columns import Column, Layout, shares

Values = NDArray[np.float64] | NDArray[np.int64]
UNKNOWN = -2  # the code of a category that a column does not know; -1 is missing
SAME = 1e-8  # relative difference of numbers without a last decimal that are the same: nine digits of them are written


@dataclass(frozen=True)
class Rows:
    """Decoded rows, column by column.

    Attributes:
        columns: what they are.
        values: of numbers, float64 ``(n,)`` with NaN where missing; of everything else the number of the category,
            int64 ``(n,)``, counted through `Column.categories` and then `Column.rest`, -1 where missing; of an
            identifier a serial number.
    """

    columns: tuple[Column, ...]
    values: tuple[Values, ...]

    def __len__(self) -> int:
        return len(self.values[0])

    def __getitem__(self, name: str) -> Values:
        return next(values for column, values in self if column.name == name)

    def __iter__(self) -> Iterator[tuple[Column, Values]]:
        return iter(zip(self.columns, self.values, strict=True))

    def take(self, indices: NDArray[np.int64] | NDArray[np.bool_]) -> "Rows":
        """Some of the rows."""
        return Rows(self.columns, tuple(values[indices] for values in self.values))


def place_of(columns: Sequence[Column], name: str) -> int:
    """The number of a column."""
    return [column.name for column in columns].index(name)


# ---------------------------------------------------------------------- compact and encoded


def expand(kept: Tensor, layout: Layout) -> Tensor:
    """Compact rows ``(n, scalars + choices)`` to encoded ones, float32 ``(n, width)``."""
    rows = kept.new_zeros(len(kept), layout.width, dtype=torch.float32)
    count = len(layout.scalars)
    if count:
        rows[:, [span.scalar for span in layout.scalars]] = kept[:, :count].float()
    if layout.choices:
        firsts = torch.tensor(layout.firsts, device=kept.device)
        rows.scatter_(1, kept[:, count:].long() + firsts, 1.0)
    return rows


def compact(rows: Tensor, layout: Layout) -> Tensor:
    """Encoded rows, soft ones too, to compact ones, float32: of each column the state that weighs most."""
    parts = [rows[:, [span.scalar for span in layout.scalars]].float()]
    parts += [rows[:, span.first : span.first + span.states].argmax(1, keepdim=True).float() for span in layout.choices]
    return torch.cat(parts, dim=1)


# ---------------------------------------------------------------------- values to compact rows


def encode(rows: Rows) -> tuple[Tensor, NDArray[np.bool_]]:
    """Compact rows, float32, and which rows hold nothing unknown, bool ``(n,)``; the others are encoded anyhow."""
    layout = Layout(rows.columns)
    known = np.ones(len(rows), bool)
    scalars, states = [], []
    for span in layout.spans:
        column, values = rows.columns[span.place], rows.values[span.place]
        if not column.learnt or column.kind == "constant":
            continue
        if column.base:
            values = values - rows[column.base]
        state, scalar, sure = _numbers(column, values) if column.numeric else _categories(column, values)
        known &= sure
        if span.scalar >= 0:
            scalars.append(scalar)
        if span.states:
            states.append(state)
    parts = [np.asarray(part, np.float32) for part in (*scalars, *states)]
    packed = np.stack(parts, axis=1) if parts else np.zeros((len(rows), 0), np.float32)
    return torch.from_numpy(packed), known


def _categories(column: Column, codes: Values) -> tuple[Values, NDArray[np.float64], NDArray[np.bool_]]:
    first = len(column.categories)
    state = np.where(codes >= first, first, codes)
    state = np.where(codes == -1, column.states - 1, state)
    known = (codes >= 0) | ((codes == -1) & column.missing)
    ends = np.array([0.0, *shares(column.rest_counts)]) if column.rest else np.zeros(2)
    middles = ends[:-1] + ends[1:] - 1  # twice the middle of its share, less 1
    rare = codes >= first
    scalar = np.zeros(len(codes))
    scalar[rare] = middles[codes[rare].astype(np.int64) - first]
    return np.maximum(state, 0), scalar, known


def _numbers(column: Column, numbers: Values) -> tuple[Values, NDArray[np.float64], NDArray[np.bool_]]:
    modes = len(column.centres)
    state, scalar = np.zeros(len(numbers), np.int64), np.zeros(len(numbers))
    missing = np.isnan(numbers)
    filled = np.where(missing, 0.0, numbers)
    left = ~missing
    if column.points:
        points = np.array(column.points)
        order = points.argsort()
        near = nearest(points[order], filled)
        found = left & (np.abs(points[order][near] - filled) <= tolerance(filled, column.decimals))
        if not modes:
            found = left  # nothing else could be said
        state[found] = modes + order[near][found]
        left &= ~found
    if modes and left.any():
        state[left], scalar[left] = place_in_modes(filled[left], np.array(column.centres), np.array(column.reaches))
    state[missing] = column.states - 1
    return state, scalar, ~missing | column.missing


def place_in_modes(
    numbers: Values, centres: NDArray[np.float64], reaches: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each number the densest of the modes that reach it, and the scalar; beyond all of them the nearest, at 1.

    How much of the data is in a mode does not count. A reach is four standard deviations or more, so the density falls
    with 8 z^2, z the distance in reaches.
    """
    z = (numbers[:, None] - centres) / reaches
    score = np.where(np.abs(z) <= 1, -8 * z**2 - np.log(reaches), -1e9 * np.abs(z))
    mode = score.argmax(1)
    return mode, np.clip(z[np.arange(len(numbers)), mode], -1, 1)


def tolerance(numbers: Values, decimals: int) -> NDArray[np.float64]:
    """How far another may lie from each of ``numbers`` and be the same to so many decimals (-1: without a last one)."""
    return SAME * np.abs(numbers) if decimals < 0 else np.full(len(numbers), 0.5 * 10.0**-decimals * 0.999)


def nearest(ordered: NDArray[np.float64], numbers: Values) -> NDArray[np.int64]:
    """The place of the nearest of ``ordered`` for each number."""
    right = np.searchsorted(ordered, numbers).clip(1, max(len(ordered) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(ordered) - 1)
    return np.where(np.abs(ordered[left] - numbers) <= np.abs(ordered[right] - numbers), left, right)


# ---------------------------------------------------------------------- compact rows to values


def decode(kept: Tensor, layout: Layout, serial: int = 1) -> Rows:
    """Compact rows to values; identifiers count from ``serial``."""
    packed = kept.detach().double().cpu().numpy()
    columns, count = layout.columns, len(packed)
    scalars = {span.place: packed[:, at] for at, span in enumerate(layout.scalars)}
    offset = len(layout.scalars)
    states = {span.place: packed[:, offset + at].astype(np.int64) for at, span in enumerate(layout.choices)}
    values: list[Values] = []
    for place, column in enumerate(columns):
        state = states.get(place, np.zeros(count, np.int64))
        scalar = scalars.get(place, np.zeros(count))
        if column.kind == "identifier":
            values.append(np.arange(serial, serial + count))
        elif not column.learnt:
            values.append(np.zeros(count))  # below, when its terms are known
        elif column.numeric:
            values.append(_to_numbers(column, state, scalar))
        else:
            values.append(_to_categories(column, state, scalar))
    for place, column in enumerate(columns):
        if column.base:
            base = place_of(columns, column.base)
            values[place] = rounded(values[base] + values[place], column.decimals)
        elif column.kind == "sum":
            terms = [values[place_of(columns, term)] for term in column.terms]
            values[place] = rounded(np.sum(terms, axis=0), column.decimals)
    return Rows(columns, tuple(values))


def rounded(numbers: Values, decimals: int) -> NDArray[np.float64]:
    """To so many decimals, unless that is -1; never to -0."""
    exact = np.asarray(numbers, np.float64)
    return exact if decimals < 0 else exact.round(decimals) + 0.0


def _to_numbers(column: Column, state: Values, scalar: NDArray[np.float64]) -> NDArray[np.float64]:
    modes = len(column.centres)
    table = np.array([*column.centres, *column.points, *([np.nan] * column.missing)])
    reach = np.array([*column.reaches, *([0.0] * (len(table) - modes))])
    numbers = rounded(table[state] + np.clip(scalar, -1, 1) * reach[state], column.decimals)
    return np.clip(numbers, column.minimum, column.maximum)


def _to_categories(column: Column, state: Values, scalar: NDArray[np.float64]) -> NDArray[np.int64]:
    first = len(column.categories)
    codes = np.array(state, np.int64)
    if column.rest:
        rare = state == first
        ends = np.array(shares(column.rest_counts))
        share = (np.clip(scalar[rare], -1, 1) + 1) / 2
        codes[rare] = first + np.searchsorted(ends, share, side="right").clip(0, len(ends) - 1)
    if column.missing:
        codes[state == column.states - 1] = -1
    return codes
