"""srgan, realesrgan, inpaint and colorize: what they take from pictures, and what they must leave as it is."""

from dataclasses import replace

import pytest
import torch

from sparring.core.batch import Batch
from sparring.core.config import Train
from sparring.core.errors import SparringError
from sparring.core.registry import load_family
from sparring.core.seeds import PositionNoise, SeedNoise
from sparring.core.spec import DataSpec
from sparring.nn import colour, perceptual
from sparring.nn.resample import shrink
from sparring.objectives.matching import l1
from sparring.testing import conformance
from sparring.testing.conformance import CPU, RandomDealer

TRAIN = Train(kimg=1.0, batch=4)
NAMES = ("srgan", "realesrgan", "inpaint", "colorize")


def game_of(name, **settings):
    cls = load_family(name)
    spec, config = cls.tiny()
    torch.manual_seed(0)
    return cls(spec, replace(config, **settings))


def batch_for(game, n=4, nimg=0):
    dealt = RandomDealer(game.spec).deal(0, n)
    return Batch(dealt.real, dealt.labels, nimg, PositionNoise(n, 3, CPU), given=dealt.given)


def given_batch(given):
    return Batch(torch.empty(len(given), 0), None, 0, SeedNoise(range(len(given)), CPU), given=given)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(12, 8), (1, 1), (7, 40)])
def test_pictures_of_any_size_are_restored(name, size):
    game = game_of(name).eval()
    given = torch.rand(2, game.give(batch_for(game)).shape[1], *size) * 2 - 1
    with torch.no_grad():
        made = game.sample(given_batch(given))
    assert made.shape == (2, 3, game.scale * size[0], game.scale * size[1])
    assert made.abs().max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_what_is_given_is_made_of_the_real_pictures_and_shown_beside_them(name):
    game = game_of(name).eval()
    batch = batch_for(game)
    batch.given = game.give(batch)
    with torch.no_grad():
        shown, made = game.show(batch), game.sample(batch)
    width = game.spec.shape[2]
    assert shown.shape == (*made.shape[:3], 3 * width)
    assert torch.equal(shown[..., width : 2 * width], made)
    assert torch.equal(shown[..., 2 * width :], batch.real)


# ---------------------------------------------------------------------- srgan


def test_srgan_begins_with_pixels_alone():
    game = game_of("srgan", warmup_kimg=0.5)
    assert [turn.name for turn in game.turns(499)] == ["G.warmup"]
    assert [turn.name for turn in game.turns(500)] == ["D.discriminator", "G.generator"]
    assert [turn.name for turn in game_of("srgan", adversarial=0.0).turns(0)] == ["G.generator"]
    assert load_family("srgan").scaled(game.spec, Train(kimg=60.0)) == {"game": {"warmup_kimg": 30.0}}


def test_srgan_enlarges_what_the_data_was_shrunk_to():
    game = game_of("srgan")
    batch = batch_for(game)
    assert torch.equal(game.give(batch), shrink(batch.real, 4))
    outcome = game.generator(batch)
    torch.testing.assert_close(outcome.terms["pixels"], l1(game.fakes(batch), batch.real))
    torch.testing.assert_close(outcome.loss, outcome.terms["pixels"] + 5e-3 * outcome.terms["adversarial"])


def test_pairs_say_the_scale_themselves():
    cls = load_family("srgan")
    spec, config = cls.tiny()
    game = cls(replace(spec, given=(3, 6, 8)), config)
    assert game.scale == 2
    small = torch.rand(2, 3, 6, 8)
    assert game.give(given_batch(small)) is small
    assert game.sample(given_batch(small)).shape == (2, 3, 12, 16)


@pytest.mark.parametrize("name", ["srgan", "realesrgan"])
def test_sizes_that_the_scale_does_not_divide_are_refused_with_one_that_it_does(name):
    cls = load_family(name)
    with pytest.raises(SparringError, match=r"--data\.size 44x60"):
        cls.refuse(DataSpec("image", (3, 45, 62), count=9), cls.config_class(), TRAIN)
    with pytest.raises(SparringError, match="pairs"):
        load_family("srgan").refuse(
            DataSpec("image", (3, 45, 60), count=9, given=(3, 10, 15)), load_family("srgan").config_class(), TRAIN
        )


def test_features_that_nobody_has_are_refused_before_a_run_begins(monkeypatch, tmp_path):
    monkeypatch.setenv("SPARRING_WEIGHTS", str(tmp_path))
    for name in ("srgan", "realesrgan"):
        cls = load_family(name)
        with pytest.raises(SparringError, match="squeezenet1_0_imagenet"):
            cls.refuse(DataSpec("image", (3, 48, 48), count=9), cls.config_class(features="squeezenet"), TRAIN)
    cls = load_family("srgan")
    cls(*[cls.tiny()[0], replace(cls.tiny()[1], features="vgg19")])  # a trained run is used without them


def test_the_perceptual_loss_belongs_to_no_state(monkeypatch):
    monkeypatch.setitem(
        perceptual.KINDS,
        "squeezenet",
        replace(perceptual.KINDS["squeezenet"], make=torch.nn.Identity),
    )
    monkeypatch.setattr(perceptual, "load", lambda kind: Doubled())
    game = game_of("srgan", features="squeezenet", feature_weight=3.0, pixel_weight=0.5, adversarial=0.25)
    batch = batch_for(game)
    outcome = game.generator(batch)
    terms = outcome.terms
    torch.testing.assert_close(terms["features"], 2 * terms["pixels"])
    torch.testing.assert_close(
        outcome.loss, 0.5 * terms["pixels"] + 3 * terms["features"] + 0.25 * terms["adversarial"]
    )
    assert not [name for name in game.state_dict() if not name.startswith(("G.", "D."))]


