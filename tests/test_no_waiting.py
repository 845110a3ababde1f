"""Nothing in a step reads a number off the device: neither losses nor layers, and the guard not before it is asked."""

import math

import pytest
import torch
from torch.nn.functional import one_hot
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import stumbling
from conftest import events, states, told
from sparring.core.batch import Outcome
from sparring.core.config import Optim, Train
from sparring.core.game import Turn
from sparring.core.registry import families, load_family
from sparring.engine import checkpoint, loop
from sparring.engine.guard import Deferred, NonFinite
from sparring.engine.loop import Engine
from sparring.testing import conformance

CPU = torch.device("cpu")
IMAGES = sorted(
    name
    for name, found in families().items()
    if found.kind != "plug-in" and "image" in load_family(name).modalities and not load_family(name).gives
)
# What makes a host wait: a scalar that is read, a size that depends on values, a number that is sent.
WAITS = ("_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "unique", "lift_fresh", "equal.default")


class Waits(TorchDispatchMode):
    """Counts them. ``one_hot`` looks at its labels on a CPU alone, so what it reads is not counted."""

    def __init__(self):
        super().__init__()
        self.found, self.counting = [], True

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        masked = name.startswith("aten.index") and any(
            isinstance(place, torch.Tensor) and place.dtype == torch.bool
            for places in args[1:2]
            if isinstance(places, list | tuple)
            for place in places
        )
        if self.counting and (masked or any(f".{wait}" in f".{name.removeprefix('aten.')}" for wait in WAITS)):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


class Unchecked(TorchFunctionMode):
    """Stops the counting inside ``one_hot``."""

    def __init__(self, waits):
        super().__init__()
        self.waits = waits

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is not one_hot:
            return func(*args, **(kwargs or {}))
        self.waits.counting = False
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.waits.counting = True


def waits_of(engine, steps=1):
    """What a host would wait for in so many steps after the first."""
    engine.step()
    waits = Waits()
    with waits, Unchecked(waits):
        for _ in range(steps):
            engine.step()
    return waits.found


def deferred(engine):
    """The engine with the guard that it has on a GPU."""
    engine.guard = Deferred(engine.train, engine.device)
    return engine


@pytest.mark.parametrize("name", IMAGES)
def test_a_step_reads_nothing(name):
    assert waits_of(deferred(conformance.make_engine(load_family(name)))) == []


def test_a_step_reads_nothing_behind_adaptive_augmentation():
    train = Train(batch=8, augment="ada", clip_norm=1.0, guard="skip")
    assert waits_of(deferred(conformance.make_engine(load_family("dcgan"), train))) == []


def test_reads_are_counted():
    engine = deferred(conformance.make_engine(load_family("vanilla")))
    generator = engine.game.generator

    def reading(batch):
        outcome = generator(batch)
        return Outcome(outcome.loss * (1.0 if outcome.loss.item() > 0 else 0.5))

    engine.game.turns = lambda nimg: [Turn("G", reading)]
    assert waits_of(engine) == ["aten._local_scalar_dense.default"]


def test_on_a_cpu_the_guard_reads_one_number_a_turn():
    assert waits_of(conformance.make_engine(load_family("vanilla"))) == ["aten._local_scalar_dense.default"] * 2


# ---------------------------------------------------------------------- the guard that reads later


def engines(name, optim=None, **train):
    """Two of the same, the second with the later guard."""
    both = []
    for _ in range(2):
        game = conformance.make_game(load_family(name))
        both.append(Engine(game, conformance.RandomDealer(game.spec), Train(kimg=1, batch=8, **train), optim))
    return both[0], deferred(both[1])


def poison(engine, first, last=10**9):
    """Make G's loss not finite from one position to another."""
    generator = engine.game.generator

    def generator_poisoned(batch):
        outcome = generator(batch)
        return Outcome(outcome.loss * (math.nan if first <= batch.nimg <= last else 1.0))

    turns = [Turn("D", engine.game.discriminator), Turn("G", generator_poisoned)]
    engine.game.turns = lambda nimg: turns


def play(engine, steps):
    for _ in range(steps):
        engine.step()


def weights(engine, player=""):
    return {k: p.detach().clone() for k, p in engine.game.named_parameters() if k.startswith(player)}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


OPTIMISERS = {
    "adam": Optim(lr=1e-3),
    "sgd": Optim("sgd", lr=1e-2, momentum=0.9),
    "rmsprop": Optim("rmsprop", lr=1e-3, momentum=0.5),
}


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_it_changes_no_bit(optimiser):
    prompt, later = engines("vanilla", dict.fromkeys("GD", OPTIMISERS[optimiser]), clip_norm=0.1)
    for _ in range(3):
        prompt.step()
        later.step()
    assert equal(dict(conformance.whole_state(prompt)), dict(conformance.whole_state(later)))


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_it_skips_what_the_other_skips(optimiser):
    """From the first step on, where optimisers remember nothing yet, then again later."""
    optim = dict.fromkeys("GD", OPTIMISERS[optimiser])
    prompt, later = engines("vanilla", optim, guard="skip", guard_limit=2)
    for engine in (prompt, later):
        poison(engine, 0, 8)
        for _ in range(4):
            engine.step()
        poison(engine, 32, 32)
        engine.step()
        engine.guard.settle()
    ours, theirs = (
        {k: v for k, v in conformance.whole_state(engine) if not k.endswith("/step")} for engine in (prompt, later)
    )
    assert equal({**theirs, **ours}, theirs)  # what is remembered of nothing but skipped turns is 0 there, absent here
    assert later.guard.skipped == prompt.guard.skipped == 1
    assert [str(s) for s in later.guard.stumbles][-1:] == [str(s) for s in prompt.guard.stumbles][-1:]
    assert len(later.guard.stumbles) == len(prompt.guard.stumbles) == 3


def test_it_keeps_up_with_a_network_that_grows():
    """Each size trains more layers than the one before, in the turn of the same name."""
    prompt, later = (conformance.make_engine(load_family("progressive")) for _ in range(2))
    deferred(later)
    learning = set()
    for _ in range(8):
        prompt.step()
        later.step()
        learning.add(sum(p.grad is not None for p in later.game.D.parameters()))
    assert len(learning) > 1
    later.guard.settle()
    assert equal(weights(later), weights(prompt))


def test_it_stops_everybody_and_names_the_first():
    prompt, later = engines("vanilla")
    for engine in (prompt, later):
        poison(engine, 8)
        engine.step()
    with pytest.raises(NonFinite) as told_at_once:
        prompt.step()
    later.step()
    stopped = weights(later)
    for _ in range(3):
        later.step()
    assert equal(weights(later), stopped)
    assert equal(weights(later, "G"), weights(prompt, "G"))
    with pytest.raises(NonFinite) as told_later:
        later.guard.settle()
    assert str(told_later.value) == str(told_at_once.value)


def test_no_state_is_given_away_that_is_not_settled():
    _, later = engines("vanilla")
    poison(later, 0)
    later.step()
    with pytest.raises(NonFinite):
        later.state()


def test_its_patience_with_skips_ends_where_the_others_ends():
    prompt, later = engines("vanilla", guard="skip", guard_limit=2)
    for engine in (prompt, later):
        poison(engine, 8)
    with pytest.raises(NonFinite) as told_at_once:
        play(prompt, 5)
    play(later, 5)
    with pytest.raises(NonFinite) as told_later:
        later.guard.settle()
    assert str(told_later.value) == str(told_at_once.value)
    assert len(later.guard.stumbles) == len(prompt.guard.stumbles) == 2


def test_what_controllers_write_rests_with_a_skipped_turn():
    _, later = engines("dcgan", augment="ada", guard="skip")
    discriminator = later.game.discriminator

    def poisoned(batch):
        outcome = discriminator(batch)
        return Outcome(outcome.loss * math.nan, real_logits=outcome.real_logits * math.nan)

    later.game.turns = lambda nimg: [Turn("D", poisoned)]
    for _ in range(5):
        later.step()
    assert later.game.get_buffer("D.augment.p").item() == 0.0
    assert later.game.get_buffer("D.augment.tally").tolist() == [0.0, 0.0, 0.0]


def test_its_patience_survives_a_resume():
    first, second = (deferred(conformance.make_engine(load_family("vanilla"), Train(guard="skip"))) for _ in range(2))
    first.guard.skipped = 2
    second.load(*first.state())
    assert second.guard.skipped == 2


@pytest.fixture
def later_run(sparring, monkeypatch, tmp_path):
    """A run of `stumbling.NaNGAN` whose guard reads later; its answer and its folder."""
    monkeypatch.setattr(loop, "Prompt", lambda train: Deferred(train, CPU))
    monkeypatch.setattr(stumbling.NaNGAN, "stumbled", 0)

    def run(times, *more):
        line = ("train", "digits", "--family", "stumbling:NaNGAN", "--data.labels", "none", "--game.at", "1000")
        line += ("--game.times", str(times), "--train.kimg", "2", "--train.save-kimg", "0.25")
        line += ("--train.tick-kimg", "0.25", "--train.picture-kimg", "9", "--train.referee", "false")
        return sparring(*line, *more, "--run", tmp_path), tmp_path

    return run


def test_a_run_stops_at_the_next_tick_with_its_states_whole(later_run):
    answer, run = later_run(10**9)
    assert answer.code == 2
    assert "D.1.weight is not finite in turn D.discriminator at 1.024 kimg" in answer.err
    assert int(states(run)[-1].name) == 1024
    checkpoint.read(states(run)[-1])


def test_a_run_tells_at_a_tick_what_it_skipped(later_run):
    answer, run = later_run(3, "--train.guard", "skip")
    assert answer.code == 0, answer.err
    assert "3 turns" in told(run, "skipped")[0]


def test_a_run_rolls_back_once_for_all_that_stumbled(later_run):
    answer, run = later_run(2, "--train.guard", "rollback")
    assert answer.code == 0, answer.err
    assert len(told(run, "rolled back")) == 1, [event["message"] for event in events(run)]
