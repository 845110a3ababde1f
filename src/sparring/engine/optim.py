"""Optimisers, one per player, and learning rates as pure functions of progress."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sparring.core.config import Optim
from sparring.core.schedule import burn_in


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


def build(optim: Optim, player: nn.Module, reference: bool = False) -> torch.optim.Optimizer:
    """The optimiser of one player, fused where the device has it; with ``reference``, a loop over parameters."""
    parameters = list(player.parameters())
    fused = not reference and all(p.device.type in ("cpu", "cuda") for p in parameters)
    foreach = False if reference else None  # None lets torch choose
    if optim.name == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=optim.lr,
            momentum=optim.momentum,
            weight_decay=optim.weight_decay,
            foreach=foreach,
            fused=fused,
        )
    rates = betas(optim, 0)
    if optim.name == "rmsprop":  # has no fused kernel
        return torch.optim.RMSprop(
            parameters,
            lr=optim.lr,
            alpha=rates[1],
            eps=optim.eps,
            momentum=optim.momentum,
            weight_decay=optim.weight_decay,
            foreach=foreach,
        )
    return torch.optim.Adam(
        parameters,
        lr=optim.lr,
        betas=rates,
        eps=optim.eps,
        weight_decay=optim.weight_decay,
        foreach=foreach,
        fused=fused,
    )


class Optimisers:
    """All players' optimisers, saved by parameter name."""

    def __init__(self, players: Mapping[str, nn.Module], settings: Mapping[str, Optim], reference: bool = False):
        self.players, self.settings = dict(players), dict(settings)
        self.of = {name: build(self.settings[name], player, reference) for name, player in self.players.items()}

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

    def step(self, movers: tuple[str, ...]) -> None:
        """Move the movers."""
        for name in movers:
            self.of[name].step()

    def parameters(self, movers: tuple[str, ...]) -> list[tuple[str, nn.Parameter]]:
        """The movers' parameters by name, ``D.conv.weight``."""
        return [(f"{name}.{key}", p) for name in movers for key, p in self.players[name].named_parameters()]

    def state(self) -> dict[str, Tensor]:
        """``player/parameter/entry`` to tensor. Rates are functions of position and need no saving."""
        return {
            f"{name}/{key}/{entry}": torch.as_tensor(value)
            for name, player in self.players.items()
            for key, parameter in player.named_parameters()
            for entry, value in self.of[name].state.get(parameter, {}).items()
            if value is not None
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned."""
        for optimiser in self.of.values():
            optimiser.state.clear()
        for path, value in state.items():
            name, key, entry = path.split("/")
            parameter = self.players[name].get_parameter(key)
            entries: dict[str, Any] = self.of[name].state.setdefault(parameter, {})
            entries[entry] = value.clone() if entry == "step" else value.to(parameter.device, copy=True)
