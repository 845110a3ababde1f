"""``sparring diagnose``: what the referee makes of a run, from its folder alone, with what it goes by."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparring.core.config import build
from sparring.core.errors import SparringError
from sparring.core.folder import RunFolder, read_lines
from sparring.core.readings import READINGS
from sparring.core.registry import load_family
from sparring.diagnostics.finding import Finding, Level
from sparring.diagnostics.history import Context, History
from sparring.diagnostics.looking import NEAR
from sparring.diagnostics.losses import losses_in_words
from sparring.diagnostics.referee import Referee
from sparring.diagnostics.rules.non_finite import NonFinite
from sparring.watch.pictures import grids
from sparring.watch.words import kimg, number

if TYPE_CHECKING:
    from rich.console import Console

    from sparring.tools.run import Run

# Without any of these nothing is known of the samples, and losses are no verdict.
OF_SAMPLES = ("diversity", "coverage", "distance")
CLOSING = "closing_verdict"


@dataclass(frozen=True)
class Reading:
    """The newest value of a reading: when it was read, and what it tells."""

    name: str
    value: float
    nimg: int
    meaning: str


@dataclass(frozen=True)
class Diagnosis:
    """What is to be said of a run.

    Attributes:
        run: its folder.
        severity: of the worst finding; ``good`` where there is none.
        healthy: whether samples were looked at, long enough, and no rule found anything.
        headline: the verdict in a sentence.
        findings: what stands, the worst first; good news last.
        readings: the newest of each that the log has.
        missing: names of readings that the log has not.
        losses: sentences on the losses.
        pictures: where to look: the newest grid and the report, as far as they exist.
        broken: rules that could not be used, with the reason.
        nimg, total_nimg: images shown, and at the run's end.
    """

    run: str
    severity: Level
    healthy: bool
    headline: str
    findings: tuple[Finding, ...]
    readings: tuple[Reading, ...]
    missing: tuple[str, ...]
    losses: tuple[str, ...]
    pictures: tuple[str, ...]
    broken: tuple[str, ...]
    nimg: int
    total_nimg: int

    def plain(self) -> dict[str, Any]:
        """The JSON form; a number that is not finite is None."""
        return _plain(asdict(self))


def diagnose(run: "Run | str | Path") -> Diagnosis:
    """Replay the run's log before the referee. Raises `SparringError` where ``run`` is no run folder."""
    folder = run.folder if not isinstance(run, str | Path) else RunFolder(run)
    context = context_of(folder.read_recipe())
    referee = Referee.of_log(context, folder.read_log())
    history, findings = referee.history, referee.findings
    events = [event for event in read_lines(folder.events) if isinstance(event, dict)]
    if (lost := _lost(events, history)) is not None:
        findings = (lost, *(finding for finding in findings if finding.name != lost.name))
    elif (closing := _closing(events, history)) is not None and not any(f.severity != "good" for f in findings):
        findings = (closing, *findings)
    failing = [finding for finding in findings if finding.severity != "good"]
    readings = _readings(history)
    named = {reading.name for reading in readings}
    seen = any(name in named for name in OF_SAMPLES)
    return Diagnosis(
        run=str(folder.root),
        severity=failing[0].severity if failing else "good",
        healthy=seen and not failing and _judged(referee),
        headline=headline(findings, history, seen, _judged(referee)),
        findings=findings,
        readings=readings,
        missing=tuple(name for name in READINGS if name not in named),
        losses=losses_in_words(history),
        pictures=_pictures(folder),
        broken=tuple(referee.broken),
        nimg=history.nimg,
        total_nimg=context.total_nimg,
    )


