"""What the judges' scores say, read in some steps from the turns in which they move."""

from dataclasses import dataclass

from torch import Tensor

from sparring.core.batch import Batch, Outcome
from sparring.core.game import Game, Turn
from sparring.core.means import Means
from sparring.core.observer import Probe
from sparring.core.readings import PREFIX
from sparring.diagnostics.statistics import auc


@dataclass(frozen=True)
class Pace:
    """Which steps are read: every fourth, or more where a tick is shorter. A mean over a tick needs no more.

    Attributes:
        shown: images per step.
        every: steps.
    """

    shown: int
    every: int = 4

    @staticmethod
    def of(game: Game, batch: int, tick_nimg: float) -> "Pace":
        """For ticks of so many images: each is to have a step that is read."""
        shown = batch * max((turn.times for turn in game.turns(0)), default=1)
        return Pace(shown, max(1, min(4, int(tick_nimg) // shown)))

    def due(self, nimg: int) -> bool:
        """Whether the step that begins at ``nimg`` is read: a function of position, as everything that a run logs."""
        return nimg // self.shown % self.every == 0


class Logits(Probe):
    """Reads ``auc``, ``real_sign``, ``logit_gap`` and ``logit_size``; the mean over judges where there are several.

    Args:
        game: whose judges it reads; a logit is compared with their `Game.boundary`, or 0 where they have none.
        pace: which steps it reads.
    """

    def __init__(self, game: Game, pace: Pace):
        self.boundaries = {judge: game.boundary(judge) or 0.0 for judge in game.judges()}
        self.pace, self.means = pace, Means()

    def see(self, turn: Turn, batch: Batch, outcome: Outcome) -> None:
        judge, real, fake = turn.movers[0], outcome.real_logits, outcome.fake_logits
        if judge not in self.boundaries or real is None or not self.pace.due(batch.nimg):
            return
        real = by_sample(real)
        self.means.add("real_sign", (real - self.boundaries[judge]).sign().mean())
        if fake is None:
            return
        fake = by_sample(fake)
        self.means.add("auc", auc(real, fake))
        if min(len(real), len(fake)) > 1:  # one sample, as translators are often trained with, has no spread
            spread = ((real.var() + fake.var()) / 2).sqrt()
            self.means.add("logit_gap", (real.mean() - fake.mean()) / spread.clamp(min=1e-12))
        self.means.add("logit_size", real.abs().max().maximum(fake.abs().max()))

    def report(self) -> dict[str, float]:
        return {PREFIX + name: value for name, value in self.means.read().items()}


def by_sample(logits: Tensor) -> Tensor:
    """Raw scores ``(n, ...)``, one for each patch as a rule, to a mean for each sample, ``(n,)``."""
    return logits.detach().float().flatten(1).mean(1) if logits.dim() > 1 else logits.detach().float()
