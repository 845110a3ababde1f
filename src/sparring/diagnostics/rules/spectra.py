"""The spectrum of a layer explodes, or what D can tell apart collapses."""

from sparring.diagnostics.finding import Rule, Sign
from sparring.diagnostics.history import History
from sparring.diagnostics.looking import percent, settled, warm, worsened

# Top singular values grow in every healthy run, so growth alone is no sign: it must jump. In BigGAN's collapses it did.
JUMP_WARN = 3.0
JUMP_CRITICAL = 10.0
LOOKS = 5  # over so many
RANK_WARN = 0.5  # of the most that a layer of D had
RANK_CRITICAL = 0.25
WORSE = 1.5  # times the best distance


class SpectralExplosion(Rule):
    """A layer's top singular value has jumped within a few looks."""

    name = "spectral_explosion"
    title = "Spectral explosion"
    remedy = (
        "Go back to a state from before the jump and lower --optim.lr; raise --game.r1-gamma, or take a family with "
        "spectral normalisation (sngan, sagan, biggan)."
    )

    def look(self, history: History) -> Sign | None:
        now, past = history.newest("spectral_growth"), history.reading("spectral_growth").values
        if now is None or len(past) <= LOOKS or not warm(history):
            return None
        jump = now / past[-1 - LOOKS] if past[-1 - LOOKS] > 0 else 1.0
        evidence = f"a layer's top singular value grew {jump:.3g} times in {LOOKS} looks, {now:.3g} times in all"
        worse = worsened(history, WORSE)
        if jump > JUMP_CRITICAL or (jump > JUMP_WARN and worse):
            return Sign("critical", "spectral_growth", now, JUMP_WARN * past[-1 - LOOKS], evidence, sure=worse)
        if jump > JUMP_WARN:
            return Sign("warn", "spectral_growth", now, JUMP_WARN * past[-1 - LOOKS], evidence)
        return Sign("good", "spectral_growth", now, JUMP_WARN * past[-1 - LOOKS], evidence)


class SpectralCollapse(Rule):
    """A layer of D has lost half of its effective rank: the rest of its spectrum has collapsed."""

    name = "spectral_collapse"
    title = "Spectral collapse"
    remedy = "Go back to a state from before it, lower --optim.D.lr, and raise --game.r1-gamma."

    def look(self, history: History) -> Sign | None:
        rank = history.newest("effective_rank")
        if rank is None or not settled(history):
            return None
        evidence = f"a layer of D has {percent(rank)} left of the most effective rank that it had"
        worse = worsened(history, WORSE)
        if rank < RANK_CRITICAL and worse:
            evidence += ", and samples got worse"
            return Sign("critical", "effective_rank", rank, RANK_CRITICAL, evidence, sure=True)
        if rank < RANK_WARN:
            against = () if worse or history.newest("distance") is None else ("distance",)
            return Sign("warn", "effective_rank", rank, RANK_WARN, evidence, against)
        return Sign("good", "effective_rank", rank, RANK_WARN, evidence)
