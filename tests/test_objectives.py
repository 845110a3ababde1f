"""Losses and penalties against answers worked by hand."""

import math

import pytest
import torch
from torch import nn

from sparring.core.errors import SparringError
from sparring.objectives import adversarial, penalties
from sparring.objectives.adversarial import LOSSES, logistic_discriminator, minimax, non_saturating
from sparring.objectives.critics import by_critic, over_critics
from sparring.objectives.penalties import r1, squared_gradient_norm

LN2 = math.log(2)


def test_when_d_cannot_tell_its_loss_is_two_ln_2_and_gs_is_ln_2():
    zeros = torch.zeros(5, 1)
    assert non_saturating.discriminator(zeros, zeros).item() == pytest.approx(2 * LN2)
    assert non_saturating.generator(zeros).item() == pytest.approx(LN2)
    assert minimax.generator(zeros).item() == pytest.approx(-LN2)


def test_critics_count_alike_however_many_logits_they_give():
    real = [torch.zeros(2, 1, 8, 8), torch.full((2, 1), 3.0)]
    fake = [torch.zeros(2, 1, 8, 8), torch.full((2, 1), -1.0)]
    hinge, pairing = LOSSES["hinge"], LOSSES["relativistic_pairing"]
    assert over_critics(hinge.discriminator, real, fake).item() == ((1 + 1) + (0 + 0)) / 2
    assert over_critics(hinge.generator, fake, None).item() == (0 + 1) / 2
    expected = (LN2 + math.log1p(math.exp(4))) / 2
    assert over_critics(pairing.generator, fake, real).item() == pytest.approx(expected)
    assert by_critic(real).tolist() == [[0.0, 3.0]] * 2
    with pytest.raises(ValueError, match="shorter"):
        over_critics(hinge.discriminator, real, fake[:1])


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
        total = LOSSES[name].discriminator(real, -real) + LOSSES[name].generator(real, -real)
        total.backward()
        assert bool(total.isfinite())
        assert bool(real.grad.isfinite().all())


@pytest.mark.parametrize("name", LOSSES)
def test_logits_of_other_shapes_are_refused(name):
    with pytest.raises(ValueError, match="differ"):
        LOSSES[name].discriminator(torch.zeros(2, 1), torch.zeros(2))


CANNOT_TELL = {  # D's and G's loss where every logit is what a D says that cannot tell
    "non_saturating": (0.0, 2 * LN2, LN2),
    "minimax": (0.0, 2 * LN2, -LN2),
    "least_squares": (0.5, 0.25, 0.125),
    "hinge": (0.0, 2.0, 0.0),
    "wasserstein": (0.0, 0.0, 0.0),
    "relativistic_pairing": (0.0, LN2, LN2),
    "relativistic_average": (0.0, LN2, LN2),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_a_d_that_cannot_tell(name):
    logit, of_d, of_g = CANNOT_TELL[name]
    logits = torch.full((6, 1), logit)
    assert LOSSES[name].discriminator(logits, logits).item() == pytest.approx(of_d)
    assert LOSSES[name].generator(logits, logits).item() == pytest.approx(of_g)


def test_losses_by_hand():
    real, fake = torch.tensor([[2.0], [0.0]]), torch.tensor([[-2.0], [1.0]])
    assert adversarial.hinge_discriminator(real, fake).item() == pytest.approx((0 + 1) / 2 + (0 + 2) / 2)
    assert adversarial.hinge_generator(fake).item() == pytest.approx(0.5)
    assert adversarial.least_squares_discriminator(real, fake).item() == pytest.approx((1 + 1) / 4 + (4 + 1) / 4)
    assert adversarial.least_squares_generator(fake).item() == pytest.approx((9 + 0) / 4)
    assert adversarial.wasserstein_critic(real, fake).item() == pytest.approx(-0.5 - 1.0)
    # pairs: r - f = 4 and -1
    pairs = (math.log1p(math.exp(-4)) + math.log1p(math.exp(1))) / 2
    assert adversarial.pairing_discriminator(real, fake).item() == pytest.approx(pairs)
    # averages: E f = -1/2, E r = 1
    of_reals = (math.log1p(math.exp(-2.5)) + math.log1p(math.exp(-0.5))) / 2
    of_fakes = (math.log1p(math.exp(-3)) + math.log1p(math.exp(0))) / 2
    assert adversarial.average_discriminator(real, fake).item() == pytest.approx((of_reals + of_fakes) / 2)


@pytest.mark.parametrize("name", ["relativistic_pairing", "relativistic_average"])
def test_relativistic_losses_do_not_feel_a_shift_and_are_symmetric(name):
    loss = LOSSES[name]
    real, fake = torch.randn(8, 1), torch.randn(8, 1)
    assert loss.discriminator(real + 5, fake + 5).item() == pytest.approx(
        loss.discriminator(real, fake).item(), rel=1e-5
    )
    assert loss.generator(fake, real).item() == pytest.approx(loss.discriminator(fake, real).item())
    with pytest.raises(ValueError, match="reals"):
        loss.generator(fake, None)


def test_label_smoothing_is_cross_entropy_with_the_smooth_target():
    real, fake = torch.randn(5, 1), torch.randn(5, 1)
    target = torch.full_like(real, 0.9)
    expected = nn.functional.binary_cross_entropy_with_logits(real, target) + nn.functional.softplus(fake).mean()
    assert logistic_discriminator(real, fake, smooth=0.1).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_loss_is_chosen_or_refused_with_a_reason():
    assert adversarial.choose("hinge") is adversarial.hinge
    with pytest.raises(SparringError, match="non_saturating"):
        adversarial.choose("hinj")
    with pytest.raises(SparringError, match="Lipschitz"):
        adversarial.choose("wasserstein", [("wasserstein", "it needs a Lipschitz critic")])


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


# ---------------------------------------------------------------------- penalties of a linear critic D(x) = w x + b


def linear_critic():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    return critic, critic[1].weight.detach().norm().item()


def test_r2_equals_r1_elsewhere():
    critic, norm = linear_critic()
    assert penalties.r2(critic, torch.randn(3, 12), 4.0).item() == pytest.approx(2 * norm**2, rel=1e-5)


def test_gradient_penalties_of_a_linear_critic_are_its_norm_minus_one_squared():
    critic, norm = linear_critic()
    real, fake = torch.randn(5, 3, 2, 2), torch.randn(5, 3, 2, 2)
    mix = torch.rand(5, 1, 1, 1)
    expected = 10 * (norm - 1) ** 2
    assert penalties.wgan_gp(critic, real, fake, mix).item() == pytest.approx(expected, rel=1e-5)
    assert penalties.dragan(critic, real, torch.rand_like(real), mix).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("slope", "two", "one"), [(0.5, 2.5, 0.0), (-0.5, 2.5, 0.0), (3.0, 40.0, 40.0)])
