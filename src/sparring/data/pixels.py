"""Channels of decoded pixels: the fewest that hold a picture, and the way from any number to any other."""

import numpy as np

from sparring.modalities.image import MODES

LUMA = (0.299, 0.587, 0.114)  # ITU-R 601
NAMES = {1: "grey", 2: "grey with transparency", 3: "colour", 4: "colour with transparency"}


def fewest(pixels: np.ndarray) -> np.ndarray:
    """Drop channels that say nothing: an opaque alpha, and colour where red, green and blue agree.

    Args:
        pixels: ``(..., h, w, c)`` with c of 1 to 4, uint8 or float32 in [-1, 1]. A whole set may be given: what one
            picture needs, all keep.
    """
    count = pixels.shape[-1]
    if count in (2, 4) and bool((pixels[..., -1] == _opaque(pixels)).all()):
        pixels, count = pixels[..., :-1], count - 1
    if count >= 3 and np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 1], pixels[..., 2]):
        pixels = pixels[..., [0] if count == 3 else [0, 3]]
    return pixels


def together(first: int, second: int) -> int:
    """The fewest channels that hold pictures of both counts: grey+alpha (2) and colour (3) need 4."""
    colour, alpha = max(first, second) >= 3, first in (2, 4) or second in (2, 4)
    return (3 if colour else 1) + alpha


def to_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """``(..., h, w, c)``, uint8 or float32 in [-1, 1], to ``(..., h, w, channels)``.

    Transparency that has no channel left is laid on white; colour that has none left becomes its luma (ITU-R 601).
    """
    alpha = pixels[..., -1:] if pixels.shape[-1] in (2, 4) else None
    colour = pixels[..., :-1] if alpha is not None else pixels
    if alpha is not None and channels in (1, 3):
        if pixels.dtype == np.uint8:
            share = alpha.astype(np.uint16)
            colour = ((colour * share + 255 * (255 - share) + 127) // 255).astype(np.uint8)
        else:
            colour = colour * ((alpha + 1) / 2) + (1 - alpha) / 2
    if colour.shape[-1] == 1 and channels >= 3:
        colour = np.repeat(colour, 3, axis=-1)
    elif colour.shape[-1] == 3 and channels <= 2 and pixels.dtype != np.uint8:
        colour = (colour @ np.array(LUMA, colour.dtype))[..., None]
    elif colour.shape[-1] == 3 and channels <= 2:
        red, green, blue = (colour[..., index].astype(np.uint32) for index in range(3))
        colour = ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).astype(np.uint8)[..., None]
    if channels in (2, 4):
        colour = np.concatenate(
            [colour, np.full_like(colour[..., :1], _opaque(pixels)) if alpha is None else alpha], axis=-1
        )
    return colour


def _opaque(pixels: np.ndarray) -> int:
    return 255 if pixels.dtype == np.uint8 else 1


def describe(channels: int) -> str:
    """``"RGB, colour"``."""
    return f"{MODES[channels]}, {NAMES[channels]}"
