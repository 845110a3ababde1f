"""What the referee costs: CPU time of training with its probes and looks, over that without.

    python benchmarks/referee_overhead.py [--family dcgan] [--side 32] [--pairs 5] [--report]

Two engines of one recipe train on the same synthetic pictures in turn, one watched and one not, at the family's default
settings. Steps are timed apart from looks, in pairs side by side; a look counts with the share of it that falls on
a step at the pace that the referee keeps. CPU time of the process, one thread. Bar: 2 %.
"""

import argparse
import platform
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch

from sparring.core.cluster import Cluster
from sparring.core.folder import RunFolder
from sparring.core.recipe import Recipe
from sparring.data import make_dealer
from sparring.engine.loop import Engine
from sparring.tools.plan import make_plan
from sparring.tools.refereeing import Refereeing
from sparring.watch.crowd import Crowd

RESULT = Path(__file__).parent.parent / "docs" / "results" / "referee-overhead.md"
BLOCK = 4  # steps timed together: as often as the probes read one


def pictures(folder, side, count=3000):
    """Coloured squares of 4x4, as a file of arrays."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, side // 8, side // 8, 3)).astype(np.uint8)
    path = Path(folder) / "squares.npz"
    np.savez(path, images=coarse.repeat(8, 1).repeat(8, 2))
    return path


def engine_of(plan, folder, watched):
    """An engine that has taken its first step, and who watches it."""
    game = plan.make_game()
    referee = Refereeing(plan, RunFolder(folder), game, Crowd([]), Cluster()) if watched else None
    dealer = make_dealer(
        plan.dataset, seed=0, stride=plan.train.batch, device=torch.device("cpu"), workers=0, flip=False, balance=False
    )
    engine = Engine(game, dealer, plan.train, plan.optim, probes=[referee] if referee else [])
    engine.step()
    if referee:
        look(engine, referee)  # the first fits clusters
    return engine, referee


def timed(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def block(engine):
    for _ in range(BLOCK):
        engine.step()


def look(engine, referee):
    referee.looked = -referee.every
    referee.watch(engine)


def measure(plan, pairs):
    """Ratios of steps by pairs, steps that a look costs by pairs, and the steps between two looks."""
    with tempfile.TemporaryDirectory() as folder:
        (plain, _), (watched, referee) = (engine_of(plan, folder, on) for on in (False, True))
        ratios, looks = [], []
        for pair in range(pairs):
            first, second = (plain, watched) if pair % 2 else (watched, plain)
            times = {id(engine): timed(lambda engine=engine: block(engine)) for engine in (first, second)}
            ratios.append(times[id(watched)] / times[id(plain)])
            looks.append(timed(lambda: look(watched, referee)) / (times[id(plain)] / BLOCK))
        return ratios, looks, referee.every


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--family", default="dcgan")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--report", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(Recipe(str(pictures(folder, asked.side)), asked.family), None, Cluster())
    ratios, looks, every = measure(plan, asked.pairs)
    steps, one = statistics.median(ratios), statistics.median(looks)
    total = steps - 1 + one / every
    what = f"{asked.side}x{asked.side} RGB, batch {plan.train.batch}"
    each = f"{one:.2f} steps ({min(looks):.2f} to {max(looks):.2f})"
    lines = [
        "# What the referee costs",
        "",
        f"`{asked.family}`, {what}, defaults; medians of {asked.pairs} pairs.",
        "",
        f"* Steps with its probes over steps without: {steps:.4f} ({min(ratios):.4f} to {max(ratios):.4f}).",
        f"* A look: {each}, once in {every} steps at the most: {one / every:.2%}.",
        f"* Together: {total:.2%}. Bar: 2 %.",
        "",
        f"{date.today()}, torch {torch.__version__}, {platform.machine()}, one thread, CPU time of the process.",
        f"Command: `python benchmarks/referee_overhead.py --pairs {asked.pairs} --report`",
    ]
    print("\n".join(lines))
    if asked.report:
        RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
