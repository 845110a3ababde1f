"""Samples that are rows which were learnt from, or nearly so, found exactly among however many rows there are.

Every cell is mixed into 64 bits and a row is the sum of its cells. Less one cell, that is the sum of the row without
that column, so rows that are equal in all columns but one are found as quickly as those that are equal in all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
from numpy.typing import NDArray

from sparring.core.rows import Rows
from sparring.metrics.tables.marginals import learnt

RARE = 0.002  # share of held-out rows up to which a way to coincide tells something
SURE = 1e-3  # chance of accusing samples that coincide as often as held-out rows do
KNOWN = 5  # coincidences from which a rate can be told
STEP = 0x9E3779B97F4A7C15


def hashes(rows: Rows) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """A number for each row ``(n,)``, and the part of it that each learnt column has ``(columns, n)``.

    Columns that are sums of others say nothing more.
    """
    own = [values for column, values in learnt(rows) if column.kind != "sum"]
    parts = np.stack([_mixed(values.astype(np.float64), place + 1) for place, values in enumerate(own)])
    return parts.sum(0, dtype=np.uint64), parts


def _mixed(values: NDArray[np.float64], salt: int) -> NDArray[np.uint64]:
    """The finalisation of SplitMix64 (Steele et al. 2014) of the bits of each value; missing ones are alike."""
    plain = np.nan_to_num(values, nan=np.inf) + 0.0  # -0 is 0
    bits = np.ascontiguousarray(plain).view(np.uint64) + np.full(1, salt * STEP % 2**64, np.uint64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return mixed


@dataclass(frozen=True)
class Coincidences:
    """Which rows equal a row of a table.

    Attributes:
        exact: in every learnt column, bool ``(n,)``.
        but: in every learnt column but this one at least, bool ``(columns, n)``; exact ones are among them.
    """

    exact: NDArray[np.bool_]
    but: NDArray[np.bool_]

    @property
    def near(self) -> NDArray[np.bool_]:
        """Those that differ in one column, bool ``(n,)``."""
        return self.but.any(0) & ~self.exact

    def among(self, ways: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Those that are equal throughout, or but for one of the columns in ``ways`` (bool ``(columns,)``)."""
        return self.exact | self.but[ways].any(0)

    def __or__(self, other: "Coincidences") -> "Coincidences":
        """Which equal a row of either table."""
        return Coincidences(self.exact | other.exact, self.but | other.but)


def coincidences(rows: Rows, table: Rows) -> Coincidences:
    """Compare each of ``rows`` with all of ``table``."""
    (ours, our_parts), (theirs, their_parts) = hashes(rows), hashes(table)
    but = [np.isin(ours - a, theirs - b) for a, b in zip(our_parts, their_parts, strict=True)]
    return Coincidences(np.isin(ours, theirs), np.stack(but))


@dataclass(frozen=True)
class Copies:
    """Coincidences of samples, beside those of rows that nobody learnt from.

    Attributes:
        samples, held_out: how many rows were compared with the training rows.
        exact, near: samples that equal a training row, and that equal one in all columns but one.
        exact_of_reals, near_of_reals: the same of held-out rows.
        accused: whether samples hit training rows more often than chance lets held-out rows do.
    """

    samples: int
    held_out: int
    exact: int
    near: int
    exact_of_reals: int
    near_of_reals: int
    accused: bool

    @property
    def sentence(self) -> str:
        """For a person."""
        found = (
            f"{self.exact:,} of {self.samples:,} samples are copies of training rows and {self.near:,} near copies, "
            f"equal in all columns but one; of {self.held_out:,} held-out rows {self.exact_of_reals:,} and "
            f"{self.near_of_reals:,} coincide so"
        )
        return f"{found}: samples copy rows" if self.accused else f"{found}: no sign of copying"


def find_copies(fake: Rows, train: Iterable[Rows], held_out: Rows) -> Copies:
    """Copies of training rows, which come in pieces, among samples, and whether they are more than coincidence.

    Samples are accused where they coincide with training rows more often than held-out rows do: in all columns, or in
    all but one of those where that is rare. Rows that differ in a column that tells nearly all rows apart coincide
    often, and that proves nothing. A generator of few typical rows hits training rows often as well, but held-out rows
    likewise: where it hits `KNOWN` of those or more, it is accused only if it hits training rows twice as often, row
    for row.
    """
    learnt, pieces = 0, []
    for piece in train:
        learnt += len(piece)
        pieces.append((coincidences(fake, piece), coincidences(held_out, piece)))
    ours, theirs = (reduce(or_, side) for side in zip(*pieces, strict=True))
    apart = coincidences(fake, held_out)
    rare = theirs.but.mean(1) <= RARE
    counts = [[int(side.among(ways).sum()) for side in (ours, theirs, apart)] for ways in (rare & False, rare)]
    return Copies(
        samples=len(fake),
        held_out=len(held_out),
        exact=int(ours.exact.sum()),
        near=int(ours.near.sum()),
        exact_of_reals=int(theirs.exact.sum()),
        near_of_reals=int(theirs.near.sum()),
        accused=any(
            _more_than_chance(hits, len(fake), chance, len(held_out))
            and not (others >= KNOWN and hits / learnt < 2 * others / len(held_out))
            for hits, chance, others in counts
        ),
    )


def _more_than_chance(hits: int, samples: int, chance: int, others: int) -> bool:
    """Whether ``hits`` of ``samples`` are more than ``chance`` of ``others`` explains (Fisher's exact test, one side).

    From the hypergeometric tail: of all ``hits + chance`` that coincide, at least ``hits`` are samples.
    """
    from scipy.stats import hypergeom  # type: ignore[import-untyped]

    return bool(hypergeom.sf(hits - 1, samples + others, hits + chance, samples) < SURE)
