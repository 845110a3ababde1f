"""What several rules ask of a history: is it early, does it still gain, how far are the samples from the data."""

from statistics import mean

from sparring.diagnostics.history import History

WARMUP_STEPS = 1000  # at initialisation every generator is collapsed: the ring's healthy runs needed 500 to 1,000 steps
WARMUP_MOST = 0.3  # of the run: a short one shall hear something too
WARMUP_LEAST = 0.05  # of the run
WARMUP_LOOKS = 1
FALLING = 0.9  # a new best distance below so much of the best before: it is still learning fast
TREND = 0.1  # of the run
STUCK_LOOKS = 5
STUCK_SHARE = 0.1  # of the run
GAIN = 0.99  # a distance counts as gained below so much of the best before
NOISE = 0.002  # and by so much at the least: below that the samples that were drawn decide
NEAR = 0.03  # a distance below which samples are as good as it can tell
FAR = 0.3  # a distance, where nothing learnt is 1; the ring without 3 of its 8 modes is about there


def warm(history: History) -> bool:
    """Whether the very beginning is over, and samples were looked at."""
    total, context = history.context.total_nimg, history.context
    warmup = max(WARMUP_LEAST * total, min(WARMUP_STEPS * context.batch, WARMUP_MOST * total))
    looks = max(len(history.reading(name)) for name in ("diversity", "distance", "coverage", "modes_missing"))
    return looks > WARMUP_LOOKS and history.nimg >= warmup


def settled(history: History) -> bool:
    """Whether samples may be judged: not at the very beginning, and not while they still gain fast."""
    return warm(history) and not falling_fast(history)


def trend(history: History, name: str) -> tuple[float, float] | None:
    """Means of a reading over the newest tenth of the run and over the tenth before; None where either has none."""
    series, width = history.reading(name), TREND * history.context.total_nimg
    parts: tuple[list[float], list[float]] = ([], [])
    for nimg, value in zip(series.nimg, series.values, strict=True):
        age = (history.nimg - nimg) / width
        if age < 2:
            parts[age >= 1].append(value)
    return (mean(parts[0]), mean(parts[1])) if all(parts) else None


def falling_fast(history: History) -> bool:
    """Whether the distance was bettered by a tenth or more within the latest twentieth of the run."""
    series = history.reading("distance")
    edge = history.nimg - WARMUP_LEAST * history.context.total_nimg
    earlier: list[float] = []
    recent: list[float] = []
    for nimg, value in zip(series.nimg, series.values, strict=True):
        (recent if nimg > edge else earlier).append(value)
    return bool(earlier and recent) and min(earlier) > NEAR and min(recent) < FALLING * min(earlier)


def best_distance(history: History) -> tuple[int, float] | None:
    """Images shown at the least distance so far, and that distance."""
    series = history.reading("distance")
    return min(zip(series.nimg, series.values, strict=True), key=lambda pair: pair[1], default=None)


def looks_without_gain(history: History) -> int:
    """How many looks lie behind the last one whose distance was a new best by a hundredth or more."""
    return len(_since_gain(history))


def stuck(history: History, looks: int = STUCK_LOOKS, share: float = STUCK_SHARE) -> bool:
    """Whether so many looks, and such a share of the run, brought no gain."""
    since = _since_gain(history)
    return len(since) >= looks and history.nimg - since[0] >= share * history.context.total_nimg


def _since_gain(history: History) -> tuple[int, ...]:
    """Positions of the looks after the last gain."""
    best, last = float("inf"), -1
    series = history.reading("distance")
    for index, value in enumerate(series.values):
        if value < GAIN * best and best - value > NOISE:
            best, last = value, index
    return series.nimg[last + 1 :]


def worsened(history: History, factor: float) -> bool:
    """Whether the newest distance is more than ``factor`` times the best so far, and not good all the same."""
    now, best = history.newest("distance"), best_distance(history)
    return now is not None and best is not None and now > factor * best[1] and now > NEAR


def percent(share: float) -> str:
    """``0.034`` is ``3.4%``; from ten per cent on without a decimal."""
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
