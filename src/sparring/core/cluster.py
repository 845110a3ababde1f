"""The processes that train together: ``torchrun`` starts them, this tells them apart."""

import os
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous


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
            backend = "nccl" if device_type == "cuda" else "gloo"
            own = PrefixStore(f"attempt {attempt}", store)
            dist.init_process_group(backend, store=own, rank=rank, world_size=size)
        return Cluster(dist.get_rank(), dist.get_world_size())

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

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether any process says yes: how a signal to one stops all at the same step."""
        if self.size == 1:
            return flag
        votes = torch.tensor(float(flag), device=device)
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
