"""The house's own rules."""

import ast
import re
from pathlib import Path

import pytest

import sparring

ROOT = Path(sparring.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


def test_rooms_look_down_only():
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(ROOT.parent.parent / "pyproject.toml"), no_cache=True) == 0


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_has_outgrown_its_room(path):
    room = path.relative_to(ROOT).parts[0]
    limit = {"engine": 300, "core": 300, "families": 250}.get(room, 400)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_everything_public_says_what_it_is(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "a file begins by saying what it is for"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} says nothing of itself"


def test_nothing_unpickles():
    unsafe = re.compile(
        r"torch\.load\((?!.*weights_only=True)|pickle\.loads?\(|allow_pickle\s*=\s*True|yaml\.load\(|torch\.jit\.load|extractall\("
    )
    for path in FILES:
        found = unsafe.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.relative_to(ROOT)}: {found and found.group()}"


def test_nobody_but_families_knows_a_family():
    names = {path.stem for path in (ROOT / "families").rglob("*.py") if path.stem != "__init__"}
    names -= {"tutorial", "vanilla", "progressive", "cut"}  # ordinary words too
    knows = re.compile(r"family\s*==|isinstance\(game|\b(" + "|".join(sorted(names)) + r")\b")
    for room in ("core", "engine", "watch", "data", "diagnostics", "metrics", "testing"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
                if isinstance(node, ast.Name | ast.Attribute):
                    text = node.id if isinstance(node, ast.Name) else node.attr
                if "\n" not in text and " " not in text:  # prose may name a family as an example
                    assert not knows.fullmatch(text), f"{path.relative_to(ROOT)} knows {text}"
