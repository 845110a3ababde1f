"""Samples of a class do not look like it."""

from sparring.diagnostics.finding import Rule, Sign
from sparring.diagnostics.history import History
from sparring.diagnostics.looking import percent, settled

# Of how often reals hit. Proposals.
WARN = 0.5
LOST = 0.6  # of the best so far
KNOWN = 0.5  # the best so far says that the classes had been learnt


class ClassConfusion(Rule):
    """Samples look like their class half as often as reals do, or far less often than they did."""

    name = "class_confusion"
    title = "Classes confused"
    remedy = (
        "Train longer if it still rises; else show classes evenly with --data.balance, see that labels are right with "
        "`sparring inspect`, or take a family that heeds the class more (projection, acgan, biggan)."
    )

    def look(self, history: History) -> Sign | None:
        hit = history.newest("class_hit")
        if hit is None or not settled(history):
            return None
        best = max(history.reading("class_hit").values)
        evidence = f"{percent(hit)} as many samples as reals look like their class; the most was {percent(best)}"
        if best >= KNOWN and hit < LOST * best:
            return Sign("critical", "class_hit", hit, LOST * best, evidence)
        return Sign("warn" if hit < WARN else "good", "class_hit", hit, WARN, evidence)
