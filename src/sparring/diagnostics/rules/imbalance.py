"""One player is so far ahead that the other learns nothing any more."""

from statistics import mean

from sparring.diagnostics.finding import Rule, Sign
from sparring.diagnostics.history import History
from sparring.diagnostics.looking import FAR, looks_without_gain, settled, stuck, trend

# By rank (AUC) and never by the sign of scores: a healthy Wasserstein critic called every real a fake all its life.
STRONG = 0.98  # and no gain: a strong D is wanted as long as samples get better
IDLE = 0.95  # times the distance of a tenth of the run ago
WEAK = 0.52
TICKS = 5
# Updates over the length of the weights, from look to look.
STILL = 1e-6
STILL_SHARE = 0.05  # of the generator's: a rate a thousand times too low gave 0.016 to 0.03
MOVES = 2e-3  # a D that moves more is not dead, however fast G goes
FLAT = 1e-3  # largest score of a D that says the same of everything


class StrongDiscriminator(Rule):
    """D hardly ever errs, and samples have stopped getting better far from the data."""

    name = "strong_discriminator"
    title = "Discriminator too strong"
    remedy = "Raise --game.r1-gamma, or lower --optim.D.lr to a half; --train.augment diff holds D back too."

    def look(self, history: History) -> Sign | None:
        auc = _lasting_auc(history)
        distance = history.newest("distance")
        if auc is None or distance is None or not settled(history):
            return None
        evidence = (
            f"D scores a real above a fake with probability {auc:.3f}; the distance stands at {distance:.2g}, "
            f"{looks_without_gain(history)} looks without gain"
        )
        way = trend(history, "distance")
        idle = stuck(history) or (way is not None and way[0] > IDLE * way[1])
        bad = auc > STRONG and idle and distance > FAR
        return Sign("warn" if bad else "good", "auc", auc, STRONG, evidence)


class WeakDiscriminator(Rule):
    """D cannot tell reals from fakes although fakes are far from the data."""

    name = "weak_discriminator"
    title = "Discriminator too weak"
    remedy = "Raise --optim.D.lr to twice or four times --optim.G.lr, or lower --game.r1-gamma if it is very high."

    def look(self, history: History) -> Sign | None:
        auc = _lasting_auc(history)
        distance = history.newest("distance")
        if auc is None or distance is None or not settled(history):
            return None
        evidence = f"D scores a real above a fake with probability {auc:.2f}, at a distance of {distance:.2g}"
        return Sign("warn" if auc < WEAK and distance > FAR else "good", "auc", auc, WEAK, evidence)


class DeadDiscriminator(Rule):
    """D no longer moves, or says the same of everything, while fakes are far from the data."""

    name = "dead_discriminator"
    title = "Dead discriminator"
    remedy = (
        "Give D a rate that moves it (--optim.D.lr, as a rule not below --optim.G.lr), lower --game.r1-gamma, and see "
        "that --train.freeze-d holds no more layers than intended."
    )

    def look(self, history: History) -> Sign | None:
        update, distance = history.newest("update_judge"), history.newest("distance")
        if update is None or distance is None or not settled(history):
            return None
        generator, auc, size = history.newest("update"), _lasting_auc(history), history.newest("logit_size")
        limit = max(STILL, min(STILL_SHARE * (generator or 0.0), MOVES))
        evidence = f"D's weights move by {update:.2g} of their length from look to look"
        if generator is not None:
            evidence += f", those of G by {generator:.2g}"
        flat = size is not None and size < FLAT
        if flat:
            evidence += f"; its scores never exceed {size:.2g}"
        if (update < limit or flat) and distance > FAR:
            unable = auc is not None and auc < 0.55
            against = ("auc",) if auc is not None and auc > 0.6 else ()
            return Sign("critical", "update_judge", update, limit, evidence, against, sure=flat or unable)
        return Sign("good", "update_judge", update, limit, evidence)


def _lasting_auc(history: History) -> float | None:
    """Its mean over the newest ticks; None where they are too few."""
    series = history.reading("auc").last(TICKS)
    return mean(series.values) if len(series) == TICKS else None
