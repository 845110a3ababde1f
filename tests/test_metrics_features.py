"""Feature-space metrics other than Fréchet's against closed forms and hand-worked answers."""

import math

import pytest
import torch

from sparring.metrics import rows
from sparring.metrics.bins import Bins, jensen_shannon
from sparring.metrics.inception_score import inception_score
from sparring.metrics.kid import kernel_distance, kid
from sparring.metrics.manifold import expected_coverage, manifold
from sparring.metrics.mind import mind
from sparring.metrics.mmd import cmmd, gaussian_mmd
from sparring.metrics.vendi import vendi


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


# ---------------------------------------------------------------------- distances


def test_distances_in_blocks_are_those_of_differences(monkeypatch):
    x, y = normal(37, 5) + 1e5, normal(23, 5, seed=1) + 1e5
    whole = torch.cat([squares for _, squares in rows.squared_distances(x, y)])
    assert torch.allclose(whole, (x[:, None] - y).square().sum(2), rtol=1e-9)
    monkeypatch.setattr(rows, "BLOCK", 50)  # two rows at a time
    parts = list(rows.squared_distances(x, y))
    assert len(parts) == 19
    assert torch.allclose(torch.cat([squares for _, squares in parts]), whole, rtol=1e-9)


def test_copies_are_at_exactly_no_distance_and_no_row_is_its_own_neighbour():
    x = normal(20, 7) * 1e3
    squares, indices = rows.neighbours(torch.cat([x, x]), x)
    assert squares.max() == 0
    assert indices[:, 0].tolist() == [*range(20), *range(20)]
    squares, indices = rows.neighbours(column(0, 1, 5), column(0, 1, 5), 2, itself=True)
    assert squares.tolist() == [[1, 25], [1, 16], [16, 25]]
    assert indices.tolist() == [[1, 2], [0, 2], [1, 0]]


@pytest.mark.parametrize("metric", [kernel_distance, manifold, mind, cmmd])
def test_bad_features_are_refused(metric):
    good = normal(12, 3)
    with pytest.raises(ValueError, match="widths of features differ: fakes 4, reals 3"):
        metric(normal(12, 4), good)
    with pytest.raises(ValueError, match=r"shape \(n, d\)"):
        metric(normal(12, 3, 1), good)
    with pytest.raises(ValueError, match="reals hold NaN or infinity in 1 of 12 rows"):
        metric(good, good.index_fill(0, torch.tensor(4), math.nan))
    with pytest.raises(ValueError, match="at least"):
        metric(good[:0], good)


# ---------------------------------------------------------------------- KID


def test_kernel_distance_by_hand():
    # d = 1, k = (xy + 1)^3: within fakes {0, 1}: 1; within reals {1, -1}: 0; between: (1 + 1 + 8 + 0) / 4
    assert kernel_distance(column(0, 1), column(1, -1)) == pytest.approx(1 + 0 - 2 * 10 / 4)


def closed_form(d, square):
    """MMD^2 of N(0, I_d) and N(m, I_d), |m|^2 = square, under (x.y / d + 1)^3."""
    third = (square**3 + 3 * square * (d + 2 * square) + 6 * square) / d**3
    second = 3 * (d + 2 * square + square**2) / d**2
    return (1 + 3 / d) + 1 + 3 * square / d + second + third - 2 - 6 * (d + square) / d**2


def test_kernel_distance_of_shifted_gaussians():
    assert closed_form(64, 16) == pytest.approx(0.971069, abs=1e-6)
    measured = [kernel_distance(normal(2000, 64, seed=s) + 0.5, normal(2000, 64, seed=100 + s)) for s in range(5)]
    assert sum(measured) / 5 == pytest.approx(closed_form(64, 16), rel=0.02)


def test_kernel_distance_is_unbiased_and_so_goes_below_0():
    scores = torch.tensor(
        [kernel_distance(normal(60, 8, seed=2 * s), normal(45, 8, seed=2 * s + 1)) for s in range(400)]
    )
    assert abs(scores.mean()) < 3 * scores.std() / 20
    assert 0.3 < (scores < 0).float().mean() < 0.8


def test_kid_is_the_mean_over_seeded_subsets():
    fakes, reals = normal(300, 6) + 0.3, normal(200, 6, seed=1)
    found = kid(fakes, reals, subsets=50, size=100)
    assert found.value == pytest.approx(kernel_distance(fakes, reals), abs=4 * found.deviation / math.sqrt(50))
    assert found == kid(fakes, reals, subsets=50, size=100)
    assert found != kid(fakes, reals, subsets=50, size=100, seed=1)
    everything = kid(fakes[:200], reals, subsets=3, size=200)  # without replacement: always the same rows
    assert everything.value == pytest.approx(kernel_distance(fakes[:200], reals))
    assert everything.deviation == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="1000 rows cannot be drawn of 300 fakes and 200 reals"):
        kid(fakes, reals)


# ---------------------------------------------------------------------- Inception Score


