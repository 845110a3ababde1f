"""Fréchet distance against closed forms, independent formulas and simulation."""

import math

import pytest
import torch

from sparring.metrics.frechet import Gaussian, Moments, bias, frechet_distance, frechet_infinite, rank_note
from sparring.metrics.per_class import per_class


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussian(mean, covariance, count=10**6):
    return Gaussian(torch.tensor(mean, dtype=torch.float64), torch.tensor(covariance, dtype=torch.float64), count)


def isotropic(dim, mean=0.0, variance=1.0):
    return Gaussian(
        torch.full((dim,), mean, dtype=torch.float64), variance * torch.eye(dim, dtype=torch.float64), 10**6
    )


def from_features(x, y):
    """The same by singular values of centred features: no covariance, no eigenvalue, any n and d."""
    x_centred, y_centred = x - x.mean(0), y - y.mean(0)
    n, m = len(x) - 1, len(y) - 1
    traces = x_centred.square().sum() / n + y_centred.square().sum() / m
    shared = torch.linalg.svdvals(x_centred @ y_centred.T).sum() / math.sqrt(n * m)
    return float((x.mean(0) - y.mean(0)).square().sum() + traces - 2 * shared)


@pytest.mark.parametrize("dim", [1, 7, 256])
def test_a_shift_of_one_in_every_feature_is_d(dim):
    assert frechet_distance(isotropic(dim), isotropic(dim, mean=1.0)) == pytest.approx(dim, rel=1e-12)


def test_twice_the_spread_is_d():
    assert frechet_distance(isotropic(9), isotropic(9, variance=4.0)) == pytest.approx(9, rel=1e-12)


def test_commuting_covariances_are_differences_of_roots():
    # (1 - 2)^2 + (3 - 1)^2 + (0 - 5)^2 of the deviations
    a, b = (
        gaussian([0, 0, 0], [[1, 0, 0], [0, 9, 0], [0, 0, 0]]),
        gaussian([0, 0, 0], [[4, 0, 0], [0, 1, 0], [0, 0, 25]]),
    )
    assert frechet_distance(a, b) == pytest.approx(1 + 4 + 25, rel=1e-12)
    assert frechet_distance(b, a) == pytest.approx(1 + 4 + 25, rel=1e-12)


def test_covariances_that_do_not_commute():
    # in two dimensions tr (S1 S2)^(1/2) = sqrt(tr S1 S2 + 2 sqrt det S1 S2), here tr = 10 and det = 12
    a, b = gaussian([0, 0], [[1, 0], [0, 4]]), gaussian([0, 0], [[2, 1], [1, 2]])
    assert frechet_distance(a, b) == pytest.approx(9 - 2 * math.sqrt(10 + 2 * math.sqrt(12)), rel=1e-12)
    assert frechet_distance(a, b) == pytest.approx(0.7712204476, abs=1e-10)


@pytest.mark.parametrize(("n", "m", "dim"), [(300, 200, 20), (40, 30, 64), (30, 500, 64), (500, 30, 64)])
def test_agrees_with_singular_values_of_features_at_any_rank(n, m, dim):
    x, y = normal(n, dim).relu(), normal(m, dim, seed=1).abs() * 2
    assert frechet_distance(Gaussian.of(x), Gaussian.of(y)) == pytest.approx(from_features(x, y), rel=1e-10)


def test_symmetric_and_blind_to_shifts_and_rotations_of_both():
    x, y = normal(100, 8) * torch.arange(1, 9), normal(90, 8, seed=1)
    turn = torch.linalg.qr(normal(8, 8, seed=2)).Q
    plain = frechet_distance(Gaussian.of(x), Gaussian.of(y))
    assert frechet_distance(Gaussian.of(y), Gaussian.of(x)) == pytest.approx(plain, rel=1e-10)
    assert frechet_distance(Gaussian.of(x @ turn + 50), Gaussian.of(y @ turn + 50)) == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize("n", [20, 400])
def test_a_sample_is_at_no_distance_from_itself(n):
    x = normal(n, 64).exp()
    assert 0 <= frechet_distance(Gaussian.of(x), Gaussian.of(x.flip(0))) < 1e-6


def test_constant_and_doubled_features_are_defined():
    assert frechet_distance(Gaussian.of(torch.zeros(5, 3)), Gaussian.of(torch.full((4, 3), 2.0))) == 12.0
    x = torch.cat([normal(50, 2), normal(50, 2), torch.ones(50, 1)], 1)
    y = torch.cat([normal(60, 2, seed=1), normal(60, 2, seed=1), torch.zeros(60, 1)], 1)
    assert frechet_distance(Gaussian.of(x), Gaussian.of(y)) == pytest.approx(from_features(x, y), rel=1e-6)


def test_covariance_is_that_of_numpy():
    x = normal(30, 5)
    assert torch.allclose(Gaussian.of(x).covariance, x.T.cov(), atol=1e-14)
    assert torch.equal(Gaussian.of(x).covariance, Gaussian.of(x).covariance.T)