class Doubled(torch.nn.Module):
    def forward(self, images):
        return [2 * images]


WARM = [
    pytest.param(name, check, id=f"{name}-{check.__name__}")
    for name in ("srgan", "realesrgan")
    for check in (conformance.check_finite_losses, conformance.check_bit_identical_resume)
]


@pytest.mark.parametrize(("name", "check"), WARM)
def test_laws_hold_across_the_end_of_the_warm_up(name, check):
    cls = load_family(name)
    spec, config = cls.tiny()

    class Warm(cls):
        @classmethod
        def tiny(cls):
            return spec, replace(config, warmup_kimg=0.016)

    check(Warm)


# ---------------------------------------------------------------------- realesrgan


def test_damage_is_drawn_anew_each_time_and_can_be_turned_off():
    game = game_of("realesrgan")
    first, second = game.give(batch_for(game)), game.give(batch_for(game))
    assert torch.equal(first, second)
    other = Batch(batch_for(game).real, None, 0, PositionNoise(4, 4, CPU))
    assert not torch.equal(first, game.give(other))
    assert first.shape == (4, 3, 6, 8)
    with pytest.raises(ValueError, match="share from 0 to 1"):
        load_family("realesrgan").config_class(strength=1.5)


# ---------------------------------------------------------------------- inpaint


def test_known_pixels_come_out_as_they_went_in():
    game = game_of("inpaint").eval()
    batch = batch_for(game)
    given = game.give(batch)
    assert given.shape == (4, 4, 12, 9)
    hole = given[:, 3:] < 0
    assert torch.equal(given[:, 3:].unique(), torch.tensor([-1.0, 1.0]))
    with torch.no_grad():
        made = game.sample(given_batch(given))
    known = ~hole.expand_as(made)
    assert torch.equal(made[known], batch.real[known])
    assert not torch.equal(made, batch.real)
    scribbled = torch.where(hole.expand(-1, 4, -1, -1) & (torch.arange(4) < 3)[:, None, None], 0.7, given)
    with torch.no_grad():
        assert torch.equal(game.sample(given_batch(scribbled)), made)


def test_ds_verdict_reaches_g_through_the_hole_alone():
    game = game_of("inpaint")
    batch = batch_for(game)
    _, fine, hole, fake = game.taken(batch)
    fine.retain_grad()
    sum(logits.sum() for logits in game.D(fake, hole)).backward()
    assert fine.grad is None or fine.grad[(hole == 0).expand_as(fine)].abs().max() == 0


class Sure(torch.nn.Module):
    """Undecided of 1,024 patches, and 5 of the whole, whatever it is shown."""

    def features(self, images, hole):
        return [torch.zeros(len(images), 1024)]

    def logits(self, features):
        return [*features, torch.full((len(features[0]), 1), 5.0)]

    def forward(self, images, hole):
        return self.logits(self.features(images, hole))


def test_the_critic_of_the_whole_counts_as_much_as_all_patches():
    game = game_of("inpaint", matching=0.0)
    game.D = Sure()
    of_d, of_g = game.discriminator(batch_for(game)), game.generator(batch_for(game))
    assert of_d.loss.item() == ((1 + 1) + (0 + 6)) / 2
    assert of_g.terms["adversarial"].item() == -(0 + 5) / 2
    assert of_g.fake_logits.tolist() == [[0.0, 5.0]] * 4


def test_holes_count_more():
    game = game_of("inpaint", hole_weight=5.0, adversarial=0.0)
    assert [turn.name for turn in game.turns(0)] == ["G.generator"]
    batch = batch_for(game)
    _, fine, hole, _ = game.taken(batch_for(game))
    off = (fine - batch.real).abs().mean(1, keepdim=True)
    inside, outside = hole.sum((1, 2, 3)), (1 - hole).sum((1, 2, 3))
    expected = ((5 * (off * hole).sum((1, 2, 3)) + (off * (1 - hole)).sum((1, 2, 3))) / (5 * inside + outside)).mean()
    torch.testing.assert_close(game.generator(batch).terms["fine"], expected)


# ---------------------------------------------------------------------- colorize


def test_colorize_keeps_lightness():
    game = game_of("colorize").eval()
    batch = batch_for(game)
    grey = game.give(batch)
    assert grey.shape == (4, 1, 12, 9)
    torch.testing.assert_close(colour.lightness(grey), colour.lightness(batch.real), atol=1e-3, rtol=1e-4)
    with torch.no_grad():
        for parameter in game.G.up[-1].parameters():
            parameter.mul_(0.02)  # faint colours, which sRGB can show at any lightness
        dull = (grey * 0.5).clamp(-0.5, 0.5)
        made = game.sample(given_batch(dull))
        torch.testing.assert_close(colour.lightness(made), colour.lightness(dull), atol=0.05, rtol=0)
        assert made.std(1).max() > 0
        torch.testing.assert_close(game.sample(given_batch(dull.expand(-1, 3, -1, -1))), made, atol=1e-4, rtol=1e-4)


def test_colorize_compares_a_and_b():
    game = game_of("colorize", dropout=0.0)
    batch = batch_for(game)
    lab = colour.to_lab(batch.real)
    outcome = game.generator(batch)
    torch.testing.assert_close(outcome.terms["l1"], l1(game.G(lab[:, :1] / 50 - 1), lab[:, 1:] / 110))
    terms = outcome.terms
    torch.testing.assert_close(outcome.loss, 30 * terms["l1"] + 0.1 * terms["adversarial"] + 10 * terms["matching"])
    with pytest.raises(SparringError, match="RGB"):
        load_family("colorize").refuse(DataSpec("image", (1, 8, 8), count=9), game.config, TRAIN)
