"""Finding families. A file in ``sparring/families/`` is one; another package offers its own by entry point.

Listing imports nothing: a family's line is read from its file's first docstring line.
"""

import ast
import importlib
import importlib.metadata
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sparring.core.errors import SparringError, did_you_mean

if TYPE_CHECKING:
    from sparring.core.game import Game

ENTRY_POINTS = "sparring.families"
ROOT = Path(__file__).parent.parent / "families"


@dataclass(frozen=True)
class Family:
    """Where a family is and what it says of itself.

    Attributes:
        name: what ``--family`` takes.
        kind: its folder, such as ``image``; ``plug-in`` for another package's.
        target: ``module`` or ``module:Class``.
        summary: first line of its docstring.
        broken: why a plug-in cannot be found, else empty.
    """

    name: str
    kind: str
    target: str
    summary: str
    broken: str = ""


def families() -> dict[str, Family]:
    """Every family by name. Raises `SparringError` when two share a name."""
    found: dict[str, Family] = {}
    for family in [*_built_in(), *_plug_ins()]:
        if family.name in found:
            raise SparringError(
                f"two families are called '{family.name}': {found[family.name].target} and {family.target}; "
                "uninstall or rename one"
            )
        found[family.name] = family
    return found


def load_family(name: str) -> "type[Game]":
    """The class of a family: a listed name, or ``my.module:MyGAN``, looked up from the working folder too.

    Raises `SparringError` for an unknown name or a family that fails to import (with its exception).
    """
    if ":" in name:
        if "" not in sys.path:
            sys.path.insert(0, "")
        return _import(name, name)
    known = families()
    if name not in known:
        raise SparringError(f"there is no family '{name}'{did_you_mean(name, known)}")
    return _import(name, known[name].target)


def _import(name: str, target: str) -> "type[Game]":
    from sparring.core.game import Game

    module_name, _, class_name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever a stranger's module raises is shown, not thrown
        raise SparringError(f"family '{name}' does not import: {type(error).__name__}: {error}") from error
    if class_name:
        game = getattr(module, class_name, None)
    else:
        own = [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module_name]
        games = [v for v in own if issubclass(v, Game)]
        game = games[0] if len(games) == 1 else None
    if not (isinstance(game, type) and issubclass(game, Game)):
        raise SparringError(f"family '{name}': {target} is not one subclass of sparring.core.game.Game")
    return game


def _built_in() -> list[Family]:
    return [
        Family(
            name=path.stem,
            kind=path.parent.name,
            target=".".join(("sparring.families", *path.relative_to(ROOT).with_suffix("").parts)),
            summary=_summary(path),
        )
        for path in sorted(ROOT.glob("*/*.py"))
        if not path.stem.startswith("_")
    ]


def _plug_ins() -> list[Family]:
    return [_plug_in(entry) for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)]


def _plug_in(entry: importlib.metadata.EntryPoint) -> Family:
    try:
        top, *rest = entry.module.split(".")
        spec = importlib.util.find_spec(top)  # of the top-level package only: this runs none of its code
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"No module named '{top}'")
        path = Path(spec.origin)
        if rest:
            path = Path(*(spec.submodule_search_locations or [""])[:1], *rest)
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        return Family(entry.name, "plug-in", entry.value, _summary(path))
    except Exception as error:
        return Family(entry.name, "plug-in", entry.value, "", broken=f"{type(error).__name__}: {error}")


def _summary(path: Path) -> str:
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return doc.partition("\n")[0]
