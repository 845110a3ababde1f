"""What one card does with this code, in ten minutes at most: ``make gpu-check``.

Images a second of three families at two sizes, in each precision and way; how far the rewritten kernels are from their
formulas on the card; and how often a step waits for it between ticks, which should be never. With --report,
docs/results/gpu.md is written. Without a card it says so and exits with 2. ``--device cpu --tiny`` tries the script
itself, on networks of a few neurons.
"""

import argparse
import sys
import time
import warnings
from datetime import date
from pathlib import Path

import torch

from sparring.core.config import Train
from sparring.core.registry import load_family
from sparring.core.rewritten import set_reference
from sparring.core.spec import DataSpec
from sparring.engine.compiled import compile_networks, gradients
from sparring.engine.loop import Engine
from sparring.engine.precision import products
from sparring.tools.ways import RandomSamples, seconds_of

REPORT = Path(__file__).parent.parent / "docs" / "results" / "gpu.md"
FAMILIES, SIZES, BATCH = ("dcgan", "r3gan", "stylegan2"), (32, 64), 64
WAYS = {
    "fp32": {},
    "fp32, formulas as written": {"reference": True},
    "tf32": {"precision": "tf32"},
    "bf16": {"precision": "bf16"},
    "bf16, channels_last": {"precision": "bf16", "layout": "channels_last"},
    "bf16, compiled": {"precision": "bf16", "compile": "on"},
    "bf16, checkpointing": {"precision": "bf16", "checkpointing": True},
}
LIMIT = 540  # seconds after which nothing new is begun


def game_of(family, size, tiny):
    """The family's networks at its own sizes, with no weight 0, so that every gradient says something."""
    cls = load_family(family)
    spec, config = cls.tiny() if tiny else (DataSpec("image", (3, size, size), count=50_000), cls.config_class())
    torch.manual_seed(0)
    game = cls(spec, config)
    with torch.no_grad():
        for parameter in game.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    return game


def engine_of(family, size, options, **ways):
    """An engine over random samples on the device."""
    game, device = game_of(family, size, options.tiny), torch.device(options.device)
    train = Train(batch=4 if options.tiny else BATCH, **ways)
    return Engine(game, RandomSamples(game.spec, device), train, device=device)


def speed(family, size, options, ways):
    """Images a second, or why not."""
    device = torch.device(options.device)
    if ways.get("precision") == "tf32" and device.type != "cuda":
        return "a GPU's"
    with products(ways.get("precision", "fp32"), device):
        engine = engine_of(family, size, options, **ways)
        if ways.get("compile") == "on":
            trouble = compile_networks(engine, "aot_eager" if options.tiny else "inductor")
            if trouble:
                return trouble
        for _ in range(1 if options.tiny else 3):
            engine.step()
        shown, steps = engine.nimg, 1
        if not options.tiny:
            # Whole cycles of lazy turns (16 steps at most): else a slow way would be timed without any.
            steps = 16 * max(1, min(12, round(2 / 16 / max(seconds_of(engine, 2), 1e-4))))
            shown = engine.nimg
        seconds = seconds_of(engine, steps)
        return (engine.nimg - shown) / (seconds * steps)


def exactness(family, size, options):
    """The largest difference of a turn's gradients between formulas and kernels, in double precision, as a share."""
    torch.set_default_dtype(torch.float64)
    try:
        engine = engine_of(family, size, options)
        found = []
        for reference in (True, False):
            set_reference([module for module in engine.game.modules() if module is not engine.game], reference)
            found.append(gradients(engine.game, engine))
    finally:
        torch.set_default_dtype(torch.float32)
    return max(float((found[1][turn] - there).norm() / there.norm()) for turn, there in found[0].items())


def waits(family, size, options, steps=8):
    """How often so many steps wait for the card, or None where there is none."""
    if torch.device(options.device).type != "cuda":
        return None
    engine = engine_of(family, size, options)
    engine.step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(steps):
                engine.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught)


def check(options):
    """Rows of the two tables."""
    start = time.monotonic()
    speeds, others = [], []
    for family in FAMILIES:
        for size in SIZES[:1] if options.tiny else SIZES:
            cells = []
            for ways in WAYS.values():
                if time.monotonic() - start > LIMIT:
                    found = "no time left"
                else:
                    try:
                        found = speed(family, size, options, ways)
                    except RuntimeError as error:  # one way that a card has no kernel or memory for is not all of them
                        found = (str(error).splitlines() or [type(error).__name__])[0]
                cells.append(found if isinstance(found, str) else f"{found:,.0f}")
                print(f"{family} {size}: {list(WAYS)[len(cells) - 1]}: {cells[-1]}", flush=True)
            speeds.append(f"| {family} | {size} | {' | '.join(cells)} |")
            waited = waits(family, size, options)
            others.append(
                f"| {family} | {size} | {exactness(family, size, options):.0e} | {'–' if waited is None else waited} |"
            )
            print(others[-1], flush=True)
    return speeds, others


def page(speeds, others, options):
    """The report."""
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return "\n".join(
        [
            "# What one card does",
            "",
            "| | |",
            "|---|---|",
            f"| date | {date.today()} |",
            "| command | `make gpu-check` |",
            f"| device | {name} |",
            f"| torch | {torch.__version__} |",
            "",
            f"Images a second, batches of {4 if options.tiny else BATCH}, each family's own networks:",
            "",
            f"| family | pixels | {' | '.join(WAYS)} |",
            f"|---|---:|{'---:|' * len(WAYS)}",
            *speeds,
            "",
            "Exactness: the largest difference of a turn's gradients between kernels and formulas on the device, in",
            "double precision, as a share of their length. Waits: how often eight steps waited for the device.",
            "",
            "| family | pixels | exactness | waits |",
            "|---|---:|---:|---:|",
            *others,
            "",
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="networks of a few neurons: tries the script, not the card")
    parser.add_argument("--report", action="store_true", help="write docs/results/gpu.md")
    options = parser.parse_args()
    if torch.device(options.device).type == "cuda" and not torch.cuda.is_available():
        print("gpu-check: torch finds no CUDA device here; nothing was checked")
        return 2
    text = page(*check(options), options)
    print(text)
    if options.report:
        REPORT.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
