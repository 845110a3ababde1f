"""What is chosen when nobody says: from the data, the machine and what a person did say to settings with reasons.

Every rule stands in docs/automatic.md. Families that are ``fitted`` follow data and machine: those that are chosen for
people who name none. Naming one of them changes nothing; any other that is named keeps what its page says.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from sparring.core.config import Settings, Train, build, flatten, merge, unflatten
from sparring.core.game import Game
from sparring.core.spec import DataSpec
from sparring.modalities import modality

MANY = 5000  # pictures from which a GPU trains r3gan as it is
FEW_ON_CPU = 2000  # below so many, minutes on a CPU are enough for D to learn them by heart
WIDE = 20_000  # samples that fill wider networks
GIB = 1 << 30


@dataclass(frozen=True)
class Machine:
    """What a run is played on.

    Attributes:
        kind: ``cpu``, ``cuda`` or ``mps``.
        memory: of the accelerator, in bytes; 0 where it is not known.
        processes: how many train together.
    """

    kind: str
    memory: int = 0
    processes: int = 1

    @property
    def accelerated(self) -> bool:
        """Whether there is more than a CPU."""
        return self.kind != "cpu"

    @staticmethod
    def of(device: torch.device, processes: int = 1) -> "Machine":
        """The machine that ``device`` belongs to."""
        memory = 0
        if device.type == "cuda":
            memory = torch.cuda.get_device_properties(device).total_memory
        elif device.type == "mps":
            memory = torch.mps.recommended_max_memory()
        return Machine(device.type, memory, processes)


@dataclass(frozen=True)
class Choice:
    """A setting that nobody said: its dotted name, its value, and why."""

    name: str
    value: Any
    why: str

    def __str__(self) -> str:
        return f"{self.name} {self.value}: {self.why}"


def choose_family(spec: DataSpec, machine: Machine, said: Settings) -> tuple[str, str]:
    """The family for data that came without one, and why."""
    if spec.modality == "image" and spec.given:
        if spec.palette:
            return "spade", f"{spec.count:,} pairs of a label map and a picture"
        if spec.given[1:] != spec.shape[1:]:
            return "srgan", f"{spec.count:,} pairs of a picture and the same, smaller"
        if spec.paired:
            return "pix2pix", f"{spec.count:,} pairs: what is made of each picture is known, and is learnt directly"
        return "cut", f"{spec.count:,} {shape_of(spec)} pictures and a set without pairs to make them from"
    if spec.modality == "table":
        return "ctgan", f"{spec.count:,} {shape_of(spec)}; conditions on any column"
    if spec.modality == "series":
        return "doppelganger", f"{spec.count:,} {shape_of(spec)}"
    if spec.modality != "image":
        return "r3gan", f"{spec.count:,} {shape_of(spec)}; its loss loses no part of the data"
    side, count = min(spec.shape[1:]), f"{spec.count:,} {shape_of(spec)} pictures"
    if side < 16:
        return "dcgan", f"{count} are too small to need more"
    if not machine.accelerated:
        return "dcgan", f"{count}; on a CPU dcgan gets further in the same minutes: docs/results/images.md"
    if spec.count >= MANY:
        return "r3gan", f"{count}; the modern baseline, from {MANY:,} pictures on an accelerator"
    if side >= 128 and "game.conditional" not in flatten(said):
        return "fastgan", f"{count}; made for few of 128 pixels or more, and {MANY:,} are many"
    return "r3gan", f"{count}; the modern baseline, augmented, because fewer than {MANY:,} are few"


def choose(family: str, cls: type[Game], spec: DataSpec, machine: Machine, said: Settings) -> list[Choice]:
    """Every setting that ``family`` takes for such data on such a machine, but for those that ``said`` says.

    Raises `SparringError` when ``said`` holds ``train`` settings that cannot be.
    """
    asked = flatten(said)
    chosen: dict[str, Choice] = {}

    def take(settings: Settings, why: str) -> None:
        for name, value in flatten(settings).items():
            if name not in asked:
                chosen[name] = Choice(name, value, why)

    take({"train": {"kimg": default_kimg(spec)}}, "about 170 passes over the data, between 200 and 5,000 kimg")
    take(cls.defaults(spec), f"what {family} takes for {spec.count:,} samples of {shape_of(spec)}")
    fitted = cls.fitted and spec.modality == "image"
    if fitted:
        take(*batch_for(spec, machine))
        take(*width_for(cls, spec, machine))
        take(*augmentation_for(spec, machine))
    settled = merge(settings_of(chosen.values()), said)
    train = build(Train, settled.get("train", {}), "train")
    if fitted:
        take(*average_for(train))
    take(cls.scaled(spec, train), f"what {family} takes for {shape_of(spec)} in batches of {train.batch}")
    game: Any = build(cls.config_class, merge(settings_of(chosen.values()), said).get("game", {}), "game")
    for settings, why in cls.implied(spec, game, train):
        take(settings, why)
    return list(chosen.values())


def settings_of(choices: Iterable[Choice]) -> Settings:
    """Choices as nested settings."""
    return unflatten({choice.name: choice.value for choice in choices})


def default_kimg(spec: DataSpec) -> float:
    """How long to train when nobody says: about 170 passes, between 200 and 5,000 thousand images."""
    return float(min(max(round(spec.count * 0.17 / 10) * 10, 200), 5000))


def batch_for(spec: DataSpec, machine: Machine) -> tuple[Settings, str]:
    """Images per step: what keeps the machine busy and fits its memory, at most a quarter of the data."""
    side = min(spec.shape[1:])
    if not machine.accelerated:
        batch, why = 64 if side <= 32 else 32 if side < 64 else 16, f"on a CPU, {side} pixels a side"
    else:
        batch = 256 if side <= 32 else 128 if side <= 64 else 64 if side <= 128 else 32
        why = f"on an accelerator, {side} pixels a side"
        if spec.count < MANY:
            batch, why = min(batch, 64), f"{why}, fewer than {MANY:,} samples"
        if side > 64 and machine.memory < 24 * GIB:
            batch //= 2 if machine.memory >= 12 * GIB else 4
            why += ", little memory" if machine.memory else ", memory unknown"
    while batch > 8 and batch > spec.count / 4:
        batch, why = batch // 2, f"at most a quarter of {spec.count:,} samples"
    if batch % machine.processes:
        batch += machine.processes - batch % machine.processes
        why += f", dealt evenly to {machine.processes} processes"
    return {"train": {"batch": batch}}, why


def width_for(cls: type[Game], spec: DataSpec, machine: Machine) -> tuple[Settings, str]:
    """Narrower networks than the family's usual on a CPU, wider ones on a large GPU with data to fill them."""
    if not machine.accelerated:
        return cls.narrow(spec), "on a CPU narrow networks see more pictures in the same time"
    if machine.memory >= 16 * GIB and spec.count >= WIDE:
        return cls.wide(spec), f"{machine.memory / GIB:.0f} GiB of memory and {WIDE:,} samples or more have room for it"
    return {}, ""


