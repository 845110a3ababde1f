"""Augmentation: hand-worked changes, what is left alone, second derivatives, and ADA's controller."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import sparring
from sparring.core.batch import Outcome
from sparring.core.config import Train
from sparring.core.errors import SparringError
from sparring.core.game import Turn
from sparring.core.registry import load_family
from sparring.core.schedule import burn_in
from sparring.engine.augmentation import augment
from sparring.engine.loop import Engine
from sparring.nn import augment as aug
from sparring.nn.adaptive import AdaptiveProbability, ScheduledProbability
from sparring.nn.augment import ADA, AdaptiveAugment, Augmented, DiffAugment, adapts, augmented
from sparring.objectives.penalties import squared_gradient_norm
from sparring.testing import conformance


def pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def per_sample(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(-1, 1, 1, 1)


# ---------------------------------------------------------------------- single changes, worked by hand


def test_brightness_shifts_the_mean_by_what_was_drawn():
    x = pictures(2, 3, 4, 4)
    moved = aug.brighten(x, per_sample(0.25, -0.5)).mean((1, 2, 3)) - x.mean((1, 2, 3))
    torch.testing.assert_close(moved, torch.tensor([0.25, -0.5]))


def test_saturation_keeps_grey_and_scales_the_rest():
    pixel = torch.tensor([0.6, 0.0, -0.3]).reshape(1, 3, 1, 1)  # its grey is 0.1
    torch.testing.assert_close(aug.saturate(pixel, per_sample(0)).flatten(), torch.full((3,), 0.1))
    torch.testing.assert_close(aug.saturate(pixel, per_sample(2)).flatten(), torch.tensor([1.1, -0.1, -0.7]))
    grey = pictures(2, 1, 4, 4)
    assert torch.equal(aug.saturate(grey, per_sample(2, 0)), grey)


def test_contrast_about_the_mean_keeps_the_mean_and_about_zero_is_a_product():
    x = pictures(1, 3, 4, 4)
    wide = aug.contrast(x, per_sample(1.5), "mean")
    torch.testing.assert_close(wide.mean(), x.mean())
    torch.testing.assert_close(wide.std(), 1.5 * x.std())
    torch.testing.assert_close(aug.contrast(x, per_sample(1.5), "zero"), 1.5 * x)


def test_translation_by_hand():
    x = torch.arange(1.0, 7).reshape(1, 1, 2, 3)  # 1 2 3 / 4 5 6
    down, right = torch.tensor([1]), torch.tensor([-1])
    assert aug.translate(x, down, right, "zero").flatten().tolist() == [0, 0, 0, 2, 3, 0]
    assert aug.translate(x, down, right, "reflect").flatten().tolist() == [5, 6, 5, 2, 3, 2]
    assert torch.equal(aug.translate(x, 0 * down, 0 * right, "zero"), x)


def test_cut_out_by_hand():
    x = torch.ones(2, 1, 3, 3)
    holes = aug.cut_out(x, torch.tensor([-1, 1]), torch.tensor([0, 2]), 2, 2)
    assert holes.flatten(1).tolist() == [[0, 0, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 1, 1, 0]]
    assert torch.equal(aug.cut_out(x, torch.tensor([0, 0]), torch.tensor([0, 0]), 0, 0), x)


@pytest.mark.parametrize("quarters", range(4))
def test_quarters_are_rot90(quarters):
    x = pictures(1, 2, 3, 3)
    assert torch.equal(aug.turn_quarters(x, torch.tensor([quarters])), x.rot90(quarters, (2, 3)))


# ---------------------------------------------------------------------- DiffAugment


def test_cutout_loses_as_much_as_its_clipped_square_does():
    """The centre is uniform over 0..32, and the square of 16 is clipped at the border."""
    torch.manual_seed(0)
    lost = (aug.diff_cutout(torch.ones(4000, 1, 32, 32)) == 0).float().mean().item()
    covered = sum(min(centre + 8, 32) - max(centre - 8, 0) for centre in range(33)) / 33 / 32
    assert covered**2 == pytest.approx((7 / 16) ** 2, rel=0.06)  # the continuous limit
    assert lost == pytest.approx(covered**2, abs=0.005)


def test_translation_reaches_an_eighth_either_way_and_no_further():
    torch.manual_seed(0)
    x = torch.zeros(500, 1, 16, 24)
    x[:, :, 8, 12] = 1
    rows, columns = (aug.diff_translation(x).sum(1).amax(dim).argmax(1) for dim in (2, 1))
    assert set(rows.tolist()) == set(range(6, 11))
    assert set(columns.tolist()) == set(range(9, 16))


def test_nothing_to_shift_and_nothing_to_cut_is_identity():
    x = pictures(3, 3, 8, 8)
    assert torch.equal(aug.diff_translation(x, share=0), x)
    assert torch.equal(aug.diff_cutout(x, share=0), x)


# ---------------------------------------------------------------------- both, as a layer in front of D


def certain(p: float = 1.0, changes: tuple[str, ...] = ADA) -> AdaptiveAugment:
    layer = AdaptiveAugment(changes)
    layer.p.fill_(p)
    return layer


@pytest.mark.parametrize("make", [DiffAugment, certain])
@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 9, 12), (3, 28, 28), (4, 11, 8)])
def test_any_picture_keeps_its_shape_and_its_neighbours(make, shape):
    """Another sample in the batch changes nothing about this one: the changes are per sample."""
    layer = make()
    x = pictures(5, *shape)
    torch.manual_seed(0)
    changed = layer(x)
    assert changed.shape == x.shape
    assert changed.dtype == x.dtype
    assert not torch.equal(changed, x)
    other = x.clone()
    other[2] = 0
    torch.manual_seed(0)
    torch.testing.assert_close(layer(other)[[0, 1, 3, 4]], changed[[0, 1, 3, 4]], rtol=0, atol=0)


@pytest.mark.parametrize("channels", [2, 4])
def test_colour_changes_leave_alpha_alone(channels):
    x = pictures(6, channels, 8, 8)
    for layer in (DiffAugment(("color",)), certain(1.0, ("brightness", "contrast", "saturation"))):
        changed = layer(x)
        assert torch.equal(changed[:, -1], x[:, -1])
        assert not torch.equal(changed[:, :-1], x[:, :-1])


def test_p_zero_is_exactly_nothing():
    x = pictures(16, 3, 8, 8)
    assert torch.equal(AdaptiveAugment()(x), x)


def test_how_often_ada_changes_what():
    """A flip is one of two, a turn one of four: with p = 0.6 they are seen in 0.3 and 0.45 of the pictures."""
    torch.manual_seed(0)
    x = torch.arange(16.0).reshape(1, 1, 4, 4).expand(4000, -1, -1, -1)
    for name, expected in (("xflip", 0.3), ("rot90", 0.45), ("brightness", 0.6), ("contrast", 0.6)):
        changed = (certain(0.6, (name,))(x) != x).flatten(1).any(1).float().mean().item()
        assert changed == pytest.approx(expected, abs=0.03), name


def test_adas_geometry_leaves_a_flat_picture_flat():
    x = torch.full((50, 1, 12, 12), 0.3)
    assert torch.equal(certain(1.0, ("xflip", "rot90", "translation"))(x), x)


def test_oblong_pictures_are_not_turned():
    x = pictures(8, 3, 8, 10)
    assert torch.equal(certain(1.0, ("rot90",))(x), x)


@pytest.mark.parametrize("make", [DiffAugment, certain])
def test_gradients_are_right_twice(make):
    layer = make().double()
    x = pictures(2, 3, 4, 4).double().requires_grad_(True)

    def seeded(images):
        torch.manual_seed(3)
        return layer(images)

    assert torch.autograd.gradcheck(seeded, (x,))
    assert torch.autograd.gradgradcheck(seeded, (x,))


def test_r1_goes_through_the_augmentation():
    """Of a linear D behind a contrast c about zero, the squared norm is c^2 ||w||^2, sample by sample."""
    D = nn.Sequential(nn.Flatten(), nn.Linear(16, 1))
    layer = certain(1.0, ("contrast",))
    x = pictures(5, 1, 4, 4)
    torch.manual_seed(1)
    factors = (layer(x) / x).flatten(1)[:, 0]
    torch.manual_seed(1)
    norms = squared_gradient_norm(Augmented(D, layer).train(), x)
    torch.testing.assert_close(norms, factors.square() * D[1].weight.square().sum())
    norms.sum().backward()
    torch.testing.assert_close(D[1].weight.grad, 2 * factors.square().sum() * D[1].weight)


def test_in_eval_mode_d_sees_the_pictures_as_they_are():
    D = nn.Flatten()
    x = pictures(4, 1, 8, 8)
    wrapped = augmented(D, "diff")
    assert not torch.equal(wrapped(x), x.flatten(1))
    assert torch.equal(wrapped.eval()(x), x.flatten(1))


def test_other_arguments_are_handed_on():
    class Labelled(nn.Module):
        def forward(self, images, labels):
            return images.sum((1, 2, 3)) * labels

    x = pictures(3, 1, 4, 4)
    assert torch.equal(augmented(Labelled(), "ada")(x, torch.tensor([0, 1, 0]))[[0, 2]], torch.zeros(2))


def test_its_state_goes_by_ds_own_names():
    """So that a run with augmentation can begin with what one without has learnt."""

    def make(kind):
        return nn.ModuleDict({"D": augmented(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), kind), "G": nn.Linear(2, 3)})

    plain, changed = make("none"), make("ada")
    changed["D"].augment.p.fill_(0.5)
    state = changed.state_dict()
    assert set(state) == {*plain.state_dict(), "D.augment.p", "D.augment.tally"}
    again = make("ada")
    again.load_state_dict(state)
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())
    again.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(again["D"].critic[1].weight, plain["D"][1].weight)
    with pytest.raises(RuntimeError, match=r"Missing key.*D\.augment\.p"):
        again.load_state_dict(plain.state_dict())


def test_kinds():
    D = nn.Flatten()
    assert augmented(D) is D
    assert augmented(D, "diff").augment.policy == ("color", "translation", "cutout")
    assert augmented(D, "diff:color,translation").augment.policy == ("color", "translation")
    assert augmented(D, "ada:translation").augment.changes == ("translation",)
    assert [adapts(augmented(D, kind)) for kind in ("none", "diff", "ada")] == [False, False, True]


@pytest.mark.parametrize("kind", ["flip", "diff:colour", "ada:", "Diff", "ada:xflip,"])
def test_a_kind_that_is_none_is_refused(kind):
    with pytest.raises(SparringError, match=r"train\.augment"):
        augmented(nn.Flatten(), kind)


# ---------------------------------------------------------------------- ADA's controller


class Stage(nn.Module):
    """As much of a game as the controller touches."""

    def __init__(self):
        super().__init__()
        self.D = augmented(nn.Flatten(), "ada")


def play(controller, game, share_positive, batches, size=64):
    """Let the controller see batches of which such a share of reals is judged real."""
    turn = Turn("D", lambda batch: None)
    logits = torch.full((size, 1), -2.0)
    logits[: round(share_positive * size)] = 3.0
    for batch in range(batches):
        measured = controller.measure(turn, Outcome(logits.sum(), real_logits=logits))
        controller.act(game, turn, measured, batch * size)


def test_p_rises_to_one_in_500_kimg_of_certainty_and_falls_back_to_zero():
    game, controller = Stage(), AdaptiveProbability()
    play(controller, game, 1.0, 500_000 // 1000 // 2, size=1000)  # r_t = 1 for 250 kimg: 62 moves of 0.008
    assert game.D.augment.p.item() == pytest.approx(62 * 0.008, abs=1e-5)
    play(controller, game, 1.0, 252, size=1000)  # two of the batches before were waiting for their fourth
    assert game.D.augment.p.item() == pytest.approx(1.0, abs=1e-4)
    play(controller, game, 0.5, 600, size=1000)  # r_t = 0
    assert game.D.augment.p.item() == 0


def test_p_rests_at_the_target_and_moves_at_every_fourth_batch():
    game, controller = Stage(), AdaptiveProbability(kimg=1)
    play(controller, game, 0.75, 40)  # r_t = 0.5 < 0.6: p stays at 0
    assert game.D.augment.p.item() == 0
    play(controller, game, 0.875, 3)  # r_t = 0.75
    assert game.D.augment.p.item() == 0
    play(controller, game, 0.875, 1)
    assert game.D.augment.p.item() == pytest.approx(4 * 64 / 1000)
    assert game.D.augment.tally.tolist() == [0, 0, 0]
    exact = AdaptiveProbability(kimg=1, target=0.75)
    play(exact, game, 0.875, 8)
    assert game.D.augment.p.item() == pytest.approx(4 * 64 / 1000)


def test_the_boundary_is_the_losss_own():
    """Logits of 0.4 are unsure reals under least squares, whose D is undecided at 0.5."""
    logits = torch.full((8, 1), 0.4)
    turn, outcome = Turn("D", lambda batch: None), Outcome(logits.sum(), real_logits=logits)
    assert AdaptiveProbability(boundary=0.5).measure(turn, outcome).tolist() == [-8, 8, 0]
    assert AdaptiveProbability().measure(turn, outcome).tolist() == [8, 8, 0]
    assert AdaptiveProbability().measure(Turn("G", lambda batch: None), outcome) is None


def test_a_scheduled_p_follows_its_cosine():
    game, controller = Stage(), ScheduledProbability(0.4, burn_in_kimg=2)
    for nimg, expected in (
        (0, 0.0),
        (500, 0.4 * (1 - math.cos(math.pi / 4)) / 2),
        (1000, 0.2),
        (2000, 0.4),
        (9000, 0.4),
    ):
        controller.act(game, Turn("D", lambda batch: None), None, nimg)
        assert game.D.augment.p.item() == pytest.approx(expected)
    assert burn_in(3.0, 1.0, 0, 0) == 1.0


# ---------------------------------------------------------------------- in any game: train.augment

SURE = Train(kimg=1, batch=8, augment="ada", augment_kimg=0.064)  # p moves by half at every fourth batch


def engine_of(name, train, **settings):
    family = load_family(name)
    spec, config = family.tiny()
    torch.manual_seed(0)
    return Engine(family(spec, replace(config, **settings)), conformance.RandomDealer(spec), train)


def always_sure(engine):
    """Reals are judged real with certainty, whatever D says."""
    engine.controllers[0].target = -1.1
    return engine


def test_signs_are_counted_alike_however_the_batch_is_cut():
    """After 5 batches of 8, p has moved once, by 4 batches, and the fifth is on the tally."""
    for train in (SURE, replace(SURE, microbatches=2)):
        engine = always_sure(engine_of("dcgan", train))
        for _ in range(5):
            engine.step()
        assert engine.game.D.augment.p.item() == pytest.approx(0.5, abs=1e-6)
        assert engine.game.D.augment.tally[1:].tolist() == [8, 1]
        assert engine.tally.read()["augment_p/D"] == pytest.approx(0.2)  # 0, 0, 0, 0.5, 0.5


class AugmentedDCGAN(load_family("dcgan")):
    """With a p that moves within the steps of the conformance suite."""

    def __init__(self, spec, config):
        super().__init__(spec, config)
        self.D = augmented(self.D, "ada")

    def controllers(self):
        return [AdaptiveProbability("D", target=-1.1, kimg=0.1, interval=3)]  # always sure: p rises by 0.24


@pytest.mark.parametrize(
    "check",
    [
        conformance.check_bit_identical_resume,
        conformance.check_two_processes,
        conformance.check_only_movers_move,
        conformance.check_finite_losses,
    ],
)
def test_dcgan_keeps_its_promises_behind_ada(check):
    check(AugmentedDCGAN)


@pytest.mark.parametrize("name", ["vanilla", "acgan", "cgan", "stylegan3", "tutorial", "biggan"])
def test_every_judge_of_every_family_is_put_behind_it(name):
    engine = engine_of(name, replace(SURE, augment="diff:translation"))
    assert engine.game.D.augment.policy == ("translation",)
    assert engine.players["D"] is engine.game.D
    assert "augment" not in " ".join(engine.game.state_dict())
    adaptive = engine_of(name, SURE)
    (controller,) = adaptive.controllers
    assert isinstance(controller, AdaptiveProbability)
    assert (controller.boundary, controller.kimg, controller.target) == (0.0, 0.064, 0.6)


def test_each_level_of_a_pyramid_has_its_own_p():
    engine = engine_of("lapgan", SURE)
    assert [controller.player for controller in engine.controllers] == ["D0", "D1"]
    engine.step()
    terms = engine.tally.read()
    assert terms["augment_p/D0"] == terms["augment_p/D1"] == 0


def test_a_growing_picture_is_changed_at_its_size():
    """Progressive's D is told the picture's stage beside the picture."""
    engine = engine_of("progressive", replace(SURE, augment="diff"))
    seen = []
    engine.game.D.augment.register_forward_hook(lambda _, inputs, out: seen.append(tuple(out.shape[2:])))
    for _ in range(6):
        engine.step()
    assert len(set(seen)) > 1


def test_the_boundary_of_the_loss_decides():
    assert engine_of("dcgan", SURE, loss="least_squares").controllers[0].boundary == 0.5
    for name, settings in (("dcgan", {"loss": "relativistic_pairing"}), ("wgan_gp", {}), ("r3gan", {})):
        with pytest.raises(SparringError, match=r"train\.augment ada cannot tell.*--train\.augment-p"):
            engine_of(name, SURE, **settings)


def test_a_probability_of_ones_own_needs_no_boundary():
    engine = engine_of("wgan_gp", replace(SURE, augment_p=0.4, augment_kimg=0.001))
    (controller,) = engine.controllers
    assert isinstance(controller, ScheduledProbability)
    for _ in range(2):
        engine.step()
    assert engine.game.D.augment.p.item() == pytest.approx(0.4)


def test_who_has_no_place_for_it_says_so():
    with pytest.raises(SparringError, match=r"train\.augment diff has no place.*--game\.policy"):
        engine_of("fastgan", replace(SURE, augment="diff"))
    game = conformance.make_game(load_family("vanilla"))
    game.spec = replace(game.spec, modality="points")
    with pytest.raises(SparringError, match="changes pictures, and these are points"):
        augment(game, SURE)
    game = conformance.make_game(load_family("vanilla"))
    game.judges = lambda: ("critic",)
    with pytest.raises(SparringError, match="no player 'critic'"):
        augment(game, SURE)


@pytest.mark.parametrize("settings", [{"augment_p": 0.3}, {"augment": "ada", "augment_p": 1.0}, {"augment_kimg": 0.0}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValueError, match="augment_"):
        Train(**settings)


def test_a_published_model_knows_nothing_of_it(tmp_path):
    run = sparring.train(
        "digits", family="vanilla", run=tmp_path / "r", kimg=0.064, augment="ada", data_settings={"labels": "none"}
    )
    card = (tmp_path / "r" / "model" / "model.json").read_text()
    assert "augment" not in card
    assert run.sample(2).shape == (2, 1, 8, 8)
