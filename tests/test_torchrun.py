"""Several processes started by torchrun, seen from outside."""

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from sparring.core.cluster import Cluster
from sparring.core.errors import SparringError
from sparring.core.folder import RunFolder
from sparring.core.recipe import Recipe
from sparring.tools.plan import make_plan
from sparring.tools.train import Session

RUN = ["train", "digits", "--family", "dcgan", "--game.width", "4", "--train.kimg", "0.32", "--train.batch", "16"]


def start(run, launcher=(), extra=()):
    # The lone -- keeps torchrun from taking --run for a short form of its own --run-path.
    program = ["-m", "--", "sparring"] if launcher else ["-m", "sparring"]
    command = [sys.executable, "-W", "ignore", *launcher, *program, *RUN, "--run", str(run), *extra]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The generator of one process with two microbatches."""
    run = tmp_path_factory.mktemp("one") / "run"
    ended = start(run, extra=("--train.microbatches", "2"))
    assert ended.returncode == 0, ended.stderr
    return load_file(run / "model" / "generator.safetensors")


@pytest.mark.parametrize("shard", ["none", "optimiser"])
def test_two_processes_end_where_one_with_two_microbatches_ends(tmp_path, alone, shard):
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d")
    launcher += ("--rdzv-endpoint", "localhost:0")
    together = start(tmp_path / "two", launcher, ("--train.shard", shard))
    assert together.returncode == 0, together.stderr
    two = load_file(tmp_path / "two" / "model" / "generator.safetensors")
    for name, expected in alone.items():
        torch.testing.assert_close(two[name], expected, rtol=1e-5, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
    assert (tmp_path / "two" / "log.jsonl").read_text().count("\n") == 20  # one process writes, once a tick


def test_microbatches_that_processes_do_not_divide_are_a_sentence(tmp_path):
    plan = make_plan(Recipe("digits", "vanilla", {"train": {"batch": 16, "microbatches": 2}}))
    with pytest.raises(SparringError, match="2 microbatches cannot be dealt evenly to 3 processes"):
        Session(plan, RunFolder(tmp_path), Cluster(0, 3))
