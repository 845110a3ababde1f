"""StyleGAN2: sizes as published, mixing, truncation, lazy regularisation, the mean style."""

from dataclasses import replace

import pytest
import torch

from sparring.core.batch import Batch
from sparring.core.config import Train
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.families.image.stylegan2 import Config, StyleGAN2
from sparring.objectives.path_length import path_lengths
from sparring.testing.conformance import make_engine

CPU = torch.device("cpu")
CIFAR = Config(mapping_layers=2, channel_base=32768, residual=False)


def game(**settings):
    torch.manual_seed(0)
    spec, config = StyleGAN2.tiny()
    return StyleGAN2(spec, replace(config, **settings)).eval()


def batch_of(seeds, truncation=None, labels=None):
    return Batch.of_seeds(seeds, torch.tensor(labels or [0] * len(seeds)), CPU, truncation)


@pytest.mark.parametrize(
    ("side", "classes", "config", "G", "D"),
    [
        (1024, 0, Config(channel_base=32768), 30_370_060, 29_012_513),  # as the authors' code prints them
        (256, 0, Config(), 24_767_458, 24_001_089),
        (32, 0, CIFAR, 19_947_539, 20_720_641),
        (32, 10, replace(CIFAR, conditional=True), 20_215_315, 23_089_664),
        (32, 0, Config(128, 128, 2, 2048, 128), 1_050_195, 1_153_473),
        (64, 0, Config(128, 128, 2, 4096, 128), 1_395_288, 1_465_025),
    ],
)
def test_parameters_are_as_many_as_in_the_authors_code(side, classes, config, G, D):
    spec = DataSpec("image", (3, side, side), tuple(map(str, range(classes))), (1,) * classes, 10)
    with torch.device("meta"):
        players = StyleGAN2(spec, config).players()
    assert {name: sum(p.numel() for p in player.parameters()) for name, player in players.items()} == {"G": G, "D": D}


def test_truncation_to_nothing_gives_one_picture_for_each_class():
    stylish = game()
    stylish.G.mapping.w_mean.normal_()
    a, b, c = stylish.sample(batch_of([1, 2, 3], 0.0, [0, 0, 1]))
    assert torch.allclose(a, b, atol=1e-6)
    assert not torch.allclose(a, c, atol=1e-3)
    assert torch.equal(stylish.sample(batch_of([1, 2], 1.0)), stylish.sample(batch_of([1, 2])))


def test_less_truncation_is_more_variety():
    stylish = game()
    for _ in range(200):
        stylish.G.mapping.observe(torch.randn(16, 8), torch.zeros(16, dtype=torch.int64))
    spread = [stylish.sample(batch_of(range(16), psi)).std(0).mean().item() for psi in (0.0, 0.3, 0.6, 1.0)]
    assert spread == sorted(spread)
    assert spread[0] < 1e-6


def test_mixing_takes_late_layers_from_another_latent():
    G = game().G
    z, labels = torch.randn(64, 8), torch.zeros(64, dtype=torch.int64)
    own = G.styles(z, labels)
    assert torch.equal(G.mixed(z, labels, 0.0), own)
    mixed = G.mixed(z, labels, 1.0)
    same = (mixed == own).all(2)  # (samples, layers)
    assert bool(same[:, 0].all())  # the first layer is always one's own
    assert not bool(same[:, -1].any())  # the last never
    assert bool((same[:, 1:] <= same[:, :-1]).all())  # and there is one crossover
    assert len({int(n) for n in same.sum(1)}) == G.synthesis.styles - 1  # at every layer for some sample


def test_the_share_of_mixed_samples():
    G = game().G
    z, labels = torch.randn(4000, 8), torch.zeros(4000, dtype=torch.int64)
    mixed = (G.mixed(z, labels, 0.3) != G.styles(z, labels)).any(2).any(1)
    assert mixed.float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_the_schedule_and_its_optimisers():
    lazy, busy = game(r1_every=16, path_every=4), game(r1_gamma=0.0, path_weight=0.0)
    assert [(t.name, t.every) for t in lazy.turns(0)] == [
        ("D.discriminator", 1), ("D.penalty", 16), ("G.generator", 1), ("G.path_length", 4),
    ]  # fmt: skip
    assert [t.name for t in busy.turns(0)] == ["D.discriminator", "G.generator"]
    G, D = (lazy.optimisers()[name] for name in "GD")
    assert (G.lr, D.lr) == (pytest.approx(0.0025 * 4 / 5), pytest.approx(0.0025 * 16 / 17, rel=1e-3))
    assert (G.betas[1], D.betas[1]) == (
        pytest.approx(0.99 ** (4 / 5), abs=1e-6),
        pytest.approx(0.99 ** (16 / 17), abs=1e-6),
    )
    assert busy.optimisers()["G"].lr == 0.0025


def test_settings_by_size_and_batch_are_those_of_the_authors():
    def chosen(side, batch=0):
        spec = DataSpec("image", (3, side, side), count=100)
        batch = batch or StyleGAN2.defaults(spec)["train"]["batch"]
        settings = StyleGAN2.scaled(spec, Train(batch=batch))
        return batch, settings["train"]["ema_kimg"], settings["game"]["r1_gamma"]

    assert chosen(256) == (16, 5.0, 0.8192)
    assert chosen(1024) == (4, 1.25, 52.4288)
    assert chosen(128) == (32, 10.0, 0.1024)
    assert chosen(32) == (32, 10.0, 0.01)
    assert chosen(256, 64) == (64, 20.0, 0.2048)


def test_the_path_length_turn_moves_the_mean_length_and_the_styles_average():
    engine = make_engine(StyleGAN2)
    engine.step()
    length, w_mean = engine.game.path_mean.item(), engine.game.G.mapping.w_mean.clone()
    assert length > 0
    assert bool((w_mean != 0).any())
    for _ in range(4):  # the turn is played at every fourth step
        engine.step()
    assert engine.game.path_mean.item() != length


def test_path_length_regularisation_lowers_the_spread_of_lengths():
    """The engine plays the turn alone for a while: lengths gather around their mean."""
    stylish = game(path_every=1)
    z, noise = torch.randn(64, 8), torch.randn(64, 3, 12, 9)
    labels = torch.zeros(64, dtype=torch.int64)

    def spread():
        lengths = path_lengths(lambda w: stylish.G.synthesis(w, fresh=False), stylish.G.styles(z, labels), noise)
        return (lengths.std() / lengths.mean()).item()

    before = spread()
    adam = torch.optim.Adam(stylish.G.parameters(), 2e-3)
    for step in range(60):
        batch = batch_of(range(100 * step, 100 * step + 32))
        adam.zero_grad()
        stylish.path_length(batch).loss.backward()
        adam.step()
    assert spread() < 0.8 * before


def test_pictures_too_small_or_without_classes_are_refused():
    with pytest.raises(SparringError, match="8 pixels"):
        StyleGAN2(DataSpec("image", (3, 7, 9), count=4), Config())
    with pytest.raises(SparringError, match="two classes"):
        StyleGAN2(DataSpec("image", (3, 8, 8), count=4), Config(conditional=True))
