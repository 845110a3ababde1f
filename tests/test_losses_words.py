"""Losses in plain words, against numbers that are known in closed form."""

import math

import pytest
import torch

from sparring.diagnostics.history import Context, History
from sparring.diagnostics.losses import CAVEAT, MEANINGS, losses_in_words, words_for_generator, words_for_judge
from sparring.objectives.adversarial import LOSSES

UNDECIDED = {"least_squares": 0.5}  # the score of everything where D cannot tell; 0 for all others


@pytest.mark.parametrize("name", MEANINGS)
def test_the_tie_is_what_the_loss_is_for_a_discriminator_that_cannot_tell(name):
    logits = torch.full((8,), UNDECIDED.get(name, 0.0))
    loss = LOSSES[name]
    assert loss.discriminator(logits, logits).item() == pytest.approx(MEANINGS[name].tie)
    if MEANINGS[name].generator is not None:
        assert loss.generator(logits, logits).item() == pytest.approx(MEANINGS[name].generator)
    (said,) = words_for_judge(name, [MEANINGS[name].tie])
    assert "cannot tell" in said


def test_every_objective_has_its_words():
    assert set(MEANINGS) | {"wasserstein"} == set(LOSSES)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("non_saturating", 1.39, "1.39 is a tie. D cannot tell"),
        ("non_saturating", 0.05, "hardly errs"),
        ("non_saturating", 0.9, "in part"),
        ("minimax", 2.5, "lags behind"),
        ("hinge", 2.0, "cannot tell"),
        ("hinge", 0.0, "hardly errs"),
        ("least_squares", 0.25, "cannot tell"),
        ("relativistic_pairing", 0.693, "0.693 is a tie. D cannot tell"),
        ("of_its_own", 3.0, "this family's own objective"),
    ],
)
def test_what_a_discriminators_loss_says(name, value, wanted):
    assert wanted in words_for_judge(name, [value])[0]


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("non_saturating", 0.69, "a tie"),
        ("non_saturating", 3.0, "D is winning"),
        ("non_saturating", 0.2, "deceives"),
        ("minimax", -0.69, "a tie"),
        ("minimax", -1e-6, "the gradient dies"),
        ("minimax", -2.0, "deceives"),
        ("least_squares", 0.5, "D is winning"),
        ("hinge", -40.0, "means nothing"),
        ("wasserstein", 187.0, "means nothing"),
    ],
)
def test_what_a_generators_loss_says(name, value, wanted):
    assert wanted in words_for_generator(name, [value])[0]


def test_a_critics_estimate_is_read_by_its_trend_and_its_slope():
    falling = [-0.49, -0.4, -0.35, -0.3, -0.25, -0.23]  # as on the ring with a gradient penalty
    estimate, trust = words_for_judge("wasserstein", falling, slope=0.97)
    assert "fell from 0.445 to 0.24, which is good" in estimate  # means of the first and the last third
    assert "about 1, so that its trend means something" in trust
    assert "rose" in words_for_judge("wasserstein", falling[::-1])[0]
    assert "about the same" in words_for_judge("wasserstein", [-1.0] * 6)[0]
    assert "below nought" in words_for_judge("wasserstein", [95.6])[0]  # a critic whose slope nobody bounds
    assert "no distance" in words_for_judge("wasserstein", falling, slope=30.0)[1]
    assert "as long as" in words_for_judge("wasserstein", falling)[1]


def test_the_losses_of_a_run_and_what_they_cannot_say():
    history = History(Context(1000, 10, "non_saturating"))
    assert losses_in_words(history) == ()
    for nimg in range(100, 1000, 100):
        history.add(
            nimg,
            {
                "D.discriminator/loss": 2 * math.log(2),
                "D.discriminator/fake_logits": 0.0,
                "D.penalty/loss": 7.0,  # a penalty alone plays nobody
                "G.generator/loss": math.log(2),
                "G.generator/fake_logits": 0.0,
            },
        )
    judge, generator, caveat = losses_in_words(history)
    assert judge.startswith("D.discriminator: 1.39")
    assert generator.startswith("G.generator: 0.693, where 0.693 is a tie")
    assert caveat == CAVEAT
