"""Samples wander in circles instead of arriving."""

from sparring.diagnostics.finding import Rule, Sign
from sparring.diagnostics.history import History
from sparring.diagnostics.looking import FALLING, FAR, looks_without_gain, percent, settled, stuck, trend, worsened

# Dirac-GAN without a penalty ends its circles with 0.04 of their length as way made good, with a strong penalty 0.95.
# Eight places drawn at random make about a seventh.
TRAVEL = 0.35
# Noise around an optimum makes no way either, so steps must be large, half of how much reals differ, and end far from
# the data: healthy runs of digits step by 0.3 to 0.7 to their end, but near it, and swinging ones by 0.8 to 1.8.
STEP = 0.5
SWING = 2.0  # the live weights' distance over the averaged ones': the average hides a swing
LOST = 1.2  # times the best distance
WORSE = 3.0  # the same, and grave


class Oscillation(Rule):
    """A long path of fixed-seed samples with little way made good, and no gain."""

    name = "oscillation"
    title = "Oscillation"
    remedy = (
        "Damp it: --game.r1-gamma higher, --optim.betas 0,0.99 (no momentum), --optim.schedule linear so that rates "
        "fall towards the end, and a longer average with --train.ema-kimg."
    )

    def look(self, history: History) -> Sign | None:
        travel, step = history.newest("travel"), history.newest("step_size")
        if travel is None or step is None or not settled(history):
            return None
        distance, raw = history.newest("distance"), history.newest("distance_raw")
        diversity, live = history.newest("diversity"), history.newest("diversity_raw")
        swings = (distance is not None and raw is not None and raw > SWING * distance) or (
            diversity is not None and live is not None and max(diversity, live) > SWING * min(diversity, live)
        )
        evidence = (
            f"fixed-seed samples move by {percent(step)} of their spread from look to look, {percent(travel)} of it is "
            f"way made good; {looks_without_gain(history)} looks without gain"
        )
        wide = step * (1.0 if live is None else live) > STEP
        off = distance is None or (distance > FAR and (stuck(history) or worsened(history, LOST) or _restless(history)))
        if travel < TRAVEL and wide and off:
            if worsened(history, WORSE):
                return Sign("critical", "travel", travel, TRAVEL, evidence, sure=swings)
            against = ("distance_raw",) if raw is not None and not swings else ()
            return Sign("warn", "travel", travel, TRAVEL, evidence, against, sure=swings)
        return Sign("good", "travel", travel, TRAVEL, evidence)


def _restless(history: History) -> bool:
    """Whether the live weights are far from the data and get no nearer, whatever their average gains by being one."""
    raw = trend(history, "distance_raw")
    return raw is not None and raw[0] > FAR and raw[0] > FALLING * raw[1]
