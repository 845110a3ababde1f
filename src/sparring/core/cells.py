"""Cells of a table as text: numbers and dates read off them, and written."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

import numpy as np
from numpy.typing import NDArray

NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]*|(?=\.))(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?")
WITH_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
INFINITE = frozenset({"inf", "-inf", "+inf", "infinity", "-infinity"})
MISSING = frozenset(
    {"", "?", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "none", "nil", "nat", "missing"}
)
TRUTHS = ({"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"}, {"0", "1"})
FORMATS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%d %b %Y", "%b %d, %Y"),
    *("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"),
    *("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%SZ"),
)
EPOCH = datetime(1970, 1, 1)
MOST_DECIMALS = 9
LARGEST = 1e150  # squares of numbers, and their sums, have to be finite


def is_missing(text: str) -> bool:
    """Whether a cell says that there is nothing."""
    return text.lower() in MISSING


def is_number(text: str) -> bool:
    """Whether a cell is a number below `LARGEST`: ``01234`` is none (a code), nor is ``1_000``, ``0x1f`` or ``inf``."""
    return NUMBER.fullmatch(text) is not None and text not in (".", "+.", "-.") and abs(float(text)) < LARGEST


def to_number(text: str) -> float:
    """NaN for what is none."""
    return float(text) if is_number(text) else float("nan")


def decimals_of(texts: Iterable[str]) -> int:
    """The most decimals that any of these numbers has; -1 above nine."""
    most = 0
    for text in texts:
        try:
            exponent = Decimal(text).normalize().as_tuple().exponent
        except InvalidOperation:
            continue
        most = max(most, -exponent if isinstance(exponent, int) else 0)
    return most if most <= MOST_DECIMALS else -1


def find_format(texts: Sequence[str]) -> str:
    """The first format in which all these texts are dates; "" where there is none."""
    for pattern in FORMATS:
        if all(to_time(text, pattern) is not None for text in texts):
            return pattern
    return ""


def other_format(texts: Sequence[str], found: str) -> str:
    """Another format, of day and month the other way round, in which all are dates as well; "" where there is none."""
    swapped = found.replace("%d/%m", "%x").replace("%m/%d", "%d/%m").replace("%x", "%m/%d")
    return swapped if swapped != found and all(to_time(text, swapped) is not None for text in texts) else ""


def to_time(text: str, pattern: str) -> float | None:
    """Days since 1970 of a date, seconds of a time; None where it is none."""
    try:
        since = datetime.strptime(text, pattern) - EPOCH
    except ValueError:
        return None
    return since.total_seconds() if tells_time(pattern) else float(since.days)


def tells_time(pattern: str) -> bool:
    """Whether dates of this format have hours."""
    return "%H" in pattern


def from_times(numbers: NDArray[np.float64], pattern: str) -> list[str]:
    """Texts of days or seconds since 1970."""
    unit = "seconds" if tells_time(pattern) else "days"
    return [(EPOCH + timedelta(**{unit: number})).strftime(pattern) for number in numbers.tolist()]
