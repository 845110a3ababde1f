"""Planted copies, planted supports, and how sure a number is."""

import math

import pytest
import torch

from sparring.metrics.birthday import birthday, duplicate_radius, first_duplicate
from sparring.metrics.bootstrap import bootstrap, jackknife
from sparring.metrics.frechet import Gaussian, frechet_distance
from sparring.metrics.memorisation import authenticity, copying, frechet_gap, nearest, neighbour_ratio, rank_z


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


TRAIN, HELD_OUT, FRESH = normal(1000, 8), normal(1000, 8, seed=1), normal(1000, 8, seed=2)
COPIES = TRAIN[torch.randperm(1000, generator=torch.Generator().manual_seed(3))] + 0.05 * normal(1000, 8, seed=4)


# ---------------------------------------------------------------------- memorisation


def test_nearest_neighbours_by_hand():
    found = nearest(column(4, 0, 10.5), column(0, 3, 10), k=2)
    assert found.indices.tolist() == [[1, 0], [0, 1], [2, 1]]
    assert found.distances.tolist() == [[1, 4], [0, 3], [0.5, 7.5]]
    assert found.closest(2).tolist() == [1, 2]


def test_planted_copies_are_found_by_index():
    found = nearest(torch.cat([FRESH[:5], TRAIN[70:73]]), TRAIN)
    assert found.closest(3).tolist() == [5, 6, 7]
    assert found.indices[5:, 0].tolist() == [70, 71, 72]
    assert found.distances[5:].max() == 0
    with pytest.raises(ValueError, match="3 neighbours asked for among 2"):
        nearest(FRESH, TRAIN[:2], k=3)


def test_authenticity_by_hand():
    # own neighbours of 0, 1, 5 are 1, 1, 4 away; fakes are 0.5 from 0, 1.5 from 5, 2 from 5, 1.5 from 0
    assert authenticity(column(-0.5, 6.5, 7, -1.5), column(0, 1, 5)) == 1 / 4
    assert authenticity(TRAIN, TRAIN) == 0
    assert authenticity(COPIES, TRAIN) < 0.01
    assert authenticity(FRESH, TRAIN) == pytest.approx(authenticity(HELD_OUT, TRAIN), abs=0.05)


def test_rank_z_by_hand():
    # of six pairs none has the larger fake: U = 0; mean 3 - 1/2, variance 2 * 3 * 6 / 12
    fakes, held_out = column(1, 2)[:, 0], column(3, 4, 5)[:, 0]
    assert rank_z(fakes, held_out) == pytest.approx(-2.5 / math.sqrt(3))
    assert rank_z(held_out, fakes) == pytest.approx(3.5 / math.sqrt(3))
    assert rank_z(fakes, fakes) == pytest.approx(0.5 / math.sqrt(2 * 2 * 5 / 12))  # ties count one half


def test_copying_tells_copies_from_fresh_draws_from_underfitting():
    assert copying(COPIES, TRAIN, HELD_OUT) < -5
    assert abs(copying(FRESH, TRAIN, HELD_OUT)) < 3
    assert copying(FRESH * 2, TRAIN, HELD_OUT) > 5
    assert copying(FRESH, TRAIN, HELD_OUT) == copying(FRESH, TRAIN, HELD_OUT)


def test_copying_leaves_out_cells_with_few_fakes():
    clusters = torch.cat([normal(300, 2), normal(300, 2, seed=1) + 50])
    held_out, copies = torch.cat([normal(90, 2, seed=2), normal(90, 2, seed=3) + 50]), clusters[:100] + 0.01
    two = copying(copies, clusters, held_out, cells=2)
    ten_strangers = torch.cat([copies, normal(10, 2, seed=4) + 50])
    assert copying(ten_strangers, clusters, held_out, cells=2) == pytest.approx(two)
    assert two < -5
    with pytest.raises(ValueError, match="more than 20 fakes"):
        copying(copies[:20], clusters, held_out, cells=1)
    with pytest.raises(ValueError, match="held_out 3, train 2"):
        copying(copies, clusters, normal(9, 3))
    with pytest.raises(ValueError, match="do not make 601 cells"):
        copying(copies, clusters, held_out, cells=601)


def test_neighbour_ratio_of_copies_and_of_fresh_draws():
    assert neighbour_ratio(COPIES, TRAIN, HELD_OUT) < 0.3
    assert neighbour_ratio(FRESH, TRAIN, HELD_OUT) == pytest.approx(1, abs=0.05)
    # three times as much training data is nearer, were it not cut to the held-out count
    more = torch.cat([TRAIN, normal(2000, 8, seed=9)])
    assert neighbour_ratio(FRESH, more, HELD_OUT) == pytest.approx(1, abs=0.05)
    assert neighbour_ratio(column(1, 2), column(0, 3), column(-1, 4)) == pytest.approx(1 / 2)


def test_frechet_gap_is_above_0_for_copies():
    train, held_out, fresh = TRAIN[:60], HELD_OUT[:60], FRESH[:60]
    copied, honest = frechet_gap(train, train, held_out), frechet_gap(fresh, train, held_out)
    assert copied.train == pytest.approx(0, abs=1e-9)
    assert copied.gap > 1
    assert abs(honest.gap) < copied.gap / 2
    assert frechet_gap(fresh, TRAIN, held_out).count == 60
    assert copied.held_out == pytest.approx(frechet_distance(Gaussian.of(train), Gaussian.of(held_out)))


