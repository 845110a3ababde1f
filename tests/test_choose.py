"""What is chosen for data and machine, by the table of docs/automatic.md."""

from typing import Any

import pytest
import torch

from sparring.core.config import Settings, flatten
from sparring.core.errors import SparringError
from sparring.core.recipe import Recipe
from sparring.core.registry import load_family
from sparring.core.spec import DataSpec
from sparring.tools.choose import GIB, Machine, advice, choose, choose_family
from sparring.tools.plan import Plan, make_plan

CPU = Machine("cpu")
GPU = Machine("cuda", 80 * GIB)
MPS = Machine("mps", 10 * GIB)


def pictures(side: int, count: int) -> DataSpec:
    return DataSpec("image", (3, side, side), count=count)


def chosen(family: str, spec: DataSpec, machine: Machine, said: Settings | None = None) -> dict[str, Any]:
    return {choice.name: choice.value for choice in choose(family, load_family(family), spec, machine, said or {})}


@pytest.mark.parametrize(
    ("side", "count", "machine", "family"),
    [
        (8, 1797, CPU, "dcgan"),
        (8, 1797, GPU, "dcgan"),
        (15, 60_000, GPU, "dcgan"),
        (64, 100, CPU, "dcgan"),
        (32, 50_000, CPU, "dcgan"),
        (16, 5000, GPU, "r3gan"),
        (256, 5000, MPS, "r3gan"),
        (16, 4999, GPU, "r3gan"),
        (127, 100, GPU, "r3gan"),
        (128, 4999, GPU, "fastgan"),
        (128, 4999, MPS, "fastgan"),
    ],
)
def test_family_by_size_count_and_machine(side: int, count: int, machine: Machine, family: str) -> None:
    named, why = choose_family(pictures(side, count), machine, {})
    assert named == family
    assert f"{count:,} {side}x{side} RGB" in why


def test_few_large_pictures_by_class_go_to_a_family_that_has_classes() -> None:
    said = {"game": {"conditional": True}}
    assert choose_family(pictures(256, 500), GPU, said)[0] == "r3gan"
    assert "docs/results/images.md" in choose_family(pictures(32, 500), CPU, {})[1]


def test_the_demo_is_what_it_was() -> None:
    spec = DataSpec("image", (1, 8, 8), ("0", "1"), (900, 897), 1797)
    for machine in (CPU, GPU, MPS):
        assert chosen("dcgan", spec, machine) == {
            "train.kimg": 310.0,
            "game.width": 32,
            "optim.lr": 5e-4,
            "train.batch": 64,
            "train.ema_kimg": 10.0,
        }


@pytest.mark.parametrize(
    ("side", "count", "machine", "batch"),
    [
        (28, 60_000, CPU, 64),
        (48, 60_000, CPU, 32),
        (64, 2500, CPU, 16),
        (32, 50_000, GPU, 256),
        (32, 4000, GPU, 64),
        (64, 50_000, GPU, 128),
        (128, 50_000, GPU, 64),
        (256, 50_000, GPU, 32),
        (128, 50_000, Machine("cuda", 16 * GIB), 32),
        (128, 50_000, MPS, 16),
        (256, 50_000, Machine("cuda", 8 * GIB), 8),
        (64, 50_000, MPS, 128),
        (28, 100, CPU, 16),
        (28, 20, CPU, 8),
        (28, 60_000, Machine("cpu", processes=3), 66),
    ],
)
def test_batch_by_machine_size_and_count(side: int, count: int, machine: Machine, batch: int) -> None:
    assert chosen("r3gan", pictures(side, count), machine)["train.batch"] == batch
    assert chosen("dcgan", pictures(side, count), machine)["train.batch"] == batch


@pytest.mark.parametrize(
    ("side", "count", "machine", "gamma"),
    [
        (32, 50_000, GPU, 0.25),  # 1 * 64 / 256
        (64, 50_000, GPU, 2.0),  # 4 * 64 / 128
        (256, 50_000, GPU, 128.0),  # 64 * 64 / 32
        (64, 2500, CPU, 16.0),  # 4 * 64 / 16
        (28, 60_000, CPU, 1.0),  # the area counts as 32x32 at least
    ],
)
def test_gamma_by_hand(side: int, count: int, machine: Machine, gamma: float) -> None:
    assert chosen("r3gan", pictures(side, count), machine)["game.gamma"] == gamma


def test_gamma_follows_the_batch_that_a_person_says() -> None:
    said: Settings = {"train": {"batch": "128"}}  # as the command line gives it
    assert chosen("r3gan", pictures(64, 9000), CPU, said)["game.gamma"] == 2.0
    assert chosen("stylegan2", pictures(256, 9000), CPU, said)["game.r1_gamma"] == pytest.approx(0.1024)
    assert chosen("stylegan2", pictures(256, 9000), CPU, said)["train.ema_kimg"] == 40.0
    assert chosen("stylegan3", pictures(256, 9000), CPU, said)["game.r1_gamma"] == pytest.approx(2.05 / 4)


