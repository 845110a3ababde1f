"""Metrics of tables on cases worked by hand, on baselines whose order is known, and on planted copies."""

import tracemalloc

import numpy as np
import pytest

from sparring.core.columns import Column, Layout
from sparring.core.rows import Rows, encode
from sparring.core.spec import DataSpec
from sparring.metrics.sets.table import teaching
from sparring.metrics.suite import Sample, Sides
from sparring.metrics.tables import privacy
from sparring.metrics.tables.copies import coincidences
from sparring.metrics.tables.efficacy import detection, target_of, teach
from sparring.metrics.tables.marginals import (
    binned,
    column_shapes,
    contingency_similarity,
    correlation_similarity,
    edges_of,
    independent,
    ks_complement,
    pair_trends,
    resampled,
    tv_complement,
)
from sparring.metrics.tables.matrix import design, gower

NUMBER = Column("n", "continuous", (1,), centres=(0.0,), reaches=(1.0,), minimum=0, maximum=10, missing=False)
COLOUR = Column("c", "categorical", (1, 1, 1), ("r", "g", "b"))
ANSWER = Column("y", "boolean", (1, 1), ("no", "yes"), target=True)


def people(count: int, seed: int = 0) -> Rows:
    """A number, a colour that follows it, and an answer that follows both."""
    draw = np.random.default_rng(seed)
    number = draw.normal(5, 2, count)
    colour = np.digitize(number + draw.normal(0, 1, count), [4, 6])
    answer = (number + colour + draw.normal(0, 1, count) > 6).astype(int)
    return Rows((NUMBER, COLOUR, ANSWER), (number, colour, answer))


# ---------------------------------------------------------------------- by hand


def test_ks_by_hand():
    assert ks_complement(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 3, 4])) == 1
    assert ks_complement(np.array([1.0, 2]), np.array([3.0, 4])) == 0
    assert ks_complement(np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6])) == 0.5
    # A quarter is missing on one side only: the distribution functions differ by a quarter below everything.
    assert ks_complement(np.array([np.nan, 2, 3, 4]), np.array([2.0, 2, 3, 4])) == 0.75


def test_tv_by_hand():
    assert tv_complement(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])) == 0.75
    assert tv_complement(np.array([0, -1]), np.array([0, 5])) == 0.5


def test_correlation_by_hand():
    up, down = np.array([1.0, 2, 3]), np.array([3.0, 2, 1])
    assert correlation_similarity((up, up), (up, up)) == 1
    assert correlation_similarity((up, up), (up, down)) == pytest.approx(0)
    assert correlation_similarity((up, up), (up, np.ones(3))) == pytest.approx(0.5)


