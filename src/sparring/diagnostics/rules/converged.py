"""Nothing is gained any more, and what there is, is good."""

from sparring.diagnostics.finding import Rule, Sign
from sparring.diagnostics.history import History
from sparring.diagnostics.looking import FAR, best_distance, looks_without_gain, settled, stuck, worsened

LOOKS = 8  # without gain
SHARE = 0.2  # of the run, at the least
GOOD = FAR / 2
DIVERSITY = 0.75  # below it the closing verdict speaks of little variety
COVERAGE = 0.6
SPOILT = 2.0  # times the best distance: then it is no plateau


class Converged(Rule):
    """The distance has not improved for many looks while samples are good: time to stop."""

    name = "converged"
    title = "Converged"
    remedy = (
        "Stop here: more of the same is not likely to pay. With --eval.every the best model is kept in best/, and "
        "--eval.patience stops by itself."
    )
    hoped_for = True

    def look(self, history: History) -> Sign | None:
        best = best_distance(history)
        distance, diversity, coverage = (_latest(history, name) for name in ("distance", "diversity", "coverage"))
        if best is None or distance is None or diversity is None or not settled(history):
            return None
        good = distance < GOOD and DIVERSITY <= diversity < 2 - DIVERSITY and (coverage is None or coverage >= COVERAGE)
        if not good or not stuck(history, LOOKS, SHARE) or worsened(history, SPOILT):
            return None
        looks = looks_without_gain(history)
        evidence = (
            f"no gain in {looks} looks while samples are good; the best distance, {best[1]:.2g}, was at "
            f"{best[0] / 1000:g} kimg"
        )
        return Sign("good", "distance", distance, GOOD, evidence)


def _latest(history: History, name: str) -> float | None:
    """The newest of this reading, whenever that was."""
    values = history.reading(name).values
    return values[-1] if values else None
