"""Sampling and evaluation divided over processes: what one process does is what several do."""

import io
import multiprocessing
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from conftest import contents, png
from sparring.core.cluster import Cluster
from sparring.core.folder import read_lines

LAUNCHER = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d")


def _work(folder: Path, rank: int, line: Sequence[str], answer: Connection) -> None:
    """One of two processes: the command, and how many pictures its feature network saw."""
    from sparring.cli import main
    from sparring.metrics.pixels import PixelExtractor

    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "SPARRING_CACHE": str(folder / "cache")}
    seen = 0
    original = PixelExtractor.features

    def counted(self: PixelExtractor, images: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        seen += len(images)
        return original(self, images)

    PixelExtractor.features = counted  # type: ignore[method-assign]
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    try:
        main(line)
    except SystemExit as left:
        answer.send((left.code, seen))


def by_two(folder: Path, *line: str | Path) -> list[tuple[int, int]]:
    """The command in two processes that meet over gloo; exit code and pictures seen of each."""
    folder.mkdir()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "sparring.tools.evaluate"])
    ends, processes = [], []
    for rank in range(2):
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(folder, rank, [str(word) for word in line], there))
        process.start()
        there.close()
        ends.append(here)
        processes.append(process)
    answers = [end.recv() for end in ends]
    for process in processes:
        process.join()
    return answers


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on 700 pictures in two tar shards, read as they are needed, some of them held out."""
    from sparring.cli import main

    root = tmp_path_factory.mktemp("divided")
    for number in range(2):
        with tarfile.open(root / f"data-{number}.tar", "w") as archive:
            for seed in range(350 * number, 350 * (number + 1)):
                data = png(seed)
                info = tarfile.TarInfo(f"{seed:04d}.png")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    line = [
        "train",
        str(root / "data-{0..1}.tar"),
        "--family",
        "vanilla",
        "--game.width",
        "4",
        "--data.store",
        "stream",
    ]
    line += ["--data.workers", "0", "--data.held-out", "0.2", "--train.kimg", "0.06", "--train.batch", "30"]
    with pytest.raises(SystemExit) as left:
        main([*line, "--train.picture-kimg", "9", "--run", str(root / "run")])
    assert not left.value.code
    return root / "run"


def test_shares_are_neighbours_in_whole_units_and_cover_everything() -> None:
    for size in (1, 2, 3, 7):
        for count in (1, 5, 64, 65, 500, 1024):
            shares = [Cluster(rank, size).share(count, 64) for rank in range(size)]
            if -(-count // 64) < size:
                assert shares == [range(count)] * size
            else:
                assert [place for share in shares for place in share] == list(range(count))
                assert all(len(share) > 0 and share.start % 64 == 0 for share in shares)
    assert [len(Cluster(rank, 2).share(10_000, 256)) for rank in range(2)] == [5120, 4880]


def test_two_processes_find_the_scores_that_one_finds_and_one_of_them_writes(run: Path, tmp_path: Path) -> None:
    from sparring.tools.evaluate import evaluate

    keys = ["fd", "kid", "precision"]
    evaluate(run, samples=600, metrics=keys, extractor="pixels-pca")
    asked = ("--samples", "600", "--metrics", ",".join(keys), "--extractor", "pixels-pca")
    answers = by_two(tmp_path / "two", "evaluate", run, *asked)
    one, two = [line["scores"] for line in read_lines(run / "metrics.jsonl") if line["source"] == "evaluate"]
    assert [score["protocol"]["metric"] for score in one] == ["FD", "KD", "precision", "recall"]
    for alone, together in zip(one, two, strict=True):
        assert together["protocol"] == alone["protocol"]
        for number in ("value", "real_vs_real"):
            assert together[number] == pytest.approx(alone[number], rel=1e-6)
    held_out = one[0]["protocol"]["reals"]
    sets = (held_out, 700 - held_out, 600)  # the first is less than two batches: each process looks at all of it
    wanted = [(0, sum(len(Cluster(rank, 2).share(count, 256)) for count in sets)) for rank in range(2)]
    assert answers == wanted
    assert sum(seen for _, seen in answers) == sum(sets) + held_out


def test_torchrun_divides_shards_of_samples(run: Path, tmp_path: Path) -> None:
    from sparring.cli import main

    line = ["sample", str(run), "--seeds", "0-499", "--shard", "128", "--as", "tar", "--out"]
    command = [sys.executable, "-W", "ignore", *LAUNCHER, "--rdzv-endpoint", "localhost:0", "-m", "--", "sparring"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole = [*command, *line, str(tmp_path / "two")]
    done = subprocess.run(whole, capture_output=True, text=True, env=environment, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "256 of 500, this process's, samples" in done.stdout
    with pytest.raises(SystemExit):
        main([*line, str(tmp_path / "one")])
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert (tmp_path / "one" / "index.json").exists()
