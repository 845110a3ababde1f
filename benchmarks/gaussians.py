"""Modes of known mixtures: does a family find all of them, and is what it makes clean?

    python benchmarks/gaussians.py [--runs runs/gaussians] [--families r3gan wgan_gp dcgan] [--seeds 0 1 2] [--report]

Trains each family on `ring` and on `grid` with its own settings, once for each seed, on one thread; a run that is
finished is not trained again. Then 10,000 samples (seeds 0 to 9,999) are drawn from the published, averaged model, as
anybody would draw them. A mode counts as covered when at least a twentieth of its fair share of all samples lies within
3 sigma of its centre; the literature's rule, one sample there, is shown beside it. Bar: all modes covered, and at least
90 % of the samples within 3 sigma of some mode (98.9 % of the mixture itself), with every seed.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
from datetime import date
from pathlib import Path

import torch

import sparring
from sparring.data.mixtures import MIXTURES
from sparring.metrics.modes import check_modes
from sparring.modalities import points

RESULTS = Path(__file__).parent.parent / "docs" / "results"
SAMPLES = 10_000
BAR = 0.9


def train(folder, family, source, seed):
    """Train unless that was done; CPU seconds of the whole command, kept beside the run."""
    kept = folder / "cpu_seconds.json"
    if not kept.is_file():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = ["train", source, "--family", family, "--run", str(folder), "--train.seed", str(seed)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with open(os.devnull, "w") as nowhere:
            subprocess.run([sys.executable, "-m", "sparring", *command], check=True, env=environment, stdout=nowhere)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        kept.write_text(json.dumps(seconds))
    return json.loads(kept.read_text())


def processor():
    """The processor's name, where the system says it."""
    path = Path("/proc/cpuinfo")
    named = [line for line in path.read_text().splitlines() if line.startswith("model name")] if path.exists() else []
    return named[0].partition(":")[2].strip() if named else platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/gaussians"))
    parser.add_argument("--families", nargs="+", default=["r3gan", "wgan_gp", "dcgan"])
    parser.add_argument("--sets", nargs="+", default=list(MIXTURES), choices=list(MIXTURES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--report", action="store_true", help="write docs/results/gaussians.md and its pictures")
    options = parser.parse_args()
    rows, met = [], 0
    for family in options.families:
        for source in options.sets:
            mixture = MIXTURES[source]
            centres = torch.tensor(mixture.centres)
            for seed in options.seeds:
                folder = options.runs / f"{source}-{family}-{seed}"
                seconds = train(folder, family, source, seed)
                samples = sparring.load(folder).sample(SAMPLES)
                check, of = check_modes(samples, centres, mixture.sigma), len(centres)
                good = check.covered == of and check.clean >= BAR
                met += good
                cells = f"{check.covered} of {of} | {check.touched} of {of} | {check.clean:.1%}"
                row = f"| {family} | {source} | {seed} | {cells} | {'yes' if good else 'no'} | {seconds:.0f} |"
                print(row, flush=True)
                rows.append(row)
                if options.report and seed == options.seeds[0]:
                    points.grid(samples, side=400).save(RESULTS / f"gaussians-{family}-{source}.png", optimize=True)
    if options.report:
        write(options, rows, met)


def write(options, rows, met):
    """Write docs/results/gaussians.md."""
    seeds = " ".join(map(str, options.seeds))
    pictures = [
        line
        for family in options.families
        for line in (
            f"### {family}",
            "",
            *(f"![{family} on {source}](gaussians-{family}-{source}.png)" for source in options.sets),
            "",
        )
    ]
    text = [
        "# Modes of mixtures of Gaussians",
        "",
        f"`python benchmarks/gaussians.py --seeds {seeds} --report`, {date.today()}, sparring {sparring.__version__},",
        f"torch {torch.__version__}, Python {platform.python_version()}; one thread of {processor()}",
        f"({os.cpu_count()} cores). Every run that these settings had with these seeds is in the table.",
        "",
        "[`ring` and `grid`](../data.md#points) are 8 and 25 narrow Gaussians in the plane. A mode is *covered* when",
        "at least a twentieth of its fair share of 10,000 samples lies within 3 standard deviations of its centre, and",
        "*touched* (the rule of the literature) when one does. *Clean* is the share of samples within 3 standard",
        "deviations of some centre; 98.9 % of the mixture itself. Samples are those of seeds 0 to 9,999 from the",
        "published, averaged model. CPU seconds are those of the whole command, pictures and verdict included.",
        "",
        f"Bar: all modes covered, clean at least {BAR:.0%}. **{met} of {len(rows)} runs meet it.**",
        "",
        "| family | data | seed | covered | touched | clean | bar met | CPU seconds |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"## Samples, seed {options.seeds[0]}",
        "",
        *pictures,
    ]
    (RESULTS / "gaussians.md").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
