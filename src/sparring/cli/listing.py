"""``sparring families``, ``sparring recipes`` and ``sparring settings``."""

from typing import Any

from rich.table import Table

from sparring.cli.shell import app, console, escape
from sparring.core.config import Data, Eval, Optim, Train, describe


@app.command
def families() -> int:
    """List the families, one line each."""
    from sparring.core.registry import families as find

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, family in sorted(find().items(), key=lambda item: (item[1].kind, item[0])):
        summary = f"[red]{escape(family.broken)}[/]" if family.broken else escape(family.summary)
        table.add_row(name, f"[dim]{family.kind}[/]", summary)
    console.print(table)
    return 0


@app.command
def recipes() -> int:
    """List the recipes: command, hardware, time, what to expect."""
    from sparring.recipes import recipes as find

    for name, function in sorted(find().items()):
        console.print(f"[bold]{name}[/]  {escape(' '.join((function.__doc__ or '').split()))}\n")
    return 0


@app.command
def settings(family: str = "") -> int:
    """List every setting with its default, and a family's own.

    Parameters
    ----------
    family
        A family's name.
    """
    groups: list[tuple[str, Any]] = [("data", Data), ("train", Train), ("optim", Optim), ("eval", Eval)]
    if family:
        from sparring.core.registry import load_family

        groups.insert(0, ("game", load_family(family).config_class))
    for group, cls in groups:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for name, default, help_line in describe(cls):
            table.add_row(f"--{group}.{name.replace('_', '-')}", f"[cyan]{escape(default)}[/]", escape(help_line))
        console.print(table)
    console.print("[dim]--optim.lr sets every player, --optim.D.lr one. Name a family to see its --game settings.[/]")
    return 0
