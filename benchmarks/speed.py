"""How fast a step is: beside the tutorial's loop, a loop by hand, torchgan, and formulas as they are written.

    python benchmarks/speed.py [--pairs 5] [--steps 16] [--only tutorial hand peer phases keeping peak] [--report]

Beside the tutorial's loop and torchgan, a figure is a pair of whole processes, run in turn, first one way round and
then the other; each process tells the median of its steps but the first three. What differs by a few hundredths, the
engine and a loop by hand, or by kernels alone, is played in one process, a step of one beside a step of the other:
between processes a machine is now faster and now slower by more than that. Turns of families are told both ways: in one
process, and (`keeping`) in processes of their own, the faster with freed memory kept. torchgan is left out where it is
not installed (`peer_loop.py`). What is done is kept in --results, and the same command goes on from there. With
--report, docs/results/speed.md is written from what is there.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from statistics import median

import numpy as np

HERE = Path(__file__).parent
REPORT = HERE.parent / "docs" / "results" / "speed.md"
WARM = 3
TRIED = {  # against bars that are missed
    "The tutorial's step": (
        "channels last in memory, with the derived kernels made to keep it: no faster",
        "3x3 convolutions to few channels as one product of matrices: those layers 2 to 5 times as fast, the step "
        "about 8 %; it is in the figures above",
        "Winograd's F(2x2, 3x3) as batched products of matrices, for 3x3 convolutions of many channels: a layer's "
        "forward pass 1.08 to 1.33 times as fast, for four times the memory; not taken in",
    ),
    "The turns of families (ratios of the processor's time, one thread, a machine with other work)": (
        "channels last in memory: R3GAN D 1.08, G 0.99, StyleGAN2 D 1.21, G 1.20, where the usual layout had 0.89, "
        "1.04, 1.14 and 1.22",
        "grouped convolutions as a dense one for each group: at 32 pixels 34 ms for 59, but what it spared were the "
        "pages that are newly mapped for every result; with memory kept, 19 ms for 16",
        "`torch.compile` of both networks, memory kept on both sides: StyleGAN2 G 1.22, D 1.0, R3GAN G 0.7",
        "memory kept: the rows that say so",
    ),
}

TURNS = {  # a family, and which of its turns
    "r3gan-D": ("R3GAN, D's turn with R1 and R2", ("r3gan", "0")),
    "r3gan-G": ("R3GAN, G's turn", ("r3gan", "1")),
    "sg2-D": ("StyleGAN2, D's turn", ("stylegan2", "0")),
    "sg2-R1": ("StyleGAN2, R1", ("stylegan2", "1")),
    "sg2-G": ("StyleGAN2, G's turn", ("stylegan2", "2")),
}
# Name: (what is measured, the other way, the faster way, the bar for the ratio); arguments of `play`.
PAIRS = {
    "tutorial": ("tutorial networks, fp32, `--train.allocator keep`", ("literal",), ("engine", "keep"), 3.0),
    "tutorial-default": ("the same, the usual allocator", ("literal",), ("engine",), 0.0),
    "tutorial-bf16": (
        "tutorial networks, bf16, `--train.allocator keep`",
        ("literal",),
        ("engine", "keep", "bf16"),
        3.8,
    ),
    "hand": ("a loop by hand, fp32, both with memory kept", ("by_hand", "keep"), ("engine", "keep"), 0.97),
    "peer": (
        "torchgan's trainer, tutorial networks, fp32, `--train.allocator keep`",
        ("torchgan",),
        ("engine", "keep"),
        0.0,
    ),
    **{
        f"phases-{name}": (label, ("phase", *turn, "ref"), ("phase", *turn), 1.25)
        for name, (label, turn) in TURNS.items()
    },
    **{
        f"keeping-{name}": (
            f"{label}, `--train.allocator keep`",
            ("phase", *turn, "ref"),
            ("phase", *turn, "keep"),
            1.25,
        )
        for name, (label, turn) in TURNS.items()
    },
}


# ---------------------------------------------------------------------- one process


def loop(way):
    """The loop that a way names."""
    import peer_loop
    import tutorial_loop as loops

    if way[0] == "phase":
        return phase(way[1], int(way[2]), "ref" in way)
    if way[0] == "torchgan":
        return peer_loop.torchgan()
    if way[0] == "literal":
        return loops.literal()
    return getattr(loops, way[0])("bf16" if "bf16" in way else "fp32")


def play(ways, steps):
    """One way alone, or two in turn, in this process; for a lone way its median step, for two every pair."""
    import torch
    from tutorial_loop import in_turn, laps

    if "keep" in ways[0]:
        from sparring.engine.allocator import keep_memory

        keep_memory()
    torch.manual_seed(0)
    if ways[0] == ["peak"]:
        return peak()
    loops = [loop(way) for way in ways]
    told = laps(loops[0], steps)[WARM:] if len(loops) == 1 else in_turn(*loops, steps)[WARM:]
    load = os.getloadavg()[0]
    if len(loops) == 1:
        return {"wall": median(wall for wall, _ in told), "cpu": median(cpu for _, cpu in told), "load": load}
    return [[{"wall": wall, "cpu": cpu, "load": load} for wall, cpu in pair] for pair in told]


def setting(name):
    """The game at the sizes of the published comparison, with no weight 0, and its batch."""
    import torch

    from sparring.core.registry import load_family
    from sparring.core.spec import DataSpec

    family, spec = load_family(name), DataSpec("image", (3, 32, 32), count=50_000)
    if name == "r3gan":
        config, batch = family.config_class(width=192, blocks=2), 8
    else:
        config = family.config_class(channel_base=16384, channel_max=256, mapping_layers=2, path_weight=0, mixing=0)
        batch = 4
    torch.manual_seed(0)
    game = family(spec, config).train()
    with torch.no_grad():
        for parameter in game.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    return game, batch


def turn_of(game, batch, place):
    """One turn's loss and backward pass; returns the movers' gradients."""
    import torch

    from sparring.core.batch import Batch
    from sparring.core.seeds import PositionNoise

    turn = game.turns(0)[place]
    for name, player in game.players().items():
        player.requires_grad_(name in turn.movers)
    game.zero_grad()
    torch.manual_seed(1)
    real = torch.rand(batch, 3, 32, 32) * 2 - 1
    turn.loss(Batch(real, None, 0, PositionNoise(batch, 5, torch.device("cpu")))).loss.backward()
    return [p.grad for name in turn.movers for p in game.players()[name].parameters() if p.grad is not None]


def phase(name, place, reference):
    """A turn again and again."""
    from sparring.core.rewritten import set_reference

    game, batch = setting(name)
    set_reference(game.modules(), reference)
    while True:
        turn_of(game, batch, place)
        yield


def difference(name, place):
    """The largest difference between the two ways' gradients, as a share of each tensor's norm, in double precision."""
    import torch

    from sparring.core.rewritten import set_reference

    torch.set_default_dtype(torch.float64)
    game, _ = setting(name)
    found = []
    for reference in (True, False):
        set_reference(game.modules(), reference)
        found.append(turn_of(game, 4, place))
    torch.set_default_dtype(torch.float32)
    return max(float((a - b).norm() / a.norm().clamp(min=1e-12)) for a, b in zip(*found, strict=True))


def multiplied(op, args, made):
    """FLOPs of a convolution, its backward pass or a matrix product; 0 of what is neither.

    torch's own counter takes the gradient of a grouped convolution's weights for that of a dense one.
    """
    name = op.overloadpacket.__name__
    if name in ("mm", "bmm", "addmm"):
        return 2 * made.numel() * args[-2].shape[-1]
    if name == "convolution":
        x, weight, transposed, wanted, output = args[0], args[1], args[6], 1, made
    elif name == "convolution_backward":
        x, weight, transposed, wanted, output = args[1], args[2], args[7], sum(args[10][:2]), args[0]
    else:
        return 0
    return 2 * wanted * weight.numel() * len(x) * (x if transposed else output)[0, 0].numel()


def counted(loop):
    """GFLOP of the second step of a loop."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counter(TorchDispatchMode):
        total = 0

        def __torch_dispatch__(self, op, types, args=(), kwargs=None):
            made = op(*args, **(kwargs or {}))
            self.total += multiplied(op, args, made)
            return made

    next(loop)
    with Counter() as counter:
        next(loop)
    return counter.total / 1e9


