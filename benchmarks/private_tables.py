"""Utility against privacy on Adult: ctgan at epsilon 1, 3, 10 and without; docs/results/private-tables.md.

    python benchmarks/private_tables.py FOLDER [--minutes 10] [--epsilons 1 3 10] [--seeds 0] [--settings "..."]

FOLDER holds adult_train.csv.gz and adult_test.csv.gz. Each run has one thread; how long a run is, is measured first, by
a short run and a longer one, so that it takes about the asked minutes of CPU time. Noise follows from the budget and
that length. Seeds are said here, so that the page can be made again; a run to be published draws its own and keeps it.
What was finished before is not done again: stop at any time and say the same again.
"""

import argparse
import json
import math
import os
import platform
import shutil
import statistics
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import torch
from images import timed
from PIL import Image, ImageDraw, ImageFont
from tables import SAMPLES, TABLES, examiner_of, scores

from sparring.tools.run import load

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results" / "private-tables.md"
PICTURE = PAGE.with_suffix(".png")
ADULT = TABLES[0]
PRIVATE = "--train.batch 1000"  # fewer and larger batches: less noise for the same budget
PLAIN = "--train.batch 250 --train.ema_kimg 50"  # as in benchmarks/tables.py
SHORT, LONGER = 5.0, 25.0  # kimg by which the pace is measured

UTILITY = {"column shapes": (31, 78, 121), "pair trends": (196, 107, 20), "TSTR boosting": (90, 140, 60)}
ATTACKS = {"membership by distance": (150, 40, 60), "membership by classifier": (110, 90, 160)}
HEADS = ("epsilon", "noise x clip", "batch", "kimg", "CPU s", "column shapes", "pair trends", "TSTR")
HEADS += ("by distance", "by classifier")
GREY = (222, 222, 222)


def words(epsilon: float) -> str:
    return "∞" if math.isinf(epsilon) else f"{epsilon:g}"


# ---------------------------------------------------------------------- training and measuring


def command(epsilon: float, options: argparse.Namespace, run: Path, seed: int, kimg: float) -> list[str]:
    """``sparring train`` of one budget."""
    own = PLAIN if math.isinf(epsilon) else f"{options.settings} --game.dp.epsilon {epsilon:g}"
    length = ["--train.kimg", f"{kimg:g}", "--train.seed", str(seed)]
    quiet = ["--train.save_kimg", f"{kimg:g}", "--train.picture_kimg", f"{kimg:g}"]
    where = ["train", str(options.data / ADULT.file), "--family", "ctgan", "--run", str(run)]
    return [sys.executable, "-m", "sparring", *where, *own.split(), *length, *quiet]


def length(epsilon: float, options: argparse.Namespace) -> float:
    """Kimg of a run of so many CPU minutes. It is the same for every budget."""
    kept = options.runs / "pace" / f"{'plain' if math.isinf(epsilon) else 'private'}.json"
    if not kept.exists():
        log, run, times = kept.parent / "log.txt", kept.parent / "run", []
        for kimg in (SHORT, LONGER):
            shutil.rmtree(run, ignore_errors=True)
            times.append(timed(command(epsilon, options, run, 0, kimg), log))
        rate = (LONGER - SHORT) / max(times[1] - times[0], 0.1)
        kept.write_text(json.dumps({"start": times[0] - SHORT / rate, "rate": rate}))
    pace = json.loads(kept.read_text())
    return max(SHORT, round((60 * options.minutes - pace["start"]) * pace["rate"], 1))


def measured(epsilon: float, options: argparse.Namespace, seed: int) -> dict:
    """A run's record with its scores, kept beside it; one that was cut off begins anew."""
    run = options.runs / f"{'plain' if math.isinf(epsilon) else f'epsilon-{epsilon:g}'}-{seed}"
    note = run.with_name(f"{run.name}.json")
    if not note.exists():
        kimg = length(epsilon, options)
        shutil.rmtree(run, ignore_errors=True)
        seconds = timed(command(epsilon, options, run, seed, kimg), options.runs / "logs" / f"{run.name}.txt")
        trained = load(run, device="cpu")
        examiner = examiner_of(trained, ADULT, options.data)
        found = scores(examiner, examiner.draw(trained.game, range(SAMPLES)))
        recipe = json.loads((run / "recipe.json").read_text())
        private = recipe["game"]["dp"] | {"batch": recipe["train"]["batch"]}
        note.write_text(json.dumps({"kimg": kimg, "cpu_seconds": seconds, "dp": private, "scores": found}))
    record = json.loads(note.read_text())
    said = ", ".join(f"{name} {record['scores'][name]['value']:.3f}" for name in (*UTILITY, *ATTACKS))
    print(f"epsilon {words(epsilon)} seed {seed}: {said}", flush=True)
    return record


# ---------------------------------------------------------------------- the page


def mean(records: Sequence[dict], metric: str) -> float:
    return statistics.mean(record["scores"][metric]["value"] for record in records)


def row(epsilon: float, records: Sequence[dict]) -> str:
    first, cells = records[0], []
    dp = first["dp"]
    noise = "–" if math.isinf(epsilon) else f"{dp['noise']:g} x {dp['clip']:g}"
    cells = [words(epsilon), noise, f"{dp['batch']:,}", f"{first['kimg']:.0f}"]
    cells.append(f"{statistics.mean(record['cpu_seconds'] for record in records):.0f}")
    for metric in (*UTILITY, *ATTACKS):
        spread = statistics.stdev(r["scores"][metric]["value"] for r in records) if len(records) > 1 else 0.0
        cells.append(f"{mean(records, metric):.3f}" + (f" ± {spread:.3f}" if len(records) > 1 else ""))
    return f"| {' | '.join(cells)} |"


