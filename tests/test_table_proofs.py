"""What samples give away, and whom they treat how: copies that were planted, attributes that leak, groups by hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from sparring import train
from sparring.core.columns import Column, Layout, extent
from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.core.rows import Rows, decode
from sparring.data import open_data
from sparring.metrics.sets.table import copying
from sparring.metrics.suite import Sample
from sparring.metrics.tables.copies import coincidences, find_copies, hashes
from sparring.metrics.tables.fairness import audit, groups_by, outcomes
from sparring.metrics.tables.inference import infer
from sparring.modalities.table import bars_of
from sparring.tools.evaluate import evaluate
from sparring.tools.reals import reals_of_run
from sparring.tools.table_charts import FAKE, LABEL, REAL, SQUARE, draw_columns, draw_pairs
from sparring.tools.table_examiner import TableExaminer

NUMBER = Column("n", "integer", (1,), centres=(0.0,), reaches=(1.0,), minimum=0, maximum=99_999)
AGE = Column("a", "integer", (1, 1), centres=(0.0,), reaches=(1.0,), maximum=100, missing=True)
COLOUR = Column("c", "categorical", (1, 1, 1), ("r", "g", "b"))
SEX = Column("s", "boolean", (1, 1), ("f", "m"))
ANSWER = Column("y", "boolean", (1, 1), ("no", "yes"), target=True)
SHARES = (0.01, 0.05, 0.2)


def people(count: int, seed: int = 0) -> Rows:
    """A number that few share, an age with gaps, a colour that follows it, a sex, and an answer that follows all."""
    draw = np.random.default_rng(seed)
    number = draw.integers(0, 50_000, count).astype(float)
    age = draw.integers(20, 60, count).astype(float)
    colour = np.digitize(age + draw.normal(0, 5, count), [33, 47])
    sex = draw.integers(0, 2, count)
    answer = (age / 20 + colour + sex + draw.normal(0, 1, count) > 4).astype(int)
    return Rows((NUMBER, AGE, COLOUR, SEX, ANSWER), (number, np.where(age == 40, np.nan, age), colour, sex, answer))


def planted(clean: Rows, train: Rows, share: float, perturb: bool, seed: int = 0) -> tuple[Rows, np.ndarray]:
    """``clean`` with a share of training rows at random places, one cell of each changed to another row's if asked."""
    draw = np.random.default_rng(seed)
    count = round(share * len(clean))
    places = draw.permutation(len(clean))[:count]
    chosen = train.take(draw.permutation(len(train))[:count])
    changed = draw.integers(0, len(train.columns), count)
    values = []
    for number, (own, copied) in enumerate(zip(clean.values, chosen.values, strict=True)):
        mixed = np.array(own)
        mixed[places] = np.where(perturb & (changed == number), draw.permutation(own)[:count], copied)
        values.append(mixed)
    return Rows(clean.columns, tuple(values)), places


# ---------------------------------------------------------------------- copies


def test_coincidences_by_hand():
    columns = (NUMBER, COLOUR, SEX)
    table = Rows(columns, (np.array([1.0, 2, 3]), np.array([0, 1, 2]), np.array([0, 0, 1])))
    rows = Rows(columns, (np.array([2.0, 2, 9, 9]), np.array([1, 0, 2, 0]), np.array([0, 0, 1, 1])))
    found = coincidences(rows, table)
    assert found.exact.tolist() == [True, False, False, False]
    assert found.near.tolist() == [False, True, True, False]
    assert found.but[:, 1].tolist() == [
        True,
        True,
        False,
    ]  # but for its number the first row, but for its colour the second
    assert found.but[:, 2].tolist() == [True, False, False]


def test_hashes_tell_columns_apart_and_gaps_are_alike():
    one = Rows((AGE, NUMBER), (np.array([1.0, 2, np.nan, 0.0]), np.array([2.0, 1, 5, 0])))
    total, parts = hashes(one)
    assert len(set(total.tolist())) == 4  # (1, 2) is not (2, 1)
    again, _ = hashes(Rows((AGE, NUMBER), (np.array([-0.0, -np.nan]), np.array([0.0, 5]))))
    assert again.tolist() == [total[3], total[2]]
    assert parts.shape == (2, 4)


@pytest.mark.parametrize("perturb", [False, True])
@pytest.mark.parametrize("share", SHARES)
def test_every_planted_row_is_found_and_the_samples_are_accused(share, perturb):
    learnt, held_out = people(4000), people(1000, 1)
    fake, places = planted(people(2000, 2), learnt, share, perturb)
    found = coincidences(fake, learnt)
    assert (found.exact | found.near)[places].all()
    if not perturb:
        assert found.exact[places].all()
    copies = find_copies(fake, [learnt], held_out)
    assert copies.accused
    assert copies.exact + copies.near >= len(places)
    assert "samples copy rows" in copies.sentence