def peak():
    """The most that this machine's matrix products reach in GFLOP/s, and the GFLOP of a step of every way."""
    import torch

    best = 0.0
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    images, weight = torch.randn(32, 128, 32, 32).to(memory_format=torch.channels_last), torch.randn(64, 128, 3, 3)
    for work, run in (
        (2 * 2048**3, lambda: a @ b),
        (2 * 32 * 32 * 32 * 128 * 64 * 9, lambda: torch.conv2d(images, weight, padding=1)),
    ):
        for _ in range(12):
            start = time.perf_counter()
            run()
            best = max(best, work / (time.perf_counter() - start) / 1e9)
    ways = {
        name: [counted(loop([part for part in way if part != "keep"])) for way in (slow, fast)]
        for name, (_, slow, fast, _) in PAIRS.items()
        if name == "tutorial" or name.startswith("phases")
    }
    return {"peak": best, **ways}


# ---------------------------------------------------------------------- all of them


def tell(steps, *ways):
    """Play in a process of its own."""
    command = [sys.executable, str(HERE / "speed.py"), "--play", json.dumps(ways), "--steps", str(steps)]
    environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def conditions(options):
    """What all figures of a table have to have in common."""
    import torch

    sources = [*sorted((HERE.parent / "src").rglob("*.py")), HERE / "speed.py", HERE / "tutorial_loop.py"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    return {"code": digest, "steps": options.steps, "torch": torch.__version__}


def measure(options):
    """Everything that is not in the results yet, a round of all pairs at a time."""
    results = json.loads(options.results.read_text()) if options.results.exists() else {"of": conditions(options)}
    if results["of"] != conditions(options):
        raise SystemExit(f"{options.results} was measured otherwise ({results['of']}); move it away, or say --results")
    wanted = [name for name in PAIRS if not options.only or name.split("-")[0] in options.only]
    if "peer" in wanted and importlib.util.find_spec("torchgan") is None:
        print("torchgan is not installed, and left out: pip install --no-deps torchgan", flush=True)
        wanted.remove("peer")

    def keep():
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(results, indent=1))

    if "peak" not in results and (not options.only or "peak" in options.only):
        results["peak"] = tell(1, ("peak",))
        keep()
    for name in (name for name in wanted if together(name) and name not in results):
        results[name] = tell(WARM + options.steps, *PAIRS[name][1:3])
        keep()
        print(f"{name}: {len(results[name])} pairs of steps, load {results[name][0][0]['load']:.1f}", flush=True)
    for number in range(options.pairs):
        for name in (name for name in wanted if not together(name)):
            pairs = results.setdefault(name, [])
            if len(pairs) > number:
                continue
            ways = PAIRS[name][1:3]
            both = {way: tell(options.steps, way) for way in (ways if number % 2 == 0 else ways[::-1])}
            pairs.append([both[ways[0]], both[ways[1]]])
            keep()
            told = " ".join(f"{kind} {pairs[-1][0][kind] / pairs[-1][1][kind]:.2f}" for kind in ("wall", "cpu"))
            print(f"{name}: pair {number + 1}, ratio {told}, load {os.getloadavg()[0]:.1f}", flush=True)
    for name in wanted:
        if name.startswith("phases") and f"exact {name}" not in results:
            family, place = PAIRS[name][1][1:3]
            results[f"exact {name}"] = difference(family, int(place))
            keep()
    return results