def context_of(recipe: Mapping[str, Any]) -> Context:
    """What rules must know, from ``recipe.json``. A family outside the registry is not imported for it.

    Raises `SparringError` where the recipe lacks what every recipe has.
    """
    try:
        family, game, train, spec = str(recipe["family"]), recipe["game"], recipe["train"], recipe["spec"]
        known = None if ":" in family else load_family(family)
        return Context(
            total_nimg=round(1000 * float(train["kimg"])),
            batch=int(train["batch"]),
            loss=str(game.get("loss") or (known.plays if known else "")),
            count=int(spec["count"]),
            conditional=known is not None and known.conditional(build(known.config_class, game, "game")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SparringError(
            f"recipe.json lacks or garbles {error}; the run was started by another version, or the file was edited"
        ) from None


def headline(findings: tuple[Finding, ...], history: History, seen: bool, judged: bool) -> str:
    """The verdict in a sentence."""
    failing = [finding for finding in findings if finding.severity != "good"]
    if failing:
        worst, more = failing[0], len(failing) - 1
        if worst.name == CLOSING:
            return f"{worst.evidence}."
        beside = f", and {more} more {'findings' if more > 1 else 'finding'}" if more else ""
        state = "Failing" if worst.severity == "critical" else "Take care"
        return f"{state}: {worst.title.lower()} since {kimg(worst.since)} kimg{beside}."
    if not history.ticks:
        return "Nothing to judge: the log is empty."
    if not seen:
        return (
            "No verdict: the log has no readings of samples, and losses alone do not tell a good run from a dead one."
        )
    if not judged:
        return "Too early to say: samples were not looked at long enough."
    done = next((finding for finding in findings if finding.name == "converged"), None)
    if done:
        return f"Healthy, and done: {done.evidence}."
    distances = history.reading("distance").values
    if distances and distances[-1] > NEAR:
        return f"Nothing wrong so far; samples are still some way from the data (distance {number(distances[-1])})."
    return "Healthy: no rule finds anything wrong."


def _judged(referee: Referee) -> bool:
    """Whether a rule that looks at samples has had its say."""
    return any(referee.standings[name].signs for name in ("collapse", "dropped_modes") if name in referee.standings)


def _lost(events: Sequence[Mapping[str, Any]], history: History) -> Finding | None:
    """A run that ended in numbers that are not finite: its last tick was before them, so that only the event tells."""
    stops = [event for event in events if event.get("kind") in ("not finite", "rolled back", "resumed")]
    last = stops[-1] if stops else {}
    nimg = last.get("nimg")
    if last.get("kind") != "not finite" or not isinstance(nimg, int) or nimg < history.nimg:
        return None
    message = str(last.get("message", "")).partition("; guard")[0]
    return _told(NonFinite.name, NonFinite.title, "critical", f"it ended there: {message}", nimg, NonFinite.remedy)


def _closing(events: Sequence[Mapping[str, Any]], history: History) -> Finding | None:
    """What the closing verdict saw in 1,000 samples and no rule did, such as a class that is nearly missing."""
    verdicts = [event for event in events if event.get("kind") == "verdict"]
    last = verdicts[-1] if verdicts else {}
    nimg, severity = last.get("nimg"), last.get("severity")
    if severity in (None, "good") or not isinstance(nimg, int) or nimg < history.nimg:
        return None
    message = str(last.get("message", "")).removesuffix(".")
    level: Level = "warn" if severity == "warn" else "critical"
    return _told(CLOSING, "Closing verdict", level, message, nimg, "")


def _told(name: str, title: str, severity: Level, evidence: str, nimg: int, remedy: str) -> Finding:
    """A finding that an event tells, without a reading."""
    return Finding(name, title, severity, "", math.nan, math.nan, evidence, nimg, nimg, 1.0, remedy)


def _readings(history: History) -> tuple[Reading, ...]:
    found = {name: history.reading(name) for name in READINGS}
    return tuple(
        Reading(name, series.values[-1], series.nimg[-1], READINGS[name])
        for name, series in found.items()
        if len(series)
    )


def _pictures(folder: RunFolder) -> tuple[str, ...]:
    drawn = grids(folder)
    return tuple(str(path) for path in (*(path for _, path in drawn[-1:]), folder.report) if path.is_file())


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ---------------------------------------------------------------------- for people

STYLES = {"good": "green", "warn": "yellow", "critical": "bold red"}


def render(diagnosis: Diagnosis, console: "Console") -> None:
    """Print it: the verdict first, then what it goes by."""
    from rich.table import Table
    from rich.text import Text

    from sparring.watch.words import number, printable

    def say(text: str, style: str = "", indent: int = 0) -> None:
        console.print(Text(" " * indent + printable(text), style), soft_wrap=True)

    say(diagnosis.headline, STYLES[diagnosis.severity] if diagnosis.findings or diagnosis.healthy else "bold")
    say(f"{diagnosis.run}, {kimg(diagnosis.nimg)} of {kimg(diagnosis.total_nimg)} kimg", "dim")
    for finding in diagnosis.findings:
        say("")
        say(f"{finding.severity}  {finding.title}", STYLES[finding.severity])
        at = f"since {kimg(finding.since)} kimg, {finding.confidence:.0%} of the latest looks agree"
        say(f"{finding.evidence[:1].upper()}{finding.evidence[1:]}.", indent=2)
        say(at + (f"; against it: {', '.join(finding.against)}" if finding.against else ""), "dim", indent=2)
        if finding.remedy:
            say(f"Try: {finding.remedy}", indent=2)
    if diagnosis.readings:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        for reading in diagnosis.readings:
            table.add_row(reading.name, number(reading.value), Text(reading.meaning, "dim"))
        say("")
        say("Readings", "bold")
        console.print(table)
    if diagnosis.missing:
        say(f"Not in the log: {', '.join(diagnosis.missing)}", "dim")
    if diagnosis.losses:
        say("")
        say("Losses", "bold")
        for sentence in diagnosis.losses:
            say(sentence, indent=2)
    if diagnosis.pictures:
        say("")
        say(f"Look at   {'  '.join(diagnosis.pictures)}")
    for line in diagnosis.broken:
        say(line, "yellow")
