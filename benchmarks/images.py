"""Every image family on the same data for the same CPU minutes: the table of docs/results/images.md.

    python benchmarks/images.py MNIST_FOLDER [--minutes 1.5] [--seeds 0 1 2] [--workers 2] [--only dcgan r3gan]

MNIST_FOLDER holds the four original files. Each run has one thread to itself; its length in images is measured first,
so that it takes about the asked minutes of CPU time, and then kept for all seeds. What was finished before is not done
again: stop at any time and say the same again. Runs are kept in runs/bench-images.
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
from mnist_judge import Judge

from sparring.modalities.image import grid
from sparring.tools.run import load

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results" / "images.md"
SIZE = 16
SAMPLES = 10_000

# Where a family differs from its recipe for a CPU: narrower networks and smaller batches, so that minutes count for
# something. Chosen on seed 10, which is not in the table.
SETTINGS: dict[str, str] = {
    "vanilla": "",
    "dcgan": "--family dcgan --game.width 32 --optim.lr 5e-4 --train.batch 32",
    "tutorial": "",
    "cgan": "--recipe cgan_cpu",
    "acgan": "--recipe acgan_cpu",
    "projection": "--recipe projection_cpu --game.width 8 --train.batch 32",
    "wgan": "--recipe wgan_cpu",
    "wgan_gp": "--recipe wgan_gp_cpu --game.width 8 --train.batch 32",
    "sngan": "--recipe sngan_cpu --game.width 8 --train.batch 32",
    "sagan": "--recipe sagan_cpu --game.width 8 --train.batch 32",
    "biggan": "--recipe biggan_cpu --train.batch 32",
    "lapgan": "--recipe lapgan_cpu",
    "progressive": "--recipe progressive_cpu --game.channel_base 256 --game.channel_max 32 "
    "--game.stable_kimg {eighth} --game.fade_kimg {eighth}",  # half of the run to grow from 4 to 16 pixels
    "stylegan2": "--recipe stylegan2_cpu --game.channel_base 256 --game.channel_max 32 --train.batch 16",
    "stylegan3": "--family stylegan3 --game.layers 6 --game.channel_base 256 --game.channel_max 16 --game.z_dim 64 "
    "--game.w_dim 64 --train.batch 16",
    "fastgan": "--recipe fastgan_cpu --game.width 4",
    "r3gan": "--recipe r3gan_cpu --game.width 16 --game.burn_in_kimg 10 --train.batch 32",
}
DATA = {"tutorial": "--data.size 32 --data.channels 3"}  # its networks are made for this and nothing else


def command(family: str, data: str, run: Path, seed: int, kimg: float) -> list[str]:
    """``sparring train`` of one cell of the table."""
    settings = SETTINGS[family].format(eighth=f"{kimg / 8:g}").split()
    if "--recipe" not in settings and "--family" not in settings:
        settings = ["--family", family, *settings]
    where = DATA.get(family, f"--data.size {SIZE}").split()
    quiet = ["--train.save_kimg", str(kimg), "--train.picture_kimg", str(kimg)]
    length = ["--train.kimg", f"{kimg:g}", "--train.seed", str(seed)]
    return [sys.executable, "-m", "sparring", "train", data, "--run", str(run), *settings, *where, *length, *quiet]


def timed(arguments: list[str], log: Path) -> float:
    """Run with one thread; the CPU seconds it took."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        child = subprocess.Popen(arguments, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=file, stderr=file)
        _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed; see {log}")
    return usage.ru_utime + usage.ru_stime


def pace(family: str, data: str, folder: Path, seed: int) -> float:
    """Thousands of images a CPU second: from a short run and a longer one, so that what a start costs drops out."""
    kept = folder / "pace" / f"{family}.json"
    if not kept.exists():
        log, kimg, before = folder / "pace" / "log.txt", 0.2, 0.0
        while True:
            run = folder / "pace" / f"{family}-{kimg:g}"
            shutil.rmtree(run, ignore_errors=True)
            seconds = timed(command(family, data, run, seed, kimg), log)
            if before and seconds - before > 6:
                break
            before, kimg = before or seconds, 4 * kimg
        kept.write_text(json.dumps((kimg - 0.2) / (seconds - before)))
    return float(json.loads(kept.read_text()))


def train(cell: tuple[str, int], data: str, folder: Path, minutes: float) -> None:
    """One run, unless it was finished before; one that was cut off begins anew, so that its time is all counted."""
    family, seed = cell
    run, note = folder / f"{family}-{seed}", folder / f"{family}-{seed}.json"
    if note.exists():
        return
    shutil.rmtree(run, ignore_errors=True)
    kimg = max(1.0, round(pace(family, data, folder, seed) * minutes * 60, 1))
    seconds = timed(command(family, data, run, seed, kimg), folder / "logs" / f"{family}-{seed}.txt")
    note.write_text(json.dumps({"family": family, "seed": seed, "kimg": kimg, "cpu_seconds": seconds}))
    print(f"{family} seed {seed}: {kimg:g} kimg in {seconds:.0f} CPU seconds", flush=True)