def together(name):
    """Whether both ways are played in one process."""
    return name == "hand" or name.startswith("phases")


def rows(results):
    """Lines of the table."""
    for name, (label, _, _, bar) in PAIRS.items():
        pairs = results.get(name)
        if not pairs:
            continue
        cells = []
        for kind in ("wall", "cpu"):
            low, middle, high = np.quantile([a[kind] / b[kind] for a, b in pairs], [0.25, 0.5, 0.75])
            cells.append(f"**{middle:.3g}** ({low:.3g}–{high:.3g})")
        slow, fast = (1000 * median(pair[i]["wall"] for pair in pairs) for i in (0, 1))
        exact = results.get(f"exact {name}")
        load = max(way["load"] for pair in pairs for way in pair)
        cells += [f"{slow:.0f} → {fast:.0f}", f"{bar:g}" if bar else "", f"{exact:.0e}" if exact is not None else ""]
        yield f"| {label} | {' | '.join(cells)} | {len(pairs)} | {load:.1f} |"


def shares(results):
    """How much of what the machine can do each way does."""
    top = results.get("peak")
    if not top:
        return []
    lines = [
        f"The most that was seen of this machine is {top['peak']:.0f} GFLOP/s (a matrix product or a convolution,",
        "fp32). No way is faster than its multiplications at that rate. What was reached of it, by the clock:",
        "",
        "| what | GFLOP a step | as it is written | by the toolkit |",
        "|---|---|---:|---:|",
    ]
    for name, counts in ((name, top[name]) for name in results if name in top and name in PAIRS):
        times = [median(pair[i]["wall"] for pair in results[name]) for i in (0, 1)]
        cells = [f"{count / seconds / top['peak']:.0%}" for count, seconds in zip(counts, times, strict=True)]
        lines.append(f"| {PAIRS[name][0]} | {counts[0]:.1f} → {counts[1]:.1f} | {cells[0]} | {cells[1]} |")
    return [*lines, ""]


