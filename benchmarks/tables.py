"""Synthetic tables beside real ones: ctgan, tvae, independent columns and a bootstrap; docs/results/tables.md.

    python benchmarks/tables.py FOLDER [--minutes 10] [--seeds 0] [--only adult heart] [--runs runs/bench-tables]

FOLDER holds adult_train.csv.gz, adult_test.csv.gz, credit_default_taiwan.csv.gz, heart_cleveland.csv.gz,
pima_diabetes.csv.gz and breast_cancer_categorical.csv.gz. Each run has one thread; its length in rows is measured
first, so that it takes about the asked minutes of CPU time. What was finished before is not done again: stop at any
time and say the same again.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from images import timed

from sparring.core.batch import Batch
from sparring.core.columns import Layout
from sparring.core.rows import Rows, compact, encode
from sparring.metrics.sets.table import rows_of
from sparring.metrics.suite import Sample
from sparring.metrics.tables.marginals import independent, resampled
from sparring.tools.reals import reals_of_run
from sparring.tools.run import Run, load
from sparring.tools.sample import CHUNK
from sparring.tools.table_examiner import TableExaminer
from sparring.tools.where import conditions

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results" / "tables.md"
SAMPLES = 10_000
ASKED = 1024  # rows made under conditions on each column
MOST_PASSES = 1000  # over a table, however many minutes there are

# The settings of the recipes for a CPU, without their data.
SETTINGS = {
    "ctgan": "--family ctgan --train.batch 250 --train.ema_kimg 50",
    "tvae": "--family tvae --train.batch 500",
}
BASELINES = ("independent columns", "rows drawn from the data")
# Measured before on the same files, about ten minutes each: column shapes, pair trends, TSTR boosting.
GIVEN = {
    "the ctgan package, 150 epochs": (0.861, 0.810, 0.890),
    "its TVAE, 300 epochs": (0.900, 0.830, 0.883),
}
BARS = {"column shapes": 0.92, "pair trends": 0.88}
LOST = 0.035  # of the area under ROC, at most, by learning from samples

COLUMNS = {  # heading: metric, digits, and what stands beside it
    "column shapes": ("column shapes", 3, False),
    "pair trends": ("pair trends", 3, False),
    "TSTR": ("TSTR boosting", 3, True),
    "detection": ("detection boosting", 3, False),
    "exact copies": ("exact copies", 4, True),
    "near copies": ("near copies", 4, True),
    "membership": ("membership by distance", 3, False),
    "attribute": ("attribute inference", 3, True),
}


@dataclass(frozen=True)
class Table:
    """One data set: the file to learn from, the one to compare with ("": a share held out), and who people are."""

    name: str
    title: str
    file: str
    exam: str = ""
    by: tuple[str, ...] = ()


TABLES = (
    Table("adult", "Adult census", "adult_train.csv.gz", "adult_test.csv.gz", ("sex", "race")),
    Table("credit", "Credit card default, Taiwan", "credit_default_taiwan.csv.gz", by=("SEX",)),
    Table("heart", "Heart disease, Cleveland", "heart_cleveland.csv.gz", by=("sex",)),
    Table("pima", "Diabetes, Pima", "pima_diabetes.csv.gz"),
    Table("breast", "Breast cancer recurrence", "breast_cancer_categorical.csv.gz", by=("age",)),
)


# ---------------------------------------------------------------------- training


def command(family: str, table: Table, data: Path, run: Path, seed: int, kimg: float) -> list[str]:
    """``sparring train`` of one cell."""
    apart = [] if table.exam else ["--data.held_out", "0.3" if table.name != "credit" else "0.2"]
    length = ["--train.kimg", f"{kimg:g}", "--train.seed", str(seed)]
    quiet = ["--train.save_kimg", f"{kimg:g}", "--train.picture_kimg", f"{kimg:g}"]
    where = ["train", str(data / table.file), "--run", str(run)]
    return [sys.executable, "-m", "sparring", *where, *SETTINGS[family].split(), *apart, *length, *quiet]


def length(family: str, table: Table, data: Path, folder: Path, minutes: float, rows: int) -> float:
    """Kimg of a run of so many CPU minutes, by a short run and a longer one."""
    kept = folder / "pace" / f"{table.name}-{family}.json"
    if not kept.exists():
        log, run, times = folder / "pace" / "log.txt", folder / "pace" / "run", []
        for kimg in (5.0, 55.0):
            shutil.rmtree(run, ignore_errors=True)
            times.append(timed(command(family, table, data, run, 0, kimg), log))
        start, rate = times[0] - 5 * (times[1] - times[0]) / 50, 50 / max(times[1] - times[0], 0.1)
        kept.write_text(json.dumps({"start": start, "rate": rate}))
    pace = json.loads(kept.read_text())
    wanted = max(60 * minutes - pace["start"], 1) * pace["rate"]
    return max(1.0, round(min(wanted, MOST_PASSES * rows / 1000), 1))


def rows_in(data: Path, table: Table) -> int:
    """How many rows a file has, about."""
    import gzip

    with gzip.open(data / table.file, "rt") as file:
        return sum(1 for _ in file) - 1


def train(family: str, table: Table, seed: int, options: argparse.Namespace) -> Path:
    """One run, unless it was finished before; one that was cut off begins anew, so that its time is all counted."""
    run = options.runs / f"{table.name}-{family}-{seed}"
    note = run.with_suffix(".json")
    if not note.exists():
        kimg = length(family, table, options.data, options.runs, options.minutes, rows_in(options.data, table))
        shutil.rmtree(run, ignore_errors=True)
        arguments = command(family, table, options.data, run, seed, kimg)
        seconds = timed(arguments, options.runs / "logs" / f"{run.name}.txt")
        note.write_text(json.dumps({"kimg": kimg, "cpu_seconds": seconds}))
        print(f"{table.name} {family} seed {seed}: {kimg:g} kimg in {seconds:.0f} CPU seconds", flush=True)
    return run


# ---------------------------------------------------------------------- measuring


def examiner_of(run: Run, table: Table, data: Path) -> TableExaminer:
    exam = data / table.exam if table.exam else None
    return TableExaminer(reals_of_run(run.folder, run.game.spec, exam), SAMPLES, 0, by=table.by)


def scores(examiner: TableExaminer, fakes: Sample) -> dict[str, dict]:
    """Everything that is measured of samples, by name."""
    found, left_out = examiner.examine(fakes, f"0-{len(fakes) - 1}")
    named = {
        score.protocol.metric: {"value": score.value, "beside": score.real_vs_real, "note": score.note}
        for score in found
    }
    return named | {"left out": {"value": None, "beside": None, "note": "; ".join(left_out)}}


@torch.inference_mode()
def obeyed(run: Run) -> dict[str, float]:
    """Share of rows that are in the state they were asked to be in, none thrown away, by categorical column."""
    game, layout = run.game, Layout(run.game.spec.columns)
    if not game.asks:
        return {}
    found = {}
    for number, span in enumerate(layout.choices):
        column = layout.columns[span.place]
        if column.numeric:
            continue
        ends = np.cumsum(column.counts) / sum(column.counts)
        hits = 0
        for first in range(0, ASKED, CHUNK):
            seeds = range(first, first + CHUNK)
            given = conditions(seeds, span.asked, ends, layout.asked)
            rows = compact(game.sample(Batch.of_seeds(seeds, None, torch.device("cpu"), given=given)), layout)
            wanted = given[:, span.asked : span.asked + span.states].argmax(1)
            hits += int((rows[:, len(layout.scalars) + number].long() == wanted).sum())
        found[column.name] = hits / ASKED
    return found


def measured(family: str, table: Table, seed: int, options: argparse.Namespace) -> dict:
    """A run's record with its scores, kept beside it."""
    path = train(family, table, seed, options)
    note = path.with_suffix(".json")
    record = json.loads(note.read_text())
    if "scores" not in record:
        run = load(path, device="cpu")
        examiner = examiner_of(run, table, options.data)
        record["scores"] = scores(examiner, examiner.draw(run.game, range(SAMPLES)))
        record["obeyed"] = obeyed(run)
        note.write_text(json.dumps(record))
        print(f"{table.name} {family} seed {seed}: {brief(record['scores'])}", flush=True)
    return record


