"""Families for tables: how rows are dealt, what the losses are, and samples under conditions, from data to files."""

import csv
import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from sparring.core.batch import Batch
from sparring.core.columns import Column, Layout
from sparring.core.config import Data, Train
from sparring.core.errors import SparringError
from sparring.core.recipe import Recipe
from sparring.core.registry import load_family
from sparring.core.rows import Rows, compact, decode, encode
from sparring.core.spec import DataSpec
from sparring.data import make_dealer, open_data
from sparring.data.dataset import DataSet
from sparring.data.table.dealer import BLOCK, TableDealer
from sparring.metrics.tables.marginals import column_shapes
from sparring.modalities import table
from sparring.nn.table import Frequencies, States, TableDecoder
from sparring.objectives.reconstruction import gaussian, kl_to_normal
from sparring.tools.inspect import inspect
from sparring.tools.plan import make_plan
from sparring.tools.tables import Synthesizer
from sparring.tools.train import train
from sparring.tools.where import draw_where, meets, parse_where

CPU = torch.device("cpu")
COLUMNS = (
    Column(
        "size",
        "integer",
        (40, 20, 40),
        centres=(10.0,),
        reaches=(8.0,),
        points=(50.0,),
        minimum=2,
        maximum=60,
        missing=True,
    ),
    Column("kind", "categorical", (60, 30, 10), ("a", "b", "c, d"), target=True),
    Column("shop", "categorical", (50, 50), ("x",), ("y", "z"), (30, 20)),
    Column(
        "day", "date", (100,), centres=(19000.0,), reaches=(400.0,), minimum=18600, maximum=19400, format="%Y-%m-%d"
    ),
)
LAYOUT = Layout(COLUMNS)
SPEC = DataSpec("table", (LAYOUT.width,), count=100, given=(LAYOUT.asked,), columns=COLUMNS)


