"""Who writes the probability of an adaptive augmentation (nn/augment.py): ADA's own rule, or a fixed schedule."""

import torch
from torch import Tensor

from sparring.core.batch import Outcome
from sparring.core.game import Game, Turn
from sparring.core.observer import Controller
from sparring.core.schedule import burn_in


class AdaptiveProbability(Controller):
    """ADA's: p <- max(p + sign(r_t - target) * images / (kimg * 1000), 0) at every ``interval``-th batch.

    r_t = E sign(D(x)) over the reals of those batches says how far D overfits: 0 at chance, 1 when it is sure of every
    real. D's logits must mean something by themselves, which they do not under a relativistic loss.

    Args:
        player: the `Augmented` discriminator's name in the game.
        boundary: the logit at which D is undecided.
        target: where r_t is held.
        kimg: thousands of images in which p could rise from 0 to 1.
        interval: batches from one move of p to the next.
    """

    def __init__(
        self, player: str = "D", boundary: float = 0.0, target: float = 0.6, kimg: float = 500.0, interval: int = 4
    ):
        self.player, self.boundary, self.target, self.kimg, self.interval = player, boundary, target, kimg, interval

    def buffers(self, game: Game) -> tuple[str, ...]:
        return f"{self.player}.augment.p", f"{self.player}.augment.tally"

    def terms(self, game: Game) -> dict[str, Tensor]:
        return probability_term(game, self.player)

    def measure(self, turn: Turn, outcome: Outcome) -> Tensor | None:
        """Signs of D's logits on reals and how many pictures they are of, in the turns in which D moves."""
        if self.player not in turn.movers or outcome.real_logits is None:
            return None
        logits = outcome.real_logits.detach().float().reshape(len(outcome.real_logits), -1)
        signs = (logits - self.boundary).sign().mean(1)
        return torch.stack([signs.sum(), torch.ones_like(signs).sum(), torch.zeros_like(signs).sum()])

    @torch.no_grad()
    def act(self, game: Game, turn: Turn, measured: Tensor | None, nimg: int) -> None:
        if measured is None:
            return
        p, tally = (game.get_buffer(name) for name in self.buffers(game))
        tally.add_(measured.to(tally.dtype))
        tally[2] += 1
        full = tally[2] >= self.interval  # stays a tensor: nothing waits for the device
        move = torch.sign(tally[0] / tally[1] - self.target) * tally[1] / (self.kimg * 1000)
        p.copy_(torch.where(full, (p + move).clamp(min=0), p))
        tally.mul_(~full)


class ScheduledProbability(Controller):
    """p from 0 to ``final`` along half a cosine, then constant: for losses under which r_t says nothing."""

    def __init__(self, final: float, burn_in_kimg: float, player: str = "D"):
        self.final, self.burn_in_kimg, self.player = final, burn_in_kimg, player

    def buffers(self, game: Game) -> tuple[str, ...]:
        return (f"{self.player}.augment.p",)

    def terms(self, game: Game) -> dict[str, Tensor]:
        return probability_term(game, self.player)

    @torch.no_grad()
    def act(self, game: Game, turn: Turn, measured: Tensor | None, nimg: int) -> None:
        if self.player in turn.movers:
            game.get_buffer(self.buffers(game)[0]).fill_(burn_in(0.0, self.final, nimg, self.burn_in_kimg))


def probability_term(game: Game, player: str) -> dict[str, Tensor]:
    """p for the log, which adds it up later, when p itself has long moved on."""
    return {f"augment_p/{player}": game.get_buffer(f"{player}.augment.p").clone()}
