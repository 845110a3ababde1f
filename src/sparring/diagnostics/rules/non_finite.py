"""NaN or infinity in what turns report."""

import math

from sparring.diagnostics.finding import Rule, Sign
from sparring.diagnostics.history import History


class NonFinite(Rule):
    """A tick's loss, scores or gradient are not finite: turns were skipped, or the weights are lost."""

    name = "non_finite"
    title = "Numbers that are not finite"
    remedy = (
        "Lower --optim.lr, clip with --train.clip-norm 1, and let --train.guard rollback return to the last good "
        "state; with bf16, try --train.precision fp32."
    )

    def look(self, history: History) -> Sign | None:
        _, terms = history.ticks[-1]
        played = {name: value for name, value in terms.items() if "." in name.partition("/")[0]}
        lost = [name for name, value in played.items() if not math.isfinite(value)]
        if not played:
            return None
        if not lost:
            return Sign("good", next(iter(played)), 0.0, 1.0, "every number of the newest tick is finite")
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        return Sign("critical", lost[0], float(len(lost)), 1.0, f"not finite: {lost[0]}{more}", sure=True)