def a_set(count: int = 100) -> DataSet:
    """Rows whose states occur as often as the columns say."""
    draw = np.random.default_rng(0)
    size = np.where(
        np.arange(count) % 5 < 2, np.nan, np.where(np.arange(count) % 5 == 2, 50, draw.integers(3, 18, count))
    )
    kind = np.repeat([0, 1, 2], [count * 6 // 10, count * 3 // 10, count // 10])
    shop = draw.permutation(np.repeat([0, 1, 2], [count // 2, count * 3 // 10, count // 5]))
    kept, known = encode(Rows(COLUMNS, (size, kind, shop, draw.integers(18700, 19300, count).astype(float))))
    assert known.all()
    return DataSet("toy", SPEC, "0" * 64, (), pixels=kept)


# ---------------------------------------------------------------------- layout and dealing


def test_the_layout():
    assert [(s.scalar, s.first, s.asked, s.states) for s in LAYOUT.spans] == [
        *((0, 1, 0, 3), (-1, 4, 3, 3), (7, 8, 6, 2), (10, -1, -1, 0)),
    ]
    assert (LAYOUT.width, LAYOUT.asked) == (11, 8)


def test_every_row_meets_the_condition_it_is_dealt_with():
    dealt = TableDealer(a_set(), 3, CPU).deal(0, 4000)
    assert dealt.given is not None
    assert torch.equal(dealt.given.sum(1), torch.ones(4000))
    states = dealt.real[:, States(LAYOUT).states]
    assert torch.equal((states * dealt.given).sum(1), torch.ones(4000))


def test_every_slot_of_every_column_is_dealt_by_the_logarithm_of_its_count():
    """The condition is right for all columns, not for the first alone."""
    count = 4 * BLOCK
    given = TableDealer(a_set(), 3, CPU).deal(0, count).given
    shares = given.mean(0).tolist()
    for span in LAYOUT.choices:
        weights = [math.log1p(n) for n in COLUMNS[span.place].counts]
        for state, weight in enumerate(weights):
            assert shares[span.asked + state] == pytest.approx(weight / sum(weights) / 3, abs=0.01)


def test_what_is_dealt_depends_on_the_position_alone():
    data = a_set()
    whole = TableDealer(data, 3, CPU).deal(BLOCK - 7, 20)
    cut = [TableDealer(data, 3, CPU).deal(BLOCK - 7 + k, 1) for k in range(20)]
    for part in (0, 2):
        assert torch.equal(whole[part], torch.cat([piece[part] for piece in cut]))
    other = TableDealer(data, 4, CPU).deal(BLOCK - 7, 20)
    assert not torch.equal(whole.real, other.real)


def test_only_a_family_that_asks_is_dealt_conditions():
    data = a_set()
    asked = make_dealer(data, seed=0, stride=8, device=CPU, asks=True).deal(0, 8)
    plain = make_dealer(data, seed=0, stride=8, device=CPU).deal(0, 100)
    assert asked.given is not None
    assert plain.given is None
    assert torch.equal(compact(plain.real, LAYOUT).sort(0).values, data.pixels.sort(0).values)  # each row once


def test_unconditional_samples_follow_the_frequencies_and_not_their_logarithms():
    draws = torch.rand(30_000, 2, generator=torch.Generator().manual_seed(0))
    shares = Frequencies(LAYOUT).draw(draws).mean(0).tolist()
    for span in LAYOUT.choices:
        counts = COLUMNS[span.place].counts
        for state, count in enumerate(counts):
            assert shares[span.asked + state] == pytest.approx(count / sum(counts) / 3, abs=0.01)


# ---------------------------------------------------------------------- what networks end in


def test_states_of_a_row_sum_to_one_and_scalars_count_with_them():
    states = States(LAYOUT)
    raw = torch.randn(50, LAYOUT.width, generator=torch.Generator().manual_seed(0))
    rows = states.soft(raw, torch.rand(50, LAYOUT.width, generator=torch.Generator().manual_seed(1)), 0.2)
    for span in LAYOUT.choices:
        torch.testing.assert_close(rows[:, span.first : span.first + span.states].sum(1), torch.ones(50))
    torch.testing.assert_close(rows[:, 0], torch.tanh(raw[:, 0]) * rows[:, 1])  # as far as "size" is in its mode
    torch.testing.assert_close(rows[:, 7], torch.tanh(raw[:, 7]) * rows[:, 9])  # as far as "shop" is a rare one
    torch.testing.assert_close(rows[:, 10], torch.tanh(raw[:, 10]))


def test_states_are_drawn_by_their_probabilities():
    raw = torch.zeros(20_000, LAYOUT.width)
    raw[:, 4:7] = torch.tensor([0.6, 0.3, 0.1]).log()
    drawn = States(LAYOUT).hard(raw, torch.rand(20_000, LAYOUT.width, generator=torch.Generator().manual_seed(0)))
    assert drawn[:, 1].mean(0).tolist() == pytest.approx([0.6, 0.3, 0.1], abs=0.02)


def test_rows_without_choices():
    """Each column is one mode: nothing is chosen, everything is said by scalars."""
    columns = tuple(Column(name, "continuous", (64,), centres=(0.0,), reaches=(1.0,), decimals=2) for name in "ab")
    layout = Layout(columns)
    spec = DataSpec("table", (layout.width,), count=64, given=(layout.asked,), columns=columns)
    for name in ("ctgan", "tvae"):
        family = load_family(name)
        game = family(spec, family.config_class(z_dim=4, width=8))
        batch = Batch.of_seeds(range(6), None, CPU, given=torch.zeros(6, 0))
        batch.real = torch.rand(6, 2)
        for turn in game.turns(0):
            assert turn.loss(batch).loss.isfinite()
        assert game.eval().sample(batch).shape == (6, 2)


def test_a_deviation_comes_back_from_either_end():
    decoder = TableDecoder(4, [8], 5, 3)
    assert decoder(torch.zeros(1, 4))[1].tolist() == pytest.approx([0.1] * 3)
    with torch.no_grad():
        decoder.theta += torch.tensor([-0.3, 0.0, 0.4])
    deviations = decoder(torch.zeros(1, 4))[1]
    assert 0.01 < deviations.min() < 0.02
    assert 0.9 < deviations.max() < 1
    (slope,) = torch.autograd.grad(deviations.sum(), decoder.theta)
    assert slope[1] == pytest.approx(12 * 0.99 * 10 / 121)  # about 1: as fast as itself
    assert slope.min() > 0


def test_the_cross_entropy_is_of_the_asked_column_alone():
    states = States(LAYOUT)
    raw = torch.randn(6, LAYOUT.width, generator=torch.Generator().manual_seed(0))
    condition = one_hot(torch.tensor([0, 2, 3, 5, 6, 7]), LAYOUT.asked).float()
    parts = [slice(1, 4), slice(1, 4), slice(4, 7), slice(4, 7), slice(8, 10), slice(8, 10)]
    chosen = [0, 2, 0, 2, 0, 1]
    expected = [-raw[k, part].log_softmax(0)[c] for k, (part, c) in enumerate(zip(parts, chosen, strict=True))]
    torch.testing.assert_close(states.cross_entropy(raw, states.as_row(condition)), torch.stack(expected))


def test_gaussian_and_kl_in_closed_form():
    made, wanted, deviation = torch.tensor([0.1]), torch.tensor([0.4]), torch.tensor([0.3])
    full = -torch.distributions.Normal(made, deviation).log_prob(wanted)
    torch.testing.assert_close(gaussian(made, deviation, wanted), full - math.log(2 * math.pi) / 2)
    mean, log_variance = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.2, -0.3]])
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl_to_normal(mean, log_variance), expected)


def a_game(name: str, **settings):
    torch.manual_seed(0)
    family = load_family(name)
    return family(SPEC, family.config_class(**{"z_dim": 4, "width": 8, **settings}))


def test_rows_are_judged_in_packs_with_their_conditions():
    game = a_game("ctgan", pac=5, dropout=0.0)
    dealt = TableDealer(a_set(), 0, CPU).deal(0, 10)
    packed = game.packed(dealt.real, dealt.given)
    assert packed.shape == (2, 5 * (LAYOUT.width + LAYOUT.asked))
    torch.testing.assert_close(packed[1, : LAYOUT.width], dealt.real[5])
    batch = Batch.of_seeds(range(10), None, CPU, given=dealt.given)
    batch.real = dealt.real
    outcome = game.critic(batch)
    assert outcome.real_logits.shape == (2, 1)
    assert outcome.fake.shape == (10, LAYOUT.width)


def test_the_penalty_is_on_the_whole_pack():
    """D(x) = c * sum(x): the gradient's norm is c * sqrt(all values of the pack), whatever the rows."""
    game = a_game("ctgan", pac=5, gp_weight=1.0)
    size = 5 * (LAYOUT.width + LAYOUT.asked)
    game.D = torch.nn.Linear(size, 1, bias=False)
    torch.nn.init.constant_(game.D.weight, 0.3)
    dealt = TableDealer(a_set(), 0, CPU).deal(0, 10)
    batch = Batch.of_seeds(range(10), None, CPU, given=dealt.given)
    batch.real = dealt.real
    assert game.critic(batch).terms["penalty"].detach().item() == pytest.approx(
        (0.3 * math.sqrt(size) - 1) ** 2, rel=1e-4
    )


def test_a_batch_that_leaves_rows_over_is_refused():
    family = load_family("ctgan")
    with pytest.raises(SparringError, match=r"game\.pac"):
        family.refuse(SPEC, family.config_class(pac=10), Train(batch=64))
    family.refuse(SPEC, family.config_class(pac=10), Train(batch=60))
    family.refuse(SPEC, family.config_class(), Train(batch=64))  # single rows leave none over


@pytest.mark.parametrize("name", ["ctgan", "tvae"])
def test_decoded_samples_keep_every_range(name):
    game = a_game(name).eval()
    with torch.no_grad():
        rows = table.values(game.sample(Batch.of_seeds(range(300), None, CPU)), SPEC)
    sizes = rows["size"][~np.isnan(rows["size"])]
    assert 2 <= sizes.min() <= sizes.max() <= 60
    assert np.array_equal(sizes, sizes.round())
    assert set(rows["kind"]) <= {0, 1, 2}
    assert set(rows["shop"]) <= {0, 1, 2}


# ---------------------------------------------------------------------- conditions


@pytest.mark.parametrize(
    ("where", "column", "holds"),
    [
        ("kind=b", "kind", lambda x: x == 1),
        ("kind=c, d", "kind", lambda x: x == 2),  # a comma within a value
        ("kind=a|b", "kind", lambda x: x < 2),
        ("kind!=a", "kind", lambda x: x != 0),
        ("shop=z", "shop", lambda x: x == 2),  # a rare one, which shares its state
        ("size=missing", "size", np.isnan),
        ("size>=50", "size", lambda x: x >= 50),
        ("size=50", "size", lambda x: x == 50),
        ("size<9", "size", lambda x: x < 9),
        ("day>2022-01-08", "day", lambda x: x > 19000),
    ],
)
@pytest.mark.parametrize("name", ["ctgan", "tvae"])
def test_every_row_meets_what_was_asked(name, where, column, holds):
    """For every column and kind of condition, with an untrained generator: it holds by construction."""
    game = a_game(name).eval()
    parts = list(draw_where(game, where, 70))
    assert [len(part) for part in parts] == [64, 6]
    assert holds(table.values(torch.cat(parts), SPEC)[column]).all()


def test_several_conditions_hold_together_and_again():
    game = a_game("ctgan").eval()
    first, again, other = (
        torch.cat(list(draw_where(game, "kind=b,size>5,shop!=x", 40, seed))) for seed in (0, 0, 10**6)
    )
    rows = table.values(first, SPEC)
    assert (rows["kind"] == 1).all()
    assert (rows["size"] > 5).all()
    assert (rows["shop"] != 0).all()
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_rarest_condition_is_what_the_generator_is_told():
    """A generator that does as it is told, and nothing else, is told "c, d" of the three conditions."""
    told = []

    def sample(batch):
        told.append(batch.given)
        kept = torch.tensor([[0.0, 0.0, 0.0, 1.0, 2.0, 0.0]]).repeat(batch.size, 1)
        return table.decode(kept, SPEC)

    game = SimpleNamespace(spec=SPEC, asks=True, sample=sample, parameters=lambda: iter([torch.zeros(1)]))
    list(draw_where(game, "size=50,kind=c, d,shop=x", 10))
    assert told[0].argmax(1).unique().tolist() == [LAYOUT.spans[1].asked + 2]


def test_a_numeric_range_asks_for_the_states_that_meet_it():
    told = []

    def sample(batch):
        told.append(batch.given.argmax(1))
        return table.decode(torch.tensor([[0.0, 0.0, 0.0, 1.0, 0.0, 0.0]]).repeat(batch.size, 1), SPEC)

    game = SimpleNamespace(spec=SPEC, asks=True, sample=sample, parameters=lambda: iter([torch.zeros(1)]))
    list(draw_where(game, "size>40", 64))
    assert told[0].unique().tolist() == [1]  # the frequent value 50, not the mode around 10 nor missing


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("knd=a", "did you mean 'kind'"),
        ("kind", "is no condition"),
        ("kind=e", "has no value 'e'"),
        ("kind>a", "takes = and != only"),
        ("size=big", "compared with a number"),
        ("day=yesterday", "a date as in the data"),
        ("kind=missing", "has no value"),
        ("day=missing", "never missing"),
        ("size>1000", "no row of the training data meets 'size>1000'"),
        ("kind=a,kind=b", "of 20,032 rows made, 0 meet"),
    ],
)
def test_conditions_that_cannot_be_met_are_refused(where, message):
    kept = torch.tensor([[0.0, 0.0, 0.0, 1.0, 0.0, 0.0]])
    game = SimpleNamespace(
        spec=SPEC,
        asks=True,
        sample=lambda batch: table.decode(kept.repeat(batch.size, 1), SPEC),
        parameters=lambda: iter([torch.zeros(1)]),
    )
    with pytest.raises(SparringError, match=message):
        list(draw_where(game, where, 3))


