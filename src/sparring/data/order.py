"""Which sample lies at each position of the endless stream: a function of the run's seed and the position alone.

Position ``i`` is sample ``i % n`` of the permutation of epoch ``i // n``, which depends on the seed and the epoch.
"""

from collections import OrderedDict

import torch
from torch import Tensor

from sparring.core.seeds import seed_of


class Order:
    """Which sample lies at each position of the stream."""

    def __init__(self, count: int, seed: int):
        self.count, self.seed = count, seed
        self._epochs: OrderedDict[int, tuple[Tensor, ...]] = OrderedDict()

    def indices(self, first: int, count: int) -> Tensor:
        """Sample numbers int64 ``(count,)`` at positions ``first`` to ``first + count``."""
        return self._read(first, count, 0)

    def coins(self, first: int, count: int) -> Tensor:
        """A fair coin for each position, bool ``(count,)``: whether its picture is mirrored, if that is asked for."""
        return self._read(first, count, 1)

    def places(self, first: int, count: int) -> Tensor:
        """Where the crop of each position lies, float64 ``(count, 2)`` from 0 to below 1, down and across."""
        return self._read(first, count, 2)

    def quarters(self, first: int, count: int) -> Tensor:
        """By how many quarter turns each position's picture is turned, int64 ``(count,)`` from 0 to 3."""
        return self._read(first, count, 3)

    def _read(self, first: int, count: int, column: int) -> Tensor:
        if first < 0 or count < 1:
            raise ValueError(f"cannot deal {count} samples from position {first}")
        pieces, position, last = [], first, first + count
        while position < last:
            epoch, start = divmod(position, self.count)
            stop = min(self.count, start + last - position)
            pieces.append(self._epoch(epoch)[column][start:stop])
            position += stop - start
        return torch.cat(pieces)

    def _epoch(self, epoch: int) -> tuple[Tensor, ...]:
        if epoch not in self._epochs:
            generator = torch.Generator().manual_seed(seed_of(self.seed, "epoch", epoch))
            permutation = torch.randperm(self.count, generator=generator)
            coins = torch.rand(self.count, generator=generator) < 0.5
            places = torch.rand(self.count, 2, generator=generator, dtype=torch.float64)
            quarters = torch.randint(4, (self.count,), generator=generator)
            self._epochs[epoch] = permutation, coins, places, quarters
            while len(self._epochs) > 2:
                self._epochs.popitem(last=False)
        self._epochs.move_to_end(epoch)
        return self._epochs[epoch]


class BalancedOrder(Order):
    """The order in which all classes are shown equally often, however few samples one of them has.

    Of C classes, each has one place in every C positions, shuffled anew each time. What a class puts there is a
    shuffled stream of its own: each of its samples once, before any of them again.
    """

    def __init__(self, labels: Tensor, seed: int):
        super().__init__(len(labels), seed)
        self.members = [(labels == label).nonzero().flatten() for label in labels.unique()]
        self.turns = Order(len(self.members), seed_of(seed, "turns"))
        self.streams = [Order(len(members), seed_of(seed, "class", k)) for k, members in enumerate(self.members)]

    def indices(self, first: int, count: int) -> Tensor:
        """Sample numbers int64 ``(count,)`` at positions ``first`` to ``first + count``."""
        classes = self.turns.indices(first, count)
        rounds = torch.arange(first, first + count) // len(self.members)
        chosen = torch.empty(count, dtype=torch.int64)
        for k in classes.unique().tolist():
            here = classes == k  # once in each round, so its rounds follow one another
            chosen[here] = self.members[k][self.streams[k].indices(int(rounds[here][0]), int(here.sum()))]
        return chosen
