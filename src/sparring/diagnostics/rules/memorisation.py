"""Samples are copies of training samples."""

from sparring.diagnostics.finding import Rule, Sign
from sparring.diagnostics.history import History
from sparring.diagnostics.looking import percent, settled
from sparring.diagnostics.rules.collapse import WARN as LITTLE_VARIETY

# Nearest training over nearest held-out sample: 0.93 to 0.99 with plentiful data, 0.36 when 100 samples were copied.
RATIO_WARN = 0.85
RATIO_CRITICAL = 0.6
# Share of copies beyond what passes for one among reals: 0.13, 0.87 and 0.96 while 100 samples were being copied.
COPIES_WARN = 0.3
COPIES_CRITICAL = 0.7


class Memorisation(Rule):
    """Samples lie nearer to training samples than to held-out ones. Evidence of copying; none is no proof of none."""

    name = "memorisation"
    title = "Memorisation"
    remedy = (
        "Stop earlier (--eval.every keeps the best model, --eval.patience stops), show D changed pictures with "
        "--train.augment ada, use smaller networks, or add data; --data.held-out 0.1 makes it measurable."
    )

    def look(self, history: History) -> Sign | None:
        copies, ratio = history.newest("copies"), history.newest("nearest_ratio")
        if (copies is None and ratio is None) or not settled(history):
            return None
        diversity = history.newest("diversity")
        if diversity is not None and diversity < LITTLE_VARIETY:
            return None  # few modes lie near training samples without being copies of them
        said = "" if copies is None else f"{percent(copies)} of samples pass for copies of training samples"
        if ratio is None:
            bad = copies is not None and copies > COPIES_WARN
            evidence = f"{said}; without held-out data it stays a suspicion"
            return Sign("warn" if bad else "good", "copies", copies or 0.0, COPIES_WARN, evidence)
        evidence = f"the nearest training sample is {ratio:.2f} times as far as the nearest held-out one"
        evidence += f", and {said}" if said else ""
        if ratio < RATIO_CRITICAL and copies is not None and copies > COPIES_CRITICAL:
            return Sign("critical", "nearest_ratio", ratio, RATIO_CRITICAL, evidence, sure=True)
        if ratio < RATIO_WARN:
            against = ("copies",) if copies is not None and copies < COPIES_WARN else ()
            return Sign("warn", "nearest_ratio", ratio, RATIO_WARN, evidence, against)
        return Sign("good", "nearest_ratio", ratio, RATIO_WARN, evidence)
