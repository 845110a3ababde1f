"""Does the coach bring failing runs back? Each is run twice with the same seed: alone, and with ``--train.coach true``.

    make coach                                  # or: PYTHONPATH=benchmarks python -m zoo.coached [--runs runs/coach]

The runs collapse or diverge by their settings; what nobody's settings can mend, such as a generator without noise, is
not here. What is so at the end of a run is measured as for the zoo, independently of the referee. A run counts as
*lost* when its samples have collapsed, diverged or lie far from the data, and as *brought back* when none of it is so.
Finished runs are not trained again. Writes ``docs/results/coach.md``.
"""

import argparse
import json
import os
import platform
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from sparring.core.folder import RunFolder
from sparring.tools.moves import moves_of
from zoo.plan import SMALL, Case
from zoo.run import ROOT, note_of, train
from zoo.truth import Truth, so

PAGE = ROOT / "docs" / "results" / "coach.md"
LOST = frozenset({"collapse", "divergence"})
FAR = 0.3  # of a Fréchet distance that is 1 for the data's mean alone
SEEDS = (4, 5, 6, 7)  # cures were chosen while looking at 0 to 3
RING = "--train.batch 64 --train.kimg 160"

# fmt: off
CASES = (
    Case(
        "hasty-dcgan-ring", "collapse", "ring", "dcgan",
        f"{RING} --game.r1-gamma 0 --optim.G.lr 1e-2 --optim.D.lr 2e-4 --optim.betas 0.9,0.999", SEEDS,
    ),
    Case("fast-vanilla-digits", "divergence", "digits", "vanilla", "--train.kimg 300 --optim.lr 0.1", SEEDS),
    Case(
        "fast-dcgan-digits", "divergence", "digits", "dcgan",
        f"{SMALL} --train.kimg 100 --optim.lr 1.0 --game.r1-gamma 0", (4, 5),
    ),
)
# fmt: on


def lost(truth: Truth) -> bool:
    """Whether nobody would use the samples."""
    return bool(so(truth) & LOST) or not truth.distance < FAR or not truth.diversity > 0.5


def once(runs: Path, case: Case, seed: int) -> tuple[Truth, float]:
    """The truth of one run, trained unless that was done, and the CPU seconds of its training."""
    note = note_of(runs, case, seed)
    kept: dict[str, Any] = json.loads(note.read_text()) if note.is_file() else train(runs, case, seed)
    return Truth(**kept["truth"]), kept["cpu_seconds"]


def said(truth: Truth) -> str:
    """``distance 0.02, diversity 0.97``."""
    return f"distance {truth.distance:.3g}, diversity {truth.diversity:.2g}"


def main() -> None:
    """Run all pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/coach"))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--only", nargs="+", default=[case.name for case in CASES], help="some cases by name")
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    rows, failing, mended, total = [], 0, 0, 0.0
    for case in (case for case in CASES if case.name in options.only):
        for seed in (seed for seed in options.seeds if seed in case.seeds):
            alone, one = once(options.runs / "alone", case, seed)
            coached = replace(case, settings=f"{case.settings} --train.coach true")
            with_coach, two = once(options.runs / "coached", coached, seed)
            total += one + two
            moves = moves_of(RunFolder(options.runs / "coached" / f"{case.name}-{seed}").read_recipe())
            fails, back = lost(alone), not lost(with_coach)
            failing += fails
            mended += fails and back
            verdict = ("yes" if back else "NO") if fails else "came back alone"
            told = "; ".join(map(str, moves)) or "no move"
            rows.append(f"| {case.name} | {seed} | {said(alone)} | {told} | {said(with_coach)} | {verdict} |")
            print(rows[-1], flush=True)
    page = f"""# What the coach brings back

`make coach`, {date.today()}, {total / 60:.0f} CPU minutes, one thread, {os.cpu_count()} cores, {platform.machine()}.

**{mended} of {failing} runs that are lost alone are brought back** with the same seed and `--train.coach true`. They
collapse or diverge by their rates, or for want of a penalty; cures were chosen while looking at other seeds (0 to 3).
Lost means, by measurements that the referee has no part in: samples vary less than half as much as the data (within
their classes: 0.4), scores or samples run away, or the Fréchet distance to the data is {FAR:g} or more of that of its
mean alone. What a move is: [The referee](../referee.md#the-coach).

| run | seed | alone | moves | with the coach | brought back |
|---|---|---|---|---|---|
{chr(10).join(rows)}
"""
    options.out.write_text(page, encoding="utf-8")
    print(f"{mended} of {failing}")


if __name__ == "__main__":
    main()
