"""The auxiliary classifier: its loss by hand, and who learns from what."""

import math
from dataclasses import replace

import pytest
import torch

from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.families.image.acgan import ACGAN, Config
from sparring.objectives.adversarial import non_saturating
from sparring.objectives.classes import auxiliary_classifier
from sparring.testing.conformance import RandomDealer, seeds_batch

SPEC, TINY = ACGAN.tiny()
N = 6


def game_and_batch(config: Config):
    torch.manual_seed(0)
    game = ACGAN(SPEC, config)
    batch = seeds_batch(game, list(range(N)))
    batch.real, batch.labels, _ = RandomDealer(SPEC).deal(0, N)
    return game, batch


def test_the_loss_by_hand():
    labels = torch.tensor([0, 1])
    assert auxiliary_classifier(torch.zeros(2, 10), labels).item() == pytest.approx(math.log(10))
    logits = torch.tensor([[math.log(3), 0.0], [math.log(3), 0.0]])  # 3/4 for class 0, 1/4 for class 1
    assert auxiliary_classifier(logits, labels).item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)
    # extreme logits stay finite: the loss is the distance between them
    assert auxiliary_classifier(torch.tensor([[1e4, -1e4]]), torch.tensor([1])).item() == pytest.approx(2e4)


def test_the_loss_refuses_what_it_cannot_read():
    with pytest.raises(ValueError, match="labels"):
        auxiliary_classifier(torch.zeros(2, 3), None)
    with pytest.raises(ValueError, match="class logits"):
        auxiliary_classifier(torch.zeros(2, 3, 1), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match="class logits"):
        auxiliary_classifier(torch.zeros(2, 3), torch.zeros(3, dtype=torch.long))


def test_at_first_one_class_is_as_likely_as_another():
    torch.manual_seed(0)
    game = ACGAN(DataSpec("image", (1, 28, 28), tuple("0123456789"), (1,) * 10, 10), Config(width=8))
    _, classes = game.D(torch.rand(32, 1, 28, 28) * 2 - 1)
    assert auxiliary_classifier(classes, torch.arange(32) % 10).item() == pytest.approx(math.log(10), rel=0.05)


def test_without_its_weights_it_is_the_plain_game_to_the_bit():
    plain = replace(TINY, class_weight_reals=0.0, class_weight_fakes=0.0, class_weight_generator=0.0)
    game, batch = game_and_batch(plain)
    for turn, loss in ((game.discriminator, non_saturating.discriminator), (game.generator, None)):
        outcome = turn(batch)
        expected = (
            loss(outcome.real_logits, outcome.fake_logits) if loss else non_saturating.generator(outcome.fake_logits)
        )
        assert torch.equal(outcome.loss, expected)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_classifier_learns_from_fakes_only_when_asked(weight):
    config = replace(TINY, class_weight_reals=0.0, class_weight_fakes=weight)
    game, batch = game_and_batch(config)
    game.discriminator(batch).loss.backward()
    assert bool(game.D.classes.weight.grad.abs().max() > 0) == (weight > 0)
    assert game.D.source.weight.grad.abs().max() > 0


def test_the_losses_are_what_the_paper_adds_up():
    config = replace(TINY, class_weight_reals=1.0, class_weight_fakes=1.0, class_weight_generator=1.0)
    game, batch = game_and_batch(config)
    d, g = game.discriminator(batch), game.generator(batch)
    torch.testing.assert_close(d.loss, d.terms["source"] + d.terms["class_reals"] + d.terms["class_fakes"])
    torch.testing.assert_close(g.loss, g.terms["source"] + g.terms["class_fakes"])
    # the penalty is on the source alone: classes are free to be told sharply
    game.penalty(batch).loss.backward()
    assert game.D.classes.weight.grad is None
    assert game.D.source.weight.grad.abs().max() > 0


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 28, 28), (3, 32, 20), (4, 31, 45)])
def test_any_shape(shape):
    game = ACGAN(DataSpec("image", shape, ("a", "b", "c"), (3, 3, 3), 9), Config(z_dim=3, width=2))
    fakes = game.G(torch.randn(2, 3), torch.tensor([0, 2]))
    source, classes = game.D(fakes)
    assert (fakes.shape, source.shape, classes.shape) == ((2, *shape), (2, 1), (2, 3))


def test_data_without_classes_is_refused():
    with pytest.raises(SparringError, match="at least two classes"):
        ACGAN(DataSpec("image", (1, 8, 8), ("one",), (4,), 4), Config())
