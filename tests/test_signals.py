"""Signals, as a cluster or an impatient person sends them, to a real process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import changed, outcome, states
from sparring.engine import checkpoint

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")

ENDLESS = (
    *("train", "digits", "--family", "vanilla", "--game.width", "8", "--game.z-dim", "8", "--data.labels", "none"),
    *("--train.save-kimg", "0.5", "--train.tick-kimg", "1000", "--train.picture-kimg", "1000"),
)
HERE = Path(__file__).parent


@pytest.fixture
def start():
    """``start(*arguments)``: the command in a process of its own, which is gone when the test is over."""
    processes = []

    def begin(*arguments):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)}
        code = "from sparring.cli import main; main()"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        processes.append(process)
        return process

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until(true, process):
    """Wait for what the process is to bring about."""
    limit = time.monotonic() + 120
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.02)


def ends_as_a_run_in_peace(sparring, run, other):
    """The run, taken 640 images further, ends as one that was never disturbed."""
    kimg = f"{(int(states(run)[-1].name) + 640) / 1000:g}"
    for folder in (run, other):
        assert sparring(*ENDLESS, "--train.kimg", kimg, "--run", folder).code == 0
    assert outcome(run) == outcome(other)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves_in_time(sparring, start, tmp_path, number):
    run = tmp_path / "run"
    line = (*ENDLESS, "--train.kimg", "1e6", "--run", run)
    process = start(*changed(line, ("--train.save-kimg", "1e6"), ("--train.tick-kimg", "0.1")))
    wait_until(lambda: (run / "log.jsonl").is_file() and len((run / "log.jsonl").read_text().splitlines()) > 2, process)
    assert states(run) == []
    sent, crowd = time.monotonic(), max(1, os.getloadavg()[0] / os.cpu_count())
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - sent < 5 * crowd
    assert process.returncode == 75
    assert err == ""
    assert "Stopped and saved. The same command goes on from here." in out
    (state,) = states(run)
    checkpoint.read(state)
    ends_as_a_run_in_peace(sparring, run, tmp_path / "other")


def test_one_trainer_a_folder_and_the_lock_dies_with_it(sparring, refused, start, tmp_path):
    run = tmp_path / "run"
    process = start(*ENDLESS, "--train.kimg", "1e6", "--run", run)
    wait_until(lambda: len(states(run)) >= 1, process)
    message = refused(*ENDLESS, "--train.kimg", "1e6", "--run", run)
    assert f"is being trained by another process (process {process.pid} since" in message
    assert "another --run" in message
    process.kill()
    process.communicate()
    ends_as_a_run_in_peace(sparring, run, tmp_path / "other")


def test_a_second_ctrl_c_leaves_at_once(start, tmp_path):
    slow = ("--family", "stumbling:NaNGAN", "--game.seconds", "60", "--data.labels", "none", "--train.kimg", "1")
    process = start("train", "digits", *slow, "--run", tmp_path / "run")
    wait_until(lambda: list(tmp_path.glob("run/samples/0*.png")), process)  # the first step is about to begin
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None, "the first one waits for the step"
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert time.monotonic() - sent < 20  # of the 60 seconds that the step would take
    assert process.returncode == 130
    assert states(tmp_path / "run") == []
