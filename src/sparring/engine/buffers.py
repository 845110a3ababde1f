"""Buffers (BatchNorm's statistics, spectral norm's vectors) under accumulation and many processes.

Every microbatch of a turn starts from the same buffers, and their changes are averaged: so it does not matter how the
microbatches are spread over processes, and what nobody changes (a filter's taps) stays as it is to the bit.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from sparring.core.cluster import Cluster


class Buffers:
    """All buffers of a game during one turn."""

    def __init__(self, game: nn.Module, microbatches: int, cluster: Cluster):
        self.live = [b for b in game.buffers() if b.dtype != torch.bool]  # a mask has no mean
        self.microbatches, self.cluster = microbatches, cluster
        self.idle = not self.live or (microbatches == 1 and cluster.size == 1)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wraps a whole turn."""
        if self.idle:
            yield
            return
        self.start = [b.clone() for b in self.live]
        self.total = [torch.zeros_like(b) for b in self.live]
        yield
        self.cluster.average_([total for total in self.total if total.is_floating_point()])
        _write(self.live, [s + total / self.microbatches for s, total in zip(self.start, self.total, strict=True)])

    @contextlib.contextmanager
    def microbatch(self) -> Iterator[None]:
        """Wraps the loss of one microbatch."""
        if self.idle:
            yield
            return
        _write(self.live, self.start)
        yield
        with torch.no_grad():
            for buffer, start, total in zip(self.live, self.start, self.total, strict=True):
                total.add_(torch.where(buffer == start, 0, buffer - start))  # infinity - infinity is not 0


def _write(live: list[Tensor], values: list[Tensor]) -> None:
    # Through .data: a graph that waits for its turn (share.py) may have these buffers saved, but no backward pass of a
    # network in training reads them, so autograd need not refuse it.
    for buffer, value in zip(live, values, strict=True):
        buffer.data.copy_(value)
