"""The coach: answers a critical finding by going back to a state from before it, with one thing changed.

Off unless asked for (``--train.coach true``). Its moves are few, are told as events, and stand in ``recipe.json``, so
that a run that is cut off goes on from them as it would have.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from sparring.core.config import flatten, merge, plain, unflatten
from sparring.core.errors import SparringError
from sparring.core.recipe import GROUPS, Recipe
from sparring.diagnostics.finding import Finding
from sparring.engine import checkpoint
from sparring.tools.moves import Move
from sparring.tools.plan import Plan, make_plan

MOST = 4  # moves in one run
PENALTIES = ("r1_gamma", "gp_weight")
SALTS = 1000  # between one move and the next; the guard's own rollbacks count in ones

Change = dict[str, Any]  # dotted setting to its new value; empty where there is nothing to change
Cure = Callable[[Plan], Change]


# ---------------------------------------------------------------------- what can be changed


def usual(plan: Plan) -> Plan:
    """The plan that the family would have made for this data by itself."""
    return make_plan(Recipe(plan.source, plan.family, {"data": plain(plan.data)}), dataset=plan.dataset)


def usual_rates(plan: Plan) -> Change:
    """The family's own rates, where those of this run are twice as high, or half, or further off."""
    own = usual(plan).optim
    return {
        f"optim.{name}.lr": own[name].lr for name, optim in plan.optim.items() if not 0.5 < optim.lr / own[name].lr < 2
    }


def penalty_on(plan: Plan) -> Change:
    """The family's usual gradient penalty, where it was turned off."""
    for name in PENALTIES:
        if getattr(plan.game, name, None) == 0:
            default = next(item.default for item in fields(plan.game) if item.name == name)
            return {f"game.{name}": getattr(usual(plan).game, name) or default or 1.0}
    return {}


def penalty(plan: Plan) -> Change:
    """A gradient penalty four times as strong."""
    return {f"game.{n}": 4 * getattr(plan.game, n) for n in PENALTIES if getattr(plan.game, n, 0) > 0}


def rounded(rate: float) -> float:
    """To three digits, as a person would write it."""
    return float(f"{rate:.3g}")


def rates(factor: float, plan: Plan, *, only: str = "") -> Change:
    """Learning rates times ``factor``: everybody's, or one player's."""
    return {f"optim.{name}.lr": rounded(factor * o.lr) for name, o in plan.optim.items() if only in ("", name)}


def no_momentum(plan: Plan) -> Change:
    """Adam without a first moment: its memory of directions is what keeps circles going."""
    return {f"optim.{name}.betas": (0.0, o.betas[1]) for name, o in plan.optim.items() if o.betas[0] > 0}


def fewer_turns(plan: Plan) -> Change:
    """Half as many turns of D for one of G."""
    for name in ("d_steps", "n_critic"):
        if getattr(plan.game, name, 1) > 1:
            return {f"game.{name}": getattr(plan.game, name) // 2}
    return {}


def living_loss(plan: Plan) -> Change:
    """The loss whose gradient does not vanish when D is sure (Goodfellow et al. 2014, section 3)."""
    return {"game.loss": "non_saturating"} if getattr(plan.game, "loss", "") == "minimax" else {}


def augmentation(plan: Plan) -> Change:
    """D sees changed pictures, which are harder to learn by heart."""
    pictures = plan.dataset.spec.modality == "image"
    return {"train.augment": "diff"} if pictures and plan.train.augment == "none" else {}


def clipping(plan: Plan) -> Change:
    """No gradient longer than 1."""
    return {"train.clip_norm": 1.0} if plan.train.clip_norm == 0 else {}


SLOWER, MUCH_SLOWER = partial(rates, 0.25), partial(rates, 0.1)
SLOWER_G, SLOWER_D = partial(rates, 0.25, only="G"), partial(rates, 0.25, only="D")

# What is tried for what, in this order. The rules' own remedies say why.
CURES: Mapping[str, Sequence[Cure]] = {
    "collapse": (usual_rates, penalty_on, SLOWER, penalty),
    "dropped_modes": (usual_rates, penalty_on),
    "divergence": (usual_rates, MUCH_SLOWER, penalty_on, MUCH_SLOWER),
    "non_finite": (usual_rates, MUCH_SLOWER, clipping),
    "oscillation": (usual_rates, penalty_on, no_momentum, SLOWER),
    "vanishing_gradient": (living_loss, penalty_on, usual_rates, fewer_turns, SLOWER_D),
    "strong_discriminator": (usual_rates, penalty_on, fewer_turns, SLOWER_D),
    "dead_discriminator": (usual_rates,),
    "weak_discriminator": (usual_rates, SLOWER_G),
    "discriminator_overfitting": (augmentation, penalty),
    "memorisation": (augmentation, penalty),
    "spectral_explosion": (usual_rates, MUCH_SLOWER, penalty_on),
    "spectral_collapse": (penalty, SLOWER),
}


# ---------------------------------------------------------------------- who decides


class Coach:
    """Decides on moves for one run.

    Args:
        plan: of the run, as it is now.
        states: folder of its full states.
        moves: what was decided before, oldest first.
    """

    def __init__(self, plan: Plan, states: Path, moves: Sequence[Move]):
        self.plan, self.states, self.moves = plan, states, tuple(moves)

    def answer(self, finding: Finding) -> tuple[Plan, Move] | None:
        """The plan to go on with and the move that made it; None where nothing is left to try."""
        if len(self.moves) >= MOST:
            return None
        for change in self._changes(finding.name):
            plan = self._changed(change)
            if plan is None:
                continue
            now = flatten(self.plan.record())
            before = {name: now[name] for name in change}
            salt = SALTS * (len(self.moves) + 1)
            return plan, Move(finding.name, finding.nimg, self._back_to(finding), salt, before, plain_values(change))
        return None

    def _changes(self, finding: str) -> Iterator[Change]:
        tried = sum(move.finding == finding for move in self.moves)
        for cure in CURES.get(finding, ())[tried:]:
            if change := cure(self.plan):
                yield change

    def _changed(self, change: Change) -> Plan | None:
        """The plan with that changed; None where the family refuses it."""
        record = self.plan.record()
        groups = {group: record[group] for group in GROUPS}
        asked = Recipe(self.plan.source, self.plan.family, merge(groups, unflatten(change)))
        try:
            return make_plan(asked, dataset=self.plan.dataset, automatic=False)
        except SparringError:
            return None

    def _back_to(self, finding: Finding) -> int:
        """The newest state that was well as far as this finding goes; from before the last move's, where that failed.

        A run that never was, such as one that was found collapsed at the first look that counts, begins anew.
        """
        limit = finding.well
        if self.moves and self.moves[-1].finding == finding.name:
            limit = min(limit, self.moves[-1].back_to - 1)
        return max((nimg for nimg in checkpoint.positions(self.states) if nimg <= limit), default=0)


def plain_values(change: Change) -> Change:
    """As JSON holds them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in change.items()}
