"""Variety, the class check, and the closing verdict, against sets made to measure."""

import math

import numpy as np
import pytest
import torch

from sparring.core.config import Data
from sparring.data import open_data
from sparring.diagnostics.finding import Finding
from sparring.diagnostics.space import diversity_ratio
from sparring.diagnostics.statistics import mean_pairwise_distance
from sparring.metrics.classes import check_classes
from sparring.tools import verdict
from sparring.tools.verdict import judge, some_reals


def test_mean_pairwise_distance_by_hand():
    # corners of a right triangle with sides 3, 4, 5
    points = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert mean_pairwise_distance(points) == pytest.approx(4.0)
    with pytest.raises(ValueError, match="two"):
        mean_pairwise_distance(points[:1])


def test_diversity_is_one_for_the_data_itself_and_nought_for_one_picture():
    reals = torch.randn(32, 1, 8, 8)
    assert diversity_ratio(reals, reals) == pytest.approx(1.0)
    assert diversity_ratio(reals[:1].expand(32, -1, -1, -1), reals) == 0.0
    assert diversity_ratio(0.5 * reals, reals) == pytest.approx(0.5)
    assert math.isnan(diversity_ratio(reals, reals[:1].expand(32, -1, -1, -1)))


def blobs(counts, seed):
    """Points around (4, 0), (0, 4), (-4, 0), well apart, and their labels."""
    draw = np.random.default_rng(seed)
    centres = np.array([[4.0, 0.0], [0.0, 4.0], [-4.0, 0.0]])
    labels = np.repeat(np.arange(3), counts)
    return (centres[labels] + 0.3 * draw.standard_normal((len(labels), 2))).astype(np.float32), labels


def test_the_class_check_counts_classes():
    reals, labels = blobs([100, 100, 100], 0)
    samples, _ = blobs([30, 10, 0], 1)
    check = check_classes(reals, labels, samples, classes=3)
    assert check.accuracy == 1.0
    assert check.shares.tolist() == pytest.approx([0.75, 0.25, 0.0])
    assert check.sure_of_samples > 0.9
    midway = np.zeros((20, 2), np.float32)  # between all of them
    assert check_classes(reals, labels, midway, 3).sure_of_samples < 0.8


@pytest.fixture(scope="module")
def digits():
    return open_data("digits", Data())


class Copier:
    """A 'generator' that shows given pictures."""

    gives = False


def told(monkeypatch, digits, pictures):
    monkeypatch.setattr(verdict, "draw", lambda game, seeds: iter([pictures]))
    return judge(Copier(), digits)


def test_the_data_itself_is_healthy(monkeypatch, digits):
    pictures, _ = some_reals(digits, 1000)
    found = told(monkeypatch, digits, pictures)
    assert found.severity == "good"
    assert "All 10 classes appear" in found.message
    assert found.classes.accuracy > 0.97
    assert found.classes.sure_of_samples > 0.9


def test_one_picture_is_a_collapse(monkeypatch, digits):
    pictures, _ = some_reals(digits, 2)
    found = told(monkeypatch, digits, pictures[:1].expand(1000, -1, -1, -1))
    assert found.severity == "critical"
    assert "Collapsed" in found.message


def test_a_missing_class_is_named(monkeypatch, digits):
    pictures, labels = some_reals(digits, 1797)
    found = told(monkeypatch, digits, pictures[labels != 3][:1000])
    assert found.severity == "warn"
    assert "Class '3' is nearly missing" in found.message


def test_little_variety_is_a_warning(monkeypatch, digits):
    pictures, _ = some_reals(digits, 1000)
    found = told(monkeypatch, digits, 0.5 * pictures)
    assert found.severity == "warn"
    assert "Little variety" in found.message


def test_data_without_classes_has_no_class_check(digits):
    unlabelled = open_data("digits", Data(labels="none"))
    pictures, _ = some_reals(unlabelled, 100)
    assert verdict.look_at_classes(pictures, digits) is not None
    assert unlabelled.spec.classes == ()


def finding(severity: str, title: str) -> Finding:
    return Finding("x", title, severity, "diversity", 0.1, 0.5, "evidence", 30_000, 60_000, 1.0, "remedy")


@pytest.mark.parametrize(
    ("seen", "standing", "wanted"),
    [
        ("good", [], "good"),
        ("good", ["good"], "good"),  # good news, such as convergence
        ("good", ["warn"], "warn"),
        ("warn", ["critical"], "critical"),
        ("critical", ["warn"], "critical"),
    ],
)
def test_the_verdict_is_never_better_than_what_the_referee_stands_by(seen, standing, wanted):
    severity, message = verdict.combined(seen, "Healthy: varied.", [finding(s, "Mode collapse") for s in standing])
    assert severity == wanted
    if set(standing) <= {"good"}:
        assert message == "Healthy: varied."
    else:
        assert message == (
            f"Not healthy: the referee stands by mode collapse ({standing[0]}, since 30 kimg). At the end: varied."
        )


def test_judging_heeds_findings(monkeypatch, digits):
    pictures, _ = some_reals(digits, 1000)
    monkeypatch.setattr(verdict, "samples_of", lambda game, data, reals: iter([pictures]))
    monkeypatch.setattr(verdict, "look_at_classes", lambda samples, data: None)
    assert judge(Copier(), digits).severity == "good"
    assert judge(Copier(), digits, [finding("critical", "Memorisation")]).severity == "critical"
