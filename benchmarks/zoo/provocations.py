"""Families with one fault each, by construction. ``--family zoo.provocations:CutDCGAN``, with benchmarks/ on the path.

Source: written for the failure zoo (benchmarks/zoo). Command: ``make zoo``.

A fault is a mixin over a family whose code stays as it is: it changes what a turn is dealt, who moves, what noise and
labels G hears, or weights by a controller. Everything else is the family's.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.game import Game, Turn
from sparring.core.observer import Controller
from sparring.core.spec import DataSpec
from sparring.families.image.cgan import CGAN
from sparring.families.image.dcgan import DCGAN
from sparring.families.image.r3gan import R3GAN
from sparring.families.image.sngan import SNGAN
from sparring.families.image.vanilla import Vanilla
from sparring.families.image.wgan_gp import WGANGP

Loss = Callable[[Batch], Outcome]


def rewired(turns: list[Turn], change: Callable[[Loss], Loss], player: str | None = None) -> list[Turn]:
    """The turns with every loss (or only those in which ``player`` moves) changed, under their old names."""

    def named(loss: Loss) -> Loss:
        return wraps(loss)(change(loss))

    return [replace(t, loss=named(t.loss)) if player is None or player in t.movers else t for t in turns]


# ---------------------------------------------------------------------- what G hears


class Silence:
    """Noise that is zero, whatever is asked for."""

    def __init__(self, like: Any, n: int):
        self.like, self.n = like, n

    def normal(self, *shape: int) -> Tensor:
        """Zeros ``(n, *shape)``."""
        return torch.zeros_like(self.like.normal(*shape))

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers as they were: penalties need them."""
        drawn: Tensor = self.like.uniform(*shape)
        return drawn


class Cut:
    """G's noise input is disconnected: one sample, or one per class (full collapse)."""

    def fakes(self, batch: Batch) -> Tensor:
        made: Tensor = super().fakes(replace(batch, random=Silence(batch.random, batch.size)))  # type: ignore[misc]
        return made


class Deaf:
    """G hears a class drawn from its noise in place of the one asked for (class confusion)."""

    def fakes(self, batch: Batch) -> Tensor:
        drawn = batch.uniform(1).flatten() * len(self.spec.classes)  # type: ignore[attr-defined]
        made: Tensor = super().fakes(replace(batch, labels=drawn.long()))  # type: ignore[misc]
        return made


class Memory(nn.Module):
    """A generator that answers with a row it remembers, moved by a thousandth of what ``net`` makes.

    Args:
        net: any generator, called with a latent and labels.
        rows: how many of the first reals shown are kept.
        shape: of a real.
    """

    def __init__(self, net: nn.Module, rows: int, shape: tuple[int, ...]):
        super().__init__()
        self.net, self.left = net, rows
        self.rows: Tensor
        self.register_buffer("rows", torch.zeros(rows, *shape))

    def forward(self, z: Tensor, *labels: Tensor | None) -> Tensor:
        """The row is chosen by the latent's first number, all with the same chance."""
        places = (torch.special.ndtr(z[:, 0]) * len(self.rows)).long().clamp(0, len(self.rows) - 1)
        made: Tensor = self.net(z, *labels)
        return self.rows[places] + 1e-3 * made

    @torch.no_grad()
    def keep(self, real: Tensor) -> None:
        """Fill the memory, until it is full, with reals."""
        if self.left > 0:
            new, start = real[: self.left], len(self.rows) - self.left
            self.rows[start : start + len(new)] = new
            self.left -= len(new)


class Copier:
    """G answers with the first reals that it was shown (memorisation)."""

    kept: ClassVar[int] = 64

    def __init__(self, spec: DataSpec, config: Any):
        super().__init__(spec, config)  # type: ignore[call-arg]
        self.G = Memory(self.G, self.kept, spec.shape)  # type: ignore[has-type]

    def turns(self, nimg: int) -> list[Turn]:
        def change(loss: Loss) -> Loss:
            def remembering(batch: Batch) -> Outcome:
                self.G.keep(batch.real)
                return loss(batch)

            return remembering

        return rewired(super().turns(nimg), change)  # type: ignore[misc]


# ---------------------------------------------------------------------- what a turn is dealt


class Blind:
    """Training never sees a part of the data, the referee sees all of it, as with a faulty loader (dropped modes).

    Points to the right of `border`, and pictures of the latter half of the classes, are replaced by other reals.
    """

    border: ClassVar[float] = 0.45

    def turns(self, nimg: int) -> list[Turn]:
        def change(loss: Loss) -> Loss:
            return lambda batch: loss(self._without(batch))

        return rewired(super().turns(nimg), change)  # type: ignore[misc]

    def _without(self, batch: Batch) -> Batch:
        if batch.labels is not None:
            seen = batch.labels < len(self.spec.classes) // 2  # type: ignore[attr-defined]
        else:
            seen = batch.real.flatten(1)[:, 0] < self.border
        rest = seen.nonzero().flatten()
        if not len(rest):
            return batch
        places = torch.where(seen, torch.arange(len(seen)), rest[torch.arange(len(seen)) % len(rest)])
        return replace(batch, real=batch.real[places], labels=None if batch.labels is None else batch.labels[places])


