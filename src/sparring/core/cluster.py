"""The processes that train together: ``torchrun`` starts them, this tells them apart."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

# How long a process waits for the others: longer than the leading one draws, judges and saves, while they wait for it.
# One that has died is noticed by torchrun at once.
PATIENCE = timedelta(hours=2)


class Cluster:
    """This process's place among ``size`` processes. A lone process is a cluster of one, and every call is free."""

    def __init__(self, rank: int = 0, size: int = 1):
        self.rank, self.size = rank, size

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks to people."""
        return self.rank == 0

    @staticmethod
    def from_environment(device_type: str = "cpu") -> "Cluster":
        """Join the processes that ``torchrun`` started; without it, be alone."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return Cluster()
        if not dist.is_initialized():
            store, rank, size = next(rendezvous("env://"))
            # torchrun keeps one store over its restarts; without names of its own, a restarted process would find the
            # addresses of those that died.
            attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
            backend = "cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo"  # by where a tensor lies
            own = PrefixStore(f"attempt {attempt}", store)
            dist.init_process_group(backend, store=own, rank=rank, world_size=size, timeout=PATIENCE)
        return Cluster(dist.get_rank(), dist.get_world_size())

    @staticmethod
    def apart() -> "Cluster":
        """This process's place among those that ``torchrun`` started, without meeting them: for work that is divided
        and never put together in memory."""
        return Cluster(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))

    def share(self, count: int, unit: int) -> range:
        """Which of ``count`` things are this process's: neighbours, in whole units as one process would take them.

        Where there are fewer units than processes, each process has all of them.
        """
        units = -(-count // unit)
        if units < self.size:
            return range(count)
        first, last = (min(count, unit * (units * rank // self.size)) for rank in (self.rank, self.rank + 1))
        return range(first, last)

    def join(self, rows: Tensor, count: int, unit: int) -> Tensor:
        """All ``count`` rows in order, on every process; ``rows`` on the CPU are those of this process's `share`."""
        if len(rows) == count:
            return rows
        parts = []
        for rank in range(self.size):
            share = Cluster(rank, self.size).share(count, unit)
            part = rows.clone() if rank == self.rank else torch.empty(len(share), *rows.shape[1:], dtype=rows.dtype)
            dist.broadcast(part, rank)
            parts.append(part)
        return torch.cat(parts)

    @contextlib.contextmanager
    def leader_first(self) -> Iterator[None]:
        """Inside, the leader is alone; the others come when it is through, and find the files that it left."""
        if not self.leads:
            self.barrier()
        yield
        if self.leads:
            self.barrier()

    def average_(self, tensors: Sequence[Tensor]) -> None:
        """Average ``tensors`` over the processes, in place, in one message per type."""
        if self.size == 1 or not tensors:
            return
        for dtype in sorted({t.dtype for t in tensors}, key=str):
            group = [t for t in tensors if t.dtype == dtype]
            flat = torch.cat([t.reshape(-1) for t in group])
            flat = flat if flat.is_floating_point() else flat.double()
            dist.all_reduce(flat)
            flat = (flat / self.size).to(dtype)
            for tensor, piece in zip(group, flat.split([t.numel() for t in group]), strict=True):
                tensor.copy_(piece.view_as(tensor))

    def add_up(self, tensor: Tensor) -> dist.Work:
        """Begin to sum ``tensor`` over several processes, in place; wait on what is returned before reading it."""
        return dist.all_reduce(tensor, async_op=True)

    def collect(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All processes' tensors by name, in the leading one; the others get their own back.

        The leading process holds what it is sent on the CPU.
        """
        whole = dict(tensors)
        for rank in range(1, self.size):
            if self.leads:
                whole.update(_receive(rank))
            elif self.rank == rank:
                _send(tensors)
        return whole

    def agree(self, text: str, device: torch.device) -> bool:
        """Whether all processes say the same."""
        if self.size == 1:
            return True
        mark = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
        extremes = torch.tensor([mark, -mark], dtype=torch.int64, device=device)
        dist.all_reduce(extremes, dist.ReduceOp.MAX)
        return bool(extremes.sum().item() == 0)  # the largest is the smallest

    def any(self, flag: bool) -> bool:
        """Whether any process says yes: how a signal to one stops all at the same step."""
        if self.size == 1:
            return flag
        votes = torch.tensor(float(flag))  # not on the device, which would have to finish all it has still to do
        dist.all_reduce(votes)
        return bool(votes.item() > 0)

    def barrier(self) -> None:
        """Wait for everyone."""
        if self.size > 1:
            dist.barrier()

    def close(self) -> None:
        """Leave the processes that `from_environment` joined."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


def _send(tensors: Mapping[str, Tensor]) -> None:
    """To the leading process: how long the list of contents is, the list, the tensors."""
    rows = [(name, str(t.dtype).removeprefix("torch."), list(t.shape)) for name, t in tensors.items()]
    listed = torch.frombuffer(bytearray(json.dumps(rows).encode()), dtype=torch.uint8)
    for tensor in (torch.tensor(len(listed)), listed, *tensors.values()):
        dist.send(tensor.detach().cpu().contiguous(), 0)


def _receive(source: int) -> dict[str, Tensor]:
    """What `_send` sent from there."""

    def hear(dtype: torch.dtype, shape: Sequence[int]) -> Tensor:
        tensor = torch.empty(shape, dtype=dtype)
        dist.recv(tensor, source)
        return tensor

    length = int(hear(torch.int64, ()))
    rows = json.loads(hear(torch.uint8, (length,)).numpy().tobytes())
    return {name: hear(getattr(torch, dtype), shape) for name, dtype, shape in rows}
