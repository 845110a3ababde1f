"""All latents give the same few samples."""

from sparring.diagnostics.finding import Rule, Sign
from sparring.diagnostics.history import History
from sparring.diagnostics.looking import percent, settled, trend

# On the ring of 8 Gaussians collapsed generators had a diversity of 0.009 to 0.13, healthy ones 0.94 and more after
# 1,000 steps, and those with half of the modes 0.71.
WARN = 0.5
CRITICAL = 0.2
DUPLICATES = 0.5  # reals have next to none, by the reading's definition
# From a tenth of the run to the next: slow healthy runs of digits gained a third, collapsed ones a fiftieth at most.
GROWTH = 1.05
GROWN = 0.01
GROWTH_OF_SINGLES = 0.02
COVERAGE = 0.2  # independent evidence: true samples of one mode in eight cover 0.13


class Collapse(Rule):
    """Diversity near zero, or samples that are doubles of each other."""

    name = "collapse"
    title = "Mode collapse"
    remedy = (
        "Go back to a state from before it, since a collapsed generator rarely recovers, and try --game.r1-gamma four "
        "times as high (--game.gp-weight for a critic) or --optim.G.lr at a half to a quarter of --optim.D.lr."
    )

    def look(self, history: History) -> Sign | None:
        diversity = history.newest("diversity")
        if diversity is None or not settled(history):
            return None
        raw, duplicates = history.newest("diversity_raw"), history.newest("duplicates")
        coverage = history.newest("coverage")
        doubled = duplicates is not None and duplicates > DUPLICATES
        bare = coverage is not None and coverage < COVERAGE
        evidence = f"samples of different seeds differ {percent(diversity)} as much as real ones do"
        if duplicates is not None:
            evidence += f", {percent(duplicates)} of them are doubles"
        if _spreads(history):
            return Sign("good", "diversity", diversity, WARN, f"{evidence}; it gets more")
        if raw is not None and diversity < WARN <= raw:  # the average of weights that are themselves well
            evidence += f"; by the live weights they differ {percent(raw)} as much"
            return Sign("warn", "diversity", diversity, WARN, evidence, against=("diversity_raw",))
        against = ("coverage",) if coverage is not None and coverage >= 0.5 else ()
        if diversity < CRITICAL:
            return Sign("critical", "diversity", diversity, CRITICAL, evidence, against, sure=doubled or bare)
        if diversity < WARN:
            return Sign("warn", "diversity", diversity, WARN, evidence, against, sure=doubled or bare)
        if doubled and duplicates is not None:
            return Sign("warn", "duplicates", duplicates, DUPLICATES, evidence, ("diversity", *against))
        return Sign("good", "diversity", diversity, WARN, evidence)


def _spreads(history: History) -> bool:
    """Whether samples are getting more varied: a generator that begins slowly looks like a collapsed one."""
    variety, doubles = trend(history, "diversity"), trend(history, "duplicates")
    if variety is not None and variety[0] > GROWTH * variety[1] + GROWN:
        return True
    return doubles is not None and doubles[0] < doubles[1] - GROWTH_OF_SINGLES
