"""Every rule against histories made to measure: it fires on its failure and keeps silent in its known traps."""

import importlib.metadata
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sparring.core.config import Data, Eval, Optim, Train, describe
from sparring.core.readings import PREFIX, READINGS
from sparring.core.registry import families, load_family
from sparring.diagnostics.finding import Rule, Sign
from sparring.diagnostics.history import Context, History
from sparring.diagnostics.looking import falling_fast, looks_without_gain, settled, stuck
from sparring.diagnostics.referee import Referee
from sparring.diagnostics.rules import BUILT_IN, find_rules
from sparring.diagnostics.rules.class_confusion import ClassConfusion
from sparring.diagnostics.rules.collapse import Collapse
from sparring.diagnostics.rules.converged import Converged
from sparring.diagnostics.rules.discriminator_overfitting import DiscriminatorOverfitting
from sparring.diagnostics.rules.divergence import Divergence
from sparring.diagnostics.rules.dropped_modes import DroppedModes, lost_share
from sparring.diagnostics.rules.imbalance import DeadDiscriminator, StrongDiscriminator, WeakDiscriminator
from sparring.diagnostics.rules.memorisation import Memorisation
from sparring.diagnostics.rules.non_finite import NonFinite
from sparring.diagnostics.rules.oscillation import Oscillation
from sparring.diagnostics.rules.spectra import SpectralCollapse, SpectralExplosion
from sparring.diagnostics.rules.vanishing_gradient import VanishingGradient

LOOKS = 40
Value = float | Callable[[float], float]

# A healthy run of the ring: what it read after warm-up, and how it came there.
HEALTHY: dict[str, Value] = {
    "auc": 0.63,
    "real_sign": 0.3,
    "logit_gap": 0.5,
    "logit_size": 3.0,
    "fake_gradient": 0.7,
    "diversity": lambda t: 0.99 - 0.9 * math.exp(-20 * t),
    "diversity_raw": lambda t: 0.98 - 0.9 * math.exp(-20 * t),
    "duplicates": 0.01,
    "coverage": lambda t: 0.75 * (1 - math.exp(-15 * t)),
    "coverage_worst": 0.6,
    "modes_missing": lambda t: 8.0 if t < 0.1 else 0.0,
    "modes_kl": lambda t: 2.0 * math.exp(-30 * t),
    "distance": lambda t: 0.003 + math.exp(-20 * t),
    "distance_raw": lambda t: 0.005 + math.exp(-20 * t),
    "copies": 0.0,
    "nearest_ratio": 0.95,
    "travel": 0.6,
    "step_size": 0.1,
    "train_auc": 0.51,
    "slope": 0.8,
    "spectral_growth": lambda t: 1 + 5 * t,
    "effective_rank": lambda t: 1 - 0.2 * t,
    "update": 0.05,
    "update_judge": 0.05,
    "class_hit": lambda t: min(0.95, 4 * t),
}


def history(
    loss: str = "non_saturating", count: int = 100_000, looks: int = LOOKS, **readings: Value | None
) -> History:
    """A run of 200 kimg, 3,125 steps: healthy but for the readings that are given; those given as None are left out."""
    context = Context(200_000, 64, loss, count, conditional=True)
    wanted = {name: value for name, value in {**HEALTHY, **readings}.items() if value is not None}
    made = History(context)
    for index in range(1, looks + 1):
        t = index / LOOKS
        terms = {
            PREFIX + name: value(t) if callable(value) else value for name, value in wanted.items() if name in READINGS
        }
        losses = {"D.discriminator/loss": 1.35, "G.generator/loss": 0.8, "D.discriminator/gradient_norm": 1.0}
        terms |= losses | {k: v(t) if callable(v) else v for k, v in wanted.items() if "/" in k}
        made.add(round(200_000 * t), terms)
    return made


def severity(rule: type[Rule], of: History) -> str:
    """What the referee says of the whole run, by this rule alone."""
    referee = Referee(of.context, [rule()])
    for nimg, terms in of.ticks:
        referee.see(nimg, terms)
    assert not referee.broken
    return next((finding.severity for finding in referee.findings), "silent")


def sign(rule: type[Rule], of: History) -> Sign:
    found = rule().look(of)
    assert found is not None
    return found