def judged(cells: list[tuple[str, int]], data: str, folder: Path) -> dict[str, list[dict]]:
    """What the judge says of each finished run, by family; kept beside the run."""
    judge, rows = None, {}
    for family, seed in cells:
        note = folder / f"{family}-{seed}.json"
        record = json.loads(note.read_text())
        if "distance" not in record:
            judge = judge or Judge(Path(data), SIZE)
            run = load(folder / f"{family}-{seed}")
            record |= vars(judge.judge(run, SAMPLES)) | {"accuracy": judge.accuracy}
            record["parameters"] = sum(weight.numel() for weight in run.game.parameters())
            note.write_text(json.dumps(record))
            print(f"{family} seed {seed}: distance {record['distance']:.2f}, hit {record['hit']}", flush=True)
        rows.setdefault(family, []).append(record)
    return rows


def spread(values: list[float], form: str = "{:.2f}") -> str:
    """``mean ± standard deviation`` over the seeds."""
    text = form.format(statistics.mean(values))
    return f"{text} ± {form.format(statistics.stdev(values))}" if len(values) > 1 else text


def row(family: str, records: list[dict]) -> str:
    hits = [100 * record["hit"] for record in records if record["hit"] is not None]
    cells = [
        f"[{family}](../families/{family}.md)",
        f"{statistics.mean(record['kimg'] for record in records):.0f}",
        f"{statistics.mean(record['cpu_seconds'] for record in records):.0f}",
        spread([record["distance"] for record in records]),
        spread(hits, "{:.1f}") if hits else "–",
        spread([record["diversity"] for record in records]),
        spread([100 * record["rarest"] for record in records], "{:.1f}"),
    ]
    return f"| {' | '.join(cells)} |"


def write_page(rows: dict[str, list[dict]], folder: Path, options: argparse.Namespace) -> None:
    ordered = sorted(rows.items(), key=lambda item: statistics.mean(record["distance"] for record in item[1]))
    accuracy = next(iter(rows.values()))[0]["accuracy"]
    lines = [
        "# Every image family, the same minutes",
        "",
        f"MNIST at {SIZE}x{SIZE}, {options.minutes:g} CPU minutes a run on one thread, seeds "
        f"{', '.join(map(str, options.seeds))}; {date.today()}, {os.cpu_count()} cores, {platform.machine()}.",
        "Written by `make bench-images DATA=...`, which a reader can run: each family's settings stand in",
        "`benchmarks/images.py`. They are those of its CPU recipe, most made narrower: the table says what a family",
        "gives in minutes without a GPU, not what it gives at the size and length of its paper.",
        "",
        "Feature space: the penultimate layer of a small classifier fitted on the training pictures, right on",
        f"{accuracy:.1%} of the test set. Distance: Fréchet distance there between {SAMPLES:,} samples (seeds from 0)",
        "and the 10,000 test pictures, lower is better. Class hit: share recognised as the class asked for, where a",
        "family makes classes. Diversity: mean pixel distance between two samples of a class over that of real test",
        "pictures (1: as varied as reals; for families without classes, of the class recognised). Rarest: share of the",
        "digit seen least, in per cent; 8.9 among the test pictures. Mean ± standard deviation over the seeds; no run",
        "was left out.",
        "",
        "| family | kimg | CPU s | distance ↓ | class hit % | diversity | rarest % |",
        "|---|---|---|---|---|---|---|",
        *(row(family, records) for family, records in ordered),
        "",
        "What it says is who learns fast on a CPU: small strided convolutions that are told the class. The networks",
        "that win on GPUs after millions of pictures have seen a few thousand here, and look like it; the residual",
        "ones do not yet heed the class asked for. A low rank here is no verdict on a family.",
        "",
        "## Samples",
        "",
        f"Seed {options.seeds[0]} of each, the first samples, not chosen.",
        "",
    ]
    for family, _ in ordered:
        game = load(folder / f"{family}-{options.seeds[0]}")
        if game.game.conditional(game.game.config):
            samples = torch.cat([game.sample(2, seed=10 * label, label=label) for label in range(10)])
        else:
            samples = game.sample(20)
        picture = PAGE.parent / f"images-{family}.png"
        grid(samples, columns=20, least_side=1100).save(picture)
        lines += [f"**{family}**", "", f"![samples of {family}]({picture.name})", ""]
    PAGE.write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="folder with the four files of MNIST")
    parser.add_argument("--minutes", type=float, default=1.5, help="CPU minutes a run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=2, help="runs side by side, one thread each")
    parser.add_argument("--only", nargs="+", default=list(SETTINGS), choices=list(SETTINGS), metavar="FAMILY")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "bench-images")
    options = parser.parse_args()
    cells = [(family, seed) for seed in options.seeds for family in options.only]
    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(lambda cell: train(cell, options.data, options.folder, options.minutes), cells))
    rows = judged(cells, options.data, options.folder)
    write_page(rows, options.folder, options)
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
