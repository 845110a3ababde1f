"""Progressive growing: the schedule, the fade at both of its ends, sizes as published, sampling at any stage."""

import itertools

import pytest
import torch
from torch.nn.functional import avg_pool2d

from sparring.core.batch import Batch
from sparring.core.config import Train
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.families.image.progressive import Config, Progressive
from sparring.nn.progressive import (
    Frame,
    Opening,
    ProgressiveDiscriminator,
    ProgressiveGenerator,
    double,
    growth,
    stage,
)
from sparring.testing.conformance import BATCH, make_engine, make_game

SHAPE = (3, 16, 16)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


# ---------------------------------------------------------------------- the schedule


def test_growth_by_hand():
    kimgs = (0, 10, 10.5, 12, 14, 20, 24, 26, 28, 30, 1000)  # 10 stable, 4 fading
    assert [growth(round(1000 * kimg), 2, 10, 4) for kimg in kimgs] == pytest.approx(
        [0, 0, 0.125, 0.5, 1, 1, 1, 1.5, 2, 2, 2]
    )


def test_growth_never_falls_and_does_not_depend_on_steps():
    values = [growth(nimg, 3, 0.3, 0.7) for nimg in range(0, 4000, 7)]
    assert all(a <= b for a, b in itertools.pairwise(values))
    assert (values[0], values[-1]) == (0, 3)


def test_stages():
    assert [stage(g) for g in (0.0, 0.25, 1.0, 1.5, 2.0)] == [(0, 1.0), (1, 0.25), (1, 1.0), (2, 0.5), (2, 1.0)]


# ---------------------------------------------------------------------- the fade


@pytest.mark.parametrize("level", [1, 2])
def test_a_size_that_has_not_faded_in_changes_nothing_bit_for_bit(level):
    G, D = ProgressiveGenerator(SHAPE, 8, 64, 8), ProgressiveDiscriminator(SHAPE, 64, 8, 4)
    z = torch.randn(4, 8)
    before = G(z, level - 1, 1.0)
    assert torch.equal(G(z, level, 0.0), double(before))
    x = torch.randn(4, 3, 4 * 2**level, 4 * 2**level)
    assert torch.equal(D(x, level, 0.0), D(avg_pool2d(x, 2), level - 1, 1.0))


@pytest.mark.parametrize("level", [1, 2])
def test_a_size_that_has_faded_in_forgets_the_one_before(level):
    G, D = ProgressiveGenerator(SHAPE, 8, 64, 8), ProgressiveDiscriminator(SHAPE, 64, 8, 4)
    z, x = torch.randn(4, 8), torch.randn(4, 3, 4 * 2**level, 4 * 2**level)
    before = G(z, level, 1.0), D(x, level, 1.0)
    assert torch.allclose(G(z, level, 1 - 1e-7), before[0], atol=1e-5)
    assert torch.allclose(D(x, level, 1 - 1e-7), before[1], atol=1e-5)
    with torch.no_grad():
        for rgb in (G.to_rgb[level - 1], D.from_rgb[level - 1]):
            rgb.weight.fill_(100.0)
    assert torch.equal(G(z, level, 1.0), before[0])
    assert torch.equal(D(x, level, 1.0), before[1])


def test_reals_fade_as_fakes_do():
    frame, x = Frame(SHAPE), torch.randn(2, *SHAPE)
    assert torch.allclose(frame.at(x, 1, 1.0), avg_pool2d(x, 2))
    assert torch.equal(frame.at(x, 2, 1.0), x)
    assert torch.equal(frame.at(x, 2, 0.0), double(avg_pool2d(x, 2)))
    assert torch.allclose(frame.at(x, 2, 0.25), 0.75 * double(avg_pool2d(x, 2)) + 0.25 * x)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 21), (3, 18, 15), (4, 8, 8)])