def panel(
    pen: ImageDraw.ImageDraw, left: int, title: str, lines: dict[str, list[float]], low: float, high: float
) -> None:
    """Curves over the budgets, evenly spaced, without privacy at the right end; dots are what was measured."""
    font, across, top, down = ImageFont.load_default(14), 330, 60, 240
    colours, count = {**UTILITY, **ATTACKS}, len(next(iter(lines.values())))

    def x(place: int) -> float:
        return left + across * (place / max(count - 1, 1))

    def y(value: float) -> float:
        return top + down * (high - min(max(value, low), high)) / (high - low)

    pen.text((left, 14), title, fill="black", font=font)
    for step in range(6):
        mark = low + (high - low) * step / 5
        pen.line((left, y(mark), left + across, y(mark)), fill=GREY)
        pen.text((left - 8, y(mark)), f"{mark:.2f}", fill="black", font=font, anchor="rm")
    for number, (name, values) in enumerate(lines.items()):
        dots = [(x(place), y(value)) for place, value in enumerate(values)]
        pen.line(dots, fill=colours[name], width=2)
        for across_at, down_at in dots:
            pen.ellipse((across_at - 4, down_at - 4, across_at + 4, down_at + 4), fill=colours[name])
        pen.ellipse((left, 352 + 20 * number, left + 10, 362 + 20 * number), fill=colours[name])
        pen.text((left + 18, 357 + 20 * number), name, fill="black", font=font, anchor="lm")


def drawn(found: dict[float, list[dict]]) -> Image.Image:
    """Utility on the left, attacks on the right."""
    image = Image.new("RGB", (880, 420), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    lines = [
        {name: [mean(records, name) for records in found.values()] for name in side} for side in (UTILITY, ATTACKS)
    ]
    lowest = math.floor(10 * min(min(values) for values in lines[0].values())) / 10
    panel(pen, 60, "utility (1 is best)", lines[0], min(lowest, 0.9), 1.0)
    worst = max(max(values) for values in lines[1].values())
    panel(pen, 500, "attacks on membership (0.5 is guessing)", lines[1], 0.45, max(0.55, math.ceil(20 * worst) / 20))
    for left in (60, 500):
        for place, epsilon in enumerate(found):
            said = "none" if math.isinf(epsilon) else f"{epsilon:g}"
            pen.text((left + 330 * place / max(len(found) - 1, 1), 312), said, fill="black", font=font, anchor="mm")
        pen.text((left + 165, 332), "epsilon", fill="black", font=font, anchor="mm")
    return image


def write_page(found: dict[float, list[dict]], options: argparse.Namespace) -> None:
    drawn(found).save(PICTURE)
    private = next(records[0] for epsilon, records in found.items() if not math.isinf(epsilon))
    area = found[math.inf][0]["scores"]["TSTR boosting"]["beside"]
    lines = [
        "# Tables with differential privacy",
        "",
        f"`python benchmarks/private_tables.py FOLDER --minutes {options.minutes:g}`: about {options.minutes:g} CPU "
        f"minutes a run on one thread, seeds {', '.join(map(str, options.seeds))}; {date.today()}, {os.cpu_count()} "
        f"cores, {platform.machine()}, torch {torch.__version__}.",
        "",
        f"ctgan on the Adult census, delta {private['dp']['delta']:g}; private runs with `{options.settings}`, the one",
        f"without privacy with `{PLAIN}`. {SAMPLES:,} samples beside the test file, which no run has seen. What an",
        "epsilon covers, and what it does not, is said under [Privacy](../privacy.md). Noise: its deviation in each",
        "value of the sum of a batch's gradients, in units of the length to which each of them is clipped. TSTR is the",
        f"area under ROC of boosted trees that learnt from samples; from real rows it is {area:.3f}. Membership: area",
        "under ROC of two attacks that guess who was learnt from; 0.5 is guessing.",
        "",
        f"| {' | '.join(HEADS)} |",
        f"|{'---|' * len(HEADS)}",
        *(row(epsilon, records) for epsilon, records in found.items()),
        "",
        "Runs take the same CPU time, not the same steps: a gradient for each record costs several times as much.",
        *(["One run each: the order of those that are close may be chance."] if len(options.seeds) == 1 else []),
        "",
        f"![utility and attacks over epsilon]({PICTURE.name})",
        "",
        "Attacks that fail prove nothing, least of all where they fail without privacy too; epsilon is a bound on all",
        "attacks, those that nobody has thought of among them.",
    ]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the tables")
    parser.add_argument("--minutes", type=float, default=10, help="CPU minutes a run")
    parser.add_argument("--epsilons", type=float, nargs="+", default=[1, 3, 10], help="budgets; none is always there")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--settings", default=PRIVATE, help="of the private runs")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "bench-private-tables")
    parser.add_argument("--no-page", action="store_true", help="leave the page as it is")
    options = parser.parse_args()
    budgets = [*sorted(options.epsilons), math.inf]
    found = {epsilon: [measured(epsilon, options, seed) for seed in options.seeds] for epsilon in budgets}
    if not options.no_page:
        write_page(found, options)
        print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
