"""What probes read, against answers worked by hand and sets made to measure."""

import math

import pytest
import torch
from torch import nn

import toys
from sparring.core.batch import Batch, Outcome
from sparring.core.game import Turn
from sparring.core.look import Look
from sparring.core.observer import Probe
from sparring.core.readings import READINGS
from sparring.core.seeds import PositionNoise, SeedNoise
from sparring.diagnostics import probes, statistics
from sparring.diagnostics.gradients import FakeGradient
from sparring.diagnostics.judges import Judges
from sparring.diagnostics.logits import Logits, Pace
from sparring.diagnostics.samples import LOOKS, Samples
from sparring.diagnostics.space import Clusters, Space, diversity_ratio, shrink
from sparring.diagnostics.weights import Weights

CPU = torch.device("cpu")


# ---------------------------------------------------------------------- arithmetic


def test_auc_by_hand():
    # pairs won: 2 of 3 by 3.0, and one tie
    assert float(statistics.auc(torch.tensor([3.0, 1.0]), torch.tensor([2.0, 1.0]))) == pytest.approx(2.5 / 4)
    scores = torch.randn(50, generator=torch.Generator().manual_seed(0))
    assert float(statistics.auc(scores, scores)) == pytest.approx(0.5)
    assert float(statistics.auc(scores + 100, scores)) == 1.0
    assert float(statistics.auc(7 * scores - 3, 7 * scores[:9] - 3)) == pytest.approx(
        float(statistics.auc(scores, scores[:9]))
    )


def test_duplicates_by_hand():
    rows = torch.tensor([[0.0, 0.0], [0.0, 0.1], [5.0, 0.0], [9.0, 0.0]])
    assert statistics.duplicates(rows, 0.5) == 0.5
    assert statistics.duplicates(rows, 0.05) == 0.0


def test_coverage_of_the_same_distribution_is_what_is_expected():
    draw = torch.Generator().manual_seed(0)
    reals, fakes = torch.randn(1000, 4, generator=draw), torch.randn(500, 4, generator=draw)
    radii = statistics.others(reals).topk(5, largest=False).values[:, -1]
    covered = statistics.covered(torch.cdist(fakes, reals), radii).float().mean()
    assert float(covered) == pytest.approx(statistics.expected_coverage(500, 1000), abs=0.03)
    assert statistics.expected_coverage(10**6, 10**6) == pytest.approx(1 - 2**-5, abs=1e-4)


def test_the_least_covered_cluster_counts_only_where_it_is_large_enough():
    own = torch.tensor([True] * 30 + [False] * 10 + [True, False] * 10)
    of = torch.tensor([0] * 30 + [1] * 10 + [2] * 20)
    assert statistics.cluster_shares(own, of, 3) == pytest.approx(0.5)
    assert math.isnan(statistics.cluster_shares(own[30:40], of[30:40], 3))


def test_divergence_of_five_of_eight_modes_is_the_logarithm_of_their_share():
    reals, fakes = torch.full((8,), 10**6), torch.tensor([10**6] * 5 + [0] * 3)
    assert statistics.excess_divergence(fakes, reals) == pytest.approx(math.log(8 / 5), abs=1e-5)


def test_divergence_by_chance_is_taken_off():
    draw = torch.Generator().manual_seed(0)
    even = torch.ones(20)
    found = [
        statistics.excess_divergence(
            *(torch.bincount(torch.multinomial(even, n, True, generator=draw), minlength=20) for n in (256, 2000))
        )
        for _ in range(200)
    ]
    assert sum(found) / 200 == pytest.approx(0, abs=0.003)  # about 0.042 by chance


def test_missing_clusters_by_hand():
    reals = torch.tensor([400, 400, 400, 400, 400])
    assert statistics.missing(torch.tensor([0, 70, 70, 60, 56]), reals).tolist() == [True] + [False] * 4
    assert statistics.missing(torch.tensor([9, 70, 70, 60, 47]), reals).tolist() == [True] + [False] * 4
    assert statistics.missing(torch.tensor([11, 70, 70, 60, 45]), reals).tolist() == [False] * 5  # above a fifth of 51
    # 20 are expected from a cluster before it can be missed
    assert statistics.missing(torch.tensor([0, 100, 100]), torch.tensor([90, 455, 455])).tolist() == [False] * 3