# ---------------------------------------------------------------------- birthday


def draws(support, count, seed):
    return torch.randint(support, (count,), generator=torch.Generator().manual_seed(seed)).double()[:, None]


def test_first_duplicate_by_hand():
    equal = torch.zeros(40, 40, dtype=torch.bool)
    equal[3, 38] = equal[38, 3] = True
    assert first_duplicate(equal, torch.arange(40)) == 39
    assert first_duplicate(equal, (torch.arange(40) + 5) % 40) == 9  # 38 comes fourth, 3 ninth
    assert first_duplicate(torch.zeros(40, 40, dtype=torch.bool), torch.arange(40)) == math.inf


def test_birthday_finds_a_support_of_100():
    found = [birthday(draws(100, 400, seed), radius=0.1) for seed in range(5)]
    assert sum(f.half for f in found) / 5 == pytest.approx(math.sqrt(2 * 100 * math.log(2)), abs=1.5)
    assert sum(f.support for f in found) / 5 == pytest.approx(100, rel=0.25)
    assert sum(f.effective for f in found) / 5 == pytest.approx(100, rel=0.05)
    assert sum(f.low <= 100 <= f.high for f in found) >= 4
    assert birthday(draws(100, 400, 0), 0.1) == found[0]


def test_effective_support_by_hand():
    found = birthday(column(0, 0, 0, 1, 1, 7), radius=0)  # 3 + 1 of 15 pairs
    assert (found.pairs, found.effective) == (4, 15 / 4)


def test_no_duplicates_leave_a_lower_bound():
    found = birthday(normal(100, 4), radius=1e-9)
    assert (found.half, found.support, found.effective, found.high) == (math.inf,) * 4
    assert found.low == pytest.approx(4950 / -math.log(0.025))  # P(no pair) = exp(-pairs / N)


def test_radius_below_which_reals_hardly_ever_come():
    # nearest neighbours of 0, 1, 3, 7 are 1, 1, 2, 4 away
    assert duplicate_radius(column(0, 1, 3, 7), quantile=1.0) == 4
    assert duplicate_radius(column(0, 1, 3, 7), quantile=0.0) == 1
    reals, collapsed = normal(1000, 4), normal(20, 4)[draws(20, 300, 5)[:, 0].long()]
    radius = duplicate_radius(reals)
    assert birthday(collapsed, radius).support < 60
    assert birthday(normal(1000, 4, seed=6), radius).effective > 10_000
    with pytest.raises(ValueError, match="radius"):
        birthday(reals, -1.0)


# ---------------------------------------------------------------------- intervals


def mean(x):
    return float(x.mean())


@pytest.mark.parametrize("interval", [bootstrap, jackknife])
def test_interval_of_a_mean_has_the_width_of_theory_and_covers(interval):
    found = [interval(mean, 2 * normal(400, seed=s) + 5) for s in range(40)]
    assert sum(f.low <= 5 <= f.high for f in found) >= 33
    # 1.96 and, with 9 degrees of freedom, 2.262 standard errors of 2 / sqrt(400) each way
    reach = {bootstrap: 1.96, jackknife: 2.262}[interval] * 0.1
    assert sum(f.high - f.low for f in found) / 40 == pytest.approx(2 * reach, rel=0.1)
    assert all(f.low < f.value < f.high for f in found)
    assert found[0] == interval(mean, 2 * normal(400) + 5)


@pytest.mark.parametrize("interval", [bootstrap, jackknife])
def test_interval_of_two_samples_drawn_apart(interval):
    found = [interval(lambda x, y: mean(x) - mean(y), normal(300, seed=s), normal(200, seed=99 + s)) for s in range(30)]
    reach = {bootstrap: 1.96, jackknife: 2.262}[interval] * math.sqrt(1 / 300 + 1 / 200)
    assert sum(f.high - f.low for f in found) / 30 == pytest.approx(2 * reach, rel=0.12)


def test_jackknife_by_hand():
    # two groups of the numbers 0 and 4: repeats 4 and 0, error sqrt(1/2 (4 + 4)) = 2; t with 1 degree is 12.706
    found = jackknife(mean, torch.tensor([0.0, 4.0]), groups=2)
    assert (found.value, found.high) == (2, pytest.approx(2 + 12.7062 * 2, rel=1e-4))


def test_a_jackknife_of_frechet_covers_where_copies_of_rows_would_not():
    fakes, reals = normal(400, 16) + 0.2, normal(400, 16, seed=1)

    def distance(x, y):
        return frechet_distance(Gaussian.of(x), Gaussian.of(y))

    left_out, with_copies = jackknife(distance, fakes, reals), bootstrap(distance, fakes, reals, repeats=40)
    assert left_out.low < left_out.value < left_out.high
    assert with_copies.low > with_copies.value  # the bias that the module warns of


def test_intervals_refuse():
    with pytest.raises(ValueError, match="at least 10 rows"):
        jackknife(mean, normal(9))
    with pytest.raises(ValueError, match="at least 2 groups"):
        jackknife(mean, normal(9), groups=1)
    with pytest.raises(ValueError, match="level"):
        bootstrap(mean, normal(9), level=95)
    with pytest.raises(ValueError, match="at least 2 repeats"):
        bootstrap(mean, normal(9), repeats=1)
    with pytest.raises(ValueError, match="at least 1 rows"):
        bootstrap(mean)
