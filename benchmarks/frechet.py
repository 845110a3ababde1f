"""How long a Fréchet distance takes, and how much memory a stream of any length needs.

    python benchmarks/frechet.py [--rows 10000] [--dim 2048] [--stream 1000000] [--repeats 3]

Features are synthetic: rectified normal numbers, float32. Bars: at most 15 s for two times 10,000 rows of 2048 features
on 2 cores, and a stream whose memory does not grow with its length.
"""

import argparse
import os
import platform
import resource
import time
from datetime import date
from pathlib import Path

import torch

from sparring.metrics.frechet import Gaussian, Moments, bias, frechet_distance

RESULT = Path(__file__).parent.parent / "docs" / "results" / "frechet.md"
BATCH = 4000


def peak_mb():
    """Of this process, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def rows(count, dim, generator, shift=0.0):
    return (torch.randn(count, dim, generator=generator) + shift).relu()


class Stopwatch:
    """Wall and processor seconds since it was made."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self):
        return time.perf_counter() - self.wall, time.process_time() - self.cpu


def distance(count, dim, generator):
    """Seconds (wall, processor) of both Gaussians and of the distance, and the distance."""
    fakes, reals = rows(count, dim, generator, shift=0.1), rows(count, dim, generator)
    watch = Stopwatch()
    of_fakes, of_reals = Gaussian.of(fakes), Gaussian.of(reals)
    moments = watch.read()
    value = frechet_distance(of_fakes, of_reals)
    return moments, watch.read(), value, bias(of_reals, count, count)


def stream(count, dim, generator):
    """Peak memory at each tenth of a stream of batches, and the processor seconds of taking them in, draws left out."""
    moments, peaks, wall, cpu = Moments(dim), [], 0.0, 0.0
    for start in range(0, count, BATCH):
        batch = rows(min(BATCH, count - start), dim, generator)
        watch = Stopwatch()
        moments.add(batch)
        wall, cpu = wall + watch.read()[0], cpu + watch.read()[1]
        if moments.count * 10 // count > len(peaks):
            peaks.append((moments.count, peak_mb()))
    return peaks, wall, cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--stream", type=int, default=1_000_000)
    parser.add_argument("--stream-dim", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    at_start = peak_mb()
    peaks, stream_wall, stream_cpu = stream(options.stream, options.stream_dim, generator)  # first: memory is a peak
    measured, value, expected = [], 0.0, 0.0
    for _ in range(options.repeats):
        moments, together, value, expected = distance(options.rows, options.dim, generator)
        measured.append((*moments, *together, os.getloadavg()[0]))
        print(f"{together[0]:.1f} s, {together[1]:.1f} s of processor, {measured[-1][-1]:.1f} processes wanted to run")
    cpu = min(row[3] for row in measured)
    wall = min(row[2] for row in measured)
    held = options.stream * options.stream_dim * 4 / 2**20
    lines = [
        "# How long a Fréchet distance takes",
        "",
        f"**{cpu:.1f} s of processor time** (summed over threads) and {wall:.1f} s of wall time, the least of "
        f"{options.repeats}, for {options.rows:,} against {options.rows:,}",
        f"rows of {options.dim:,} features. The bar is 15 s of wall time on 2 cores of its own.",
        "",
        "| | |",
        "|---|---|",
        f"| date | {date.today()} |",
        f"| command | `python benchmarks/frechet.py --rows {options.rows} --dim {options.dim} "
        f"--stream {options.stream} --stream-dim {options.stream_dim} --repeats {options.repeats}` |",
        f"| hardware | {platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads; torch "
        f"{torch.__version__}; float64 |",
        "| features | synthetic: rectified normal numbers, float32, seed 0; the fakes' shifted by 0.1 |",
        "",
        "| repeat | moments: wall (s) | processor (s) | with the distance: wall (s) | processor (s) | load |",
        "|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {number} | {a:.1f} | {b:.1f} | {c:.1f} | {d:.1f} | {load:.1f} |"
            for number, (a, b, c, d, load) in enumerate(measured, 1)
        ),
        "",
        f"Moments: the means and covariances of both. Load: how many processes wanted to run on {os.cpu_count()} cores",
        "over the last minute: with more of them than cores, wall time says more about the others.",
        "",
        f"The distance is {value:.4f}; equal distributions of so many rows would score about {expected:.4f} (`bias`).",
        "",
        "## A stream of any length",
        "",
        f"{options.stream:,} rows of {options.stream_dim:,} features in batches of {BATCH:,} through `Moments`: "
        f"{stream_wall:.1f} s of wall and",
        f"{stream_cpu:.1f} s of processor time, drawing the numbers not counted. Held at once they would take "
        f"{held:,.0f} MB.",
        f"The process had {at_start:.0f} MB before the first batch.",
        "",
        "| rows seen | peak memory of the process (MB) |",
        "|---:|---:|",
        *(f"| {seen:,} | {peak:.0f} |" for seen, peak in peaks),
        "",
    ]
    RESULT.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
