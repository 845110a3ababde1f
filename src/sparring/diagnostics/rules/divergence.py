"""Numbers run away: samples, scores, gradients or losses grow without bound."""

from collections.abc import Sequence

from sparring.diagnostics.finding import Level, Rule, Sign
from sparring.diagnostics.history import History, Series
from sparring.diagnostics.looking import percent, settled

# The ring at a rate of 0.1: diversity 51, gradients of 6e6, losses up to 1e7. Healthy runs: 0.94 to 1.0.
DIVERSITY_WARN = 2.0
DIVERSITY_CRITICAL = 4.0
LOGIT = 100.0  # e^-88 is float32's least: a cross-entropy is past any certainty; healthy runs scored 2, strong Ds 44
GRADIENT = 10.0  # times the 99th percentile of earlier ticks
LOSS = 10.0  # times the largest of the first ticks; the factor of Megatron's watch for spikes
FIRST = 10
RECENT = 10  # ticks that are not yet "earlier"
UNBOUNDED = ("wasserstein",)  # whose scores have no scale


class Divergence(Rule):
    """Diversity far above the data's, enormous scores, gradients or losses far above their own past."""

    name = "divergence"
    title = "Divergence"
    remedy = (
        "Lower --optim.lr (a tenth is a good first try), warm up with --optim.warmup-kimg, clip with --train.clip-norm "
        "1, and let --train.guard rollback catch what is left."
    )

    def look(self, history: History) -> Sign | None:
        signs = [sign for sign in (_diversity(history), _logits(history), *_turns(history)) if sign is not None]
        if not signs:
            return None
        alarms = [sign for sign in signs if sign.level != "good"]
        if not alarms:
            return signs[0]
        kinds = {sign.reading.rpartition("/")[2] for sign in alarms}
        worst = max(alarms, key=lambda sign: sign.level == "critical")
        evidence = "; ".join(sign.evidence for sign in alarms)
        level: Level = "critical" if len(kinds) > 1 else worst.level
        return Sign(level, worst.reading, worst.value, worst.threshold, evidence, sure=len(kinds) > 1)


def _diversity(history: History) -> Sign | None:
    value = history.newest("diversity")
    if value is None or not settled(history):
        return None
    level: Level = "critical" if value > DIVERSITY_CRITICAL else "warn" if value > DIVERSITY_WARN else "good"
    limit = DIVERSITY_CRITICAL if level == "critical" else DIVERSITY_WARN
    return Sign(level, "diversity", value, limit, f"samples differ {percent(value)} as much as real ones do")


def _logits(history: History) -> Sign | None:
    value = history.newest("logit_size")
    if value is None or history.context.loss in UNBOUNDED:
        return None
    level: Level = "critical" if value > LOGIT else "good"
    return Sign(level, "logit_size", value, LOGIT, f"D gives scores of up to {value:.3g}")


def _turns(history: History) -> list[Sign]:
    """One sign for each turn's gradient and loss."""
    found = []
    for term, factor, said in (("gradient_norm", GRADIENT, "gradient"), ("loss", LOSS, "loss")):
        for turn, series in history.turns(term).items():
            reference = _past(series) if term == "gradient_norm" else _first(series)
            if reference is None or series.nimg[-1] != history.nimg:
                continue
            value, limit = abs(series.values[-1]), factor * reference
            evidence = f"the {said} of {turn} is {value:.3g}, above {factor:g} times the {reference:.3g} of earlier"
            found.append(Sign("warn" if value > limit else "good", f"{turn}/{term}", value, limit, evidence))
    return found


def _past(series: Series) -> float | None:
    """The 99th percentile of the size of all but the recent."""
    return _percentile([abs(value) for value in series.values[:-RECENT]], 0.99)


def _first(series: Series) -> float | None:
    """The largest size of the first, and never less than 1: losses near nought have no scale of their own."""
    first = [abs(value) for value in series.values[:FIRST]]
    return max(1.0, *first) if len(series) > FIRST else None


def _percentile(values: Sequence[float], share: float) -> float | None:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if len(ranked) >= FIRST else None