def test_width_by_machine() -> None:
    assert chosen("dcgan", pictures(64, 2500), CPU)["game.width"] == 32
    assert "game.width" not in chosen("dcgan", pictures(28, 60_000), CPU)
    assert "game.width" not in chosen("dcgan", pictures(64, 60_000), GPU)
    assert chosen("r3gan", pictures(32, 50_000), GPU)["game.width"] == 256
    assert "game.width" not in chosen("r3gan", pictures(32, 50_000), MPS)
    assert "game.width" not in chosen("r3gan", pictures(32, 10_000), GPU)
    large = chosen("r3gan", pictures(256, 50_000), CPU)
    assert (large["game.width"], large["game.blocks"], large["game.burn_in_kimg"]) == (64, 1, 200.0)
    assert chosen("r3gan", pictures(256, 50_000), GPU)["game.blocks"] == 2


@pytest.mark.parametrize(
    ("side", "count", "machine", "augmented"),
    [
        (32, 1999, CPU, True),
        (32, 2000, CPU, False),
        (31, 100, CPU, False),
        (16, 4999, GPU, True),
        (16, 5000, GPU, False),
        (15, 100, GPU, False),
    ],
)
def test_augmentation_by_count(side: int, count: int, machine: Machine, augmented: bool) -> None:
    for family in ("dcgan", "r3gan"):
        assert chosen(family, pictures(side, count), machine).get("train.augment") == ("diff" if augmented else None)
    assert bool(advice(load_family("dcgan"), pictures(side, count), machine, {})) == augmented


def test_half_life_is_the_longest_of_usual_run_and_steps() -> None:
    assert chosen("dcgan", pictures(28, 60_000), CPU)["train.ema_kimg"] == 50.0  # a hundredth of 5,000 kimg
    assert chosen("dcgan", pictures(28, 60_000), CPU, {"train": {"kimg": 185}})["train.ema_kimg"] == 10.0
    assert chosen("r3gan", pictures(28, 60_000), CPU, {"train": {"kimg": 185}})["train.ema_kimg"] == 20.0
    several = {"train": {"kimg": 185, "batch": 256}}
    assert chosen("r3gan", pictures(28, 60_000), CPU, several)["train.ema_kimg"] == pytest.approx(38.4)  # 150 steps
    assert "train.ema_kimg" not in chosen("dcgan", pictures(28, 60_000), CPU, {"train": {"ema_kimg": 3}})


def test_a_family_named_for_its_paper_keeps_what_its_page_says() -> None:
    for family in ("sngan", "biggan", "wgan", "vanilla"):
        cls, spec = load_family(family), pictures(32, 900)
        paper = {"train.kimg": 200.0, **flatten(cls.defaults(spec))}
        assert chosen(family, spec, GPU) == chosen(family, spec, CPU) == paper


def test_advice_is_for_what_nobody_said() -> None:
    spec, wgan = pictures(64, 900), load_family("wgan")
    both = advice(wgan, spec, CPU, {})
    assert [("--data.flip" in line, "--train.augment" in line) for line in both] == [(True, False), (False, True)]
    assert not advice(wgan, spec, CPU, {"data": {"flip": False}, "train": {"augment": "none"}})
    assert len(advice(load_family("fastgan"), spec, CPU, {})) == 1  # it changes what D sees by itself
    assert not advice(wgan, DataSpec("points", (2,), count=900), CPU, {})


def test_every_choice_is_overridable_and_told_with_its_reason() -> None:
    spec = pictures(64, 900)
    all_of_them = chosen("r3gan", spec, GPU)
    assert {"train.kimg", "train.batch", "train.ema_kimg", "train.augment", "game.gamma"} <= set(all_of_them)
    for name in all_of_them:
        group, _, key = name.partition(".")
        assert name not in chosen("r3gan", spec, GPU, {group: {key: 4}} if name != "train.augment" else AUGMENTED)
    for choice in choose("r3gan", load_family("r3gan"), spec, GPU, {}):
        assert str(choice) == f"{choice.name} {choice.value}: {choice.why}"
        assert choice.why
    with pytest.raises(SparringError, match=r"train.batch is a whole number"):
        chosen("r3gan", spec, GPU, {"train": {"batch": "many"}})


AUGMENTED: Settings = {"train": {"augment": "none"}}


def plan_of(monkeypatch: pytest.MonkeyPatch, machine: Machine, recipe: Recipe, automatic: bool = True) -> Plan:
    monkeypatch.setattr(Machine, "of", staticmethod(lambda device, processes: machine))
    return make_plan(recipe, automatic=automatic)


def test_a_record_says_every_choice_and_goes_on_the_same_on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe("digits", "r3gan", {"data": {"size": "16"}, "game": {"width": 16}})
    started = plan_of(monkeypatch, GPU, recipe)
    assert (started.train.batch, started.train.augment, started.game.gamma) == (64, "diff", 1.0)
    record = started.record()
    assert record["game"]["gamma"] == 1.0
    kept = Recipe(record["source"], record["family"], {group: record[group] for group in ("data", "game", "train")})
    moved = plan_of(monkeypatch, CPU, kept, automatic=False)
    assert moved.record() == record
    assert moved.reasons == started.dataset.notes
    older = {key: value for key, value in record["train"].items() if key != "augment"}  # kept before there was any
    again = plan_of(monkeypatch, GPU, Recipe("digits", "r3gan", {**kept.settings, "train": older}), automatic=False)
    assert again.train.augment == "none"


def test_this_machine() -> None:
    assert Machine.of(torch.device("cpu"), 2) == Machine("cpu", 0, 2)
    assert not CPU.accelerated
    assert GPU.accelerated
    assert MPS.accelerated
