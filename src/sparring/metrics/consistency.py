"""Whether a larger picture is one of the small one: made small again, is it what was given?

A network may invent what a small picture cannot show, but not change what it shows. Bicubic enlarging reaches 37 dB on
Set5, four times larger; a generator that is far below that has drawn another picture.
"""

import torch
from torch import Tensor

from sparring.core.errors import SparringError
from sparring.metrics.fidelity import psnr
from sparring.nn.resample import resize


def consistency(made: Tensor, given: Tensor) -> Tensor:
    """PSNR of ``made``, shrunk by antialiased bicubic (nn/resample.py), against ``given``; ``(n,)`` in dB.

    Args:
        made: uint8 ``(n, c, h, w)``.
        given: uint8 ``(n, c, h / scale, w / scale)``.

    Raises:
        SparringError: other types, counts or channels, or sides that are no whole number of times as large.
    """
    if made.dtype != torch.uint8 or given.dtype != torch.uint8 or made.shape[:2] != given.shape[:2]:
        raise SparringError(
            f"consistency compares as many pictures in uint8; got {tuple(made.shape)} {made.dtype} and "
            f"{tuple(given.shape)} {given.dtype}"
        )
    height, width = given.shape[2:]
    scale = made.shape[2] // height
    if scale < 1 or (made.shape[2], made.shape[3]) != (scale * height, scale * width):
        raise SparringError(
            f"pictures of {made.shape[3]}x{made.shape[2]} are no whole number of times as large as {width}x{height}"
        )
    small = resize(made.double(), height, width).round().clamp(0, 255).to(torch.uint8)
    return psnr(small, given)
