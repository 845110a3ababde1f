"""The model of many GPUs by hand, and the page that shows it."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from scaling_paper import Case, Machine, all_reduce, gains, messages, paper, step  # noqa: E402

from sparring.engine import reduction  # noqa: E402

ON = Machine(flops=1e12, memory=1e12, inside=1e10, across=1e9, hop=1e-5, hop_across=1e-4, gpus=4, host=1e-3, hides=0.5)
CASE = Case("a case", (10**6, 2 * 10**6), 1e9, 10)


def test_a_message_by_hand():
    # In a ring of two: 2 x 1/2 of the bytes, and 2 hops. Over four machines of four: 2 x 3/4 near, 6 hops; then
    # 2 x 3/4 of a quarter of the bytes, and 2 x 2 hops between machines.
    assert all_reduce(1e8, 2, ON) == pytest.approx(0.01 + 2e-5)
    assert all_reduce(1e8, 16, ON) == pytest.approx(0.015 + 6e-5 + 0.0375 + 4e-4)


def test_a_step_by_hand(monkeypatch):
    monkeypatch.setattr(reduction, "BUCKET_BYTES", 3 * 10**6)
    assert messages(10**6) == [3 * 10**6, 10**6]
    assert messages(2 * 10**6) == [3 * 10**6, 3 * 10**6, 2 * 10**6]
    alone, none = step(CASE, 1, 10, ON)  # 10 ms of arithmetic, 1 ms of the host, 40 bytes for each of 3 M weights
    assert (alone, none) == (pytest.approx(0.01 + 0.001 + 120e-6), 0)
    # Of two, 12 MB take 1.2 ms and 5 messages two hops each: half of 6.7 ms hides that but for the last two messages.
    assert step(CASE, 2, 10, ON)[1] == pytest.approx(0.3e-3 + 4e-5)
    bare = replace(ON, hides=0.0)
    assert step(CASE, 2, 10, bare)[1] == pytest.approx(1.2e-3 + 1e-4)


def test_a_fixed_batch_ends_at_a_picture_each():
    sizes = [n for n, *_ in gains(CASE, ON, 64)]
    assert sizes == [1, 2, 4, 8, 16, 32, 64]
    assert next(gains(CASE, ON))[3] == pytest.approx(1)


def test_the_page_shows_what_the_model_says_now():
    text = (ROOT / "docs" / "distributed.md").read_text(encoding="utf-8")
    assert paper(Machine()) in text, "networks or the model changed: python benchmarks/scaling.py --paper --report"