def test_one_class_scores_1_and_k_sure_classes_score_k():
    sure = 1e4 * torch.eye(12).repeat(10, 1)
    assert inception_score(sure, splits=10, seed=None).value == pytest.approx(12)
    assert inception_score(sure, splits=1).value == pytest.approx(12)
    assert inception_score(sure[:1].repeat(50, 1)).value == pytest.approx(1)
    assert inception_score(torch.zeros(50, 12)).value == pytest.approx(1)


def test_inception_score_by_hand():
    # p = (3/4, 1/4) and (1/4, 3/4): marginal 1/2 each, KL = 3/4 ln 3/2 + 1/4 ln 1/2
    logits = torch.tensor([[math.log(3), 0.0], [0.0, math.log(3)]], dtype=torch.float64)
    expected = math.exp(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert inception_score(logits, splits=1).value == pytest.approx(expected)


def test_splits_of_samples_sorted_by_class_need_an_order_at_random():
    by_class = 1e4 * torch.eye(10).repeat_interleave(100, 0)
    assert inception_score(by_class, seed=None).value == pytest.approx(1)
    shuffled = inception_score(by_class)
    assert shuffled.value > 9
    assert 0 < shuffled.deviation < 0.5
    with pytest.raises(ValueError, match="at least 10 rows"):
        inception_score(by_class[:9])


# ---------------------------------------------------------------------- precision, recall, density, coverage


def test_manifold_by_hand():
    # k = 1. Radii of reals 0, 1, 10: 1, 1, 9. Of fakes 0.5, 2.5, 30: 2, 2, 27.5
    found = manifold(column(0.5, 2.5, 30), column(0, 1, 10), k=1)
    assert found.precision == pytest.approx(2 / 3)  # 0.5 in two balls, 2.5 in 10's, 30 in none
    assert found.density == pytest.approx(3 / 3)
    assert found.coverage == 1.0
    assert found.recall == 1.0  # 10 lies 20 from 30


def test_a_row_on_the_rim_is_inside_only_of_closed_balls():
    fakes, reals = column(2, 100), column(0, 1)  # 2 lies at exactly the radius, 1, of the real at 1
    assert manifold(fakes, reals, k=1).precision == 0
    assert manifold(fakes, reals, k=1).coverage == 0
    assert manifold(fakes, reals, k=1, closed=True).precision == 0.5
    assert manifold(fakes, reals, k=1, closed=True).coverage == 0.5


def test_which_is_precision_and_which_is_recall():
    wide, tight = normal(1000, 2), 0.05 * normal(1000, 2, seed=1)
    found = manifold(tight, wide, k=3)
    assert found.precision > 0.8
    assert found.recall < 0.3
    swapped = manifold(wide, tight, k=3)
    assert (swapped.precision, swapped.recall) == (found.recall, found.precision)


def test_equal_distributions_have_the_density_and_coverage_of_theory():
    found = [manifold(normal(800, 16, seed=s), normal(500, 16, seed=50 + s)) for s in range(4)]
    assert sum(f.density for f in found) / 4 == pytest.approx(1, abs=0.08)
    assert sum(f.coverage for f in found) / 4 == pytest.approx(expected_coverage(800, 500), abs=0.01)
    assert expected_coverage(10**7, 10**7) == pytest.approx(1 - 2**-5, abs=1e-6)
    assert expected_coverage(1, 2, k=1) == pytest.approx(1 / 2)  # of two others the nearest is the fake


def test_manifold_in_blocks_is_the_same(monkeypatch):
    fakes, reals = normal(70, 3), normal(60, 3, seed=1) * 1.5
    whole = manifold(fakes, reals)
    monkeypatch.setattr(rows, "BLOCK", 200)
    assert manifold(fakes, reals) == whole
    with pytest.raises(ValueError, match="at least 6 rows"):
        manifold(fakes[:5], reals)


# ---------------------------------------------------------------------- Vendi, MMD, MIND


@pytest.mark.parametrize("dim", [10, 200])  # through X^T X, and through X X^T
def test_vendi_counts_orthogonal_groups(dim):
    groups = torch.eye(10, dim).repeat_interleave(12, 0) * torch.rand(120, 1).add(0.1)
    assert vendi(groups) == pytest.approx(10)
    assert vendi(groups[:12]) == pytest.approx(1)


def test_vendi_of_unequal_groups_is_the_exponential_of_their_entropy():
    groups = torch.eye(2, 5).repeat_interleave(torch.tensor([30, 10]), 0)
    assert vendi(groups) == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
    with pytest.raises(ValueError, match="1 rows are zero"):
        vendi(torch.cat([groups, torch.zeros(1, 5)]))


def test_vendi_saturates_at_the_width_of_the_features():
    assert vendi(normal(200, 64)) == pytest.approx(54.7, abs=1.5)


def test_gaussian_mmd_by_hand():
    # k = exp(-d^2 / 2): one fake at 0, reals at 0 and 1
    e = math.exp(-0.5)
    assert gaussian_mmd(column(0), column(0, 1), sigma=1) == pytest.approx(1 + (2 + 2 * e) / 4 - 2 * (1 + e) / 2)
    assert gaussian_mmd(column(0, 3), column(3, 0), sigma=2) == pytest.approx(0, abs=1e-12)


def test_gaussian_mmd_of_shifted_gaussians():
    # E k = (v / (v + 2))^(d/2) exp(-|shift|^2 / (2 (v + 2))), v = sigma^2 = 100, unit variances
    d, spread = 16, 102.0
    expected = 2 * (100 / spread) ** (d / 2) * (1 - math.exp(-d / (2 * spread)))
    assert 1000 * expected == pytest.approx(128.765, abs=1e-3)
    measured = gaussian_mmd(normal(3000, d) + 1, normal(3000, d, seed=1), sigma=10)
    assert measured == pytest.approx(expected, rel=0.05)


def test_cmmd_of_two_directions_by_hand_and_its_blindness():
    # unit vectors at right angles are sqrt 2 apart: 1000 * (2 - 2 exp(-2 / 200))
    fakes, reals = 5 * torch.eye(2)[:1].repeat(3, 1), 0.1 * torch.eye(2)[1:].repeat(4, 1)
    assert cmmd(fakes, reals) == pytest.approx(2000 * (1 - math.exp(-0.01)))
    around = normal(2000, 64) + 3
    unit = around / around.norm(dim=1, keepdim=True)
    at_the_mean = unit.mean(0, keepdim=True).repeat(2000, 1)
    assert cmmd(at_the_mean, around) < 0.1
    with pytest.raises(ValueError, match="no direction"):
        cmmd(torch.zeros(2, 2), reals)


def test_mind_of_a_shift():
    x = normal(500, 32)
    assert mind(x + 0.5, x) == pytest.approx(3 * 32 * 0.25, rel=0.1)
    assert mind(x[torch.randperm(500)], x) == pytest.approx(0, abs=1e-20)
    # in one dimension every direction is +-1: sorted differences of {0, 3} and {1, 1} are 1 and 2
    assert mind(column(3, 0), column(1, 1)) == pytest.approx(3 * (1 + 4) / 2)
    assert 0 < mind(normal(300, 32, seed=3), x) < 10
    assert mind(x[:200], x) == mind(x[:200], x) != mind(x[:200], x, seed=1)


# ---------------------------------------------------------------------- bins


def test_jensen_shannon_by_hand():
    half, first = torch.tensor([0.5, 0.5]).double(), torch.tensor([1.0, 0.0]).double()
    assert jensen_shannon(first, 1 - first) == pytest.approx(math.log(2))
    # m = (3/4, 1/4): 1/2 [ln 4/3] + 1/2 [1/2 ln 2/3 + 1/2 ln 2]
    assert jensen_shannon(first, half) == pytest.approx(math.log(4 / 3) / 2 + (math.log(2 / 3) + math.log(2)) / 4)


def test_bins_find_the_mode_that_was_dropped():
    corners = torch.tensor([[0.0, 0], [0, 9], [9, 0], [9, 9]]).double()
    at = torch.arange(4000) % 4
    bins = Bins.of(corners[at] + 0.3 * normal(4000, 2), bins=4)
    fine = bins.check(corners[at] + 0.3 * normal(4000, 2, seed=1))
    assert (fine.ndb, fine.js) == (0, 0)
    kept = at != 2
    dropped = bins.check((corners[at] + 0.3 * normal(4000, 2, seed=1))[kept])
    gone = bins.assign(corners[2:3])
    assert dropped.ndb == 1.0
    assert dropped.shares[gone] == 0
    # two proportions, 1000 of 4000 and 0 of 3000
    both = 1000 / 7000
    assert dropped.z[gone].item() == pytest.approx(-0.25 / math.sqrt(both * (1 - both) * (1 / 4000 + 1 / 3000)))
    assert (dropped.z > 0).sum() == 3
    # p = (1/4, 1/4, 1/4, 1/4), q = (1/3, 1/3, 1/3, 0)
    p, q = torch.full((4,), 0.25).double(), torch.tensor([1 / 3, 1 / 3, 1 / 3, 0]).double()
    assert dropped.js == pytest.approx(jensen_shannon(p, q))


def test_bins_reject_equal_distributions_at_their_level():
    found = [Bins.of(normal(4000, 4, seed=s), bins=50, seed=s).check(normal(2000, 4, seed=99 + s)) for s in range(4)]
    assert sum(check.ndb for check in found) / 4 == pytest.approx(0.05, abs=0.04)
    assert all(float(check.shares.sum()) == pytest.approx(1) for check in found)


def test_bins_are_seeded_sorted_and_refuse():
    reals = normal(300, 3)
    bins = Bins.of(reals, bins=5)
    assert torch.equal(bins.centres, Bins.of(reals, bins=5).centres)
    assert bins.counts.tolist() == sorted(bins.counts.tolist(), reverse=True)
    assert torch.equal(torch.bincount(bins.assign(reals)), bins.counts)
    with pytest.raises(ValueError, match="at least 301 rows"):
        Bins.of(reals, bins=301)
    with pytest.raises(ValueError, match="widths"):
        bins.check(normal(9, 4))
    with pytest.raises(ValueError, match="alpha"):
        bins.check(reals, alpha=0)