def report(results, options):
    """Write docs/results/speed.md."""
    lines = [
        "# How fast a step is",
        "",
        "| | |",
        "|---|---|",
        f"| date | {date.today()} |",
        f"| command | `python benchmarks/speed.py --steps {options.steps} --report`, a quiet machine |",
        f"| hardware | {platform.machine()}, {os.cpu_count()} cores |",
        "",
        "Beside the tutorial's loop and torchgan: whole processes in turn. By hand, and turns of families: steps in",
        "turn, in one process; where `--train.allocator keep` is said, processes in turn, the toolkit's with freed",
        "memory kept. A ratio is the slower way's time over the faster one's: median of the pairs, and the quarters",
        "around it. Load: the most processes that wanted to run meanwhile. Exactness: the largest difference of a",
        "gradient's tensors between the two ways in double precision, as a share of its norm.",
        "",
        "| what | by the clock | of the processor | ms a step | bar | exactness | pairs | load |",
        "|---|---|---|---|---:|---:|---:|---:|",
        *rows(results),
        "",
    ]
    lines += shares(results)
    lines += ["## What was tried where a bar is missed", ""]
    for where, attempts in TRIED.items():
        lines += [f"{where}:", "", *(f"* {what};" for what in attempts[:-1]), f"* {attempts[-1]}.", ""]
    REPORT.write_text("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=16, help="of each process")
    parser.add_argument("--only", nargs="*", default=[], help="tutorial, hand, peer, phases, keeping, peak")
    parser.add_argument("--results", type=Path, default=Path("runs/speed/results.json"))
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--play", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play:
        print(json.dumps(play(json.loads(options.play), options.steps)))
        return
    results = measure(options)
    print("\n".join(rows(results)))
    if options.report:
        report(results, options)


if __name__ == "__main__":
    main()
