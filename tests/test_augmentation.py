"""``sparring augment``: the statistics by hand, the lessons, what is written, and studies of tiny runs."""

import csv
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Sparring, _play
from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.core.registry import load_family
from sparring.core.spec import DataSpec
from sparring.data import open_data
from sparring.metrics.pupils import PicturePupil, TablePupil, weights_of
from sparring.metrics.smote import smote
from sparring.metrics.study import Marks, Mean, marks, mean_of, paired, verdict
from sparring.modalities.image import to_uint8
from sparring.tools.augmented import folders_for
from sparring.tools.augmenting import EVENED, ONLY, REAL, Arm, Study, study
from sparring.tools.exams import Leak, nearness, second_half, sides_of
from sparring.tools.lessons import Part, Pictures, apportion, missing_of
from sparring.tools.reals import reals_of_run
from sparring.tools.run import load
from sparring.tools.sample import draw
from sparring.tools.study_report import markdown

# ---------------------------------------------------------------------- statistics


def test_an_interval_by_hand():
    """Of 1, 2, 3: standard deviation 1, and t of 2 degrees of freedom is 4.302653: 2 -+ 4.302653 / sqrt 3."""
    found = mean_of([1, 2, 3])
    assert (found.value, found.count) == (2, 3)
    assert found.low == pytest.approx(2 - 2.4841377, abs=1e-6)
    assert found.high == pytest.approx(2 + 2.4841377, abs=1e-6)
    with pytest.raises(ValueError, match="two numbers"):
        mean_of([1])


def test_pairing_drops_what_all_arms_share():
    """Differences 1, 1, 4: mean 2, standard deviation sqrt 3, so 2 -+ 4.302653; unpaired it would be far wider."""
    found = paired([11, 101, 1004], [10, 100, 1000])
    assert (found.value, found.low, found.high) == pytest.approx((2, 2 - 4.302653, 2 + 4.302653), abs=1e-5)
    with pytest.raises(ValueError, match="paired"):
        paired([1, 2], [1, 2, 3])


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.001, 0.03, "helps"),
        (-0.03, -0.001, "harms"),
        (-0.02, 0.01, "does not help"),
        (-0.02, 0.011, "cannot tell"),
        (0.02, 0.02, "cannot tell"),
        (0.0, 0.0, "does not help"),
    ],
)
def test_verdicts(low, high, word):
    assert verdict(Mean((low + high) / 2, low, high, 5)) == word


def test_marks_by_hand():
    """Of four a, one b and no c, a classifier finds three a and the b; it takes one a for b."""
    truth = np.array([0, 0, 0, 0, 1])
    found = marks(truth, np.eye(3)[[0, 0, 0, 1, 1]])
    assert found.recalls[:2] == (0.75, 1.0)
    assert math.isnan(found.recalls[2])
    assert found.balanced_accuracy == 0.875
    assert found.macro_f1 == pytest.approx((6 / 7 + 2 / 3) / 2)
    assert math.isnan(found.auroc)
    chances = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.2, 0.8]])
    assert marks(np.array([0, 0, 1, 1]), chances).auroc == 0.75  # 3 of the 4 pairs are in order
    with pytest.raises(ValueError, match="answers"):
        marks(np.array([0]), chances)


def test_the_chance_of_a_leak_by_counting_all_ways():
    """Four reals and eight samples: every way to draw by lot which two are the test side."""
    draw = torch.Generator().manual_seed(1)
    samples, reals = torch.rand(8, 3, generator=draw), torch.rand(4, 3, generator=draw)
    nearest = torch.cdist(samples, reals, p=1).argmin(1)
    ways = [sum(int(k) in two for k in nearest) / 8 for two in itertools.combinations(range(4), 2)]
    found = nearness(samples, reals[:2], reals[2:])
    assert found.chance == pytest.approx(np.std(ways))
    assert found.nearer == ways[0]


