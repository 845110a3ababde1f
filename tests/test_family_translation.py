"""pix2pix, cyclegan, cut and spade: what their papers say of losses, schedules and layers."""

from dataclasses import replace

import pytest
import torch

from sparring.core.batch import Batch
from sparring.core.config import Train
from sparring.core.errors import SparringError
from sparring.core.registry import load_family
from sparring.core.seeds import PositionNoise, SeedNoise
from sparring.core.spec import DataSpec
from sparring.engine.loop import Engine
from sparring.nn import spade
from sparring.nn.patch_features import choose_places
from sparring.nn.perceptual import FeatureNetwork
from sparring.objectives.matching import l1
from sparring.testing.conformance import CPU, RandomDealer

TRAIN = Train(kimg=1.0, batch=4)
NAMES = ("pix2pix", "cyclegan", "cut", "spade", "faststyle")


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
@pytest.mark.parametrize("size", [(12, 9), (1, 1), (7, 40), (33, 32)])
def test_pictures_of_any_size_are_translated(name, size):
    game = game_of(name).eval()
    given = torch.rand(2, game.spec.given[0], *size) * 2 - 1
    with torch.no_grad():
        made = game.sample(given_batch(given))
    assert made.shape == (2, 3, *size)
    assert bool(made.isfinite().all())
    assert game.scale == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_person_sees_what_was_given_beside_what_was_made(name):
    game = game_of(name).eval()
    batch = batch_for(game)
    with torch.no_grad():
        shown, made = game.show(batch), game.sample(batch)
    width = game.spec.shape[2]
    assert torch.equal(shown[..., width : 2 * width], made)
    assert shown.shape[3] == (2 if name in ("cut", "faststyle") else 3) * width
    if name in ("pix2pix", "spade"):
        assert torch.equal(shown[..., 2 * width :], batch.real)


@pytest.mark.parametrize("name", NAMES)
def test_data_without_inputs_is_refused_in_words(name):
    cls = load_family(name)
    with pytest.raises(SparringError, match=name):
        cls.refuse(DataSpec("image", (3, 16, 16), count=9), cls.config_class(), TRAIN)
    unpaired = DataSpec("image", (3, 16, 16), count=9, given=(3, 16, 16), paired=False)
    if name in ("pix2pix", "spade"):
        with pytest.raises(SparringError, match="pairs"):
            cls.refuse(unpaired, cls.config_class(), TRAIN)
    else:
        settings = {"features": "random"} if name == "faststyle" else {}
        cls.refuse(unpaired, cls.config_class(**settings), TRAIN)


# ---------------------------------------------------------------------- pix2pix


def test_pix2pix_is_equation_4_and_halves_ds_loss():
    game = game_of("pix2pix", l1=7.0, adversarial=3.0, dropout=0.0)
    batch = batch_for(game)
    outcome = game.generator(batch)
    fake = game.G(batch.given)
    torch.testing.assert_close(outcome.terms["l1"], l1(fake, batch.real))
    torch.testing.assert_close(outcome.loss, 3 * outcome.terms["adversarial"] + 7 * outcome.terms["l1"])
    torch.testing.assert_close(outcome.fake_logits, game.D(fake, batch.given))
    of_d = game.discriminator(batch)
    torch.testing.assert_close(of_d.loss, game.loss.discriminator(of_d.real_logits, of_d.fake_logits) / 2)


@pytest.mark.parametrize("name", ["pix2pix", "colorize", "inpaint"])
def test_ds_features_are_matched_where_that_has_a_weight(name):
    quiet = {} if name == "inpaint" else {"dropout": 0.0}
    outcomes, seen = [], []
    for weight in (0.0, 4.0):
        game = game_of(name, matching=weight, **quiet)
        game.D.register_forward_pre_hook(lambda *_: pytest.fail("features, not logits alone"))
        features = game.D.features
        game.D.features = lambda *pictures, features=features: seen.append(features(*pictures)) or seen[-1]
        outcomes.append(game.generator(batch_for(game)))
    alone, matched = outcomes
    assert "matching" not in alone.terms
    _, made, wanted = seen  # the true picture is looked at for the second game alone
    expected = sum((a - b).abs().mean() for a, b in zip(made[:-1], wanted[:-1], strict=True))
    torch.testing.assert_close(matched.terms["matching"], expected)
    torch.testing.assert_close(matched.loss, alone.loss + 4 * expected)


def test_without_an_adversary_pix2pix_is_l1_regression():
    game = game_of("pix2pix", adversarial=0.0)
    assert [turn.name for turn in game.turns(0)] == ["G.regression"]
    assert set(game.regression(batch_for(game)).terms) == {"l1"}


