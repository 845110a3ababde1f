"""The run as a person sees it in a terminal: a live table, or a few plain lines where there is none."""

import time
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sparring.core.observer import Tick, Watcher
from sparring.core.readings import PREFIX
from sparring.watch.findings import stands
from sparring.watch.words import by_turn, duration, kimg, memory, number, printable

EVENTS_SHOWN = 6
STYLES = {"good": "green", "warn": "yellow", "critical": "bold red"}
# Of the referee's readings, which are many, those that say most of samples; the report has all.
TELLING = ("probe/diversity", "probe/coverage", "probe/distance", "probe/auc")
COLUMNS = {"loss": "loss", "real_logits": "D on reals", "fake_logits": "D on fakes", "gradient_norm": "gradient"}


class Terminal(Watcher):
    """Shows a run.

    Args:
        console: where to write; standard output by default.
        title: the header line, e.g. ``dcgan on digits · runs/digits``.
    """

    def __init__(self, console: Console | None = None, title: str = "sparring"):
        self.console = console or Console()
        self.title = printable(title)
        self.live: Live | None = None
        self.begun = time.monotonic()
        self.nimg = self.total = self.tenth = 0
        # Read by the thread that refreshes the screen: replaced as a whole, never changed in place.
        self.last: Tick | None = None
        self.events: tuple[Text, ...] = ()
        self.readings: dict[str, float | None] = {}  # the newest of each: not every tick has a look
        self.findings: dict[str, dict[str, Any]] = {}

    @property
    def lively(self) -> bool:
        """Whether the screen can be redrawn."""
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def start(self, nimg: int, total_nimg: int) -> None:
        self.nimg, self.total = nimg, total_nimg
        self.tenth = _tenth(nimg, total_nimg)
        if self.live is not None:  # the run was set back; the screen is already ours
            return
        self.begun = time.monotonic()
        if self.lively:
            self.live = Live(get_renderable=self._draw, console=self.console, refresh_per_second=2)
            self.live.start()
        else:
            self._print(f"{self.title}: {kimg(nimg)} of {kimg(total_nimg)} kimg")

    def tick(self, tick: Tick) -> None:
        self.last, self.nimg, self.total = tick, tick.nimg, tick.total_nimg
        read = {k: v for k, v in by_turn(tick.terms)[1].items() if k in TELLING or not k.startswith(PREFIX)}
        self.readings = {**self.readings, **read}
        if self.live is not None:
            self.live.refresh()
        elif (tenth := _tenth(tick.nimg, tick.total_nimg)) > self.tenth:
            self.tenth = tenth
            self._print(_plain_line(tick))

    def event(self, kind: str, message: str, **details: Any) -> None:
        if kind == "finding":
            others = {name: old for name, old in self.findings.items() if name != details.get("name")}
            self.findings = {**others, str(details.get("name")): details} if stands(details) else others
        line = Text(printable(f"{kind}: {message}"), STYLES.get(str(details.get("severity")), ""))
        if self.live is None:
            self._print(line)
        else:
            self.events = (*self.events, line)[-EVENTS_SHOWN:]
            self.live.refresh()

    def picture(self, path: Path, nimg: int) -> None:
        pass

    def finish(self) -> None:
        """Leave the last picture of the run on the screen and give the cursor back."""
        if self.live is not None:
            live, self.live = self.live, None
            live.stop()

    def _print(self, line: str | Text) -> None:
        self.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)

    # ------------------------------------------------------------------ the live screen

    def _draw(self) -> RenderableType:
        width, tick = self.console.width, self.last
        parts: list[RenderableType] = [Text(self.title, "bold"), self._progress(width)]
        if tick is not None:
            turns, _ = by_turn(tick.terms)
            if turns:
                parts.append(_table(turns, width))
            if readings := self.readings:
                parts.append(Text("  ".join(f"{name} {number(value)}" for name, value in readings.items())))
        parts.extend(_finding(finding) for finding in self.findings.values())
        parts.extend(self.events)
        return Group(*parts)

    def _progress(self, width: int) -> RenderableType:
        share = min(self.nimg / self.total, 1.0) if self.total else 0.0
        count = f"{share:4.0%}  {kimg(self.nimg)} / {kimg(self.total)} kimg"
        facts = [f"{duration(time.monotonic() - self.begun)} so far"]
        if self.last is not None:
            facts = [
                f"{self.last.images_per_second:,.0f} samples/s",
                f"{duration(max(0.0, self.last.eta_seconds))} left",
                memory(self.last.memory_mb),
                *facts,
            ]
        bar = ProgressBar(total=1.0, completed=share, width=max(1, min(40, width - len(count) - 3)))
        line = Table.grid(padding=(0, 1))
        line.add_row(bar, Text(count))
        return Group(line, Text(" · ".join(facts), "dim"))


def _finding(finding: dict[str, Any]) -> Text:
    """One line for what the referee stands by."""
    severity, since = str(finding.get("severity")), kimg(float(finding.get("since", 0)))
    line = Text(f"{severity}  ", STYLES.get(severity, ""), overflow="ellipsis", no_wrap=True)
    return line.append(printable(f"{finding.get('title')} since {since} kimg: {finding.get('evidence')}"), "default")


def _table(turns: dict[str, dict[str, float | None]], width: int) -> Table:
    """A row per turn; a narrow terminal gets fewer columns."""
    told = {name for terms in turns.values() for name in terms}
    shown = [name for name in COLUMNS if name in told][: None if width >= 72 else 3 if width >= 50 else 1]
    more = width >= 96 and told - set(COLUMNS)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("turn", no_wrap=True)
    for name in shown:
        table.add_column(COLUMNS[name], justify="right", no_wrap=True)
    if more:
        table.add_column("also")
    for turn, terms in turns.items():
        cells = [number(terms[name]) if name in terms else "" for name in shown]
        also = "  ".join(f"{name} {number(value)}" for name, value in terms.items() if name not in COLUMNS)
        table.add_row(*(Text(printable(cell)) for cell in (turn, *cells, *([also] if more else []))))
    return table


# ---------------------------------------------------------------------- plain lines


def _tenth(nimg: int, total_nimg: int) -> int:
    return min(10, 10 * nimg // max(1, total_nimg))


def _plain_line(tick: Tick) -> str:
    turns, _ = by_turn(tick.terms)
    losses = [f"{turn} {number(terms['loss'])}" for turn, terms in turns.items() if "loss" in terms]
    share = min(1.0, tick.nimg / max(1, tick.total_nimg))
    parts = [
        f"{share:4.0%}",
        f"{kimg(tick.nimg)} of {kimg(tick.total_nimg)} kimg",
        f"{tick.images_per_second:,.0f} samples/s",
        f"{duration(max(0.0, tick.eta_seconds))} left",
        *(["losses " + ", ".join(losses)] if losses else []),
    ]
    return printable("  ".join(parts))
