"""A million samples of a generator of MNIST in shards: whether memory stays flat, and what writing costs.

    python benchmarks/million.py [DATA] [--count 1000000] [--as shards|tar] [--conditional] [--report]

A `dcgan` for 28x28 is trained on DATA for seconds only (its pictures do not matter here), and samples are written as
``sparring sample RUN --as shards`` writes them. Before and after each shard the bare forward pass is timed on an eighth
of as many samples: the same generator with the same averaged weights, in inference mode, in the same chunks on the same
threads, its latents drawn beforehand. Noise, classes, conversion, digests and the disk are all on the shards' side.
Bars: 90 % of the bare pass, and memory held after a shard that grows by less than 16 MiB from the first to the last.
"""

import argparse
import json
import platform
import resource
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path

import torch

import sparring
from sparring.tools.sample import CHUNK
from sparring.tools.shards import INDEX, SIZE, Shards

RESULT = Path(__file__).parent.parent / "docs" / "results" / "million.md"
LATENTS = 16  # chunks of them, used in turn
BAR, GROWTH = 0.9, 16


def trained(data, folder, conditional):
    """A generator that has seen a few hundred pictures, in eval mode."""
    few = {"kimg": 0.3, "batch": 64, "picture_kimg": 9.0, "referee": False}
    return sparring.train(
        data, family="dcgan", run=Path(folder) / "run", game={"conditional": conditional}, train=few
    ).game


class Bare:
    """The forward pass alone."""

    def __init__(self, game):
        generator = torch.Generator().manual_seed(0)
        self.network = game.players()["G"]
        self.latents = torch.randn(LATENTS, CHUNK, game.config.z_dim, generator=generator)
        self.labels = None
        if game.conditional(game.config):
            self.labels = torch.randint(len(game.spec.classes), (LATENTS, CHUNK), generator=generator)

    @torch.inference_mode()
    def __call__(self, chunks):
        for number in range(chunks):
            place = number % LATENTS
            self.network(self.latents[place], None if self.labels is None else self.labels[place])


def timed(work):
    """Seconds of wall and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def resident():
    """MiB that the process holds now; where the system does not say, the most it ever held."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * resource.getpagesize() / 2**20


def next_shard(writing, done):
    """Let one shard be written; returns how many samples there are then."""
    before = done
    for now in writing:
        if now == before:  # said once more when the shard is whole
            return now
        before = now
    raise AssertionError("no shard is left")


def measure(shards, bare):
    """For each shard: samples there are then; seconds (wall, CPU) a sample, those of the bare pass; MiB held then."""
    bare(2)
    rows, done, writing = [], 0, shards.write()
    while done < shards.total:
        chunks = max(2, min(shards.size, shards.total - done) // CHUNK // 8)
        first = timed(lambda chunks=chunks: bare(chunks))
        reached = []
        own = timed(lambda done=done, reached=reached: reached.append(next_shard(writing, done)))
        second = timed(lambda chunks=chunks: bare(chunks))
        count, done = reached[0] - done, reached[0]
        alone = [(a + b) / (2 * chunks * CHUNK) for a, b in zip(first, second, strict=True)]
        held = resident()
        rows.append((done, [seconds / count for seconds in own], alone, held))
        print(f"{done:,} of {shards.total:,}: {held:.1f} MiB", flush=True)
    list(writing)
    return rows


def page(rows, asked, shards, size):
    """What was measured, as lines of a page."""
    ratios = [[alone[clock] / own[clock] for _, own, alone, _ in rows] for clock in (0, 1)]
    wall, cpu = (statistics.median(values) for values in ratios)
    growth = rows[-1][3] - rows[0][3]
    some = sorted({min(len(rows) - 1, round(share * (len(rows) - 1))) for share in (0, 0.01, 0.1, 0.25, 0.5, 0.75, 1)})
    what = "by class" if asked.conditional else "without classes"
    rate = 1 / statistics.median(own[0] for _, own, _, _ in rows)
    said = " ".join(
        ["python benchmarks/million.py", "DATA", f"--count {asked.count}"]
        + ([f"--as {asked.kind}"] if asked.kind != "shards" else [])
        + (["--conditional"] if asked.conditional else [])
        + ["--report"]
    )
    return [
        "# A million samples",
        "",
        f"{shards.total:,} samples of a `dcgan` for 28x28 ({what}), written with `--as {asked.kind}`: {len(rows):,}",
        f"shards of {shards.size:,}, {size / 1e6:,.0f} MB. The bare forward pass is the same generator, weights",
        f"averaged, in inference mode, {CHUNK} latents at a time that were drawn beforehand: noise, classes,",
        "conversion, digests and the disk are all on the shards' side. It is timed before and after each shard.",
        "",
        "| throughput over that of the bare pass | median | all shards | bar |",
        "|---|---|---|---|",
        f"| wall time | {wall:.3f} | {min(ratios[0]):.3f} to {max(ratios[0]):.3f} | {BAR} |",
        f"| CPU time of the process | {cpu:.3f} | {min(ratios[1]):.3f} to {max(ratios[1]):.3f} | |",
        "",
        f"{rate:,.0f} samples a second (median).",
        "",
        "| samples written | memory of the process |",
        "|---|---|",
        *(f"| {rows[place][0]:,} | {rows[place][3]:,.1f} MiB |" for place in some),
        "",
        f"It grew by {growth:.1f} MiB from the first shard to the last (bar: {GROWTH}).",
        "",
        f"{date.today()}, torch {torch.__version__}, {platform.machine()}, {torch.get_num_threads()} thread(s).",
        f"Command: `{said}`",
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?", default="mnist")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--as", dest="kind", choices=("shards", "tar"), default="shards")
    parser.add_argument("--conditional", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as folder:
        game = trained(asked.data, folder, asked.conditional)
        out = Path(folder) / "out"
        shards = Shards(game, range(asked.count), out, asked.kind, SIZE)
        rows = measure(shards, Bare(game))
        index = json.loads((out / INDEX).read_text())
        assert index["count"] == sum(shard["count"] for shard in index["shards"]) == asked.count
        size = sum(path.stat().st_size for path in out.iterdir())
    lines = page(rows, asked, shards, size)
    print("\n".join(lines))
    if asked.report:
        RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