def test_pix2pix_learns_four_pairs_by_heart():
    torch.manual_seed(0)
    cls = load_family("pix2pix")
    spec = DataSpec("image", (1, 16, 16), count=4, given=(1, 16, 16))
    game = cls(spec, cls.config_class(width=8, dropout=0.0, adversarial=0.0))
    given = torch.rand(4, 1, 16, 16) * 2 - 1
    real = torch.stack([given[:, 0].flip(1), given[:, 0].roll(3, 2), -given[:, 0], given[:, 0]], 1).mean(1, True)
    optimiser = torch.optim.Adam(game.G.parameters(), 3e-3, (0.5, 0.999))
    for _ in range(150):
        optimiser.zero_grad()
        loss = game.regression(Batch(real, None, 0, PositionNoise(4, 0, CPU), given=given)).loss
        loss.backward()
        optimiser.step()
    assert loss.item() / 100 < 0.1 < real.abs().mean().item()


# ---------------------------------------------------------------------- cyclegan


class Same(torch.nn.Module):
    def forward(self, x):
        return x


def test_cyclegan_with_translators_that_do_nothing_has_the_adversarial_loss_alone():
    game = game_of("cyclegan")
    game.G["forth"], game.G["back"] = Same(), Same()
    batch = batch_for(game)
    outcome = game.generators(batch)
    assert outcome.terms["cycle"] == outcome.terms["identity"] == 0
    of_b, of_a = game.D_b(batch.given), game.D_a(batch.real)
    paper = (of_b - 1).square().mean() + (of_a - 1).square().mean()  # eq. 7 of LSGAN, without a half
    torch.testing.assert_close(outcome.loss, paper)


def test_cyclegan_is_equation_3():
    game = game_of("cyclegan", cycle=3.0, identity=2.0)
    batch = batch_for(game)
    a, b, G, F = batch.given, batch.real, game.G["forth"], game.G["back"]
    terms = game.generators(batch).terms
    torch.testing.assert_close(terms["cycle"], l1(F(G(a)), a) + l1(G(F(b)), b))
    torch.testing.assert_close(terms["identity"], l1(G(b), b) + l1(F(a), a))
    loss = game.generators(batch).loss
    torch.testing.assert_close(loss, 2 * terms["adversarial"] + 3 * terms["cycle"] + 2 * terms["identity"])


def test_each_critic_of_cyclegan_sees_its_own_kind_and_its_own_fakes():
    game = game_of("cyclegan", pool=0)
    batch = batch_for(game)
    for turn, critic, real, fake in (
        (game.critic_of_b, game.D_b, batch.real, game.G["forth"](batch.given)),
        (game.critic_of_a, game.D_a, batch.given, game.G["back"](batch.real)),
    ):
        paper = ((critic(real) - 1).square().mean() + critic(fake).square().mean()) / 2
        torch.testing.assert_close(turn(batch).loss, paper)


def test_cyclegans_pools_are_part_of_the_state_and_fill_with_fakes():
    cls = load_family("cyclegan")
    game = game_of("cyclegan")
    engine = Engine(game, RandomDealer(game.spec), TRAIN, device=CPU)
    engine.step()
    state = engine.state()[0]["game"]
    assert {"pool_a.pictures", "pool_b.pictures"} <= set(state)
    assert [int(picture.abs().sum() > 0) for picture in state["pool_b.pictures"]] == [1, 1, 1, 1, 0]
    with pytest.raises(SparringError, match="pool"):
        cls.refuse(game.spec, game.config, replace(TRAIN, microbatches=2))
    cls.refuse(game.spec, replace(game.config, pool=0), replace(TRAIN, microbatches=2))
    assert cls.scaled(game.spec, Train(kimg=90.0)) == {"optim": {"decay_from_kimg": 45.0}}


# ---------------------------------------------------------------------- cut


def test_the_same_places_are_asked_of_input_and_output():
    game = game_of("cut")
    batch = batch_for(game)
    seen = []
    game.H.register_forward_hook(lambda module, inputs, output: seen.append(inputs[1]))
    game.nce(batch, batch.given, game.G(batch.given))
    assert len(seen) == 2
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))
    assert all(len(row.unique()) == len(row) for place in seen[0] for row in place)


def test_places_are_all_different_or_all():
    places = choose_places(torch.rand(3, 10), 4)
    assert places.shape == (3, 4)
    assert all(len(row.unique()) == 4 for row in places)
    assert sorted(choose_places(torch.rand(1, 5), 9)[0].tolist()) == [0, 1, 2, 3, 4]


def test_a_picture_is_recognised_best_in_itself():
    torch.manual_seed(0)
    cls = load_family("cut")
    game = cls(
        DataSpec("image", (3, 32, 32), count=8, given=(3, 32, 32), paired=False), cls.config_class(width=4, blocks=3)
    )
    for layer in game.H.heads.modules():  # features as they are, not the tiny ones that learning starts from
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.orthogonal_(layer.weight)
    batch = batch_for(game, 2)
    own, other = game.nce(batch, batch.given, batch.given), game.nce(batch, batch.given, batch.real)
    assert own.item() < other.item() - 1


