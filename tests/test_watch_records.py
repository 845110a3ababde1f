"""Records survive crashes and never go backwards; the crowd survives its watchers."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sparring.core.folder import RunFolder, read_lines
from sparring.core.observer import Tick, Watcher
from sparring.watch.crowd import Crowd
from sparring.watch.records import Records


def tick(nimg: int, **terms: float) -> Tick:
    return Tick(nimg, 10_000, nimg / 100, 100.0, 50.0, terms)


def started(folder: RunFolder, nimg: int = 0) -> Records:
    folder.create()
    records = Records(folder)
    records.start(nimg, 10_000)
    return records


def shown(folder: RunFolder) -> list[int]:
    return [line["nimg"] for line in folder.read_log()]


def test_a_line_per_tick_and_event(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    records = started(folder)
    records.tick(tick(1500, loss=1.5, bad=math.nan, worse=-math.inf))
    records.event("verdict", "fine", severity="good")
    records.event(
        "saved", "state", nimg=1200, path=Path("state/x"), score=np.float32(math.nan), at=torch.tensor([1, 2])
    )
    (line,) = folder.read_log()
    assert line.pop("time").startswith("20")
    assert line == {
        "nimg": 1500,
        "kimg": 1.5,
        "total_kimg": 10.0,
        "seconds": 15.0,
        "images_per_second": 100.0,
        "memory_mb": 50.0,
        "terms": {"loss": 1.5, "bad": None, "worse": None},
    }
    verdict, saved = read_lines(folder.events)
    assert (verdict["kind"], verdict["message"], verdict["nimg"], verdict["severity"]) == (
        "verdict",
        "fine",
        1500,
        "good",
    )
    assert (saved["nimg"], saved["path"], saved["score"], saved["at"]) == (1200, str(Path("state/x")), None, [1, 2])


def test_resume_drops_the_lost_future(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    records = started(folder)
    for nimg in (1000, 2000, 3000, 4000):
        records.tick(tick(nimg))
    records.event("stopped", "by the power cut")
    records = started(folder, nimg=2000)
    assert shown(folder) == [1000, 2000]
    records.tick(tick(2500))
    assert shown(folder) == [1000, 2000, 2500]
    assert len(list(read_lines(folder.events))) == 1
    assert list(tmp_path.glob(".*.tmp")) == []


def test_a_rollback_while_running_drops_it_too(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    records = started(folder)
    for nimg in (1000, 2000, 3000, 4000, 2500, 3500):
        records.tick(tick(nimg))
    assert shown(folder) == [1000, 2000, 2500, 3500]


@pytest.mark.parametrize("cut", range(1, 40, 6))
def test_a_half_written_line_is_trimmed(tmp_path: Path, cut: int) -> None:
    folder = RunFolder(tmp_path)
    records = started(folder)
    records.tick(tick(1000))
    records.tick(tick(2000))
    data = folder.log.read_bytes()
    folder.log.write_bytes(data[: -1 - cut])
    folder.events.write_bytes(b'{"kind": "half')
    records = started(folder, nimg=5000)
    records.tick(tick(6000))
    records.event("resumed", "on we go")
    assert shown(folder) == [1000, 6000]
    assert [event["kind"] for event in read_lines(folder.events)] == ["resumed"]
    assert all(json.loads(line) for line in folder.log.read_text().splitlines())


def test_a_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    started(folder).tick(tick(1000))
    folder.log.write_bytes(folder.log.read_bytes()[:-1])
    started(folder, nimg=1000).tick(tick(2000))
    assert shown(folder) == [1000, 2000]


def test_events_before_the_start_heal_too(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.create()
    folder.events.write_bytes(b'{"kind": "a"}\n\xff\x00half')
    Records(folder).event("resumed", "from state 3")
    first, second = read_lines(folder.events)
    assert (first["kind"], second["kind"]) == ("a", "resumed")
    assert "nimg" not in second


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX's")
def test_survives_kill_9(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.create()
    code = (
        "import sys\nfrom sparring.core.folder import RunFolder\nfrom sparring.core.observer import Tick\n"
        "from sparring.watch.records import Records\n"
        "records = Records(RunFolder(sys.argv[1]))\nrecords.start(0, 1)\nnimg = 0\n"
        "while True:\n    nimg += 1\n    records.tick(Tick(nimg, 1, 1, 1, 1, {'loss': 1.0}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    try:
        until = time.monotonic() + 60
        while len(folder.read_log()) < 50:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = max(shown(folder))
    assert last >= 50
    started(folder, nimg=last).tick(tick(last + 1))
    assert shown(folder) == list(range(1, last + 2))


# ---------------------------------------------------------------------- the crowd


class Witness(Watcher):
    """Remembers what it is told, and fails at the calls named."""

    def __init__(self, *failing: str, error: Exception | None = None):
        self.failing, self.told = failing, list[tuple[Any, ...]]()
        self.error = error or ValueError("no such colour")

    def _hear(self, call: str, *what: Any) -> None:
        self.told.append((call, *what))
        if call in self.failing:
            raise self.error

    def start(self, nimg: int, total_nimg: int) -> None:
        self._hear("start", nimg, total_nimg)

    def tick(self, tick: Tick) -> None:
        self._hear("tick", tick.nimg)

    def event(self, kind: str, message: str, **details: Any) -> None:
        self._hear("event", kind, message, details)

    def picture(self, path: Path, nimg: int) -> None:
        self._hear("picture", path, nimg)

    def finish(self) -> None:
        self._hear("finish")


def play(crowd: Crowd) -> None:
    crowd.start(0, 10)
    crowd.tick(tick(5))
    crowd.event("verdict", "fine", severity="good")
    crowd.picture(Path("a.png"), 5)
    crowd.tick(tick(10))
    crowd.finish()


ALL = ["start", "tick", "event", "picture", "tick", "finish"]


def test_the_crowd_hears_everything_in_order() -> None:
    witnesses = [Witness(), Witness()]
    play(Crowd(witnesses))
    for witness in witnesses:
        assert [call for call, *_ in witness.told] == ALL
        assert witness.told[2] == ("event", "verdict", "fine", {"severity": "good"})


@pytest.mark.parametrize("place", [0, 1])
def test_a_failing_watcher_is_reported_once_and_left_out(place: int) -> None:
    good, bad = Witness(), Witness("tick", "finish")
    play(Crowd([bad, good] if place == 0 else [good, bad]))
    assert [call for call, *_ in bad.told] == ["start", "tick", "finish"]  # the finish is its own
    reports = [told for told in good.told if told[:2] == ("event", "watcher failed")]
    assert len(reports) == 1
    assert "Witness failed and is left out: ValueError: no such colour" in reports[0][2]
    assert [call for call, *rest in good.told if rest[:1] != ["watcher failed"]] == ALL


def test_one_that_cannot_write_is_reported_once_and_stays() -> None:
    good, full = Witness(), Witness("tick", "picture", error=OSError(28, "No space left on device"))
    play(Crowd([full, good]))
    assert [call for call, *rest in full.told if rest[:1] != ["watcher failed"]] == ALL
    reports = [told for told in good.told if told[:2] == ("event", "watcher failed")]
    assert [report[2] for report in reports] == ["Witness could not write: No space left on device"]


def test_one_that_fails_at_the_news_is_left_out_too(capsys: pytest.CaptureFixture[str]) -> None:
    crowd = Crowd([Witness("tick"), Witness("event")])
    play(crowd)
    assert crowd.watchers == []
    assert "Witness failed and is left out" in capsys.readouterr().err


def test_an_interrupt_is_no_failure() -> None:
    class Interrupted(Witness):
        def tick(self, tick: Tick) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(Crowd([Interrupted()]))
