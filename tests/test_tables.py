"""Tables: reading any of them, what columns are taken for, and rows that come back as they were encoded."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from sparring.core.cells import decimals_of, is_number
from sparring.core.columns import Column, Layout
from sparring.core.config import Data, build, plain
from sparring.core.errors import SparringError
from sparring.core.rows import Rows, compact, decode, encode, expand, place_in_modes
from sparring.core.spec import DataSpec
from sparring.core.texts import guarded, lines_of, texts_of, typed
from sparring.data import open_data
from sparring.data.table import is_table, open_table
from sparring.data.table.mixture import fit_modes
from sparring.data.table.profile import MOST_STATES, Profile, column_of
from sparring.data.table.schema import Schema
from sparring.modalities import table
from strange_tables import tables


def opened(folder: Path, text: str, schema: str = "", **settings):
    path = folder / "data.csv"
    path.write_text(text, encoding="utf-8")
    if schema:
        (folder / "schema.toml").write_text(schema, encoding="utf-8")
        settings["schema"] = str(folder / "schema.toml")
    return open_data(str(path), Data(**settings))


def column(data, name: str) -> Column:
    return next(column for column in data.spec.columns if column.name == name)


def back(data) -> list[tuple[str, ...]]:
    """The rows of a data set, decoded from what it keeps."""
    return lines_of(decode(data.pixels, Layout(data.spec.columns)))


@pytest.fixture
def people(tmp_path):
    """200 rows with a column of every kind."""
    draw = np.random.default_rng(0)
    lines = ["id,name,age,pay,sex,smokes,born,country,note,empty,zip"]
    for k in range(200):
        pay = "" if k % 10 == 0 else f"{draw.lognormal(8, 1):.2f}"
        born = f"19{50 + k % 50}-0{1 + k % 9}-{10 + k % 18}"
        zips = f"0{1000 + k % 7}"
        lines.append(f"{k + 1},person {k},{20 + k % 50},{pay},{'FM'[k % 2]},{k % 3 == 0},{born},X{k % 5},same,,{zips}")
    return opened(tmp_path, "\n".join(lines) + "\n")


# ---------------------------------------------------------------------- what columns are


def test_kinds_are_seen(people):
    kinds = {column.name: column.kind for column in people.spec.columns}
    assert kinds == {
        **{"id": "identifier", "name": "identifier", "age": "integer", "pay": "continuous", "sex": "categorical"},
        **{"smokes": "boolean", "born": "date", "country": "categorical", "note": "constant", "empty": "constant"},
        "zip": "categorical",  # a number does not begin with 0
    }
    pay = column(people, "pay")
    assert (pay.missing, pay.decimals, pay.counts[-1]) == (True, 2, 20)
    assert (column(people, "age").minimum, column(people, "age").maximum) == (20, 69)
    assert people.spec.shape == (Layout(people.spec.columns).width,)
    assert sum("may name people" in note for note in people.notes) == 1


def test_rows_come_back_as_they_went_in(people, tmp_path):
    with open(tmp_path / "data.csv", encoding="utf-8") as file:
        told = list(csv.reader(file))[1:]
    for before, after in zip(told, back(people), strict=True):
        assert list(after[2:]) == before[2:]
    assert [row[0] for row in back(people)] == [str(k + 1) for k in range(200)]  # fresh serial numbers


def test_encoded_rows_are_within_bounds_and_come_back(people):
    layout = Layout(people.spec.columns)
    rows = table.decode(people.pixels, people.spec)
    assert rows.shape == (200, layout.width)
    assert rows.abs().max() <= 1
    assert torch.equal(compact(rows, layout), people.pixels)
    for span in layout.choices:
        assert torch.equal(rows[:, span.first : span.first + span.states].sum(1), torch.ones(200))


def test_a_model_card_rebuilds_the_decoder(people):
    spec = build(DataSpec, plain(people.spec), "spec")
    assert spec == people.spec
    damaged = plain(people.spec)
    damaged["columns"][3]["reaches"] = [0.0] * len(damaged["columns"][3]["reaches"])
    with pytest.raises(SparringError, match="reach above 0"):
        build(DataSpec, damaged, "spec")
    with pytest.raises(SparringError, match="not of shape"):
        build(DataSpec, {**plain(people.spec), "shape": [3]}, "spec")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", True),
        ("-1.5e3", True),
        (".5", True),
        ("5.", True),
        ("0", True),
        ("0.0", True),
        ("01", False),
        ("1_0", False),
        ("0x1", False),
        ("inf", False),
        ("1e400", False),
        ("1e200", False),  # its square is not finite
        (".", False),
        ("", False),
    ],
)
def test_numbers(text, number):
    assert is_number(text) == number


def test_decimals():
    assert decimals_of(["1.50", "2", "0.125"]) == 3
    assert decimals_of(["1e-20"]) == -1
    assert decimals_of(["1e3", "100"]) == 0


def test_many_categories_do_not_blow_up_the_row(tmp_path):
    lines = ["code,y", *(f"c{k % 997},{k % 2}" for k in range(6000))]
    data = opened(tmp_path, "\n".join(lines) + "\n")
    code = column(data, "code")
    assert len(code.categories) + 1 == code.states == MOST_STATES
    assert len(code.rest) > 500
    assert data.spec.shape[0] < 70
    assert [row[0] for row in back(data)] == [line.split(",")[0] for line in lines[1:]]  # each rare one is told apart


def test_a_frequent_value_among_numbers_is_a_state(tmp_path):
    numbers = ["0"] * 80 + [f"{1000 + 37 * k}" for k in range(60)]
    gain = column(opened(tmp_path, "gain,x\n" + "".join(f"{n},{k % 2}\n" for k, n in enumerate(numbers))), "gain")
    assert gain.points == (0.0,)
    assert gain.counts[len(gain.centres)] == 80


def test_numbers_without_a_last_decimal_keep_their_distance_from_a_frequent_value(tmp_path):
    """A quarter are 0, the others between 0.05 and 0.45 with 12 decimals: none of those is 0."""
    draw = np.random.default_rng(0)
    numbers = [0.0 if k % 4 == 0 else round(draw.uniform(0.05, 0.45), 12) for k in range(400)]
    data = opened(tmp_path, "a,b\n" + "".join(f"{n!r},{k % 2}\n" for k, n in enumerate(numbers)))
    a = column(data, "a")
    assert (a.decimals, a.points, a.counts[-1]) == (-1, (0.0,), 100)
    np.testing.assert_allclose([float(row[0]) for row in back(data)], numbers, atol=1e-7)
    # What was written with nine digits is still the value that it was.
    columns = (Column("n", "continuous", centres=(0.0,), reaches=(9.0,), points=(1 / 3,), maximum=9, decimals=-1),)
    kept, _ = encode(Rows(columns, (np.array([0.333333333, 0.3333]),)))
    assert kept[:, 1].tolist() == [1, 0]


LATE = [f"2020-01-{1 + k % 28:02d} {k % 24:02d}:{k // 24 % 60:02d}:{k % 60:02d}.{k:06d}" for k in range(60_000)]


def late(extra: list[str], **profile) -> Profile:
    """More texts than are kept, then others."""
    found = Profile("when", **profile)
    for cells in (LATE, extra):
        found.see(cells, frozenset())
    return found


def test_dates_beyond_the_texts_that_are_kept_widen_the_range():
    notes: list[str] = []
    profile = late(["2022-08-01 00:00:00.000000", "2019-01-01 00:00:00.000000"])
    assert len(profile.texts) == 1  # the others are let go
    when = column_of(profile, Schema(), notes)
    assert (when.kind, when.format, when.missing, notes) == ("date", "%Y-%m-%d %H:%M:%S.%f", False, [])
    assert texts_of(when, np.array([when.minimum, when.maximum])) == [
        "2019-01-01 00:00:00.000000",
        "2022-08-01 00:00:00.000000",
    ]
    # A few that are no dates are missing, and that is said; many make it a column of texts.
    few, many = column_of(late(["soon"] * 3), Schema(), notes), column_of(late(["soon"] * 999), Schema(), [])
    assert (few.kind, few.missing, many.kind) == ("date", True, "identifier")
    assert notes == ["column 'when': 3 texts that are no date %Y-%m-%d %H:%M:%S.%f count as missing"]


def test_a_format_that_only_early_dates_fit_is_given_up():
    """A day of the month above 12 comes late; what was read as months until then is read as days."""
    early = [f"0{1 + k % 9}/02/{1000 + k // 9}" for k in range(60_000)]
    profile = Profile("when")
    for cells in (early, ["25/02/2020"]):
        profile.see(cells, frozenset())
    when = column_of(profile, Schema(), [])
    assert (when.format, when.missing) == ("%d/%m/%Y", False)
    said = Profile("when", "%d/%m/%Y")
    said.see(early, frozenset())
    assert column_of(said, Schema({"when": "date %d/%m/%Y"}), []).format == "%d/%m/%Y"


@pytest.mark.parametrize("schema", [Schema(), Schema({"pay": "continuous"})])
def test_decimal_commas_beyond_the_texts_that_are_kept(schema):
    profile, notes = Profile("pay"), list[str]()
    for cells in ([f"{k},25" for k in range(60_000)], ["99999,5", "-7"]):
        profile.see(cells, frozenset())
    pay = column_of(profile, schema, notes)
    assert (pay.kind, pay.minimum, pay.maximum, pay.decimals, pay.missing) == ("continuous", -7, 99999.5, 2, False)
    assert notes == ["column 'pay' is read with decimal commas; samples are written with points"]


def test_texts_beyond_those_that_are_kept_tell_rows_apart():
    notes: list[str] = []
    profile = Profile("name")
    profile.see([f"person {k}" for k in range(60_000)], frozenset())
    assert column_of(profile, Schema(), notes).kind == "identifier"
    assert "at least 60,000 different texts in 60,000" in notes[0]
    with pytest.raises(SparringError, match="'person 0' is none that is known"):
        column_of(profile, Schema({"name": "date"}), [])


def test_stray_texts_among_numbers_count_as_missing(tmp_path):
    lines = [f"{k * 1.5},{k % 2}" for k in range(300)] + ["oops,1"]
    data = opened(tmp_path, "a,b\n" + "\n".join(lines) + "\n")
    assert column(data, "a").kind == "continuous"
    assert column(data, "a").counts[-1] == 1
    assert any("'oops'" in note for note in data.notes)


def test_infinite_values_are_missing(tmp_path):
    data = opened(tmp_path, "a,b\n" + "".join(f"{'inf' if k == 7 else k * 1.1},{k % 2}\n" for k in range(60)))
    assert column(data, "a").counts[-1] == 1
    assert any("infinite" in note for note in data.notes)


def test_large_integers_keep_nine_digits(tmp_path):
    data = opened(tmp_path, "a,b\n" + "".join(f"{2**60 + k * 10**15},{k % 2}\n" for k in range(50)))
    assert column(data, "a").decimals == -1
    assert any("2^53" in note for note in data.notes)
    assert float(back(data)[3][0]) == pytest.approx(2**60 + 3 * 10**15, rel=1e-6)


def test_a_target_is_seen_or_said(people, tmp_path):
    assert [c.name for c in people.spec.columns if c.target] == ["zip"]
    data = opened(tmp_path, (tmp_path / "data.csv").read_text(), 'target = "sex"')
    assert [c.name for c in data.spec.columns if c.target] == ["sex"]


# ---------------------------------------------------------------------- the mixture


def test_modes_are_found():
    draw = np.random.default_rng(0)
    numbers = np.concatenate([draw.normal(-100, 1, 900), draw.normal(50, 5, 900)])
    centres, reaches = (np.array(part) for part in fit_modes(numbers))
    assert np.abs(centres + 100).min() < 1
    assert np.abs(centres - 50).min() < 3
    mode, scalar = place_in_modes(numbers, centres, reaches)
    np.testing.assert_allclose(centres[mode] + scalar * reaches[mode], numbers, atol=1e-9)  # none is cut off
    assert np.all((centres[mode] < 0) == (numbers < 0))


def test_a_far_value_is_reached():
    centres, reaches = fit_modes(np.array([*np.linspace(0, 1, 500), 1e6]))
    mode, scalar = place_in_modes(np.array([1e6]), np.array(centres), np.array(reaches))
    assert centres[mode[0]] + scalar[0] * reaches[mode[0]] == pytest.approx(1e6)


# ---------------------------------------------------------------------- schema and rules


def test_a_schema_wins(people, tmp_path):
    schema = '[columns]\nage = "categorical"\nname = "categorical"\nzip = "drop"\nborn = "date %Y-%m-%d"\n'
    data = opened(tmp_path, (tmp_path / "data.csv").read_text(), schema)
    assert column(data, "age").kind == column(data, "name").kind == "categorical"
    assert "zip" not in [c.name for c in data.spec.columns]


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ('[columns]\nagee = "integer"', "did you mean 'age'"),
        ('[columns]\nage = "number"', "is one of continuous"),
        ('[columns]\nsex = "integer"', "none of it is a number"),
        ("colums = 1", "did you mean 'columns'"),
        ('target = "nobody"', "is no column"),
        ('target = "pay"', "2 to 20"),
        ('rules = ["age > 3"]', "neither"),
        ('rules = ["sex <= age"]', "is categorical"),
        ('rules = ["pay <= age"]', "has missing values"),
        ('rules = ["born <= age"]', "different kinds"),
        ("header = 3", "true or false"),
        ("[columns", "Expected"),
    ],
)
def test_a_schema_is_checked(people, tmp_path, schema, message):
    with pytest.raises(SparringError, match=message):
        opened(tmp_path, (tmp_path / "data.csv").read_text(), schema)


def test_rules_are_kept_exactly(tmp_path):
    draw = np.random.default_rng(1)
    start, length, extra = (
        draw.normal(50, 9, 200).round(1),
        draw.exponential(5, 200).round(1),
        draw.integers(0, 99, 200),
    )
    rows = zip(start, start + length, extra, start + extra, strict=True)
    text = "start,end,extra,total\n" + "".join(f"{a:.1f},{b:.1f},{c},{d:.1f}\n" for a, b, c, d in rows)
    data = opened(tmp_path, text, 'rules = ["start <= end", "total = start + extra"]')
    assert [",".join(row) for row in back(data)] == text.splitlines()[1:]
    noise = torch.rand(500, data.spec.shape[0]) * 2 - 1  # whatever a generator says
    made = table.values(noise, data.spec)
    assert np.all(made["end"] >= made["start"])
    np.testing.assert_allclose(made["total"], (made["start"] + made["extra"]).round(1))
    for name in ("start", "extra"):
        assert column(data, name).minimum <= made[name].min() <= made[name].max() <= column(data, name).maximum


def test_rules_hold_for_numbers_without_a_last_decimal(tmp_path):
    draw = np.random.default_rng(1)
    a, gap = draw.random(300), draw.random(300)
    pairs = list(zip(a.tolist(), gap.tolist(), strict=True))
    lines = [f"{x!r},{x + y!r},{x + (x + y)!r}" for x, y in pairs]
    data = opened(tmp_path, "\n".join(["a,b,c", *lines]), 'rules = ["a <= b"]')
    made = decode(data.pixels, Layout(data.spec.columns))
    np.testing.assert_allclose(made["b"], a + gap, atol=1e-6)  # gaps are not rounded to whole numbers
    noise = table.values(torch.rand(500, data.spec.shape[0]) * 2 - 1, data.spec)
    assert np.all(noise["b"] >= noise["a"])
    assert column(opened(tmp_path, "\n".join(["a,b,c", *lines]), 'rules = ["c = a + b"]'), "c").kind == "sum"
    with pytest.raises(SparringError, match=r"'c = a \+ b' is broken by 1 of 301 rows"):
        opened(tmp_path, "\n".join(["a,b,c", *lines, "0.5,0.5,1.4"]), 'rules = ["c = a + b"]')
    broken = [f"{x!r},{x - 0.3 * (k % 4 == 0)!r}" for k, (x, _) in enumerate(pairs)]
    with pytest.raises(SparringError, match="'a <= b' is broken by 75 of 300 rows"):
        opened(tmp_path, "\n".join(["a,b", *broken]), 'rules = ["a <= b"]')


def test_a_rule_that_the_data_breaks_is_refused(tmp_path):
    text = "a,b\n" + "".join(f"{k},{k - (k == 7)}\n" for k in range(50))
    with pytest.raises(SparringError, match="'a <= b' is broken by 1 of 50 rows"):
        opened(tmp_path, text, 'rules = ["a <= b"]\n[columns]\na = "integer"\nb = "integer"')


# ---------------------------------------------------------------------- files


def test_text_cells_are_guarded_and_numbers_are_not(tmp_path):
    text = "=sum,n\n" + "=1+1,-5\n@x,3\n+y,-7\n-z,9\nplain,1\n" * 9
    data = opened(tmp_path, text)
    list(table.write_files([(range(45), table.decode(data.pixels, data.spec))], tmp_path, data.spec))
    with open(tmp_path / "table.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["'=sum", "n"]
    assert rows[1:6] == [["'=1+1", "-5"], ["'@x", "3"], ["'+y", "-7"], ["'-z", "9"], ["plain", "1"]]
    assert [guarded(text) for text in ("\tx", "\rx", "\nx", "a=b")] == ["'\tx", "'\rx", "'\nx", "a=b"]


def test_typed_cells(people):
    cells = typed(decode(people.pixels, Layout(people.spec.columns)))
    assert cells["pay"][0] is None
    assert isinstance(cells["age"][0], int)
    assert cells["born"][0].isoformat() == "1950-01-10"
    assert cells["empty"] == [None] * 200


def test_a_parquet_file_is_the_same_table(people, tmp_path):
    pytest.importorskip("pyarrow")
    rows = table.decode(people.pixels, people.spec)
    assert list(table.write_parquet([(range(200), rows)], tmp_path / "t.parquet", people.spec)) == [200]
    assert is_table(str(tmp_path / "t.parquet"))
    again = open_data(str(tmp_path / "t.parquet"))
    kinds = {c.name: c.kind for c in again.spec.columns}
    assert kinds["pay"] == "continuous"
    assert kinds["born"] == "date"
    assert column(again, "pay").counts[-1] == 20
    np.testing.assert_array_equal(
        decode(again.pixels, Layout(again.spec.columns))["age"],
        decode(people.pixels, Layout(people.spec.columns))["age"],
    )


def test_other_rows_are_encoded_by_known_columns(people, tmp_path):
    (tmp_path / "other.csv").write_text("age,sex\n30,F\n31,?\n32,M\n33,N\n")
    known = tuple(c for c in people.spec.columns if c.name in ("age", "sex"))
    other = open_table(str(tmp_path / "other.csv"), Data(), None, known)
    assert back(other) == [("30", "F"), ("32", "M")]  # neither "?" nor "N" was there before
    assert "2 rows" in other.notes[0]


def test_held_out_rows_shape_nothing(tmp_path):
    lines = [f"{k},{'rare' if k == 3 else 'ab'[k % 2]},{k % 4}" for k in range(400)]
    data = opened(tmp_path, "n,c,d\n" + "\n".join(lines) + "\n", held_out=0.3)
    assert data.held_out is not None
    assert 200 < len(data) < 340
    seen = {text for name in ("c",) for text in column(data, name).categories}
    unknown = 0 if "rare" in seen else 1
    assert len(data) + len(data.held_out) + unknown == 400
    ours = decode(data.pixels, Layout(data.spec.columns))["d"]
    assert column(data, "d").counts == tuple(np.bincount(ours.astype(int)))
    again = opened(tmp_path, "n,c,d\n" + "\n".join(reversed(lines)) + "\n", held_out=0.3)
    assert len(again) == len(data)  # by content, not by place


def test_copies_stay_on_one_side_whatever_identifies_them(tmp_path):
    """Twins but for a number, which a schema calls an identifier or drops."""
    twins = [f"{k},{1000 + k // 2},{k // 2 % 7},note {k}" for k in range(600)]
    schema = '[columns]\nn = "identifier"\nnote = "drop"\npay = "integer"\n'
    data = opened(tmp_path, "n,pay,c,note\n" + "\n".join(twins) + "\n", schema, held_out=0.3)
    theirs = decode(data.held_out.pixels, Layout(data.spec.columns))["pay"]
    assert len(theirs) > 100
    assert not np.any(np.unique(theirs, return_counts=True)[1] % 2)


def test_a_target_follows_no_rule(tmp_path):
    """The states of such a column are its distances from another, not its values."""
    text = "a,b\n" + "".join(f"{k},{k + k % 2}\n" for k in range(50))
    schema = 'rules = ["a <= b"]\n[columns]\na = "integer"\nb = "integer"\n'
    assert not any(c.target for c in opened(tmp_path, text, schema).spec.columns)
    with pytest.raises(SparringError, match="no rule to follow"):
        opened(tmp_path, text, 'target = "b"\n' + schema)


def test_settings_of_pictures_are_refused(tmp_path):
    with pytest.raises(SparringError, match=r"data\.size is for pictures"):
        opened(tmp_path, "a,b\n1,2\n2,3\n", size="32")


def test_ragged_rows(tmp_path):
    text = "a,b\n" + "1,x\n2,y\n" * 150
    assert len(opened(tmp_path, text + "1,2,3\n")) == 300
    with pytest.raises(SparringError, match=r"1 of 5 rows .* line 6 has 3"):
        opened(tmp_path, "a,b\n1,x\n2,y\n1,x\n2,y\n1,2,3\n")


def test_a_damaged_column_layout_is_refused():
    with pytest.raises(ValueError, match="2 states and 1 counts"):
        Column("a", "categorical", (1,), ("x", "y"))
    with pytest.raises(ValueError, match="same name"):
        DataSpec("table", (4,), columns=(Column("a", "categorical", (), ("x", "y")),) * 2)
    with pytest.raises(ValueError, match="no column of numbers"):
        DataSpec("table", (1,), columns=(Column("a", "integer", (1,), centres=(0.0,), reaches=(1.0,), base="b"),))


def test_unknown_values_are_told():
    columns = (Column("c", "categorical", (1, 1), ("x", "y")), Column("n", "integer", (1, 1), points=(1.0, 2.0)))
    kept, known = encode(Rows(columns, (np.array([0, -1, -2]), np.array([1.0, 2.0, np.nan]))))
    assert known.tolist() == [True, False, False]
    assert expand(kept, Layout(columns))[0].tolist() == [1, 0, 1, 0]
    assert texts_of(columns[1], np.array([1.0, 2.0])) == ["1", "2"]


def test_strange_tables_are_read_or_refused_in_a_line(tmp_path):
    """Each is a table, or a sentence that names the file or column; none is a traceback."""
    count, said = 0, list[str]()
    for name, content in tables():
        path = tmp_path / name
        path.write_bytes(content)
        count += 1
        try:
            data = open_data(str(path))
        except SparringError as error:
            said.append(str(error))
            continue
        assert len(data) >= 2, name
        assert bool(data.pixels.isfinite().all()), name
        assert len(back(data)[0]) == len(data.spec.columns), name
        path.unlink()
    assert count >= 300
    assert not [line for line in said if "\n" in line or not 20 < len(line) < 600]
