"""What the coach decided in a run, as ``recipe.json`` keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sparring.core.config import Settings, flatten, unflatten
from sparring.core.errors import SparringError

KEY = "coach"  # of recipe.json


@dataclass(frozen=True)
class Move:
    """One intervention.

    Attributes:
        finding: name of the rule that called for it.
        nimg: images shown when it did.
        back_to: images shown at the state that the run went on from; 0: from new weights.
        salt: part of every seed from then on.
        before, after: the settings that changed, by dotted name.
    """

    finding: str
    nimg: int
    back_to: int
    salt: int
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        changes = ", ".join(f"{name} {self.before[name]} -> {value}" for name, value in self.after.items())
        return f"{self.finding}: back to {self.back_to / 1000:g} kimg with {changes}"


def moves_of(recipe: Mapping[str, Any]) -> tuple[Move, ...]:
    """The moves in a run's ``recipe.json``, oldest first. Raises `SparringError` for what is none."""
    try:
        return tuple(Move(**entry) for entry in recipe.get(KEY, ()))
    except TypeError:
        raise SparringError(f"recipe.json is damaged: '{KEY}' holds what is no move of the coach") from None


def plain_moves(moves: Sequence[Move]) -> dict[str, Any]:
    """What ``recipe.json`` keeps of them; nothing of none."""
    return {KEY: [asdict(move) for move in moves]} if moves else {}


def without_what_moved(asked: Settings, moves: Sequence[Move]) -> Settings:
    """Settings without those that a move has changed since: the command that began a run also goes on with it."""
    first: dict[str, Any] = {}
    for move in moves:
        first = move.before | first
    return unflatten({k: v for k, v in flatten(asked).items() if k not in first or not same(v, first[k])})


def same(asked: Any, kept: Any) -> bool:
    """Whether a setting as it was typed is the one that was kept."""
    if isinstance(kept, list):
        parts = asked.split(",") if isinstance(asked, str) else list(asked)
        return len(parts) == len(kept) and all(map(same, parts, kept))
    try:
        return float(asked) == float(kept)
    except (TypeError, ValueError):
        return str(asked) == str(kept)
