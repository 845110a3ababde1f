"""Stacked-MNIST: how many of 1,000 modes does a run of 30 CPU minutes reach?

    python benchmarks/stacked_mnist.py MNIST_FOLDER [--kimg 800] [--seed 0]

Three digits at random become the red, green and blue of one picture (Metz et al. 2017; Srivastava et al. 2017): there
are 1,000 kinds of picture, each equally likely. 26,000 samples are counted, as in those papers: a mode is reached when
at least one sample is recognised as it by a classifier of single digits; the KL divergence is that of the samples'
modes from the uniform distribution. The training set (50,000 pictures, seed 0) is written to runs/stacked-mnist.
"""

import argparse
import math
import os
import platform
import sys
from datetime import date
from pathlib import Path

import numpy as np
import torch
from images import timed
from mnist_judge import Judge, read

from sparring.modalities.image import grid, to_uint8
from sparring.tools.run import load

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results" / "stacked-mnist.md"
COUNT, SAMPLES, MODES = 50_000, 26_000, 1000


def stacked(folder: Path, path: Path) -> None:
    """Write the training set as ``.npy``: uint8 ``(50000, 28, 28, 3)``."""
    digits, _ = read(folder, "train")
    chosen = torch.randint(len(digits), (COUNT, 3), generator=torch.Generator().manual_seed(0))
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, torch.stack([digits[chosen[:, channel], 0] for channel in range(3)], dim=-1).numpy())


def modes(pictures: torch.Tensor, judge: Judge) -> torch.Tensor:
    """Which of the 1,000 modes each of ``(n, 3, 28, 28)`` uint8 is, int64 ``(n,)``."""
    seen = [judge.look(pictures[:, channel : channel + 1]).logits for channel in range(3)]
    hundreds, tens, ones = (logits.argmax(1) for logits in seen if logits is not None)
    return 100 * hundreds + 10 * tens + ones


def divergence(found: torch.Tensor) -> float:
    """KL(samples || uniform) over the modes, in nats."""
    shares = torch.bincount(found, minlength=MODES).double() / len(found)
    return float((shares[shares > 0] * (shares[shares > 0] * MODES).log()).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the four files of MNIST")
    parser.add_argument("--kimg", type=float, default=800.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "stacked-mnist")
    options = parser.parse_args()
    data, run = options.folder / "stacked.npy", options.folder / f"dcgan-{options.seed}"
    if not data.exists():
        stacked(options.data, data)
    settings = ["--game.width", "32", "--optim.lr", "5e-4", "--train.batch", "64", "--optim.schedule", "linear"]
    decay = ["--optim.decay-from-kimg", f"{options.kimg / 2:g}", "--train.seed", str(options.seed)]
    arguments = ["-m", "sparring", "train", str(data), "--family", "dcgan", "--run", str(run)]
    length = ["--train.kimg", f"{options.kimg:g}"]
    command = [sys.executable, *arguments, *settings, *decay, *length]
    kept = options.folder / f"dcgan-{options.seed}.seconds"
    if not kept.exists():
        kept.write_text(str(timed(command, options.folder / "log.txt")))
    seconds = float(kept.read_text())

    judge, trained = Judge(options.data), load(run)
    found = modes(to_uint8(trained.sample(SAMPLES)), judge)
    reached, kl = int((torch.bincount(found, minlength=MODES) > 0).sum()), divergence(found)
    reals = modes(torch.from_numpy(np.load(data)[:SAMPLES]).permute(0, 3, 1, 2), judge)
    best, least = int((torch.bincount(reals, minlength=MODES) > 0).sum()), divergence(reals)
    grid(trained.sample(60), columns=15, least_side=900).save(PAGE.parent / "stacked-mnist.png")
    lines = [
        "# Stacked-MNIST",
        "",
        f"`make bench-stacked DATA=...`: dcgan, width 32, {options.kimg:g} kimg, seed {options.seed}, one thread,",
        f"{math.ceil(seconds / 60)} CPU minutes ({seconds:.0f} s); {date.today()}, {os.cpu_count()} cores,",
        f"{platform.machine()}. One run, not chosen from several. {SAMPLES:,} samples (seeds from 0) are sorted into",
        f"{MODES:,} modes by a classifier of single digits, right on {judge.accuracy:.1%} of the MNIST test set.",
        "",
        "| | modes | KL |",
        "|---|---|---|",
        f"| dcgan + R1, here | {reached} | {kl:.3f} |",
        f"| as many training pictures | {best} | {least:.3f} |",
        "| R3GAN, published (Huang et al. 2024), GPU | 1000 | 0.029 |",
        "",
        "![samples](stacked-mnist.png)",
        "",
        "The least KL that 26,000 fair draws can show is about (1000 - 1) / (2 * 26000) = 0.019.",
        "",
    ]
    print("\n".join(lines))
    PAGE.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