def test_any_size_is_framed_and_comes_back(shape):
    frame, x = Frame(shape), torch.randn(2, *shape)
    framed = frame.at(x, frame.levels, 1.0)
    assert all(side % 2**frame.levels == 0 for side in framed.shape[2:])
    assert torch.equal(frame.full(framed, frame.levels), x)
    G = ProgressiveGenerator(shape, 8, 64, 8)
    for level in range(frame.levels + 1):
        fake = G(torch.randn(2, 8), level, 1.0)
        assert fake.shape == frame.at(x, level, 1.0).shape
        assert frame.full(fake, level).shape == x.shape


# ---------------------------------------------------------------------- networks


def test_parameters_are_as_many_as_published():
    with torch.device("meta"):
        players = Progressive(DataSpec("image", (3, 1024, 1024), count=1), Config()).players()
    counts = [sum(p.numel() for p in player.parameters()) for player in players.values()]
    assert counts == [23_079_115, 23_087_249]  # "23.1M" each in the paper


def test_features_have_mean_square_one_at_every_pixel():
    G, x = ProgressiveGenerator(SHAPE, 8, 256, 16), torch.randn(2, 8)
    for block in G.blocks:
        x = block(x)
        assert torch.allclose(x.square().mean(1), torch.ones_like(x[:, 0]), atol=1e-5)


def test_the_dense_layer_is_a_quarter_as_strong():
    opening = Opening(256, 64, (4, 4))
    assert opening.dense(torch.randn(512, 256)).var().item() == pytest.approx(2 / 16, rel=0.05)


# ---------------------------------------------------------------------- the game


def test_played_stages_and_sampling_follow_progress():
    engine = make_engine(Progressive)
    seen = []
    forward = engine.game.G.forward

    def watched(z, level, alpha):
        seen.append((level, alpha))
        return forward(z, level, alpha)

    engine.game.G.forward = watched
    for _ in range(8):
        engine.step()
    expected = [stage(growth(BATCH * step, 2, 0.008, 0.016)) for step in range(8)]
    assert seen == expected  # the generator runs once a step: D's fakes are G's
    assert {level for level, _ in seen} == {0, 1, 2}
    assert engine.game.G.grown.item() == growth(BATCH * 7, 2, 0.008, 0.016) == 2


@pytest.mark.parametrize("grown", [0.0, 0.5, 1.0, 1.25, 2.0])
def test_samples_have_full_size_at_every_stage(grown):
    game = make_game(Progressive).eval()
    game.G.grown.fill_(grown)
    batch = Batch.of_seeds([1, 2], None, CPU)
    samples = game.sample(batch)
    assert samples.shape == (2, *game.spec.shape)
    z = Batch.of_seeds([1, 2], None, CPU).noise(8)
    level, alpha = stage(grown)
    assert torch.equal(samples, game.frame.full(game.G(z, level, alpha), level).clamp(-1, 1))


def test_layers_of_later_sizes_rest():
    engine = make_engine(Progressive)
    before = {name: p.detach().clone() for name, p in engine.game.named_parameters()}
    engine.step()
    moved = {name for name, p in engine.game.named_parameters() if not torch.equal(p, before[name])}
    assert moved
    assert all(".0." in name for name in moved)  # of level 0 alone
    assert any(name.startswith("G.to_rgb.0") for name in moved)


def test_a_run_too_short_to_grow_is_refused():
    spec, config = DataSpec("image", (3, 32, 32), count=9), Config(stable_kimg=30, fade_kimg=30)
    Progressive.refuse(spec, config, Train(kimg=180))
    with pytest.raises(SparringError, match=r"grow to 32x32, which takes 180: .* --game.fade-kimg 5"):
        Progressive.refuse(spec, config, Train(kimg=60))
    Progressive.refuse(spec, Config(stable_kimg=5, fade_kimg=5), Train(kimg=60))


@pytest.mark.parametrize("side", [8, 28, 32, 64, 256])
def test_what_is_chosen_by_size_is_long_enough(side):
    spec = DataSpec("image", (3, side, side), count=9)
    settings = Progressive.defaults(spec)
    Progressive.refuse(spec, Config(**settings["game"]), Train(**settings["train"]))


def test_pictures_too_small_are_refused():
    with pytest.raises(SparringError, match="8 pixels"):
        Progressive(DataSpec("image", (3, 7, 9), count=4), Config())
