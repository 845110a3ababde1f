"""To which sizes both sides of pictures made from pictures are brought, and at which depth."""

from dataclasses import replace

from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.data.decode import Look
from sparring.data.deep import are_deep, range_of
from sparring.data.geometry import LEAST, OWN, Geometry, choose, show
from sparring.data.pairs import Pairing
from sparring.data.survey import sizes_of

Looks = list[Look | str]


def geometries_of(
    made: Looks, given: Looks, pairing: Pairing, settings: Data, like: DataSpec | None
) -> tuple[Geometry, Geometry]:
    """What is made, and what is given; label maps of a palette have 8 bits."""
    ours, theirs = _sizes(made, given, pairing, settings, like)
    span = range_of(settings)
    ours = replace(ours, deep=are_deep(made, settings), range=span)
    if settings.palette:
        return ours, theirs
    return ours, replace(theirs, deep=are_deep(given, settings), range=span)


def _sizes(
    made: Looks, given: Looks, pairing: Pairing, settings: Data, like: DataSpec | None
) -> tuple[Geometry, Geometry]:
    """The sizes of both sides: one size, or one a whole number of times the other where all pairs are so."""
    fit, ours, theirs = settings.fit, sizes_of(made), sizes_of(given)
    nearest = bool(settings.palette)
    if settings.crop and ours and theirs:
        return _cuts(made, given, pairing, settings)
    if like is not None:
        (_, *size), (_, *other) = like.shape, like.given
        return (
            Geometry((size[0], size[1]), fit, "as trained", pairing.parts[0]),
            Geometry((other[0], other[1]), fit, "as trained", pairing.parts[1], nearest),
        )
    if not ours or not theirs:  # nothing to read on one side, which `check` refuses
        return Geometry((LEAST, LEAST), fit, "", pairing.parts[0]), Geometry((LEAST, LEAST), fit, "", pairing.parts[1])
    base = choose(ours if pairing.paired else ours + theirs, settings)
    scale = _scale(made, given) if pairing.paired else 1
    height, width = base.size
    if height % scale or width % scale:
        if settings.size != "auto":
            raise SparringError(
                f"data.size {settings.size}: what is made is {scale} times as large as what is given, and a side that "
                f"{scale} does not divide cannot be"
            )
        height, width = height // scale * scale, width // scale * scale
    reason = base.reason if scale == 1 else f"{base.reason}; {scale} times what is given"
    return (
        Geometry((height, width), fit, reason, pairing.parts[0]),
        Geometry((height // scale, width // scale), fit, reason, pairing.parts[1], nearest),
    )


def _cuts(made: Looks, given: Looks, pairing: Pairing, settings: Data) -> tuple[Geometry, Geometry]:
    """What is cut out of both sides: of pairs the same place of either."""
    scale = _scale(made, given) if pairing.paired else 1
    base = choose(sizes_of(made), settings)
    whole = other = base.whole
    if base.whole == OWN and pairing.paired and scale == 1:
        for one, their in zip(made, given, strict=True):
            if isinstance(one, Look) and isinstance(their, Look) and one.size != their.size:
                raise SparringError(
                    f"data.crop cuts the same place out of both of a pair, and one pair is {show(one.size)} and "
                    f"{show(their.size)}; make one of them a whole number of times the other in all pairs, or bring "
                    "both to one size with --data.size"
                )
    elif base.whole is not None and base.whole != OWN:
        other = (base.whole[0] // scale, base.whole[1] // scale)
    if settings.crop % scale or any(side % scale for side in base.whole or ()):
        raise SparringError(
            f"data.crop {settings.crop} and data.size {settings.size}: what is made is {scale} times as large as what "
            f"is given, and {scale} has to divide both"
        )
    side = settings.crop // scale
    nearest = bool(settings.palette)
    return (
        replace(base, part=pairing.parts[0], whole=whole, step=scale),
        replace(base, size=(side, side), part=pairing.parts[1], nearest=nearest, whole=other),
    )


def _scale(made: Looks, given: Looks) -> int:
    """How many times what is given each picture is a side, where that is one whole number for all; else 1."""
    pairs = [(one.size, other.size) for one, other in zip(made, given, strict=True) if isinstance(one, Look)]  # type: ignore[union-attr]
    scales = {height / high for (height, _), (high, _) in pairs} | {width / wide for (_, width), (_, wide) in pairs}
    scale = scales.pop() if len(scales) == 1 else 1.0
    return int(scale) if scale == int(scale) and scale > 1 else 1
