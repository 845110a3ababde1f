"""Penalties for little data where their papers put them: off by default, in D's loss by name, resumed to the bit."""

from dataclasses import replace

import pytest
import torch

from sparring.core.batch import Batch
from sparring.core.errors import SparringError
from sparring.core.registry import load_family
from sparring.core.seeds import PositionNoise
from sparring.objectives.penalties import consistency
from sparring.testing import conformance

SETTINGS = [("dcgan", "dragan"), ("dcgan", "consistency"), ("biggan", "lecam")]


def game_with(name, **settings):
    family = load_family(name)
    spec, config = family.tiny()
    torch.manual_seed(0)
    return family(spec, replace(config, **settings))


def batch_for(game):
    real, labels, _ = conformance.RandomDealer(game.spec).deal(0, conformance.BATCH)
    return Batch(real, labels, 0, PositionNoise(len(real), 5, conformance.CPU))


def discriminator(game):
    torch.manual_seed(3)
    return game.discriminator(batch_for(game))


def with_setting(name, setting):
    """The family with the setting on, for the conformance suite."""

    class With(load_family(name)):
        @classmethod
        def tiny(cls):
            spec, config = super().tiny()
            return spec, replace(config, **{setting: 2.0})

    return With


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_it_is_added_to_ds_loss_as_its_weight_says(name, setting):
    off, once, twice = (discriminator(game_with(name, **{setting: weight})) for weight in (0.0, 1.0, 2.0))
    assert setting not in off.terms
    assert once.terms[setting] > 0
    torch.testing.assert_close(twice.terms[setting], 2 * once.terms[setting])
    torch.testing.assert_close(once.loss - once.terms[setting], off.loss)


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
@pytest.mark.parametrize("check", [conformance.check_bit_identical_resume, conformance.check_finite_losses])
def test_the_family_keeps_its_promises_with_it(name, setting, check):
    check(with_setting(name, setting))


def test_dragan_of_a_constant_critic_is_its_weight():
    game = game_with("dcgan", dragan=10.0)
    with torch.no_grad():
        for parameter in game.D.parameters():
            parameter.zero_()
    assert discriminator(game).terms["dragan"].item() == pytest.approx(10, rel=1e-4)  # (0 - 1)^2 each


def test_consistency_is_balanced_and_that_of_a_critic_who_sees_no_shift_is_nothing():
    """The tiny pictures are 12x9: a shift by up to 2 and 1."""
    game = game_with("dcgan", consistency=1.0)
    shifted = []
    game.D.register_forward_hook(lambda _, inputs, logits: shifted.append((inputs[0], logits.detach())))
    outcome = discriminator(game)
    (both, scores), (moved_real, c), (moved_fake, d) = shifted
    (real, fake), (a, b) = both.chunk(2), scores.chunk(2)
    torch.testing.assert_close(outcome.terms["consistency"].detach(), consistency(a, c) + consistency(b, d))
    assert not torch.equal(real, moved_real)
    assert not torch.equal(fake, moved_fake)
    with torch.no_grad():
        for parameter in game.D.parameters():
            parameter.zero_()
    assert discriminator(game).terms["consistency"] == 0


def test_consistency_asks_nothing_of_g():
    game = game_with("dcgan", consistency=1.0)
    assert game.generator(batch_for(game)).terms == {}


def test_lecams_means_follow_d_and_are_saved():
    game = game_with("biggan", lecam=0.5)
    outcome = discriminator(game)
    torch.testing.assert_close(game.real_anchor, 0.01 * outcome.real_logits.detach().mean())
    torch.testing.assert_close(game.fake_anchor, 0.01 * outcome.fake_logits.detach().mean())
    assert {"real_anchor", "fake_anchor"} <= set(game.state_dict())
    above = (outcome.real_logits - game.fake_anchor).relu().square().mean()
    below = (game.real_anchor - outcome.fake_logits).relu().square().mean()
    torch.testing.assert_close(outcome.terms["lecam"], 0.5 * (above + below))
    engine = conformance.make_engine(load_family("biggan"))
    engine.step()
    assert engine.game.real_anchor == 0  # nobody asked


def test_points_are_not_shifted():
    family = load_family("dcgan")
    spec = replace(family.tiny()[0], modality="points", shape=(2,), classes=(), class_counts=())
    with pytest.raises(SparringError, match=r"game\.consistency shifts pictures"):
        family(spec, replace(family.tiny()[1], conditional=False, consistency=1.0))
