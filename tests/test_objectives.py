"""Losses and penalties against answers worked by hand."""

import math

import pytest
import torch
from torch import nn

from sparring.objectives.adversarial import LOSSES, logistic_discriminator, minimax, non_saturating
from sparring.objectives.penalties import r1, squared_gradient_norm

LN2 = math.log(2)


def test_when_d_cannot_tell_its_loss_is_two_ln_2_and_gs_is_ln_2():
    zeros = torch.zeros(5, 1)
    assert non_saturating.discriminator(zeros, zeros).item() == pytest.approx(2 * LN2)
    assert non_saturating.generator(zeros).item() == pytest.approx(LN2)
    assert minimax.generator(zeros).item() == pytest.approx(-LN2)


def test_logistic_discriminator_by_hand():
    real, fake = torch.tensor([[0.0], [LN2]]), torch.tensor([[-LN2], [0.0]])
    # sp(0) = ln 2; sp(-ln 2) = ln(1 + 1/2) = ln 3/2
    expected = 2 * (LN2 + math.log(1.5)) / 2
    assert logistic_discriminator(real, fake).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("logit", "of_minimax", "of_non_saturating"),
    [(-10.0, -4.5398e-5, -1.0), (0.0, -0.5, -0.5), (10.0, -1.0, -4.5398e-5)],
)
def test_where_generator_gradients_live_and_die(logit, of_minimax, of_non_saturating):
    for loss, expected in ((minimax, of_minimax), (non_saturating, of_non_saturating)):
        fake = torch.tensor([[logit]], requires_grad=True)
        loss.generator(fake).backward()
        assert fake.grad.item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_stay_finite_at_any_logit(name):
    for logit in (-1e4, 1e4):
        real = torch.full((2, 1), logit, requires_grad=True)
        total = LOSSES[name].discriminator(real, -real) + LOSSES[name].generator(real)
        total.backward()
        assert bool(total.isfinite())
        assert bool(real.grad.isfinite().all())


@pytest.mark.parametrize("name", LOSSES)
def test_logits_of_other_shapes_are_refused(name):
    with pytest.raises(ValueError, match="differ"):
        LOSSES[name].discriminator(torch.zeros(2, 1), torch.zeros(2))


def test_r1_of_a_linear_critic_is_half_gamma_times_the_squared_weight():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    weight = critic[1].weight.detach()
    for batch in (1, 7):  # the norm is summed over a sample and averaged over the batch
        value = r1(critic, torch.randn(batch, 3, 2, 2), gamma=6.0)
        assert value.item() == pytest.approx(3.0 * weight.square().sum().item(), rel=1e-5)


def test_r1_of_a_quadratic_critic_and_its_second_derivative():
    # D(x) = a/2 ||x||^2 has gradient a x, so R1 = gamma/2 a^2 ||x||^2 and dR1/da = gamma a ||x||^2.
    a = torch.tensor(3.0, requires_grad=True)
    x = torch.tensor([[1.0, 2.0], [2.0, 4.0]])  # squared norms 5 and 20, mean 12.5
    value = r1(lambda points: a / 2 * points.square().sum(1), x, gamma=2.0)
    value.backward()
    assert value.item() == pytest.approx(9 * 12.5)
    assert a.grad.item() == pytest.approx(2 * 3 * 12.5)


def test_penalties_run_in_float32_under_autocast():
    seen = []

    def critic(points):
        seen.append(points.dtype)
        return nn.functional.linear(points, torch.ones(1, 4))

    with torch.autocast("cpu", dtype=torch.bfloat16):
        norm = squared_gradient_norm(critic, torch.randn(3, 4, dtype=torch.bfloat16))
    assert seen == [torch.float32]
    assert norm.dtype == torch.float32
    assert norm.tolist() == [4.0, 4.0, 4.0]


def test_penalties_keep_float64():
    assert squared_gradient_norm(lambda x: x.sum(1), torch.zeros(2, 3, dtype=torch.float64)).dtype == torch.float64