FIRES = [
    # F1: the ring collapsed had a diversity of 0.009 to 0.13
    (
        Collapse,
        "critical",
        {"diversity": 0.05, "diversity_raw": 0.06, "duplicates": 0.9, "coverage": 0.1, "distance": 1.0},
    ),
    (
        Collapse,
        "critical",
        {"diversity": 0.05, "diversity_raw": 0.06, "duplicates": 0.0, "coverage": None, "distance": 1.0},
    ),
    (Collapse, "warn", {"diversity": 0.4, "distance": 0.5}),
    (Collapse, "warn", {"duplicates": 0.7}),
    # F2: 5 of 8 modes
    (
        DroppedModes,
        "critical",
        {"modes_missing": 3.0, "modes_kl": 0.47, "coverage": 0.49, "diversity": 0.85, "distance": 0.3},
    ),
    (DroppedModes, "warn", {"modes_missing": 1.0, "modes_kl": 0.134, "coverage": 0.7}),
    (DroppedModes, "warn", {"modes_missing": None, "coverage": 0.55}),
    # F4: gone from the start, gone little by little
    (VanishingGradient, "critical", {"fake_gradient": 3e-12, "auc": 1.0}),
    (VanishingGradient, "critical", {"fake_gradient": lambda t: 10 ** (-10 * t), "auc": 0.999}),
    (VanishingGradient, "warn", {"fake_gradient": lambda t: 10 ** (-3 * t), "auc": 0.985}),
    # F5: 100 samples learnt by heart
    (DiscriminatorOverfitting, "critical", {"train_auc": 0.95, "distance": lambda t: 0.05 + 0.5 * t}),
    (DiscriminatorOverfitting, "critical", {"train_auc": 0.95, "copies": 0.9}),
    (DiscriminatorOverfitting, "warn", {"train_auc": 0.65}),
    (
        DiscriminatorOverfitting,
        "warn",
        {"train_auc": None, "real_sign": 0.97, "auc": 0.99, "count": 1000, "distance": 0.2},
    ),
    # F6: Dirac-GAN's circles
    (Oscillation, "warn", {"travel": 0.04, "step_size": 1.2, "distance": 0.4}),
    (Oscillation, "critical", {"travel": 0.04, "step_size": 1.2, "distance": lambda t: 0.2 if t < 0.3 else 0.9}),
    # F8: the rate of 0.1
    (Divergence, "critical", {"diversity": 51.0, "distance": 100.0}),
    (Divergence, "warn", {"diversity": 2.5}),
    (Divergence, "critical", {"logit_size": 5e3}),
    (Divergence, "warn", {"D.discriminator/gradient_norm": lambda t: 1.0 if t < 0.85 else 900.0}),
    (Divergence, "warn", {"G.generator/loss": lambda t: 0.7 if t < 0.6 else 80.0}),
    (
        Divergence,
        "critical",
        {
            "G.generator/loss": lambda t: 0.7 if t < 0.9 else 1e5,
            "D.discriminator/gradient_norm": lambda t: 1 + 1e6 * (t > 0.9),
        },
    ),
    (NonFinite, "critical", {"G.generator/loss": lambda t: 0.7 if t < 0.9 else math.nan}),
    # F7
    (StrongDiscriminator, "warn", {"auc": 0.995, "distance": 0.7}),
    (WeakDiscriminator, "warn", {"auc": 0.11, "distance": 0.9}),
    (DeadDiscriminator, "critical", {"update_judge": 1e-9, "auc": 0.5, "distance": 0.9}),
    (
        DeadDiscriminator,
        "critical",
        {"update_judge": 1e-3, "auc": 0.36, "distance": 0.9},
    ),  # a rate a thousand times too low
    (DeadDiscriminator, "critical", {"logit_size": 1e-5, "distance": 0.9}),
    # F9: 100 samples
    (Memorisation, "critical", {"copies": 0.96, "nearest_ratio": 0.36}),
    (Memorisation, "warn", {"copies": 0.5, "nearest_ratio": 0.8}),
    (Memorisation, "warn", {"copies": 0.9, "nearest_ratio": None}),
    # F10
    (SpectralExplosion, "critical", {"spectral_growth": lambda t: 2.0 if t < 0.9 else 50.0}),
    (SpectralExplosion, "warn", {"spectral_growth": lambda t: 2.0 if t < 0.9 else 8.0}),
    (SpectralCollapse, "warn", {"effective_rank": 0.4}),
    (SpectralCollapse, "critical", {"effective_rank": 0.1, "distance": lambda t: 0.05 + 0.5 * t}),
    (ClassConfusion, "critical", {"class_hit": lambda t: 0.9 if t < 0.5 else 0.3}),
    (ClassConfusion, "warn", {"class_hit": 0.3}),
    (Converged, "good", {}),
]


@pytest.mark.parametrize(
    ("rule", "wanted", "readings"), FIRES, ids=lambda v: getattr(v, "name", v) if not isinstance(v, dict) else ""
)
def test_each_failure_is_seen(rule, wanted, readings):
    assert severity(rule, history(**readings)) == wanted


