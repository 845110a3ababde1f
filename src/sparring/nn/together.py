"""Real and fake through a network in one call, with the statistics of each kept apart."""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class InParts:
    """Of a module that looks across the batch: it can look at each of so many equal `parts` by itself."""

    parts: int = 1


class BatchNorm2d(InParts, nn.BatchNorm2d):
    """``nn.BatchNorm2d``; in parts, as if it were called once for each."""

    def forward(self, x: Tensor) -> Tensor:
        if self.parts == 1 or not self.training:
            return super().forward(x)
        return torch.cat([nn.BatchNorm2d.forward(self, part) for part in x.chunk(self.parts)])


def judge_together(
    critic: nn.Module, parts: Sequence[Tensor], labels: Tensor | None = None, apart: bool = False
) -> tuple[Tensor, ...]:
    """``critic`` on each of ``parts``, all of one size, in one call: half as many launches, and larger ones.

    What looks across the batch in the critic must be `InParts`. What a pass moves once, such as spectral norm's
    vectors, moves once instead of once a part.

    Args:
        critic: takes a batch, and labels if they are given.
        labels: of each part, the same for all of them.
        apart: call it once a part all the same.
    """
    if apart:
        return tuple(critic(part) if labels is None else critic(part, labels) for part in parts)
    batch = torch.cat(list(parts))
    with kept_apart(critic, len(parts)):
        scores: Tensor = critic(batch) if labels is None else critic(batch, labels.repeat(len(parts)))
    return scores.chunk(len(parts))


@contextlib.contextmanager
def kept_apart(module: nn.Module, parts: int) -> Iterator[None]:
    """Inside the block, batches have so many parts. Raises `ValueError` for a BatchNorm that would mix them."""
    for layer in module.modules():
        if isinstance(layer, _BatchNorm) and not isinstance(layer, InParts):
            raise ValueError(f"{type(layer).__name__} would mix the parts of a batch; take sparring.nn.together's")
    mixers = [layer for layer in module.modules() if isinstance(layer, InParts)]
    for mixer in mixers:
        mixer.parts = parts
    try:
        yield
    finally:
        for mixer in mixers:
            mixer.parts = 1
