"""Which way is the fastest here: layout, kernels, compiled or not, measured in seconds before a run begins.

It is measured on throw-away copies of the game and random samples, so that no weight and no random number of the run
is touched; what was found is kept in the cache folder. The run keeps what was chosen in its recipe, and goes on so.
"""

import contextlib
import json
import math
import os
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch

import sparring
from sparring.core.batch import Deal
from sparring.core.cluster import Cluster
from sparring.core.config import plain
from sparring.core.errors import SparringError
from sparring.core.files import cache_folder, sha256, write_json
from sparring.core.game import Game
from sparring.core.rewritten import Rewritten
from sparring.core.spec import DataSpec
from sparring.engine.compiled import compile_networks
from sparring.engine.guard import NonFinite
from sparring.engine.loop import Engine
from sparring.engine.precision import deterministic, products
from sparring.tools.plan import Plan, first_line

USUAL: dict[str, Any] = {"layout": "contiguous", "kernels": "rewritten", "compile": "off"}
OTHERS: dict[str, Any] = {"layout": "channels_last", "kernels": "written", "compile": "on"}
GAIN = 1.03  # how much faster another way has to be; less is lost in the noise of a busy machine
SECONDS = 2.0  # of steps for each way and the usual one together, but two pairs of steps at least
PIECE = 0.1  # seconds of steps in one of a pair


@dataclass(frozen=True)
class Tried:
    """One way beside what was the fastest so far.

    Attributes:
        setting, value: such as ``layout`` and ``channels_last``.
        ms, beside: milliseconds a step, medians of interleaved pieces; NaN where it could not be played.
        chosen: whether it is the way from here on.
        trouble: why it could not be played.
    """

    setting: str
    value: str
    ms: float
    beside: float
    chosen: bool
    trouble: str = ""

    def __str__(self) -> str:
        if self.trouble:
            return f"train.{self.setting} {USUAL[self.setting]}: {self.value} cannot be played ({self.trouble})"
        return (
            f"train.{self.setting} {self.value if self.chosen else USUAL[self.setting]}: a step takes {self.ms:.4g} ms "
            f"{self.value}, {self.beside:.4g} ms {USUAL[self.setting]}"
        )


class RandomSamples:
    """Deals random samples of a spec."""

    def __init__(self, spec: DataSpec, device: torch.device):
        self.spec, self.device = spec, device

    def deal(self, first: int, count: int) -> Deal:
        """Uniform in [-1, 1], all of the first class."""
        spec, device = self.spec, self.device
        labels = torch.zeros(count, dtype=torch.int64, device=device) if spec.classes else None
        given = torch.rand(count, *spec.given, device=device) * 2 - 1 if spec.given else None
        return Deal(torch.rand(count, *spec.shape, device=device) * 2 - 1, labels, given)

    def close(self) -> None:
        """Nothing to let go of."""


@contextlib.contextmanager
def as_a_run_plays(plan: Plan, device: torch.device) -> Iterator[None]:
    """Kernels and precision of the run inside the block, and afterwards the random numbers of before."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), products(plan.train.precision, device), deterministic():
        yield


def throw_away(plan: Plan, device: torch.device) -> tuple[Engine, str]:
    """An engine like the run's over random samples, and why it is not compiled where that was asked for."""
    engine = Engine(plan.make_game(), RandomSamples(plan.dataset.spec, device), plan.train, plan.optim, device)
    return engine, compile_networks(engine) if plan.train.compile == "on" else ""


def with_fastest_way(plan: Plan, device: torch.device, cluster: Cluster) -> Plan:
    """The plan with its ``auto`` ways settled where ``train.plan`` wants them measured, and with the reasons."""
    ways = {name: getattr(plan.train, name) for name in USUAL}
    asked = plan.train.plan == "measured" or (plan.train.plan == "auto" and device.type == "cuda")
    if not asked or plan.train.reference or "auto" not in ways.values():
        return plan
    if cluster.size > 1:
        return replace(
            plan, reasons=(*plan.reasons, "train.plan: several processes do not measure; ways are the usual")
        )
    tried, kept = tried_before(plan, device), True
    if tried is None:
        tried, kept = try_ways(plan, device), False
        _leave_no_trace(device)
        keep(tried, plan, device)
    chosen = {name: USUAL[name] if way == "auto" else way for name, way in ways.items()}
    chosen |= {found.setting: found.value for found in tried if found.chosen}
    when = "measured before" if kept else "measured just now"
    reasons = [*plan.reasons, *(f"{found} ({when})" for found in tried)]
    return replace(plan, train=replace(plan.train, **chosen), reasons=tuple(reasons))


