"""Kill runs with kill -9 at random instants, resume each with the same command, compare the end with a run in peace.

    python benchmarks/resume_torture.py --runs 20 --seed 0

Every run is the real command line in a process of its own, on the built-in digits. Each is killed ``--kills`` times,
nine times of ten at an instant drawn evenly from the time in which it trains, draws and saves, else while it starts up
or resumes; then it is left to end. What must be equal, byte for byte: ``model/generator.safetensors``, and every file
of the last full state (networks, averages, optimisers, position). Writes ``docs/results/resume.md`` and exits with 1
unless all runs are equal.
"""

import argparse
import datetime
import hashlib
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

TRAIN = (
    "train digits --family dcgan --game.width 8 --train.kimg 6 --train.save-kimg 0.25 --train.tick-kimg 0.25 "
    "--train.picture-kimg 2 --train.keep 3"
)


@dataclass
class Trial:
    """One tortured run: when it was killed (seconds after each start), at which state (kimg), how many
    half-written states the kills left, how many states were found damaged, and whether the end is the same.
    """

    kills: list[float] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    halves: int = 0
    damaged: int = 0
    equal: bool = False


def start(run: Path) -> subprocess.Popen[bytes]:
    """Begin, or go on with, the run: always the same command."""
    command = [sys.executable, "-c", "from sparring.cli import main; main()", *TRAIN.split(), "--run", str(run)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)


def wait_for_training(run: Path, process: subprocess.Popen[bytes], begun: float) -> float:
    """Wait until the process trains (it writes ``env.json`` just before) and return how long that took, in seconds."""
    mark = run / "env.json"
    while process.poll() is None and not (mark.is_file() and mark.stat().st_mtime >= begun):
        time.sleep(0.005)
    return time.time() - begun


def finish(run: Path) -> tuple[float, float]:
    """Let it run to its end; return how long it started up, and how long it trained, in seconds."""
    begun = time.time()
    process = start(run)
    start_up = wait_for_training(run, process, begun)
    _, errors = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{run} ended with exit code {process.returncode}: {errors.decode()}")
    return start_up, time.time() - begun - start_up


def digests(run: Path) -> dict[str, str]:
    """SHA-256 of the model's weights and of each file of the last state."""
    last = newest(run)
    if last is None:
        raise SystemExit(f"{run} has no state")
    files = [run / "model" / "generator.safetensors", *sorted(last.iterdir())]
    return {f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def newest(run: Path) -> Path | None:
    """The newest full state."""
    return max(run.glob("state/[0-9]*"), default=None)


def torture(run: Path, lengths: tuple[float, float], kills: int, draw: random.Random) -> Trial:
    """Kill the run ``kills`` times, or until it ends by itself before it is killed; then let it end."""
    trial = Trial()
    for _ in range(kills):
        begun = time.time()
        process = start(run)
        if draw.random() < 0.1:
            moment = draw.uniform(0.0, lengths[0])  # while it starts up
        else:
            moment = draw.uniform(0.0, lengths[1] / kills) + wait_for_training(run, process, begun)
        try:
            process.communicate(timeout=max(0.0, begun + moment - time.time()))
            trial.kills.append(-1.0)  # it was done before
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        state = newest(run)
        trial.kills.append(moment)
        trial.found.append("-" if state is None else f"{int(state.name) / 1000:.2f}")
        trial.halves += len(list(run.glob("state/.*.tmp")))
    finish(run)
    trial.damaged = len(list(run.glob("state/damaged-*")))
    return trial


def hardware() -> str:
    """Processor, cores, versions."""
    import torch

    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    return f"{name}, {os.cpu_count()} cores, one thread a run; {platform.system()}; torch {torch.__version__}"


def table(trials: list[Trial]) -> str:
    """A line per run."""
    lines = [
        "| run | killed after (s of each start) | newest state then (kimg) | half-written | damaged | bit-identical |"
    ]
    lines += ["|---:|---|---|---:|---:|---|"]
    for number, trial in enumerate(trials, 1):
        kills = ", ".join("done before" if moment < 0 else f"{moment:.2f}" for moment in trial.kills)
        verdict = "yes" if trial.equal else "**NO**"
        lines.append(
            f"| {number} | {kills} | {', '.join(trial.found) or '-'} | {trial.halves} | {trial.damaged} | {verdict} |"
        )
    return "\n".join(lines)


def page(
    arguments: argparse.Namespace, trials: list[Trial], lengths: tuple[float, float], reference: dict[str, str]
) -> str:
    """The page for ``docs/results``."""
    good, killed = sum(trial.equal for trial in trials), sum(m >= 0 for trial in trials for m in trial.kills)
    command = f"python benchmarks/resume_torture.py --runs {arguments.runs} --seed {arguments.seed}"
    files = "\n".join(f"{digest}  {name}" for name, digest in reference.items())
    return f"""# Runs killed with kill -9 resume bit for bit

**{good} of {len(trials)} runs**, killed {killed} times at random instants and resumed with the same command, ended with
weights and states bit-identical to a run that was left in peace.

| | |
|---|---|
| date | {datetime.datetime.now(datetime.UTC):%Y-%m-%d} |
| command | `{command}` (`--kills {arguments.kills}`) |
| each run | `sparring {TRAIN}` (training seed 0) |
| hardware | {hardware()} |
| uninterrupted | {lengths[0]:.1f} s of start-up, {lengths[1]:.1f} s of training and closing verdict |
| compared | SHA-256 of the model's weights and of every file of the last full state |

{table(trials)}

"Newest state then" is the newest full state at the moment of the kill; the run goes on from it. A state is written
beside its place and renamed when whole: "half-written" counts the kills in the middle of that, "damaged" the states
that a resume could not read.

SHA-256 of the run in peace:

```
{files}
```
"""


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kills", type=int, default=3, help="per run")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    default = Path(__file__).parent.parent / "docs" / "results" / "resume.md"
    parser.add_argument("--out", type=Path, default=default, help="where the results are written")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        lengths = finish(Path(folder, "peace"))
        reference = digests(Path(folder, "peace"))
        print(f"in peace: {lengths[0]:.1f} s + {lengths[1]:.1f} s")
        trials = []
        for number in range(1, arguments.runs + 1):
            run = Path(folder, f"run{number}")
            trial = torture(run, lengths, arguments.kills, draw)
            trial.equal = digests(run) == reference
            trials.append(trial)
            print(f"run {number}: killed at {trial.kills}, states {trial.found}, equal: {trial.equal}", flush=True)
    good = sum(trial.equal for trial in trials)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(page(arguments, trials, lengths, reference), encoding="utf-8")
    print(f"{good}/{len(trials)} bit-identical; {arguments.out}")
    sys.exit(0 if good == len(trials) else 1)


if __name__ == "__main__":
    main()
