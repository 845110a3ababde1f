"""Buffers under accumulation: changes are averaged, what nobody changes stays to the bit."""

import torch
from torch import nn

from sparring.core.cluster import Cluster
from sparring.engine.buffers import Buffers


class Holder(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("taps", torch.rand(1000, generator=torch.Generator().manual_seed(0)))
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
        self.register_buffer("flag", torch.tensor([True, False]))
        self.register_buffer("mean", torch.tensor(1.0))
        self.register_buffer("count", torch.tensor(5))


def test_changes_are_averaged_and_constants_stay():
    holder = Holder()
    before = {name: value.clone() for name, value in holder.named_buffers()}
    buffers = Buffers(holder, 3, Cluster())
    for _ in range(50):
        with buffers.turn():
            for change in (1.0, 2.0, 6.0):
                with buffers.microbatch():
                    assert holder.mean.item() % 3 == 1  # every microbatch starts where the turn did
                    holder.mean += change
                    holder.count += 1
    for name in ("taps", "mask", "flag"):
        assert torch.equal(getattr(holder, name), before[name]), name
    assert holder.mean.item() == 1 + 50 * 3
    assert holder.count.item() == 5 + 50