def test_a_leak_is_seen_and_a_clean_generator_is_not_accused():
    draw = torch.Generator().manual_seed(0)
    samples, test, train = (torch.rand(300, 5, generator=draw) for _ in range(3))
    assert not nearness(samples, test, train).suspicious
    found = nearness(torch.cat([test[:100], samples[:200]]), test, train)
    assert found.suspicious
    assert found.equal == pytest.approx(1 / 3)
    assert not nearness(train, test, train).suspicious  # copies of what may be copied are another matter


# ---------------------------------------------------------------------- lessons


def test_apportioning():
    assert apportion(10, (1, 1, 1)) == (4, 3, 3)
    assert apportion(7, (50, 30, 20)) == (4, 2, 1)
    assert apportion(3, (0, 1)) == (0, 3)
    assert sum(apportion(9973, (3, 1, 7, 0, 5))) == 9973
    assert missing_of((5, 2, 5)) == (0, 3, 0)


def test_a_class_is_asked_for_by_its_name():
    """Class number 1 of 1, 2, 3 is called 2."""
    cls = load_family("cgan")
    spec = DataSpec("image", (1, 8, 8), classes=("1", "2", "3"), class_counts=(5, 4, 1), count=10)
    material = Pictures(cls(spec, cls.config_class(z_dim=4, width=4, hidden=8)).eval())
    part = material.by_class((0, 3, 2), seed=5)
    assert part.y.tolist() == [1, 1, 1, 2, 2]
    expected = torch.cat([*draw(material.game, range(5, 8), "2"), *draw(material.game, range(8, 10), "3")])
    assert torch.equal(part.x, to_uint8(expected))
    assert material.counts(material.like_data(20, seed=0)) == (10, 8, 2)


def test_halves_have_every_class():
    part = Part(torch.zeros(11, 1), torch.tensor([0] * 6 + [1] * 4 + [2]))
    second = second_half(part)
    assert torch.bincount(part.y[second], minlength=3).tolist() == [3, 2, 0]


def test_smote_stays_between_neighbours_and_keeps_codes():
    rows = np.array([[9, 1, 0]] * 6 + [[0, 1, 0], [1, 0, 1]], np.float32)
    labels = np.array([0] * 6 + [1, 1])
    made, of = smote(rows, labels, seed=0)
    assert np.bincount(of).tolist() == [6, 6]
    new = made[8:]
    assert ((new[:, 0] > 0) & (new[:, 0] < 1)).all()
    assert (new[:, 1] + new[:, 2] == 1).all()
    assert (new[:, 2] == (new[:, 0] > 0.5)).all()  # the code of the nearer parent
    alone, of = smote(rows[:7], labels[:7], seed=0)
    assert (alone[of == 1] == rows[6]).all()