def test_values_that_hold_operators_are_read():
    columns = (
        Column("income", "categorical", (1, 1), ("<=50K", ">50K")),
        Column("a=b", "integer", (1,), points=(1.0,)),
    )
    rows = Rows(columns, (np.array([0, 1]), np.array([1.0, 1.0])))
    for text, expected in (("income=>50K", [0, 1]), ("income=<=50K", [1, 0]), ("income=>50K,a=b=1", [0, 1])):
        assert meets(parse_where(text, columns), rows).tolist() == [bool(x) for x in expected]
    with pytest.raises(SparringError, match="as in income=<=50K"):
        parse_where("income<=50K", columns)


# ---------------------------------------------------------------------- from data to files


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """1,500 rows: pay follows age and sex, a tenth of the ages are missing."""
    folder = tmp_path_factory.mktemp("toy")
    draw = np.random.default_rng(0)
    lines = ["id,age,sex,pay,job"]
    for k in range(1500):
        age, sex = draw.integers(20, 60), draw.choice(["F", "M"], p=[0.3, 0.7])
        pay = 1000 + 40 * age + 500 * (sex == "M") + draw.normal(0, 50)
        lines.append(
            f"{k},{'' if k % 10 == 0 else age},{sex},{pay:.1f},{draw.choice(['a', 'b', 'c'], p=[0.8, 0.15, 0.05])}"
        )
    (folder / "toy.csv").write_text("\n".join(lines) + "\n")
    return folder / "toy.csv"


