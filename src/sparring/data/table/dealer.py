"""Training by sampling: rows dealt with a condition that they meet, rare values as often as common ones almost.

For each position a column is drawn, one of its states in proportion to the logarithm of its count, and a row in that
state (Xu et al. 2019, section 4.3). What is dealt is a function of the seed and the position alone.
"""

from collections import OrderedDict

import numpy as np
import torch
from torch import Tensor

from sparring.core.batch import Deal
from sparring.core.columns import Layout
from sparring.core.rows import expand
from sparring.core.seeds import seed_of
from sparring.data.dataset import DataSet
from sparring.data.moving import to_device

BLOCK = 8192  # positions that are drawn at once


class TableDealer:
    """Deals rows of a table as `Batch.real`, each with its condition as `Batch.given`."""

    def __init__(self, data: DataSet, seed: int, device: torch.device):
        if data.pixels is None:
            raise ValueError("a table is kept in memory")
        self.layout, self.kept = Layout(data.spec.columns), data.pixels
        self.seed, self.device = seed, device
        if device.type == "cuda" and self.kept.nbytes < torch.cuda.mem_get_info(device)[0] // 4:
            self.kept = self.kept.to(device)
        self.members, self.ends, self.shares = [], [], []
        for at, span in enumerate(self.layout.choices):
            states = data.pixels[:, len(self.layout.scalars) + at].numpy().astype(np.int32)
            counts = np.bincount(states, minlength=span.states)
            self.members.append(np.argsort(states, kind="stable").astype(np.int32))
            self.ends.append(np.concatenate([[0], counts.cumsum()]))
            weights = np.log1p(counts)
            self.shares.append(weights.cumsum() / weights.sum())
        self._blocks: OrderedDict[int, tuple[Tensor, Tensor]] = OrderedDict()

    def deal(self, first: int, count: int) -> Deal:
        """Rows ``(count, width)`` in [-1, 1] and conditions ``(count, asked)`` of 0 and 1, on the device."""
        if first < 0 or count < 1:
            raise ValueError(f"cannot deal {count} samples from position {first}")
        blocks = range(first // BLOCK, (first + count - 1) // BLOCK + 1)
        places, asked = (torch.cat(parts) for parts in zip(*map(self._block, blocks), strict=True))
        part = slice(first - blocks[0] * BLOCK, first - blocks[0] * BLOCK + count)
        kept = to_device(self.kept[to_device(places[part], self.kept.device)], self.device)
        given = torch.zeros(count, self.layout.asked, device=self.device)
        if self.layout.choices:
            given.scatter_(1, to_device(asked[part], self.device)[:, None], 1.0)
        return Deal(expand(kept, self.layout), None, given)

    def close(self) -> None:
        """Nothing to end."""

    def _block(self, number: int) -> tuple[Tensor, Tensor]:
        """Row numbers and places in the condition of `BLOCK` positions, int64 each."""
        if number not in self._blocks:
            draws = np.random.default_rng(seed_of(self.seed, "table", number)).random((3, BLOCK))
            self._blocks[number] = self._draw(draws)
            while len(self._blocks) > 2:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _draw(self, draws: np.ndarray) -> tuple[Tensor, Tensor]:
        if not self.layout.choices:
            return torch.from_numpy((draws[2] * len(self.kept)).astype(np.int64)), torch.zeros(BLOCK, dtype=torch.int64)
        places, asked = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
        columns = (draws[0] * len(self.members)).astype(np.int64)
        for column, span in enumerate(self.layout.choices):
            here = columns == column
            states = np.searchsorted(self.shares[column], draws[1, here], side="right")
            states = np.minimum(states, span.states - 1)
            begin, end = self.ends[column][states], self.ends[column][states + 1]
            places[here] = self.members[column][begin + (draws[2, here] * (end - begin)).astype(np.int64)]
            asked[here] = span.asked + states
        return torch.from_numpy(places), torch.from_numpy(asked)
