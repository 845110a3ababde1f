"""The failure zoo: what it counts as true, what is in it, how it is told. Its runs are trained by ``make zoo``."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sparring.cli import split_settings
from sparring.core.batch import Batch
from sparring.core.config import unflatten
from sparring.core.recipe import Recipe
from sparring.core.registry import load_family
from sparring.core.spec import DataSpec
from sparring.tools.plan import make_plan

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from zoo import provocations, report, truth, verdicts
from zoo.plan import CASES, FAILURES, HEALTHY, HEALTHY_RUNS, SEEDS, TUNING, Case
from zoo.run import chosen

from sparring.diagnostics.history import Context, History
from sparring.diagnostics.rules import BUILT_IN

WELL = truth.Truth(
    nimg=1000,
    finished=True,
    troubles=0,
    missing=0,
    of=8,
    clean=0.9,
    diversity=1.0,
    within=math.nan,
    hit=math.nan,
    copies=math.nan,
    distance=0.01,
    auc=0.6,
    train_auc=math.nan,
    gradient=0.5,
    loudest=3.0,
    net_path=0.5,
    stride=0.1,
    growth=2.0,
    moved=1.0,
)


# ---------------------------------------------------------------------- the plan


def test_the_plan_holds_what_the_bar_asks_for():
    failures = [(case, seed) for case in FAILURES for seed in case.seeds]
    well = [(case, seed) for case in HEALTHY_RUNS for seed in case.seeds]
    assert len(failures) >= 60
    assert len(well) >= 30
    assert len({case.kind for case in FAILURES}) >= 10
    bases = {load_family(f"zoo.provocations{c.family}").__mro__[2] if ":" in c.family else c.family for c in FAILURES}
    assert len(bases) >= 3
    assert len({case.data for case in FAILURES}) >= 2
    assert len({case.name for case in CASES}) == len(CASES)


def test_every_kind_is_in_both_halves_and_is_a_rule_or_healthy():
    rules = {rule.name for rule in BUILT_IN}
    for kind in {case.kind for case in CASES}:
        seeds = {seed for case in CASES if case.kind == kind for seed in case.seeds}
        assert seeds & set(TUNING), kind
        assert seeds - set(TUNING), kind
        assert kind == HEALTHY or kind in rules
    assert all(case.names <= rules for case in CASES)
    assert set(TUNING) < set(SEEDS)


@pytest.mark.parametrize("case", [case for case in CASES if case.possible], ids=lambda case: case.name)
def test_every_case_can_be_planned(case):
    (source, _, family), flat = split_settings(case.arguments)
    plan = make_plan(Recipe(source, family, unflatten(flat)))
    assert plan.train.keep >= 12
    assert 0 <= case.onset < 0.5


def test_some_of_the_zoo_by_name_or_kind():
    assert {case.kind for case, _ in chosen(["collapse"], [0])} == {"collapse"}
    some = chosen(["dcgan-digits"], [0, 1])
    assert [(case.name, seed) for case, seed in some] == [("dcgan-digits", 0), ("dcgan-digits", 1)]
    seeds = [seed for _, seed in chosen([], SEEDS)]
    assert seeds == sorted(seeds)


# ---------------------------------------------------------------------- truth on constructed samples


def test_copies_are_found_to_two_thousandths():
    rows = torch.linspace(-1, 1, 40).view(20, 2)
    moved = rows + 0.0015
    assert truth.copied(torch.cat([rows[:5], rows[:5] + 0.003]), rows) == 0.5
    assert truth.copied(moved, rows) == 1.0


def test_straight_ways_and_circles():
    straight = torch.arange(5.0).view(5, 1, 1).expand(5, 3, 2)
    assert truth.net_over_path(straight) == pytest.approx(1.0)
    angle = torch.linspace(0, 2 * math.pi, 9)
    circle = torch.stack([angle.cos(), angle.sin()], 1).view(9, 1, 2)
    assert truth.net_over_path(circle) == pytest.approx(0.0, abs=1e-6)


def test_auc_counts_ties_for_a_half():
    assert truth.auc(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0])) == pytest.approx(7 / 8)


def test_the_distance_of_the_mean_alone_is_one():
    reals = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    features = truth.Features(reals)
    assert features.distance(reals) == pytest.approx(0.0, abs=1e-6)
    assert features.distance(reals.mean(0).expand(100, 2)) == pytest.approx(1.0, abs=1e-6)


def test_the_top_singular_value_of_every_matrix():
    state = {"D.weight": torch.diag(torch.tensor([3.0, 4.0])), "D.bias": torch.ones(2), "D.rows": torch.ones(2, 2)}
    assert truth.top_singular(state) == {"D.weight": pytest.approx(4.0)}


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"diversity": 0.05, "missing": 8}, "collapse"),
        ({"within": 0.01}, "collapse"),
        ({"missing": 3}, "dropped_modes"),
        ({"gradient": 1e-9, "auc": 1.0}, "vanishing_gradient"),
        ({"moved": 0.0, "distance": 1.0}, "dead_discriminator"),
        ({"auc": 0.3, "distance": 1.0}, "weak_discriminator"),
        ({"auc": 1.0, "distance": 1.0}, "strong_discriminator"),
        ({"train_auc": 0.9}, "discriminator_overfitting"),
        ({"copies": 1.0}, "memorisation"),
        ({"hit": 0.1}, "class_confusion"),
        ({"troubles": 4}, "non_finite"),
        ({"loudest": 1e6}, "divergence"),
        ({"growth": 100.0}, "spectral_explosion"),
        ({"net_path": 0.1, "stride": 1.0, "distance": 0.6}, "oscillation"),
    ],
)
def test_each_failure_is_told_by_its_own_measure(changed, kind):
    assert truth.so(WELL) == frozenset()
    assert truth.so(replace(WELL, **changed)) == {kind}


def test_a_run_is_healthy_only_if_its_samples_show_it():
    assert truth.healthy(WELL, truth.so(WELL))
    for changed in ({"missing": 1}, {"finished": False}, {"distance": 0.5}, {"within": 0.5}, {"hit": 0.6}):
        poor = replace(WELL, **changed)
        assert not truth.healthy(poor, truth.so(poor))


# ---------------------------------------------------------------------- provocations


class Tape:
    """Noise that is known."""

    def normal(self, *shape):
        return torch.arange(4.0).view(4, *[1] * len(shape)).expand(4, *shape)

    def uniform(self, *shape):
        return torch.tensor([0.05, 0.35, 0.65, 0.95]).view(4, *[1] * len(shape)).expand(4, *shape)


DIGITS = DataSpec("image", (1, 8, 8), tuple("abcd"), (5, 5, 5, 5), 20)
POINTS = DataSpec("points", (2,), count=20)


def batch_of(real, labels=None):
    return Batch(real, labels, 0, Tape())


def game_of(cls, spec, **settings):
    return cls(spec, cls.config_class(**{"z_dim": 4, "width": 8, **settings})).eval()


def test_cut_noise_makes_the_same_whatever_is_asked():
    game = game_of(provocations.CutDCGAN, POINTS)
    made = game.sample(batch_of(torch.zeros(4, 2)))
    assert torch.equal(made, made[:1].expand(4, 2))


def test_a_deaf_generator_does_not_hear_the_class():
    game = game_of(provocations.DeafCGAN, DIGITS, hidden=8)
    asked = [game.sample(batch_of(torch.zeros(4, 1, 8, 8), torch.full((4,), k))) for k in (0, 3)]
    assert torch.equal(*asked)


def test_a_blind_loader_shows_no_hidden_class_and_no_hidden_point():
    game = game_of(provocations.BlindDCGAN, DIGITS)
    shown = game._without(batch_of(torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 8, 8), torch.tensor([0, 3, 1, 2])))
    assert shown.labels.tolist() == [0, 1, 1, 1]
    assert shown.real[:, 0, 0, 0].tolist() == [0, 2, 2, 2]
    points = game_of(provocations.BlindDCGAN, POINTS)
    assert points._without(batch_of(torch.tensor([[0.9, 0], [-1, 0], [0.1, 0], [0.8, 0]]))).real[:, 0].max() < 0.45


def test_a_copier_answers_with_rows_that_it_was_shown():
    game = game_of(provocations.CopierVanilla, POINTS)
    rows = torch.rand(64, 2, generator=torch.Generator().manual_seed(0))
    game.G.keep(rows[:40])
    game.G.keep(rows)
    with torch.no_grad():
        made = game.sample(batch_of(torch.zeros(4, 2)))
    assert truth.copied(made, torch.cat([rows[:40], rows[:24]])) == 1.0


def test_an_inflated_weight_grows_only_after_its_time():
    game = game_of(provocations.InflatedDCGAN, POINTS)
    (controller,) = game.controllers()
    (name,) = controller.parameters(game)
    turn, before = game.turns(0)[0], game.get_parameter(name).clone()
    controller.act(game, turn, None, controller.since - 1)
    assert torch.equal(game.get_parameter(name), before)
    controller.act(game, turn, None, controller.since)
    assert torch.allclose(game.get_parameter(name), before * controller.factor)


def test_poison_comes_after_its_time_and_in_gs_turns_alone():
    game = game_of(provocations.PoisonedDCGAN, POINTS)
    for nimg, ill in ((0, False), (12 * provocations.Poisoned.since, True)):
        shown = replace(batch_of(torch.zeros(4, 2)), nimg=nimg)
        losses = {turn.name: turn.loss(shown).loss.item() for turn in game.turns(nimg)}
        assert math.isnan(losses["G.generator"]) == ill
        assert math.isfinite(losses["D.discriminator"])


# ---------------------------------------------------------------------- verdicts and their telling


def verdict(case, seed, found, *calls, seconds=10.0):
    calls = tuple(verdicts.Call(*call) for call in calls)
    return verdicts.Verdict(case, seed, found, truth.so(found), calls, History(Context(1000, 10)), seconds)


CUT = Case("cut", "collapse", "ring", ":CutDCGAN")
LATE = Case("late", "spectral_explosion", "ring", ":InflatedDCGAN", onset=0.3)
FINE = Case("fine", HEALTHY, "ring", "dcgan")
COLLAPSED = replace(WELL, diversity=0.0, missing=8)


def test_a_failure_is_named_by_its_own_rule_in_time():
    named = verdict(CUT, 2, COLLAPSED, ("weak_discriminator", "warn", 0.1), ("collapse", "warn", 0.4))
    assert named.named == verdicts.Call("collapse", "warn", 0.4)
    assert report.named_in_time(named)
    assert not report.named_in_time(verdict(CUT, 2, COLLAPSED, ("collapse", "warn", 0.9)))
    assert not report.named_in_time(verdict(CUT, 2, COLLAPSED, ("weak_discriminator", "critical", 0.1)))
    late = verdict(LATE, 2, replace(WELL, growth=90.0), ("spectral_explosion", "warn", 0.7))
    assert late.delay == pytest.approx(0.4)


def test_what_is_not_what_it_was_meant_to_be_is_left_out_and_listed():
    without_effect = verdict(CUT, 3, WELL)
    assert not without_effect.counts
    assert not verdict(FINE, 3, COLLAPSED).counts
    assert verdict(FINE, 3, WELL).counts
    assert "`cut` seed 3" in "\n".join(report.left_out([without_effect]))


def test_the_page_counts_both_halves_apart():
    runs = [
        verdict(CUT, 0, COLLAPSED, ("collapse", "critical", 0.3)),
        verdict(CUT, 2, COLLAPSED),
        verdict(FINE, 0, WELL, ("dropped_modes", "critical", 0.3)),
        verdict(FINE, 2, WELL),
        verdict(FINE, 3, WELL, ("oscillation", "warn", 0.5)),
    ]
    page = report.render(runs)
    reported, tuned = page.split("## The half on which")
    assert "**0 of 1 (0%)**" in reported
    assert "false CRITICAL: **0 of 2 (0%)**" in reported
    assert "WARN or worse: **1 of 2 (50%)**" in reported
    assert "**1 of 1 (100%)**" in tuned
    assert "| a `collapse` | 1 | 1 | **1** |" in tuned
    assert "`fine` seed 0 (`healthy`): dropped_modes (critical, 30%)" in tuned


def test_a_log_is_replayed_through_the_rules():
    context = Context(total_nimg=10_000, batch=10)
    lines = [{"nimg": 100 * k, "terms": {"D.loss/loss": 1.0, "G.loss/loss": None}} for k in range(1, 100)]
    calls, history = verdicts.calls_of(context, lines)
    assert calls[0].rule == "non_finite"
    assert calls[-1].severity == "critical"
    assert history.nimg == 9900
