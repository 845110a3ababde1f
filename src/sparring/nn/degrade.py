"""What photographs suffer on their way: blur, resizing, noise, JPEG, and all of it twice (Wang et al. 2021).

Everything is drawn from uniform numbers that are handed over, one row a picture, so that a seed gives the same damage
in any batch. Pictures are ``(n, c, h, w)`` in [-1, 1]; nothing here needs a gradient.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

from sparring.nn.jpeg import jpeg
from sparring.nn.resample import resize

TAPS = 21  # of every kernel, the small ones with zeros around them
BLUR_NUMBERS, STAGE_NUMBERS = 8, 16
NUMBERS = 2 * STAGE_NUMBERS + BLUR_NUMBERS + 4


@dataclass(frozen=True)
class Stage:
    """One of the two rounds; pairs are the lowest and highest value.

    Attributes:
        blurred: how often there is a blur at all.
        sigma: of the blur, in pixels.
        grows, shrinks: how often the size is changed either way.
        size: factors that it is changed by.
        noise: standard deviation of Gaussian noise, of 255.
        shot: of shot noise: its deviation is this times the root of brightness / 255, brightness from 0 to 1.
        quality: of JPEG.
    """

    blurred: float
    sigma: tuple[float, float]
    grows: float
    shrinks: float
    size: tuple[float, float]
    noise: tuple[float, float]
    shot: tuple[float, float]
    quality: tuple[float, float] = (30.0, 95.0)


FIRST = Stage(1.0, (0.2, 3.0), 0.2, 0.7, (0.15, 1.5), (1.0, 30.0), (0.05, 3.0))
SECOND = Stage(0.8, (0.2, 1.5), 0.3, 0.4, (0.3, 1.2), (1.0, 25.0), (0.05, 2.5))
# How often a kernel is isotropic or not, each plain, with heavier or lighter tails, or with a plateau; in pairs.
KINDS = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)
SINC, LAST_SINC = 0.1, 0.8


def degrade(images: Tensor, numbers: Tensor, noise: Tensor, scale: int, strength: float = 1.0) -> Tensor:
    """Both rounds, then a last ringing filter and JPEG; ``(n, c, h / scale, w / scale)``.

    Args:
        numbers: ``(n, NUMBERS)`` in [0, 1).
        noise: standard normal, ``(n, 2 * c, h, w)``.
        strength: how much of each change is kept: 1 is the paper's, 0 leaves nothing but a smaller picture.
    """
    if images.is_meta:  # there is nothing to draw from
        return images[:, :, ::scale, ::scale]
    made = []
    for image, row, plane in zip(images, numbers, noise, strict=True):  # each has sizes of its own
        made.append(_degrade_one(image[None], row.tolist(), plane[None], scale, strength))
    return torch.cat(made)


def _degrade_one(image: Tensor, row: Sequence[float], noise: Tensor, scale: int, strength: float) -> Tensor:
    channels, height, width = image.shape[1:]
    small = (height // scale, width // scale)
    x = image
    for number, stage in enumerate((FIRST, SECOND)):
        own = row[number * STAGE_NUMBERS : (number + 1) * STAGE_NUMBERS]
        if own[8] < stage.blurred:
            x = torch.lerp(x, _filter(x, blur_kernel(own[:8], stage.sigma)), strength)
        x = _change_size(x, stage, own[9], own[10], (height, width) if number == 0 else small, strength)
        x = _add_noise(x, stage, own[11], own[12], noise[:, number * channels : (number + 1) * channels], strength)
        if number == 0:
            x = torch.lerp(x, jpeg(x, between(stage.quality, own[13])), strength)
    last = row[2 * STAGE_NUMBERS :]
    kernel = sinc_kernel(math.pi * (1 + 2 * last[1]) / 3)
    quality = between(SECOND.quality, last[2])
    if last[3] < 0.5:  # the two orders of the paper: JPEG first or last
        x = torch.lerp(x, jpeg(x, quality), strength)
    x = resize(x, *small).clamp(-1, 1)
    x = torch.lerp(x, _filter(x, kernel), strength) if last[0] < LAST_SINC else x
    return x if last[3] < 0.5 else torch.lerp(x, jpeg(x, quality), strength)


def between(ends: tuple[float, float], uniform: float) -> float:
    """From the first to the last of both."""
    return ends[0] + (ends[1] - ends[0]) * uniform


def _change_size(
    x: Tensor, stage: Stage, which: float, how_much: float, around: tuple[int, int], strength: float
) -> Tensor:
    low, high = stage.size
    if which < stage.grows:
        factor = 1 + (high - 1) * how_much * strength
    elif which < stage.grows + stage.shrinks:
        factor = 1 - (1 - low) * how_much * strength
    else:
        factor = 1.0
    height, width = (max(8, round(side * factor)) for side in around)
    rule = int(which * 1000) % 3  # area, bilinear or bicubic
    if rule == 2:
        return resize(x, height, width).clamp(-1, 1)
    mode = "area" if rule == 0 else "bilinear"
    return interpolate(x, (height, width), mode=mode, **({} if rule == 0 else {"align_corners": False}))


def _add_noise(x: Tensor, stage: Stage, which: float, how_much: float, noise: Tensor, strength: float) -> Tensor:
    noise = noise[:, :, : x.shape[2], : x.shape[3]]
    noise = pad(noise, (0, x.shape[3] - noise.shape[3], 0, x.shape[2] - noise.shape[2]), mode="circular")
    if which * 10 % 1 < 0.4:
        noise = noise[:, :1].expand_as(x)  # grey noise
    if which < 0.5:
        return (x + strength * between(stage.noise, how_much) / 127.5 * noise).clamp(-1, 1)
    deviation = between(stage.shot, how_much) * ((x.clamp(-1, 1) + 1) / 2 / 255).sqrt()
    return (x + strength * 2 * deviation * noise).clamp(-1, 1)


# ---------------------------------------------------------------------- kernels


def blur_kernel(uniform: Sequence[float], sigma: tuple[float, float]) -> Tensor:
    """``(TAPS, TAPS)`` of sum 1: mostly Gaussian, of any direction, some with other tails, a few ringing.

    Args:
        uniform: `BLUR_NUMBERS` numbers in [0, 1).
        sigma: the least and greatest width.
    """
    size = 7 + 2 * int(uniform[0] * 8)  # 7, 9, ... 21
    if uniform[1] < SINC:
        low = math.pi / 3 if size < 13 else math.pi / 5
        return sinc_kernel(low + (math.pi - low) * uniform[2], size)
    kind = next(i for i in range(len(KINDS)) if uniform[3] < sum(KINDS[: i + 1]) or i == len(KINDS) - 1)
    first = between(sigma, uniform[4])
    second = first if kind % 2 == 0 else between(sigma, uniform[5])
    angle = 2 * math.pi * uniform[6]
    line = torch.arange(TAPS, dtype=torch.float64) - TAPS // 2
    y, x = torch.meshgrid(line, line, indexing="ij")
    along = (x * math.cos(angle) + y * math.sin(angle)) / first
    across = (-x * math.sin(angle) + y * math.cos(angle)) / second
    square = along.square() + across.square()
    if kind < 2:
        kernel = torch.exp(-square / 2)
    elif kind < 4:
        kernel = torch.exp(-(square ** (0.5 + 3.5 * uniform[7])) / 2)
    else:
        kernel = 1 / (1 + square ** (1 + uniform[7]))
    return _cut(kernel, size)


def sinc_kernel(cutoff: float, size: int = TAPS) -> Tensor:
    """A low-pass filter of the plane that rings, ``(TAPS, TAPS)`` of sum 1; ``cutoff`` in radians a pixel, up to pi."""
    line = torch.arange(TAPS, dtype=torch.float64) - TAPS // 2
    radius = torch.hypot(line[:, None], line[None, :])
    safe = radius.clamp(min=1e-9)
    kernel = cutoff * torch.special.bessel_j1(cutoff * safe) / (2 * math.pi * safe)
    kernel[TAPS // 2, TAPS // 2] = cutoff**2 / (4 * math.pi)
    return _cut(kernel, size)


def _cut(kernel: Tensor, size: int) -> Tensor:
    edge = (TAPS - size) // 2
    inside = torch.zeros_like(kernel)
    inside[edge : TAPS - edge, edge : TAPS - edge] = kernel[edge : TAPS - edge, edge : TAPS - edge]
    return inside / inside.sum()


def _filter(x: Tensor, kernel: Tensor) -> Tensor:
    edge = TAPS // 2
    mode = "reflect" if min(x.shape[2:]) > edge else "replicate"
    padded = pad(x, (edge, edge, edge, edge), mode=mode)
    taps = kernel.to(x).expand(x.shape[1], 1, TAPS, TAPS)
    return conv2d(padded, taps, groups=x.shape[1]).clamp(-1, 1)