def try_ways(plan: Plan, device: torch.device) -> tuple[Tried, ...]:
    """Each other way that is open, one after the other, beside the fastest so far."""
    usual = {name: way for name, way in USUAL.items() if getattr(plan.train, name) == "auto"}
    plan = replace(plan, train=replace(plan.train, **usual))
    tried: list[Tried] = []
    with as_a_run_plays(plan, device):
        best, _ = throw_away(plan, device)
        for name in usual:
            if not _differs(name, best.game, plan, device):
                continue
            value = OTHERS[name]
            other_plan = replace(plan, train=replace(plan.train, **{name: value}))
            try:
                other, trouble = throw_away(other_plan, device)
                beside, ms = (math.nan, math.nan) if trouble else side_by_side(best, other)
            except (RuntimeError, SparringError, NonFinite) as error:  # no memory for it, no kernel, too few bits
                trouble, beside, ms = first_line(error), math.nan, math.nan
            chosen = not trouble and ms * GAIN < beside
            tried.append(Tried(name, value, ms, beside, chosen, trouble))
            if chosen:
                plan, best = other_plan, other
    return tuple(tried)


def _leave_no_trace(device: torch.device) -> None:
    """Give the trials' memory back to the card, which is looked at for room, and forget how much they took."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _differs(name: str, game: Game, plan: Plan, device: torch.device) -> bool:
    """Whether the way is another one for this game, and worth the seconds."""
    if name == "layout":
        return any(p.dim() == 4 for p in game.parameters())
    if name == "kernels":
        return any(isinstance(module, Rewritten) for module in game.modules() if module is not game)
    return device.type == "cuda" and not plan.train.checkpointing  # compiling for a CPU takes minutes to lose


def side_by_side(first: Engine, second: Engine) -> tuple[float, float]:
    """Milliseconds a step of each, medians of pieces played in turn: what disturbs one disturbs the other."""
    for engine in (first, second):
        engine.step()
    seconds = max(seconds_of(first, 1), 1e-6)
    seconds_of(second, 1)
    # Of whole cycles, unless they are long: else a lazy turn falls into some pieces, and the median leaves it out.
    cycle = math.lcm(*(turn.every for turn in first.game.turns(first.nimg)))
    cycle = cycle if cycle * seconds < SECONDS else 1
    steps = cycle * max(1, round(PIECE / (cycle * seconds)))
    found: tuple[list[float], list[float]] = ([], [])
    start = time.perf_counter()
    while len(found[0]) < 2 or time.perf_counter() - start < SECONDS:
        order = (0, 1) if len(found[0]) % 2 == 0 else (1, 0)
        for place in order:
            found[place].append(seconds_of((first, second)[place], steps))
    return 1000 * median(found[0]), 1000 * median(found[1])


def seconds_of(engine: Engine, steps: int) -> float:
    """Seconds a step, over so many."""
    _wait(engine.device)
    start = time.perf_counter()
    for _ in range(steps):
        engine.step()
    _wait(engine.device)
    return (time.perf_counter() - start) / steps


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def images_per_second(plan: Plan, device: torch.device) -> float:
    """Measured on a few steps of random samples: what a progress bar would show."""
    with as_a_run_plays(plan, device):
        engine, _ = throw_away(plan, device)
        engine.step()
        shown, start = engine.nimg, time.perf_counter()
        while time.perf_counter() - start < 1.0 or engine.nimg == shown:
            engine.step()
        _wait(device)
        return (engine.nimg - shown) / (time.perf_counter() - start)


# ---------------------------------------------------------------------- what is kept


def key(plan: Plan, device: torch.device) -> str:
    """A name for all that the answer depends on."""
    shaping = ("batch", "microbatches", "precision", "augment", "checkpointing", "freeze_d", *USUAL)
    on = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.node()} {os.cpu_count()}"
    facts: Mapping[str, object] = {
        "family": plan.family,
        "game": plain(plan.game),
        "shapes": [plan.dataset.spec.shape, plan.dataset.spec.given, len(plan.dataset.spec.classes)],
        "train": {name: getattr(plan.train, name) for name in shaping},
        "device": [device.type, on, torch.get_num_threads()],
        "versions": [torch.__version__, sparring.__version__],
    }
    return sha256(json.dumps(facts, sort_keys=True).encode())[:24]


def tried_before(plan: Plan, device: torch.device) -> tuple[Tried, ...] | None:
    """What was found the last time; None where nothing, or nothing that can be read, was kept."""
    try:
        kept = json.loads((cache_folder() / "ways" / f"{key(plan, device)}.json").read_text(encoding="utf-8"))
        return tuple(Tried(**found) for found in kept)
    except (OSError, ValueError, TypeError):
        return None


def keep(tried: tuple[Tried, ...], plan: Plan, device: torch.device) -> None:
    """For the next run like this one. What cannot be played is asked again: it may be mended by then."""
    if any(found.trouble for found in tried):
        return
    folder = cache_folder() / "ways"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{key(plan, device)}.json", [plain(found) for found in tried])
