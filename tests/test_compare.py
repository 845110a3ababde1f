"""``sparring compare``: like with like, and no winner by chance."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Sparring
from sparring.core.errors import SparringError
from sparring.core.folder import RunFolder
from sparring.metrics.protocol import Better, Protocol, Score
from sparring.tools.compare import compare, judged
from sparring.tools.evaluate import record
from test_protocol import MINE


def score(
    value: float, reach: float | None = 0.1, bias: float = 0.0, better: Better = "lower", protocol: Protocol = MINE
) -> Score:
    interval = None if reach is None else (value - reach, value + reach)
    return Score(value, protocol, better, interval, 1.0, "", bias)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, *scores: Score, source: str = "evaluate") -> Path:
        (tmp_path / name).mkdir(exist_ok=True)
        record(RunFolder(tmp_path / name), 1000, source, scores)
        return tmp_path / name

    return make


def test_the_better_run_is_named(run: Callable[..., Path], sparring: Sparring) -> None:
    first, second = run("first", score(3.0)), run("second", score(2.0))
    (row,) = compare([first, second]).rows
    assert row.best == 1
    answer = sparring("compare", first, second)
    assert answer.code == 0
    assert "second" in answer.out
    assert MINE.id in answer.out
    assert MINE.space in answer.out.replace("\n", "")


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (score(2.0, 0.6), score(3.0, 0.6), "the intervals overlap"),
        (score(2.0, 0.1, 1.5), score(3.0, 0.1, 1.5), "differ by less than the bias"),
        (score(2.0, None), score(3.0, None), "no interval"),
    ],
)
def test_what_chance_could_do_is_no_difference(one: Score, other: Score, words: str) -> None:
    row = judged((one, other))
    assert row.best is None
    assert words in row.words


def test_which_way_is_better() -> None:
    assert judged((score(2.0, better="higher"), score(3.0, better="higher"))).best == 1
    assert judged((score(0.5, better="nearer"), score(3.0, better="nearer"))).best == 0  # reals score 1
    assert judged((score(0.5), score(2.0), score(3.0))).best == 0


def test_unlike_protocols_are_refused_with_what_differs(run: Callable[..., Path], refused: Callable[..., str]) -> None:
    more = dataclasses.replace(MINE, fakes=50_000, split="training data")
    first, second = run("first", score(3.0)), run("second", score(2.0, protocol=more))
    line = refused("compare", first, second)
    assert "cannot be compared" in line
    assert "the number of samples (10000 / 50000)" in line
    assert "the reference split (test files / training data)" in line


def test_what_cannot_be_compared_at_all(run: Callable[..., Path], tmp_path: Path) -> None:
    first = run("first", score(3.0))
    with pytest.raises(SparringError, match="two run folders"):
        compare([first])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SparringError, match="sparring evaluate"):
        compare([first, tmp_path / "empty"])
    other = run("other", score(3.0, protocol=dataclasses.replace(MINE, metric="KD")))
    with pytest.raises(SparringError, match="no metric in common"):
        compare([first, other])


def test_the_latest_evaluation_counts_and_one_on_its_own_before_one_in_training(run: Callable[..., Path]) -> None:
    run("first", score(9.0))
    run("first", score(3.0))
    first = run("first", score(1.0), source="train")
    second = run("second", score(2.0), score(5.0, protocol=dataclasses.replace(MINE, metric="KD")))
    found = compare([first, second])
    assert [score.value for score in found.rows[0].scores] == [3.0, 2.0]
    assert found.notes == ("not measured for every run, so left out: KD",)
