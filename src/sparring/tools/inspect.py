"""``sparring inspect``: the data doctor, and how its report looks in a terminal."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sparring.core.config import Data, plain
from sparring.core.recipe import Recipe
from sparring.data.doctor import Report, examine
from sparring.data.opening import DEFAULT
from sparring.data.parallel import Progress
from sparring.data.pixels import NAMES
from sparring.engine.precision import choose_device
from sparring.tools.plan import duration, make_plan
from sparring.tools.ways import images_per_second

LINES = 8  # of a long list that are shown


def inspect(source: str, settings: Data = DEFAULT, progress: Progress | None = None) -> Report:
    """Examine ``source``, and time a few steps of what would be trained on it.

    Raises `SparringError` where there is nothing to report on.
    """
    report = examine(source, settings, progress)
    if report.data is None:
        return report
    plan = make_plan(Recipe(source, settings={"data": plain(settings)}), dataset=report.data)
    speed = images_per_second(plan, choose_device(plan.train.device))
    passes = plan.train.nimg / len(report.data)
    return replace(
        report,
        would=(
            f"`sparring train {source}` would train {plan.family} for {plan.train.kimg:g} kimg ({passes:.0f} passes): "
            f"about {duration(plan.train.nimg / speed)} here, at {speed:,.0f} samples/s (measured just now)",
        ),
    )


def render(report: Report, console: Console) -> None:
    """Print ``report``. Names of files are shown as they are, never read as markup."""
    console.print(f"[bold]{escape(report.name)}[/bold]  {escape(report.source)}")
    console.print(_facts(report))
    _list(console, "cannot be read", [f"{name}: {why}" for name, why in report.corrupt], "red")
    _list(console, "copies", [" = ".join(_some(group, 4)) for group in report.duplicates], "yellow")
    _list(console, "nearly one plain colour", report.constant, "yellow")
    for note in report.notes:
        console.print(f"  note: {escape(note)}")
    for warning in report.warnings:
        console.print(f"[yellow]  warning: {escape(warning)}[/yellow]")
    if report.refused:
        console.print(f"[red]  training is refused: {escape(report.refused)}[/red]")
    for line in report.would:
        console.print(escape(line))


def _facts(report: Report) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()

    def row(title: str, text: str) -> None:
        if text:
            table.add_row(title, escape(text))

    others = f", {report.others:,} other files" if report.others else ""
    row("samples", f"{report.usable:,} of {report.count:,} can be read{others}")
    if report.sizes:
        sizes = _counts((f"{height}x{width}", count) for (height, width), count in report.sizes)
        row("sizes", f"{sizes} (height x width)")
    row("modes", _counts(report.modes))
    row("need", _counts((NAMES[channels], count) for channels, count in report.channels))
    for line in report.pairs:
        row("pairs", line)
    row("classes", f"{len(report.classes):,}: {_counts(report.classes)}" if report.classes else "none")
    if report.shape:
        shape = " x ".join(map(str, report.shape))
        row("trained on", f"{shape}, {'kept in memory' if report.in_memory else 'streamed'}")
    for why in report.why:
        row("why", why)
    for name, label in report.columns:
        row(f"  {name}", label)
    row("fingerprint", report.fingerprint[:16])
    return table


def _counts(pairs: Iterable[tuple[str, int]]) -> str:
    return ", ".join(_some([f"{name} ({count:,})" for name, count in pairs], LINES))


def _some(items: Sequence[str], most: int) -> list[str]:
    if len(items) <= most:
        return list(items)
    return [*items[:most], f"and {len(items) - most:,} more"]


def _list(console: Console, title: str, items: Sequence[str], style: str) -> None:
    if items:
        console.print(f"[{style}]  {title} ({len(items):,})[/{style}]")
        for item in _some(items, LINES):
            console.print(f"    {escape(item)}", highlight=False)