def test_cuts_two_contrasts_are_averaged_and_h_learns_with_g():
    game = game_of("cut", nce=3.0, identity=2.0)
    assert [turn.movers for turn in game.turns(0)] == [("D",), ("G", "H")]
    outcome = game.generator(batch_for(game))
    terms = outcome.terms
    torch.testing.assert_close(outcome.loss, 2 * terms["adversarial"] + (3 * terms["nce"] + 2 * terms["identity"]) / 2)
    outcome = game_of("cut", identity=0.0, nce=10.0).generator(batch_for(game))
    torch.testing.assert_close(outcome.loss, 2 * outcome.terms["adversarial"] + 10 * outcome.terms["nce"])


# ---------------------------------------------------------------------- spade


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_spade_without_scales_and_shifts_is_its_norm(norm):
    layer, x, labels = spade.SPADE(4, 3, 5, norm), torch.randn(2, 4, 8, 6), torch.rand(2, 3, 16, 12)
    for head in (layer.gamma, layer.beta):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    assert torch.equal(layer(x, labels), layer.norm(x))
    torch.nn.init.ones_(layer.gamma.bias)  # one is added to gamma, not put in its place
    torch.testing.assert_close(layer(x, labels), 2 * layer.norm(x))
    assert not list(layer.norm.parameters())


def test_a_flat_label_map_says_the_same_everywhere():
    torch.manual_seed(0)
    layer, x = spade.SPADE(2, 3, 4, "instance"), torch.randn(1, 2, 8, 8)
    flat = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1).expand(1, 3, 8, 8)
    change = ((layer(x, flat) - layer(-x, flat)) / (2 * layer.norm(x)))[..., 2:-2, 2:-2]  # 1 + gamma, away from edges
    assert change.flatten(2).std(2).max() < 1e-4


def test_spades_labels_are_zero_and_one_where_there_is_a_palette():
    cls = load_family("spade")
    spec, config = cls.tiny()
    game = cls(replace(spec, palette=("#000000", "#ff0000")), config)
    given = torch.tensor([-1.0, 1.0]).reshape(1, 2, 1, 1).expand(1, 2, 16, 12)
    assert game.labels(given_batch(given)).unique().tolist() == [0.0, 1.0]
    assert torch.equal(cls(spec, config).labels(given_batch(given)), given)


def test_spade_matches_features_of_both_critics_but_not_their_logits():
    game = game_of("spade")
    batch = batch_for(game)
    game.eval()  # spectral norm's vectors rest
    with torch.no_grad():
        made, wanted = game.D.features(game.fakes(batch), batch.given), game.D.features(batch.real, batch.given)
        pairs = [list(zip(m, w, strict=True))[:-1] for m, w in zip(made, wanted, strict=True)]
        outcome = game.generator(batch)
    expected = sum(l1(a, b) for layers in pairs for a, b in layers) / 2
    torch.testing.assert_close(outcome.terms["matching"], expected)
    torch.testing.assert_close(outcome.loss, outcome.terms["adversarial"] + 10 * expected)


def test_spades_critics_count_alike_however_many_patches_they_judge():
    game = game_of("spade")
    batch = batch_for(game)
    game.eval()
    with torch.no_grad():
        real, fake = game.D(batch.real, batch.given), game.D(game.fakes(batch), batch.given)
        assert real[0].numel() > 2 * real[1].numel()
        of_d, of_g = game.discriminator(batch), game.generator(batch)
    each = [(1 - r).relu().mean() + (1 + f).relu().mean() for r, f in zip(real, fake, strict=True)]
    torch.testing.assert_close(of_d.loss, (each[0] + each[1]) / 2)
    torch.testing.assert_close(of_g.terms["adversarial"], -(fake[0].mean() + fake[1].mean()) / 2)
    torch.testing.assert_close(of_g.fake_logits.mean(), (fake[0].mean() + fake[1].mean()) / 2)


# ---------------------------------------------------------------------- faststyle


def test_what_is_a_painting_already_costs_nothing():
    game = game_of("faststyle")
    game.G = Same()
    batch = batch_for(game)
    batch.given = batch.real
    outcome = game.painter(batch)
    assert outcome.loss.item() < 1e-8
    batch.given = -batch.real  # what is in the picture stays; its style does not
    terms = game.painter(batch).terms
    assert terms["content"].item() < 1e-8 < terms["style"].item()
    assert list(game.state_dict()) == []  # the features belong to nobody


def test_the_features_of_nobody_are_the_same_for_everybody():
    pictures = torch.rand(2, 3, 24, 20) * 2 - 1
    torch.manual_seed(7)
    first = FeatureNetwork("random")(pictures)
    torch.manual_seed(8)
    assert all(torch.equal(a, b) for a, b in zip(first, FeatureNetwork("random")(pictures), strict=True))
    cls = load_family("faststyle")
    with pytest.raises(SparringError, match="one of the 4"):
        cls.refuse(cls.tiny()[0], cls.config_class(features="random", layer=4), TRAIN)
