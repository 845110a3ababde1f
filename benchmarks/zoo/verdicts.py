"""What the referee says of a run's log, beside what is so."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparring.core.folder import RunFolder
from sparring.diagnostics.history import Context, History, ticks_of
from sparring.diagnostics.referee import RANK, Referee
from zoo.plan import HEALTHY, TUNING, Case
from zoo.run import note_of
from zoo.truth import Truth, healthy, so


@dataclass(frozen=True)
class Call:
    """The first time that a rule reached a severity: its name, ``warn`` or ``critical``, share of the run then over."""

    rule: str
    severity: str
    at: float


@dataclass(frozen=True)
class Verdict:
    """One run.

    Attributes:
        case, seed: which.
        truth: what is so.
        facts: kinds of failure that it shows, whatever was provoked.
        calls: what the referee said, in order.
        history: what it judged by.
        cpu_seconds: of training.
    """

    case: Case
    seed: int
    truth: Truth
    facts: frozenset[str]
    calls: tuple[Call, ...]
    history: History
    cpu_seconds: float

    @property
    def tuning(self) -> bool:
        """Whether thresholds were fixed on it."""
        return self.seed in TUNING

    @property
    def counts(self) -> bool:
        """Whether it is what it was meant to be, by the truth alone; else it is left out and listed."""
        if self.case.kind == HEALTHY:
            return healthy(self.truth, self.facts)
        return self.case.kind in self.facts

    @property
    def named(self) -> Call | None:
        """When the failure was first called by its name, or one that says the same."""
        return next((call for call in self.calls if call.rule in self.case.names), None)

    @property
    def delay(self) -> float:
        """From the beginning of the failure until it was named, as a share of the run; infinite if it never was."""
        return self.named.at - self.case.onset if self.named else float("inf")

    def worst(self, rule: str) -> str:
        """The worst severity that a rule reached: ``good``, ``warn`` or ``critical``."""
        reached = [call.severity for call in self.calls if call.rule == rule]
        return max(reached, key=lambda level: RANK[level], default="good")  # type: ignore[index, arg-type, return-value]

    @property
    def raised(self) -> frozenset[str]:
        """Every rule that warned, or more, at any time."""
        return frozenset(call.rule for call in self.calls)


def calls_of(context: Context, records: Iterable[Mapping[str, Any]]) -> tuple[tuple[Call, ...], History]:
    """Replay a log."""
    referee, calls = Referee(context), []
    for nimg, terms in ticks_of(records):
        for finding in referee.see(nimg, terms):
            if finding.severity != "good":
                calls.append(Call(finding.name, finding.severity, nimg / context.total_nimg))
    if referee.broken:
        raise RuntimeError("; ".join(referee.broken))
    return tuple(calls), referee.history


def read(runs: Path, wanted: Sequence[tuple[Case, int]]) -> list[Verdict]:
    """Of every run that is there."""
    found = []
    for case, seed in wanted:
        if note_of(runs, case, seed).is_file():
            note = json.loads(note_of(runs, case, seed).read_text(encoding="utf-8"))
            calls, history = calls_of(Context(**note["context"]), RunFolder(runs / f"{case.name}-{seed}").read_log())
            truth = Truth(**note["truth"])
            found.append(Verdict(case, seed, truth, so(truth), calls, history, note["cpu_seconds"]))
    return found
