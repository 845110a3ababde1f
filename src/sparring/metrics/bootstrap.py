"""How sure is a number? Intervals for any statistic of rows.

`bootstrap` draws rows with replacement. It suits means and scores of single rows. It is wrong for whatever looks at
pairs: copies of rows make kernels, nearest neighbours and Fréchet distances (whose bias grows) look worse. For those,
and for slow ones, `jackknife` leaves out one group of rows at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sparring.metrics.rows import seeded


@dataclass(frozen=True)
class Interval:
    """``value`` on all rows, and the interval ``low`` to ``high`` that covers with probability ``level``."""

    value: float
    low: float
    high: float
    level: float
    method: Literal["bootstrap", "jackknife"]
    repeats: int


def check(samples: tuple[Tensor, ...], level: float, least: int) -> None:
    """Raise `ValueError` for samples of fewer than ``least`` rows, or a level outside 0 to 1."""
    if not samples or any(sample.dim() == 0 or len(sample) < least for sample in samples):
        raise ValueError(f"every sample needs at least {least} rows, not {[tuple(s.shape) for s in samples]}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")


def bootstrap(
    statistic: Callable[..., float], *samples: Tensor, repeats: int = 200, level: float = 0.95, seed: int = 0
) -> Interval:
    """Percentile interval (Efron 1979) of ``statistic(*samples)``; the rows of each sample are drawn independently.

    Raises:
        ValueError: a sample without rows, fewer than 2 repeats, a level outside (0, 1).
    """
    check(samples, level, 1)
    if repeats < 2:
        raise ValueError(f"at least 2 repeats are needed, not {repeats}")
    generator = seeded(seed)

    def again(sample: Tensor) -> Tensor:
        return sample[torch.randint(len(sample), (len(sample),), generator=generator).to(sample.device)]

    values = torch.tensor([statistic(*map(again, samples)) for _ in range(repeats)], dtype=torch.float64)
    low, high = values.quantile(torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)).tolist()
    return Interval(statistic(*samples), low, high, level, "bootstrap", repeats)


def jackknife(
    statistic: Callable[..., float], *samples: Tensor, groups: int = 10, level: float = 0.95, seed: int = 0
) -> Interval:
    """Delete-a-group jackknife (Kott 2001) of ``statistic(*samples)``: value -+ t standard errors.

    The rows of each sample are dealt at random into groups; repeat g leaves out group g of every sample at once. A bias
    that depends on the count, such as of FD, stays in the value but does not widen the interval.

    Raises:
        ValueError: fewer rows than groups, fewer than 2 groups, a level outside (0, 1).
    """
    from scipy.stats import t  # type: ignore[import-untyped]

    if groups < 2:
        raise ValueError(f"at least 2 groups are needed, not {groups}")
    check(samples, level, groups)
    generator = seeded(seed)
    dealt = [torch.randperm(len(sample), generator=generator).to(sample.device) % groups for sample in samples]
    values = torch.tensor(
        [
            statistic(*(sample[at != group] for sample, at in zip(samples, dealt, strict=True)))
            for group in range(groups)
        ],
        dtype=torch.float64,
    )
    error = float(((groups - 1) / groups * (values - values.mean()).square().sum()).sqrt())
    reach = float(t.ppf((1 + level) / 2, groups - 1)) * error
    value = statistic(*samples)
    return Interval(value, value - reach, value + reach, level, "jackknife", groups)
