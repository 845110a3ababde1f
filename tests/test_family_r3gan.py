"""R3GAN: published sizes, linear at first, resampling, closed forms of its loss and penalties, schedules."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from sparring.core.batch import Batch
from sparring.core.config import Train
from sparring.core.errors import SparringError
from sparring.core.registry import load_family
from sparring.core.seeds import PositionNoise
from sparring.core.spec import DataSpec
from sparring.engine.loop import Engine
from sparring.nn.adaptive import ScheduledProbability
from sparring.nn.r3gan import Block, Down, R3Discriminator, R3Generator, Up, stage_widths
from sparring.objectives.penalties import judge, squared_gradient_norm
from sparring.testing import conformance

FAMILY = load_family("r3gan")
SPEC, TINY = FAMILY.tiny()


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("shape", "classes", "G", "D"),
    [
        ((3, 32, 32), 10, 20_781_952, 21_280_512),
        ((3, 32, 32), 0, 20_732_160, 20_683_776),
        ((3, 64, 64), 0, 22_429_824, 22_381_440),
        ((3, 256, 256), 0, 23_057_952, 23_009_568),
    ],
)
def test_the_papers_networks_have_as_many_parameters_as_published(shape, classes, G, D):
    widths = stage_widths(*shape[1:], 768)
    with torch.device("meta"):
        assert count(R3Generator(shape, 64, widths, 2, classes)) == G
        assert count(R3Discriminator(shape, widths, 2, classes)) == D


def test_widths():
    assert stage_widths(32, 32, 768) == [768] * 4
    assert stage_widths(256, 256, 768) == [768] * 4 + [384, 192, 96]
    assert stage_widths(28, 28, 128) == [128] * 3
    assert stage_widths(64, 20, 128) == [128] * 3


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 28, 28), (3, 64, 48), (4, 31, 45), (3, 100, 20)])
def test_any_shape(shape):
    widths = stage_widths(*shape[1:], 8)
    labels = torch.tensor([0, 2])
    fakes = R3Generator(shape, 5, widths, 1, classes=3)(torch.randn(2, 5), labels)
    assert fakes.shape == (2, *shape)
    assert R3Discriminator(shape, widths, 1, classes=3)(fakes, labels).shape == (2, 1)


# ---------------------------------------------------------------------- initialisation


def test_both_networks_are_linear_at_first():
    """Every branch ends in a 0, and nothing outside branches has a bias or bends: any wrong wire would show."""
    torch.manual_seed(0)
    widths = stage_widths(16, 20, 16)
    G, D = R3Generator((3, 16, 20), 6, widths, 2), R3Discriminator((3, 16, 20), widths, 2)
    z, w = torch.randn(2, 3, 6)
    torch.testing.assert_close(G(2 * z - w), 2 * G(z) - G(w))
    x, y = torch.randn(2, 3, 3, 16, 20)
    torch.testing.assert_close(D(2 * x - y), 2 * D(x) - D(y), rtol=1e-4, atol=1e-4)
    assert torch.equal(D(0 * x), torch.zeros(3, 1))


def test_only_the_last_layer_of_a_branch_keeps_it_silent():
    torch.manual_seed(0)
    block, x = Block(32, 4), torch.randn(2, 32, 5, 5)
    assert torch.equal(block(x), x)
    nn.init.normal_(block.layers[-1].weight, 0, 1)
    assert not torch.allclose(block(x), x)


def test_weights_begin_as_wide_as_fixup_says():
    """g / sqrt(fan_in), g = sqrt(2 / 1.04) * 4^(-1/4) for a network of 4 blocks; 9 * 16 values meet in a group."""
    torch.manual_seed(0)
    expand, _, mix, _, back = Block(128, 4).layers
    gain = math.sqrt(2 / 1.04) / math.sqrt(2)
    assert expand.weight.std().item() == pytest.approx(gain / math.sqrt(128), rel=0.02)
    assert mix.weight.std().item() == pytest.approx(gain / math.sqrt(144), rel=0.02)
    assert mix.groups == 16
    assert not back.weight.any()


def test_the_scale_of_pictures_and_logits_does_not_depend_on_depth():
    """The patterns, the weighing and each 1x1 keep the variance; resampling smooths some of it away."""
    torch.manual_seed(0)
    for side in (8, 64):
        widths = stage_widths(side, side, 64)
        pictures = R3Generator((3, side, side), 64, widths, 1)(torch.randn(64, 64))
        assert 0.2 < pictures.std().item() < 2, side


# ---------------------------------------------------------------------- resampling


def test_resampling_is_1_3_3_1():
    point = torch.zeros(1, 8, 6, 6)
    point[:, :, 3, 3] = 1
    row = torch.tensor([1.0, 3, 3, 1])
    up = Up(8, 8)(point)
    torch.testing.assert_close(up[0, 0, 5:9, 5:9], torch.outer(row, row) / 16)
    assert up.sum().item() == pytest.approx(4 * 8)  # twice the side, as bright as before
    flat = Down(8, 8)(torch.ones(1, 8, 8, 8))
    torch.testing.assert_close(flat[0, 0, 1:3, 1:3], torch.ones(2, 2))


def test_odd_sides_are_halved_and_rounded_down():
    assert Down(4, 8)(torch.ones(1, 4, 9, 12)).shape == (1, 8, 4, 6)


# ---------------------------------------------------------------------- the game


def make_batch(nimg=0, n=8):
    real, labels, _ = conformance.RandomDealer(SPEC).deal(0, n)
    return Batch(real, labels, nimg, PositionNoise(n, 3, torch.device("cpu")))


def make_game(**settings):
    torch.manual_seed(0)
    return FAMILY(SPEC, replace(TINY, **settings))


def test_ds_loss_is_rpgan_with_both_penalties_written_out():
    game, batch = make_game(gamma=3.0), make_batch()
    outcome = game.discriminator(batch)
    fake = game.fakes(make_batch()).detach().requires_grad_(True)
    real = batch.real.clone().requires_grad_(True)
    r, f = game.D(real, batch.labels), game.D(fake, batch.labels)
    slopes = [torch.autograd.grad(v.sum(), x)[0].square().sum((1, 2, 3)).mean() for v, x in ((r, real), (f, fake))]
    expected = torch.log(1 + torch.exp(f - r)).mean() + 3.0 / 2 * (slopes[0] + slopes[1])
    torch.testing.assert_close(outcome.loss, expected)
    torch.testing.assert_close(outcome.terms["r1"], 1.5 * slopes[0])


def test_adding_a_constant_to_d_changes_no_loss():
    game = make_game(conditional=False)
    before = [turn.loss(make_batch()).loss for turn in game.turns(0)]
    D = game.D
    game.D = nn.Module()
    game.D.forward = lambda x, labels: D(x, labels) + 7
    after = [turn.loss(make_batch()).loss for turn in game.turns(0)]
    torch.testing.assert_close(after, before)


def test_penalties_of_a_linear_d_are_half_gamma_w_squared():
    D = nn.Sequential(nn.Flatten(), nn.Linear(12, 1, bias=False))
    x = torch.randn(5, 3, 2, 2)
    logits, slopes = judge(D, x)
    torch.testing.assert_close(logits, D(x))
    torch.testing.assert_close(slopes, D[1].weight.square().sum().expand(5))
    assert torch.equal(squared_gradient_norm(D, x), slopes)


def test_gamma_falls_to_a_tenth_over_the_burn_in():
    game = make_game(gamma=2.0, burn_in_kimg=1.0)
    at = {nimg: game.discriminator(make_batch(nimg)).terms["r1"].item() for nimg in (0, 500, 1000, 5000)}
    assert at[500] == pytest.approx(at[0] * 0.55)
    assert at[1000] == at[5000] == pytest.approx(at[0] * 0.1)


def test_gamma_follows_the_area_unless_it_is_given():
    assert FAMILY(DataSpec("image", (1, 32, 32)), FAMILY.config_class(width=8)).gamma == 1
    assert FAMILY(DataSpec("image", (1, 64, 32)), FAMILY.config_class(width=8)).gamma == 2
    assert FAMILY(DataSpec("image", (1, 16, 8)), FAMILY.config_class(width=8)).gamma == 1
    assert FAMILY(DataSpec("image", (1, 32, 32)), FAMILY.config_class(width=8, gamma=0.05)).gamma == 0.05
    for side, batch, gamma in ((32, 64, 1.0), (32, 256, 0.25), (64, 16, 16.0), (8, 32, 2.0)):
        scaled = FAMILY.scaled(DataSpec("image", (3, side, side)), Train(batch=batch))
        assert scaled == {"game": {"gamma": gamma}}


def test_the_rates_are_the_papers_at_its_width_and_higher_below():
    spec = DataSpec("image", (1, 8, 8))
    for width, lr in ((768, 2e-4), (1536, 2e-4), (384, 4e-4), (128, 1.2e-3), (8, 2e-3)):
        with torch.device("meta"):
            rates = FAMILY(spec, FAMILY.config_class(width=width)).optimisers()["D"]
        assert rates.lr == pytest.approx(lr)
        assert rates.end_lr == pytest.approx(lr / 4)
        assert (rates.betas, rates.end_beta2, rates.burn_in_kimg) == ((0.0, 0.9), 0.99, 200)


def test_the_label_is_heard_by_both():
    game, batch = make_game(), make_batch()
    other = 1 - batch.labels
    z = torch.randn(8, TINY.z_dim)
    assert not torch.allclose(game.G(z, batch.labels), game.G(z, other))
    assert not torch.allclose(game.D(batch.real, batch.labels), game.D(batch.real, other))


def test_ada_takes_p_from_its_schedule():
    train = Train(kimg=1, batch=8, augment="ada", augment_p=0.4, augment_kimg=0.016)
    engine = Engine(make_game(), conformance.RandomDealer(SPEC), train)
    seen = []
    for _ in range(3):
        engine.step()
        seen.append(engine.game.D.augment.p.item())
    assert isinstance(engine.controllers[0], ScheduledProbability)
    assert seen == pytest.approx([0, 0.2, 0.4])
    assert engine.tally.read()["augment_p/D"] == pytest.approx(0.2)


def test_mistakes_are_refused():
    with pytest.raises(SparringError, match="two classes"):
        FAMILY(DataSpec("image", (1, 8, 8)), TINY)
    with pytest.raises(ValueError, match="negative"):
        FAMILY.config_class(gamma=-1)