def test_a_one_sided_penalty_lets_slopes_below_one_be(slope, two, one):
    real, fake, mix = torch.randn(4, 1), torch.randn(4, 1), torch.rand(4, 1)
    found = [penalties.wgan_gp(lambda x: slope * x.sum(1), real, fake, mix, one_sided=side) for side in (False, True)]
    assert [value.item() for value in found] == pytest.approx([two, one], rel=1e-5, abs=1e-9)  # 10 (|slope| - 1)^2


def test_gradient_penalty_of_a_constant_critic_is_its_weight_and_its_slope_finite():
    scale = torch.zeros((), requires_grad=True)
    real = torch.randn(4, 3)
    value = penalties.wgan_gp(lambda x: scale * x.sum(1), real, real, torch.rand(4, 1))
    value.backward()
    assert value.item() == pytest.approx(10.0, rel=1e-4)
    assert bool(scale.grad.isfinite())


def test_points_of_the_gradient_penalties():
    seen = []

    def critic(points):
        seen.append(points.detach().clone())
        return points.sum((1, 2, 3))

    real, fake = torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2)
    penalties.wgan_gp(critic, real, fake, torch.tensor([0.25, 1.0]).reshape(2, 1, 1, 1))
    assert seen[0].flatten(1).unique(dim=1).flatten().tolist() == [0.75, 0.0]
    data = torch.randn(2, 1, 2, 2)
    noise = torch.rand(2, 1, 2, 2)
    penalties.dragan(critic, data, noise, torch.zeros(2, 1, 1, 1))
    assert torch.equal(seen[1], data)
    penalties.dragan(critic, data, noise, torch.ones(2, 1, 1, 1))
    away = seen[2] - data
    assert float(away.min()) >= 0
    assert float(away.max()) <= 0.5 * data.std().item() + 1e-6


def test_mix_is_one_number_per_sample():
    with pytest.raises(ValueError, match="one number per sample"):
        penalties.wgan_gp(lambda x: x.sum(1), torch.ones(2, 3), torch.ones(2, 3), torch.rand(2, 3))


def test_second_derivatives_of_the_penalties_are_right():
    torch.manual_seed(0)
    w = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    real, fake = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    mix = torch.rand(2, 1, dtype=torch.float64)
    for penalty in (
        lambda critic: penalties.wgan_gp(critic, real, fake, mix),
        lambda critic: penalties.wgan_gp(critic, real, fake, mix, one_sided=True),
        lambda critic: penalties.r1(critic, real, 1.0),
    ):
        assert torch.autograd.gradcheck(lambda w, p=penalty: p(lambda x: (x @ w).tanh().sum(1)), (w,))


def test_lecam_is_zero_on_the_right_side_of_its_anchors():
    anchors = torch.tensor(1.0), torch.tensor(-1.0)  # of reals, of fakes
    assert penalties.lecam(torch.tensor([-1.5]), torch.tensor([1.5]), *anchors).item() == 0
    assert penalties.lecam(torch.tensor([2.0]), torch.tensor([0.0]), *anchors).item() == pytest.approx(9 + 1)


def test_consistency_by_hand():
    assert penalties.consistency(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])).item() == 2.0
    with pytest.raises(ValueError, match="differ"):
        penalties.consistency(torch.zeros(2), torch.zeros(3))


def test_orthogonal_weights_cost_nothing():
    rotation, _ = torch.linalg.qr(torch.randn(4, 4))
    assert penalties.orthogonal([3 * rotation]).item() == pytest.approx(0, abs=1e-8)
    # rows (1, 0) and (1, 1): their product is 1, and it stands twice off the diagonal
    assert penalties.orthogonal([torch.tensor([[1.0, 0.0], [1.0, 1.0]])]).item() == pytest.approx(2.0)
    with pytest.raises(ValueError, match="no weights"):
        penalties.orthogonal([])


def test_clipping_holds_every_weight():
    critic = nn.Linear(50, 50)
    penalties.clip_weights(critic, 0.01)
    assert max(p.abs().max().item() for p in critic.parameters()) <= 0.01


def test_wasserstein_sees_distance_where_js_saturates():
    """Two Dirac deltas t apart: the best 1-Lipschitz critic's loss is -t, however far."""
    for t in (1.0, 10.0, 100.0):
        real, fake = torch.zeros(1, 1), torch.full((1, 1), t)
        assert adversarial.wasserstein_critic(-real, -fake).item() == -t
