"""What N GPUs would give, on paper, and whether the paper's way of reckoning holds for 1, 2 and 4 processes here.

    python benchmarks/scaling.py            # prints both
    python benchmarks/scaling.py --report   # writes docs/results/scaling.md and the tables of docs/distributed.md

The paper is `scaling_paper.py`; each of its assumptions can be replaced: ``--flops 3e14``.

The check: a small DCGAN over gloo, one thread a process. What a step costs is fitted to one process alone, what a
message costs to messages alone; from these the paper's sum says how long a step of 2 and 4 processes takes, and that is
measured. It wants a quiet machine and takes about two minutes.
"""

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from resume_torture import hardware
from scaling_paper import Machine, assumptions, paper
from torch import Tensor

from sparring.core.cluster import Cluster
from sparring.core.config import Train
from sparring.core.registry import load_family
from sparring.core.spec import DataSpec
from sparring.engine import reduction
from sparring.engine.loop import Engine
from sparring.testing.conformance import RandomDealer
from sparring.testing.processes import in_processes

DOCS = Path(__file__).parent.parent / "docs"
MARKS = ("<!-- scaling -->\n", "<!-- end of scaling -->")
SIZES = tuple(4 * 4**k for k in range(3, 12))  # bytes: 256 to 16 MiB
EACH, WHOLE = 16, 32  # images of a process, images of all
BUCKET = 1 << 18  # bytes: so that networks as small as these send several messages a turn


