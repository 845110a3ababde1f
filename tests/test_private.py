"""Differential privacy for tables: the gradient, the sums of the accountant, how rows are dealt, what is refused."""

import json
import math
from collections import Counter
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn
from torch.func import grad

from sparring.core.batch import Batch
from sparring.core.columns import Column, Layout
from sparring.core.config import Data, Train, describe
from sparring.core.errors import SparringError
from sparring.core.privacy import Private
from sparring.core.recipe import Recipe
from sparring.core.registry import load_family
from sparring.core.rows import Rows, decode, encode
from sparring.core.seeds import PositionNoise
from sparring.core.spec import DataSpec
from sparring.data import make_dealer, open_data
from sparring.data.dataset import DataSet
from sparring.data.subsets import Subsets
from sparring.data.table.noisy import with_noisy_counts
from sparring.engine.loop import Engine
from sparring.nn.table import table_critic
from sparring.objectives import accountant, penalties
from sparring.objectives.accountant import Reading
from sparring.objectives.private import private_loss, wgan_gp
from sparring.tools.plan import make_plan
from sparring.tools.reals import reals_of_run
from sparring.tools.train import train

CPU = torch.device("cpu")


# ---------------------------------------------------------------------- the gradient


def a_critic(dropout: float = 0.0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return table_critic(6, [5, 4], dropout).to(dtype)


def records(n: int = 7, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    real, fake = torch.rand(2, n, 6, generator=draw, dtype=dtype) * 2 - 1
    return real, fake, torch.rand(n, 1, generator=draw, dtype=dtype)


def size_of(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def flat_gradient(network: nn.Module, loss: Tensor) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(network.parameters()))])