def test_a_stream_of_batches_is_the_whole():
    x = (normal(9001, 300) + 1e4).float()  # more than one chunk, more than one strip, far from the origin
    moments = Moments(300)
    for batch in x.split([1, 0, 5000, 7, 3993]):
        moments.add(batch)
    stream, centred = moments.gaussian(), x.double() - x.double().mean(0)
    assert stream.count == 9001
    assert torch.allclose(stream.mean, x.double().mean(0), rtol=1e-12)
    assert torch.allclose(stream.covariance, centred.T @ centred / 9000, atol=1e-9)


def test_shards_merge_to_the_whole():
    x = normal(500, 6) * 3 + 100
    shards = [Moments(6) for _ in range(4)]  # the last one saw nothing
    for shard, rows in zip(shards, x.split([10, 1, 489]), strict=False):
        shard.add(rows)
    for whole in (shards[0], shards[3]):
        for shard in shards:
            if shard is not whole and whole.count + shard.count <= 500:
                whole.merge(shard)
        assert whole.count == 500
        assert torch.allclose(whole.gaussian().covariance, x.T.cov(), rtol=1e-11)


@pytest.mark.parametrize(("n", "dim"), [(1024, 64), (256, 16)])
def test_bias_predicts_what_equal_distributions_score(n, dim):
    scores = [
        frechet_distance(Gaussian.of(normal(n, dim, seed=2 * s)), Gaussian.of(normal(n, dim, seed=2 * s + 1)))
        for s in range(10)
    ]
    predicted = bias(isotropic(dim), n, n)
    assert predicted == pytest.approx((2 * dim + dim * (dim + 1) / 2) / n, rel=1e-12)
    assert sum(scores) / 10 == pytest.approx(predicted, rel=0.05)


def test_bias_of_unequal_variances_and_one_exact_side():
    scale = torch.tensor([2.0, 1.0, 0.5, 0.0]).double()
    exact = Gaussian(torch.zeros(4).double(), scale.square().diag(), 10**6)
    scores = [frechet_distance(Gaussian.of(normal(400, 4, seed=s) * scale), exact) for s in range(1000)]
    assert sum(scores) / 1000 == pytest.approx(bias(exact, 400), rel=0.07)
    assert bias(exact, 400, 400) == pytest.approx(2 * bias(exact, 400))


def test_infinite_distance_takes_the_bias_away():
    fakes, reference = normal(4000, 32) + 0.1, isotropic(32)
    line = frechet_infinite(fakes, reference, smallest=400)
    truth, biased = 32 * 0.01, frechet_distance(Gaussian.of(fakes), reference)
    assert abs(line.value - truth) < 0.3 * (biased - truth)
    assert line.slope == pytest.approx(4000 * bias(reference, 4000), rel=0.25)
    assert (line.counts[0], line.counts[-1], len(line.counts)) == (400, 4000, 15)
    assert line == frechet_infinite(fakes, reference, smallest=400)
    assert line != frechet_infinite(fakes, reference, smallest=400, seed=1)


def test_says_when_samples_are_too_few_for_the_rank():
    assert rank_note(2049, 2048) is None
    assert "2,048" in rank_note(2048, 2048)
    assert Gaussian.of(normal(8, 8)).note
    assert Gaussian.of(normal(9, 8)).note is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_features_that_are_not_finite_are_refused(bad):
    x = normal(5, 3)
    x[2, 1] = bad
    with pytest.raises(ValueError, match="1 of 5 rows"):
        Gaussian.of(x)
    with pytest.raises(ValueError, match="not finite"):
        Gaussian(x[2], torch.eye(3), 5)


def test_what_has_no_covariance_is_refused():
    with pytest.raises(ValueError, match="at least 2 samples, not 1"):
        Gaussian.of(normal(1, 3))
    with pytest.raises(ValueError, match=r"shape \(n, d\)"):
        Gaussian.of(normal(4, 3, 2))
    with pytest.raises(ValueError, match=r"\(n, 3\)"):
        Moments(3).add(normal(2, 4))
    with pytest.raises(ValueError, match="merge"):
        Moments(3).merge(Moments(4))
    with pytest.raises(ValueError, match="differ"):
        frechet_distance(isotropic(2), isotropic(3))
    with pytest.raises(ValueError, match="two sizes"):
        frechet_infinite(normal(5, 2), isotropic(2), smallest=5)


def test_class_by_class():
    reals, labels = normal(60, 2), torch.arange(60) % 3
    fakes = reals + 2.0 * (labels == 1)[:, None]  # one class moved by 2 in both features

    def distance(x, y):
        return frechet_distance(Gaussian.of(x), Gaussian.of(y))

    found = per_class(distance, fakes[labels < 2], labels[labels < 2], reals, labels)
    assert found[0] == pytest.approx(0, abs=1e-9)
    assert found[1] == pytest.approx(8, rel=1e-9)
    assert found[2] is None
    with pytest.raises(ValueError, match="labels of fakes"):
        per_class(distance, fakes, labels[:-1], reals, labels)
