"""Playing a family in real processes over gloo, for the conformance suite."""

import multiprocessing
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor

from sparring.core.cluster import Cluster
from sparring.core.config import Train
from sparring.core.game import Game


def play_in_processes(
    family: type[Game], size: int, steps: int, train: Train, dtype: torch.dtype
) -> list[dict[str, Tensor]]:
    """Play ``steps`` of the tiny game on ``size`` processes; return each one's whole state by name."""
    return in_processes(_play, size, family, steps, train, dtype)


def in_processes(work: Callable[..., dict[str, Tensor]], size: int, *given: Any) -> list[dict[str, Tensor]]:
    """What ``work(cluster, *given)`` returns in each of ``size`` processes; they import it by its name."""
    context = multiprocessing.get_context(
        "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else None
    )
    with tempfile.TemporaryDirectory() as folder:
        context.set_forkserver_preload(["torch", "sparring.engine.loop"])
        ends, processes = [], []
        for rank in range(size):
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(work, given, rank, size, folder, there))
            process.start()
            there.close()
            ends.append(here)
            processes.append(process)
        answers = [_receive(end) for end in ends]
        for process in processes:
            process.join()
        for rank, answer in enumerate(answers):
            assert answer == "done", f"process {rank} failed: {answer}"
        return [safetensors.torch.load_file(Path(folder) / f"{rank}.safetensors") for rank in range(size)]


def _receive(end: Connection) -> Any:
    try:
        return end.recv()
    except EOFError:
        return "it died"


def _work(
    work: Callable[..., dict[str, Tensor]], given: Any, rank: int, size: int, folder: str, answer: Connection
) -> None:
    torch.set_num_threads(1)
    try:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
        made = {name: tensor.detach().contiguous() for name, tensor in work(Cluster(rank, size), *given).items()}
        safetensors.torch.save_file(made, Path(folder) / f"{rank}.safetensors")
        answer.send("done")
    except Exception as error:  # shown by the process that asked
        answer.send(f"{type(error).__name__}: {error}")
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _play(cluster: Cluster, family: type[Game], steps: int, train: Train, dtype: torch.dtype) -> dict[str, Tensor]:
    from sparring.testing import conformance

    with conformance.default_dtype(dtype):
        engine = conformance.make_engine(family, train, cluster)
        for _ in range(steps):
            engine.step()
    return dict(conformance.whole_state(engine))
