"""Points: their room, the mixtures, how modes are counted, and every family that takes them, from data to files."""

import csv
import math

import numpy as np
import pytest
import torch

from sparring.core.config import Data, Optim
from sparring.core.errors import SparringError
from sparring.core.recipe import Recipe
from sparring.core.registry import load_family
from sparring.core.spec import DataSpec
from sparring.data import open_data, open_test
from sparring.data.mixtures import COUNT, MIXTURES
from sparring.metrics.modes import check_modes
from sparring.modalities import points
from sparring.nn.perceptron import PointDiscriminator, PointGenerator, Waves
from sparring.testing import conformance
from sparring.tools.inspect import inspect
from sparring.tools.plan import make_plan
from sparring.tools.sample import sample_to
from sparring.tools.train import train

FAMILIES = ("vanilla", "dcgan", "wgan_gp", "r3gan")
SPEC = DataSpec("points", (2,), count=64)

# ---------------------------------------------------------------------- the mixtures


def test_the_ring_has_the_constants_of_the_literature():
    ring = MIXTURES["ring"]
    centres = torch.tensor(ring.centres, dtype=torch.float64) / ring.scale
    torch.testing.assert_close(centres.norm(dim=1), torch.full((8,), 2.0, dtype=torch.float64))
    assert (centres[1] - centres[0]).norm().item() == pytest.approx(4 * math.sin(math.pi / 8))
    assert ring.sigma / ring.scale == pytest.approx(0.02)


def test_the_grid_has_the_constants_of_the_literature():
    grid = MIXTURES["grid"]
    centres = {(round(x / grid.scale), round(y / grid.scale)) for x, y in grid.centres}
    assert centres == {(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)}
    assert grid.sigma / grid.scale == pytest.approx(0.05)


@pytest.mark.parametrize("name", MIXTURES)
def test_a_mixture_is_what_it_says(name):
    mixture, data = MIXTURES[name], open_data(name)
    centres = torch.tensor(mixture.centres)
    drawn, labels = data.get(range(len(data)))
    assert data.spec == DataSpec("points", (2,), count=COUNT)
    assert (drawn.dtype, drawn.shape, labels) == (torch.float32, (COUNT, 2), None)
    assert drawn.abs().max() < 1
    distances, nearest = torch.cdist(drawn, centres).min(1)
    fair = COUNT / len(centres)
    assert torch.bincount(nearest).sub(fair).abs().max() < 5 * math.sqrt(fair)
    offsets = drawn - centres[nearest]
    assert offsets.std(0).tolist() == pytest.approx([mixture.sigma] * 2, rel=0.01)
    assert (distances <= 3 * mixture.sigma).float().mean().item() == pytest.approx(1 - math.exp(-4.5), abs=0.002)


def test_a_mixture_is_the_same_every_time_and_another_by_seed():
    ring = MIXTURES["ring"]
    assert torch.equal(ring.draw(10), ring.draw(10))
    assert not torch.equal(ring.draw(10), ring.draw(10, seed=1))
    assert open_data("ring").fingerprint == open_data("ring").fingerprint != open_data("grid").fingerprint


@pytest.mark.parametrize("given", [{"size": "32"}, {"channels": "3"}, {"flip": True}, {"fit": "pad"}])
def test_what_is_for_pictures_is_refused(given):
    with pytest.raises(SparringError, match=f"data.{next(iter(given))} is for pictures"):
        open_data("ring", Data(**given))


def test_a_folder_of_that_name_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ring").mkdir()
    with pytest.raises(SparringError, match="ring is empty"):
        open_data("ring")


# ---------------------------------------------------------------------- counting modes


def test_modes_are_counted():
    """Two modes of sigma 1 at 0 and 100: 97 samples on the first, one 2.9 and one 3.1 off the second, one far away."""
    centres = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    samples = torch.tensor([[0.0, 0.0]] * 97 + [[100.0, 2.9], [100.0, 3.1], [50.0, 0.0]])
    check = check_modes(samples, centres, 1.0)
    assert check.counts == (97, 1)
    assert (check.touched, check.covered) == (2, 1)  # a twentieth of a fair share of 50 is 2.5 samples
    assert check.clean == pytest.approx(0.98)


def test_a_mode_is_covered_from_a_twentieth_of_its_fair_share():
    centres = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    samples = centres[[0] * 190 + [1] * 10].clone()
    assert [check_modes(samples[: 190 + n], centres, 1.0).covered for n in (0, 4, 5)] == [1, 1, 2]


@pytest.mark.parametrize("name", MIXTURES)
def test_a_mixture_covers_itself(name):
    mixture = MIXTURES[name]
    check = check_modes(mixture.draw(10_000, seed=9), torch.tensor(mixture.centres), mixture.sigma)
    assert check.covered == check.touched == len(mixture.centres)
    assert check.clean == pytest.approx(0.9889, abs=0.005)


# ---------------------------------------------------------------------- pictures and files


def test_a_picture_shows_where_points_are():
    picture = np.asarray(points.grid(torch.tensor([[0.5, 0.5], [-0.5, 0.0]]), side=64).convert("L"))
    assert picture.shape == (64, 64)
    inside = picture[2:-2, 2:-2]
    dark = {(int(y) + 2, int(x) + 2) for y, x in zip(*np.nonzero(inside < 128), strict=True)}
    assert {(16, 48), (32, 16)} <= dark  # up is towards the first row
    assert all(min(abs(y - 16) + abs(x - 48), abs(y - 32) + abs(x - 16)) <= 3 for y, x in dark)


