"""How much of a privacy budget a run spends, and the noise by which it spends no more. The sums are those of Google's
dp-accounting.

Neighbours are two tables of as many rows that differ in one. Each batch is drawn anew without replacement (Wang, Balle,
Kasiviswanathan 2019, *Subsampled Renyi Differential Privacy*, arXiv 1808.00087, theorem 27). What a row moves is taken
away and what another moves is put in its place, so sums change by twice what clipping leaves.
"""

import math
import secrets
from dataclasses import dataclass
from functools import cache
from typing import Any

from sparring.core.columns import Layout
from sparring.core.config import Settings, Train
from sparring.core.errors import SparringError
from sparring.core.privacy import Private
from sparring.core.spec import DataSpec

ORDERS = (*range(2, 21), 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024)  # of Renyi's divergence; the best of them counts
COUNTS_SHARE = 0.2  # of epsilon that noise in counts would spend by itself; squares add up, so training hardly notices
DIGITS = 3  # of the noise
SEED_BITS = 53  # a recipe's whole numbers hold no more


@dataclass(frozen=True)
class Reading:
    """How a run reads its data.

    Attributes:
        rows: to train on.
        batch: of them in each draw.
        draws: batches, each of them met by one noisy gradient.
        columns: whose states are counted once, with noise.
    """

    rows: int
    batch: int
    draws: int
    columns: int

    @staticmethod
    def of(spec: DataSpec, train: Train, times: int = 1) -> "Reading":
        """A table's, where the player who sees rows moves ``times`` in each step."""
        steps = math.ceil(train.nimg / (train.batch * times))
        return Reading(spec.count, train.batch, steps * times, len(Layout(spec.columns).choices))

    def __str__(self) -> str:
        return f"{self.draws:,} batches of {self.batch:,} of {self.rows:,} rows"


def implied(dp: Private, reading: Reading) -> list[tuple[Settings, str]]:
    """What a budget asks for, and why: see `Game.implied`. Raises `SparringError` where it cannot be met."""
    refuse_reading(reading)
    delta = dp.delta or float(f"{0.1 / reading.rows:.1e}")
    counts = dp.counts or noise_of_counts(dp.epsilon * COUNTS_SHARE, delta, reading.columns)
    noise = dp.noise or noise_of_gradients(dp.epsilon, delta, reading, counts)
    covered = (
        f"epsilon {dp.epsilon:g} at delta {delta:g} covers {reading}; NOT covered are the ranges, values and modes of "
        "columns, which are read off the data, nor logs, pictures and numbers of the run (docs: Privacy)"
    )
    secret = "drawn for this run: who knows it can take the noise away, so keep all of the run but model/ to yourself"
    return [
        ({"train": {"seed": secrets.randbits(SEED_BITS)}}, secret),
        ({"game": {"dp": {"delta": delta}}}, "a tenth of one divided by the rows"),
        ({"game": {"dp": {"counts": counts}}}, f"noise in the count of each state, over {reading.columns} columns"),
        ({"game": {"dp": {"noise": noise}}}, covered),
    ]


def refuse(dp: Private, reading: Reading, packs: int, train: Train) -> None:
    """Raise `SparringError` for a run that would not be as private as it says, or that could learn nothing.

    ``packs`` is how many gradients are clipped in one batch.
    """
    refuse_reading(reading)
    if train.microbatches > 1:
        raise SparringError(
            f"game.dp.epsilon: noise is added to the sum over a whole batch, and this one is dealt in "
            f"{train.microbatches} microbatches; play it in one process with train.microbatches 1"
        )
    if train.coach or train.guard == "rollback":
        said = "train.coach" if train.coach else "train.guard rollback"
        raise SparringError(
            f"game.dp.epsilon: {said} goes back and reads the same rows again, which nobody has counted; leave it out"
        )
    if not dp.noise or not dp.delta or (reading.columns and not dp.counts):
        raise SparringError("game.dp: noise, delta and counts of 0 give no privacy; leave them out, epsilon says them")
    if dp.delta >= 1 / reading.rows:
        raise SparringError(
            f"game.dp.delta {dp.delta:g} would let a row in {reading.rows:,} be given away whole; take less than "
            f"{1 / reading.rows:.1e}"
        )
    epsilon = spent(dp.noise, dp.counts, dp.delta, reading)
    if epsilon > dp.epsilon:
        raise SparringError(
            f"{reading} with game.dp.noise {dp.noise:g} would cost epsilon {epsilon:.3g}, and game.dp.epsilon allows "
            f"{dp.epsilon:g}; train for less (train.kimg), or begin another --run for a larger budget"
        )
    if dp.noise >= packs:
        raise SparringError(
            f"epsilon {dp.epsilon:g} asks for noise of {dp.noise:g} in each value of a sum to which {packs} clipped "
            f"gradients add 1 at most ({reading}): nothing could be learnt; take a larger epsilon or train.batch, "
            "fewer train.kimg, game.pac 1, or more rows"
        )


