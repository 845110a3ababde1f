"""The code in the documentation runs, and the family that it writes passes the conformance suite."""

import contextlib
import importlib
import io
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparring.core import registry
from sparring.core.game import Game
from sparring.testing import CHECKS
from test_docs import FENCE, ROOT, name_of, pages_with


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to run a page's code in; what the code imported from there is forgotten."""
    before, path = set(sys.modules), list(sys.path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", pages_with(r"^<!-- runnable -->$"), ids=name_of)
def test_runnable_code_runs(page: Path, workplace: Path) -> None:
    """The runnable blocks of a page run in order, in one namespace, beside the files that the page shows."""
    write_files(page, workplace)
    names: dict[str, Any] = {"__name__": "page"}
    for block in FENCE.finditer(page.read_text(encoding="utf-8")):
        if "runnable" in block["mark"]:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(block["body"], name_of(page), "exec"), names)


def write_files(page: Path, folder: Path) -> None:
    """Write the blocks that have a title into files of that name."""
    for block in FENCE.finditer(page.read_text(encoding="utf-8")):
        title = re.search(r'title="([\w.]+)"', block["info"])
        if title:
            (folder / title[1]).write_text(block["body"], encoding="utf-8")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_family_that_the_documentation_writes(check: Callable[[type[Game]], None], workplace: Path) -> None:
    write_files(ROOT / "docs" / "write-a-family.md", workplace)
    check(registry.load_family("my_lsgan:LSGAN"))


def test_the_example_test_file_is_whole(workplace: Path) -> None:
    write_files(ROOT / "docs" / "write-a-family.md", workplace)
    found = importlib.import_module("test_my_lsgan")
    assert found.test_my_lsgan.pytestmark[0].args[1] == CHECKS
