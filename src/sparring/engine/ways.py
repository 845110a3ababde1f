"""Ways to compute the same: how tensors lie in memory, which kernels run, what is computed twice to be kept not at all.

Which is fastest depends on networks, device and batch; tools/ways.py measures it.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from sparring.core.batch import Deal
from sparring.core.config import Train
from sparring.core.game import Game
from sparring.core.rewritten import set_reference
from sparring.engine.recompute import recompute_blocks, refuse_without_blocks


def take_ways(game: Game, players: Iterable[nn.Module], train: Train) -> None:
    """Lay the game's weights out and say which kernels run, as ``train`` has it; ``auto`` is what is usual.

    Raises `SparringError` for ``train.checkpointing`` where networks have no blocks.
    """
    set_reference(game.modules(), train.reference)
    if train.kernels == "written":
        set_reference([module for module in game.modules() if module is not game], True)
    if train.layout == "channels_last":
        for parameter in game.parameters():
            parameter.data = laid_out(parameter.data, train)
    if train.checkpointing:
        refuse_without_blocks(sum(map(recompute_blocks, players)), type(game).__name__)


def laid_out(tensor: Tensor, train: Train) -> Tensor:
    """The same values, channels last in memory where ``train.layout`` says so and there are any."""
    if train.layout != "channels_last" or tensor.dim() != 4:
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last)


def laid_out_deal(deal: Deal, train: Train) -> Deal:
    """What is dealt, laid out as the weights are."""
    given = None if deal.given is None else laid_out(deal.given, train)
    return Deal(laid_out(deal.real, train), deal.labels, given)
