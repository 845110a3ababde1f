"""Stock prices and sunspots in windows of 24: doppelganger beside baselines and real data, in docs/results/series.md.

    python benchmarks/series.py FOLDER [--minutes 10] [--seeds 0 1 2] [--only stock sunspots] [--page FILE]

FOLDER holds google_stock.csv.gz and monthly-sunspots.csv.gz. Each run has one thread to itself; its length is measured
first, so that it takes about the asked minutes of CPU time, and then kept for all seeds. What was finished before is
not done again: stop at any time and say the same again. Runs are kept in runs/bench-series.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import torch
from images import spread, timed

import sparring
from sparring.core.config import Data
from sparring.data import open_data
from sparring.metrics.series.statistics import autoregressive, resampled_blocks
from sparring.metrics.sets.series import METRICS
from sparring.metrics.suite import Sample, Sides
from sparring.modalities.series import grid
from sparring.tools.reals import reals_of_training
from sparring.tools.run import load
from sparring.tools.series_examiner import SeriesExaminer

Scores = dict[str, float]

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results" / "series.md"
REMARKS = {
    "stock": "Adjusted close equals close on every day of this file. Samples keep that nearly, and trees can see it."
}
SOURCES = {"stock": "google_stock.csv.gz", "sunspots": "monthly-sunspots.csv.gz"}
TITLES = {"stock": "Google stock, 3,685 days, 6 channels", "sunspots": "Sunspots, 2,820 months, 1 channel"}
WINDOW, SHARE, SAMPLES, BLOCK = 24, 0.2, 1000, 8
CONTROL, COPIES = "real windows (control)", "NN ratio"
COLUMNS = {
    "discriminative score": "discriminative ↓",
    "discriminative score of trees": "of trees ↓",
    "predictive score": "predictive ↓",
    "ACF distance": "ACF ↓",
    "marginal KS": "KS ↓",
    "cross-correlation distance": "cross ↓",
    COPIES: "NN ratio (1)",
}


def command(source: Path, run: Path, seed: int, kimg: float) -> list[str]:
    """``sparring train`` of one cell of the table."""
    data = ["--data.window", str(WINDOW), "--data.held-out", str(SHARE)]
    quiet = ["--train.save-kimg", f"{kimg:g}", "--train.picture-kimg", f"{kimg:g}"]
    length = ["--train.kimg", f"{kimg:g}", "--train.seed", str(seed)]
    family = ["--family", "doppelganger", "--run", str(run)]
    return [sys.executable, "-m", "sparring", "train", str(source), *family, *data, *length, *quiet]


def pace(name: str, source: Path, folder: Path) -> float:
    """Thousands of windows a CPU second: from a short run and a longer one, so that what a start costs drops out."""
    kept = folder / "pace" / f"{name}.json"
    if not kept.exists():
        seconds = []
        for kimg in (1.0, 11.0):
            run = folder / "pace" / f"{name}-{kimg:g}"
            shutil.rmtree(run, ignore_errors=True)
            seconds.append(timed(command(source, run, 0, kimg), folder / "pace" / "log.txt"))
        kept.write_text(json.dumps(10 / max(seconds[1] - seconds[0], 0.1)))
    return float(json.loads(kept.read_text()))


def train(name: str, source: Path, folder: Path, seed: int, minutes: float) -> dict:
    """One run, unless it was finished before; one that was cut off begins anew, so that its time is all counted."""
    run, note = folder / f"{name}-{seed}", folder / f"{name}-{seed}.json"
    if not note.exists():
        shutil.rmtree(run, ignore_errors=True)
        kimg = max(1.0, round(pace(name, source, folder) * minutes * 60))
        seconds = timed(command(source, run, seed, kimg), folder / "logs" / f"{name}-{seed}.txt")
        note.write_text(json.dumps({"kimg": kimg, "cpu_seconds": seconds}))
        print(f"{name} seed {seed}: {kimg:g} kimg in {seconds:.0f} CPU seconds", flush=True)
    return dict(json.loads(note.read_text()))


def examined(name: str, source: Path, folder: Path, seeds: Sequence[int]) -> dict[str, list[Scores]]:
    """The scores of each row of a table, by metric, for each seed; kept beside the runs."""
    settings = Data(window=WINDOW, held_out=SHARE)
    data = open_data(str(source), settings)
    examiner = SeriesExaminer(reals_of_training(data, str(source), settings), SAMPLES, 0)
    windows, rows = examiner.read(data, len(data)).images.double().numpy(), dict[str, list[Scores]]()
    for seed in seeds:
        sides, draw = replace(examiner.sides, seed=seed), np.random.default_rng(seed)
        again = np.sort(draw.integers(0, len(windows), SAMPLES))
        made: dict[str, Callable[[], Sample]] = {
            "doppelganger": partial(drawn, folder / f"{name}-{seed}"),
            f"blocks of {BLOCK} steps": partial(as_sample, resampled_blocks(windows, SAMPLES, BLOCK, seed)),
            "Gaussian VAR(1)": partial(as_sample, autoregressive(windows, SAMPLES, seed)),
            "training windows drawn again": partial(as_sample, windows[again]),
            CONTROL: lambda: examiner.sides.null[0],
        }
        for row, make in made.items():
            kept = folder / f"{name}-{seed}-{row.replace(' ', '-')}.scores.json"
            if not kept.exists():
                kept.write_text(json.dumps(scores_of(make(), sides)))
                print(f"{name} seed {seed}: {row} measured", flush=True)
            rows.setdefault(row, []).append(json.loads(kept.read_text()))
    return rows


def drawn(run: Path) -> Sample:
    """Samples of a run, seeds from 0."""
    return Sample(load(run).sample(SAMPLES))


def scores_of(sample: Sample, sides: Sides) -> Scores:
    """Every metric of series, without the control, which is a row of its own."""
    return {name: found.value for metric in METRICS for name, found in metric.measure(sample, sides).items()}


def as_sample(values: np.ndarray) -> Sample:
    """Values within the range of the data."""
    return Sample(torch.from_numpy(values).float().clamp(-1, 1))


def table_of(rows: dict[str, list[Scores]]) -> list[str]:
    """A table, a row a candidate, mean ± standard deviation over seeds."""
    shown = [name for name in COLUMNS if name in rows["doppelganger"][0]]
    lines = [f"| | {' | '.join(COLUMNS[name] for name in shown)} |", f"|---|{'---|' * len(shown)}"]
    for row, found in rows.items():
        said = [name for name in shown if (row, name) != (CONTROL, COPIES)]  # they are training windows
        cells = [spread([scores[name] for scores in found], "{:.3f}") if name in said else "–" for name in shown]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return lines


def write_page(
    tables: dict[str, dict[str, list[Scores]]], notes: dict[str, list[dict]], options: argparse.Namespace
) -> None:
    seeds = " ".join(map(str, options.seeds))
    lines = [
        "# Series: stock prices and sunspots",
        "",
        f"`python benchmarks/series.py FOLDER --minutes {options.minutes:g} --seeds {seeds}`: about",
        f"{options.minutes:g} CPU minutes a run on one thread; {date.today()}, sparring",
        f"{sparring.__version__}, torch {torch.__version__}, {os.cpu_count()} cores, {platform.machine()}.",
        "Every run that these settings had with these seeds is in the tables, mean ± standard deviation.",
        "",
        f"Windows of {WINDOW} steps. A fifth of the time is held out, in blocks, before any window is cut; ranges are",
        f"those of the rest. {SAMPLES:,} samples are compared with the held-out windows. Networks and trees that tell",
        "samples from real windows are tested on blocks that share no step with what they learnt from; the predictor",
        "learns from samples and is tested on held-out windows. [Series](../series.md) says what each number is.",
        "",
        "The control is training windows in place of samples, evenly spaced, as many as are held out: what a perfect",
        "generator would reach. Training windows that are drawn again are no generator, but copies: the last column,",
        "the distance to the nearest training window over that of held-out windows, sees them.",
        "",
        "Where the control itself is far from 0, held-out time is unlike the rest, as prices are that stood where they",
        "stood in no other year: a score is then to be put beside the control's, and one below it is no merit.",
        "",
    ]
    for name, rows in tables.items():
        kimg, seconds = (statistics.mean(note[key] for note in notes[name]) for key in ("kimg", "cpu_seconds"))
        picture = options.page.parent / f"series-{name}.png"
        run = load(options.folder / f"{name}-{options.seeds[0]}")
        grid(run.sample(12), spec=run.game.spec).save(picture)
        lines += [
            f"## {TITLES[name]}",
            "",
            f"doppelganger: {kimg:,.0f} kimg in {seconds:,.0f} CPU seconds.",
            "",
            *table_of(rows),
            "",
            *([REMARKS[name], ""] if name in REMARKS else []),
            f"![samples of doppelganger]({picture.name})",
            "",
            f"Seed {options.seeds[0]}, the first samples, not chosen. A line fills its panel; the dot on the left is",
            "its height among the data.",
            "",
        ]
    lines += [
        "## Beside published figures",
        "",
        "Not comparable, and so in no table: TimeGAN's protocol (Yoon et al. 2019) cuts overlapping windows, shuffles",
        "them and then splits, so that almost every window of its test shares all but one step with one of its",
        "training; it scales with the whole data, and compares with what the generator has seen. Its predictor guesses",
        "the last channel from the others. Here time is split first, and the predictor says all channels of the next",
        "step. A smaller number there is no better model.",
        "",
        "* TimeGAN on the same stock prices: discriminative 0.102, predictive 0.038. Recalled from the paper and not",
        "  read again there: **not confirmed**.",
        "* A PyTorch re-implementation of it (haufjan/TimeGAN-PyTorch): discriminative 0.156 after 10,000 epochs, as",
        "  its README says.",
        "* Sunspots: no published score is known to us.",
        "",
    ]
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the two files")
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU minutes a run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=list(SOURCES), choices=list(SOURCES))
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "bench-series")
    parser.add_argument("--page", type=Path, default=PAGE, help="where to write the page")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tables, notes = {}, {}
    for name in options.only:
        source = options.data / SOURCES[name]
        notes[name] = [train(name, source, options.folder, seed, options.minutes) for seed in options.seeds]
        tables[name] = examined(name, source, options.folder, options.seeds)
    write_page(tables, notes, options)
    print(f"written: {options.page}")


if __name__ == "__main__":
    main()