def test_contingency_by_hand():
    same, other = (np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])), (np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    assert contingency_similarity(same, same) == 1
    assert contingency_similarity(same, other) == 0.5


def test_many_categories_are_compared_by_the_pairs_that_there_are():
    """A table of all pairs of a million values would have 10^12 cells."""
    codes = np.arange(0, 1_000_000, 1000)
    assert contingency_similarity((codes, codes), (codes, codes)) == 1
    assert contingency_similarity((codes, codes), (codes, codes[::-1])) == pytest.approx(0)


def test_numbers_are_binned_by_the_real_side():
    """A column ten times as large does not look alike, as it would if either side were cut by edges of its own."""
    real = people(2000)
    scaled = Rows(real.columns, (real["n"] * 10, *real.values[1:]))
    assert pair_trends(real, scaled)["n", "c"] < 0.5
    assert binned(np.array([-9.0, 5, 99, np.nan]), edges_of(np.array([0.0, 10]))).tolist() == [0, 5, 9, -1]


def test_gower_by_hand():
    rows = Rows((NUMBER, COLOUR), (np.array([0.0, 10, 5, np.nan]), np.array([0, 0, 1, 1])))
    matrix = gower(rows, rows)
    distances = np.abs(matrix[:, None] - matrix[None]).sum(2)
    assert distances[0].tolist() == [0, 1, 1.5, 2]  # all of the range; half of it and a colour; missing and a colour


def test_gower_takes_four_bytes_a_value():
    """A state of its own for each of 250 values, in all of 4,000 rows."""
    many = Column("m", "categorical", (1,) * 250, tuple(map(str, range(250))))
    rows = Rows((many,), (np.arange(4000) % 250,))
    tracemalloc.start()
    matrix = gower(rows, rows)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert matrix.dtype == np.float32
    assert most < 2.6 * matrix.nbytes  # of float64 parts it would be three times as much, or more


def test_a_design_is_fitted_on_the_reference_alone():
    real = people(500)
    shifted = Rows(real.columns, (real["n"] + 3, *real.values[1:]))
    assert design(shifted, real)[:, 0].mean() == pytest.approx(3 / real["n"].std(), rel=1e-3)


# ---------------------------------------------------------------------- baselines


def test_the_order_of_baselines():
    real, other = people(4000), people(4000, 1)
    alone, copy = independent(other, 0), resampled(other, 4000, 0)
    for rows in (alone, copy, other):
        assert min(column_shapes(real, rows).values()) > 0.95
    trends = [np.mean(list(pair_trends(real, rows).values())) for rows in (alone, other, copy)]
    assert trends[0] < 0.75
    assert min(trends[1:]) > 0.95


def test_what_models_learn():
    train, exam = people(3000), people(2000, 1)
    assert target_of(train) is ANSWER
    real = teach("boosting", train, exam, 0)
    assert real > 0.9
    assert teach("boosting", people(3000, 2), exam, 0) == pytest.approx(real, abs=0.02)
    assert teach("boosting", independent(train, 0), exam, 0) == pytest.approx(0.5, abs=0.1)
    wrong = Rows(train.columns, (*train.values[:2], 1 - train["y"]))
    assert teach("logistic", wrong, exam, 0) < 0.15
    one = Rows(train.columns, (*train.values[:2], np.zeros(3000, int)))
    assert teach("tree", one, exam, 0) == 0.5


def test_a_class_of_one_row_among_many():
    """Boosting stops early by a share kept apart, to which one row cannot be given."""
    train = people(11_000)
    three = Column("y", "categorical", (1, 1, 1), ("no", "yes", "never"), target=True)
    codes = np.where(np.arange(11_000) == 5, 2, train["y"])
    lesson = Rows((*train.columns[:2], three), (*train.values[:2], codes))
    exam = people(500, 1)
    assert teach("boosting", lesson, Rows(lesson.columns, exam.values), 0) > 0.9


def test_samples_of_one_class_still_teach_what_they_teach():
    def side(rows: Rows) -> Sample:
        return Sample(encode(rows)[0])

    train, exam, fake = people(400), people(300, 1), people(300, 2)
    one = Rows(fake.columns, (*fake.values[:2], np.zeros(300, int)))
    spec = DataSpec("table", (Layout(train.columns).width,), columns=train.columns)
    sides = Sides(side(exam), (side(exam), side(exam)), "", side(train), True, spec=spec)
    found = teaching(side(one), sides)
    assert found["TSTR tree"].value == 0.5
    assert found["TSTR boosting"].real_vs_real > 0.8
    assert "TRTS boosting" not in found


def test_detection():
    real = people(1500)
    assert detection(real, people(1500, 1), "logistic", 0) == pytest.approx(0.5, abs=0.06)
    shifted = Rows(real.columns, (real["n"] + 20, *real.values[1:]))
    assert detection(real, shifted, "logistic", 0) > 0.99


# ---------------------------------------------------------------------- privacy: an attack must be able to succeed


def planted(share: float) -> tuple[Rows, Rows, Rows]:
    """Samples of which a share are training rows, the training rows, and held-out ones."""
    train, held_out, fake = people(1500), people(1500, 1), people(1500, 2)
    count = round(share * 1500)
    mixed = tuple(np.concatenate([a[:count], b[count:]]) for a, b in zip(train.values, fake.values, strict=True))
    return Rows(train.columns, mixed), train, held_out


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_planted_rows_are_found(share):
    fake, train, held_out = planted(share)
    assert coincidences(fake, train).exact.mean() == pytest.approx(share)
    assert not coincidences(fake, held_out).exact.any()


def test_a_clean_run_is_not_accused():
    fake, train, held_out = planted(0.0)
    assert not coincidences(fake, train).exact.any()
    assert privacy.distances(fake, train, held_out).closer == pytest.approx(0.5, abs=0.05)
    for attack in (
        privacy.attack_by_distance(train, held_out, fake),
        privacy.attack_by_classifier(train, held_out, fake),
    ):
        assert attack.area == pytest.approx(0.5, abs=0.06)
        assert attack.sure < 0.04


def test_copying_trips_the_distances_and_both_attacks():
    fake, train, held_out = planted(1.0)
    found = privacy.distances(fake, train, held_out)
    assert found.closer > 0.95
    assert found.record == 0
    assert found.ratio == 0
    assert privacy.attack_by_distance(train, held_out, fake).area > 0.95
    assert privacy.attack_by_distance(train, held_out, fake).sure > 0.95
    assert privacy.attack_by_classifier(train, held_out, fake).area > 0.6


def test_a_fifth_of_copies_trips_the_distances():
    fake, train, held_out = planted(0.2)
    assert privacy.distances(fake, train, held_out).closer > 0.57
    assert privacy.distances(fake, train, held_out).ratio == 0


def test_sides_of_unlike_size_are_compared_fairly():
    """Ten times as many training rows are no evidence: as many of them are taken as there are held-out ones."""
    assert privacy.distances(people(800, 5), people(5000), people(500, 1)).closer == pytest.approx(0.5, abs=0.08)
