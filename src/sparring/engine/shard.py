"""``--train.shard optimiser``: what an optimiser remembers of the weights, shared out over processes (ZeRO, stage 1).

Adam remembers two numbers for each weight. With N processes each keeps them for its share of a player's weights alone,
moves that share, and sends it to the others. Gradients and weights are whole everywhere, and so is a saved state.

Paper: Rajbhandari, Rasley, Ruwase, He, ZeRO: Memory Optimizations Toward Training Trillion Parameter Models, SC 2020
(arXiv 1910.02054). Source: `torch.distributed.optim.ZeroRedundancyOptimizer`.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


def sharded(
    parameters: Sequence[nn.Parameter], kind: type[torch.optim.Optimizer], **settings: Any
) -> torch.optim.Optimizer:
    """An optimiser of ``kind`` that moves this process's share of ``parameters`` and fetches the rest from the others.

    Shares follow from the sizes of the parameters, the same in every process.
    """
    with warnings.catch_warnings():  # on import torch uses what it deprecates itself
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch.distributed.optim import ZeroRedundancyOptimizer
    return ZeroRedundancyOptimizer(parameters, optimizer_class=kind, **settings)


def own(optimiser: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The optimiser that remembers and moves in this process: ``optimiser`` itself unless it is `sharded`."""
    inner = getattr(optimiser, "optim", optimiser)
    assert isinstance(inner, torch.optim.Optimizer)
    return inner
