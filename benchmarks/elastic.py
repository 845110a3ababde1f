"""Kill workers of a run under torchrun; its restarts must end, byte for byte, where a run in peace ends.

    python benchmarks/elastic.py --runs 20 --seed 0 --report

Two processes train together on the built-in digits, started by ``torchrun --max-restarts 9``. One of the two, drawn at
random, gets kill -9 at an instant drawn evenly from the first six tenths of the time after start-up; torchrun ends the
other and starts both again, and they go on from the last whole state. What must be equal is what
benchmarks/resume_torture.py compares. Exits with 1 unless all runs are equal; ``--report`` writes
``docs/results/elastic.md``.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from resume_torture import digests, hardware, newest

WORKERS = 2
TRAIN = (
    f"train digits --family dcgan --game.width 8 --train.kimg 6 --train.microbatches {WORKERS} "
    "--train.save-kimg 0.25 --train.tick-kimg 0.25 --train.picture-kimg 2"
)
PAGE = Path(__file__).parent.parent / "docs" / "results" / "elastic.md"


@dataclass(frozen=True)
class Trial:
    """Which worker was killed, how many seconds after training began, at which state (kimg), and whether the end is
    that of the run in peace.
    """

    worker: int
    seconds: float
    found: str
    equal: bool


def start(run: Path, log: Path) -> subprocess.Popen[bytes]:
    """The whole job: torchrun and its workers."""
    launcher = f"-m torch.distributed.run --nproc-per-node {WORKERS} --max-restarts 9 --monitor-interval 0.2"
    place = "--rdzv-backend c10d --rdzv-endpoint localhost:0 -m -- sparring"
    command = [sys.executable, *launcher.split(), *place.split(), *TRAIN.split(), "--run", str(run)]
    return subprocess.Popen(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=log.open("wb"), stderr=subprocess.STDOUT
    )


def workers(parent: int) -> list[int]:
    """Processes that ``parent`` started, oldest first."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if int(words[1]) == parent and b"sparring" in command:
            found.append(int(entry.name))
    return sorted(found)


def wait_until(ready, process: subprocess.Popen[bytes]) -> None:
    """Until ``ready()``, or the job has ended."""
    while process.poll() is None and not ready():
        time.sleep(0.01)


def finish(process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for the end of a job; leave with its last words when it failed."""
    if process.wait() != 0:
        raise SystemExit(f"a job ended with exit code {process.returncode}:\n{log.read_text()[-3000:]}")


def kill_one(folder: Path, name: str, length: float, reference: dict[str, str], draw: random.Random) -> Trial | None:
    """One job whose worker is killed once; None where it had ended by then."""
    run, log = folder / name, folder / f"{name}.log"
    worker, seconds = draw.randrange(WORKERS), draw.uniform(0, length)
    process = start(run, log)
    wait_until((run / "log.jsonl").is_file, process)
    time.sleep(seconds)
    found = workers(process.pid)
    last = newest(run)
    if len(found) != WORKERS:
        finish(process, log)
        return None
    os.kill(found[worker], signal.SIGKILL)
    finish(process, log)
    return Trial(worker, seconds, "none" if last is None else f"{int(last.name) / 1000:g}", digests(run) == reference)


def page(arguments: argparse.Namespace, trials: list[Trial], length: float) -> str:
    """The results as a page."""
    good = sum(trial.equal for trial in trials)
    rows = [
        f"| {number} | {trial.worker} | {trial.seconds:.1f} | {trial.found} | {'yes' if trial.equal else 'NO'} |"
        for number, trial in enumerate(trials, 1)
    ]
    return "\n".join(
        [
            "# Workers killed under torchrun",
            "",
            f"**{good} of {len(trials)} runs ended bit-identical to the run in peace.**",
            "",
            f"`python benchmarks/elastic.py --runs {arguments.runs} --seed {arguments.seed} --report`, {date.today()}, "
            f"{hardware()}.",
            f"Each run: `torchrun --nproc-per-node {WORKERS} --max-restarts 9 -m -- sparring {TRAIN}`,",
            f"which trains, draws and judges for {length:.1f} s in peace. One worker gets kill -9; torchrun starts all",
            "of them again, and they go on from the newest whole state. A run that ends before its instant is made",
            "again. Equal means: SHA-256 of the model's weights and of every file of the last full state.",
            "",
            "| run | worker killed | after (s) | newest state then (kimg) | equal |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    parser.add_argument("--report", action="store_true", help=f"write {PAGE.name}")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peace = start(folder / "peace", folder / "peace.log")
        wait_until((folder / "peace" / "log.jsonl").is_file, peace)
        begun = time.monotonic()
        finish(peace, folder / "peace.log")
        length = time.monotonic() - begun
        reference = digests(folder / "peace")
        print(f"in peace: {length:.1f} s of training and closing verdict", flush=True)
        trials: list[Trial] = []
        within = 0.6 * length
        while (number := len(trials) + 1) <= arguments.runs:
            shutil.rmtree(folder / f"run{number}", ignore_errors=True)
            trial = kill_one(folder, f"run{number}", within, reference, draw)
            if trial:
                trials.append(trial)
            else:  # the machine is faster than it was in peace: nobody was killed, so it is no trial
                within *= 0.9
            print(f"run {number}: {trial or 'had ended before the instant, and is made again'}", flush=True)
    if arguments.report:
        PAGE.write_text(page(arguments, trials, length), encoding="utf-8")
    good = sum(trial.equal for trial in trials)
    print(f"{good}/{len(trials)} bit-identical")
    sys.exit(0 if good == len(trials) else 1)


if __name__ == "__main__":
    main()
