"""The terminal: a live table, plain lines where nothing can be redrawn, no crash on any width."""

import io
import math

import pytest
from rich.console import Console

from sparring.core.observer import Tick
from sparring.watch import words
from sparring.watch.terminal import Terminal

TERMS = {
    "D.discriminator/loss": 0.6931,
    "D.discriminator/real_logits": 1.25,
    "D.discriminator/fake_logits": -2.5,
    "D.discriminator/gradient_norm": math.nan,
    "D.discriminator/r1": 0.125,
    "G.generator/loss": 3.5,
    "probe/diversity": 0.875,
}


def tick(nimg: int) -> Tick:
    return Tick(nimg, 60_000, 10.0, 1234.5, 2048.0, TERMS)


def live(width: int = 120) -> tuple[Terminal, io.StringIO]:
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=True, width=width, height=30, color_system="truecolor", legacy_windows=False
    )
    return Terminal(console, "dcgan on digits · runs/digits"), file


def play(terminal: Terminal) -> None:
    terminal.start(0, 60_000)
    for nimg in range(600, 60_600, 600):
        terminal.tick(tick(nimg))
    terminal.event("verdict", "[bold]collapsed[/] :boom:\x1b[2J\n", severity="critical")
    terminal.finish()


def test_what_the_referee_stands_by_is_shown_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal, _ = live()
    finding = {"name": "collapse", "title": "Mode collapse", "severity": "warn", "since": 30_000, "evidence": "alike"}

    def shown() -> str:
        page = Console(file=io.StringIO(), width=120)
        page.print(terminal._draw())
        return page.file.getvalue()  # type: ignore[attr-defined]

    terminal.event("finding", "told", **finding, remedy="Mend it.")
    for number in range(9):
        terminal.event("note", f"event {number}")
    assert "warn  Mode collapse since 30 kimg: alike" in shown()
    terminal.event("finding", "told", **{**finding, "severity": "critical"}, remedy="Mend it.")
    assert shown().count("Mode collapse since") == 1
    assert "critical  Mode collapse" in shown()
    terminal.event("finding", "told", **{**finding, "severity": "good"}, remedy="")
    assert "Mode collapse since" not in shown()


def test_readings_stay_between_looks_and_only_the_telling_ones() -> None:
    terminal, _ = live()
    terminal.tick(Tick(1, 10, 1.0, 1.0, 1.0, {"probe/diversity": 0.5, "probe/update": 0.1, "ada/p": 0.2}))
    terminal.tick(Tick(2, 10, 1.0, 1.0, 1.0, {"ada/p": 0.3}))
    assert terminal.readings == {"probe/diversity": 0.5, "ada/p": 0.3}


def test_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal, file = live()
    play(terminal)
    text = file.getvalue()
    for said in (
        "dcgan on digits",
        "100%",
        "60 / 60 kimg",
        "1,234 samples/s",
        "2.0 GB",
        "D on reals",
        "D.discriminator",
    ):
        assert said in text
    for said in (
        "0.6931",
        "1.25",
        "-2.5",
        "nan",
        "r1 0.125",
        "3.5",
        "probe/diversity 0.875",
        "[bold]collapsed[/] :boom:",
    ):
        assert said in text
    assert "\x1b[2J" not in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor was hidden, and came back
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


@pytest.mark.parametrize("width", [1, 2, 5, 10, 20, 40, 60, 80, 300])
def test_no_width_is_too_narrow(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal, file = live(width)
    play(terminal)
    assert file.getvalue().endswith("\x1b[?25h")


def test_start_twice_and_finish_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal, file = live()
    terminal.start(5000, 60_000)
    terminal.start(0, 60_000)  # a rollback
    terminal.finish()
    terminal.finish()
    assert file.getvalue().count("\x1b[?25l") == 1


def test_plain_lines() -> None:
    file = io.StringIO()
    play(Terminal(Console(file=file, width=80), "dcgan on digits"))
    first, *tenths, verdict = file.getvalue().splitlines()
    assert first == "dcgan on digits: 0 of 60 kimg"
    assert [line.split("%")[0].strip() for line in tenths] == [str(10 * k) for k in range(1, 11)]
    assert tenths[0].endswith("6 of 60 kimg  1,234 samples/s  44s left  losses D.discriminator 0.6931, G.generator 3.5")
    assert verdict.strip() == "verdict: [bold]collapsed[/] :boom: [2J"
    assert "\x1b" not in file.getvalue()


def test_plain_lines_of_a_resumed_run_begin_where_it_does() -> None:
    file = io.StringIO()
    terminal = Terminal(Console(file=file, width=80))
    terminal.start(30_000, 60_000)
    terminal.tick(tick(30_600))
    terminal.tick(tick(36_000))
    terminal.tick(tick(60_032))  # the last batch reaches beyond the end
    assert [line[:4] for line in file.getvalue().splitlines()[1:]] == [" 60%", "100%"]
    assert "  0s left" in file.getvalue()


def test_words() -> None:
    cases = [(0, "0"), (1.23456, "1.235"), (1234.5, "1234"), (0.00012, "1.2e-4"), (-2.5e7, "-2.5e7"), (1e5, "1e5")]
    assert [words.number(value) for value, _ in cases] == [said for _, said in cases]
    assert [words.number(x) for x in (None, math.nan, math.inf, -math.inf)] == ["–", "nan", "inf", "-inf"]
    times = [(0, "0s"), (59.6, "1m 00s"), (3725, "1h 02m"), (90_000, "1d 01h"), (math.inf, "–"), (math.nan, "–")]
    assert [words.duration(seconds) for seconds, _ in times] == [said for _, said in times]
    assert [words.kimg(n) for n in (0, 12_345, 60_000)] == ["0", "12.3", "60"]
    assert words.by_turn({"G+E.step/loss": 1.0, "probe/x": 2.0, "y": 3.0}) == (
        {"G+E.step": {"loss": 1.0}},
        {"probe/x": 2.0, "y": 3.0},
    )
