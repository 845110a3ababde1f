"""Sample grids over time: where they lie, and the film made of them."""

import io
import math
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from sparring.core.files import write_atomic
from sparring.core.folder import RunFolder
from sparring.core.observer import Tick, Watcher

T = TypeVar("T")

GRID = re.compile(r"(\d+)\.(\d{3})k\.png")
FRAMES = 60
SIDE = 512
MOST_BYTES = 3_000_000
FRAME_MS, LAST_FRAME_MS = 120, 2000


def grid_path(folder: RunFolder, nimg: int) -> Path:
    """Where the sample grid at ``nimg`` images lies: ``samples/000012.345k.png``. Sorted by name is sorted by time."""
    return folder.samples / f"{nimg // 1000:06d}.{nimg % 1000:03d}k.png"


def grids(folder: RunFolder) -> list[tuple[int, Path]]:
    """``(nimg, path)`` of every sample grid, oldest first; other files in the folder are none of ours."""
    paths = folder.samples.glob("*k.png") if folder.samples.is_dir() else ()
    named = [(GRID.fullmatch(path.name), path) for path in paths]
    return sorted((int(match[1] + match[2]), path) for match, path in named if match)


def pick(items: Sequence[T], most: int) -> list[T]:
    """At most ``most`` (2 or more) of ``items``, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def open_picture(path: Path) -> Image.Image | None:
    """A whole picture, or None when it is gone or damaged (a run may have died while writing it)."""
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except (OSError, SyntaxError, ValueError):  # Pillow's decoders raise all three
        return None


def opaque(image: Image.Image, square: int = 8) -> Image.Image:
    """As RGB; what is transparent shows a checkerboard."""
    if image.mode not in ("LA", "RGBA"):
        return image.convert("RGB")
    rows, columns = np.indices((image.height, image.width)) // square
    board = np.where((rows + columns) % 2, 204, 255).astype(np.uint8)
    base = Image.fromarray(board).convert("RGBA")
    return Image.alpha_composite(base, image.convert("RGBA")).convert("RGB")


def shrunk(image: Image.Image, side: int) -> Image.Image:
    """The picture with neither side longer than ``side``; never enlarged."""
    scale = side / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


class Timelapse(Watcher):
    """Keeps ``samples/timelapse.gif`` nearly up to date.

    A film is made every ``every`` pictures if that costs no more than 2% of the time, and at the end.
    """

    def __init__(self, folder: RunFolder, every: int = 5):
        self.folder, self.every = folder, every
        self.new, self.cost, self.made = 0, 0.0, -math.inf

    def start(self, nimg: int, total_nimg: int) -> None:
        self._drop_after(nimg)

    def tick(self, tick: Tick) -> None:
        pass

    def picture(self, path: Path, nimg: int) -> None:
        self._drop_after(nimg)
        self.new += 1
        if self.new >= self.every and time.monotonic() - self.made >= 50 * self.cost:
            self._make()

    def finish(self) -> None:
        if self.new:
            self._make()

    def _drop_after(self, nimg: int) -> None:
        """Drop the grids of a future that was lost: a run that is set back draws its own."""
        for at, path in grids(self.folder):
            if at > nimg:
                path.unlink(missing_ok=True)

    def _make(self) -> None:
        begun = time.monotonic()
        make_timelapse(self.folder)
        self.new, self.made = 0, time.monotonic()
        self.cost = self.made - begun


def make_timelapse(folder: RunFolder, most_bytes: int = MOST_BYTES) -> Path | None:
    """Write ``samples/timelapse.gif`` from the sample grids, smaller than ``most_bytes``; None with fewer than two."""
    opened = (open_picture(path) for _, path in pick(grids(folder), FRAMES))
    frames = [shrunk(opaque(image), SIDE) for image in opened if image is not None]
    if len(frames) < 2:
        return None
    palette = _palette(frames)
    side = max(frames[-1].size)
    trial = pick(frames, 6)  # a few frames tell how large all of them will be
    expected = len(_film(trial, palette, side)) * len(frames) / len(trial)
    while True:
        if expected > most_bytes:
            side = max(16, min(side - 1, int(side * math.sqrt(0.9 * most_bytes / expected))))
        film = _film(frames, palette, side)
        if len(film) <= most_bytes or side == 16:
            break
        expected = len(film)
    path = folder.samples / "timelapse.gif"
    write_atomic(path, film)
    return path


def _palette(frames: Sequence[Image.Image]) -> Image.Image:
    """256 colours for all frames, so that colours do not flicker; found on thumbnails, because finding them is slow."""
    thumbnails = [frame.resize((64, 64)) for frame in pick(frames, 12)]
    sheet = Image.new("RGB", (64 * len(thumbnails), 64))
    for place, thumbnail in enumerate(thumbnails):
        sheet.paste(thumbnail, (64 * place, 0))
    return sheet.quantize()


def _film(frames: Sequence[Image.Image], palette: Image.Image, side: int) -> bytes:
    size = shrunk(frames[-1], side).size
    drawn = [ImageOps.pad(frame, size).quantize(palette=palette) for frame in frames]  # dithers by itself
    times = [FRAME_MS] * (len(drawn) - 1) + [LAST_FRAME_MS]
    file = io.BytesIO()
    drawn[0].save(file, "GIF", save_all=True, append_images=drawn[1:], duration=times, loop=0)
    return file.getvalue()
