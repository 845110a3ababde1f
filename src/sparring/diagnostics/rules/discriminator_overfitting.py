"""D knows the training samples by heart, and judges by that."""

from statistics import mean

from sparring.diagnostics.finding import Rule, Sign
from sparring.diagnostics.history import History
from sparring.diagnostics.looking import stuck, warm, worsened

# 0.50 to 0.51 with plentiful data, 0.88 to 1.00 on 100 samples of the ring learnt by heart.
WARN = 0.60
CRITICAL = 0.75
WORSE = 1.2  # times the best distance: a D that overfits does harm only where samples get worse
COPIES = 0.7  # or where G copies what D knows
# Without held-out data only D's sign on reals is left. ADA steers it to 0.6; healthy runs were seen at 0.60 to 0.88
# early on, so it needs to be higher, to last, and the data to have been shown often.
REAL_SIGN = 0.9
TICKS = 10
SHOWINGS = 20
FREE_OFFSET = ("", "wasserstein", "relativistic_pairing", "relativistic_average")  # scores whose sign means nothing


class DiscriminatorOverfitting(Rule):
    """D scores training samples above held-out ones; without held-out samples, a weak sign at most."""

    name = "discriminator_overfitting"
    title = "Discriminator overfitting"
    remedy = (
        "Show D changed pictures with --train.augment ada (or diff) and --data.flip, raise --game.r1-gamma, or add "
        "data; with --data.held-out 0.1 it is measured, and --eval.every keeps the best model."
    )

    def look(self, history: History) -> Sign | None:
        auc = history.newest("train_auc")
        if auc is None:
            return None if len(history.reading("train_auc")) else self._by_sign(history)
        if not warm(history):
            return None
        copies = history.newest("copies")
        harm = worsened(history, WORSE) or (copies is not None and copies > COPIES)
        evidence = f"D scores a training sample above a held-out one with probability {auc:.2f}"
        if auc > CRITICAL and harm:
            return Sign("critical", "train_auc", auc, CRITICAL, f"{evidence}, and samples have got worse", sure=True)
        if auc > WARN:
            against = ("distance",) if history.newest("distance") is not None and not harm else ()
            return Sign("warn", "train_auc", auc, WARN, evidence, against)
        return Sign("good", "train_auc", auc, WARN, evidence)

    def _by_sign(self, history: History) -> Sign | None:
        """At most a warning."""
        signs, aucs = history.reading("real_sign").last(TICKS), history.reading("auc").last(TICKS)
        context = history.context
        if history.newest("real_sign") is None or context.loss in FREE_OFFSET or not context.count:
            return None
        showings = history.nimg / context.count
        if len(signs) < TICKS or len(aucs) < TICKS or showings < SHOWINGS:
            return None
        sign = mean(signs.values)
        evidence = f"D is sure of {(1 + sign) / 2:.0%} of the reals after {showings:.0f} showings of each"
        if sign > REAL_SIGN and mean(aucs.values) > 0.95 and stuck(history):
            return Sign("warn", "real_sign", sign, REAL_SIGN, f"{evidence}, and samples gain nothing")
        return Sign("good", "real_sign", sign, REAL_SIGN, evidence)
