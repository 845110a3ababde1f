"""How soon is the tutorial's quality reached? Fashion-MNIST, in CPU minutes of one thread.

    python benchmarks/time_to_quality.py FASHION_MNIST_FOLDER [--seeds 0 1 2] [--workers 2] [--report]

The yardstick is what a person would otherwise run: the tutorial's loop, as it is written, for 30 CPU minutes. How many
pictures it shows in that time is measured first, on this machine. Its networks are then trained for so many pictures
by the engine, whose mathematics are the same (docs/speed.md), in less time; with the first seed once more in bf16, to
see what that does to quality. Beside it the recipe `dcgan_fashion_cpu` is trained from end to end, start and verdict
included. What was finished is not done again.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import torch
from images import timed
from mnist_judge import Judge

import sparring
from sparring.modalities.image import grid
from sparring.tools.run import load

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results" / "time-to-quality.md"
YARDSTICK, BAR = 30.0, 6.0  # CPU minutes
SAMPLES, BATCH = 10_000, 32
PRECISIONS = {"fp32": "tutorial", "bf16": "low"}  # and the names of their runs
QUIET = ["--train.save_kimg", "1000", "--train.picture_kimg", "1000"]


def literal_kimg(folder: Path) -> float:
    """Thousands of pictures that the tutorial's loop shows in `YARDSTICK` minutes of one thread."""
    kept = folder / "literal.json"
    if not kept.is_file():
        program = "import json, tutorial_loop as t; print(json.dumps([cpu for _, cpu in t.laps(t.literal(), 60)[10:]]))"
        done = subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parent,
        )
        kept.write_text(json.dumps(statistics.median(json.loads(done.stdout.splitlines()[-1]))))
    return round(YARDSTICK * 60 / json.loads(kept.read_text()) * BATCH / 1000, 1)


def train(folder: Path, name: str, settings: list[str], data: str, seed: int) -> None:
    """One ``sparring train``, unless it was finished before; a note keeps the CPU seconds of the whole command."""
    run, note = folder / name, folder / f"{name}.json"
    if not note.is_file():
        shutil.rmtree(run, ignore_errors=True)
        command = [sys.executable, "-m", "sparring", "train", data, "--run", str(run), "--train.seed", str(seed)]
        seconds = timed([*command, *settings, *QUIET], folder / "log.txt")
        note.write_text(json.dumps({"cpu_seconds": seconds}))


def yardstick(data: str, folder: Path, seed: int, kimg: float, precision: str) -> None:
    """The tutorial's networks for so many pictures."""
    shape = ["--family", "tutorial", "--data.size", "32", "--data.channels", "3"]
    settings = [*shape, "--train.precision", precision, "--train.kimg", f"{kimg:g}"]
    train(folder, f"{PRECISIONS[precision]}-{seed}", settings, data, seed)


def recipe(data: str, folder: Path, seed: int) -> None:
    """The recipe, as it stands."""
    train(folder, f"dcgan-{seed}", ["--recipe", "dcgan_fashion_cpu"], data, seed)


def judged(folder: Path, name: str, judge: Judge) -> dict[str, float]:
    """What is known of a run, and the distance of its samples, which is added to the note; nothing of one not made."""
    note = folder / f"{name}.json"
    if not note.is_file():
        return {}
    record: dict[str, float] = json.loads(note.read_text())
    if "distance" not in record:
        record["distance"] = judge.judge(load(folder / name), SAMPLES).distance
        note.write_text(json.dumps(record))
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="folder with the four files of Fashion-MNIST")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=2, help="runs side by side, one thread each")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "time-to-quality")
    parser.add_argument("--report", action="store_true", help="write docs/results/time-to-quality.md")
    options = parser.parse_args()
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    kimg = literal_kimg(folder)
    with ThreadPoolExecutor(options.workers) as pool:
        jobs = [pool.submit(recipe, options.data, folder, seed) for seed in options.seeds]
        jobs += [pool.submit(yardstick, options.data, folder, seed, kimg, "fp32") for seed in options.seeds]
        jobs += [pool.submit(yardstick, options.data, folder, options.seeds[0], kimg, "bf16")]
        for job in jobs:
            job.result()
    judge = Judge(Path(options.data), name="fashion")
    rows, met = [], 0
    for seed in options.seeds:
        runs = [judged(folder, f"{run}-{seed}", judge) for run in (*PRECISIONS.values(), "dcgan")]
        wanted, reached = runs[0], runs[-1]
        met += reached["distance"] <= wanted["distance"] and reached["cpu_seconds"] <= BAR * 60
        cells = [f"{run['distance']:.2f} | {run['cpu_seconds'] / 60:.1f}" if run else "– | –" for run in runs]
        rows.append(f"| {seed} | {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    if options.report:
        write(options, kimg, judge, rows, met)


def write(options: argparse.Namespace, kimg: float, judge: Judge, rows: list[str], met: int) -> None:
    """docs/results/time-to-quality.md and its pictures."""
    seeds = " ".join(map(str, options.seeds))
    lines = [
        "# Time to quality",
        "",
        f"`python benchmarks/time_to_quality.py FASHION_MNIST --seeds {seeds} --report`, {date.today()}, sparring",
        f"{sparring.__version__}, torch {torch.__version__}, Python {platform.python_version()}; one thread of",
        f"{os.cpu_count()} cores, {platform.machine()}. No run is left out.",
        "",
        f"The tutorial's loop, as it is written, shows {kimg:g} thousand pictures in {YARDSTICK:g} CPU minutes here.",
        "Its networks were trained for so many pictures of Fashion-MNIST by the engine, with the first seed in bf16",
        "too. Beside them the recipe `dcgan_fashion_cpu`, as it stands; its rate and its length were settled on by two",
        "runs of seeds 0 and 10. Minutes are CPU time of whole commands: start, training, verdict.",
        "",
        "Distance: Fréchet distance between 10,000 samples (seeds from 0) and the 10,000 test pictures in the",
        f"penultimate layer of a classifier fitted on the training pictures, right on {judge.accuracy:.1%} of the test",
        "set; pictures of other sizes and channels are brought to 28x28 grey first. Lower is better.",
        "",
        f"Bar: the tutorial's distance after {YARDSTICK:g} minutes, with the same seed, is reached within {BAR:g}. "
        f"**{met} of {len(rows)} seeds meet it.**",
        "",
        "| seed | tutorial | minutes | tutorial in bf16 | minutes | dcgan_fashion_cpu | minutes |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"## Samples, seed {options.seeds[0]}",
        "",
        "The first, not chosen.",
        "",
    ]
    for name, model in (("tutorial", f"tutorial-{options.seeds[0]}"), ("dcgan", f"dcgan-{options.seeds[0]}")):
        picture = PAGE.parent / f"time-to-quality-{name}.png"
        grid(load(options.folder / model).sample(60), columns=20, least_side=1100).save(picture)
        lines += [f"**{name}**", "", f"![samples of {name}]({picture.name})", ""]
    PAGE.write_text("\n".join(lines), encoding="utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
