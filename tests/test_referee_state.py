"""The referee's patience: when it speaks, when it takes it back, and that a log tells it the same as a live run."""

import json
import math

import pytest

from sparring.diagnostics.finding import Rule, Sign
from sparring.diagnostics.history import Context, History, ticks_of
from sparring.diagnostics.referee import Referee
from sparring.watch.records import clean

CONTEXT = Context(1000, 1)
LEVELS = {".": "good", "w": "warn", "c": "critical", "W": "warn", "C": "critical"}


class Scripted(Rule):
    """Sees in the reading ``mark`` what it shall say: . good, w warn, c critical, capitals for sure."""

    name, title, remedy = "scripted", "A scripted failure", "Mend it."

    def look(self, history: History) -> Sign | None:
        mark = history.newest("mark")
        if mark is None:
            return None
        letter = chr(int(mark))
        return Sign(LEVELS[letter], "mark", mark, 0.0, f"it says {letter}", sure=letter.isupper())


class Hoped(Scripted):
    name, hoped_for = "hoped", True

    def look(self, history: History) -> Sign | None:
        return Sign("good", "mark", 1.0, 0.0, "all is well") if history.newest("mark") == ord("+") else None


def told(script: str, rule: type[Rule] = Scripted) -> list[tuple[int, str]]:
    """What is told at which look of ``script``, a letter a look; a blank is a tick without one."""
    referee = Referee(CONTEXT, [rule()])
    found = []
    for index, letter in enumerate(script):
        terms = {} if letter == " " else {"probe/mark": float(ord(letter))}
        found += [(index, finding.severity) for finding in referee.see(index + 1, terms)]
    return found


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("ww", []),
        ("www", [(2, "warn")]),
        ("w.w.w", [(4, "warn")]),  # 3 of the last 5
        ("w..w..w..w", []),
        ("w  w   w", [(7, "warn")]),  # ticks without a look do not count
        ("WW", [(1, "warn")]),  # sure: 2 of 3
        ("W.W", [(2, "warn")]),
        ("Ww", []),
        ("ccccc", [(2, "warn"), (4, "critical")]),  # 5 of 6
        ("cc.ccc", [(3, "warn"), (5, "critical")]),
        ("CC", [(1, "critical")]),
        ("www....", [(2, "warn")]),
        ("www.....", [(2, "warn"), (7, "good")]),  # 5 clean looks
        ("www....w.....", [(2, "warn"), (12, "good")]),
        ("CC....", [(1, "critical")]),
        ("CCwwwww", [(1, "critical"), (6, "warn")]),  # no longer critical, still there
        ("CC.....", [(1, "critical"), (6, "good")]),
        ("www.....www", [(2, "warn"), (7, "good"), (10, "warn")]),
    ],
)
def test_when_it_speaks(script, wanted):
    assert told(script) == wanted


def test_good_news_are_told_at_once_and_dropped_in_silence():
    assert told("..++.+", Hoped) == [(2, "good"), (5, "good")]
    referee = Referee(CONTEXT, [Hoped()])
    referee.see(1, {"probe/mark": float(ord("+"))})
    assert [finding.name for finding in referee.findings] == ["hoped"]
    referee.see(2, {"probe/mark": 0.0})
    assert referee.findings == ()


def test_a_finding_says_since_when_and_how_sure():
    referee = Referee(CONTEXT, [Scripted()])
    for index, letter in enumerate("..w.ww"):
        found = referee.see(10 * (index + 1), {"probe/mark": float(ord(letter))})
    (finding,) = found
    assert (finding.since, finding.nimg) == (30, 60)
    assert finding.confidence == pytest.approx(3 / 6)
    assert (finding.name, finding.title, finding.remedy) == ("scripted", "A scripted failure", "Mend it.")
    assert finding.evidence == "it says w"
    for nimg in range(70, 120, 10):
        found = referee.see(nimg, {"probe/mark": float(ord("."))})
    assert [(over.severity, over.remedy, over.evidence) for over in found] == [("good", "", "over: it says .")]
    assert referee.findings == ()


def test_the_worst_is_told_first():
    class Other(Scripted):
        name = "other"

        def look(self, history: History) -> Sign | None:
            return Sign("critical", "mark", 0.0, 0.0, "", sure=True)

    referee = Referee(CONTEXT, [Hoped(), Scripted(), Other()])
    for index, letter in enumerate("www"):
        referee.see(index + 1, {"probe/mark": float(ord(letter))})
    assert [finding.name for finding in referee.findings] == ["other", "scripted"]


def a_failing_run() -> list[tuple[int, dict[str, float]]]:
    """A run of 100 ticks that collapses midway, has other signs, and reports a loss that is not finite."""
    ticks = []
    for index in range(1, 101):
        t = index / 100
        terms = {"D.discriminator/loss": 1.386, "G.generator/loss": math.nan if index in (70, 71) else 0.7}
        terms |= {"probe/auc": 0.6, "probe/fake_gradient": 0.5}
        if index % 4 == 0:
            terms["probe/diversity"] = 0.9 if t < 0.5 else 0.02
            terms["probe/coverage"] = 0.8 if t < 0.5 else 0.1
            terms["probe/distance"] = 0.1 if t < 0.5 else 1.1
        ticks.append((index * 1000, terms))
    return ticks


def test_a_log_gives_the_verdicts_of_the_live_run():
    context = Context(100_000, 64, "non_saturating", 1000)
    live = Referee(context)
    lines = []
    for nimg, terms in a_failing_run():
        live.see(nimg, terms)
        lines.append(json.loads(json.dumps(clean({"nimg": nimg, "terms": terms}))))
    replayed = Referee.of_log(context, lines)
    assert [(finding.name, finding.severity, finding.since) for finding in live.findings] == [
        ("collapse", "critical", 52_000)
    ]
    assert replayed.findings == live.findings
    assert live.history.ticks[-1] == replayed.history.ticks[-1]


def test_a_run_that_was_set_back_is_judged_by_what_is_left():
    context = Context(100_000, 64, "non_saturating", 1000)
    ticks = a_failing_run()
    live, straight = Referee(context), Referee(context)
    for tick in ticks:
        live.see(*tick)
    assert live.findings
    healthy = [(nimg, ticks[3][1]) for nimg, _ in ticks[40:]]
    for tick in healthy:
        live.see(*tick)
    for tick in [*ticks[:40], *healthy]:
        straight.see(*tick)
    assert live.findings == straight.findings
    assert not [finding for finding in live.findings if finding.severity != "good"]


def test_history_keeps_what_is_not_finite_out_of_series():
    history = History(CONTEXT)
    history.add(1, {"probe/a": 1.0, "D.d/loss": math.inf})
    history.add(2, {"probe/a": math.nan})
    assert history.reading("a").values == (1.0,)
    assert history.newest("a") is None
    assert math.isnan(history.ticks[0][1]["D.d/loss"])
    history.add(1, {"probe/a": 3.0})
    assert (history.nimg, history.reading("a").values) == (1, (3.0,))
    assert history.turns("loss") == {}


def test_strange_lines_are_passed_over():
    lines = [
        {"nimg": "x", "terms": {}},
        {"terms": {"a": 1}},
        {"nimg": 3},
        {"nimg": 4, "terms": {"a": "b", "c": None, "d": 2}},
    ]
    ((nimg, terms),) = ticks_of(lines)
    assert nimg == 4
    assert list(terms) == ["c", "d"]
    assert math.isnan(terms["c"])
