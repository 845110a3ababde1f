"""Any metric, class by class: a mean over all hides the class that failed."""

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

Result = TypeVar("Result")


def per_class(
    metric: Callable[[Tensor, Tensor], Result],
    fakes: Tensor,
    fake_labels: Tensor,
    reals: Tensor,
    real_labels: Tensor,
    at_least: int = 2,
) -> dict[int, Result | None]:
    """``metric(fakes, reals)`` of each label's rows, by label in rising order.

    None for a class that has fewer than ``at_least`` rows on either side: too few to tell, or never drawn.

    Raises:
        ValueError: labels are not int, one a row.
    """
    for name, rows, labels in (("fakes", fakes, fake_labels), ("reals", reals, real_labels)):
        if labels.shape != rows.shape[:1] or labels.is_floating_point():
            raise ValueError(f"labels of {name} must be whole numbers, one for each of {len(rows)} rows")
    found: dict[int, Result | None] = {}
    for label in sorted({*fake_labels.tolist(), *real_labels.tolist()}):
        here, there = fakes[fake_labels == label], reals[real_labels == label]
        found[label] = metric(here, there) if min(len(here), len(there)) >= at_least else None
    return found
