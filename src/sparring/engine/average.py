"""The exponential moving average of weights (EMA): what samples are drawn with."""

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


class Average:
    """Averaged copies of the parameters of some players.

    Buffers (BatchNorm's statistics) are not averaged: while the average is applied, the live ones serve.
    """

    def __init__(self, players: Mapping[str, nn.Module], halflife_kimg: float, rampup: float):
        self.live = {f"{n}.{k}": p for n, player in players.items() for k, p in player.named_parameters()}
        self.shadow = {key: p.detach().clone() for key, p in self.live.items()}
        self.halflife_nimg, self.rampup = halflife_kimg * 1000, rampup

    def beta(self, nimg: int, images: int) -> float:
        """Share of the old average kept after a step of ``images``: half of it after one half-life.

        The half-life ramps up as ``rampup * nimg`` so that the random start is soon forgotten (Karras et al. 2020).
        """
        halflife = min(self.halflife_nimg, self.rampup * nimg) if self.rampup > 0 else self.halflife_nimg
        return float(0.5 ** (images / halflife)) if halflife > 0 else 0.0

    @torch.no_grad()
    def update(self, nimg: int, images: int) -> None:
        """Move the average towards the live weights after a step that brought progress to ``nimg``."""
        if not self.shadow:  # a game may have nobody to average
            return
        weight = 1 - self.beta(nimg, images)
        torch._foreach_lerp_(list(self.shadow.values()), [p.detach() for p in self.live.values()], weight)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Let the players carry the averaged weights inside the block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for key, parameter in self.live.items():
            parameter.data, self.shadow[key] = self.shadow[key], parameter.data

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `shadow` held."""
        for key, value in self.shadow.items():
            value.copy_(state[key])
