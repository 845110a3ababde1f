"""The coach: answers a critical finding by going back to a state from before it, with one thing changed.

Off unless asked for (``--train.coach true``). Its moves are few, are told as events, and stand in ``recipe.json``, so
that a run that is cut off goes on from them as it would have.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from sparring.core.config import flatten, merge, unflatten
from sparring.core.errors import SparringError
from sparring.core.recipe import GROUPS, Recipe
from sparring.diagnostics.finding import Finding
from sparring.engine import checkpoint
from sparring.tools.moves import Move
from sparring.tools.plan import Plan, make_plan

MOST = 6  # moves in one run
UNEVEN = 4.0
SALTS = 1000  # between one move and the next; the guard's own rollbacks count in ones

Change = dict[str, Any]  # dotted setting to its new value; empty where there is nothing to change
Cure = Callable[[Plan], Change]


# ---------------------------------------------------------------------- what can be changed


def penalty(plan: Plan) -> Change:
    """Four times the gradient penalty; where there was none, the family's usual one."""
    for name in ("r1_gamma", "gp_weight"):
        value = getattr(plan.game, name, None)
        if value is not None:
            usual = next(item.default for item in fields(plan.game) if item.name == name)
            return {f"game.{name}": 4 * value or usual or 1.0}
    return {}


def rounded(rate: float) -> float:
    """To three digits, as a person would write it."""
    return float(f"{rate:.3g}")


def rates(factor: float, plan: Plan, *, only: str = "") -> Change:
    """Learning rates times ``factor``: everybody's, or one player's."""
    return {f"optim.{name}.lr": rounded(factor * o.lr) for name, o in plan.optim.items() if only in ("", name)}


def level_rates(plan: Plan) -> Change:
    """For D the highest rate that anybody has."""
    highest = max(optim.lr for optim in plan.optim.values())
    return {"optim.D.lr": highest} if "D" in plan.optim and plan.optim["D"].lr < highest else {}


def even_rates(plan: Plan) -> Change:
    """Where some rates are four times others or more, for everybody the one in the middle (geometric mean)."""
    rates = [optim.lr for optim in plan.optim.values()]
    if max(rates) < UNEVEN * min(rates):
        return {}
    middle = rounded(math.prod(rates) ** (1 / len(rates)))
    return {f"optim.{name}.lr": middle for name in plan.optim}


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
    "collapse": (even_rates, penalty, SLOWER, SLOWER),
    "dropped_modes": (penalty, even_rates, SLOWER, SLOWER),
    "divergence": (MUCH_SLOWER, MUCH_SLOWER, penalty, MUCH_SLOWER),
    "non_finite": (MUCH_SLOWER, clipping, MUCH_SLOWER),
    "oscillation": (penalty, no_momentum, MUCH_SLOWER),
    "vanishing_gradient": (living_loss, penalty, fewer_turns, SLOWER_D),
    "strong_discriminator": (penalty, fewer_turns, SLOWER_D, living_loss),
    "dead_discriminator": (level_rates, MUCH_SLOWER),
    "weak_discriminator": (level_rates, SLOWER_G),
    "discriminator_overfitting": (augmentation, penalty, SLOWER_D),
    "memorisation": (augmentation, penalty),
    "spectral_explosion": (MUCH_SLOWER, penalty),
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