@pytest.mark.parametrize("rule", [rule for rule in BUILT_IN if rule is not Converged], ids=lambda rule: rule.name)
def test_a_healthy_run_is_healthy_at_every_look(rule):
    of = history()
    referee = Referee(of.context, [rule()])
    assert [found for tick in of.ticks for found in referee.see(*tick)] == []
    last = rule().look(of)
    assert last is None or last.level == "good"


TRAPS = [
    # warm-up: at initialisation every generator is collapsed
    (Collapse, {"diversity": 0.05, "distance": 1.0, "looks": 6}),
    # still learning fast
    (Collapse, {"diversity": 0.1, "distance": lambda t: 10 * math.exp(-5 * t)}),
    # few modes are no full collapse: half of the ring's has a diversity of 0.71
    (Collapse, {"diversity": 0.71}),
    # a full collapse is not told twice
    (DroppedModes, {"diversity": 0.05, "modes_missing": 8.0, "modes_kl": 2.0, "coverage": 0.0, "distance": 1.0}),
    # the textbook's 0.8 of the null: healthy runs cover less
    (DroppedModes, {"coverage": 0.74}),
    (DroppedModes, {"coverage": 0.74, "modes_missing": None}),
    # a young run with all modes, but wide ones
    (DroppedModes, {"coverage": 0.3}),
    # the non-saturating twin: D as strong, the gradient alive
    (VanishingGradient, {"fake_gradient": 10.0, "auc": 0.98}),
    # a small gradient at the end of a game that is in balance
    (VanishingGradient, {"fake_gradient": lambda t: 10 ** (-7 * t), "auc": 0.55}),
    # a Wasserstein critic's offset is free, and so is a relativistic one's
    (
        DiscriminatorOverfitting,
        {"train_auc": None, "real_sign": 1.0, "auc": 0.99, "count": 1000, "distance": 0.2, "loss": "wasserstein"},
    ),
    # plentiful data, early: real_sign was seen at 0.88
    (DiscriminatorOverfitting, {"train_auc": None, "real_sign": 0.95, "auc": 0.99, "distance": 0.2}),
    # noise around an optimum makes no way either, in small steps
    (Oscillation, {"travel": 0.05, "step_size": 0.1}),
    # a long way round that still gains
    (Oscillation, {"travel": 0.05, "step_size": 1.0, "distance": lambda t: math.exp(-3 * t)}),
    # a critic's scores have no scale
    (Divergence, {"logit_size": 5e3, "loss": "wasserstein"}),
    # one spike is no divergence
    (Divergence, {"D.discriminator/gradient_norm": lambda t: 500.0 if 0.69 < t < 0.71 else 1.0}),
    (NonFinite, {"G.generator/loss": lambda t: math.nan if 0.69 < t < 0.71 else 0.7}),
    # a strong D is wanted while samples gain, and harmless where they are good
    (StrongDiscriminator, {"auc": 0.999, "distance": lambda t: math.exp(-2 * t)}),
    (StrongDiscriminator, {"auc": 0.999, "distance": 0.01}),
    # at convergence D cannot tell
    (WeakDiscriminator, {"auc": 0.5}),
    (DeadDiscriminator, {"update_judge": 1e-9, "auc": 0.5}),
    # few modes lie near training samples
    (Memorisation, {"diversity": 0.3, "nearest_ratio": 0.5, "copies": 0.9}),
    # held-out samples are as near
    (Memorisation, {"copies": 0.5, "nearest_ratio": 0.99}),
    # spectra grow in healthy runs
    (SpectralExplosion, {"spectral_growth": lambda t: 1 + 30 * t}),
    # nothing is gained, but nothing is good either
    (Converged, {"distance": 0.8}),
    (Converged, {"diversity": 0.5}),
    # it gains still
    (Converged, {"distance": lambda t: 0.1 * math.exp(-t)}),
]


@pytest.mark.parametrize(
    ("rule", "readings"), TRAPS, ids=lambda v: getattr(v, "name", "") if not isinstance(v, dict) else ""
)
def test_known_traps_are_passed(rule, readings):
    assert severity(rule, history(**readings)) == "silent"


@pytest.mark.parametrize("rule", BUILT_IN, ids=lambda rule: rule.name)
def test_a_log_without_readings_gives_no_verdict(rule):
    of = History(Context(1000, 10))
    for nimg in (100, 200, 300):
        of.add(nimg, {"speed": 1.0})
    assert rule().look(of) is None


@pytest.mark.parametrize(
    "rule", [r for r in BUILT_IN if r not in (Converged, NonFinite, Divergence)], ids=lambda r: r.name
)
def test_a_tick_between_two_looks_is_no_look(rule):
    of = history(train_auc=0.5)
    of.add(of.nimg + 10, {"D.discriminator/loss": 1.0})
    assert rule().look(of) is None