def test_points_have_two_coordinates_or_more():
    assert points.fits((2,))
    assert points.fits((5,))
    assert not any(map(points.fits, [(1,), (), (1, 8, 8)]))
    assert points.describe((2,)) == "2-D points"


@pytest.fixture
def game():
    torch.manual_seed(0)
    vanilla = load_family("vanilla")
    return vanilla(SPEC, vanilla.config_class(z_dim=4, width=8)).eval()


def test_points_become_one_csv_in_order(game, tmp_path):
    seeds = [*range(100), 7]
    assert list(sample_to(game, seeds, tmp_path, "files")) == [64, 101]
    assert [path.name for path in tmp_path.iterdir()] == ["points.csv"]
    with open(tmp_path / "points.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["seed", "x1", "x2"]
    assert [int(row["seed"]) for row in rows] == seeds
    list(sample_to(game, seeds, tmp_path / "npz", "npz"))
    with np.load(tmp_path / "npz" / "samples.npz", allow_pickle=False) as archive:
        values, kept = archive["points"], archive["seeds"]
    assert (values.dtype, values.shape, kept.tolist()) == (np.float32, (101, 2), seeds)
    read = np.array([[row["x1"], row["x2"]] for row in rows], np.float32)
    assert np.array_equal(read, values)  # nothing is lost in the text
    assert np.array_equal(values[7], values[100])


def test_a_scatter_may_show_more_than_a_grid_of_pictures(game, tmp_path):
    assert list(sample_to(game, range(3000), tmp_path, "grid"))[-1] == 3000
    assert (tmp_path / "grid.png").is_file()


# ---------------------------------------------------------------------- families


def test_waves():
    x = torch.tensor([[0.5, -0.25]])
    s, c = math.sin, math.cos
    expected = [0.5, -0.25, s(0.5), s(-0.25), c(0.5), c(-0.25), s(1), s(-0.5), c(1), c(-0.5)]
    assert Waves(2, 1.0)(x)[0].tolist() == pytest.approx(expected)


def test_networks_take_any_number_of_coordinates():
    for d in (2, 3):
        made = PointGenerator((d,), 5, 8)(torch.randn(4, 5))
        assert made.shape == (4, d)
        assert PointDiscriminator((d,), 8)(made).shape == (4, 1)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_keeps_the_laws_on_points(name, monkeypatch):
    family = load_family(name)
    small = family.config_class(z_dim=2, width=8)
    monkeypatch.setattr(family, "tiny", classmethod(lambda cls: (SPEC, small)))
    # Adam would make steps of the rounding in gradients that cancel, such as of D's biases under a paired loss.
    monkeypatch.setattr(family, "optimisers", lambda self: dict.fromkeys(self.players(), Optim("sgd", lr=0.01)))
    for check in conformance.CHECKS:
        if check is not conformance.check_two_processes:  # a patched class cannot travel to a process
            check(family)


@pytest.mark.parametrize("name", FAMILIES)
def test_from_data_to_samples(name, tmp_path):
    settings = {"game": {"width": 8}, "batch": 64, "save_kimg": 1}
    run = train("ring", family=name, run=tmp_path / "run", kimg=2, **settings)
    assert run.sample(3).shape == (3, 2)
    assert run.card["spec"]["modality"] == "points"
    for made in ("samples/reals.png", "samples/timelapse.gif", "report.html"):
        assert (tmp_path / "run" / made).is_file()
    again = train(run=tmp_path / "run", kimg=3)
    assert 3000 <= again.card["nimg"] < 3600  # d_steps batches at once


def test_other_families_say_what_they_are_for():
    with pytest.raises(SparringError, match="family 'sngan' is for image data; ring is points data"):
        make_plan(Recipe("ring", "sngan"))


def test_augmentation_is_refused():
    with pytest.raises(SparringError, match="changes pictures"):
        make_plan(Recipe("ring", "dcgan", {"train": {"augment": "diff"}}))
    with pytest.raises(SparringError, match="shifts pictures"):
        make_plan(Recipe("ring", "dcgan", {"game": {"consistency": 1.0}}))


def test_a_family_is_chosen_for_points():
    plan = make_plan(Recipe("grid"))
    assert plan.family == "r3gan"
    assert any("2-D points" in reason for reason in plan.reasons)


def test_points_are_not_evaluated_and_it_is_said(tmp_path, refused):
    assert open_test("ring", Data(), SPEC) is None
    line = ("train", "ring", "--family", "vanilla", "--game.width", "8", "--train.kimg", "1", "--run", tmp_path / "run")
    assert "no metrics for points data yet" in refused(*line, "--eval.every", "0.5")
    train("ring", family="vanilla", run=tmp_path / "other", kimg=0.5, game={"width": 8})
    assert "no metrics for points data yet" in refused("evaluate", tmp_path / "other", "--samples", "60")
    assert "ring is points data" in refused("evaluate", "--real", "ring", "--fake", "ring")
    assert "ring is points data and digits is image data" in refused("evaluate", "--real", "ring", "--fake", "digits")


def test_the_doctor_looks_at_points(capsys):
    from rich.console import Console

    from sparring.tools.inspect import render

    report = inspect("grid")
    assert (report.count, report.usable, report.shape, report.warnings) == (COUNT, COUNT, (2,), ())
    assert "would train r3gan" in report.would[0]
    render(report, Console(width=200))
    shown = capsys.readouterr().out
    assert "25 Gaussians" in shown
    assert "height" not in shown
