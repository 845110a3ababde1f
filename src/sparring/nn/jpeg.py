"""What JPEG loses (ITU-T T.81): colours at half the size, then every 8x8 block's cosines rounded to steps by quality.

Entropy coding loses nothing and is left out. Tables and their scaling by quality are those of libjpeg.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

BLOCK = 8
LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99, *([99] * 32)),
)
# Rows make Y, Cb and Cr of red, green and blue, full range.
YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def jpeg(images: Tensor, quality: float) -> Tensor:
    """``(n, 1 or 3, h, w)`` in [-1, 1] as it comes back from a file of that quality, 1 to 100."""
    levels = ((images.clamp(-1, 1) + 1) * 127.5).round()
    height, width = levels.shape[2:]
    levels = pad(levels, (0, -width % 16, 0, -height % 16), mode="replicate")
    if images.shape[1] == 3:
        mix = torch.tensor(YCC, dtype=torch.float64)
        light, *colours = torch.einsum("ij,njhw->nihw", mix.to(levels), levels).split(1, 1)
        light = _blocks(light - 128, LUMA, quality) + 128
        colours = [
            interpolate(_blocks(avg_pool2d(colour, 2), CHROMA, quality), scale_factor=2.0, mode="bilinear")
            for colour in colours
        ]
        back = torch.linalg.inv(mix).to(levels)
        levels = torch.einsum("ij,njhw->nihw", back, torch.cat([light, *colours], 1))
    else:
        levels = _blocks(levels - 128, LUMA, quality) + 128
    return levels[:, :, :height, :width].round().clamp(0, 255) / 127.5 - 1


def table(base: tuple[int, ...], quality: float) -> Tensor:
    """The step of each cosine, ``(8, 8)``, 1 to 255."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    steps = ((torch.tensor(base, dtype=torch.float64) * scale + 50) / 100).floor().clamp(1, 255)
    return steps.reshape(BLOCK, BLOCK)


def _blocks(plane: Tensor, base: tuple[int, ...], quality: float) -> Tensor:
    """``(n, c, h, w)``, sides of 8 or multiples, with every block's cosines rounded."""
    n, c, height, width = plane.shape
    blocks = plane.reshape(n, c, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(3, 4)
    wave, steps = _cosines().to(plane), table(base, quality).to(plane)
    kept = (wave @ blocks @ wave.T / steps).round() * steps
    return (wave.T @ kept @ wave).transpose(3, 4).reshape(n, c, height, width)


@lru_cache(maxsize=1)
def _cosines() -> Tensor:
    """The orthonormal cosine transform of 8 values."""
    place = torch.arange(BLOCK, dtype=torch.float64)
    wave = torch.cos((2 * place[None, :] + 1) * place[:, None] * math.pi / (2 * BLOCK)) / 2
    wave[0] /= math.sqrt(2)
    return wave