def refuse_reading(reading: Reading) -> None:
    """Raise `SparringError` where batches could not be drawn."""
    if reading.batch > reading.rows:
        raise SparringError(
            f"game.dp.epsilon: no row may be twice in a batch, and train.batch {reading.batch:,} is more than the "
            f"{reading.rows:,} rows; take a smaller one"
        )


# ---------------------------------------------------------------------- the sums


@cache
def spent(noise: float, counts: float, delta: float, reading: Reading) -> float:
    """The epsilon at ``delta`` of a run with such noise: of gradients in units of clip, of counts in rows."""
    accounting = library()
    accountant = fresh(accounting)
    accountant.compose(event(accounting, noise, counts, reading))
    return float(accountant.get_epsilon(delta))


@cache
def noise_of_gradients(epsilon: float, delta: float, reading: Reading, counts: float) -> float:
    """The least noise, in units of clip, by which all of a run spends no more than ``epsilon``, rounded up.

    Raises `SparringError` where no noise does.
    """
    accounting = library()
    try:
        noise = accounting.calibrate_dp_mechanism(
            lambda: fresh(accounting),
            lambda noise: event(accounting, noise, counts, reading),
            epsilon,
            delta,
            accounting.LowerEndpointAndGuess(0.02, 2.0),
            tol=2e-3,
        )
    except ValueError:
        raise SparringError(
            f"game.dp.epsilon {epsilon:g} at delta {delta:g} cannot be met with noise of {counts:g} rows in counts; "
            "take a larger epsilon or delta, or leave game.dp.counts out"
        ) from None
    return rounded_up(noise)


def noise_of_counts(epsilon: float, delta: float, columns: int) -> float:
    """The least noise, in rows, by which the counts of the states of ``columns`` columns spend ``epsilon``, rounded up.

    Exactly (Balle and Wang 2018, arXiv 1805.06530, theorem 8).
    """
    return rounded_up(library().get_sigma_gaussian(epsilon, delta) * moved(columns)) if columns else 0.0


def moved(columns: int) -> float:
    """By how much a row replaced moves all counts: 1 is taken from one of each column's, and given to another."""
    return math.sqrt(2 * columns)


def event(accounting: Any, noise: float, counts: float, reading: Reading) -> Any:
    """All that a run reads off its rows."""
    # A row replaced changes the sum by 2 clip at most, which is what the noise has to hide.
    gradient = accounting.GaussianDpEvent(noise / 2)
    drawn = accounting.SampledWithoutReplacementDpEvent(reading.rows, reading.batch, gradient)
    parts = [accounting.SelfComposedDpEvent(drawn, reading.draws)]
    if reading.columns:
        parts.append(accounting.GaussianDpEvent(counts / moved(reading.columns)))
    return accounting.ComposedDpEvent(parts)


def rounded_up(noise: float) -> float:
    """To `DIGITS` digits."""
    unit = 10.0 ** (math.floor(math.log10(noise)) - DIGITS + 1)
    return float(f"{math.ceil(noise / unit) * unit:.{DIGITS}g}")


def fresh(accounting: Any) -> Any:
    """An accountant who has seen nothing."""
    return accounting.rdp.RdpAccountant(ORDERS, accounting.NeighboringRelation.REPLACE_ONE)


def library() -> Any:
    """dp-accounting. Raises `SparringError` where it is not installed."""
    try:
        import dp_accounting
        import dp_accounting.rdp
    except ImportError:
        raise SparringError(
            "game.dp.epsilon needs the accountant of dp-accounting: pip install 'sparring[privacy]'"
        ) from None
    return dp_accounting
