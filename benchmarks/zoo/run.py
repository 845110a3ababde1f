"""Train the zoo, measure what is so of each run, and let the referee judge the logs.

    make zoo                                    # or: PYTHONPATH=benchmarks python -m zoo [options]
    ... --only dcgan-ring collapse              # cases or kinds by name, or by the beginning of one
    ... --seeds 0 1                             # some seeds
    ... --report                                # judge what is there, train nothing

Every run is what ``sparring train`` does with the settings of zoo/plan.py, on one thread, in a folder of its own. A run
that is finished is not trained again: stop at any time and say the same again. ``report`` replays ``log.jsonl`` through
the rules as they are now, so that thresholds can be changed without training.
"""

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo.plan import CASES, SEEDS, Case

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "results" / "referee.md"
LOOKS = 25  # in a run of the zoo; a run of default length has 13 (points) to 50


def note_of(runs: Path, case: Case, seed: int) -> Path:
    """Where it is kept what came of a run: its truth, and what the referee must know beside the log."""
    return runs / f"{case.name}-{seed}.json"


def train(runs: Path, case: Case, seed: int) -> dict[str, Any]:
    """Train one run from its beginning, measure the truth, and keep both. CPU seconds are those of this process."""
    import torch

    from sparring.cli import split_settings
    from sparring.core.config import unflatten
    from sparring.core.errors import SparringError
    from sparring.core.recipe import Recipe
    from sparring.tools import refereeing
    from sparring.tools.train import open_session
    from zoo.measure import measure, prune

    torch.set_num_threads(1)
    folder, started = runs / f"{case.name}-{seed}", time.process_time()
    (source, _, family), flat = split_settings([*case.arguments, "--train.seed", str(seed)])
    session = open_session(Recipe(source, family), unflatten(flat), folder)
    # Runs are a tenth as long as real ones: the referee looks as often in them as in a whole run.
    refereeing.STEPS = 0
    refereeing.LOOKS = LOOKS
    try:
        session.play(quiet=True)
        ended = "finished"
    except SparringError as error:  # such as a gradient that is not finite
        ended = str(error)
    trained = time.process_time()
    note = {
        "case": case.name,
        "seed": seed,
        "ended": ended,
        "context": asdict(refereeing.context_of(session.plan.record())),
        "truth": asdict(measure(folder)),
        "cpu_seconds": round(trained - started, 1),
        "cpu_seconds_of_truth": round(time.process_time() - trained, 1),
    }
    prune(folder)
    note_of(runs, case, seed).write_text(json.dumps(note), encoding="utf-8")
    return note


def chosen(only: Sequence[str], seeds: Sequence[int]) -> list[tuple[Case, int]]:
    """What is asked for of the plan, one seed after the other, so that a part of the zoo shows every kind."""
    cases = [c for c in CASES if c.possible and (not only or any(c.name.startswith(o) or c.kind == o for o in only))]
    return [(case, seed) for seed in seeds for case in cases if seed in case.seeds]


def train_all(runs: Path, wanted: Sequence[tuple[Case, int]], workers: int) -> None:
    """Whatever is not there yet, with the time that is left."""
    import shutil

    todo = [(case, seed) for case, seed in wanted if not note_of(runs, case, seed).is_file()]
    for case, seed in todo:
        shutil.rmtree(runs / f"{case.name}-{seed}", ignore_errors=True)  # cut off before: its time is all counted
    runs.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    begun = time.monotonic()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(train, runs, case, seed): (case, seed) for case, seed in todo}
        for done, future in enumerate(as_completed(waiting), 1):
            case, seed = waiting[future]
            left = (time.monotonic() - begun) / done * (len(todo) - done)
            try:
                said = f"{future.result()['cpu_seconds']:.0f} CPU s"
            except Exception as error:  # one run's mistake must not cost the others
                said = f"failed: {type(error).__name__}: {error}"
            print(f"[{done}/{len(todo)}] {case.name} seed {seed}: {said}; about {left / 60:.0f} min left", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="zoo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/zoo"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--report", action="store_true", help="train nothing, print the tables of what is there")
    parser.add_argument("--half", choices=["tuning", "reported"], help="with --report: of these seeds alone, in detail")
    parser.add_argument("--write", type=Path, help=f"write the report there, such as {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    wanted = chosen(options.only, options.seeds)
    if not options.report:
        train_all(options.runs, wanted, options.workers)
    from zoo.report import details, render
    from zoo.verdicts import read

    verdicts = read(options.runs, wanted)
    if options.half:
        print(details([v for v in verdicts if v.tuning == (options.half == "tuning")]))
    else:
        print(render(verdicts))
    if options.write:
        options.write.write_text(render(verdicts), encoding="utf-8")
