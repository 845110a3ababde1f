"""SNGAN: the paper's networks, the schedule, the reals that D sees."""

from itertools import pairwise

import pytest
import torch

from sparring.core.errors import SparringError
from sparring.core.observer import Probe
from sparring.core.spec import DataSpec
from sparring.engine.loop import Engine
from sparring.families.image.sngan import SNGAN, Config
from sparring.testing.conformance import CPU, TRAIN, RandomDealer, make_engine

CIFAR = DataSpec("image", (3, 32, 32), count=50_000)


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_at_32_pixels_the_networks_have_the_papers_parameters():
    with torch.device("meta"):
        game = SNGAN(CIFAR, Config())
    assert (count(game.G), count(game.D)) == (4_276_739, 1_053_824)


def test_only_the_discriminator_is_normalised():
    game = SNGAN(*SNGAN.tiny())
    normalised = {name.split(".")[0] for name, _ in game.named_buffers() if name.endswith("_u")}
    assert normalised == {"D"}


def test_dequantised_reals_stay_within_half_a_level():
    engine = make_engine(SNGAN)
    seen = []
    engine.game.D.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    engine.step()
    moved = seen[0] - engine.dealer.deal(0, 8)[0]  # D sees the reals first
    assert 0.5 / 255 < float(moved.abs().max()) <= 1.001 / 255
    assert abs(float(moved.mean())) < 1e-4


@pytest.mark.parametrize(("d_steps", "shared"), [(2, False), (1, True)])
def test_turns_of_d_see_fresh_fakes_but_share_them_when_played_one_to_one(d_steps, shared):
    fakes = []

    class Keep(Probe):
        def see(self, turn, batch, outcome):
            fakes.append(outcome.fake.detach())

        def report(self):
            return {}

    game = SNGAN(SNGAN.tiny()[0], Config(z_dim=4, width=2, d_steps=d_steps))
    Engine(game, RandomDealer(game.spec), TRAIN, device=CPU, probes=(Keep(),)).step()
    assert len(fakes) == d_steps + 1
    assert torch.equal(fakes[0], fakes[-1]) is shared
    assert not any(torch.equal(a, b) for a, b in pairwise(fakes[:-1]))


def test_any_loss_can_be_played_and_an_unknown_one_is_named():
    spec, _ = SNGAN.tiny()
    assert SNGAN(spec, Config(z_dim=4, width=2, loss="wasserstein")).loss
    with pytest.raises(SparringError, match="one of"):
        SNGAN(spec, Config(z_dim=4, width=2, loss="hing"))
    with pytest.raises(ValueError, match="d_steps must be 1 or more"):
        Config(d_steps=0)
