"""A 16-bit picture of 3,000x2,000 made four times as large: memory, depth, and whether tiles can be seen.

    python benchmarks/apply_large.py [--height 2000] [--width 3000] [--run RUN] [--report]

A small `srgan` is trained for seconds on pictures drawn here, unless a run that enlarges four times is named, then
``sparring apply`` runs in a process of its own, whose peak memory and CPU seconds are measured. A square out of the
picture, larger than the margins that the network sees, goes through it whole: away from its borders it is to be what
the tiles made there. That says something of how tiles are blended only where the network sees further than half of
their overlap, which is measured too: one pixel is changed, and the furthest one that changes with it is looked for.
"""

import argparse
import os
import platform
import struct
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import sparring
from sparring.core.files import write_atomic
from sparring.data.depth import Meta, read_deep
from sparring.data.strips import open_strips

RESULT = Path(__file__).parent.parent / "docs" / "results" / "apply-large.md"
SCALE, SQUARE, MARGIN = 4, 512, 32
SMALL = {"scale": SCALE, "width": 16, "blocks": 16}
OVERLAP = 16  # half of the usual, so that the network sees further than half of it
BAR = 1 / 255  # of the range
# A process takes over the peak of the one that starts it, so a small one does, and tells KiB and CPU seconds.
MEASURED = """import os, sys
_, status, usage = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
print(usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
sys.exit(status != 0)"""


def drawn(height: int, width: int, seed: int) -> np.ndarray:
    """Smooth colours with edges and grain, uint16 ``(height, width, 3)``."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, 256, (max(2, height // 40), max(2, width // 40), 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).astype(np.uint16)
    rows, columns = np.ogrid[:height, :width]
    edges = (((rows // 37 + columns // 53) % 2) * 1500).astype(np.uint16)[..., None]
    return smooth * 250 + edges + draw.integers(0, 200, (height, width, 1), dtype=np.uint16)


def trained(folder: Path) -> Path:
    """A run that has seen a few hundred crops."""
    for index in range(8):
        path = folder / "data" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray((drawn(128, 128, index) >> 8).astype(np.uint8)).save(path)
    few = {"kimg": 0.4, "batch": 8, "picture_kimg": 9.0, "referee": False}
    sparring.train(
        folder / "data", family="srgan", run=folder / "run", game=SMALL, data_settings={"crop": 48}, train=few
    )
    return folder / "run"


def applied(run: Path, source: Path, out: Path) -> tuple[float, float, float]:
    """``sparring apply`` in a process: MiB at its peak, CPU seconds, seconds."""
    start = time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "sparring", "apply", str(run), str(source), "--out", str(out)]
    command += ["--overlap", str(OVERLAP)]
    command = [sys.executable, "-c", MEASURED, *command]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"sparring apply failed: {done.stderr}")
    peak, spent = map(float, done.stdout.splitlines()[-1].split())
    return peak / 1024, spent, time.perf_counter() - start


def header(path: Path) -> tuple[int, int, int]:
    """Width, height and bits of a PNG."""
    width, height, bits = struct.unpack(">IIB", path.read_bytes()[16:25])
    return width, height, bits


def reach(run: Path) -> int:
    """How many pixels of its input away from a changed one, along a side, the result still changes."""
    side = SQUARE // 2
    picture = drawn(side, side, 7).astype(np.float32) / 32767.5 - 1
    changed = picture.copy()
    changed[side // 2, side // 2] *= -1
    one, other = (sparring.load(run).apply(torch.from_numpy(p).movedim(-1, 0), tile=0) for p in (picture, changed))
    _, columns = (one != other).any(0).nonzero().unbind(1)
    return int((columns // SCALE - side // 2).abs().max())


def largest_difference(run: Path, picture: np.ndarray, made: np.ndarray) -> float:
    """Between what tiles made and a square of the picture that went through whole, as a share of the range."""
    side = min(SQUARE, *picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    whole = sparring.load(run).apply(picture[top : top + side, left : left + side], tile=0)
    kept = slice(SCALE * MARGIN, SCALE * (side - MARGIN))
    tiles = made[SCALE * top : SCALE * (top + side), SCALE * left : SCALE * (left + side)]
    return float(np.abs(whole[kept, kept].astype(np.int64) - tiles[kept, kept]).max()) / 65535


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=2000)
    parser.add_argument("--width", type=int, default=3000)
    parser.add_argument("--run", type=Path, help="a trained srgan x4, in place of one that is trained here")
    parser.add_argument("--report", action="store_true", help=f"write {RESULT.name}")
    options = parser.parse_args()
    height, width = options.height, options.width
    if min(height, width) <= 2 * MARGIN:
        raise SystemExit(f"a picture of more than {2 * MARGIN} pixels a side has something away from its borders")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = options.run or trained(folder)
        game = sparring.load(run).game
        if game.scale != SCALE or game.spec.shape[0] != 3:
            raise SystemExit(f"{run} does not make colour pictures {SCALE} times as large")
        config, seen = game.config, reach(run)
        picture, tiny = drawn(height, width, 99), drawn(16, 16, 99)
        for path, values in ((folder / "large.png", picture), (folder / "tiny.png", tiny)):
            with open_strips("png", path, values.shape, values.dtype, Meta(), False) as file:
                file.write(values)
        base, _, _ = applied(run, folder / "tiny.png", folder / "out")
        peak, cpu, wall = applied(run, folder / "large.png", folder / "out")
        wide, high, bits = header(folder / "out" / "large.png")
        difference = largest_difference(run, picture, read_deep(folder / "out" / "large.png").values)
    values = wide * high * 3 * bits / 8 / 2**20
    rows = [
        ("input", f"{width}x{height}, 16-bit RGB PNG, {height * width * 6 / 2**20:.0f} MiB of values"),
        ("output", f"{wide}x{high}, {bits}-bit RGB PNG, {values:.0f} MiB of values"),
        ("peak memory", f"{peak:.0f} MiB, of which {base:.0f} for a picture of 16x16"),
        ("tiles against whole", f"at most {difference * 255:.4f} of 1/255 (bar: 1), {MARGIN} pixels from the borders"),
        ("seen by the network", f"{seen} pixels far; half of the overlap is {OVERLAP // 2}"),
        ("time", f"{cpu:.0f} CPU seconds on one thread, {wall:.0f} s by the clock"),
    ]
    for what, found in rows:
        print(f"{what}: {found}")
    good = (wide, high, bits) == (SCALE * width, SCALE * height, 16) and difference <= BAR and seen > OVERLAP // 2
    if options.report:
        lines = [
            "# A large picture through apply",
            "",
            f"{date.today()}, {platform.machine()}, one thread; by `python benchmarks/apply_large.py --report`:",
            f"`srgan` x{SCALE}, {config.blocks} blocks of {config.width} channels, "
            f"{'a trained run' if options.run else 'trained for seconds'}, `sparring apply` in a process",
            f"of its own, tiles of 256 with an overlap of {OVERLAP}, half of the usual. The picture is drawn,",
            f"so that anybody can repeat it; a square of {SQUARE} pixels out of its middle went through whole.",
            "",
            "| | |",
            "|---|---|",
            *(f"| {what} | {found} |" for what, found in rows),
            "",
        ]
        write_atomic(RESULT, "\n".join(lines).encode())
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