def test_frechet_distance_of_the_data_is_nought_and_of_its_mean_one():
    draw = torch.Generator().manual_seed(0)
    reals = torch.randn(500, 3, generator=draw) * torch.tensor([1.0, 2.0, 3.0])
    assert statistics.frechet_distance(reals, reals) == pytest.approx(0, abs=1e-9)
    assert statistics.frechet_distance(reals.mean(0).expand(50, 3), reals) == pytest.approx(1)
    # a shift by its own variance's root adds the square of it
    spread = float(torch.cov(reals.T).trace())
    shifted = reals + torch.tensor([spread**0.5, 0.0, 0.0])
    assert statistics.frechet_distance(shifted, reals) == pytest.approx(1, abs=1e-5)


def test_copies_and_votes_by_hand():
    train = torch.tensor([[0.0], [1.0], [3.0]])
    own = statistics.others(train).amin(1)
    assert own.tolist() == [1.0, 1.0, 2.0]
    samples = torch.tensor([[0.1], [-1.5], [4.0], [6.0]])
    assert statistics.copies(torch.cdist(samples, train), own) == 0.5
    assert statistics.votes(torch.cdist(samples, train), torch.tensor([4, 4, 7]), 1).tolist() == [4, 4, 7, 7]


def test_travel_is_one_straight_ahead_and_nought_in_a_circle():
    straight = torch.arange(8.0).reshape(8, 1, 1).expand(8, 5, 2)
    assert statistics.travel(straight) == pytest.approx(1)
    angle = torch.linspace(0, 2 * math.pi, 9)
    circle = torch.stack([angle.cos(), angle.sin()], 1)[:, None].expand(9, 5, 2)
    assert statistics.travel(circle) == pytest.approx(0, abs=1e-6)
    assert math.isnan(statistics.travel(straight[:1].expand(4, 5, 2)))


def test_effective_rank_counts_equal_values():
    assert statistics.effective_rank(torch.tensor([2.0, 2.0, 2.0, 0.0])) == pytest.approx(3)
    assert statistics.effective_rank(torch.tensor([5.0, 0.0])) == pytest.approx(1)


def test_colour_drift_by_hand():
    reals = torch.zeros(2, 3, 4, 4)
    reals[0], reals[1] = -0.1, 0.1  # deviation of the means: 0.1 sqrt 2
    assert statistics.colour_drift(reals, reals) == pytest.approx(0)
    tinted = reals.clone()
    tinted[:, 1] += 0.2 * 2**0.5
    assert statistics.colour_drift(tinted, reals) == pytest.approx(2)


# ---------------------------------------------------------------------- space and clusters


