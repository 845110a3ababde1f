"""What N GPUs would give, on paper.

The time of a step is that of its arithmetic, of the messages that the backward pass does not hide, and of what every
process does alike.

Sizes of networks, bytes and arithmetic are counted from our own networks; what a GPU and a network of machines do is
assumed (`Machine`). `scaling.py` prints the tables and checks the way of reckoning.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from sparring.core.batch import Batch
from sparring.core.registry import load_family
from sparring.core.spec import DataSpec
from sparring.engine import reduction
from sparring.engine.held import Valueless

PASSES = {"generator": 3, "discriminator": 8, "penalty": 6}  # forward passes that their share of a step amounts to


@dataclass(frozen=True)
class Machine:
    """What is assumed. None of it was measured by us."""

    flops: float = 1e14  # arithmetic that a GPU reaches in these networks, FLOP/s
    memory: float = 2.5e12  # what it reads and writes, byte/s
    inside: float = 2e11  # what it sends to others of its machine, byte/s
    across: float = 4e10  # what it sends to other machines, byte/s
    hop: float = 1e-5  # s from one GPU to the next in a machine
    hop_across: float = 3e-5  # s from one machine to another
    gpus: int = 8  # in a machine
    host: float = 4e-3  # s a step that do not depend on the batch: launching kernels, dealing data
    hides: float = 0.7  # share of the backward pass under which messages can hide


@dataclass(frozen=True)
class Case:
    """A family at a size: weights of each turn's movers, arithmetic of an image, images a GPU takes at a time."""

    name: str
    movers: tuple[int, ...]
    flops: float
    batch: int

    @property
    def weights(self) -> int:
        """Of all players."""
        return sum(self.movers)


def cases() -> list[Case]:
    """Counted from our own networks, at the settings that they have for such data."""
    found = []
    for name, side, batch, penalties in (("dcgan", 32, 64, 0.0), ("stylegan2", 256, 16, 1 / 16), ("r3gan", 256, 16, 2)):
        family = load_family(name)
        spec = DataSpec("image", (3, side, side), count=50_000)
        with torch.device("meta"):
            game = family(spec, family.config_class(**family.defaults(spec).get("game", {})))
            picture = torch.empty(1, *spec.shape)
        game.requires_grad_(False)
        with FlopCounterMode(display=False) as of_g:
            game.sample(Batch(picture[:, :0], None, 10**12, Valueless(1)))
        with FlopCounterMode(display=False) as of_d:
            game.D(picture, None)
        passes = PASSES["discriminator"] + PASSES["penalty"] * penalties
        flops = PASSES["generator"] * of_g.get_total_flops() + passes * of_d.get_total_flops()
        movers = tuple(sum(p.numel() for p in player.parameters()) for player in game.players().values())
        found.append(Case(f"{name} {side}x{side}", movers, flops, batch))
    return found


def all_reduce(size: float, n: int, on: Machine) -> float:
    """Seconds to add up ``size`` bytes over ``n`` GPUs: a ring in each machine, a tree over machines in which each GPU
    carries its part.
    """
    near, machines = min(n, on.gpus), -(-n // on.gpus)
    seconds = 2 * (near - 1) / near * size / on.inside + 2 * (near - 1) * on.hop
    if machines > 1:
        part = size / near
        seconds += 2 * (machines - 1) / machines * part / on.across + 2 * np.ceil(np.log2(machines)) * on.hop_across
    return float(seconds)


def messages(weights: int) -> list[int]:
    """Bytes of each message of a turn whose movers have so many weights."""
    whole, rest = divmod(4 * weights, reduction.BUCKET_BYTES)
    return [reduction.BUCKET_BYTES] * whole + [rest] * (rest > 0)


def step(case: Case, n: int, batch: float, on: Machine) -> tuple[float, float]:
    """Seconds of a step with ``batch`` images on each of ``n`` GPUs, and those of them that are spent on messages."""
    arithmetic = case.flops * batch / on.flops
    alike = on.host + 4 * case.weights * (7 + 3) / on.memory  # Adam reads and writes 7 numbers a weight, the average 3
    if n == 1:
        return arithmetic + alike, 0.0
    turns = [[all_reduce(size, n, on) for size in messages(weights)] for weights in case.movers]
    last = sum(turn[-1] for turn in turns)
    exposed = max(sum(map(sum, turns)) - on.hides * arithmetic * 2 / 3, last)
    return arithmetic + alike + exposed, exposed


def gains(case: Case, on: Machine, whole: int = 0) -> Iterator[tuple[int, float, float, float]]:
    """``(n, seconds, images/s, efficiency)`` for powers of two; ``whole``: that many images a step, whatever n is."""
    alone = step(case, 1, whole or case.batch, on)[0] / (whole or case.batch)
    for n in (2**k for k in range(13)):
        batch = whole / n if whole else case.batch
        if batch < 1:
            return
        seconds, _ = step(case, n, batch, on)
        rate = n * batch / seconds
        yield n, seconds, rate, rate * alone / n


def paper(on: Machine, whole: int = 512) -> str:
    """The tables of the page on more than one machine."""
    lines = ["| | weights | sent a step | arithmetic an image |", "|---|---|---|---|"]
    for case in cases():
        size = 4 * case.weights / 1e6
        lines.append(f"| {case.name} | {case.weights / 1e6:.1f} M | {size:.0f} MB | {case.flops / 1e9:.1f} GFLOP |")
    for words, fixed in (
        ("The same batch on each GPU (more GPUs: larger steps)", 0),
        (f"{whole} images a step, however many GPUs", whole),
    ):
        lines += [
            "",
            f"{words}:",
            "",
            "| | GPUs | images each | step (ms) | images/s | efficiency |",
            "|---|---|---|---|---|---|",
        ]
        for case in cases():
            for n, seconds, rate, efficiency in gains(case, on, fixed):
                if n in (1, 8, 64, 512):
                    each = fixed // n or case.batch
                    row = f"| {case.name} | {n} | {each} | {1000 * seconds:.1f} | {rate:,.0f} | {efficiency:.0%} |"
                    lines.append(row)
    lines += ["", "The largest power of two at which a GPU still does half of what it does alone, up to 4,096:", ""]
    lines += ["| | the same batch on each | " + f"{whole} images a step |", "|---|---|---|"]
    for case in cases():
        most = [max(n for n, *_, e in gains(case, on, fixed) if e >= 0.5) for fixed in (0, whole)]
        lines.append(f"| {case.name} | {most[0]:,} | {most[1]:,} |")
    return "\n".join(lines) + "\n"


def assumptions(on: Machine) -> str:
    """As one sentence."""
    return ", ".join(f"{item.name} {getattr(on, item.name):g}" for item in fields(on))