class Poisoned:
    """From ``since`` images on, and at every third step, G's loss is not a number (non-finite)."""

    since: ClassVar[int] = 16_000

    def turns(self, nimg: int) -> list[Turn]:
        def change(loss: Loss) -> Loss:
            def poisoned(batch: Batch) -> Outcome:
                outcome = loss(batch)
                ill = batch.nimg >= self.since and batch.nimg // max(batch.size, 1) % 3 == 0
                return replace(outcome, loss=outcome.loss * math.nan) if ill else outcome

            return poisoned

        return rewired(super().turns(nimg), change, "G")  # type: ignore[misc]


# ---------------------------------------------------------------------- weights


class Inflation(Controller):
    """Multiplies one weight of ``player`` by ``factor`` after each of its turns from ``since`` images on."""

    def __init__(self, player: str, since: int, factor: float):
        self.player, self.since, self.factor = player, since, factor

    def buffers(self, game: Game) -> tuple[str, ...]:
        return ()

    def parameters(self, game: Game) -> tuple[str, ...]:
        """The player's second matrix: neither what meets the data nor what makes the logit."""
        names = [name for name, p in game.named_parameters() if name.startswith(f"{self.player}.") and p.dim() > 1]
        return (names[1],)

    @torch.no_grad()
    def act(self, game: Game, turn: Turn, measured: Tensor | None, nimg: int) -> None:
        if self.player in turn.movers and nimg >= self.since:
            weights = dict(game.named_parameters())
            for name in self.parameters(game):
                weights[name].mul_(self.factor)


class Inflated:
    """A weight of D grows by a share at every turn from ``since`` images on (spectral explosion)."""

    player: ClassVar[str] = "D"
    since: ClassVar[int] = 12_000
    factor: ClassVar[float] = 1.01

    def controllers(self) -> list[Controller]:
        mine: list[Controller] = super().controllers()  # type: ignore[misc]
        return [*mine, Inflation(self.player, self.since, self.factor)]


class InflatedG(Inflated):
    """The same of G."""

    player = "G"


# ---------------------------------------------------------------------- families with faults


class CutDCGAN(Cut, DCGAN):
    """DCGAN without noise."""


class CutCGAN(Cut, CGAN):
    """Conditional GAN without noise."""


class CutWGANGP(Cut, WGANGP):
    """WGAN-GP without noise."""


class DeafCGAN(Deaf, CGAN):
    """Conditional GAN whose G does not hear the class."""


class DeafDCGAN(Deaf, DCGAN):
    """Conditional DCGAN whose G does not hear the class."""


class DeafR3GAN(Deaf, R3GAN):
    """Conditional R3GAN whose G does not hear the class."""


class CopierDCGAN(Copier, DCGAN):
    """DCGAN that returns what it was shown."""


class CopierWGANGP(Copier, WGANGP):
    """WGAN-GP that returns what it was shown."""


class CopierVanilla(Copier, Vanilla):
    """The original GAN that returns what it was shown."""


class BlindDCGAN(Blind, DCGAN):
    """DCGAN that is dealt a part of the data."""


class BlindR3GAN(Blind, R3GAN):
    """R3GAN that is dealt a part of the data."""


class BlindWGANGP(Blind, WGANGP):
    """WGAN-GP that is dealt a part of the data."""


class BlindCGAN(Blind, CGAN):
    """Conditional GAN that is dealt a part of the data."""


class PoisonedDCGAN(Poisoned, DCGAN):
    """DCGAN whose loss stops being a number."""


class PoisonedR3GAN(Poisoned, R3GAN):
    """R3GAN whose loss stops being a number."""


class PoisonedSNGAN(Poisoned, SNGAN):
    """SNGAN whose loss stops being a number."""


class InflatedDCGAN(Inflated, DCGAN):
    """DCGAN with a weight of D that grows."""


class InflatedGDCGAN(InflatedG, DCGAN):
    """DCGAN with a weight of G that grows."""


class InflatedR3GAN(Inflated, R3GAN):
    """R3GAN with a weight of D that grows."""


GAMES: tuple[type[nn.Module], ...] = tuple(
    value
    for value in list(globals().values())
    if isinstance(value, type) and issubclass(value, Game) and value.__module__ == __name__
)
