"""Randomness that depends on position alone, so that resuming and resharding change nothing."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor


def seed_of(*position: int | str) -> int:
    """A 63-bit seed from a position such as ``(run seed, images shown, turn, microbatch)``."""
    digest = hashlib.blake2b(repr(position).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def reseed(seed: int, device: torch.device) -> None:
    """Seed what layers draw from by themselves, as ``torch.manual_seed`` does, on the CPU and on ``device`` alone.

    That one also asks for every accelerator that is not there, at a quarter of a millisecond each time.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


class Noise(Protocol):
    """Where a batch's random numbers come from. Each method returns ``(n, *shape)``."""

    def normal(self, *shape: int) -> Tensor:
        """Standard normal."""

    def uniform(self, *shape: int) -> Tensor:
        """Uniform in [0, 1)."""


class PositionNoise:
    """Noise of one microbatch while training: one generator, seeded by position."""

    def __init__(self, n: int, seed: int, device: torch.device):
        self.n, self.device = n, device
        self.generator = torch.Generator(device).manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.n, *shape, generator=self.generator, device=self.device)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(self.n, *shape, generator=self.generator, device=self.device)


class SeedNoise:
    """Noise of chosen seeds: one generator per sample, so seed 7 is the same sample in any batch, on any device."""

    def __init__(self, seeds: Iterable[int], device: torch.device):
        self.device = device
        self.generators = [torch.Generator().manual_seed(seed_of("sample", seed)) for seed in seeds]

    def normal(self, *shape: int) -> Tensor:
        return torch.stack([torch.randn(*shape, generator=g) for g in self.generators]).to(self.device)

    def uniform(self, *shape: int) -> Tensor:
        return torch.stack([torch.rand(*shape, generator=g) for g in self.generators]).to(self.device)


def draw_labels(seeds: Sequence[int], class_counts: Sequence[float]) -> Tensor:
    """One label per seed, drawn in these proportions, as a rule the data's. Returns int64 ``(n,)``."""
    shares = torch.tensor(class_counts, dtype=torch.float64).cumsum(0)
    drawn = [torch.rand(1, generator=torch.Generator().manual_seed(seed_of("label", seed))).item() for seed in seeds]
    return torch.searchsorted(shares / shares[-1], torch.tensor(drawn, dtype=torch.float64), right=True)