@pytest.mark.parametrize("seed", range(5))
def test_clean_samples_are_not_accused(seed):
    copies = find_copies(people(2000, 10 + seed), [people(4000)], people(1000, 1))
    assert not copies.accused
    assert "no sign of copying" in copies.sentence


def test_few_typical_rows_are_no_copies():
    """Twenty kinds of row only: samples and held-out rows alike equal training rows throughout, and nobody copied."""

    def few(count: int, seed: int) -> Rows:
        return Rows((COLOUR, SEX, ANSWER), people(count, seed).values[2:])

    copies = find_copies(few(1000, 2), [few(3000, 0)], few(500, 1))
    assert copies.exact == 1000
    assert copies.exact_of_reals == 500
    assert not copies.accused


def test_a_generator_of_the_commonest_rows_is_no_copier():
    """It coincides with training rows more often than held-out rows do, but with held-out rows as well."""

    def rounded(rows: Rows) -> Rows:
        return Rows(rows.columns[1:], (np.round(rows["a"] / 2), *rows.values[2:]))

    learnt, held_out, fake = rounded(people(200, 101)), rounded(people(150, 11)), rounded(people(3000, 13))
    common = fake.take(coincidences(fake, rounded(people(40, 14))).exact)
    copies = find_copies(common, [learnt], held_out)
    assert copies.exact / copies.samples > 1.1 * copies.exact_of_reals / copies.held_out
    assert not copies.accused


def test_training_rows_come_in_pieces():
    learnt, held_out = people(4000), people(1000, 1)
    fake, _ = planted(people(2000, 2), learnt, 0.05, perturb=True)
    pieces = [learnt.take(np.arange(first, first + 1000)) for first in range(0, 4000, 1000)]
    assert find_copies(fake, pieces, held_out) == find_copies(fake, [learnt], held_out)


def adult() -> tuple[Rows, Rows]:
    """Training and test rows of the Adult census."""
    root = os.environ.get("SPARRING_TEST_DATA")
    if not root:
        pytest.skip("SPARRING_TEST_DATA names no folder of real data")
    path = Path(root) / "tabular" / "adult_train.csv.gz"
    if not path.exists():
        pytest.skip("SPARRING_TEST_DATA holds no tabular/adult_train.csv.gz")
    data = open_data(str(path), Data(held_out=0.2))
    layout = Layout(data.spec.columns)
    return decode(data.pixels, layout), decode(data.held_out.pixels, layout)


def test_copies_among_real_people():
    """Samples are rows of the Adult census that nobody learnt from, then with some that were learnt from."""
    learnt, others = adult()
    side = hashes(others)[0] % 2  # rows that say the same stay together, as they do when rows are held out
    clean, held_out = (others.take(np.flatnonzero(side == own)) for own in (0, 1))
    assert not find_copies(clean, [learnt], held_out).accused
    for share in SHARES:
        for perturb in (False, True):
            fake, places = planted(clean, learnt, share, perturb)
            found = coincidences(fake, learnt)
            assert (found.exact | found.near)[places].all()
            assert find_copies(fake, [learnt], held_out).accused, (share, perturb)


# ---------------------------------------------------------------------- attributes


def test_copies_leak_an_attribute_and_clean_samples_do_not():
    learnt, held_out, clean = people(800), people(800, 1), people(800, 2)
    honest = infer(SEX, clean, learnt, held_out)
    assert honest.from_reals == pytest.approx(0.6, abs=0.1)  # a coin, and what the answer tells of it
    assert abs(honest.gain) < 3 * honest.error + 1e-9
    assert not honest.leaks
    copied = infer(SEX, learnt, learnt, held_out)
    assert copied.from_samples > 0.99
    assert copied.leaks


def test_numbers_are_inferred_by_range():
    learnt, held_out = people(1500), people(1500, 1)
    assert infer(AGE, learnt, learnt, held_out).from_samples > 0.99
    guess = infer(NUMBER, people(1500, 2), learnt, held_out)
    assert guess.from_samples == pytest.approx(0.1, abs=0.05)  # nothing tells which tenth
    with pytest.raises(ValueError, match="or more"):
        infer(SEX, people(10), learnt, held_out)


# ---------------------------------------------------------------------- fairness


