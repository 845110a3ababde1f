"""Which size the networks see, and how a picture is brought to it."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median_low
from typing import Literal

from PIL import Image

from sparring.core.config import Data
from sparring.core.errors import SparringError

LEAST, MOST, AUTO_MOST = 8, 4096, 256
Size = tuple[int, int]  # height, width
OWN: Size = (0, 0)  # of `Geometry.whole`: pictures keep their own size
Range = tuple[float, float] | None
Part = Literal["whole", "left", "right"]


@dataclass(frozen=True)
class Geometry:
    """The size every picture is brought to, how, and why that size.

    Attributes:
        size: ``(height, width)``.
        fit: ``crop`` covers the size and cuts the middle out, ``pad`` fits inside with a black (or transparent) border,
            ``stretch`` changes the aspect.
        reason: why this size, for people.
        part: what of each file is the picture: the whole of it, or one half of two side by side.
        nearest: whether pixels are taken as they are when a picture is resized, as label maps ask for.
        whole: the size before ``size`` is cut out at a place of its own for each showing, `OWN` where pictures keep
            theirs; None: nothing is cut.
        step: places of cuts are multiples of so many pixels, as they are in what a smaller picture is the input of.
        deep: whether values are kept as float32 in [-1, 1], because 8 bits would round some of them.
        range: the values that -1 and 1 then stand for, where files do not say.
    """

    size: Size
    fit: str
    reason: str
    part: Part = "whole"
    nearest: bool = False
    whole: Size | None = None
    step: int = 1
    deep: bool = False
    range: Range = None

    @property
    def fitted(self) -> Size:
        """What every picture is brought to as it is read; `OWN`: nothing."""
        return self.whole or self.size


def choose(sizes: Mapping[Size, int], settings: Data) -> Geometry:
    """The size asked for, or the one that suits pictures of ``sizes`` (how many of each).

    Raises `SparringError` for a size that cannot be read, or whose smaller side is below 8.
    """
    if settings.crop and settings.size == "auto":
        return Geometry(
            (settings.crop, settings.crop), settings.fit, "cut out of each picture, as asked for", whole=OWN
        )
    if settings.size != "auto":
        size, reason = parse(settings.size), "asked for"
    elif len(sizes) == 1:
        size, reason = _of_one(next(iter(sizes)))
    else:
        size, reason = _of_many(sizes)
    if min(size) < LEAST:
        raise SparringError(
            f"the pictures are {show(size)}; the smaller side must be {LEAST} or more: "
            f"enlarge them with --data.size {max(size[0], LEAST)}x{max(size[1], LEAST)}"
        )
    if settings.crop > min(size):
        raise SparringError(f"data.crop {settings.crop} is more than data.size {show(size)} has; make one of them fit")
    if settings.crop:
        return Geometry((settings.crop, settings.crop), settings.fit, f"cut out of {show(size)}", whole=size)
    return Geometry(size, settings.fit, reason)


def parse(text: str) -> Size:
    """``"64"`` or ``"48x64"`` (height x width) to ``(height, width)``."""
    match = re.fullmatch(r"\s*(\d{1,6})(?:\s*[xX×]\s*(\d{1,6}))?\s*", text)
    if not match:
        raise SparringError(f"data.size is a side (64), height x width (48x64) or auto; got '{text}'")
    height = int(match[1])
    size = (height, int(match[2] or height))
    if min(size) < LEAST or max(size) > MOST:
        raise SparringError(f"data.size must lie between {LEAST} and {MOST}; got '{text}'")
    return size


def parse_range(text: str, name: str = "--range") -> Range:
    """``"0,4095"`` or ``""`` (None). Raises `SparringError`."""
    if not text:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise SparringError(f"{name} is two numbers, such as 0,4095; got '{text}'") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise SparringError(f"{name} goes up, from black to white, such as 0,4095; got '{text}'")
    return low, high


def show(size: Size) -> str:
    """``"48x64"``, height x width, as ``--data.size`` takes it."""
    return f"{size[0]}x{size[1]}"


def _of_one(size: Size) -> tuple[Size, str]:
    short = min(size)
    if short <= AUTO_MOST:
        return size, f"all pictures are {show(size)}"
    height, width = (max(4, round(side * AUTO_MOST / short / 4) * 4) for side in size)
    return (height, width), f"all pictures are {show(size)}; the short side is scaled to {AUTO_MOST}"


def _of_many(sizes: Mapping[Size, int]) -> tuple[Size, str]:
    short = median_low(sorted(min(size) for size in Counter(sizes).elements()))
    side = LEAST
    while side * 2 <= min(short, AUTO_MOST):
        side *= 2
    return (side, side), f"sizes differ; the largest power of two within the median short side ({short}), at most 256"


def fit(image: Image.Image, geometry: Geometry) -> Image.Image:
    """Bring ``image`` (L, LA, RGB or RGBA) to the size: Lanczos when it shrinks, bicubic when it grows."""
    height, width = geometry.fitted
    if geometry.fitted == OWN or image.size == (width, height):
        return image
    if geometry.fit == "stretch":
        shrinks = width * height < image.width * image.height
        return image.resize((width, height), _filter(shrinks, geometry))
    across, down = width / image.width, height / image.height
    scale = max(across, down) if geometry.fit == "crop" else min(across, down)
    if geometry.fit == "crop":
        return _crop(image, width, height, scale, geometry)
    inner = (max(1, min(width, round(image.width * scale))), max(1, min(height, round(image.height * scale))))
    small = image if inner == image.size else image.resize(inner, _filter(scale < 1, geometry))
    sheet = Image.new(image.mode, (width, height))  # black, and transparent where there is an alpha channel
    sheet.paste(small, ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return sheet


def half(image: Image.Image, part: Part) -> Image.Image:
    """One half of two pictures side by side; of an odd width the middle column belongs to neither."""
    if part == "whole":
        return image
    width = image.width // 2
    left = 0 if part == "left" else image.width - width
    return image.crop((left, 0, left + width, image.height))


def _crop(image: Image.Image, width: int, height: int, scale: float, geometry: Geometry) -> Image.Image:
    if scale == 1:  # whole pixels, so nothing is blurred
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))
    wide, high = min(image.width, width / scale), min(image.height, height / scale)
    left_edge, top_edge = (image.width - wide) / 2, (image.height - high) / 2
    box = (left_edge, top_edge, left_edge + wide, top_edge + high)
    return image.resize((width, height), _filter(scale < 1, geometry), box=box)


def _filter(shrinks: bool, geometry: Geometry) -> Image.Resampling:
    if geometry.nearest:
        return Image.Resampling.NEAREST
    return Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
