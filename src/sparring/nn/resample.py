"""Bicubic resizing as the literature on super-resolution has it: Keys' kernel, a = -1/2, and, where a picture shrinks,
widened into a filter against aliasing (MATLAB's ``imresize``; Keys 1981).

    k(x) = 3/2 |x|^3 - 5/2 |x|^2 + 1            for |x| <= 1
    k(x) = -1/2 |x|^3 + 5/2 |x|^2 - 4 |x| + 2   for 1 < |x| <= 2

Pixel i of n has its centre at (i + 1/2) / n; beyond the edges the picture is mirrored, edge pixels included. Other
libraries' bicubic (a = -3/4, no filter, or other edges) gives low-resolution pictures on which published numbers, by a
whole dB, do not hold.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor


def keys(x: Tensor) -> Tensor:
    """Keys' cubic kernel, a = -1/2."""
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, 0.0))


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """``(n, c, h, w)`` float to ``(n, c, height, width)``; differentiable. What is bright may overshoot: clamp it."""
    return _along(_along(images, 2, height), 3, width)


def enlarge(images: Tensor, scale: int) -> Tensor:
    """``(n, c, scale * h, scale * w)``."""
    return resize(images, images.shape[2] * scale, images.shape[3] * scale)


def shrink(images: Tensor, scale: int, deep: bool = False) -> Tensor:
    """``(n, c, h / scale, w / scale)`` of pictures in [-1, 1], clamped, and unless ``deep`` rounded to 8 bits as files.

    Raises `ValueError` for sides that the scale does not divide.
    """
    height, width = images.shape[2:]
    if height % scale or width % scale:
        raise ValueError(f"{width}x{height} pixels cannot be made {scale} times smaller; crop them to a multiple")
    small = resize(images, height // scale, width // scale)
    return small.clamp(-1, 1) if deep else to_8_bits(small)


def to_8_bits(images: Tensor) -> Tensor:
    """The nearest of the 256 levels that a file keeps, in [-1, 1]."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def _along(images: Tensor, axis: int, after: int) -> Tensor:
    before = images.shape[axis]
    if before == after:
        return images
    places, weights = _taps(before, after)
    shape = [1, 1, 1, 1]
    shape[axis] = after
    made = torch.zeros((), dtype=images.dtype, device=images.device)
    for place, weight in zip(places.unbind(), weights.unbind(), strict=True):
        taken = images.index_select(axis, place.to(images.device))
        made = made + taken * weight.to(images).reshape(shape)
    return made


@lru_cache(maxsize=64)
def _taps(before: int, after: int) -> tuple[Tensor, Tensor]:
    """For each tap the source of every pixel of one axis and its weight, ``(taps, after)`` each; weights sum to 1."""
    ratio = after / before
    shrinks = min(ratio, 1.0)
    reach = 2 / shrinks
    taps = math.ceil(2 * reach) + 1
    with torch.device("cpu"):
        centre = (torch.arange(after, dtype=torch.float64) + 0.5) / ratio - 0.5
        place = (centre - reach).ceil()[None] + torch.arange(taps, dtype=torch.float64)[:, None]
        weights = keys((place - centre) * shrinks)
        weights = weights / weights.sum(0)
        place = place.long() % (2 * before)  # ... 1 0 0 1 ... n-1 n-1 ... repeats after 2n
        return torch.where(place < before, place, 2 * before - 1 - place), weights