SMALL = {"game": {"width": 32}, "batch": 100, "save_kimg": 100, "picture_kimg": 100}


@pytest.mark.parametrize("name", ["ctgan", "tvae"])
def test_from_data_to_samples(name, toy, tmp_path, sparring):
    run = train(toy, family=name, run=tmp_path / "run", kimg=12, data_settings={"held_out": 0.2}, **SMALL)
    assert run.sample(3).shape == (3, *run.game.spec.shape)
    for made in ("samples/reals.png", "samples/timelapse.gif", "report.html", "model/model.json"):
        assert (tmp_path / "run" / made).is_file()
    # A published model alone decodes.
    answer = sparring(
        "sample", tmp_path / "run" / "model", "--rows", "130", "--out", tmp_path / "out", "--where", "sex=F,age>30"
    )
    assert answer.code == 0, answer.err
    with open(tmp_path / "out" / "table.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 130
    assert [row["id"] for row in rows] == [str(k + 1) for k in range(130)]
    assert {row["sex"] for row in rows} == {"F"}
    assert all(float(row["age"]) > 30 for row in rows)
    assert "columns are" in (tmp_path / "run" / "events.jsonl").read_text().lower()


@pytest.mark.parametrize("name", ["ctgan", "tvae", "fanogan"])
@pytest.mark.parametrize("numbers", [False, True])
def test_tables_of_choices_alone_and_of_numbers_alone(name, numbers, tmp_path):
    draw = np.random.default_rng(0)
    cells = draw.normal(0, 1, (300, 3)).round(4) if numbers else draw.choice(["u", "v", "w"], (300, 3))
    (tmp_path / "toy.csv").write_text("\n".join(["a,b,c", *(",".join(map(str, row)) for row in cells)]) + "\n")
    run = train(tmp_path / "toy.csv", family=name, run=tmp_path / "run", kimg=1, **SMALL)
    assert run.sample(20).isfinite().all()
    assert run.evaluate(samples=100, metrics=["quality"])["column shapes"].value > 0


def test_a_seed_is_the_same_row_in_any_batch(toy, tmp_path):
    run = train(toy, family="ctgan", run=tmp_path / "run", kimg=1, **SMALL)
    spec = run.game.spec
    many, one = run.sample_seeds(range(100)), run.sample_seeds([77])
    assert torch.equal(compact(many, Layout(spec.columns))[77], compact(one, Layout(spec.columns))[0])
    assert not run.game.training  # BatchNorm in evaluation mode: a row does not depend on its neighbours


def test_tvae_learns_the_columns(toy, tmp_path):
    run = train(toy, family="tvae", run=tmp_path / "run", kimg=60, **{**SMALL, "optim": {"lr": 2e-3}})
    data = open_data(str(toy))
    made = table.values(run.sample(1500), run.game.spec)
    real = decode(data.pixels, Layout(data.spec.columns))
    shapes = column_shapes(real, made)
    assert min(shapes.values()) > 0.8, shapes
    assert abs(np.mean(np.isnan(made["age"])) - 0.1) < 0.05  # missing is learnt, too


def test_a_family_is_chosen_and_the_doctor_shows_columns(toy, sparring):
    plan = make_plan(Recipe(str(toy)))
    assert plan.family == "ctgan"
    report = inspect(str(toy), Data())
    assert dict(report.columns)["age"].startswith("integer")
    assert dict(report.columns)["id"] == "identifier"
    shown = sparring("inspect", toy).out
    assert "continuous" in shown
    assert "10.0% missing" in shown


def test_what_does_not_fit_tables_is_refused(toy, tmp_path, refused):
    line = ("train", toy, "--run", tmp_path / "run")
    assert "family 'dcgan' is for image" in refused(*line, "--family", "dcgan")
    assert "changes pictures" in refused(*line, "--train.augment", "diff")
    assert "data.flip is for pictures" in refused(*line, "--data.flip")
    assert "leaves rows over" in refused(*line, "--game.pac", "10", "--train.batch", "64")
    assert "there is no settings file" in refused(*line, "--data.schema", tmp_path / "none.toml")


def test_a_run_is_evaluated_and_keeps_its_best(toy, tmp_path, sparring):
    settings = {**SMALL, "eval": {"every": 2, "samples": 200}, "data_settings": {"held_out": 0.3}}
    train(toy, family="tvae", run=tmp_path / "run", kimg=6, **settings)
    assert (tmp_path / "run" / "best" / "model.json").is_file()
    answer = sparring("evaluate", tmp_path / "run", "--samples", "300")
    assert answer.code == 0, answer.err
    for name in (
        "column shapes",
        "pair trends",
        "TSTR boosting",
        "detection logistic",
        "NNDR 5%",
        "membership by distance",
    ):
        assert name in answer.out
    assert "columns drawn independently" in " ".join(answer.out.split())


def test_a_synthesizer_fits_columns_and_samples_them():
    draw = np.random.default_rng(0)
    columns = {"a": draw.normal(size=300).round(3).tolist(), "b": ["x", "y", None] * 100, "7": list(range(300, 600))}
    maker = Synthesizer("tvae", kimg=2, **SMALL).fit(columns)
    made = maker.sample(50, where="b=x")
    assert list(made) == ["a", "b", "column 7"]
    assert Counter(made["b"]) == {"x": 50}
    assert None in maker.sample(50)["b"]
    with pytest.raises(SparringError, match="call fit first"):
        Synthesizer().sample(1)
    with pytest.raises(SparringError, match="a int is no table"):
        Synthesizer().fit(3)
    with pytest.raises(SparringError, match="all of one length"):
        Synthesizer().fit({"a": [1], "b": [1, 2]})


def test_a_synthesizer_takes_pandas_and_arrow(tmp_path):
    pa = pytest.importorskip("pyarrow")
    source = pa.table({"n": list(range(40)) * 2, "c": ["x", "y"] * 40})
    made = Synthesizer("tvae", run=tmp_path / "run", kimg=0.2, **SMALL).fit(source).sample(5)
    assert list(made) == ["n", "c"]
    pd = pytest.importorskip("pandas")
    frame = Synthesizer("tvae", kimg=0.2, **SMALL).fit(pd.DataFrame(source.to_pydict())).sample(5)
    assert list(frame.columns) == ["n", "c"]
