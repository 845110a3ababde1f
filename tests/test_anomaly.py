"""Anomaly detection: areas and baselines by hand, the score of f-AnoGAN, and ``sparring score`` from data to files."""

import csv
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sparring.core.anomaly import Scores
from sparring.core.batch import Batch
from sparring.core.columns import Column, Layout
from sparring.core.config import Data, Train
from sparring.core.errors import SparringError
from sparring.core.registry import load_family
from sparring.core.rows import Rows, expand
from sparring.core.seeds import SeedNoise
from sparring.core.spec import DataSpec
from sparring.data import open_data
from sparring.data.table.strange import FURTHEST, Strangers, read_strangers, strangeness
from sparring.metrics.anomaly import NeighbourDistance, PCAError, auprc, auroc, separation
from sparring.testing import conformance
from sparring.tools.score_inputs import open_samples
from sparring.tools.scoring import by_column, percentiles_of, score_all, spaced

FAnoGAN = load_family("fanogan")
COLUMNS = (
    Column("size", "continuous", (90,), centres=(5.0,), reaches=(5.0,), minimum=0, maximum=10, decimals=1),
    Column("kind", "categorical", (60, 30), ("a", "b")),
    Column("always", "constant", categories=("x",)),
    Column("gaps", "integer", (40, 40, 10), points=(1.0, 2.0), minimum=1, maximum=2, missing=True),
)
LAYOUT = Layout(COLUMNS)
TABLE = DataSpec("table", (LAYOUT.width,), count=90, given=(LAYOUT.asked,), columns=COLUMNS)


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def batch(real: torch.Tensor) -> Batch:
    return Batch(real, None, 0, SeedNoise(range(len(real)), torch.device("cpu")))


# ---------------------------------------------------------------------- areas


def test_the_area_under_roc_counts_pairs():
    # 2 beats 1 and equals 2, 4 beats all three: (1 + 1/2 + 3) of 6 pairs.
    assert auroc(numbers(3, 1, 2), numbers(2, 4)) == pytest.approx(0.75)
    assert auroc(numbers(1, 2), numbers(0)) == 0
    assert auroc(numbers(1, torch.inf), numbers(torch.inf, torch.inf)) == pytest.approx(0.75)


def test_average_precision_by_hand():
    # Thresholds 5, 3, 2 find one more of three each, at precisions 1, 2/3 and 3/5.
    assert auprc(numbers(1, 2, 3), numbers(2, 3, 5)) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    # Equal scores pass together: 2 of 3 at once, where one by one they might have been found first.
    assert auprc(numbers(7), numbers(7, 7)) == pytest.approx(2 / 3)


def test_areas_are_those_of_scikit_learn():
    from sklearn.metrics import average_precision_score, roc_auc_score

    draw = np.random.default_rng(0)
    scores, truth = draw.integers(0, 9, 200).astype(float), draw.random(200) < 0.2
    sides = torch.from_numpy(scores[~truth]), torch.from_numpy(scores[truth])
    assert auroc(*sides) == pytest.approx(roc_auc_score(truth, scores))
    assert auprc(*sides) == pytest.approx(average_precision_score(truth, scores))


def test_intervals_hold_the_value_and_know_guessing():
    scores = torch.randn(400, generator=torch.Generator().manual_seed(0))
    guessed = separation(scores[:200], scores[200:], repeats=100)
    assert guessed.auroc.low < 0.5 < guessed.auroc.high
    assert guessed.auroc.low < guessed.auroc.value < guessed.auroc.high
    sure = separation(numbers(1, 2), numbers(3, 4), repeats=10)
    assert (sure.auroc.low, sure.auroc.high, sure.auprc.low) == (1, 1, 1)


@pytest.mark.parametrize("area", [auroc, auprc])
def test_areas_refuse_what_they_cannot_say(area):
    with pytest.raises(ValueError, match="each side needs"):
        area(numbers(), numbers(1))
    with pytest.raises(ValueError, match="not a number"):
        area(numbers(1), numbers(torch.nan))


# ---------------------------------------------------------------------- baselines


