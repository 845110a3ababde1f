"""How soon is the tutorial's quality reached? Fashion-MNIST, in CPU minutes of one thread.

    python benchmarks/time_to_quality.py FASHION_MNIST_FOLDER [--seeds 0 1 2] [--workers 2] [--report]

The yardstick is what a person would otherwise run: the tutorial's loop, as it is written, for 30 CPU minutes. How many
pictures it shows in that time is measured first, on this machine. Its networks are then trained for so many pictures
by the engine, whose mathematics are the same (docs/speed.md), in less time; with the first seed once more in bf16, to
see what that does to quality. Beside it the recipe `dcgan_fashion_cpu` is trained in stretches, each of which ends by a
mark of CPU time, start and verdict included; at each mark the model is kept and judged. What was finished is not done
again.
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
MARKS = (1.5, 3.0, 4.5, 6.0)
SAMPLES, BATCH = 10_000, 32
FIRST_KIMG = 4.0  # of the stretch that shows how fast the recipe is
PRECISIONS = {"fp32": "tutorial", "bf16": "low"}  # and the names of their runs
QUIET = ["--train.save_kimg", "1000", "--train.picture_kimg", "1000"]


def literal_kimg(folder: Path) -> float:
    """Thousands of pictures that the tutorial's loop shows in `YARDSTICK` minutes of one thread."""
    kept = folder / "literal.json"
    if not kept.is_file():
        program = "import json, tutorial_loop as t; print(json.dumps([cpu for _, cpu in t.literal(60).laps[10:]]))"
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


def train(run: Path, settings: list[str], kimg: float, data: str, seed: int) -> float:
    """CPU seconds of one ``sparring train``, which goes on where an earlier one ended."""
    length = ["--train.kimg", f"{kimg:g}", "--train.seed", str(seed)]
    command = [sys.executable, "-m", "sparring", "train", data, "--run", str(run), *settings, *length, *QUIET]
    return timed(command, run.parent / "log.txt")


def yardstick(data: str, folder: Path, seed: int, kimg: float, precision: str) -> None:
    """The tutorial's networks for so many pictures."""
    name = f"{PRECISIONS[precision]}-{seed}"
    run, note = folder / name, folder / f"{name}.json"
    if not note.is_file():
        shutil.rmtree(run, ignore_errors=True)
        shape = ["--family", "tutorial", "--data.size", "32", "--data.channels", "3", "--train.precision", precision]
        note.write_text(json.dumps({"kimg": kimg, "cpu_seconds": train(run, shape, kimg, data, seed)}))


def recipe(data: str, folder: Path, seed: int) -> None:
    """The recipe, up to the last mark: each stretch is as long as the pace so far allows, and a twentieth less."""
    run, begun = folder / f"dcgan-{seed}", folder / f"dcgan-{seed}.begun"
    if begun.is_file():  # a stretch that was cut: nobody knows what it took, so this seed begins anew
        for path in folder.glob(f"dcgan-{seed}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    spent, kimg = 0.0, FIRST_KIMG
    for mark in (0.0, *MARKS):
        note = folder / f"dcgan-{seed}-{mark:g}.json"
        if not note.is_file():
            if not mark:
                shutil.rmtree(run, ignore_errors=True)
            begun.touch()
            seconds = train(run, ["--recipe", "dcgan_fashion_cpu"], kimg, data, seed)
            shutil.copytree(run / "model", folder / f"dcgan-{seed}-{mark:g}", dirs_exist_ok=True)
            note.write_text(json.dumps({"kimg": kimg, "cpu_seconds": spent + seconds}))
            begun.unlink()
        record = json.loads(note.read_text())
        spent, index = record["cpu_seconds"], MARKS.index(mark) + 1 if mark else 0
        if index < len(MARKS):
            kimg = round(max(record["kimg"] + 1, record["kimg"] * 0.95 * MARKS[index] * 60 / spent), 1)


def judged(note: Path, model: Path, judge: Judge) -> dict[str, float]:
    """What the note says, and the distance of the model, which is added to the note."""
    record = json.loads(note.read_text())
    if "distance" not in record:
        record["distance"] = judge.judge(load(model), SAMPLES).distance
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
        wanted = judged(folder / f"tutorial-{seed}.json", folder / f"tutorial-{seed}", judge)
        marks = [judged(folder / f"dcgan-{seed}-{m:g}.json", folder / f"dcgan-{seed}-{m:g}", judge) for m in MARKS]
        reached = [m["cpu_seconds"] / 60 for m in marks if m["distance"] <= wanted["distance"]]
        met += bool(reached) and reached[0] <= BAR
        low = [judged(folder / f"low-{seed}.json", folder / f"low-{seed}", judge)] if seed == options.seeds[0] else []
        cells = [f"{one['distance']:.2f} ({one['cpu_seconds'] / 60:.1f} min)" for one in (wanted, *low, *marks)]
        cells[1:1] = [] if low else ["–"]
        rows.append(f"| {seed} | {' | '.join(cells)} | {f'{reached[0]:.1f} min' if reached else 'not'} |")
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
        "too. `dcgan_fashion_cpu` was kept and judged at marks. Minutes are CPU time of whole commands.",
        "",
        "Distance: Fréchet distance between 10,000 samples (seeds from 0) and the 10,000 test pictures in the",
        f"penultimate layer of a classifier fitted on the training pictures, right on {judge.accuracy:.1%} of the test",
        "set; pictures of other sizes and channels are brought to 28x28 grey first. Lower is better.",
        "",
        f"Bar: the tutorial's distance after {YARDSTICK:g} minutes is reached within {BAR:g}. "
        f"**{met} of {len(rows)} seeds meet it.**",
        "",
        f"| seed | tutorial, {kimg:g} kimg | the same in bf16 | "
        + " | ".join(f"dcgan, {m:g} min" for m in MARKS)
        + " | reached at |",
        "|---|---|---|" + "---|" * (len(MARKS) + 1),
        *rows,
        "",
        f"## Samples, seed {options.seeds[0]}",
        "",
        "The first, not chosen.",
        "",
    ]
    for name, model in (("tutorial", f"tutorial-{options.seeds[0]}"), ("dcgan", f"dcgan-{options.seeds[0]}-{BAR:g}")):
        picture = PAGE.parent / f"time-to-quality-{name}.png"
        grid(load(options.folder / model).sample(60), columns=20, least_side=1100).save(picture)
        lines += [f"**{name}**", "", f"![samples of {name}]({picture.name})", ""]
    PAGE.write_text("\n".join(lines), encoding="utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
