"""Learning rate and Adam's second decay rate over a burn-in: a cosine from start to end, then constant."""

import math

import pytest
import torch
from torch import nn

from sparring.core.config import Optim, build
from sparring.core.schedule import burn_in
from sparring.engine.optim import Optimisers, betas, learning_rate

BURN = Optim(lr=2e-4, betas=(0.0, 0.9), burn_in_kimg=4, end_lr=5e-5, end_beta2=0.99)


def test_the_ends_are_exact_and_the_middle_is_half_way():
    assert burn_in(2.0, 0.5, 0, 4) == 2.0
    assert burn_in(2.0, 0.5, 4000, 4) == 0.5
    assert burn_in(2.0, 0.5, 10**9, 4) == 0.5
    assert burn_in(2.0, 0.5, 2000, 4) == pytest.approx(1.25)
    assert burn_in(2.0, 0.5, 1000, 4) == pytest.approx(0.5 + 1.5 * (1 + math.sqrt(0.5)) / 2)
    assert burn_in(2.0, 0.5, 0, 0) == 0.5


def test_rates_follow_the_burn_in():
    assert [learning_rate(BURN, nimg, 9000) for nimg in (0, 4000, 9000)] == [2e-4, 5e-5, 5e-5]
    assert learning_rate(BURN, 2000, 9000) == pytest.approx(1.25e-4)
    assert [betas(BURN, nimg) for nimg in (0, 4000)] == [(0.0, 0.9), (0.0, 0.99)]
    assert betas(BURN, 2000)[1] == pytest.approx(0.945)


def test_without_an_end_nothing_changes():
    plain = Optim(lr=1e-3, betas=(0.5, 0.999), burn_in_kimg=1)
    for nimg in (0, 500, 5000):
        assert learning_rate(plain, nimg, 9000) == 1e-3
        assert betas(plain, nimg) == (0.5, 0.999)
    assert learning_rate(build(Optim, {"lr": "1e-3"}, "optim"), 50, 100) == 1e-3


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop"])
def test_the_optimiser_is_told(name):
    player = nn.Linear(1, 1)
    optimisers = Optimisers({"D": player}, {"D": Optim(name, 2e-4, (0.0, 0.9), burn_in_kimg=4, end_beta2=0.99)})
    optimisers.schedule(("D",), 4000, 9000)
    group = optimisers.of["D"].param_groups[0]
    assert group["lr"] == 2e-4
    assert group.get("betas", (0.0, 0.99)) == (0.0, 0.99)


def test_adam_steps_with_the_rate_of_its_position():
    """Adam's second moment after one step from gradient g is (1 - beta2) g^2: the rate in force then."""
    player = nn.Linear(1, 1, bias=False)
    for nimg, beta2 in ((0, 0.9), (4000, 0.99)):
        optimisers = Optimisers({"D": player}, {"D": BURN})
        optimisers.schedule(("D",), nimg, 9000)
        player.weight.grad = torch.full_like(player.weight, 2.0)
        optimisers.step(("D",))
        assert optimisers.state()["D/weight/exp_avg_sq"].item() == pytest.approx((1 - beta2) * 4)
