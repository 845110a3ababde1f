"""What the referee stands by, from the events of kind ``finding``, for the report and the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from sparring.watch.charts import of_reading
from sparring.watch.curves import draw
from sparring.watch.words import kimg, number

Record = Mapping[str, Any]

RANK = {"critical": 0, "warn": 1, "good": 2}
SET_BACK = ("rolled back", "resumed")


def stands(event: Record) -> bool:
    """Whether a finding goes on: what is over is ``good``, and has no remedy any more."""
    return event.get("severity") in ("warn", "critical") or bool(event.get("remedy"))


def standing(events: Iterable[Record]) -> list[Record]:
    """The newest event of each finding that stands, the worst first. A future that was lost is forgotten."""
    found: dict[str, Record] = {}
    for event in events:
        if event.get("kind") in SET_BACK:
            found = {name: old for name, old in found.items() if _number(old, "nimg") <= _number(event, "nimg")}
        elif event.get("kind") == "finding" and stands(event):
            found[str(event.get("name"))] = event
        elif event.get("kind") == "finding":
            found.pop(str(event.get("name")), None)
    return sorted(found.values(), key=lambda event: RANK.get(str(event.get("severity")), 1))


def failing(findings: Sequence[Record]) -> list[Record]:
    """Those that are no good news."""
    return [finding for finding in findings if finding.get("severity") != "good"]


def sentence(findings: Sequence[Record]) -> str:
    """One sentence on findings of which at least one is failing."""
    worst, *more = failing(findings)
    state = "Failing" if worst.get("severity") == "critical" else "Take care"
    title, since = str(worst.get("title", worst.get("name"))).lower(), kimg(_number(worst, "since"))
    return f"{state}: {title} since {since} kimg{f', and {len(more)} more' if more else ''}."


def section(findings: Sequence[Record], records: Sequence[Record]) -> str:
    """The referee's part of the report: each finding with its evidence, its remedy and the curve of its reading."""
    cards = "".join(_card(finding, records) for finding in findings)
    return f'<h2>Referee</h2><div class="findings">{cards}</div>' if cards else ""


def _card(finding: Record, records: Sequence[Record]) -> str:
    severity = str(finding.get("severity"))
    severity = severity if severity in RANK else ""
    reading, value, threshold = (finding.get(key) for key in ("reading", "value", "threshold"))
    numbers = f"{escape(str(reading))} {_said(value)}, threshold {_said(threshold)}" if reading else ""
    facts = [
        f"since {kimg(_number(finding, 'since'))} kimg",
        f"{_number(finding, 'confidence'):.0%} of the latest looks agree",
        *([numbers] if numbers else []),
    ]
    against = finding.get("against")
    if isinstance(against, Sequence) and not isinstance(against, str) and against:
        facts.append("against it: " + escape(", ".join(map(str, against))))
    remedy = str(finding.get("remedy") or "")
    chart = of_reading(records, str(reading)) if reading else None
    return (
        f'<div class="finding"><div class="card {severity}"><h3><span class="tag {severity}">{severity}</span> '
        f"{escape(str(finding.get('title', finding.get('name'))))}</h3>"
        f"<p>{escape(_capital(str(finding.get('evidence', ''))))}</p>"
        f'<p class="soft">{" · ".join(facts)}</p>'
        f"{f'<p><b>Try</b> {escape(remedy)}</p>' if remedy else ''}</div>{draw(chart) if chart else ''}</div>"
    )


def _said(value: Any) -> str:
    return number(float(value)) if isinstance(value, int | float) else number(None)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _number(event: Record, key: str) -> float:
    value = event.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