def measure(cluster: Cluster, rounds: int, steps: int) -> dict[str, Tensor]:
    """Seconds a step, by round; seconds a message alone, by size; bytes of a step's messages."""
    family = load_family("dcgan")
    spec = DataSpec("image", (3, 32, 32), count=64)
    engines = {}
    for way, batch in (("weak", EACH * cluster.size), ("strong", WHOLE), ("after", EACH * cluster.size)):
        torch.manual_seed(0)
        game = family(spec, family.config_class(width=32))
        train = Train(batch=batch, microbatches=cluster.size)
        engines[way] = Engine(game, RandomDealer(spec), train, device=torch.device("cpu"), cluster=cluster)
    for engine in engines.values():
        engine.step()
    seconds: dict[str, list[float]] = {way: [] for way in engines}
    for _ in range(rounds):
        for way, engine in engines.items():
            reduction.BUCKET_BYTES = 1 << 40 if way == "after" else BUCKET
            dist.barrier()
            begun = time.perf_counter()
            for _ in range(steps):
                engine.step()
            seconds[way].append((time.perf_counter() - begun) / steps)
    reduction.BUCKET_BYTES = BUCKET
    alone = []
    for size in SIZES if cluster.size > 1 else ():
        flat = torch.zeros(size // 4)
        times = []
        for _ in range(2 * rounds + 2):
            dist.barrier()
            begun = time.perf_counter()
            dist.all_reduce(flat)
            times.append(time.perf_counter() - begun)
        alone.append(float(np.median(times[2:])))
    return {
        **{way: torch.tensor(times) for way, times in seconds.items()},
        "alone": torch.tensor(alone),
        "sent": torch.tensor(sent_by(engines["weak"]) if cluster.size > 1 else []),
    }


def sent_by(engine: Engine) -> list[int]:
    """Bytes of each message of one step."""
    sizes: list[int] = []
    original = dist.all_reduce

    def noted(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        sizes.append(tensor.numel() * tensor.element_size())
        return original(tensor, *args, **kwargs)

    dist.all_reduce = noted
    try:
        engine.step()
    finally:
        dist.all_reduce = original
    return sizes


def fit(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """``a, b`` of ``y = a + b x``, by least squares of the relative error."""
    rows = np.array([[1 / b, a / b] for a, b in zip(x, y, strict=True)])
    a, b = np.linalg.lstsq(rows, np.ones(len(rows)), rcond=None)[0]
    return max(float(a), 0.0), max(float(b), 0.0)


def checked(rounds: int, steps: int) -> str:
    """The measured tables."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    at = {n: in_processes(measure, n, rounds, steps)[0] for n in (1, 2, 4)}
    alike, image = fit((EACH, WHOLE), [float(at[1][way].median()) for way in ("weak", "strong")])
    lines = [
        "## A message alone",
        "",
        "| bytes | " + " | ".join(f"{n} processes (ms)" for n in (2, 4)) + " |",
        "|---|---|---|",
    ]
    for place, size in enumerate(SIZES):
        cells = " | ".join(f"{1000 * float(at[n]['alone'][place]):.3f}" for n in (2, 4))
        lines.append(f"| {size:,} | {cells} |")
    lines += [
        "",
        "## Steps",
        "",
        "| processes | images each | measured (ms) | spread | reckoned (ms) | measured / reckoned |",
    ]
    lines += ["|---|---|---|---|---|---|"]
    notes = []
    for n in (1, 2, 4):
        wire = fit(SIZES, at[n]["alone"].tolist()) if n > 1 else (0.0, 0.0)
        sent = at[n]["sent"].tolist()
        messaging = sum(wire[0] + wire[1] * size for size in sent)
        for way, each in (("weak", EACH), ("strong", WHOLE // n)):
            took = at[n][way]
            low, middle, high = (1000 * float(q) for q in took.quantile(torch.tensor([0.25, 0.5, 0.75])))
            reckoned = 1000 * ((alike + image * each) * max(1.0, n / cores) + messaging)
            lines.append(
                f"| {n} | {each} | {middle:.1f} | {low:.1f} to {high:.1f} | {reckoned:.1f} | {middle / reckoned:.2f} |"
            )
        if n > 1:
            ratio = float((at[n]["weak"] / at[n]["after"]).median())
            notes.append(
                f"* {n} processes: a message costs {1000 * wire[0]:.2f} ms and {1e9 * wire[1]:.2f} ms a megabyte.\n"
                f"  A step sends {len(sent)}, {sum(sent) / 1e6:.1f} MB in all: {1000 * messaging:.1f} ms.\n"
                f"  Sent during the backward pass, it takes {ratio:.2f} of its time with one message a turn after it."
            )
    first = f"* One process: {1000 * alike:.1f} ms a step and {1000 * image:.2f} ms an image, on {cores} cores."
    return "\n".join([*lines, "", first, *notes]) + "\n"


def page(check: str, on: Machine) -> str:
    """The results as a page."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return "\n".join(
        [
            "# One, two, four processes",
            "",
            f"`python benchmarks/scaling.py --report`, {date.today()}, {hardware()}.",
            f"Load of the machine at the end: {load:.1f}; with other work on it these figures mean little.",
            "",
            f"A DCGAN of width 32 on 32x32 pictures of noise, over gloo, in buckets of {BUCKET >> 10} KiB.",
            "What a step and an image cost is fitted to one",
            "process; what a message costs, to messages alone. *Reckoned* is their sum, the arithmetic multiplied by",
            "processes over cores where there are more of them than cores: the paper's way of reckoning, with nothing",
            "hidden behind the backward pass, for no core is idle. Medians over rounds, the middle half as spread.",
            "",
            check,
            "[Beyond one machine](../distributed.md#what-n-gpus-would-give) reckons so for GPUs and assumes:",
            f"{assumptions(on)}.",
            "",
        ]
    )


def main() -> None:
    """Say it, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--report", action="store_true", help="write the pages")
    parser.add_argument("--paper", action="store_true", help="only what is reckoned, nothing measured")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=6, help="of a round")
    for item in fields(Machine):
        parser.add_argument(f"--{item.name.replace('_', '-')}", type=type(item.default), default=item.default)
    arguments = parser.parse_args()
    on = Machine(**{item.name: getattr(arguments, item.name) for item in fields(Machine)})
    tables = paper(on)
    print(tables)
    if arguments.report:
        target = DOCS / "distributed.md"
        before, _, rest = target.read_text(encoding="utf-8").partition(MARKS[0])
        _, _, after = rest.partition(MARKS[1])
        target.write_text(f"{before}{MARKS[0]}\n{tables}\n{MARKS[1]}{after}", encoding="utf-8")
    if not arguments.paper:
        check = checked(arguments.rounds, arguments.steps)
        print(check)
        if arguments.report:
            (DOCS / "results" / "scaling.md").write_text(page(check, on), encoding="utf-8")


if __name__ == "__main__":
    main()
