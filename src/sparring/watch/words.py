"""How numbers, times and names are said to people; shared by the terminal, the report and the trackers."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime


def number(value: float | None) -> str:
    """Four significant digits, short: ``1234.5`` is ``1234``, ``0.00012`` is ``1.2e-4``; a missing value is a dash."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if value and not 1e-3 <= abs(value) < 1e5:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def kimg(nimg: float) -> str:
    """Images as thousands of images: ``12345`` is ``12.3``; whole numbers stay short."""
    return f"{nimg / 1000:.1f}".removesuffix(".0")


def duration(seconds: float) -> str:
    """``3725`` is ``1h 02m``; what is not finite is a dash."""
    if not math.isfinite(seconds) or seconds < 0:
        return "–"
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days}d {hours:02d}h"
    if hours:
        return f"{hours}h {minutes:02d}m"
    return f"{minutes}m {whole % 60:02d}s" if minutes else f"{whole}s"


def memory(megabytes: float) -> str:
    """``2048`` is ``2.0 GB``."""
    return f"{megabytes / 1024:.1f} GB" if megabytes >= 1024 else f"{megabytes:.0f} MB"


def printable(text: str) -> str:
    """On one line and without control characters: a file's name must not be able to move the cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def now() -> str:
    """The time here, to the second, with its zone."""
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")


def by_turn(terms: Mapping[str, float | None]) -> tuple[dict[str, dict[str, float | None]], dict[str, float | None]]:
    """Sort terms into ``{"D.discriminator": {"loss": ...}}`` and the rest, such as ``{"probe/diversity": ...}``.

    A turn is known by its dot: ``movers.loss/term``.
    """
    turns: dict[str, dict[str, float | None]] = {}
    rest: dict[str, float | None] = {}
    for name, value in terms.items():
        turn, slash, term = name.partition("/")
        if slash and "." in turn:
            turns.setdefault(turn, {})[term] = value
        else:
            rest[name] = value
    return turns, rest
