"""Which curves a run's log makes, and what each of them tells."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sparring.core.readings import PREFIX, READINGS
from sparring.watch.curves import Chart, Curve, Point
from sparring.watch.words import by_turn

Record = Mapping[str, Any]

LOSSES = (
    "What each player minimises. A GAN's losses need not fall: level curves mean a balance, "
    "and they say nothing about how good the samples are."
)
LOGITS = (
    "The discriminator's mean score of real data and of fakes. Far apart and parting: it wins, and the generator "
    "learns little from it. On top of each other: it cannot tell them apart."
)
GRADIENTS = (
    "Length of each player's gradient. Steady growth or tall spikes: unstable. "
    "Near zero: that player has stopped learning."
)
SPEED = "Real images shown per second. A lasting drop usually means slow reading of data, or a busy machine."
READING = "A probe's reading; it only watches and changes nothing."
OTHER = "An extra quantity that the turn reports; the family's documentation says what it means."
OF_THEIR_OWN = ("loss", "real_logits", "fake_logits", "gradient_norm")


def charts(records: Sequence[Record]) -> list[Chart]:
    """The charts of a log, in reading order. Lines without a position are passed over."""
    records = [record for record in records if _number(record.get("nimg")) is not None]
    turns, rest = _collect(records)
    colours = {turn: place for place, turn in enumerate(turns)}

    def chart_of(term: str, title: str, why: str, logarithmic: bool = False) -> list[Chart]:
        found = [Curve(turn, tuple(terms[term]), colours[turn]) for turn, terms in turns.items() if term in terms]
        return [Chart(title, why, tuple(found), logarithmic)] if found else []

    drawn = chart_of("loss", "Losses", LOSSES)
    drawn += _logits(turns)
    drawn += chart_of("gradient_norm", "Gradient norms", GRADIENTS, logarithmic=True)
    for name, points in rest.items():
        drawn.append(_reading(name, points))
    others = {term: None for terms in turns.values() for term in terms if term not in OF_THEIR_OWN}
    for term in others:
        drawn += chart_of(term, term.replace("_", " "), OTHER, logarithmic=True)
    speeds = tuple((_kimg(record), _number(record.get("images_per_second"))) for record in records)
    if speeds:
        drawn.append(Chart("Speed", SPEED, (Curve("samples per second", speeds, 2),), from_zero=True))
    return drawn


def of_reading(records: Sequence[Record], name: str) -> Chart | None:
    """The chart of one reading, such as ``diversity``, or of a turn's term, such as ``G.generator/loss``."""
    turns, rest = _collect([record for record in records if _number(record.get("nimg")) is not None])
    turn, _, term = name.rpartition("/")
    if term in turns.get(turn, {}):
        return Chart(name, OTHER, (Curve(name, tuple(turns[turn][term])),), logarithmic=True)
    return _reading(PREFIX + name, rest[PREFIX + name]) if PREFIX + name in rest else None


def _reading(name: str, points: Sequence[Point]) -> Chart:
    """Readings of a few looks among many ticks are joined across the ticks without them."""
    reading = name.removeprefix(PREFIX)
    return Chart(reading.replace("_", " "), READINGS.get(reading, READING), (Curve(reading, tuple(points)),))


def _logits(turns: Mapping[str, Mapping[str, list[Point]]]) -> list[Chart]:
    """A chart per turn that scores reals; turns that only score fakes are shown where none does."""
    scoring = [turn for turn, terms in turns.items() if "real_logits" in terms]
    scoring = scoring or [turn for turn, terms in turns.items() if "fake_logits" in terms]
    made = []
    for turn in scoring:
        names = (("real_logits", "on reals"), ("fake_logits", "on fakes"))
        found = [Curve(said, tuple(turns[turn][n]), c) for c, (n, said) in enumerate(names) if n in turns[turn]]
        made.append(Chart("Scores" if len(scoring) == 1 else f"Scores in {turn}", LOGITS, tuple(found)))
    return made


def _collect(records: Sequence[Record]) -> tuple[dict[str, dict[str, list[Point]]], dict[str, list[Point]]]:
    """Points by turn and term, and those of everything that is no turn's."""
    turns: dict[str, dict[str, list[Point]]] = {}
    rest: dict[str, list[Point]] = {}
    for record in records:
        terms = record.get("terms")
        of_turns, others = by_turn(terms if isinstance(terms, Mapping) else {})
        for turn, named in of_turns.items():
            for term, value in named.items():
                turns.setdefault(turn, {}).setdefault(term, []).append((_kimg(record), _number(value)))
        for name, value in others.items():
            rest.setdefault(name, []).append((_kimg(record), _number(value)))
    return turns, rest


def _kimg(record: Record) -> float:
    return float(record["nimg"]) / 1000


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None