def test_large_pictures_are_pooled():
    fine = torch.randn(8, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(shrink(fine), nn.functional.adaptive_avg_pool2d(fine, 16))
    assert torch.equal(shrink(fine[:, :, :8]), nn.functional.adaptive_avg_pool2d(fine[:, :, :8], (8, 16)))
    assert diversity_ratio(fine, fine[:4]) == pytest.approx(1, abs=0.1)


def grid(per_mode, seed, modes=25, sigma=0.02):
    draw = torch.Generator().manual_seed(seed)
    axis = torch.linspace(-0.8, 0.8, 5)
    centres = torch.cartesian_prod(axis, axis)[:modes]
    return (centres[:, None] + sigma * torch.randn(modes, per_mode, 2, generator=draw)).reshape(-1, 2)


def test_every_mode_of_a_grid_is_a_cluster_of_its_own():
    clusters = Clusters.of(grid(80, 0), samples=1000)
    assert sorted(clusters.counts.tolist()) == [80] * 25


def test_few_modes_are_not_cut_to_pieces():
    clusters = Clusters.of(grid(100, 0, modes=7), samples=1000)
    assert clusters.counts.tolist() == [100] * 7
    narrow = clusters.count(grid(100, 1, modes=7, sigma=0.001))  # modes shrunk to their centres: none is left out
    assert narrow.tolist() == [100] * 7


def test_data_without_parts_is_cut_to_as_many_cells_as_a_look_can_judge():
    draw = torch.Generator().manual_seed(0)
    assert len(Clusters.of(torch.randn(2000, 2, generator=draw), samples=1000)) == 25


def test_data_of_one_picture_has_one_cluster():
    assert len(Clusters.of(torch.zeros(50, 3), samples=256)) == 1


# ---------------------------------------------------------------------- looks


class Bare(nn.Module):
    """As much of a game as a look at samples needs."""


def look_at(samples, reals, live=None, held_out=None, space=None, **more):
    space = space or Space.of(shrink(reals))
    view = space.view(samples, more.pop("labels", None))
    return Look(
        nimg=more.pop("nimg", 0),
        game=more.pop("game", Bare()),
        samples=samples,
        averaged=view,
        live=view if live is None else space.view(live),
        reals=space.view(reals, more.pop("real_labels", None)),
        held_out=None if held_out is None else space.view(held_out),
        seen=more.pop("seen", ()),
        unseen=more.pop("unseen", ()),
    )


def read(look, probe=None):
    probe = probe or Samples()
    probe.look(look)
    found = probe.report()
    assert {name.removeprefix("probe/") for name in found} <= READINGS.keys()
    assert probe.report() == {}
    return {name.removeprefix("probe/"): value for name, value in found.items()}


def test_the_data_itself_reads_as_perfect():
    found = read(look_at(grid(40, 1), grid(80, 0), held_out=grid(20, 2)))
    assert found["diversity"] == pytest.approx(1, abs=0.05)
    assert found["coverage"] == pytest.approx(1, abs=0.05)
    assert found["coverage_worst"] > 0.7
    assert found["duplicates"] < 0.03
    assert found["modes_missing"] == 0
    assert found["modes_kl"] == pytest.approx(0, abs=0.02)
    assert found["distance"] < 0.005
    assert found["copies"] < 0.2
    assert found["nearest_ratio"] == pytest.approx(1, abs=0.2)
    assert "colour_drift" not in found


def test_missing_modes_are_counted():
    found = read(look_at(grid(50, 1, modes=20), grid(80, 0)))
    assert found["modes_missing"] == 5
    assert found["modes_kl"] == pytest.approx(math.log(25 / 20), abs=0.03)
    per_mode, in_all = statistics.expected_coverage(50, 80), statistics.expected_coverage(1000, 2000)
    assert found["coverage"] == pytest.approx(0.8 * per_mode / in_all, abs=0.03)
    assert found["coverage_worst"] == 0


def test_copies_are_seen():
    reals = torch.randn(400, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    found = read(look_at(reals[:256] + 1e-3, reals))
    assert found["copies"] > 0.95
    assert found["duplicates"] < 0.05


def test_a_collapse_is_seen():
    reals = torch.randn(400, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    found = read(look_at(reals[:1].repeat(256, 1, 1, 1), reals))
    assert found["diversity"] == 0
    assert found["duplicates"] == 1
    assert found["distance"] > 0.5
    assert found["colour_drift"] > 0


def test_samples_of_the_wrong_class_are_seen():
    reals, labels = grid(80, 0, modes=5), torch.arange(5).repeat_interleave(80)
    samples, asked = grid(40, 1, modes=5), torch.arange(5).repeat_interleave(40)
    assert read(look_at(samples, reals, real_labels=labels, labels=asked))["class_hit"] == pytest.approx(1)
    assert read(look_at(samples, reals, real_labels=labels, labels=asked.roll(40)))["class_hit"] == 0


def test_ways_are_followed_and_survive_a_resume():
    reals = grid(80, 0)
    space = Space.of(reals)
    probe = Samples()
    for step in range(LOOKS):
        found = read(look_at(grid(10, 1), reals, live=grid(10, 1) + 0.1 * step, space=space), probe)
        assert ("travel" in found) == (step == LOOKS - 1)
        again = Samples()
        again.load(probe.state())
        probe = again
    assert found["travel"] == pytest.approx(1)
    assert found["step_size"] == pytest.approx(0.1 * 2**0.5 / statistics.mean_pairwise_distance(grid(10, 1)[:64]))


def test_what_is_not_finite_is_not_read():
    reals = grid(80, 0)
    assert read(look_at(reals * math.nan, reals)) == {}


# ---------------------------------------------------------------------- logits and gradients


class Judged(nn.Module):
    """A game with two judges that score by patches, undecided at 0.5."""

    def judges(self):
        return ("D",)

    def boundary(self, judge):
        return 0.5


def test_the_logits_of_one_sample_have_no_spread():
    probe = Logits(Judged(), Pace(shown=1, every=1))
    one = torch.full((1, 1, 3, 3), 2.0)
    outcome = Outcome(torch.zeros(()), real_logits=one, fake_logits=-one)
    probe.see(Turn("D", toys.Informed.generator), Batch(one, None, 0, SeedNoise([], CPU)), outcome)
    assert probe.report() == {"probe/auc": 1.0, "probe/real_sign": 1.0, "probe/logit_size": 2.0}


def test_logits_by_hand():
    probe = Logits(Judged(), Pace(shown=2, every=2))
    real, fake = torch.tensor([[[2.0, 4.0]], [[0.0, 0.0]]]), torch.tensor([[[1.0, 1.0]], [[-1.0, -1.0]]])
    for nimg, movers in ((0, "D"), (2, "D"), (4, "G")):  # the second is not due, the third no judge's
        outcome = Outcome(torch.zeros(()), real_logits=-real if nimg else real, fake_logits=fake)
        probe.see(Turn(movers, toys.Informed.generator), Batch(real, None, nimg, SeedNoise([], CPU)), outcome)
    found = probe.report()
    assert found == pytest.approx(
        {
            "probe/auc": 3 / 4,  # 3 > 1, 3 > -1, 0 > -1
            "probe/real_sign": 0.0,
            "probe/logit_gap": 1.5 / ((4.5 + 2) / 2) ** 0.5,
            "probe/logit_size": 3.0,
        }
    )
    assert probe.report() == {}


def test_every_tick_has_a_step_that_is_read():
    game = toys.Criticised(*toys.Criticised.tiny())
    pace = Pace.of(game, 10, tick_nimg=100)  # steps of 30: three a tick
    assert (pace.shown, pace.every) == (30, 3)
    assert [nimg for nimg in range(0, 300, 30) if pace.due(nimg)] == [0, 90, 180, 270]
    assert Pace.of(game, 10, tick_nimg=5).every == 1


def test_the_gradient_at_fakes_does_not_depend_on_the_batch():
    probe = FakeGradient(Judged(), Pace(1), microbatches=2)
    fake = torch.ones(4, 3, requires_grad=True) * 1.0
    fake.retain_grad()
    slopes = torch.tensor([1.0, 2.0, 3.0, 2.0])
    (((fake * slopes[:, None]).sum(1)).mean() / 2).backward()  # one of two microbatches
    probe.see(
        Turn("G", lambda batch: None), Batch(fake, None, 0, SeedNoise([], CPU)), Outcome(torch.zeros(()), fake=fake)
    )
    assert probe.report()["probe/fake_gradient"] == pytest.approx(2 * 3**0.5)


# ---------------------------------------------------------------------- judges and weights


class Ruler(toys.Informed):
    """D is a fixed linear function, whose slope is known."""

    def __init__(self):
        super().__init__(toys.SPEC, None)
        self.D = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
        with torch.no_grad():
            self.D[1].weight.fill_(0.5)


def batch_of(real, seed=0):
    return Batch(real, None, 0, PositionNoise(len(real), seed, CPU))


def test_the_slope_and_the_memory_of_a_judge():
    game = Ruler()
    dark, bright = torch.full((8, 1, 8, 8), -0.5), torch.full((8, 1, 8, 8), 0.5)
    reals = torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    before = {name: value.clone() for name, value in game.state_dict().items()}
    found = read(look_at(reals, reals, game=game, seen=(batch_of(bright),), unseen=(batch_of(dark),)), Judges())
    assert found == pytest.approx({"slope": 4.0, "train_auc": 1.0})  # |0.5 x 64 ones| = 0.5 x 8
    assert read(look_at(reals, reals, game=game, seen=(batch_of(bright),)), Judges()) == pytest.approx({"slope": 4.0})
    assert all(parameter.grad is None for parameter in game.parameters())
    assert all(torch.equal(before[name], value) for name, value in game.state_dict().items())


def test_growth_rank_and_way_of_the_weights():
    game, reals = Ruler(), torch.zeros(30, 1, 8, 8)
    with torch.no_grad():
        game.G[1].weight.copy_(torch.eye(16, 4))
        game.D = nn.Sequential(nn.Flatten(), nn.Linear(64, 8, bias=False))
        game.D[1].weight.copy_(torch.eye(8, 64))
    probe = Weights()
    first = read(look_at(reals, reals, game=game), probe)
    assert first == pytest.approx({"spectral_growth": 1.0, "effective_rank": 1.0})
    with torch.no_grad():
        game.D[1].weight.copy_(torch.eye(8, 64) * (torch.arange(8) < 2)[:, None] * 3)
    again = Weights()
    again.load(probe.state())
    found = read(look_at(reals, reals, game=game), again)
    assert found["effective_rank"] == pytest.approx(2 / 8)
    assert found["spectral_growth"] == pytest.approx(3.0, rel=0.01)
    assert found["update"] == 0
    # six rows lost 1, two gained 2: sqrt(6 + 8) over sqrt(18)
    assert found["update_judge"] == pytest.approx((14 / 18) ** 0.5)


def test_spectral_norm_is_looked_at_without_moving_it():
    game, reals = toys.Lazy(*toys.Lazy.tiny()), torch.zeros(30, 1, 8, 8)
    before = {name: value.clone() for name, value in game.state_dict().items()}
    found = read(look_at(reals, reals, game=game), Weights())
    assert found["effective_rank"] == 1
    assert all(torch.equal(before[name], value) for name, value in game.state_dict().items())


# ---------------------------------------------------------------------- other packages' probes


class Third(Probe):
    """Counts."""

    def __init__(self):
        self.seen = 0

    def see(self, turn, batch, outcome):
        self.seen += 1

    def report(self):
        return {"probe/third": float(self.seen)}


class Failing(Third):
    def look(self, look):
        raise ArithmeticError("no luck")


class Entry:
    def __init__(self, name, made):
        self.name, self.value, self.made = name, f"package:{name}", made

    def load(self):
        return self.made


def test_probes_of_other_packages_are_found_or_named(monkeypatch):
    entries = [Entry("third", Third), Entry("samples", Third), Entry("other", lambda: 3)]
    monkeypatch.setattr(probes.importlib.metadata, "entry_points", lambda group: entries)
    found, broken = probes.find_probes(toys.Informed(*toys.Informed.tiny()), Pace(8))
    assert list(found) == ["logits", "gradients", "samples", "judges", "weights", "third"]
    assert "another probe is called 'samples'" in broken[0]
    assert "'other'" in broken[1]
    assert "it is no sparring.core.observer.Probe" in broken[1]


@pytest.mark.parametrize("made", [Third, Failing])
def test_a_run_logs_them_and_outlives_their_failures(monkeypatch, sparring, tmp_path, made):
    from conftest import TINY, told
    from sparring.core.folder import RunFolder

    monkeypatch.setattr("sparring.tools.refereeing.STEPS", 0)
    entries = {"sparring.probes": [Entry("third", made)]}
    monkeypatch.setattr(probes.importlib.metadata, "entry_points", lambda group: entries.get(group, []))
    assert sparring(*TINY, "--run", tmp_path / "run").code == 0
    lines = [line["terms"] for line in RunFolder(tmp_path / "run").read_log()]
    assert ["probe/third" in terms for terms in lines] == [made is Third] * len(lines)
    assert all("probe/diversity" in terms for terms in lines)
    trouble = told(tmp_path / "run", "referee")
    assert trouble == ([] if made is Third else ["the probe 'third' is left out: ArithmeticError: no luck"])
