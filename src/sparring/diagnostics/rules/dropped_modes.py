"""Samples are varied, and leave out a part of the data."""

import math

from sparring.diagnostics.finding import Level, Rule, Sign
from sparring.diagnostics.history import History
from sparring.diagnostics.looking import percent, settled, trend
from sparring.diagnostics.rules.collapse import CRITICAL as COLLAPSED

# A generator of 5 of the ring's 8 modes covered half of what reals do, at a divergence of ln(8/5) = 0.47 nats. Healthy
# runs of the ring covered 0.73 to 0.76 of it, so that 0.8 would cry wolf; and a young run that has all 8 modes, but
# wide ones, covers 0.3. So clusters decide, and coverage does only where they were not counted.
KL_CRITICAL = 0.4
KL_WARN = 0.13  # one of 8 equally likely modes lost is 0.134; a healthy critic of the ring stayed just below
FILLING = 0.95  # times that of a tenth of the run ago: what was missing is being found
COVERAGE_WARN = 0.6
COVERAGE_LOW = 0.5  # confirms


class DroppedModes(Rule):
    """Clusters of the data that samples leave out; coverage and the divergence of clusters say how much that is."""

    name = "dropped_modes"
    title = "Dropped modes"
    remedy = (
        "See first whether the loader shows these samples at all (`sparring inspect`); then balance classes with "
        "--data.balance, raise --game.r1-gamma or --train.batch, or lower --optim.G.lr."
    )

    def look(self, history: History) -> Sign | None:
        missing, coverage = history.newest("modes_missing"), history.newest("coverage")
        if (missing is None and coverage is None) or not settled(history):
            return None
        diversity = history.newest("diversity")
        if diversity is not None and diversity < COLLAPSED:
            return None  # that is a collapse, and says more
        divergence, worst = history.newest("modes_kl"), history.newest("coverage_worst")
        lost = missing is not None and missing >= 1 and (divergence is None or divergence > KL_WARN)
        bare = coverage is not None and coverage < COVERAGE_LOW
        uneven = divergence is not None and divergence > KL_CRITICAL
        said = []
        if missing is not None:
            said.append(f"clusters of the data left out: {missing:.0f}")
        if coverage is not None:
            said.append(f"samples reach {percent(coverage)} of the reals that other reals reach")
        if worst is not None:
            said.append(f"{percent(worst)} in the cluster that is reached least")
        if divergence is not None:
            said.append(f"clusters diverge by {divergence:.2f} nats, as if {lost_share(divergence)} of them were lost")
        evidence = ", ".join(said)
        if missing is not None:
            gone = trend(history, "modes_kl")
            if gone is not None and gone[0] < FILLING * gone[1]:
                return Sign("good", "modes_kl", gone[0], KL_CRITICAL, f"{evidence}; it gets less")
            against = ("coverage",) if coverage is not None and coverage >= COVERAGE_WARN else ()
            level: Level = "critical" if lost and uneven else "warn" if lost else "good"
            return Sign(level, "modes_missing", missing, 1.0, evidence, against if lost else (), sure=bare and uneven)
        value = coverage or 0.0
        return Sign("warn" if value < COVERAGE_WARN else "good", "coverage", value, COVERAGE_WARN, evidence)


def lost_share(divergence: float) -> str:
    """The share of equally likely modes whose loss gives this divergence: ln(m / k) nats for k of m left."""
    return percent(1 - math.exp(-max(0.0, divergence)))
