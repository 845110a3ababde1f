"""What the losses of a run say, and what they cannot say, in words and for the objective that was played.

A dead run and a perfect run can show the same losses. On the ring, three runs that reached none of 8 modes ended at a D
loss of 1.39 and a G loss of 0.69 to 0.75, the textbook's equilibrium.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sparring.diagnostics.history import History

NEAR = 0.05  # of the value at a tie, or of the range between a tie and certainty
CERTAIN = 0.1  # of the value at a tie: D hardly errs
TREND = 0.1  # change between the first and the last third that counts as one
LATEST = 5  # ticks whose mean is "now"

CAVEAT = "Losses say nothing of how good samples are: a dead run can show the same ones."


@dataclass(frozen=True)
class Meaning:
    """What one objective's losses are where nobody knows better.

    Attributes:
        tie: D's loss when it says the same of everything and is undecided.
        generator: G's loss then; None where it is any number.
        words: what kind of number D's loss is.
    """

    tie: float
    generator: float | None
    words: str


LN2 = math.log(2)
MEANINGS = {
    "non_saturating": Meaning(2 * LN2, LN2, "a cross-entropy over reals and fakes"),
    "minimax": Meaning(2 * LN2, -LN2, "a cross-entropy over reals and fakes"),
    "least_squares": Meaning(0.25, 0.125, "half a squared error against 1 for reals and 0 for fakes"),
    "hinge": Meaning(2.0, None, "how far scores stay short of their margins, 1 for reals and -1 for fakes"),
    "relativistic_pairing": Meaning(LN2, LN2, "a cross-entropy over pairs of a real and a fake"),
    "relativistic_average": Meaning(LN2, LN2, "a cross-entropy of each against the mean of the others"),
}


def losses_in_words(history: History) -> tuple[str, ...]:
    """Sentences on the losses at the newest tick; the last says what losses cannot say. Empty without any."""
    judges, generators = _losses(history, "D"), _losses(history, "G")
    said = []
    for turn, values in judges.items():
        said += [f"{turn}: {sentence}" for sentence in words_for_judge(history.context.loss, values, _slope(history))]
    for turn, values in generators.items():
        said += [f"{turn}: {sentence}" for sentence in words_for_generator(history.context.loss, values)]
    return (*said, CAVEAT) if said else ()


def words_for_judge(loss: str, values: Sequence[float], slope: float | None = None) -> list[str]:
    """What D's loss ``values``, oldest first, say under the objective ``loss``; ``slope`` is a critic's mean slope."""
    if loss == "wasserstein":
        return _of_critic(values, slope)
    meaning = MEANINGS.get(loss)
    now = _now(values)
    if meaning is None:
        return [f"{now:.3g}; this family's own objective, whose documentation says what it is"]
    share = now / meaning.tie
    if abs(share - 1) <= NEAR:
        state = "D cannot tell reals from fakes, because they are alike or because it is too weak"
    elif share > 1:
        state = "worse than saying nothing: D lags behind G, or its loss holds a penalty too"
    elif share < CERTAIN:
        state = "D hardly errs; that is a fault only if the gradient at the fakes is gone"
    else:
        state = "D tells reals from fakes in part, as it should while there is something to learn"
    return [f"{now:.3g} of {loss}, {meaning.words}; {meaning.tie:.3g} is a tie. {state}"]


def words_for_generator(loss: str, values: Sequence[float]) -> list[str]:
    """What G's loss ``values``, oldest first, say under the objective ``loss``."""
    now, meaning = _now(values), MEANINGS.get(loss)
    if loss in ("hinge", "wasserstein"):
        return [f"{now:.3g}, minus D's mean score of fakes, a number without zero or scale: its height means nothing"]
    if meaning is None or meaning.generator is None:
        return [f"{now:.3g}"]
    apart = now - meaning.generator
    if abs(apart) <= 2 * NEAR * abs(meaning.generator):
        state = "a tie"
    elif loss == "minimax":
        state = "D is winning, and towards 0 the gradient dies" if apart > 0 else "G deceives D more often than not"
    else:
        state = "D is winning" if apart > 0 else "G deceives D more often than not"
    return [f"{now:.3g}, where {meaning.generator:.3g} is a tie: {state}"]


def _of_critic(values: Sequence[float], slope: float | None) -> list[str]:
    """A critic's loss is minus its estimate of a distance, if its slope is bounded."""
    now = -_now(values)
    third = max(1, len(values) // 3)
    first, last = (-sum(part) / third for part in (values[:third], values[-third:]))
    said = f"minus {now:.3g}, which this critic takes for the distance between samples and data"
    if now < 0:
        said += "; a distance below nought is none: the critic lags behind, or its loss holds a penalty too"
    elif len(values) >= 3 and last < (1 - TREND) * first:
        said += f"; it fell from {first:.3g} to {last:.3g}, which is good"
    elif len(values) >= 3 and last > (1 + TREND) * first:
        said += f"; it rose from {first:.3g} to {last:.3g}: the critic has learnt faster than G, or G gets worse"
    else:
        said += "; it stays about the same"
    found = [said]
    if slope is None:
        found.append("it is a distance only as long as the critic's slope is bounded")
    elif not 0.5 <= slope <= 2:
        found.append(
            f"the critic's mean slope is {slope:.3g}, not about 1: its number is no distance, its trend nothing"
        )
    else:
        found.append(f"the critic's mean slope is {slope:.3g}, about 1, so that its trend means something")
    return found


def _losses(history: History, player: str) -> dict[str, tuple[float, ...]]:
    """Losses of the turns in which D or G plays the other: those that logged scores."""
    scoring = history.turns("fake_logits")
    return {
        turn: series.values
        for turn, series in history.turns("loss").items()
        if turn in scoring and turn.partition(".")[0].startswith(player) and len(series)
    }


def _slope(history: History) -> float | None:
    values = history.reading("slope").values
    return values[-1] if values else None


def _now(values: Sequence[float]) -> float:
    latest = values[-LATEST:]
    return sum(latest) / len(latest)
