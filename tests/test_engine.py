"""The step, beside the loop that everybody would write, and its parts."""

import math

import pytest
import torch
from torch import nn

import toys
from sparring.core.batch import Outcome
from sparring.core.config import Optim, Train
from sparring.core.errors import SparringError
from sparring.core.game import Turn
from sparring.core.observer import Controller, Probe
from sparring.core.registry import load_family
from sparring.core.seeds import PositionNoise, SeedNoise, draw_labels, seed_of
from sparring.engine.average import Average
from sparring.engine.guard import NonFinite, first_non_finite
from sparring.engine.loop import Engine
from sparring.engine.optim import learning_rate
from sparring.engine.precision import choose_device
from sparring.engine.tally import Tally
from sparring.testing import conformance
from sparring.testing.processes import play_in_processes

CPU = torch.device("cpu")


# ---------------------------------------------------------------------- the literal loop


def literal_loop(game, dealer, steps, batch, seed):
    """What a tutorial writes: two generator passes on the same z, nothing frozen, plain Adam."""
    game.train()
    optim = game.optimisers()
    G_opt, D_opt = (torch.optim.Adam(p.parameters(), optim[n].lr, optim[n].betas) for n, p in game.players().items())
    for step in range(steps):
        nimg = step * batch
        real, labels, _ = dealer.deal(nimg, batch)

        def fakes():
            where = seed_of(seed, 0, nimg, "share", "G", "fakes", 0, 0)  # noqa: B023
            torch.manual_seed(where)
            z = PositionNoise(batch, where, CPU).normal(game.config.z_dim)
            return game.G(z, labels)  # noqa: B023

        D_opt.zero_grad()
        game.loss.discriminator(game.D(real, labels), game.D(fakes().detach(), labels)).backward()
        D_opt.step()
        if game.config.r1_gamma > 0 and step % game.config.r1_every == 0:
            D_opt.zero_grad()
            points = real.clone().requires_grad_(True)
            (gradient,) = torch.autograd.grad(game.D(points, labels).sum(), points, create_graph=True)
            penalty = game.config.r1_gamma / 2 * gradient.square().sum((1, 2, 3)).mean()
            (game.config.r1_every * penalty).backward()
            D_opt.step()
        G_opt.zero_grad()
        game.loss.generator(game.D(fakes(), labels), None).backward()
        G_opt.step()


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_engine_plays_the_literal_loop(norm):
    """Sharing fakes, freezing and fused optimisers change no weight; BatchNorm's statistics come out alike too."""
    family = load_family("dcgan")
    spec, config = family.tiny()
    config = type(config)(z_dim=4, width=4, conditional=True, r1_every=2, discriminator_norm=norm)
    with conformance.default_dtype(torch.float64):
        torch.manual_seed(0)
        played = family(spec, config)
        torch.manual_seed(0)
        literal = family(spec, config)
        dealer = conformance.RandomDealer(spec)
        engine = Engine(played, dealer, Train(kimg=1, batch=8, seed=3))
        for _ in range(6):
            engine.step()
        literal_loop(literal, dealer, 6, 8, seed=3)
    for (name, a), b in zip(played.state_dict().items(), literal.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")


def test_the_generator_runs_once_a_step_when_its_fakes_are_shared():
    engine = conformance.make_engine(load_family("dcgan"))
    calls = []
    engine.game.G.register_forward_hook(lambda *_: calls.append(1))
    for _ in range(3):
        engine.step()
    assert len(calls) == 3


def test_with_several_microbatches_fakes_are_made_again_from_the_same_noise():
    engine = conformance.make_engine(load_family("dcgan"), Train(kimg=1, batch=8, microbatches=2))
    made = []
    engine.game.G.register_forward_hook(lambda _, inputs, out: made.append(inputs[0].clone()))
    engine.step()
    assert len(made) == 4
    assert torch.equal(made[0], made[2])
    assert torch.equal(made[1], made[3])


def test_the_discriminator_learns_nothing_in_gs_turn():
    engine = conformance.make_engine(load_family("vanilla"))
    seen = {}

    def generator(batch):
        seen["frozen"] = [p.requires_grad for p in engine.game.D.parameters()]
        return type(engine.game).generator(engine.game, batch)

    engine.game.turns = lambda nimg: [Turn("G", generator)]
    engine.step()
    assert len(seen["frozen"]) == 6
    assert not any(seen["frozen"])
    assert all(p.grad is None for p in engine.game.D.parameters())


def test_n_critic_sees_fresh_data_and_counts_it():
    engine = conformance.make_engine(toys.Criticised)
    dealt = []
    deal = engine.dealer.deal
    engine.dealer.deal = lambda first, count: dealt.append((first, count)) or deal(first, count)
    engine.step()
    engine.step()
    assert dealt == [(0, 8), (8, 8), (16, 8), (24, 8), (32, 8), (40, 8)]
    assert engine.nimg == 48


def test_a_warm_up_hands_over_by_progress():
    engine = conformance.make_engine(toys.WarmedUp)
    names = []
    for _ in range(3):
        engine.step()
        names.append(sorted({name.partition("/")[0] for name in engine.tally.read()}))
    assert names == [["G.pixels"], ["G.pixels"], ["D.discriminator", "G.generator"]]


def test_lazy_turns_are_played_at_their_interval():
    engine = conformance.make_engine(toys.Lazy)
    played = []
    for _ in range(4):
        engine.step()
        played.append("D.penalty/loss" in engine.tally.read())
    assert played == [True, False, True, False]


@pytest.mark.parametrize(("size", "microbatches"), [(2, 4), (4, 4)])
def test_processes_and_microbatches_are_interchangeable(size, microbatches):
    """1 x 4 = 2 x 2 = 4 x 1 in float32, penalties included, to 1e-5 after 20 steps."""
    family, train = load_family("dcgan"), Train(kimg=1, batch=16, microbatches=microbatches)
    alone = conformance.make_engine(family, train)
    for _ in range(20):
        alone.step()
    for state in play_in_processes(family, size, 20, train, torch.float32):
        for name, expected in conformance.whole_state(alone):
            torch.testing.assert_close(state[name], expected, rtol=1e-5, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_microbatches_must_spread_over_processes():
    from sparring.core.cluster import Cluster

    with pytest.raises(ValueError, match="do not spread"):
        conformance.make_engine(load_family("vanilla"), Train(batch=8, microbatches=2), Cluster(0, 4))


# ---------------------------------------------------------------------- its parts


def test_a_run_is_a_function_of_its_seed():
    def final(seed):
        engine = conformance.make_engine(load_family("vanilla"), Train(batch=8, seed=seed))
        engine.step()
        return engine.game.G[0].weight.detach()

    assert torch.equal(final(1), final(1))
    assert not torch.equal(final(1), final(2))


def test_learning_rates_by_hand():
    optim = Optim(lr=1.0, schedule="linear", warmup_kimg=1, decay_from_kimg=5)
    at = {nimg: learning_rate(optim, nimg, 10_000) for nimg in (0, 500, 1_000, 5_000, 7_500, 10_000)}
    assert at == {0: 0.0, 500: 0.5, 1_000: 1.0, 5_000: 1.0, 7_500: 0.5, 10_000: 0.0}
    cosine = Optim(lr=2.0, schedule="cosine")
    assert learning_rate(cosine, 5_000, 10_000) == pytest.approx(1.0)
    assert learning_rate(cosine, 2_500, 10_000) == pytest.approx(1 + math.cos(math.pi / 4))
    assert learning_rate(Optim(lr=3.0), 10**9, 1) == 3.0


def test_half_the_average_is_forgotten_in_a_half_life():
    player = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        player.weight.fill_(1.0)
    average = Average({"G": player}, halflife_kimg=1.0, rampup=0)
    with torch.no_grad():
        player.weight.fill_(0.0)
    for step in range(10):
        average.update((step + 1) * 100, 100)
    assert average.shadow["G.weight"].item() == pytest.approx(0.5)


def test_the_half_life_ramps_up_and_zero_turns_the_average_off():
    player = nn.Linear(1, 1)
    assert Average({"G": player}, 10, rampup=0.05).beta(20_000, 100) == pytest.approx(0.5 ** (100 / 1000))
    assert Average({"G": player}, 10, rampup=0.05).beta(10**9, 100) == pytest.approx(0.5 ** (100 / 10_000))
    assert Average({"G": player}, 0, rampup=0.05).beta(20_000, 100) == 0.0


def test_the_average_is_applied_and_taken_off_again():
    player = nn.Linear(1, 1, bias=False)
    average = Average({"G": player}, 1.0, 0)
    live = player.weight.item()
    average.shadow["G.weight"].fill_(7.0)
    with average.applied():
        assert player.weight.item() == 7.0
    assert player.weight.item() == live


def test_sgd_moves_by_the_gradient():
    family = load_family("vanilla")
    game = conformance.make_game(family)
    sgd = {name: Optim("sgd", lr=0.1) for name in game.players()}
    engine = Engine(game, conformance.RandomDealer(game.spec), Train(batch=8), sgd)
    before = engine.game.D[1].weight.detach().clone()
    engine.game.turns = lambda nimg: [Turn("D", engine.game.discriminator)]
    engine.step()
    torch.testing.assert_close(engine.game.D[1].weight, before - 0.1 * engine.game.D[1].weight.grad)


def test_clipping_bounds_the_joint_norm():
    engine = conformance.make_engine(load_family("vanilla"), Train(batch=8, clip_norm=1e-3))
    engine.game.turns = lambda nimg: [Turn("D", engine.game.discriminator)]
    engine.step()
    norm = torch.nn.utils.get_total_norm([p.grad for p in engine.game.D.parameters()])
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)
    assert engine.tally.read()["D.discriminator/gradient_norm"] > 1e-2  # what is logged is the norm before clipping


def poison(engine, at_nimg):
    """Make G's loss not finite from a position on."""
    generator = engine.game.generator

    def generator_poisoned(batch):
        outcome = generator(batch)
        return Outcome(outcome.loss * (math.nan if batch.nimg >= at_nimg else 1.0))

    engine.game.turns = lambda nimg: [Turn("D", engine.game.discriminator), Turn("G", generator_poisoned)]


def test_the_guard_names_turn_and_parameter():
    engine = conformance.make_engine(load_family("vanilla"))
    poison(engine, 8)
    engine.step()
    with pytest.raises(NonFinite, match=r"G\.0\.weight.*G\.generator_poisoned.*0\.008 kimg"):
        engine.step()


def test_a_skipped_turn_moves_nobody_and_patience_ends():
    engine = conformance.make_engine(load_family("vanilla"), Train(batch=8, guard="skip", guard_limit=2))
    poison(engine, 0)
    before = engine.game.G[0].weight.detach().clone()
    engine.step()
    assert torch.equal(engine.game.G[0].weight, before)
    assert engine.guard.skipped == 1


def test_an_overflowing_norm_is_blamed_on_all():
    layer = nn.Linear(2, 1)
    for parameter in layer.parameters():
        parameter.grad = torch.full_like(parameter, 3e38)
    assert "several" in first_non_finite(list(layer.named_parameters()))


def test_bf16_runs_networks_low_and_penalties_high():
    family = load_family("dcgan")
    engine = conformance.make_engine(family, Train(batch=8, precision="bf16"))
    types = []
    engine.game.D.trunk.layers[0].register_forward_hook(lambda _m, _i, out: types.append(out.dtype))
    engine.step()
    assert types == [torch.bfloat16, torch.float32, torch.bfloat16]  # reals and fakes in one call, R1, G
    assert all(p.dtype == torch.float32 for p in engine.game.parameters())


def test_the_tally_averages_and_begins_anew():
    tally = Tally()
    for value in (1.0, 2.0, 6.0):
        tally.add("a", torch.tensor(value, requires_grad=True))
    tally.add("b", torch.tensor(5.0))
    assert tally.read() == {"a": 3.0, "b": 5.0}
    assert tally.read() == {}


class Counting(Probe):
    """A probe that counts what it is shown."""

    def __init__(self):
        self.turns = []

    def see(self, turn, batch, outcome):
        assert outcome.loss.shape == ()
        assert batch.real.shape[0] == batch.size
        self.turns.append(turn.name)

    def report(self):
        return {"probe/turns": float(len(self.turns))}


def test_a_probe_sees_every_microbatch_and_changes_nothing():
    probe = Counting()
    train = Train(kimg=1, batch=8, microbatches=2)
    watched = conformance.make_engine(load_family("vanilla"), train, probes=[probe])
    alone = conformance.make_engine(load_family("vanilla"), train)
    watched.step()
    alone.step()
    assert probe.turns == ["D.discriminator", "D.discriminator", "G.generator", "G.generator"]
    for (name, a), (_, b) in zip(conformance.whole_state(watched), conformance.whole_state(alone), strict=True):
        assert torch.equal(a, b), name


class Augmented(toys.Criticised):
    """A game with a buffer that a controller writes, as ADA's p."""

    def __init__(self, spec, config):
        super().__init__(spec, config)
        self.register_buffer("p", torch.zeros(()))


class Raise(Controller):
    """Raises p by a hundredth whenever D has moved."""

    def buffers(self, game):
        return ("p",)

    def act(self, game, turn, measured, nimg):
        if "D" in turn.movers:
            game.p.add_(0.01)


def test_what_a_controller_writes_is_saved_with_the_weights():
    def make():
        game = Augmented(toys.SPEC, None)
        return Engine(game, conformance.RandomDealer(game.spec), Train(batch=8), controllers=[Raise()])

    first, second = make(), make()
    first.step()
    second.load(*first.state())
    assert second.game.p.item() == pytest.approx(0.03)


def test_a_controller_must_declare_what_is_saved():
    with pytest.raises(ValueError, match="no saved buffer"):
        Engine(toys.Criticised(toys.SPEC, None), conformance.RandomDealer(toys.SPEC), Train(), controllers=[Raise()])


# ---------------------------------------------------------------------- seeds and devices


def test_noise_is_a_function_of_position():
    a, b, c = (PositionNoise(3, seed_of(0, "turn", place), CPU).normal(2) for place in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_a_seed_keeps_its_noise_in_any_company():
    alone, several = SeedNoise([7], CPU), SeedNoise([1, 7, 5], CPU)
    for _ in range(2):  # and over several draws
        assert torch.equal(alone.normal(4)[0], several.normal(4)[1])
    assert torch.equal(alone.uniform(4)[0], several.uniform(4)[1])


def test_labels_are_drawn_as_often_as_the_data_has_them():
    labels = draw_labels(range(4000), (1, 0, 3))
    counts = torch.bincount(labels, minlength=3)
    assert counts[1] == 0
    assert counts[0].item() == pytest.approx(1000, abs=90)


def test_an_absent_device_is_refused_kindly():
    with pytest.raises(SparringError, match="try auto or cpu"):
        choose_device("cuda:99")
    with pytest.raises(SparringError, match="try auto or cpu"):
        choose_device("toaster")
    assert choose_device("cpu") == CPU