def test_pca_sees_what_leaves_the_line():
    line = PCAError(numbers(-2, -1, 0, 1, 2)[:, None].expand(5, 2))
    assert line.components == 1
    # (1, -1) is off the line y = x by itself, (3, 3) lies on it, (2, 0) is (1, 1) off (1, 1) and (1, -1) from it.
    torch.testing.assert_close(line(torch.tensor([[1.0, -1.0], [3.0, 3.0], [2.0, 0.0]])), numbers(1, 0, 1))


def test_pca_of_fewer_rows_than_numbers():
    one = PCAError(torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]))
    torch.testing.assert_close(one(torch.tensor([[5.0, 3.0, 0.0]])), numbers(3))  # (0 + 9 + 0) / 3


def test_pca_keeps_as_much_as_it_is_told():
    corners = torch.tensor([[3.0, 0.0, 0.0], [-3.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])  # variances 9 to 1
    assert PCAError(corners, kept=0.9).components == 1
    assert PCAError(corners, kept=0.91).components == 2


def test_the_kth_neighbour():
    distance = NeighbourDistance(numbers(0, 1, 3, 7)[:, None], k=2)
    torch.testing.assert_close(distance(numbers(0.5, 10)[:, None]), numbers(0.5, 7))
    assert NeighbourDistance(numbers(0, 1)[:, None], k=5).k == 2


# ---------------------------------------------------------------------- the game


def test_first_the_gan_then_the_encoder():
    game = conformance.make_game(FAnoGAN)
    assert [turn.name for turn in game.turns(0)] == ["D.critic", "G.generator"]
    assert [turn.name for turn in game.turns(20)] == ["E.encoder"]
    assert FAnoGAN.scaled(TABLE, Train(kimg=10)) == {"game": {"gan_kimg": 7.0}}
    with pytest.raises(SparringError, match=r"train.kimg 10: make it longer"):
        FAnoGAN.refuse(TABLE, FAnoGAN.config_class(gan_kimg=10), Train(kimg=10))


class Half(nn.Module):
    def forward(self, code: torch.Tensor) -> torch.Tensor:
        return code.view(-1, 1, 8, 8) / 2


class Mean(nn.Module):
    def features(self, sample: torch.Tensor) -> torch.Tensor:
        return sample.flatten(1).mean(1, keepdim=True)


def test_the_score_by_hand():
    game = FAnoGAN(DataSpec("image", (1, 8, 8)), FAnoGAN.config_class(z_dim=2, width=2, kappa=2.0))
    game.G, game.D, game.E = Half(), Mean(), nn.Flatten()
    found = game.abnormal(batch(torch.ones(3, 1, 8, 8)))
    # Made again as 1/2: pixels differ by 1/2, so do the features, which weigh 2.
    torch.testing.assert_close(found.score, torch.full((3,), 0.25 + 2 * 0.25))
    torch.testing.assert_close(found.map, torch.full((3, 1, 8, 8), 0.5))
    torch.testing.assert_close(found.again, torch.full((3, 1, 8, 8), 0.5))
    outcome = game.encoder(batch(torch.ones(3, 1, 8, 8)))
    assert float(outcome.loss) == pytest.approx(0.75)


@pytest.mark.parametrize("spec", [DataSpec("image", (3, 12, 9)), TABLE], ids=["image", "table"])
def test_a_score_is_a_matter_of_the_sample_alone(spec):
    torch.manual_seed(0)
    game = FAnoGAN(spec, FAnoGAN.config_class(z_dim=4, width=4))
    assert isinstance(game, Scores)
    samples = torch.rand(6, *spec.shape) * 2 - 1
    together, alone = game.abnormal(batch(samples)), game.abnormal(batch(samples[2:3]))
    assert together.map.shape == together.again.shape == samples.shape
    assert float(together.again.detach().abs().max()) <= 1
    for ours, own in zip(together, alone, strict=True):
        torch.testing.assert_close(ours[2:3], own, rtol=1e-4, atol=1e-6)
    game.eval()
    torch.testing.assert_close(game.abnormal(batch(samples)).score, together.score, rtol=0, atol=0)


def test_rows_that_are_made_are_rows():
    torch.manual_seed(0)
    game = FAnoGAN(TABLE, FAnoGAN.config_class(z_dim=4, width=8))
    made = game.sample(Batch.of_seeds(range(5), None, torch.device("cpu")))
    for span in LAYOUT.choices:
        torch.testing.assert_close(made[:, span.first : span.first + span.states].sum(1), torch.ones(5))


@pytest.mark.parametrize(
    "check",
    [
        *(conformance.check_finite_losses, conformance.check_only_movers_move, conformance.check_bit_identical_resume),
        *(conformance.check_accumulation, conformance.check_samples, conformance.check_readings),
    ],
    ids=lambda check: check.__name__,
)
def test_the_laws_hold_for_tables(check, monkeypatch):
    settings = FAnoGAN.config_class(z_dim=4, width=8, d_steps=2, gan_kimg=0.02)
    monkeypatch.setattr(FAnoGAN, "tiny", classmethod(lambda cls: (TABLE, settings)))
    check(FAnoGAN)


def test_defaults_follow_a_table():
    assert FAnoGAN.defaults(TABLE)["game"] == {"z_dim": 2, "width": 128}  # half of three columns, 2 at least
    assert FAnoGAN.defaults(DataSpec("image", (1, 28, 28), count=6000))["train"]["kimg"] == 1800


# ---------------------------------------------------------------------- rows


def test_what_a_table_never_held():
    values = (np.array([5.0, 12.5, -5.0, 1e9]), np.array([0, -2, 1, -1]), np.array([0, -2, 0, 0]), np.full(4, np.nan))
    unknown, beyond = strangeness(Rows(COLUMNS, values), COLUMNS)
    assert unknown.tolist() == [
        [False] * 4,
        [False, True, True, False],  # another kind, another constant
        [False] * 4,
        [False, True, False, False],  # a gap where there was none; those of the last column are known
    ]
    # The range 0 to 10 is taken for -1 to 1: 2.5 beyond it are half of that, and nothing is further than so much.
    assert beyond[:, 0].tolist() == [0, 0.5, 1, FURTHEST]
    assert not beyond[:, 1:].any()


def test_a_number_beside_the_few_that_a_column_has():
    """Networks are told the nearest of the few; that it is another must be said apart."""
    few = Column("few", "integer", points=(1.0, 2.0, 4.0), minimum=1, maximum=4)
    tenths = Column("tenths", "continuous", points=(0.1, 0.3), minimum=0.1, maximum=0.3, decimals=1)
    exact = Column("exact", "continuous", points=(1 / 3, 2 / 3), minimum=1 / 3, maximum=2 / 3, decimals=-1)
    values = np.array([1.0, 3.0, 4.0]), np.array([0.1, 0.2, 0.1 + 0.2]), np.array([1 / 3, 0.5, 2 / 3])
    unknown, beyond = strangeness(Rows((few, tenths, exact), values), (few, tenths, exact))
    assert unknown.tolist() == [[False] * 3, [True] * 3, [False] * 3]
    assert beyond.max() < 1e-12


def strangers(ages: list[float]) -> Strangers:
    """Rows that differ from normal ones in their age alone."""
    rows = Rows(COLUMNS, (np.array(ages), *(np.zeros(len(ages), int) for _ in range(2)), np.ones(len(ages))))
    encoded = torch.zeros(len(ages), LAYOUT.width)
    return Strangers(rows, encoded, *strangeness(rows, COLUMNS), None, ())


def test_percentiles_compare_strangeness_with_strangeness():
    """To networks these four are one and the same row; one of them is 5 half-ranges off, one has no age."""
    torch.manual_seed(0)
    game = FAnoGAN(TABLE, FAnoGAN.config_class(z_dim=4, width=8)).eval()
    normal = strangers([5.0, 5.0, 35.0, math.nan])
    (own, *_), _ = score_all(game, lambda part: normal.encoded[list(part)], 4, None, "")
    off = 25 / LAYOUT.width
    asked = np.array([own, own + off / 2, own + 2 * off, math.inf])
    found, _ = percentiles_of(game, normal, asked, True, None)
    assert found.tolist() == [0, 50, 75, 75]


def test_rows_held_out_are_those_of_training(tmp_path):
    draw = np.random.default_rng(0)
    source = people(
        tmp_path / "people.csv", [f"{draw.normal(40, 5):.1f},{'Rome' if k % 3 else 'Oslo'},0" for k in range(90)]
    )
    train = open_data(str(source), Data(held_out=0.3))
    assert train.held_out is not None
    found = read_strangers(str(source), train.spec.columns, held_out=0.3)
    assert torch.equal(
        found.encoded, expand(train.held_out.get(range(len(train.held_out)))[0], Layout(train.spec.columns))
    )
    assert len(read_strangers(str(source), train.spec.columns)) == 90


def test_parts_of_columns_add_up():
    heat = torch.rand(3, LAYOUT.width)
    parts = by_column(heat, LAYOUT)
    np.testing.assert_allclose(parts.sum(1), heat.double().square().mean(1), rtol=1e-6)
    assert not parts[:, 2].any()  # the constant
    np.testing.assert_allclose(parts[:, 0], heat[:, 0].double().square() / LAYOUT.width)


def test_places_are_spaced():
    assert spaced(10, 4) == [0, 3, 6, 9]
    assert spaced(3, 4) == [0, 1, 2]


# ---------------------------------------------------------------------- from data to files

TRAINED = (
    *("--family", "fanogan", "--train.kimg", "2", "--train.batch", "16", "--game.width", "4", "--game.z-dim", "4"),
    *("--train.referee", "false", "--train.save-kimg", "9", "--train.picture-kimg", "9", "--game.d-steps", "1"),
    *("--optim.lr", "5e-3"),
)


def grey(folder: Path, count: int, level: int, size: tuple[int, int] = (12, 12)) -> Path:
    """Nearly plain pictures, all of them different."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(level)
    for number in range(count):
        pixels = (level + draw.integers(0, 20, size)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder


def read(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on dark pictures of 12 x 12."""
    from conftest import _play

    root = tmp_path_factory.mktemp("anomaly")
    assert _play("train", grey(root / "dark", 24, 20), "--run", root / "run", *TRAINED) == 0
    return root


def test_pictures_are_scored(pictures, sparring, tmp_path):
    new = tmp_path / "new"
    grey(new / "dark", 8, 25)
    grey(new / "bright", 4, 220, (20, 30))  # brought to the run's size
    answer = sparring("score", pictures / "run", new, "--out", tmp_path / "out", "--normal", "dark", "--pictures", "3")
    assert answer.code == 0, answer.err
    lines = read(tmp_path / "out" / "scores.csv")
    assert [line["file"] for line in lines] == [
        f"{k}/{n:03d}.png" for k, c in (("bright", 4), ("dark", 8)) for n in range(c)
    ]
    assert [line["label"] for line in lines] == ["bright"] * 4 + ["dark"] * 8
    bright, dark = ([float(line["score"]) for line in lines if line["label"] == label] for label in ("bright", "dark"))
    assert min(bright) > max(dark) > 0
    assert {line["percentile"] for line in lines[:4]} == {"100.00"}
    heat = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert [name[:11] for name in heat] == ["001-bright-", "002-bright-", "003-bright-"]
    for words in ("fanogan", "PCA", "k-NN", "1.000 to 1.000", "24 training samples"):
        assert words in answer.out


def test_scores_are_the_same_again(pictures, sparring, tmp_path):
    new = grey(tmp_path / "new", 3, 90)
    for out in ("a", "b"):
        assert sparring("score", pictures / "run", new, "--out", tmp_path / out, "--pictures", "1").code == 0
    first, second = ([*(tmp_path / out).iterdir()] for out in ("a", "b"))
    assert {path.name: path.read_bytes() for path in first} == {path.name: path.read_bytes() for path in second}
    assert len(first) == 2


def test_what_cannot_be_scored(pictures, finished, refused, tmp_path):
    run, out = pictures / "run", tmp_path / "out"
    both = tmp_path / "both"
    grey(both / "x", 2, 30)
    plain = grey(both / "y", 2, 60)
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n3,4\n")
    assert "gives no scores" in refused("score", finished, plain, "--out", out)
    assert "is a table" in refused("score", run, table, "--out", out)
    assert "need a folder" in refused("score", run, plain, "--out", out, "--normal", "x")
    assert "did you mean 'x'" in refused("score", run, both, "--out", out, "--normal", "xx")
    assert "column of a table" in refused("score", run, both, "--out", out, "--labels", "kind")
    assert "0 or more" in refused("score", run, both, "--out", out, "--pictures", "-1")
    assert not out.exists()


def people(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join(["age,town,label", *rows]) + "\n")
    return path


def test_rows_are_scored(sparring, refused, tmp_path):
    draw = np.random.default_rng(0)

    def normal() -> str:
        age = draw.normal(40, 5)
        return f"{age:.1f},{'Rome' if age < 40 else 'Oslo'},0"

    train = people(tmp_path / "people.csv", [normal() for _ in range(120)])
    assert sparring("train", train, "--run", tmp_path / "run", *TRAINED, "--data.held-out", "0.2").code == 0
    strange = ["400,Rome,1", "40,Paris,1", ",Oslo,1", "70,Rome,1"]
    new = people(tmp_path / "new.csv", [normal() for _ in range(20)] + strange)
    out = tmp_path / "out"
    answer = sparring("score", tmp_path / "run", new, "--out", out, "--labels", "label", "--normal", "0")
    assert answer.code == 0, answer.err
    lines = read(out / "scores.csv")
    assert [line["row"] for line in lines] == [str(row) for row in range(1, 25)]
    assert [line["unknown"] for line in lines[20:]] == ["", "town", "age", ""]
    assert [line["score"] for line in lines[21:23]] == ["inf", "inf"]
    assert float(lines[20]["part of age"]) > 100 > float(lines[20]["part of town"])
    line = lines[0]
    parts = sum(float(line[name]) for name in ("part of age", "part of town", "features"))
    assert parts == pytest.approx(float(line["score"]), rel=1e-4)
    assert min(float(line["score"]) for line in lines[20:23]) > max(float(line["score"]) for line in lines[:20])
    assert "held-out samples" in answer.out
    # The last four are strange to the eye: one by its number, two by unknown values; 70 is beyond all ages as well.
    assert re.search(r"^fanogan without ranges +0\.\d", answer.out, re.M)
    assert re.search(r"^ranges +1\.000 +1\.000 to 1\.000", answer.out, re.M)
    assert "knows the column 'town'" in refused("score", tmp_path / "run", new, "--out", out, "--labels", "town")
    assert "has no column" in refused("score", tmp_path / "run", new, "--out", out, "--labels", "nothing")
    train.write_text(train.read_text() + "99,Rome,0\n")
    answer = sparring("score", tmp_path / "run", new, "--out", out, "--labels", "label", "--normal", "0")
    assert answer.code == 0, answer.err
    assert "has changed since" in answer.out
    assert "there are no percentiles, and no baselines" in answer.out
    assert "--data" not in answer.out
    assert "percentile" not in read(out / "scores.csv")[0]
    (tmp_path / "other.csv").write_text("height,town\n1,Rome\n2,Oslo\n")
    assert "no column 'age'" in refused("score", tmp_path / "run", tmp_path / "other.csv", "--out", out)
    assert "the run was trained on a table" in refused(
        "score", tmp_path / "run", grey(tmp_path / "p", 2, 9), "--out", out
    )


def test_it_is_said_that_crops_see_the_middle_alone(tmp_path):
    folder = grey(tmp_path / "new", 2, 9, (30, 20))
    samples = open_samples(str(folder), DataSpec("image", (1, 12, 12)), Data(crop=12), "", None)
    assert samples.read([0, 1]).shape == (2, 1, 12, 12)
    assert "of each picture the 12x12 in its middle are scored and nothing else" in samples.notes[-1]


def test_scores_without_the_training_data(pictures, sparring, tmp_path):
    import shutil

    shutil.copytree(pictures / "run" / "model", tmp_path / "model")
    answer = sparring("score", tmp_path / "model", grey(tmp_path / "new", 2, 9), "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "not at hand" in answer.out
    assert list(read(tmp_path / "out" / "scores.csv")[0]) == ["file", "score"]