def test_gaps_by_hand():
    groups = np.repeat([0, 1], 100)
    found = np.repeat([1, 0, 1, 0], [80, 20, 30, 70])
    assert outcomes(groups, 2, found, 2).gap == pytest.approx(0.5)
    # Among those whose truth is 1, 40 of 50 against 20 of 50; among the others 40 of 50 against 10 of 50.
    truth = np.concatenate([np.repeat([1, 0, 1, 0], [40, 40, 10, 10]), np.repeat([1, 0, 1, 0], [20, 10, 30, 40])])
    taught = outcomes(groups, 2, found, 2, truth)
    assert taught.odds == pytest.approx(0.6)
    assert taught.gap == pytest.approx(0.5)


def test_small_groups_are_left_out_of_gaps():
    groups = np.repeat([0, 1, 2], [100, 100, 5])
    found = np.concatenate([np.repeat([0, 1], 50), np.repeat([0, 1], 50), np.ones(5, int)])
    assert outcomes(groups, 3, found, 2).gap == 0
    assert np.isnan(outcomes(groups[200:], 3, found[200:], 2).gap)


def test_groups_of_numbers_and_of_gaps():
    rows = people(2000)
    groups = groups_by("a", rows)
    assert len(groups.names) == 5
    assert groups.names[-1] == "missing"
    sizes = np.bincount(groups.of(rows), minlength=5)
    assert sizes[-1] == np.isnan(rows["a"]).sum()
    assert sizes[:4].min() > 0.2 * 1900
    assert groups_by("c", rows).names == ("r", "g", "b")
    with pytest.raises(ValueError, match="no column 'z'"):
        groups_by("z", rows)


RULED = (
    Column("start", "integer", (1,), centres=(50.0,), reaches=(50.0,), minimum=0, maximum=100),
    Column("end", "integer", (1, 1), points=(5.0, 10.0), minimum=5, maximum=10, base="start"),
    Column("extra", "integer", (1,), centres=(5.0,), reaches=(5.0,), minimum=0, maximum=10),
    Column("total", "sum", terms=("start", "extra")),
)


def ruled() -> Rows:
    """A start from 40 to 60, an end 5 or 10 later, something extra, and a total."""
    start, extra = 40.0 + np.arange(1000) % 21, np.arange(1000) % 11.0
    return Rows(RULED, (start, start + np.where(np.arange(1000) % 2, 5, 10), extra, start + extra))


def test_groups_by_columns_that_follow_a_rule_are_quarters():
    rows = ruled()
    for name in ("end", "total"):
        groups = groups_by(name, rows)
        assert len(groups.names) == 4, name  # not the two distances from the start, nor none
        assert np.bincount(groups.of(rows)).min() > 150


def test_the_rarest_of_many_values_are_one_group():
    places = Column("p", "categorical", (1,) * 20, tuple("abcdefghijklmnopqrst"), missing=False)
    codes = np.repeat(np.arange(20), np.arange(20) + 1)  # t is the commonest
    groups = groups_by("p", Rows((places,), (codes,)))
    assert groups.names == (*"tsrqponmlkj", "others")
    assert np.bincount(groups.of(Rows((places,), (codes,)))).tolist() == [*range(20, 9, -1), sum(range(10))]


def test_a_table_that_favours_one_group_shows_in_its_outcomes_and_its_pupils():
    real, exam = people(3000), people(2000, 1)
    fair = audit(real, groups_by("s", real), exam)
    swayed = np.where(real["s"] == 1, 1, real["y"])  # the answer is yes for all of one sex
    biased = audit(Rows(real.columns, (*real.values[:4], swayed)), groups_by("s", real), exam)
    assert fair.shares.tolist() == biased.shares.tolist()
    assert biased.data.gap > fair.data.gap + 0.2
    assert biased.taught.gap > fair.taught.gap + 0.2
    assert biased.taught.odds > fair.taught.odds + 0.3
    assert audit(real, groups_by("y", real), exam).data is None  # outcomes by themselves say nothing


# ---------------------------------------------------------------------- pictures


def test_the_chart_of_a_column_shows_both_sides():
    real = Rows((COLOUR, SEX), (np.array([0] * 10), np.array([0, 1] * 5)))
    fake = Rows((COLOUR, SEX), (np.array([1] * 10), np.array([0, 1] * 5)))
    drawn = np.asarray(draw_columns(real, fake))
    for colour in (REAL, FAKE):
        assert (drawn == colour).all(2).sum() > 500


def test_the_chart_of_a_column_that_follows_a_rule_is_not_empty():
    rows = ruled()
    assert [extent(column, RULED) for column in RULED] == [(0, 100), (5, 110), (0, 10), (0, 110)]
    for column, own in rows:
        bars = bars_of(column, own, extent(column, RULED))
        assert bars.sum() == pytest.approx(1), column.name
        assert np.count_nonzero(bars) > 2