def baselines(table: Table, options: argparse.Namespace) -> dict[str, dict]:
    """What needs no training, measured like samples."""
    note = options.runs / f"{table.name}-baselines.json"
    if not note.exists():
        run = load(train("tvae", table, options.seeds[0], options), device="cpu")
        examiner = examiner_of(run, table, options.data)
        assert examiner.sides.train is not None
        known = rows_of(examiner.sides.train, examiner.sides)
        made = (drawn(independent(known, 0), 0), drawn(resampled(known, SAMPLES, 0), 0))
        found = {name: scores(examiner, Sample(encode(rows)[0])) for name, rows in zip(BASELINES, made, strict=True)}
        note.write_text(json.dumps(found))
        print(f"{table.name}: {brief(found[BASELINES[0]])} of {BASELINES[0]}", flush=True)
    return {name: {"scores": found} for name, found in json.loads(note.read_text()).items()}


def drawn(rows: Rows, seed: int) -> Rows:
    """`SAMPLES` of them, or all where there are fewer."""
    return rows.take(np.random.default_rng(seed).permutation(len(rows))[:SAMPLES])


def brief(found: dict[str, dict]) -> str:
    names = ("column shapes", "pair trends", "TSTR boosting")
    return ", ".join(f"{name} {found[name]['value']:.3f}" for name in names if name in found)


# ---------------------------------------------------------------------- the page


