"""What a judge says of reals that it trained on and of others: its own turn is played once more, and nobody moves."""

from dataclasses import replace

import torch
from torch import Tensor

from sparring.core.batch import Batch, Make, Outcome
from sparring.core.game import Turn
from sparring.core.look import Look
from sparring.core.observer import Probe
from sparring.core.readings import PREFIX
from sparring.diagnostics.logits import by_sample
from sparring.diagnostics.statistics import auc


class Judges(Probe):
    """Reads ``slope``, and ``train_auc`` where reals were held out, of the first judge that scores reals and fakes."""

    def __init__(self) -> None:
        self.readings: dict[str, float] = {}

    def look(self, look: Look) -> None:
        judges = set(look.game.judges())
        look.game.requires_grad_(False)  # nothing is to be learnt here
        for turn in look.game.turns(look.nimg):
            if judges >= set(turn.movers) and self.read(Replay(turn), look):
                return

    def read(self, replay: "Replay", look: Look) -> bool:
        """The readings of one turn; False where it scores no reals beside fakes, such as a penalty's."""
        real = look.seen[0].real.detach().requires_grad_(True)
        outcome = replay(replace(look.seen[0], real=real))
        if outcome.real_logits is None or outcome.fake_logits is None:
            return False
        slope = mean_slope(outcome.real_logits, real)
        if slope is not None:
            self.readings["slope"] = float(slope)
        if look.unseen:
            seen, unseen = (replay.scores(batches) for batches in (look.seen, look.unseen))
            self.readings["train_auc"] = float(auc(seen, unseen))
        return True

    def report(self) -> dict[str, float]:
        readings, self.readings = self.readings, {}
        return {PREFIX + name: value for name, value in readings.items()}


class Replay:
    """A turn's loss, played on any batches with the same fakes, which are made once and without a graph."""

    def __init__(self, turn: Turn):
        self.turn = turn
        self.made: dict[tuple[str, str, int], Tensor] = {}

    def __call__(self, batch: Batch) -> Outcome:
        return self.turn.loss(replace(batch, _share=self.share))

    def share(self, batch: Batch, player: str, make: Make) -> Tensor:
        key = (player, getattr(make, "__name__", repr(make)), batch.size)
        if key not in self.made:
            with torch.no_grad():
                self.made[key] = make(batch)
        return self.made[key]

    def scores(self, batches: tuple[Batch, ...]) -> Tensor:
        """The judge's scores of the reals of all batches, ``(n,)``. With graphs: a loss may hold a gradient penalty."""
        scores = [self(batch).real_logits for batch in batches]
        return torch.cat([by_sample(logits.detach()) for logits in scores if logits is not None])


def mean_slope(logits: Tensor, real: Tensor) -> Tensor | None:
    """E ||grad_x D(x)|| of scores ``(n, ...)``, averaged over patches; None where no graph leads to reals."""
    if not logits.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(logits.flatten(1).mean(1).sum(), real, allow_unused=True)
    return None if gradient is None else gradient.float().flatten(1).norm(dim=1).mean()
