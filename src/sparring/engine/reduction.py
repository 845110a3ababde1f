"""The movers' gradients, averaged over processes while the backward pass still runs.

Parameters are put into buckets, the last layers first, for there the backward pass begins. A bucket whose gradients are
all there is sent while the pass goes on to earlier layers; what is left is sent when it has ended. Buckets are the same
and go out in the same order in every process, whatever a process finds: they follow from the movers alone. A parameter
without a gradient travels as zeros, beside a mark that says so: it gets one where any process has one, as it would in
one process with as many microbatches, and stays without where none has.

Paper: Li et al., PyTorch Distributed: Experiences on Accelerating Data Parallel Training, VLDB 2020, arXiv 2006.15704.
"""

from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sparring.core.cluster import Cluster

BUCKET_BYTES = 4 << 20  # the last message, which nothing hides, is no larger unless one parameter is


class Bucket:
    """Gradients that travel in one message."""

    def __init__(self, parameters: Sequence[nn.Parameter]):
        self.parameters = parameters
        self.awaited = {id(parameter) for parameter in parameters}
        self.work: dist.Work | None = None

    def send(self, cluster: Cluster) -> None:
        """Begin to add them up over the processes."""
        gradients = [p.grad for p in self.parameters]
        marks = self.parameters[0].new_ones(
            len(gradients)
        )  # made on the device: what is sent there would be waited for
        for place, gradient in enumerate(gradients):
            if gradient is None:
                marks[place] = 0
        parts = [torch.zeros_like(p) if g is None else g for p, g in zip(self.parameters, gradients, strict=True)]
        self.flat = torch.cat([*(part.detach().reshape(-1) for part in parts), marks])
        self.work = cluster.add_up(self.flat)

    @torch.no_grad()
    def receive(self, size: int) -> None:
        """Wait for the sums and write the means over ``size`` processes back."""
        assert self.work is not None
        self.work.wait()
        *pieces, marks = self.flat.split([*(p.numel() for p in self.parameters), len(self.parameters)])
        if any(p.grad is None for p in self.parameters):  # else there is nothing to read off the device
            for parameter, mark in zip(self.parameters, marks.tolist(), strict=True):
                if parameter.grad is None and mark > 0:
                    parameter.grad = torch.zeros_like(parameter)
        for parameter, piece in zip(self.parameters, pieces, strict=True):
            if parameter.grad is not None:
                parameter.grad.copy_(piece.div_(size).view_as(parameter))


class Reduction:
    """Averages gradients over the processes of ``cluster``; a lone process pays nothing.

    Args:
        parameters: all that may ever be expected. Each must require a gradient now.
        cluster: who trains together.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], cluster: Cluster):
        self.cluster = cluster
        self.buckets: list[Bucket] = []
        self.sent = 0
        self.where: dict[int, Bucket] = {}
        for parameter in parameters if cluster.size > 1 else ():
            parameter.register_post_accumulate_grad_hook(self._arrived)

    def expect(self, parameters: Iterable[nn.Parameter]) -> None:
        """Called before the last backward pass of a turn, with the movers' trained parameters, as all processes do."""
        if self.cluster.size == 1:
            return
        self.buckets, self.sent = buckets(parameters), 0
        self.where = {id(parameter): bucket for bucket in self.buckets for parameter in bucket.parameters}

    def finish(self) -> None:
        """Called after that backward pass: send what is left, and wait until every gradient is the mean."""
        for bucket in self.buckets[self.sent :]:
            bucket.send(self.cluster)
        for bucket in self.buckets:
            bucket.receive(self.cluster.size)
        self.buckets, self.where = [], {}

    def _arrived(self, parameter: Tensor) -> None:
        """The backward pass has just added to the gradient of ``parameter``; it does so once."""
        bucket = self.where.get(id(parameter))
        if bucket is None:
            return
        bucket.awaited.discard(id(parameter))
        while self.sent < len(self.buckets) and not self.buckets[self.sent].awaited:
            self.buckets[self.sent].send(self.cluster)
            self.sent += 1


def buckets(parameters: Iterable[nn.Parameter]) -> list[Bucket]:
    """Parameters in buckets of one type and at most `BUCKET_BYTES` each, the last first."""
    groups: list[list[nn.Parameter]] = []
    room = 0
    for parameter in reversed(list(parameters)):
        bytes_ = parameter.numel() * parameter.element_size()
        if not groups or bytes_ > room or parameter.dtype != groups[-1][-1].dtype:
            groups.append([])
            room = BUCKET_BYTES
        groups[-1].append(parameter)
        room -= bytes_
    return [Bucket(group) for group in groups]