def cell(records: list[dict], metric: str, digits: int, beside: bool) -> str:
    """The mean over seeds, its standard deviation, and what real rows score."""
    values = [record["scores"][metric]["value"] for record in records if metric in record["scores"]]
    if not values:
        return "–"
    text = f"{statistics.mean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.{digits}f}"
    reals = [r["scores"][metric]["beside"] for r in records if metric in r["scores"]]
    return f"{text} ({reals[0]:.{digits}f})" if beside and reals[0] is not None else text


def section(table: Table, rows: dict[str, list[dict]]) -> list[str]:
    """One data set."""
    heads = ["", "kimg", "CPU s", *COLUMNS]
    lines = [f"## {table.title}", "", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for name, records in rows.items():
        spent = [
            f"{statistics.mean(r[key] for r in records):.0f}" if key in records[0] else "–"
            for key in ("kimg", "cpu_seconds")
        ]
        lines.append(f"| {' | '.join([name, *spent, *(cell(records, *how) for how in COLUMNS.values())])} |")
    if table.name == "adult":
        for name, (shapes, trends, area) in GIVEN.items():
            lines.append(f"| *{name}* | | | {shapes:.3f} | {trends:.3f} | {area:.3f} |{' |' * (len(COLUMNS) - 3)}")
    lines.append("")
    for name, records in rows.items():
        if records[0].get("obeyed"):
            asked = records[0]["obeyed"]
            said = ", ".join(f"{column} {100 * share:.2f}" for column, share in asked.items())
            lines += [f"Asked for a value of one column, {name} makes rows that have it, in per cent: {said}.", ""]
        lines += [f"Copies, {name}: {records[0]['scores']['exact copies']['note']}.", ""]
    return lines + gaps(table, rows) + (bars(rows["ctgan"][0]["scores"]) if table.name == "adult" else [])


def gaps(table: Table, rows: dict[str, list[dict]]) -> list[str]:
    """Outcomes by group."""
    lines = []
    for by in table.by:
        kinds = [f"{kind} by {by}" for kind in ("groups", "outcome gap", "parity gap", "odds gap")]
        shown = {name: records for name, records in rows.items() if kinds[0] in records[0]["scores"]}
        if shown:
            lines += [f"| by {by} | group shares | outcome gap | parity gap | odds gap |", "|---|---|---|---|---|"]
            for name, records in shown.items():
                cells = [cell(records, kind, 3, kind != kinds[0]) for kind in kinds]
                lines.append(f"| {' | '.join([name, *cells])} |")
            lines.append("")
    return lines


def bars(found: dict[str, dict]) -> list[str]:
    """Whether what was set out for Adult was reached."""
    lost = found["TSTR boosting"]["beside"] - found["TSTR boosting"]["value"]
    parts = [f"{name} {found[name]['value']:.3f} (to reach: {bar})" for name, bar in BARS.items()]
    parts.append(f"area lost by learning from samples {lost:.3f} (at most: {LOST})")
    reached = all(found[name]["value"] >= bar for name, bar in BARS.items()) and lost <= LOST
    return [f"ctgan, {'reached' if reached else 'not reached'}: {', '.join(parts)}.", ""]


def write_page(found: dict[str, dict[str, list[dict]]], options: argparse.Namespace) -> None:
    lines = [
        "# Synthetic tables",
        "",
        f"`python benchmarks/tables.py FOLDER --minutes {options.minutes:g}`: runs planned for {options.minutes:g} CPU "
        f"minutes on one thread, and for {MOST_PASSES:,} passes over a table at most; "
        f"seeds {', '.join(map(str, options.seeds))}; {date.today()}, {os.cpu_count()} cores, {platform.machine()}, "
        f"torch {torch.__version__}.",
        "",
        f"{SAMPLES:,} samples (seeds from 0) beside rows that training never saw: of Adult its test file, of credit",
        "defaults a fifth, of the others three tenths. TSTR is the area under ROC of boosted trees that learnt from",
        "samples, on those rows; in brackets what real rows give. Of copies, in brackets the share of held-out rows",
        "that coincide with training rows in the same way; of attribute inference what anybody could infer. Every",
        "number is explained under [Tables](../tables.md).",
        "",
    ]
    for table in TABLES:
        if table.name in found:
            lines += section(table, found[table.name])
    PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the tables")
    parser.add_argument("--minutes", type=float, default=10, help="CPU minutes a run is planned for")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    names = [table.name for table in TABLES]
    parser.add_argument("--only", nargs="+", default=names, choices=names, metavar="TABLE")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "bench-tables")
    options = parser.parse_args()
    found = {}
    for table in TABLES:
        if table.name in options.only:
            rows = {family: [measured(family, table, seed, options) for seed in options.seeds] for family in SETTINGS}
            found[table.name] = rows | {name: [record] for name, record in baselines(table, options).items()}
            write_page(found, options)
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
