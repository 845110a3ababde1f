"""The generator is told nothing: D errs so little that G's loss is flat."""

from statistics import median

from sparring.diagnostics.finding import Rule, Sign
from sparring.diagnostics.history import History

# A saturated game on the ring fell from 1e-7 at step 100 to 3e-12 at step 800; its non-saturating twin, with a D as
# strong, stayed near 10. So the gradient decides, and D's certainty only confirms.
ABSOLUTE = 1e-6
CRITICAL = 1e-4  # of what it was at first
WARN = 1e-2
CERTAIN = 0.99  # probability that D scores a real above a fake
NEARLY_CERTAIN = 0.98
FIRST = 5  # ticks that say what it was at first


class VanishingGradient(Rule):
    """The gradient that reaches a fake is gone while D tells reals from fakes for certain."""

    name = "vanishing_gradient"
    title = "Vanishing generator gradient"
    remedy = (
        "Change to --game.loss non_saturating or hinge, whose gradient lives while D wins, and raise --game.r1-gamma "
        "or lower --optim.D.lr."
    )

    def look(self, history: History) -> Sign | None:
        gradient, auc = history.newest("fake_gradient"), history.newest("auc")
        if gradient is None or auc is None:
            return None
        first = median(history.reading("fake_gradient").values[:FIRST])
        share = gradient / first if first > 0 else 1.0
        evidence = (
            f"the gradient that reaches a fake is {gradient:.2g}, {share:.2g} of what it was at first, and D scores a "
            f"real above a fake with probability {auc:.3f}"
        )
        if auc > CERTAIN and (gradient < ABSOLUTE or share < CRITICAL):
            limit = max(ABSOLUTE, CRITICAL * first)
            return Sign("critical", "fake_gradient", gradient, limit, evidence, sure=True)
        if auc > NEARLY_CERTAIN and share < WARN:
            return Sign("warn", "fake_gradient", gradient, WARN * first, evidence)
        return Sign("good", "fake_gradient", gradient, ABSOLUTE, evidence)
