"""The suite must be able to fail: each family here breaks one law, and the check of that law says so."""

import pytest
import torch
from torch import nn

import toys
from sparring.core.batch import Outcome
from sparring.core.game import Game, Turn
from sparring.testing import conformance


class Good(toys.Criticised):
    pass


def breaking(**members) -> type[Game]:
    """A final family like `Criticised`, with some members replaced."""
    own = {k: v for k, v in vars(toys.Criticised).items() if not k.startswith("__") or k == "__doc__"}

    def init(self, spec, config):
        Game.__init__(self, spec, config)
        self.G, self.D = toys.generator(), toys.mlp(64, 1)

    return type("Broken", (Game,), {**own, "__init__": init, "__module__": toys.__name__, **members})


def test_the_unbroken_family_passes():
    for check in conformance.CHECKS:
        if check is not conformance.check_two_processes:  # a class made in a function cannot travel to a process
            check(breaking())


def bias(self, batch):
    return self.G(batch.noise(toys.Z)) + 1.5


def by_batch(self, batch):
    made = self.G(batch.noise(toys.Z))
    return (made - made.mean(0)).clamp(-1, 1)


def through_d(self, batch):
    return (self.G(batch.noise(toys.Z)) * self.D.training + self.D[1].weight.mean()).clamp(-1, 1)


def moody_turns(self, nimg):
    self.mood = not getattr(self, "mood", False)
    return [Turn("D", self.critic, times=2 + self.mood), Turn("G", self.generator)]


def idle_turns(self, nimg):
    return [Turn("D", self.critic), Turn(("G", "D"), self.generator_only), Turn("G", self.generator)]


def generator_only(self, batch):
    return Outcome(self.G(batch.noise(toys.Z)).square().mean())


def infinite(self, batch):
    return Outcome(self.D(batch.real).mean(), {"ratio": self.D(batch.real).mean() / 0.0})


def stepping(self, batch):
    loss = self.D(batch.real).mean()
    loss.backward()
    return Outcome(self.D(batch.real).mean())


def by_batch_loss(self, batch):
    return Outcome(self.D(batch.real).std() - self.D(self.G(batch.noise(toys.Z))).std())


def global_noise(self, batch):
    self.calls = getattr(self, "calls", 0) + 1  # state that no checkpoint holds
    return Outcome(-self.D(self.G(batch.noise(toys.Z))).mean() * self.calls)


def other_fakes(self, batch):
    fake = self.G(batch.noise(toys.Z))
    logits = self.D(fake)
    return Outcome(-logits.mean(), fake_logits=logits, fake=fake * 1)  # no gradient reaches what D never saw


BROKEN = [
    (conformance.check_docstring, {"__module__": __name__, "__doc__": "A family that names nothing."}),
    (conformance.check_samples, {"sample": bias}),
    (conformance.check_samples, {"sample": by_batch}),
    (conformance.check_sampling_needs_only_averaged, {"sample": through_d}),
    (conformance.check_pure_schedule, {"turns": moody_turns}),
    (conformance.check_only_movers_move, {"turns": idle_turns, "generator_only": generator_only}),
    (conformance.check_finite_losses, {"critic": infinite}),
    (conformance.check_no_hidden_steps, {"critic": stepping}),
    (conformance.check_accumulation, {"critic": by_batch_loss}),
    (conformance.check_bit_identical_resume, {"generator": global_noise}),
    (conformance.check_readings, {"generator": other_fakes}),
    (conformance.check_players_hold_everything, {"players": lambda self: {"G": self.G}}),
    (conformance.check_players_hold_everything, {"players": lambda self: {"G": self.G, "D": self.D, "Q": self.D}}),
]


@pytest.mark.parametrize(("check", "members"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_law_is_named(check, members):
    with pytest.raises(AssertionError):
        check(breaking(**members))


def test_a_family_is_final():
    with pytest.raises(AssertionError, match="final"):
        conformance.check_final(Good)


def test_check_family_runs_them_all(monkeypatch):
    ran = []
    monkeypatch.setattr(conformance, "CHECKS", (ran.append, ran.append))
    conformance.check_family(toys.Criticised)
    conformance.check_family("vanilla")
    assert [getattr(cls, "__name__", cls) for cls in ran] == ["Criticised", "Criticised", "Vanilla", "Vanilla"]


def test_default_dtype_ends():
    with conformance.default_dtype(torch.float64):
        assert nn.Linear(1, 1).weight.dtype == torch.float64
    assert nn.Linear(1, 1).weight.dtype == torch.float32
