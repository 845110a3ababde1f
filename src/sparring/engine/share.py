"""What the turns of one step share: the generator runs once, its fakes serve D's turn and then G's."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sparring.core.batch import Batch, Make
from sparring.core.game import Turn
from sparring.nn.spectral import resting

Key = tuple[str, str, int, int]


class Shared:
    """Results of ``batch.share`` within one step, by (player, maker, repeat, microbatch)."""

    def __init__(self, players: Mapping[str, nn.Module], whole: bool):
        self.players = players
        self.whole = whole  # one microbatch: a graph may wait for its turn; with several, too many graphs would wait
        self.made: dict[Key, Tensor] = {}

    def get(self, batch: Batch, make: Make, key: Key, turn: Turn, later: Sequence[Turn]) -> Tensor:
        """The result of ``make(batch)``: with its graph when the player moves in this turn, else detached.

        Args:
            batch: the microbatch, with noise that depends on ``key`` and the step but not on the turn.
            make: what to call, unless an earlier turn of this step did.
            key: (player, maker, repeat, microbatch).
            turn: the turn that asks.
            later: the turns of this step still to come.
        """
        player, _, repeat, _ = key
        moves = player in turn.movers
        awaited = not moves and self.whole and any(player in t.movers and repeat < t.times for t in later)
        made = self.made.get(key)
        if made is None or (moves and not made.requires_grad):
            module = self.players[player]
            # Made once more, with a graph this time: spectral norm's vectors moved the first time and rest now.
            with _graph(module, moves or awaited), _twice(module, awaited), resting(module, made is not None):
                made = make(batch)
            self.made[key] = made if awaited else made.detach()
        return made if moves else made.detach()

    def moved(self, movers: Sequence[str]) -> None:
        """Forget what the movers made: they would make something else now."""
        self.made = {key: made for key, made in self.made.items() if key[0] not in movers}


@contextlib.contextmanager
def _graph(module: nn.Module, wanted: bool) -> Iterator[None]:
    """Record a graph through ``module`` although its turn is yet to come, or do not."""
    before = [p.requires_grad for p in module.parameters()]
    module.requires_grad_(wanted)
    try:
        with torch.set_grad_enabled(wanted):
            yield
    finally:
        for parameter, flag in zip(module.parameters(), before, strict=True):
            parameter.requires_grad_(flag)


@contextlib.contextmanager
def _twice(module: nn.Module, wanted: bool) -> Iterator[None]:
    """One pass stands for two: BatchNorm's running statistics move as far as two passes over this batch move them.

    After two updates with momentum m the old value keeps (1 - m)^2 of its weight, so one with 1 - (1 - m)^2 is equal.
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.momentum is not None] if wanted else []
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1 - (1 - float(norm.momentum or 0)) ** 2
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked += 1
