"""How often a picture is halved, and how wide its layers are, in networks that double and halve."""

import math


def halvings(shape: tuple[int, ...]) -> int:
    """How often a picture ``(c, h, w)`` is halved: until its shorter side is 4 to 7."""
    return int(math.log2(min(shape[1:]) / 4))


def coarsest(shape: tuple[int, ...]) -> tuple[int, int]:
    """The grid that, doubled as often, is the smallest to hold such a picture."""
    depth = halvings(shape)
    return math.ceil(shape[1] / 2**depth), math.ceil(shape[2] / 2**depth)


def channels_at(level: int, base: int, most: int) -> int:
    """Channels of a layer whose picture was doubled ``level`` times from 4x4: ``base`` over its side, at most ``most``.

    Raises ValueError when that leaves none.
    """
    channels = min(base // (4 * 2**level), most)
    if channels < 1:
        raise ValueError(f"channel_base {base} leaves no channels at {4 * 2**level} pixels; raise it")
    return channels
