"""Recipes: functions that return a `Recipe`; each docstring says command, hardware, time, and what to expect."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable

from sparring.core.errors import SparringError, did_you_mean
from sparring.core.recipe import Recipe


def recipes() -> dict[str, Callable[[], Recipe]]:
    """Every recipe by name."""
    found: dict[str, Callable[[], Recipe]] = {}
    for room in pkgutil.iter_modules(__path__, f"{__name__}."):
        module = importlib.import_module(room.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == room.name and not name.startswith("_"):
                found[name] = function
    return found


def load_recipe(name: str) -> Recipe:
    """A recipe by name. Raises `SparringError` for an unknown one."""
    known = recipes()
    if name not in known:
        raise SparringError(f"there is no recipe '{name}'{did_you_mean(name, known)}")
    return known[name]()
