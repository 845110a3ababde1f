"""What several processes do together: gradients, optimisers that are shared out, agreement, states. All over gloo."""

import dataclasses

import pytest
import torch
from torch import nn

from sparring.core.cluster import Cluster
from sparring.core.config import Optim, Train, build
from sparring.core.errors import SparringError
from sparring.core.folder import RunFolder
from sparring.core.recipe import Recipe
from sparring.core.registry import load_family
from sparring.engine import checkpoint, reduction
from sparring.engine.optim import Optimisers
from sparring.engine.reduction import Reduction, buckets
from sparring.engine.training import Training
from sparring.testing import conformance
from sparring.testing.processes import in_processes, play_in_processes
from sparring.tools.plan import make_plan
from sparring.tools.train import Session
from sparring.watch.crowd import Crowd

TWO = Train(kimg=1, batch=8, microbatches=2)
SHARED = dataclasses.replace(TWO, shard="optimiser")
OPTIMISERS = (Optim("adam"), Optim("rmsprop", lr=0.01), Optim("sgd", lr=0.1, momentum=0.9))


# ---------------------------------------------------------------------- gradients


class Forked(nn.Module):
    """Layers that every process uses, one that only the second uses, one that nobody uses."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.common = nn.Sequential(*(nn.Linear(8, 8) for _ in range(4)))
        self.second = nn.Linear(8, 8)
        self.idle = nn.Linear(8, 8)

    def forward(self, x, rank):
        x = self.common(x)
        return (self.second(x) if rank == 1 else x).square().mean()


def reduce_both_ways(cluster):
    """Gradients of two microbatches: averaged by `Reduction`, and by one message after the backward pass."""
    reduction.BUCKET_BYTES = 300  # a layer's weight, or less, a message
    net = Forked()
    reducer = Reduction(net.parameters(), cluster)
    draw = torch.Generator().manual_seed(cluster.rank)
    for last in (False, True):
        if last:
            reducer.expect(net.parameters())
        net(torch.randn(5, 8, generator=draw), cluster.rank).backward()
    early = reducer.sent
    apart = {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in net.named_parameters()
        if not name.startswith("idle")
    }
    cluster.average_(list(apart.values()))
    reducer.finish()
    assert net.idle.weight.grad is None
    assert not reducer.where
    together = {f"together {name}": p.grad for name, p in net.named_parameters() if p.grad is not None}
    return {"early": torch.tensor(early), **{f"apart {name}": t for name, t in apart.items()}, **together}


def test_gradients_reduced_during_the_backward_pass_are_those_reduced_after_it():
    first, second = in_processes(reduce_both_ways, 2)
    names = [name.removeprefix("apart ") for name in first if name.startswith("apart ")]
    assert len(names) == 10
    for name in names:  # bit for bit: a sum of two does not depend on their order
        assert torch.equal(first[f"together {name}"], first[f"apart {name}"]), name
        assert torch.equal(first[f"together {name}"], second[f"together {name}"]), name
    assert first["together second.weight"].abs().sum() > 0  # the first process made none itself
    assert first["early"] == 0  # the unused layers come first in order, and hold back what follows


def reduce_in_order(cluster):
    reduction.BUCKET_BYTES = 300
    net = Forked().common
    reducer = Reduction(net.parameters(), cluster)
    reducer.expect(net.parameters())
    net(torch.ones(1, 8)).sum().backward()
    sent, of = reducer.sent, len(reducer.buckets)
    reducer.finish()
    return {"sent": torch.tensor(sent), "of": torch.tensor(of)}


def test_gradients_leave_before_the_backward_pass_has_ended():
    for answer in in_processes(reduce_in_order, 2):
        assert answer["sent"] == answer["of"] == 4  # a bias and the weight before it, four times


def test_buckets_hold_one_type_and_no_more_than_they_may(monkeypatch):
    monkeypatch.setattr(reduction, "BUCKET_BYTES", 16)
    sizes = [(2, torch.float32), (9, torch.float32), (1, torch.float32), (3, torch.float32), (1, torch.float64)]
    parameters = [nn.Parameter(torch.zeros(n, dtype=dtype)) for n, dtype in sizes]
    # In bytes, the last first: 8 in double; 12 + 4 = 16; 36, too large for any; 8.
    assert [[p.numel() for p in bucket.parameters] for bucket in buckets(parameters)] == [[1], [3, 1], [9], [2]]


def test_a_lone_process_sets_no_hooks():
    net = nn.Linear(2, 2)
    Reduction(net.parameters(), Cluster())
    assert not net.weight._post_accumulate_grad_hooks


# ---------------------------------------------------------------------- optimisers that are shared out


def test_shared_out_optimisers_move_as_whole_ones():
    """Bit for bit, and the leading process has the whole state, the same too."""
    family = load_family("dcgan")
    whole, _ = play_in_processes(family, 2, 4, TWO, torch.float32)
    first, second = play_in_processes(family, 2, 4, SHARED, torch.float32)
    assert first.keys() == whole.keys()
    for name, expected in whole.items():
        assert torch.equal(first[name], expected), name
        assert name.startswith("optimisers/") or torch.equal(second[name], expected), name
    kept = [sum(t.numel() for name, t in state.items() if name.startswith("optim")) for state in (whole, second)]
    assert 0.3 < kept[1] / kept[0] < 0.6


def go_on(cluster, tensors, position, steps):
    engine = conformance.make_engine(load_family("dcgan"), SHARED, cluster)
    if tensors:
        engine.load(tensors, position)
    for _ in range(steps):
        engine.step()
    return dict(conformance.whole_state(engine))


def grouped(state):
    groups = {}
    for name, tensor in state.items():
        file, _, key = name.partition("/")
        groups.setdefault(file, {})[key] = tensor
    return groups


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_a_run_that_was_shared_out_goes_on_alone_and_the_reverse(before, after):
    def leg(size, *rest):
        return go_on(Cluster(), *rest) if size == 1 else in_processes(go_on, size, *rest)[0]

    expected = go_on(Cluster(), {}, {}, 4)
    half = {name: tensor.clone() for name, tensor in leg(before, {}, {}, 2).items()}
    ended = leg(after, grouped(half), {"nimg": 16, "steps": 2, "salt": 0, "skipped": 0}, 2)
    assert ended.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(ended[name], value, rtol=1e-6, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


def move(cluster, optim):
    """Two players, one with fewer parameters than there are processes; a turn that is taken back between two others."""

    def player(*sizes):
        torch.manual_seed(0)
        turned = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
        return nn.ParameterList([*(torch.randn(size, 3) for size in sizes), *[turned][: len(sizes) - 1]])

    ended = {}
    for way, shared_by in (("whole", None), ("shared", cluster)):
        players = {"G": player(4, 1, 2), "D": player(5)}
        optimisers = Optimisers(players, dict.fromkeys(players, optim), shared_by=shared_by)
        for idle in (None, torch.ones(()), torch.zeros(())):
            for _, parameter in optimisers.parameters(("G", "D")):
                parameter.grad = parameter.detach() + 1
            optimisers.step(("G", "D"), idle)
        state = optimisers.state()
        optimisers.load(state if cluster.leads else {})
        ended |= {f"{way} {name}": p for name, p in optimisers.parameters(("G", "D"))}
        ended |= {f"{way} {name}": t for name, t in state.items() if not name.endswith("/step") and cluster.leads}
    return ended


@pytest.mark.parametrize("optim", OPTIMISERS, ids=lambda optim: optim.name)
def test_every_optimiser_can_be_shared_out(optim):
    first, second = in_processes(move, 2, optim)
    for state, count in ((first, 5 + (10 if optim.name == "adam" else 5)), (second, 5)):
        names = [name.removeprefix("whole ") for name in state if name.startswith("whole ")]
        assert len(names) == count
        for name in names:
            assert torch.equal(state[f"shared {name}"], state[f"whole {name}"]), name


def test_sharding_of_weights_is_refused_with_a_reason():
    with pytest.raises(SparringError, match="no process with whole weights"):
        build(Train, {"shard": "fsdp2"}, "train")


# ---------------------------------------------------------------------- agreement, states


def ask(cluster):
    same = cluster.agree("one text", torch.device("cpu"))
    other = cluster.agree(f"text {min(cluster.rank, 1)}", torch.device("cpu"))
    return {"same": torch.tensor(same), "other": torch.tensor(other)}


def test_processes_notice_that_they_differ():
    for answer in in_processes(ask, 3):
        assert answer["same"]
        assert not answer["other"]


def test_data_that_differ_between_machines_are_a_sentence(tmp_path):
    class Divided(Cluster):
        def agree(self, text, device):
            return False

    plan = make_plan(Recipe("digits", "vanilla", {"train": {"batch": 16, "microbatches": 2}}))
    with pytest.raises(SparringError, match="do not agree"):
        Session(plan, RunFolder(tmp_path), Divided(0, 2))


def resume_beside_damage(cluster, folder):
    engine = conformance.make_engine(load_family("vanilla"), TWO, cluster)
    training = Training(engine, RunFolder(folder), Crowd([]), None, None, None)
    return {"resumed": torch.tensor(training.resume()), "nimg": torch.tensor(engine.nimg)}


def test_one_process_sets_a_damaged_state_aside_and_all_go_on_from_the_one_before(tmp_path):
    folder = RunFolder(tmp_path)
    engine = conformance.make_engine(load_family("vanilla"), TWO)
    for _ in range(2):
        engine.step()
        newest = checkpoint.save(folder.state, *engine.state(), keep=2)
    (newest / "game.safetensors").write_bytes(b"torn")
    for answer in in_processes(resume_beside_damage, 2, tmp_path):
        assert answer["resumed"]
        assert answer["nimg"] == 8
    assert len(list(folder.state.glob("damaged-*"))) == 1


def resume_apart(cluster, folders):
    engine = conformance.make_engine(load_family("vanilla"), TWO, cluster)
    training = Training(engine, RunFolder(folders[cluster.rank]), Crowd([]), None, None, None)
    with pytest.raises(SparringError, match="sees the same files"):
        training.resume()
    return {"told": torch.tensor(True)}


def test_a_run_folder_that_machines_do_not_share_is_a_sentence(tmp_path):
    """The leading process finds the state, the other an empty folder of the same name."""
    engine = conformance.make_engine(load_family("vanilla"), TWO)
    engine.step()
    checkpoint.save(tmp_path / "leading" / "state", *engine.state(), keep=2)
    assert all(answer["told"] for answer in in_processes(resume_apart, 2, [tmp_path / "leading", tmp_path / "other"]))
