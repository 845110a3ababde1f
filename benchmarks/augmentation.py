"""Does a GAN's data help a classifier of rare classes? The page docs/results/augmentation.md, whatever the answer.

    python benchmarks/augmentation.py MNIST_FOLDER pneumoniamnist.npz [--minutes 2] [--seeds 5] [--gan-seeds 0]

MNIST at 16 pixels, five classes cut to 50 training pictures and five to 1,000; validation on 2,000 other training
pictures, test on the 10,000 test pictures. PneumoniaMNIST at 28 pixels, whole, with its own validation and test parts;
the file at hand may lack some of the official training pictures, and the page says how many it has. A cgan, shown each
class equally often, learns the very pictures that the classifiers learn; each takes about the asked CPU minutes on one
thread. Then `sparring augment --study`. What was finished is not done again: stop at any time and say the same again.
"""

import argparse
import json
import os
import platform
import shutil
import sys
from datetime import date
from pathlib import Path

import numpy as np
import torch
from images import timed
from mnist_judge import read

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results" / "augmentation.md"
SIZES = {"mnist": 16, "pneumonia": 28}
RARE, COMMON, CHOICE = 50, 1000, 200  # MNIST's training pictures of each class, and those for validation
FIRST = 4.0  # kimg of a first stretch, to see how fast it goes
WORDS = {
    "mnist": "MNIST, five classes cut to 50 pictures",
    "pneumonia": "PneumoniaMNIST, as imbalanced as its file",
}


def cut_mnist(source: Path, folder: Path) -> None:
    """Digits 0 to 4 common, 5 to 9 rare; pictures in the order of the files."""
    images, labels = read(source, "train")
    taught, chosen = [], []
    for digit in range(10):
        own = torch.where(labels == digit)[0]
        taught.append(own[: COMMON if digit < 5 else RARE])
        chosen.append(own[-CHOICE:])
    for part, places in (("train", torch.cat(taught)), ("validation", torch.cat(chosen))):
        keep(folder / f"mnist-{part}.npz", images[places, 0].numpy(), labels[places].numpy())
    test, answers = read(source, "t10k")
    keep(folder / "mnist-test.npz", test[:, 0].numpy(), answers.numpy())


def cut_pneumonia(source: Path, folder: Path) -> None:
    """The three parts of the file, one each."""
    with np.load(source, allow_pickle=False) as arrays:
        for part, name in (("train", "train"), ("validation", "val"), ("test", "test")):
            keep(folder / f"pneumonia-{part}.npz", arrays[f"{name}_images"], arrays[f"{name}_labels"].ravel())


def keep(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """As sparring reads sets in one file."""
    np.savez(path, images=images, labels=labels.astype(np.int64))


def train(name: str, seed: int, folder: Path, minutes: float) -> dict[str, float]:
    """One run in three stretches, each as long as those before it say; what it took, in kimg and CPU seconds."""
    run, note = folder / f"{name}-{seed}", folder / f"{name}-{seed}.json"
    if not note.exists():
        shutil.rmtree(run, ignore_errors=True)
        settings = ["--family", "cgan", "--data.balance", "--data.size", str(SIZES[name]), "--train.seed", str(seed)]
        quiet = ["--train.save_kimg", "1000", "--train.picture_kimg", "1000", "--train.tick_kimg", "5"]
        spent, kimg = 0.0, FIRST
        for share in (0.5, 1.0, 1.0):  # of the minutes, that the next one goes to
            length = ["--train.kimg", f"{kimg:g}"]
            command = ["-m", "sparring", "train", str(folder / f"{name}-train.npz"), "--run", str(run)]
            spent += timed([sys.executable, *command, *settings, *quiet, *length], folder / "log.txt")
            done, kimg = kimg, max(kimg, round(kimg * share * minutes * 60 / spent, 1))
        note.write_text(json.dumps({"kimg": done, "cpu_seconds": spent}))
    record: dict[str, float] = json.loads(note.read_text())
    print(f"{name} seed {seed}: {record['kimg']:g} kimg in {record['cpu_seconds']:.0f} CPU seconds", flush=True)
    return record


def study(name: str, seed: int, folder: Path, seeds: int, updates: int) -> tuple[str, float]:
    """The page of one study, without its heading, and CPU seconds."""
    out, note = folder / f"{name}-{seed}-study", folder / f"{name}-{seed}-study.json"
    if not note.exists():
        sides = [f"--{part}={folder / f'{name}-{part}.npz'}" for part in ("validation", "test")]
        length = ["--seeds", str(seeds), "--updates", str(updates), "--out", str(out)]
        command = ["-m", "sparring", "augment", str(folder / f"{name}-{seed}"), "--study", "--device", "cpu"]
        note.write_text(json.dumps(timed([sys.executable, *command, *sides, *length], folder / "log.txt")))
    text = (out / "study.md").read_text(encoding="utf-8").partition("\n\n")[2]
    seconds = float(json.loads(note.read_text()))
    print(f"{name} seed {seed}: study in {seconds:.0f} CPU seconds\n{text}", flush=True)
    return text, seconds


def counted(path: Path) -> str:
    """``0: 1,000, 1: 50``."""
    with np.load(path, allow_pickle=False) as arrays:
        counts = np.bincount(arrays["labels"])
    return ", ".join(f"{label}: {count:,}" for label, count in enumerate(counts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path, help="folder with the four files of MNIST")
    parser.add_argument("pneumonia", type=Path, help="pneumoniamnist.npz")
    parser.add_argument("--minutes", type=float, default=2.0, help="CPU minutes a generator")
    parser.add_argument("--seeds", type=int, default=5, help="classifiers in each arm")
    parser.add_argument("--updates", type=int, default=250, help="steps of each classifier")
    parser.add_argument("--gan-seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "augmentation")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, cut, source in (("mnist", cut_mnist, options.mnist), ("pneumonia", cut_pneumonia, options.pneumonia)):
        if not (folder / f"{name}-test.npz").exists():
            cut(source, folder)
    sections = []
    for name, words in WORDS.items():
        parts = "; ".join(
            f"{part}: {counted(folder / f'{name}-{part}.npz')}" for part in ("train", "validation", "test")
        )
        sections += ["", f"## {words}", "", f"{SIZES[name]}x{SIZES[name]} pixels. Pictures of each class: {parts}."]
        for seed in options.gan_seeds:
            record = train(name, seed, folder, options.minutes)
            text, seconds = study(name, seed, folder, options.seeds, options.updates)
            made = f"{record['kimg']:g} kimg in {record['cpu_seconds']:.0f} CPU seconds"
            sections += ["", f"### Generator of seed {seed}: {made}; study in {seconds:.0f}", "", text.rstrip()]
    said = f"--minutes {options.minutes:g} --seeds {options.seeds} --updates {options.updates} --gan-seeds"
    lines = [
        "# Does a GAN's data help a classifier?",
        "",
        f"`python benchmarks/augmentation.py MNIST pneumoniamnist.npz {said} {' '.join(map(str, options.gan_seeds))}`,",
        f"{date.today()}, Python {platform.python_version()}, torch {torch.__version__}; one thread, {os.cpu_count()} "
        f"cores, {platform.machine()}. `cgan` with `--data.balance`. No run is left out.",
        "",
        "What an arm is, and what the intervals cover and do not, is said in [Augmentation](../augmentation.md).",
        *sections,
        "",
    ]
    options.page.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