def few_for(spec: DataSpec, machine: Machine) -> int:
    """Below how many samples D could learn them by heart in the time that the machine takes; 0: tiny pictures."""
    many, smallest = (MANY, 16) if machine.accelerated else (FEW_ON_CPU, 32)
    return many if min(spec.shape[1:]) >= smallest else 0


def augmentation_for(spec: DataSpec, machine: Machine) -> tuple[Settings, str]:
    """DiffAugment where samples are few."""
    few = few_for(spec, machine)
    if spec.count >= few:
        return {}, ""
    return {"train": {"augment": "diff"}}, f"{spec.count:,} samples, fewer than {few:,}, could be learnt by heart"


def average_for(train: Train) -> tuple[Settings, str]:
    """Half-life of the weight average: a hundredth of the run, but 150 steps at least, and no less than usual."""
    usual = train.ema_kimg
    halflife = max(usual, train.kimg / 100, 0.15 * train.batch)
    why = f"the longest of {usual:g}, a hundredth of the run and 150 steps; less at first (train.ema_rampup)"
    return {"train": {"ema_kimg": round(halflife, 3)}}, why


def advice(cls: type[Game], spec: DataSpec, machine: Machine, said: Settings) -> list[str]:
    """What only a person can decide about few pictures."""
    if spec.modality != "image" or spec.count >= few_for(spec, machine):
        return []
    asked, told = flatten(said), []
    if "data.flip" not in asked:
        told.append("where mirror images are as good (faces, never text), --data.flip doubles them")
    if "train.augment" not in asked and not cls.fitted and not cls.not_augmentable:
        told.append("--train.augment diff keeps D from learning them by heart")
    return [f"{spec.count:,} samples are few: {what}" for what in told]


def shape_of(spec: DataSpec) -> str:
    """``8x8 grey`` for a person."""
    return str(modality(spec.modality).describe(spec.shape))
