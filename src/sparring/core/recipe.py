"""What is trained on what: a source of data, a family, and settings in five groups."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sparring.core.config import Settings, merge
from sparring.core.errors import SparringError, did_you_mean

GROUPS = ("data", "game", "optim", "train", "eval")


@dataclass(frozen=True)
class Recipe:
    """A run before it is played. A setting that is not said takes the family's default, then the general one.

    A function in ``sparring.recipes`` returns one; its docstring gives command, hardware, time, and the number to
    expect. A run folder keeps the one it was made from with every setting said (``recipe.json``).

    Attributes:
        source: the data: a path or a built-in name.
        family: a family's name; empty lets the data decide.
        settings: ``{"data": {...}, "game": {...}, "optim": {...}, "train": {...}, "eval": {...}}``, each part optional.
    """

    source: str
    family: str = ""
    settings: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        for group, settings in self.settings.items():
            if group not in GROUPS:
                raise SparringError(f"unknown group of settings '{group}'{did_you_mean(group, GROUPS)}")
            if not isinstance(settings, Mapping):
                raise SparringError(f"'{group}' is a group of settings, such as {group}.NAME; got {settings!r}")

    def with_settings(self, *layers: Settings) -> "Recipe":
        """The same recipe with more said; later layers win."""
        return Recipe(self.source, self.family, merge(self.settings, *layers))

    def part(self, group: str) -> dict[str, Any]:
        """The settings of one group."""
        return dict(self.settings.get(group, {}))
