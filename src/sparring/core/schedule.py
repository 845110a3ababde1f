"""Numbers that follow progress."""

import math


def burn_in(start: float, end: float, nimg: int, kimg: float) -> float:
    """From ``start`` to ``end`` along half a cosine over the first ``kimg`` thousand images, then constant.

    Exactly ``start`` at 0 and ``end`` from ``kimg`` on; where ``kimg`` is 0, always ``end``.
    """
    if nimg >= kimg * 1000:
        return end
    return end + (start - end) * (1 + math.cos(math.pi * nimg / (kimg * 1000))) / 2