def by_hand(network: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """The gradient of the plain loss: of one record where the batch is one record."""
    loss = network(fake).mean() - network(real).mean() + penalties.wgan_gp(network, real, fake, mix, 10.0)
    return flat_gradient(network, loss)


def each_by_hand(network: nn.Module, parts: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
    return [by_hand(network, *(part[i : i + 1] for part in parts)) for i in range(len(parts[0]))]


def test_it_is_dp_sgd_written_out():
    """(1/n) (sum_i g_i min(1, C / ||g_i||) + noise), record by record through torch.autograd."""
    critic, parts = a_critic(), records()
    single = each_by_hand(critic, parts)
    clip = float(torch.stack([g.norm() for g in single]).median())  # some are clipped, some are not
    noise = torch.randn(size_of(critic), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected = (sum(g * min(1.0, clip / float(g.norm())) for g in single) + noise) / len(single)
    found = private_loss(critic, wgan_gp(10.0), parts, clip, noise)
    torch.testing.assert_close(flat_gradient(critic, found.loss), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.norms, torch.stack([g.norm() for g in single]), rtol=1e-10, atol=1e-12)


def test_without_noise_and_clipping_it_is_the_plain_gradient_and_the_plain_loss():
    critic, parts = a_critic(), records()
    real, fake, mix = parts
    found = private_loss(critic, wgan_gp(10.0), parts, math.inf, torch.zeros(size_of(critic), dtype=torch.float64))
    torch.testing.assert_close(flat_gradient(critic, found.loss), by_hand(critic, *parts), rtol=1e-10, atol=1e-12)
    penalty = penalties.wgan_gp(critic, real, fake, mix, 10.0)
    torch.testing.assert_close(found.loss, critic(fake).mean() - critic(real).mean() + penalty)
    torch.testing.assert_close(found.readings["penalty"].mean(), penalty)
    torch.testing.assert_close(found.readings["real"], critic(real)[:, 0])
    torch.testing.assert_close(found.readings["fake"], critic(fake)[:, 0])


@pytest.mark.parametrize("clip", [1e-3, 0.5, 50.0])
def test_one_record_replaced_moves_the_sum_by_twice_the_clip_at_most(clip):
    """The sensitivity that the accountant is told, whatever stands in the record."""
    critic, parts = a_critic(), records()
    nothing = torch.zeros(size_of(critic), dtype=torch.float64)
    one = len(parts[0]) * flat_gradient(critic, private_loss(critic, wgan_gp(), parts, clip, nothing).loss)
    for loud in (1.0, 1e3, 1e200, math.nan, math.inf):
        real = parts[0].clone()
        real[3] *= -loud
        other = private_loss(critic, wgan_gp(), (real, *parts[1:]), clip, nothing).loss
        moved = (len(real) * flat_gradient(critic, other) - one).norm()
        assert moved <= 2 * clip * (1 + 1e-9), loud
    alone = [
        flat_gradient(critic, private_loss(critic, wgan_gp(), tuple(p[i : i + 1] for p in parts), clip, nothing).loss)
        for i in range(7)
    ]
    torch.testing.assert_close(sum(alone), one)  # records say what they say whoever is beside them
    assert max(g.norm() for g in alone) <= clip * (1 + 1e-9)


def test_noise_is_as_told_and_its_mean_is_nothing():
    critic, parts = a_critic(), records()
    count = size_of(critic)
    nothing = torch.zeros(count, dtype=torch.float64)
    still = flat_gradient(critic, private_loss(critic, wgan_gp(), parts, 1.0, nothing).loss)
    noise = torch.linspace(-1, 1, count, dtype=torch.float64)
    loud = flat_gradient(critic, private_loss(critic, wgan_gp(), parts, 1.0, noise).loss)
    torch.testing.assert_close((loud - still) * len(parts[0]), noise)


def test_pieces_change_nothing(monkeypatch):
    critic, parts = a_critic(), records()
    noise = torch.zeros(size_of(critic), dtype=torch.float64)
    whole = flat_gradient(critic, private_loss(critic, wgan_gp(), parts, 0.5, noise).loss)
    monkeypatch.setattr("sparring.objectives.private.MOST", 3 * size_of(critic))
    cut = private_loss(critic, wgan_gp(), parts, 0.5, noise)
    torch.testing.assert_close(flat_gradient(critic, cut.loss), whole)
    assert cut.norms.shape == cut.readings["real"].shape == (7,)


def test_dropout_draws_anew_for_each_record_and_by_the_seed_alone():
    """Like records of one batch get unlike masks, and the same seed plays the same masks again."""
    critic = a_critic(dropout=0.5).train()
    parts = tuple(part[:1].repeat(16, 1) for part in records())
    noise = torch.zeros(size_of(critic), dtype=torch.float64)

    def scores() -> Tensor:
        torch.manual_seed(3)
        return private_loss(critic, wgan_gp(), parts, 1.0, noise).readings["real"]

    assert len(scores().unique()) > 8
    assert torch.equal(scores(), scores())
    critic.eval()
    assert len(scores().unique()) == 1


def test_records_in_half_precision_and_with_a_graph_are_taken_as_they_are():
    """As a generator under autocast makes them; nothing flows back to it."""
    critic = a_critic(dtype=torch.float32)
    real, fake, mix = records(dtype=torch.float32)
    noise, made = torch.zeros(size_of(critic)), fake.bfloat16().requires_grad_(True)
    with torch.autocast("cpu"):
        found = private_loss(critic, wgan_gp(), (real, made, mix), 1.0, noise)
    found.loss.backward()
    assert made.grad is None
    expected = private_loss(critic, wgan_gp(), (real, fake.bfloat16().float(), mix), 1.0, noise)
    assert torch.equal(found.loss, expected.loss)


def test_layers_that_are_held_take_no_part():
    critic, parts = a_critic(), records()
    critic[0].requires_grad_(False)
    moving = [p for p in critic.parameters() if p.requires_grad]
    noise = torch.zeros(sum(p.numel() for p in moving), dtype=torch.float64)
    private_loss(critic, wgan_gp(), parts, 1.0, noise).loss.backward()
    assert critic[0].weight.grad is None
    assert all(p.grad is not None for p in moving)
    with pytest.raises(ValueError, match="noise for"):
        private_loss(critic, wgan_gp(), parts, 1.0, noise[1:])


def test_a_network_that_mixes_samples_is_refused():
    mixing = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    with pytest.raises(ValueError, match="mix the samples"):
        private_loss(mixing, wgan_gp(), records(), 1.0, torch.zeros(size_of(mixing)))


def test_the_penalty_of_one_record_is_that_of_penalties():
    critic, (real, fake, mix) = a_critic(), records(1)
    value, _ = wgan_gp(4.0)(lambda x: critic(x[None]).sum(), real[0], fake[0], mix[0])
    plain = critic(fake).mean() - critic(real).mean() + penalties.wgan_gp(critic, real, fake, mix, 4.0)
    torch.testing.assert_close(value, plain)


# ---------------------------------------------------------------------- the accountant


def gaussian_delta(epsilon: float, distance: float) -> float:
    """delta of a Gaussian mechanism, exactly (Balle and Wang 2018, theorem 8); distance: sensitivity over deviation."""
    a, b = distance / 2 - epsilon / distance, -distance / 2 - epsilon / distance
    return float(norm.cdf(a) - math.exp(epsilon) * norm.cdf(b))


def test_epsilon_holds_for_a_row_replaced_by_its_opposite():
    """One draw of all rows: the sum moves by 2 clip. An accountant who thought of 1 clip would say far too little."""
    reading = Reading(rows=50, batch=50, draws=1, columns=0)
    for noise in (1.0, 3.0, 8.0):
        epsilon = accountant.spent(noise, 0.0, 1e-5, reading)
        assert gaussian_delta(epsilon, 2 / noise) <= 1e-5
        assert gaussian_delta(epsilon * 0.75, 2 / noise) > 1e-5  # and it is not far from the truth


def test_epsilon_of_counts_is_of_all_columns_at_once():
    """A row replaced moves one count down and one up in each of 8 columns: by sqrt(16) = 4."""
    noise = accountant.noise_of_counts(1.0, 1e-5, 8)
    assert gaussian_delta(1.0, 4 / noise) <= 1e-5
    assert gaussian_delta(1.0, 4 / (noise / 2)) > 1e-5


def test_epsilon_grows_with_what_is_read_and_falls_with_noise():
    reading = Reading(10_000, 200, 100, 5)
    usual = accountant.spent(2.0, 40.0, 1e-5, reading)
    for more in (
        accountant.spent(2.0, 40.0, 1e-5, replace(reading, draws=200)),
        accountant.spent(2.0, 40.0, 1e-5, replace(reading, batch=400)),
        accountant.spent(2.0, 40.0, 1e-5, replace(reading, rows=5000)),
        accountant.spent(2.0, 40.0, 1e-5, replace(reading, columns=20)),
        accountant.spent(2.0, 40.0, 1e-6, reading),
        accountant.spent(1.9, 40.0, 1e-5, reading),
        accountant.spent(2.0, 30.0, 1e-5, reading),
    ):
        assert more > usual


def test_the_noise_is_the_least_that_a_budget_asks_for():
    epsilon, reading = 2.0, Reading(20_000, 200, 300, 6)
    counts = accountant.noise_of_counts(epsilon / 5, 5e-6, 6)
    noise = accountant.noise_of_gradients(epsilon, 5e-6, reading, counts)
    assert accountant.spent(noise, counts, 5e-6, reading) <= epsilon
    assert accountant.spent(noise * 0.98, counts, 5e-6, reading) > epsilon
    without = accountant.noise_of_gradients(epsilon, 5e-6, replace(reading, columns=0), 0.0)
    assert without <= noise < 1.1 * without  # what counts cost


def test_a_small_budget_at_a_small_delta_is_met():
    """By orders of Renyi's divergence above 128."""
    reading = Reading(20_000, 200, 300, 6)
    counts = accountant.noise_of_counts(0.02, 1e-9, 6)
    noise = accountant.noise_of_gradients(0.1, 1e-9, reading, counts)
    assert accountant.spent(noise, counts, 1e-9, reading) <= 0.1


def test_steps_are_counted_as_the_engine_takes_them():
    spec = DataSpec("table", (LAYOUT.width,), count=300, given=(LAYOUT.asked,), columns=COLUMNS)
    assert Reading.of(spec, Train(kimg=1.0, batch=300)) == Reading(300, 300, 4, 2)  # the last step goes beyond
    assert Reading.of(spec, Train(kimg=1.0, batch=300), times=2).draws == 4
    assert Reading.of(spec, Train(kimg=1.0, batch=100), times=3).draws == 12


# ---------------------------------------------------------------------- how rows are dealt


COLUMNS = (
    Column("kind", "categorical", (290, 9, 1), ("a", "b", "c")),
    Column("size", "integer", (200, 100), centres=(10.0,), reaches=(8.0,), minimum=2, maximum=18, missing=True),
    Column("only", "constant", (300,), ("x",)),
)
LAYOUT = Layout(COLUMNS)


def a_set() -> DataSet:
    """300 rows; one of them is in state "c"."""
    size = np.where(np.arange(300) % 3 == 2, np.nan, np.arange(300) % 15 + 3.0)
    kept, known = encode(Rows(COLUMNS, (np.repeat([0, 1, 2], [290, 9, 1]), size, np.zeros(300, np.int64))))
    assert known.all()
    spec = DataSpec("table", (LAYOUT.width,), count=300, given=(LAYOUT.asked,), columns=COLUMNS)
    return DataSet("toy", spec, "0" * 64, (), pixels=kept)


def test_each_batch_is_a_subset_drawn_anew():
    order = Subsets(5, 2, seed=3)
    drawn = [tuple(sorted(order.indices(2 * k, 2).tolist())) for k in range(4000)]
    counts = Counter(drawn)
    assert set(counts) == set(combinations(range(5), 2))  # no row twice
    assert all(abs(count - 400) < 5 * math.sqrt(400 * 0.9) for count in counts.values())  # each as likely
    after = Counter(pair for first, pair in pairwise(drawn) if first == (0, 1))
    assert set(after) == set(counts)  # also rows that were dealt just before: no permutation is walked through


def test_subsets_are_a_function_of_the_position():
    order = Subsets(50, 8, seed=3)
    whole = order.indices(3, 30)
    assert torch.equal(whole, torch.cat([Subsets(50, 8, seed=3).indices(3 + k, 1) for k in range(30)]))
    assert not torch.equal(whole, Subsets(50, 8, seed=4).indices(3, 30))
    with pytest.raises(ValueError, match="no subset"):
        Subsets(7, 8, seed=0)


def test_rare_rows_are_not_dealt_more_often_under_privacy():
    """By condition the one row of "c" comes in one of 20; uniformly in one of 300."""
    data = a_set()
    usual = make_dealer(data, seed=0, stride=60, device=CPU, asks=True).deal(0, 6000)
    private = make_dealer(data, seed=0, stride=60, device=CPU, asks=True, private=True).deal(0, 6000)
    assert private.given is None
    rare = 2  # place of "c" in an encoded row
    assert usual.real[:, rare].mean() > 0.04
    assert float(private.real[:, rare].mean()) == pytest.approx(1 / 300, abs=5 * math.sqrt(1 / 300 / 6000))


def test_counts_are_noisy_and_nothing_else_is_new():
    data = a_set()
    noisy = with_noisy_counts(data, 20.0, seed=5)
    first, second, third = noisy.spec.columns
    assert first.counts != COLUMNS[0].counts
    assert second.counts != COLUMNS[1].counts
    assert third == COLUMNS[2]  # all rows, whose number is known
    assert min(first.counts) >= 1
    assert [replace(column, counts=()) for column in noisy.spec.columns] == [replace(c, counts=()) for c in COLUMNS]
    assert noisy.pixels is data.pixels
    assert with_noisy_counts(data, 20.0, seed=5).spec == noisy.spec
    many = np.array([with_noisy_counts(data, 20.0, seed=seed).spec.columns[1].counts for seed in range(300)])
    assert many.mean(0) == pytest.approx([200, 100], abs=5 * 20 / math.sqrt(300))
    assert many.std(0) == pytest.approx([20, 20], rel=0.2)


RARE = Column("shop", "categorical", (30, 90), ("x",), ("p", "q", "r"), (60, 20, 10))


def shops() -> DataSet:
    """Rows of one column: of the state that "p", "q" and "r" share, 60, 20 and 10 are each."""
    kept, _ = encode(Rows((RARE,), (np.repeat([0, 1, 2, 3], [30, 60, 20, 10]),)))
    layout = Layout((RARE,))
    spec = DataSpec("table", (layout.width,), count=120, given=(layout.asked,), columns=(RARE,))
    data = DataSet("shops", spec, "0" * 64, (), pixels=kept)
    return replace(data, held_out=replace(data, pixels=kept[100:]))


def test_counts_of_rare_values_are_told_nobody():
    """Not even by how they are encoded: each has a third of the scalar, and rows still say what they said."""
    data = shops()
    noisy = with_noisy_counts(data, 5.0, seed=1)
    (column,) = noisy.spec.columns
    assert column.rest_counts == (1, 1, 1)
    assert noisy.pixels[:, 0].unique().tolist() == pytest.approx([-2 / 3, 0, 2 / 3])
    for before, after in ((data, noisy), (data.held_out, noisy.held_out)):
        values = [decode(side.pixels, Layout(side.spec.columns))["shop"].tolist() for side in (before, after)]
        assert values[0] == values[1]
        assert after.spec.columns == noisy.spec.columns


# ---------------------------------------------------------------------- ctgan


def a_game(**settings):
    torch.manual_seed(0)
    dp = Private(epsilon=1.0, delta=1e-4, noise=1.5, counts=10.0, clip=0.3)
    family = load_family("ctgan")
    return family(a_set().spec, family.config_class(**{"z_dim": 4, "width": 8, "pac": 1, "dp": dp, **settings}))


def a_batch(game, rows: Tensor) -> Batch:
    return Batch(rows, None, 0, PositionNoise(len(rows), 7, CPU))


def test_a_real_row_comes_with_a_state_of_its_own():
    game = a_game()
    rows = make_dealer(a_set(), seed=0, stride=60, device=CPU, private=True).deal(0, 600).real
    condition = game.own_condition(rows, torch.rand(600, 1, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(condition.sum(1), torch.ones(600))
    assert torch.equal((condition * rows[:, game.states.states]).sum(1), torch.ones(600))
    assert float(condition[:, :3].sum()) == pytest.approx(300, abs=60)  # each column as likely


def test_no_row_moves_the_critic_by_more_than_two_clips_and_none_moves_g():
    """The whole turn, packs of three: one row replaced by another."""
    game = a_game(pac=3, dropout=0.0)
    rows = make_dealer(a_set(), seed=0, stride=12, device=CPU, private=True).deal(0, 12).real
    other = rows.clone()
    other[4] = rows[5]
    weights = list(game.D.parameters())

    def of_d(real: Tensor) -> Tensor:
        outcome = game.private_critic(a_batch(game, real))
        assert outcome.real_logits.shape == outcome.fake_logits.shape == (4, 1)
        return torch.cat([g.flatten() for g in torch.autograd.grad(outcome.loss, weights)])

    moved = 4 * (of_d(rows) - of_d(other)).norm()  # the sum over packs; the noise is the same
    assert 0 < moved <= 2 * 0.3 * (1 + 1e-4)
    assert torch.equal(of_d(rows), of_d(rows))

    def of_g(real: Tensor) -> Tensor:
        outcome = game.generator(a_batch(game, real))
        return torch.cat([g.flatten() for g in torch.autograd.grad(outcome.loss, list(game.G.parameters()))])

    assert torch.equal(of_g(rows), of_g(1 - other))


def test_the_noise_of_a_step_is_the_setting_times_the_clip():
    quiet = a_game(dropout=0.0, dp=Private(epsilon=1.0, delta=1e-4, counts=10.0, clip=0.3))
    loud = a_game(dropout=0.0)
    rows = make_dealer(a_set(), seed=0, stride=60, device=CPU, private=True).deal(0, 60).real
    gradients = []
    for game in (quiet, loud):
        outcome = game.private_critic(a_batch(game, rows))
        gradients.append(flat_gradient(game.D, outcome.loss))
    noise = 60 * (gradients[1] - gradients[0])
    assert float(noise.std()) == pytest.approx(1.5 * 0.3, rel=0.15)
    assert abs(float(noise.mean())) < 5 * 0.45 / math.sqrt(len(noise))
    assert len(noise.unique()) == len(noise)


def test_it_plays_and_resumes_bit_for_bit():
    data = a_set()

    def engine() -> Engine:
        dealer = make_dealer(data, seed=0, stride=60, device=CPU, asks=True, private=True)
        return Engine(a_game(), dealer, Train(kimg=1, batch=60), device=CPU)

    straight, first, second = engine(), engine(), engine()
    for _ in range(4):
        straight.step()
    for _ in range(2):
        first.step()
    second.load(*first.state())
    for _ in range(2):
        second.step()
    for (name, one), other in zip(straight.game.state_dict().items(), second.game.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    assert straight.tally.read()["D.private_critic/clipped"] >= 0


# ---------------------------------------------------------------------- from a table to a run


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """2,000 rows."""
    draw = np.random.default_rng(0)
    ages, jobs = draw.integers(20, 60, 2000), draw.choice(["a", "b", "c"], 2000, p=[0.8, 0.15, 0.05])
    path = tmp_path_factory.mktemp("toy") / "toy.csv"
    path.write_text("age,job\n" + "".join(f"{age},{job}\n" for age, job in zip(ages, jobs, strict=True)))
    return path


@pytest.fixture(scope="module")
def opened(toy):
    return open_data(str(toy), Data())


SMALL = {"game": {"width": 16, "dp": {"epsilon": 4.0}}, "train": {"kimg": 2.0, "batch": 200}}


def a_plan(opened, toy, family: str = "ctgan", automatic: bool = True, **changes):
    recipe = Recipe(str(toy), family, SMALL).with_settings(changes)
    return make_plan(recipe, dataset=opened, automatic=automatic)


def test_a_plan_says_the_noise_what_it_covers_and_what_not(opened, toy):
    plan = a_plan(opened, toy)
    dp = plan.game.dp
    assert dp.delta == pytest.approx(0.1 / 2000)
    assert accountant.spent(dp.noise, dp.counts, dp.delta, Reading(2000, 200, 10, 2)) <= 4.0
    said = "\n".join(plan.reasons)
    assert "epsilon 4 at delta 5e-05 covers 10 batches of 200 of 2,000 rows; NOT covered" in said
    assert "keep all of the run but model/ to yourself" in said
    assert plan.train.seed != a_plan(opened, toy).train.seed  # nobody can guess the noise
    assert plan.dataset.spec.columns[1].counts != opened.spec.columns[1].counts


def test_off_it_changes_nothing(opened, toy):
    plan = a_plan(opened, toy, game={"dp": {"epsilon": 0.0}})
    assert plan.game.dp == Private()
    assert plan.train.seed == 0
    assert plan.dataset is opened
    game = plan.make_game()
    assert [turn.name for turn in game.turns(0)] == ["D.critic", "G.generator"]


def test_a_person_s_settings_win(opened, toy):
    plan = a_plan(opened, toy, game={"pac": 2, "dp": {"noise": 9.0}}, train={"seed": 4})
    assert (plan.game.pac, plan.game.dp.noise, plan.train.seed) == (2, 9.0, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"game": {"dp": {"noise": 0.3}}}, r"would cost epsilon \d.*game\.dp\.epsilon allows 4"),
        ({"game": {"dp": {"epsilon": 0.21}, "pac": 10}, "train": {"kimg": 200.0}}, "nothing could be learnt"),
        ({"game": {"dp": {"delta": 0.01}}}, r"game\.dp\.delta 0\.01 would let"),
        ({"game": {"dp": {"epsilon": 0.1, "delta": 1e-9, "counts": 9.0}}}, "larger epsilon or delta, or leave game.dp"),
        ({"game": {"dp": {"counts": 0.5}}}, r"cannot be met with noise of 0\.5 rows in counts"),
        ({"game": {"dp": {"epsilon": 0.0, "noise": 1.1}}}, r"do nothing without dp\.epsilon"),
        ({"game": {"dp": {"epsilon": 0.0, "delta": 1e-6}}}, r"do nothing without dp\.epsilon"),
        ({"game": {"dp": {"epsilon": 0.0, "counts": 9.0}}}, r"do nothing without dp\.epsilon"),
        ({"game": {"dp": {"epsilon": 0.0, "clip": 2.0}}}, r"do nothing without dp\.epsilon"),
        ({"game": {"dp": {"epsilon": -1}}}, r"dp\.epsilon is 0\.1 to 100"),
        ({"game": {"dp": {"epsilon": 1000}}}, r"dp\.epsilon is 0\.1 to 100"),
        ({"game": {"dp": {"counts": -1}}}, r"dp\.counts is a number from 0 on"),
        ({"game": {"dp": {"clip": 0}}}, r"dp\.clip must be above 0"),
        ({"game": {"dp": {"epsilom": 1}}}, r"unknown setting 'game\.dp\.epsilom'; did you mean 'epsilon'"),
        ({"train": {"batch": 4000}}, "no row may be twice in a batch"),
        ({"train": {"microbatches": 2}}, "one process with train.microbatches 1"),
        ({"train": {"guard": "rollback"}}, "reads the same rows again"),
        ({"train": {"coach": True}}, "reads the same rows again"),
        ({"train": {"augment": "diff"}}, "changes pictures"),
        ({"game": {"pac": 3}}, r"game\.pac"),
    ],
)
def test_what_cannot_hold_is_refused(opened, toy, changes, message):
    with pytest.raises(SparringError, match=message):
        a_plan(opened, toy, **changes)


@pytest.mark.parametrize("family", ["tvae"])
def test_a_family_that_cannot_says_so(opened, toy, family):
    with pytest.raises(SparringError, match=f"family '{family}' does not learn with differential privacy"):
        a_plan(opened, toy, family)


def test_without_noise_there_is_no_privacy(opened, toy):
    """As a recipe might say that was written by hand."""
    with pytest.raises(SparringError, match="give no privacy"):
        a_plan(opened, toy, automatic=False, game={"pac": 1})


def test_without_the_library_it_is_refused_and_says_what_to_install(opened, toy, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dp_accounting", None)
    with pytest.raises(SparringError, match=r"pip install 'sparring\[privacy\]'"):
        a_plan(opened, toy)


def test_a_run_goes_on_with_its_noise_and_not_beyond_its_budget(toy, tmp_path):
    settings = {"game": SMALL["game"], "batch": 200, "referee": False}
    shops = tmp_path / "shops.csv"
    draw = np.random.default_rng(0)
    names = [f"s{int(k)}" for k in draw.geometric(0.03, 2000)]  # more values than have states of their own
    ages = toy.read_text().splitlines()[1:]
    shops.write_text("age,job,shop\n" + "".join(f"{a},{b}\n" for a, b in zip(ages, names, strict=True)))
    toy = shops
    run = train(toy, family="ctgan", run=tmp_path / "run", kimg=1, **settings)
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    dp = recipe["game"]["dp"]
    assert dp["noise"] > 0
    card = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    assert "seed" not in json.dumps(card)
    assert card["spec"] == recipe["spec"]  # with noisy counts
    rest = card["spec"]["columns"][2]["rest_counts"]
    assert len(rest) > 9
    assert set(rest) == {1}
    # Real rows and samples are read by the same columns, and what was trained on is not held out.
    reals = reals_of_run(run.folder, run.game.spec, None)
    assert reals.reference.spec == run.game.spec
    shown = decode(reals.reference.pixels, Layout(run.game.spec.columns))["shop"]
    known = [*run.game.spec.columns[2].categories, *run.game.spec.columns[2].rest]
    assert [known[code] for code in shown] == names
    again = reals_of_run(run.folder, run.game.spec, toy)
    assert not again.held_out
    assert "is what the run was trained on" in again.notes[-1]
    assert run.sample(3).isfinite().all()
    events = (tmp_path / "run" / "events.jsonl").read_text()
    assert "NOT covered" in events
    again = train(toy, family="ctgan", run=tmp_path / "run", kimg=1, **settings)
    assert torch.equal(again.sample(3), run.sample(3))
    with pytest.raises(SparringError, match=r"would cost epsilon [\d.]+, and game\.dp\.epsilon allows 4"):
        train(toy, run=tmp_path / "run", kimg=3)
    assert json.loads((tmp_path / "run" / "recipe.json").read_text()) == recipe


def test_settings_of_settings_are_listed():
    names = [name for name, *_ in describe(load_family("ctgan").config_class)]
    assert {"dp.epsilon", "dp.delta", "dp.clip", "dp.noise", "dp.counts"} <= set(names)


def test_torch_func_grad_is_what_torch_autograd_says():
    """The slope that the penalty is on."""
    critic, (real, *_) = a_critic(), records(1)
    points = real.clone().requires_grad_(True)
    (expected,) = torch.autograd.grad(critic(points).sum(), points)
    torch.testing.assert_close(grad(lambda x: critic(x[None]).sum())(real[0]), expected[0])
