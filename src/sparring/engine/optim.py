"""Optimisers, one per player, and learning rates as pure functions of progress."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sparring.core.cluster import Cluster
from sparring.core.config import Optim
from sparring.core.schedule import burn_in
from sparring.engine.guard import undone
from sparring.engine.shard import own, sharded


def learning_rate(optim: Optim, nimg: int, total_nimg: int) -> float:
    """The learning rate at ``nimg`` images shown of ``total_nimg``."""
    rate = burn_in(optim.lr, optim.end_lr or optim.lr, nimg, optim.burn_in_kimg)
    if nimg < optim.warmup_kimg * 1000:
        rate *= nimg / (optim.warmup_kimg * 1000)
    start = optim.decay_from_kimg * 1000
    if optim.schedule != "constant" and nimg > start:
        done = min((nimg - start) / max(total_nimg - start, 1), 1.0)
        rate *= 1 - done if optim.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
    return rate


def betas(optim: Optim, nimg: int) -> tuple[float, float]:
    """Adam's decay rates at ``nimg`` images shown."""
    first, second = map(float, optim.betas)
    return first, burn_in(second, optim.end_beta2 or second, nimg, optim.burn_in_kimg)


def build(optim: Optim, player: nn.Module, reference: bool = False, shard: bool = False) -> torch.optim.Optimizer:
    """The optimiser of one player, fused where the device has it; with ``reference``, a loop over parameters; with
    ``shard``, each process remembers what belongs to its share of them.
    """
    parameters = list(player.parameters())
    fused = not reference and all(p.device.type in ("cpu", "cuda") for p in parameters)
    foreach = False if reference else None  # None lets torch choose
    rates = betas(optim, 0)
    common = {"lr": optim.lr, "weight_decay": optim.weight_decay, "foreach": foreach}

    def new(kind: type[torch.optim.Optimizer], **its: Any) -> torch.optim.Optimizer:
        return (sharded if shard else _whole)(parameters, kind, **common, **its)

    if optim.name == "sgd":
        return new(torch.optim.SGD, momentum=optim.momentum, fused=fused)
    if optim.name == "rmsprop":  # has no fused kernel
        return new(torch.optim.RMSprop, alpha=rates[1], eps=optim.eps, momentum=optim.momentum)
    return new(torch.optim.Adam, betas=rates, eps=optim.eps, fused=fused)


def _whole(
    parameters: Sequence[nn.Parameter], kind: type[torch.optim.Optimizer], **settings: Any
) -> torch.optim.Optimizer:
    return kind(parameters, **settings)


def step_unless(optimiser: torch.optim.Optimizer, unless: Tensor) -> None:
    """Step, but for a scalar that says 1 on the device leave weights and what is remembered as they are.

    Fused kernels heed it themselves, as under a gradient scaler. Of any other optimiser what it changed is put back; a
    count of steps on another device stands, which no such optimiser here reads.
    """
    mine = own(optimiser)
    if mine.defaults.get("fused"):
        if mine.defaults.get("momentum"):  # SGD would begin its own in memory as it finds it, and leave it so
            for parameter in (p for group in mine.param_groups for p in group["params"] if p.grad is not None):
                mine.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
        mine.found_inf = unless  # type: ignore[attr-defined]
        try:
            optimiser.step()
        finally:
            del mine.found_inf  # type: ignore[attr-defined]
        return
    known = {id(tensor): tensor for tensor in _remembered(mine)}
    weights = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    with undone([*weights, *known.values()], unless):
        optimiser.step()
    for tensor in _remembered(mine):
        if id(tensor) not in known:  # begun in this step, at 0
            tensor.copy_(torch.where(unless > 0, 0, tensor))


def _remembered(optimiser: torch.optim.Optimizer) -> Iterator[Tensor]:
    """What is kept of each weight from step to step, of its shape."""
    for parameter, entries in optimiser.state.items():
        yield from (entry for entry in entries.values() if isinstance(entry, Tensor) and entry.shape == parameter.shape)


class Optimisers:
    """All players' optimisers, saved by parameter name.

    With ``shared_by`` several processes, what they remember is shared out over them.
    """

    def __init__(
        self,
        players: Mapping[str, nn.Module],
        settings: Mapping[str, Optim],
        reference: bool = False,
        shared_by: Cluster | None = None,
    ):
        self.players, self.settings = dict(players), dict(settings)
        self.named = {
            name: [(f"{name}.{key}", p) for key, p in net.named_parameters()] for name, net in players.items()
        }
        self.shared_by = shared_by or Cluster()
        shard = self.shared_by.size > 1
        self.of = {name: build(self.settings[name], player, reference, shard) for name, player in self.players.items()}

    def schedule(self, movers: tuple[str, ...], nimg: int, total_nimg: int) -> None:
        """Set the movers' learning rates, and Adam's decay rates, for this position."""
        for name in movers:
            for group in self.of[name].param_groups:
                group["lr"] = learning_rate(self.settings[name], nimg, total_nimg)
                if "betas" in group:
                    group["betas"] = betas(self.settings[name], nimg)

    def zero_grad(self, movers: tuple[str, ...]) -> None:
        """Drop the movers' gradients."""
        for name in movers:
            self.of[name].zero_grad(set_to_none=True)

    def step(self, movers: tuple[str, ...], unless: Tensor | None = None) -> None:
        """Move the movers; where ``unless``, a scalar on their device, is 1, everything stays as it is."""
        for name in movers:
            if unless is None:
                self.of[name].step()
            else:
                step_unless(self.of[name], unless)

    def parameters(self, movers: tuple[str, ...]) -> list[tuple[str, nn.Parameter]]:
        """The movers' parameters by name, ``D.conv.weight``."""
        return [pair for name in movers for pair in self.named[name]]

    def state(self) -> dict[str, Tensor]:
        """``player/parameter/entry`` to tensor. Rates are functions of position and need no saving.

        Where it is shared out, all processes have to call this, and the leading one is given the whole.
        """
        mine = {
            f"{name}/{key}/{entry}": torch.as_tensor(value)
            for name, player in self.players.items()
            for key, parameter in player.named_parameters()
            for entry, value in own(self.of[name]).state.get(parameter, {}).items()
            if value is not None
        }
        return self.shared_by.collect(mine)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned; of the whole, what belongs to this process."""
        optimisers = {name: own(optimiser) for name, optimiser in self.of.items()}
        mine = {id(p) for optimiser in optimisers.values() for group in optimiser.param_groups for p in group["params"]}
        for optimiser in optimisers.values():
            optimiser.state.clear()
        for path, value in state.items():
            name, key, entry = path.split("/")
            parameter = self.players[name].get_parameter(key)
            if id(parameter) not in mine:
                continue
            entries: dict[str, Any] = optimisers[name].state.setdefault(parameter, {})
            if entry == "step":  # fused kernels count on the device
                fused = optimisers[name].defaults.get("fused")
                entries[entry] = value.to(parameter.device if fused else value.device, copy=True)
            else:  # and want what is remembered laid out in memory as the weight is
                entries[entry] = torch.empty_like(parameter).detach().copy_(value)
