"""How pictures reach a network's input: every rule has a name, because the same network under another rule is another
metric (Parmar, Zhang, Zhu 2022, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation").

Pixels go in as uint8 ``(n, c, h, w)`` and come out as float32 ``(n, 3, size, size)`` on the same device.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

OPAQUE = 255


def to_rgb(images: Tensor) -> Tensor:
    """One channel is repeated; alpha (two or four channels) is laid over white, rounded half up; three stay.

    Raises `ValueError` unless ``images`` are uint8 ``(n, 1..4, h, w)``.
    """
    if images.dtype != torch.uint8 or images.dim() != 4 or not 1 <= images.shape[1] <= 4:
        raise ValueError(f"expected uint8 images (n, 1..4, h, w), not {images.dtype} {tuple(images.shape)}")
    if images.shape[1] in (2, 4):
        colour, alpha = images[:, :-1].int(), images[:, -1:].int()
        images = ((colour * alpha + OPAQUE * (OPAQUE - alpha) + OPAQUE // 2) // OPAQUE).to(torch.uint8)
    return images.expand(-1, 3, -1, -1)


# ---------------------------------------------------------------------- the three ways to the Inception network


def tf1_bilinear(images: Tensor, size: int) -> Tensor:
    """Bilinear as TensorFlow 1 had it, 0..255: the source of pixel i is i * in / out, no half-pixel centres, no filter.

    Horizontal first and in this order of operations: then every rounding is TensorFlow's (``resize_bilinear_op.cc``).
    """
    pixels = to_rgb(images).float()
    for axis in (3, 2):
        low, high, share = _tf1_sources(pixels.shape[axis], size, pixels.device)
        share = share if axis == 3 else share[:, None]
        start = pixels.index_select(axis, low)
        pixels = start + (pixels.index_select(axis, high) - start) * share
    return pixels


def _tf1_sources(before: int, after: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each pixel of one axis its two sources, and the second one's share."""
    place = torch.arange(after, dtype=torch.float32, device=device) * (before / after)
    low = place.floor().long()
    return low, (low + 1).clamp(max=before - 1), place - low


def pytorch_bilinear(images: Tensor, size: int) -> Tensor:
    """Bilinear between half-pixel centres, no filter, 0..1: what pytorch-fid does."""
    return F.interpolate(to_rgb(images).float() / 255, size=(size, size), mode="bilinear", align_corners=False)


def clean_bicubic(images: Tensor, size: int) -> Tensor:
    """Pillow's antialiased bicubic on each channel in float, clipped to 0..255, not rounded: what clean-fid does."""
    return _pillow(images, size, rounded=False)


def _pillow(images: Tensor, size: int, rounded: bool) -> Tensor:
    """Pillow's bicubic. ``rounded``: on whole 8-bit pictures, as when a file is resized and then read by a network."""
    pixels = to_rgb(images).cpu().numpy()
    resized = np.empty((len(pixels), 3, size, size), np.float32)
    for place, picture in enumerate(pixels):
        for channel, plane in enumerate(picture):
            source = Image.fromarray(plane if rounded else plane.astype(np.float32))
            resized[place, channel] = np.asarray(source.resize((size, size), Image.Resampling.BICUBIC))
    return torch.from_numpy(resized.clip(0, 255)).to(images.device)


def fid_input(rule: str) -> Callable[[Tensor], Tensor]:
    """Images to what the Inception network of FID takes: ``(n, 3, 299, 299)`` in about [-1, 1].

    ``tf1-bilinear-299`` is the original (TTUR, torch-fidelity), ``clean-bicubic-299`` is clean-fid,
    ``pytorch-bilinear-299`` is pytorch-fid: each with the normalisation that goes with it.
    """
    return _FID_INPUTS[rule]


_FID_INPUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "tf1-bilinear-299": lambda images: (tf1_bilinear(images, 299) - 128) / 128,
    "clean-bicubic-299": lambda images: (clean_bicubic(images, 299) - 128) / 128,
    "pytorch-bilinear-299": lambda images: 2 * pytorch_bilinear(images, 299) - 1,
}
FID_RULES = tuple(_FID_INPUTS)


# ---------------------------------------------------------------------- for the other networks


def antialiased(images: Tensor, size: int) -> Tensor:
    """Bilinear with half-pixel centres, widened into a filter where it shrinks, 0..255. Equal sizes pass unchanged."""
    pixels = to_rgb(images).float()
    if pixels.shape[2:] == (size, size):
        return pixels
    return F.interpolate(pixels, size=(size, size), mode="bilinear", align_corners=False, antialias=True)


def pillow_bicubic(images: Tensor, size: int) -> Tensor:
    """Pillow's antialiased bicubic on 8-bit pictures, rounded, 0..255: what DINOv2 and CLIP scores are made with."""
    return _pillow(images, size, rounded=True)


def shrink(images: Tensor, side: int) -> Tensor:
    """Average over areas until the longer side is ``side``, 0..255, channels as they are; small ones keep their size.

    Returns float32 ``(n, c, h', w')``; sides that do not divide are averaged over overlapping areas.
    """
    height, width = shrunk(images.shape[2], images.shape[3], side)
    return F.adaptive_avg_pool2d(images.float(), (height, width))


def shrunk(height: int, width: int, side: int) -> tuple[int, int]:
    """The size that `shrink` leaves: the ratio is kept, no side below one pixel."""
    ratio = min(1.0, side / max(height, width))
    return max(1, round(height * ratio)), max(1, round(width * ratio))


@cache
def imagenet_mean_std(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation of ImageNet's colours in 0..1, each ``(3, 1, 1)``."""
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], device=device)
    return mean[:, None, None], std[:, None, None]