def test_an_average_that_lags_behind_is_a_warning_at_most():
    found = sign(Collapse, history(diversity=0.1, diversity_raw=0.95, distance=1.0))
    assert (found.level, found.against) == ("warn", ("diversity_raw",))


def test_what_disagrees_is_named():
    assert sign(Memorisation, history(copies=0.0, nearest_ratio=0.7)).against == ("copies",)
    assert sign(DiscriminatorOverfitting, history(train_auc=0.9)).against == ("distance",)
    assert sign(DroppedModes, history(modes_missing=1.0, modes_kl=0.2)).against == ("coverage",)


def test_the_divergence_of_clusters_as_a_share():
    assert lost_share(math.log(2)) == "50%"  # half of equally likely modes
    assert lost_share(math.log(8 / 5)) == "38%"
    assert lost_share(-0.01) == "0.0%"


# ---------------------------------------------------------------------- what rules ask


def test_warm_up_is_a_thousand_steps_within_bounds():
    def early(total: int, nimg: int, batch: int = 64) -> bool:
        of = History(Context(total, batch))
        for index in range(5):
            of.add(nimg - 4 + index, {"probe/diversity": 1.0})
        return not settled(of)

    assert early(10_000_000, 499_999)  # 5% of a long run
    assert not early(10_000_000, 500_000)
    assert early(1_000_000, 63_999)  # 1,000 steps of 64
    assert not early(1_000_000, 64_000)
    assert early(60_000, 17_999)  # three tenths of a short one
    assert not early(60_000, 18_000)


def test_gains_are_counted_from_the_last_new_best():
    of = History(Context(10_000, 10))
    for index, distance in enumerate([1.0, 0.5, 0.6, 0.4999, 0.7]):  # 0.4999 is no gain of a hundredth
        of.add(1000 * (index + 1), {"probe/distance": distance})
    assert looks_without_gain(of) == 3
    assert stuck(of, looks=3, share=0.2)
    assert not stuck(of, looks=4)
    assert not stuck(of, looks=3, share=0.3)
    assert not falling_fast(of)
    of.add(6000, {"probe/distance": 0.44})
    assert falling_fast(of)
    assert looks_without_gain(of) == 0


# ---------------------------------------------------------------------- remedies and plug-ins


def settings_there_are() -> set[str]:
    known = {
        f"--{group}.{name}"
        for group, cls in (("data", Data), ("train", Train), ("optim", Optim), ("eval", Eval))
        for name, *_ in describe(cls)
    }
    for name, family in families().items():
        if family.kind != "plug-in":
            known |= {f"--game.{setting}" for setting, *_ in describe(load_family(name).config_class)}
    return {name.replace("_", "-") for name in known}


def test_remedies_name_settings_that_there_are():
    known = settings_there_are()
    for rule in BUILT_IN:
        named = re.findall(r"--[a-z]+\.[\w.-]*\w", rule.remedy)
        assert named, rule.name
        for setting in named:
            assert re.sub(r"^--optim\.[GD]\.", "--optim.", setting) in known, f"{rule.name}: {setting}"


def test_every_rule_has_its_own_name_and_is_on_the_page():
    page = (Path(__file__).parent.parent / "docs" / "referee.md").read_text(encoding="utf-8")
    assert len({rule.name for rule in BUILT_IN}) == len(BUILT_IN)
    for rule in BUILT_IN:
        assert f"`{rule.name}`" in page


class Grumpy(Rule):
    name, title, remedy = "grumpy", "Grumpiness", "Smile."

    def look(self, history: History) -> Sign | None:
        raise RuntimeError("no")


class Second(Grumpy):
    name = "collapse"


@pytest.fixture
def plug_ins(monkeypatch):
    def entry(name: str, target: str) -> importlib.metadata.EntryPoint:
        return importlib.metadata.EntryPoint(name, f"{__name__}:{target}", "sparring.rules")

    found = [entry("grumpy", "Grumpy"), entry("gone", "Nowhere"), entry("odd", "LOOKS"), entry("collapse", "Second")]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: found if group == "sparring.rules" else [])


def test_rules_of_other_packages_are_used_and_broken_ones_named(plug_ins):
    rules, broken = find_rules()
    assert [rule.name for rule in rules] == [rule.name for rule in BUILT_IN] + ["grumpy"]
    assert [re.search(r"'(\w+)'", line)[1] for line in broken] == ["gone", "odd", "collapse"]
    assert "AttributeError" in broken[0]


def test_a_rule_that_fails_is_named_and_left_out(plug_ins):
    of = history()
    referee = Referee(of.context)
    for tick in of.ticks:
        referee.see(*tick)
    assert sum("grumpy" in line for line in referee.broken) == 1
    assert "RuntimeError: no" in referee.broken[-1]
    assert [finding.name for finding in referee.findings] == ["converged"]
