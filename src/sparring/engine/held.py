"""``--train.freeze_d N``: the layers of D nearest to the data keep what they came with (Mo, Cho, Shin 2020).

Paper: Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs, arXiv 2002.10964.

A layer is a module that holds parameters itself: a convolution, a dense layer, a normalisation with scales. A held one
is a fixed function: its weights have no gradient, and its buffers (BatchNorm's statistics, spectral norm's vectors)
rest as in eval mode, for they describe those weights.
"""

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sparring.core.batch import Batch
from sparring.core.config import Train
from sparring.core.errors import SparringError
from sparring.core.game import Game

LATE = 10**12  # images shown: the same layers are held however long the run is to be


class Held:
    """The held layers of all judges of a game; none where ``train.freeze_d`` is 0.

    Raises `SparringError` when a judge has no more layers than that: nothing would be left to learn.
    """

    def __init__(self, game: Game, train: Train):
        self.layers: list[nn.Module] = []
        for judge in game.judges() if train.freeze_d else ():
            if judge not in game.players():
                raise SparringError(f"train.freeze_d found no player '{judge}'; the family's judges() must name one")
            names = layers_in_order(game, judge, train)
            if len(names) <= train.freeze_d:
                raise SparringError(
                    f"train.freeze_d {train.freeze_d} leaves {judge} nothing to learn: it has {len(names)} layers"
                )
            self.layers += [game.get_submodule(name) for name in names[: train.freeze_d]]

    def hold(self) -> None:
        """Record no graph for the held weights and let the held buffers rest."""
        for layer in self.layers:
            for part in parts(layer):
                part.training = False
            for tensor in own_tensors(layer):
                if isinstance(tensor, nn.Parameter):
                    tensor.requires_grad_(False)

    def tensors(self) -> Iterator[Tensor]:
        """Every parameter and buffer that stays as it is."""
        for layer in self.layers:
            yield from own_tensors(layer)


def parts(layer: nn.Module) -> Iterator[nn.Module]:
    """The layer without its children, but with what makes its weight (spectral norm)."""
    yield layer
    if parametrize.is_parametrized(layer):
        yield from layer.get_submodule("parametrizations").modules()


def own_tensors(layer: nn.Module) -> Iterator[Tensor]:
    """The parameters and buffers of `parts`."""
    for part in parts(layer):
        yield from part.parameters(recurse=False)
        yield from part.buffers(recurse=False)


def layers_in_order(game: Game, player: str, train: Train) -> list[str]:
    """Names (in the game) of a player's layers in the order in which real data passes through them.

    The order is seen, not read off: the player's first loss is called on a copy of the game without memory, so late
    that a growing network has grown. What the data does not pass through, such as a class embedding, is no such layer.
    """
    twin = copy.deepcopy(game).to("meta").train().requires_grad_(False)
    seen: dict[str, None] = {}

    def pass_through(name: str, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if any(isinstance(value, Tensor) and value.requires_grad for value in inputs):
            seen.setdefault(name)

    for name, module in twin.get_submodule(player).named_modules(prefix=player):
        inside = ".parametrizations" in name
        if not inside and any(isinstance(tensor, nn.Parameter) for tensor in own_tensors(module)):
            module.register_forward_pre_hook(partial(pass_through, name))
    size = train.batch // train.microbatches
    real = torch.empty(size, *game.spec.shape, device="meta", requires_grad=True)
    labels = torch.zeros(size, dtype=torch.int64, device="meta") if game.spec.classes else None
    given = torch.empty(size, *game.spec.given, device="meta") if game.spec.given else None
    for turn in [turn for turn in twin.turns(LATE) if player in turn.movers][:1]:
        turn.loss(Batch(real, labels, LATE, Valueless(size), given=given))
    return list(seen)


class Valueless:
    """Noise without values, for networks without memory."""

    def __init__(self, n: int):
        self.n = n

    def normal(self, *shape: int) -> Tensor:
        return torch.empty(self.n, *shape, device="meta")

    def uniform(self, *shape: int) -> Tensor:
        return torch.empty(self.n, *shape, device="meta")