def bars(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise with a bright left or right half: class 1 is one in five."""
    draw = torch.Generator().manual_seed(seed)
    y = (torch.arange(count) % 5 == 0).long()
    x = torch.randint(0, 120, (count, 1, 8, 8), generator=draw, dtype=torch.uint8)
    for side, own in ((slice(0, 4), 0), (slice(4, 8), 1)):
        x[y == own, :, :, side] += 60
    return x, y


def test_every_lesson_takes_as_many_steps():
    pupil = PicturePupil(updates=7, batch=16)
    for count in (5, 16, 500):
        _, y = bars(count)
        for how in ("plain", "oversampled"):
            assert [len(part) for part in pupil._order(y, weights_of(y, 2), how)] == [16] * 7
    _, y = bars(1000)
    seen = torch.cat(pupil._order(y, weights_of(y, 2), "oversampled"))
    assert 0.35 < y[seen].double().mean() < 0.65  # a fifth of the lesson, half of what is seen
    assert weights_of(torch.tensor([0, 0, 0, 2]), 3).tolist() == pytest.approx([2 / 3, 0, 2])


@pytest.mark.parametrize("how", ["plain", "augmented", "weighted", "oversampled"])
def test_pupils_learn_pictures(how):
    x, y = bars(200)
    asked, truth = bars(100, seed=1)
    pupil = PicturePupil(updates=25, batch=32, flip=False)
    chances = pupil.learn(x, y, 3, how, seed=0)(asked)
    assert chances.shape == (100, 3)
    assert np.allclose(chances.sum(1), 1)
    assert (chances.argmax(1) == truth.numpy()).mean() > 0.9
    assert (pupil.learn(x, y, 3, how, seed=0)(asked) == chances).all()


@pytest.mark.parametrize("how", ["plain", "augmented", "weighted", "oversampled"])
def test_pupils_learn_rows(how):
    draw = np.random.default_rng(0)
    x = torch.from_numpy(draw.normal(size=(300, 4)).astype(np.float32))
    y = (x[:, 0] > 0.8).long() * 2  # class 1 is never there
    chances = TablePupil(updates=20).learn(x, y, 3, how, seed=0)(x)
    assert chances[:, 1].max() == 0
    assert marks(y.numpy(), chances).balanced_accuracy > 0.95
    only = TablePupil(updates=20).learn(x, torch.full_like(y, 2), 3, how, seed=0)(x)
    assert (only.argmax(1) == 2).all()


# ---------------------------------------------------------------------- what a study says


def a_study(*arms: tuple[str, str, float, float], nearer: float = 0.5) -> Study:
    """Arms of a name, a kind, and balanced accuracies on validation and test, which five seeds sway a little."""
    sway = (-0.004, -0.002, 0.0, 0.002, 0.004)
    made = [
        Arm(
            name,
            kind,  # type: ignore[arg-type]
            100,
            (validation,) * 5,
            tuple(Marks(test + place * by, test, math.nan, (test, 1.0)) for by in sway),
        )
        for place, (name, kind, validation, test) in enumerate(arms)
    ]
    spy = Leak(0.1, 0.1, nearer, 0.01, 0.0, 100, 100)
    return Study(tuple(made), ("a", "b"), (10, 90), 50, 60, 400, "steps", spy)


def test_validation_chooses_and_the_test_side_only_marks():
    found = a_study(
        (REAL, "base", 0.8, 0.80),
        ("classical", "without", 0.9, 0.85),
        ("ratio 1", "with", 0.84, 0.83),
        ("ratio 2", "with", 0.83, 0.99),
    )
    word, text = found.verdict()
    assert word == "helps"
    assert "(ratio 1)" in text
    assert "+3.0 points" in text
    assert "Against classical" in text
    assert "-2.0 points" in text
    assert ": worse." in text
    page = markdown(found)
    assert "| ratio 1 * |" in page
    assert "| ratio 2 |" in page
    assert json.loads(json.dumps(found.plain(), allow_nan=False))["verdict"] == "helps"


def test_it_says_so_when_samples_do_not_help_or_harm():
    assert (
        a_study((REAL, "base", 0.8, 0.8), ("x", "with", 0.8, 0.797))
        .verdict()[1]
        .startswith("Synthetic data does not help here: a gain of more than 1 point is excluded.")
    )
    harmed = a_study((REAL, "base", 0.8, 0.8), ("x", "with", 0.8, 0.7), nearer=0.9).verdict()
    assert harmed[0] == "harms"
    assert "may have leaked" in harmed[1]


# ---------------------------------------------------------------------- digits


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run by class that held four fifths out. Read it, do not write there."""
    run = tmp_path_factory.mktemp("runs") / "digits"
    small = ("--game.width", "4", "--game.hidden", "16", "--game.z-dim", "4", "--train.kimg", "0.5")
    assert _play("train", "digits", "--family", "cgan", *small, "--data.held-out", "0.8", "--run", run) == 0
    return run


def test_a_set_of_pictures(digits, sparring: Sparring, tmp_path):
    answer = sparring("augment", digits, "--balance", "--out", tmp_path / "set")
    assert answer.code == 0, answer.err
    data = open_data(str(tmp_path / "set"), Data())
    assert data.spec.shape == (1, 8, 8)
    assert len(set(data.spec.class_counts)) == 1  # each class is as large as the largest
    with open(tmp_path / "set" / "manifest.csv", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(data)
    made = [line for line in lines if line["synthetic"] == "1"]
    seeds = [int(line["seed"]) for line in made]
    assert seeds == list(range(len(made)))
    run = load(digits)
    whole = open_data("digits", Data())
    assert {line["class"] for line in lines} == set(whole.spec.classes)
    assert 250 < len(lines) - len(made) < 450  # what it was trained on, not what was held out
    last = made[-1]
    again = sparring("sample", digits, "--seeds", last["seed"], "--class", last["class"], "--out", tmp_path / "one")
    assert again.code == 0
    (one,) = (tmp_path / "one").glob("*.png")
    assert one.read_bytes() == (tmp_path / "set" / last["file"]).read_bytes()
    assert run.game.spec.classes == whole.spec.classes


def test_a_set_of_samples_alone(digits, sparring: Sparring, tmp_path):
    answer = sparring("augment", digits, "--count", "20", "--synthetic-only", "--out", tmp_path / "set")
    assert answer.code == 0, answer.err
    assert len(list((tmp_path / "set").glob("*/fake-*.png"))) == 20
    assert not list((tmp_path / "set").glob("*/real-*.png"))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]  # nothing half made is left


def test_what_cannot_be_written_is_refused(digits, finished, refused, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    assert "is not empty" in refused("augment", digits, "--out", tmp_path / "full")
    assert (tmp_path / "full" / "mine.txt").exists()
    assert "give one of them" in refused("augment", digits, "--count", "1", "--balance", "--out", tmp_path / "a")
    assert "--ratio is a number above 0" in refused("augment", digits, "--ratio", "0", "--out", tmp_path / "a")
    assert "--out" in refused("augment", digits, "--count", "1")
    assert "by class" in refused("augment", finished, "--balance", "--out", tmp_path / "a")
    assert "by class" in refused("augment", finished, "--study")
    assert "--test" in refused("augment", digits, "--study", "--count", "3")
    assert "2 seeds or more" in refused("augment", digits, "--study", "--seeds", "1")
    assert "nowhere" in refused("augment", digits, tmp_path / "nowhere", "--out", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_folders_are_safe():
    assert folders_for(("cat", "a/b", "a:b", "..", "test", "Cat")) == (
        *("class-0-cat", "class-1-a_b", "class-2-a_b", "__", "class-4-test", "class-5-Cat"),
    )


def test_a_study_of_pictures(digits, sparring: Sparring, tmp_path):
    answer = sparring("augment", digits, "--study", "--seeds", "2", "--updates", "10", "--out", tmp_path)
    assert answer.code == 0, answer.err
    found = json.loads((tmp_path / "study.json").read_text())
    names = [arm["name"] for arm in found["arms"]]
    assert names[0] == REAL
    assert names[-1] == EVENED
    assert len(names) == 10
    sizes = {arm["name"]: arm["lesson"] for arm in found["arms"]}
    count = sizes[REAL]
    assert sizes[ONLY] == count == sum(found["counts"])
    assert [sizes[f"real + {r:g} x synthetic"] for r in (0.25, 0.5, 1, 2)] == [
        count + round(r * count) for r in (0.25, 0.5, 1, 2)
    ]
    assert sizes[EVENED] == 10 * max(found["counts"])
    held_out = 1797 - count
    assert abs(found["validation"] - found["test"]) <= 10
    assert found["validation"] + found["test"] <= held_out
    assert found["verdict"] in ("helps", "does not help", "harms", "cannot tell")
    assert found["sentence"] in (tmp_path / "study.md").read_text()


def test_without_anything_held_out_no_study(refused, tmp_path):
    small = ("--game.width", "4", "--game.hidden", "16", "--game.z-dim", "4", "--train.kimg", "0.1")
    assert _play("train", "digits", "--family", "cgan", *small, "--run", tmp_path / "run") == 0
    assert "--data.held-out 0.2" in refused("augment", tmp_path / "run", "--study")
    assert "never saw" in refused("augment", tmp_path / "run", "--study", "--test", "digits")


def test_sides_are_apart(digits):
    found = sides_of(load(digits))
    rows = [{bytes(row) for row in part.x.flatten(1).numpy()} for part in (found.train, found.validation, found.test)]
    assert all(not one & other for one, other in itertools.combinations(rows, 2))
    assert sum(map(len, (found.train, found.validation, found.test))) > 1780  # of 1,797, some of them equal
    with pytest.raises(SparringError, match="the test side has 0 samples"):
        sides_of(load(digits), test="digits")  # all of them are taught or chosen with


def test_where_validation_is_named_all_that_was_held_out_tests(digits, tmp_path):
    run = load(digits)
    held_out = reals_of_run(run.folder, run.game.spec, None).reference
    darker = held_out.get(range(0, len(held_out), 2))[0][:, 0] // 2  # no other side has such
    assert held_out.labels is not None
    np.savez(tmp_path / "other.npz", images=darker.numpy(), labels=held_out.labels[::2].numpy())
    found = sides_of(run, validation=str(tmp_path / "other.npz"))
    assert len(found.validation) > 0.9 * len(darker)
    assert len(found.test) > 0.95 * len(held_out)  # some of them are as those learnt from


# ---------------------------------------------------------------------- a table


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run on 400 rows: one in eight says yes, and the older ones do."""
    folder = tmp_path_factory.mktemp("people")
    draw = np.random.default_rng(0)
    lines = ["id,age,town,answer"]
    for k in range(400):
        yes = k % 8 == 0
        lines.append(f"{k},{draw.normal(60 if yes else 40, 5):.1f},{draw.choice(['x', 'y'])},{'yes' if yes else 'no'}")
    (folder / "people.csv").write_text("\n".join(lines) + "\n")
    small = ("--game.width", "16", "--train.batch", "50", "--train.kimg", "1", "--data.held-out", "0.4")
    assert _play("train", folder / "people.csv", "--family", "ctgan", *small, "--run", folder / "run") == 0
    return folder / "run"


def test_a_set_of_rows(people, sparring: Sparring, tmp_path):
    answer = sparring("augment", people, "--balance", "--out", tmp_path / "set")
    assert answer.code == 0, answer.err
    with open(tmp_path / "set" / "table.csv", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["id"] for line in lines] == [str(k + 1) for k in range(len(lines))]
    answers = [line["answer"] for line in lines]
    assert answers.count("yes") == answers.count("no")
    made = [line for line in lines if line["synthetic"] == "1"]
    assert {line["answer"] for line in made} == {"yes"}
    assert 200 < len(lines) - len(made) < 280
    source = {(line["age"], line["town"], line["answer"]) for line in read(people.parent / "people.csv")}
    assert {(line["age"], line["town"], line["answer"]) for line in lines if line["synthetic"] == "0"} <= source

    assert sparring("augment", people, "--ratio", "0.5", "--no-mark", "--out", tmp_path / "half").code == 0
    half = read(tmp_path / "half" / "table.csv")
    reals = len(lines) - len(made)
    assert len(half) == reals + round(reals / 2)
    assert "synthetic" not in half[0]


def read(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_study_of_a_table(people):
    found = study(load(people), seeds=2, updates=10)
    assert [arm.name for arm in found.arms][1] == "real, SMOTE"
    assert found.classes == ("no", "yes")
    assert not math.isnan(found.arms[0].test[0].auroc)
    assert found.arms[0].test[0].auroc > 0.9  # ages say it
    assert found.unit == "rounds of boosting"
    with pytest.raises(SparringError, match="10 updates or more"):
        study(load(people), updates=9)