def test_the_matrix_is_dark_where_a_pair_is_lost():
    scores = {("a", "b"): 1.0, ("a", "c"): 0.5, ("b", "c"): 0.9}
    drawn = np.asarray(draw_pairs(scores))

    def cell(row: int, column: int) -> tuple[int, ...]:
        return tuple(drawn[LABEL + row * SQUARE + 2, LABEL + column * SQUARE + 2].tolist())

    assert cell(0, 1) == cell(1, 0) == (255, 255, 255)
    assert cell(0, 2) == (180, 40, 40)
    assert cell(0, 0) == (238, 238, 238)
    many = draw_pairs({(f"c{a}", f"c{b}"): 1.0 for a in range(50) for b in range(a)})
    assert many.width == draw_pairs({(f"c{a}", f"c{b}"): 1.0 for a in range(40) for b in range(a)}).width


# ---------------------------------------------------------------------- all of it


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run on rows as above, whose schema protects a column."""
    folder = tmp_path_factory.mktemp("proofs")
    rows = people(1200)
    lines = ["n,a,c,s,y"]
    lines += [
        f"{n:.0f},{'' if np.isnan(a) else f'{a:.0f}'},{'rgb'[c]},{'fm'[s]},{'no' if not y else 'yes'}"
        for n, a, c, s, y in zip(*rows.values, strict=True)
    ]
    (folder / "people.csv").write_text("\n".join(lines) + "\n")
    (folder / "schema.toml").write_text('target = "y"\nprotected = ["s"]\n')
    settings = {"game": {"width": 16}, "batch": 100, "save_kimg": 100, "picture_kimg": 100}
    where = {"held_out": 0.3, "schema": str(folder / "schema.toml")}
    return train(folder / "people.csv", family="tvae", run=folder / "run", kimg=8, data_settings=where, **settings)


def test_an_evaluation_audits_what_the_schema_protects(trained):
    found = evaluate(trained, samples=300, metrics=["copies", "attributes"])
    assert "300 samples" in found["exact copies"].note
    assert "beyond what anybody could infer" in found["attribute inference"].note
    assert found["attribute inference of s"].real_vs_real == pytest.approx(0.55, abs=0.12)
    assert "real" in found["groups by s"].note
    assert found["outcome gap by s"].real_vs_real > 0.1
    assert found["odds gap by s"].better == "nearer"
    assert [path.name for path in found.charts] == ["columns.png", "pairs.png"]
    assert all(path.is_file() for path in found.charts)
    assert "Pairs of columns" in trained.folder.report.read_text(encoding="utf-8")


def test_copies_are_looked_for_among_all_rows_that_were_learnt_from(trained, monkeypatch):
    monkeypatch.setattr("sparring.tools.table_examiner.TableExaminer.most_trained", 20)
    monkeypatch.setattr("sparring.metrics.sets.table.PIECE", 100)
    game = trained.game
    reals = reals_of_run(trained.folder, game.spec, None)
    examiner = TableExaminer(reals, 300, 0)
    assert len(examiner.sides.train) == 20
    copied = Sample(reals.train.pixels[500:600])
    assert copying(copied, examiner.sides)["exact copies"].value == 1


def test_the_file_that_was_trained_on_is_not_held_out(trained, tmp_path):
    """Though its rows are more than were learnt from, a part of them having been held out."""
    source = trained.folder.root.parent / "people.csv"
    own = reals_of_run(trained.folder, trained.game.spec, str(source.parent / "." / source.name))
    assert not own.held_out
    assert "is what the run was trained on" in own.notes[-1]
    other = tmp_path / "other.csv"
    other.write_text("\n".join(source.read_text().splitlines()[:100]))
    assert reals_of_run(trained.folder, trained.game.spec, str(other)).held_out


def test_columns_are_named_on_the_command_line(trained, sparring, refused):
    answer = sparring("evaluate", trained.folder.root, "--samples", "300", "--metrics", "quality", "--by", "c, a")
    assert answer.code == 0, answer.err
    for name in ("groups by c", "parity gap by a", "columns.png", "pairs.png"):
        assert name in answer.out
    assert "groups by s" not in answer.out
    assert "no column 'seks'" in refused("evaluate", trained.folder.root, "--by", "seks")


def test_a_schema_that_protects_what_there_is_not_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "1,x\n2,y\n" * 20)
    (tmp_path / "s.toml").write_text('protected = ["z"]\n')
    with pytest.raises(SparringError, match="column 'z' that there is not"):
        open_data(str(tmp_path / "t.csv"), Data(schema=str(tmp_path / "s.toml")))
