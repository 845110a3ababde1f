"""Images: ``(channels, height, width)`` in [-1, 1]; 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sparring.core.spec import DataSpec

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
NAMES = {1: "grey", 2: "grey+alpha", 3: "RGB", 4: "RGBA"}
SHOWN, MOST = 64, 1024
ARRAY = "images"


def fits(shape: tuple[int, ...]) -> bool:
    """Whether the shape is that of a picture."""
    return len(shape) == 3 and shape[0] in MODES and min(shape) >= 1


def describe(shape: tuple[int, ...]) -> str:
    """``8x8 grey``."""
    channels, height, width = shape
    return f"{width}x{height} {NAMES[channels]}"


def to_uint8(images: Tensor) -> Tensor:
    """``[-1, 1]`` to 0..255, rounded; uint8 of the same shape."""
    return images.detach().float().mul(127.5).add(127.5).round_().clamp_(0, 255).to(torch.uint8)


def to_uint16(images: Tensor) -> Tensor:
    """``[-1, 1]`` to 0..65535, rounded; uint16 of the same shape."""
    return images.detach().double().add(1).mul(32767.5).round_().clamp_(0, 65535).to(torch.uint16)


def from_uint8(pixels: Tensor) -> Tensor:
    """0..255 to ``[-1, 1]``, float32 of the same shape."""
    return pixels.float().div_(127.5).sub_(1)


def decode(kept: Tensor, spec: DataSpec | None = None) -> Tensor:
    """Data sets keep uint8, and float32 in [-1, 1] where 8 bits would not do."""
    return kept if kept.is_floating_point() else from_uint8(kept)


def array(images: Tensor, spec: DataSpec | None = None) -> np.ndarray:
    """uint8 ``(n, h, w, c)``."""
    pixels: np.ndarray = to_uint8(images).movedim(1, -1).cpu().numpy()
    return pixels


def picture(image: Tensor) -> Image.Image:
    """One sample ``(c, h, w)`` as a PIL image."""
    pixels = to_uint8(image).permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(np.ascontiguousarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels))


def grid(
    images: Tensor, columns: int = 0, gap: int = 2, least_side: int = 512, spec: DataSpec | None = None
) -> Image.Image:
    """Samples ``(n, c, h, w)`` as one picture, enlarged by a whole factor so that its width is about ``least_side``."""
    n, channels, height, width = images.shape
    columns = columns or max(1, min(n, round(math.sqrt(n * height / width))))
    rows = math.ceil(n / columns)
    scale = max(1, least_side // (columns * (width + gap)))
    cell = (width * scale, height * scale)
    mode = MODES[channels] if channels > 1 else "L"
    background = 0 if mode == "L" else (0,) * len(mode)
    sheet = Image.new(mode, (columns * (cell[0] + gap) - gap, rows * (cell[1] + gap) - gap), background)
    for index, image in enumerate(images):
        tile = picture(image).resize(cell, Image.Resampling.NEAREST)
        sheet.paste(tile, ((index % columns) * (cell[0] + gap), (index // columns) * (cell[1] + gap)))
    return sheet


def write_files(
    parts: Iterable[tuple[Sequence[int], Tensor]], folder: Path, spec: DataSpec | None = None
) -> Iterator[int]:
    """A PNG for each seed, ``seed00000007.png``; yields how many each part had."""
    for seeds, images in parts:
        for seed, image in zip(seeds, images, strict=True):
            picture(image).save(folder / f"seed{seed:08d}.png")
        yield len(images)
