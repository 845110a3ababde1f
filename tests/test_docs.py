"""The documentation is held to the code: commands parse, settings and defaults agree, links lead somewhere, code runs.

Tables of settings are generated. ``python tests/test_docs.py`` writes them into the pages; the tests only compare.
"""

import importlib
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sparring import cli
from sparring.core import config, registry
from sparring.core.config import Data, Eval, Optim, Train, build, describe, flatten, plain, unflatten
from sparring.core.game import Game
from sparring.core.recipe import GROUPS
from sparring.core.settings_file import read_file
from sparring.core.spec import DataSpec
from sparring.objectives.adversarial import LOSSES
from sparring.testing.conformance import make_engine, make_game
from sparring.tools.plan import players_optim

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "sparring"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^(?P<mark>(?:<!--[^\n]*-->\n)?)```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.M | re.S)
TABLE = re.compile(r"(<!-- table: (?P<what>[\w. -]+) -->\n)(?P<rows>.*?)(<!-- end -->)", re.S)
FREE = re.compile(r"`--(data|train|eval)\.([a-z-]+)`")
LINK = re.compile(r"\]\((?P<target>[^()\s]+)\)")
FAMILIES = sorted(name for name, family in registry.families().items() if family.kind != "plug-in")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def pages_with(pattern: str) -> list[Path]:
    return [page for page in PAGES if re.search(pattern, page.read_text(encoding="utf-8"), re.M)]


# ---------------------------------------------------------------------- tables of settings


def rows_of(group: str, cls: Any) -> list[str]:
    """One line per setting, as the tables show them."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, default, meaning in describe(cls):
        said = f"`{default}`" if default else "none"
        text = meaning.replace("|", "\\|")
        rows.append(f"| `--{group}.{name.replace('_', '-')}` | {said} | {text} |")
    return rows


def rows_of_optimisers(family: type[Game]) -> list[str]:
    """One line per player: what its optimiser is when nobody says otherwise."""
    rows = ["| player | optimiser |", "|---|---|"]
    for name, optim in make_game(family).optimisers().items():
        said = {key: value for key, value in plain(optim).items() if key != "name" and value not in (0.0, "constant")}
        facts = ", ".join(f"{key} {','.join(map(str, v)) if isinstance(v, list) else v}" for key, v in said.items())
        rows.append(f"| `{name}` | {optim.name}: {facts} |")
    return rows


def rows_of_sizes(family: type[Game], shape: str) -> list[str]:
    """One line per player: how many parameters it has for pictures of ``3x64x64``."""
    ten = tuple("0123456789")  # for a family that must have classes
    spec = DataSpec("image", tuple(map(int, shape.split("x"))), ten, (1,) * 10, 10)
    with torch.device("meta"):
        players = family(spec, family.config_class()).players()
    counts = {name: sum(p.numel() for p in player.parameters()) for name, player in players.items()}
    return [f"| parameters for {shape} | |", "|---|---|", *(f"| `{name}` | {n:,} |" for name, n in counts.items())]


def table(what: str) -> str:
    """The table called ``data``, ``train``, ``optim``, ``game FAMILY``, ``optim FAMILY`` or ``size FAMILY 3x64x64``."""
    group, _, family = what.partition(" ")
    if group == "size":
        name, _, shape = family.partition(" ")
        return "\n".join(rows_of_sizes(registry.load_family(name), shape)) + "\n"
    if not family:
        return "\n".join(rows_of(group, {"data": Data, "train": Train, "optim": Optim, "eval": Eval}[group])) + "\n"
    cls = registry.load_family(family)
    rows = rows_of_optimisers(cls) if group == "optim" else rows_of(group, cls.config_class)
    return "\n".join(rows if len(rows) > 2 else ["None."]) + "\n"


def with_fresh_tables(text: str) -> str:
    return TABLE.sub(lambda m: f"{m[1]}\n{table(m['what'])}\n{m[4]}", text)


@pytest.mark.parametrize("page", pages_with(r"<!-- table: "), ids=name_of)
def test_tables_of_settings_are_those_of_the_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == with_fresh_tables(text), "a setting or default changed: run `python tests/test_docs.py`"


@pytest.mark.parametrize(
    ("page", "wanted"),
    [("settings", what) for what in ("data", "train", "optim", "eval")]
    + [(f"families/{name}", f"{group} {name}") for name in FAMILIES for group in ("game", "optim")],
)
def test_every_group_of_settings_has_its_table(page: str, wanted: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert f"<!-- table: {wanted} -->" in text, f"docs/{page}.md lacks the table '{wanted}'"


# ---------------------------------------------------------------------- commands


def commands_of(page: Path) -> list[str]:
    """Every ``sparring ...`` line of the shell blocks, and every inline ``sparring COMMAND ...``."""
    text = page.read_text(encoding="utf-8")
    found = []
    for block in FENCE.finditer(text):
        if block["info"].strip() in ("bash", "sh", "console"):
            for line in block["body"].replace("\\\n", " ").splitlines():
                start = re.match(r"(?:\$ )?(?:torchrun .*? --\s+)?(?=sparring )", line)
                if start:
                    found.append(line[start.end() :])
    found += re.findall(r"`(sparring [^`]*)`", FENCE.sub("", text))
    return found


COMMANDS = [(page, command) for page in PAGES for command in commands_of(page)]


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda value: value if isinstance(value, str) else "")
def test_commands_parse(page: Path, command: str) -> None:
    arguments = shlex.split(command, comments=True)[1:]
    flat: dict[str, str] = {}
    if len(arguments) == 1:  # a command is only named
        assert arguments[0] in cli.app, f"there is no `{command}`"
        return
    if arguments[0] in cli.TAKES_SETTINGS:
        arguments, flat = cli.split_settings(arguments)
    _, bound, _ = cli.app.parse_args(arguments, exit_on_error=False, print_error=False)
    check_settings(flat, str(bound.arguments.get("family") or "dcgan"))


def check_settings(flat: dict[str, Any], family: str) -> None:
    """Build every group that is said, as `sparring train` would."""
    said = unflatten(flat)
    build(Data, said.get("data", {}), "data")
    build(Train, said.get("train", {}), "train")
    build(Eval, said.get("eval", {}), "eval")
    if ":" not in family:
        cls = registry.load_family(family)
        build(cls.config_class, said.get("game", {}), "game")
        players_optim(make_game(cls).optimisers(), said.get("optim", {}))


@pytest.mark.parametrize("page", pages_with(r"^make "), ids=name_of)
def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", page.read_text(encoding="utf-8"), re.M):
        assert re.search(rf"^{target}:", makefile, re.M), f"{name_of(page)}: there is no `make {target}`"


@pytest.mark.parametrize("page", pages_with(r"^```toml"), ids=name_of)
def test_settings_files_can_be_read(page: Path, tmp_path: Path) -> None:
    for block in FENCE.finditer(page.read_text(encoding="utf-8")):
        if block["info"].startswith("toml"):
            path = tmp_path / "example.toml"
            path.write_text(block["body"], encoding="utf-8")
            said = read_file(path)
            if set(said) <= set(GROUPS):  # else it is another tool's file
                check_settings(flatten(said), "dcgan")


# ---------------------------------------------------------------------- links and names


def slugs(page: Path) -> set[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{name_of(page)}: {target} is not there"
        assert not anchor or anchor in slugs(found), f"{name_of(page)}: no heading '{anchor}' in {name_of(found)}"


def test_every_page_is_in_the_navigation() -> None:
    yaml = pytest.importorskip("yaml", reason="reading mkdocs.yml needs PyYAML")
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    def leaves(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for inner in entry.values() if isinstance(entry, dict) else entry:
                yield from leaves(inner)

    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert set(leaves(settings["nav"])) == pages


def test_names_in_the_architecture_page_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    walk = re.findall(r"`([\w/]+\.py)::([\w.]+)`", text)
    assert walk, "the walk names files and functions as `file.py::Name.function`"
    assert len({file for file, _ in walk}) <= 6, "one step walks through at most six files"
    for file, dotted in walk:
        found: Any = importlib.import_module(f"sparring.{file.removesuffix('.py').replace('/', '.')}")
        for part in dotted.split("."):
            assert hasattr(found, part), f"{file} has no {dotted}"
            found = getattr(found, part)
    for path in re.findall(r"`([\w/]+\.py)`", text):
        assert (SOURCE / path).is_file() or (ROOT / path).is_file(), f"architecture.md names {path}, which is not there"
    for room in re.findall(r"^\| `(\w+)/` \|", text, re.M):
        assert (SOURCE / room).is_dir(), f"architecture.md names the room {room}/, which is not there"
    rooms = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}
    assert rooms == set(re.findall(r"^\| `(\w+)/` \|", text, re.M)), "architecture.md lists every room"


def test_exit_codes_and_free_settings_are_documented() -> None:
    text = (ROOT / "docs" / "run-folder.md").read_text(encoding="utf-8")
    for code in (0, cli.MISTAKE, cli.STOPPED):
        assert f"| `{code}` |" in text, f"run-folder.md does not explain exit code {code}"
    listed = {f"{group}.{name}" for group, name in re.findall(FREE, _section(text, "resume"))}
    assert {name.replace("-", "_") for name in listed} == config.FREE_ON_RESUME


def _section(text: str, word: str) -> str:
    """The part under the first second-level heading that has ``word`` in it."""
    parts = re.split(r"^## ", text, flags=re.M)
    return next(part for part in parts[1:] if word in part.partition("\n")[0].lower())


# ---------------------------------------------------------------------- a page per family


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_its_page(name: str) -> None:
    cls = registry.load_family(name)
    text = (ROOT / "docs" / "families" / f"{name}.md").read_text(encoding="utf-8")
    doc = inspect.getmodule(cls).__doc__ or ""
    papers = re.findall(r"arXiv (\d{4}\.\d{4,5})", doc)
    for paper in papers:
        assert f"arxiv.org/abs/{paper}" in text, f"{name}.md does not link arXiv {paper}"
    command = re.search(r"Command: ``([^`]+)``", doc)
    assert command, f"{name} says no command"
    assert command[1] in text, f"{name}.md does not show `{command[1]}`"
    for setting in flatten(cls.defaults(cls.tiny()[0])):
        said = f"`--{setting.replace('_', '-')}`"
        assert said in text, f"{name}.md does not say what it takes for {said}"
    assert f"({name}.md)" in (ROOT / "docs" / "families" / "index.md").read_text(encoding="utf-8")


def test_every_loss_is_explained() -> None:
    text = (ROOT / "docs" / "families" / "index.md").read_text(encoding="utf-8")
    for name in LOSSES:
        assert f"| `{name}` |" in text, f"families/index.md does not explain the loss {name}"


@pytest.mark.parametrize("name", FAMILIES)
def test_every_logged_quantity_is_explained(name: str) -> None:
    engine = make_engine(registry.load_family(name))
    for _ in range(4):
        engine.step()
    text = (ROOT / "docs" / "families" / f"{name}.md").read_text(encoding="utf-8")
    for quantity in engine.tally.read():
        assert f"`{quantity}`" in text, f"{name}.md does not explain {quantity}"


if __name__ == "__main__":
    for written in pages_with(r"<!-- table: "):
        written.write_text(with_fresh_tables(written.read_text(encoding="utf-8")), encoding="utf-8")
