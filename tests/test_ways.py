"""Layout, kernels, compiling, recomputing: other ways to the same weights, and the choice between them."""

import json
import math

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

import toys
from conftest import TINY, changed, contents, told
from sparring.core.batch import Outcome
from sparring.core.config import Train, build
from sparring.core.errors import SparringError
from sparring.core.game import Turn
from sparring.core.registry import load_family
from sparring.core.seeds import reseed
from sparring.engine.compiled import compile_networks
from sparring.engine.loop import Engine
from sparring.engine.precision import products
from sparring.engine.recompute import recompute_blocks
from sparring.testing import conformance
from sparring.tools import ways

CPU = torch.device("cpu")
DCGAN = ("train", "digits", "--family", "dcgan", "--game.width", "4", "--game.z-dim", "8", "--train.kimg", "0.25")
SHORT = (*DCGAN, "--train.batch", "64", "--train.referee", "false")


def engine_of(name, **train):
    return conformance.make_engine(load_family(name), Train(kimg=1, batch=8, **train))


def play(engine, steps=2):
    for _ in range(steps):
        engine.step()
    return dict(conformance.whole_state(engine))


def assert_close(found, expected, tolerance=1e-4):
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=tolerance, atol=tolerance, msg=name)


# ---------------------------------------------------------------------- layout and kernels


def test_channels_last_plays_the_same():
    with conformance.default_dtype(torch.float64):
        usual, other = engine_of("dcgan"), engine_of("dcgan", layout="channels_last")
        expected, found = play(usual), play(other)
    weight = other.game.D.trunk.layers[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert_close(found, expected, 1e-9)


def test_channels_last_resumes_bit_for_bit():
    straight, first, second = (engine_of("dcgan", layout="channels_last") for _ in range(3))
    play(straight, 4)
    play(first)
    tensors, position = first.state()
    second.load({f: {n: t.clone().contiguous() for n, t in g.items()} for f, g in tensors.items()}, position)
    moments = [v for e in second.optimisers.of["D"].state.values() for v in e.values() if v.dim() == 4]
    assert all(value.is_contiguous(memory_format=torch.channels_last) for value in moments)
    found = play(second)
    for name, value in conformance.whole_state(straight):
        assert torch.equal(found[name], value), name


def test_written_kernels_play_the_same_and_the_game_shares_its_fakes():
    with conformance.default_dtype(torch.float64):
        usual, other = engine_of("stylegan2"), engine_of("stylegan2", kernels="written")
        assert_close(play(other), play(usual), 1e-7)
    assert not other.game.reference
    assert all(
        module.reference for module in other.game.modules() if hasattr(module, "reference") and module is not other.game
    )


def test_tf32_is_refused_on_a_cpu():
    with pytest.raises(SparringError, match="tf32 is a GPU's"), products("tf32", CPU):
        pass
    with products("fp32", CPU), products("bf16", CPU):
        pass


@pytest.mark.parametrize(
    "pair", [{"reference": True, "kernels": "rewritten"}, {"checkpointing": True, "compile": "on"}]
)
def test_what_does_not_go_together_is_refused(pair):
    with pytest.raises(SparringError, match="leave"):
        build(Train, pair, "train")


# ---------------------------------------------------------------------- compiled

of_the_compiler = pytest.mark.filterwarnings("ignore")  # it warns of what it does itself


class Counted:
    """A backend that runs what it is given as it is, and counts."""

    def __init__(self):
        self.graphs = self.calls = 0

    def __call__(self, graph, inputs):
        self.graphs += 1

        def run(*arguments):
            self.calls += 1
            return graph(*arguments)

        return run


@of_the_compiler
def test_networks_are_compiled_in_training_and_not_where_a_penalty_is_played():
    engine, usual = engine_of("dcgan"), engine_of("dcgan")
    backend = Counted()
    assert compile_networks(engine, backend) == ""
    backend.calls = 0
    engine.step()  # in which every version is compiled, and R1 is due
    assert backend.calls == 3  # G once for both turns, D in each of the two; where R1 is played it is as written
    known, backend.calls = backend.graphs, 0
    engine.step()
    assert backend.graphs == known
    assert backend.calls == 3
    engine.game.eval()
    with torch.no_grad():
        engine.game.sample(conformance.seeds_batch(engine.game, [1]))
    assert backend.calls == 3
    play(usual)
    assert_close(dict(conformance.whole_state(engine)), dict(conformance.whole_state(usual)), 1e-6)


@of_the_compiler
def test_a_network_that_fades_is_compiled_at_each_size_and_not_at_each_step():
    engine, usual = engine_of("progressive"), engine_of("progressive")
    backend = Counted()
    assert compile_networks(engine, backend) == ""
    graphs = []
    for _ in range(8):
        engine.step()
        graphs.append(backend.graphs)
    fading = [usual.game.grown(8 * step) % 1 > 0 for step in range(8)]
    assert fading.count(True) > 1
    assert all(graphs[step] == graphs[step - 1] for step in range(1, 8) if fading[step])
    assert graphs[-1] > graphs[0]  # the larger size
    play(usual, 8)
    assert_close(dict(conformance.whole_state(engine)), dict(conformance.whole_state(usual)), 1e-5)


@of_the_compiler
@pytest.mark.parametrize("name", ["r3gan", "stylegan2"])
def test_penalties_keep_their_gradients_beside_compiled_networks(name):
    engine = engine_of(name)
    assert compile_networks(engine, "aot_eager") == ""
    assert_close(play(engine), play(engine_of(name)), 1e-5)


@of_the_compiler
def test_the_rehearsal_touches_neither_weights_nor_randomness():
    engine = engine_of("vanilla")
    before, drawn = dict(conformance.whole_state(engine)), torch.get_rng_state()
    before = {name: value.clone() for name, value in before.items()}
    assert compile_networks(engine, Counted()) == ""
    assert torch.equal(torch.get_rng_state(), drawn)
    for name, value in conformance.whole_state(engine):
        assert torch.equal(value, before[name])


def without_compiler(graph, inputs):
    raise RuntimeError("No working C++ compiler found in torch._inductor.config.cpp.cxx: (None, 'g++')")


def wrong(graph, inputs):
    return lambda *arguments: [2 * value for value in graph(*arguments)]


@of_the_compiler
@pytest.mark.parametrize(
    ("backend", "reason"),
    [(without_compiler, "no C\\+\\+ compiler was found; install one"), (wrong, "come out otherwise, by [0-9.e+-]+ of")],
)
def test_it_goes_on_without_and_says_why(backend, reason):
    import re

    engine = engine_of("vanilla")
    assert re.search(reason, compile_networks(engine, backend))
    assert_close(play(engine), play(engine_of("vanilla")), 0.0)


class Slopes(toys.Lazy):
    """A penalty of its own, which does not say that it is differentiated twice."""

    def penalty(self, batch):
        points = batch.real.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(self.D(points).sum(), points, create_graph=True)
        return Outcome(slope.square().mean())

    def turns(self, nimg):
        return [Turn("D", self.penalty)]


@of_the_compiler
def test_the_second_order_self_test_finds_a_penalty_that_hides():
    game = Slopes(toys.SPEC, None)
    engine = Engine(game, conformance.RandomDealer(toys.SPEC), Train(kimg=1, batch=8))
    assert "double backward" in compile_networks(engine, "aot_eager")


@of_the_compiler
def test_a_run_that_cannot_be_compiled_goes_on_and_tells(sparring, tmp_path, monkeypatch):
    import sparring.tools.train as training

    monkeypatch.setattr(training, "compile_networks", lambda engine: compile_networks(engine, without_compiler))
    usual, asked = tmp_path / "usual", tmp_path / "asked"
    assert sparring(*SHORT, "--run", usual).code == 0
    assert sparring(*SHORT, "--train.compile", "on", "--run", asked).code == 0
    assert "no C++ compiler" in told(asked, "not compiled")[0]
    assert (asked / "model" / "generator.safetensors").read_bytes() == (
        usual / "model" / "generator.safetensors"
    ).read_bytes()


# ---------------------------------------------------------------------- recomputed


@pytest.mark.parametrize("name", ["dcgan", "tutorial", "r3gan", "biggan", "stylegan2", "fastgan"])
def test_recomputed_blocks_give_the_same_gradients(name):
    """With BatchNorm in parts, spectral norm, dropout, penalties: the same weights and the same statistics.

    In double precision: Adam blows a gradient that is nothing but rounding up to full size.
    """
    with conformance.default_dtype(torch.float64):
        usual, other = engine_of(name), engine_of(name, checkpointing=True)
        assert_close(play(other), play(usual), 1e-6)


def kept_bytes(network, *inputs):
    """Bytes that a forward pass keeps for the backward one, weights aside."""
    own = {parameter.data_ptr() for parameter in network.parameters()}
    sizes = {}

    def pack(tensor):
        if tensor.data_ptr() not in own:
            sizes[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        made = network(*inputs)
    return sum(sizes.values()), made


def deep(layers=16):
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Sequential(nn.Linear(32, 32), nn.Tanh()) for _ in range(layers))).train()


def test_less_is_kept():
    """Of 16 blocks in 4 pieces, what enters 4 of them: an eighth of the 32 tensors, or a little more."""
    usual, other, x = deep(), deep(), torch.randn(64, 32, requires_grad=True)
    assert recompute_blocks(other) == 1
    most, made = kept_bytes(usual, x)
    least, again = kept_bytes(other, x)
    assert least < most / 3
    assert torch.equal(made, again)
    for network, result in ((usual, made), (other, again)):
        result.square().sum().backward()
        assert network[0][0].weight.grad is not None
    assert torch.equal(usual[0][0].weight.grad, other[0][0].weight.grad)


def test_dropout_is_recomputed_with_its_own_masks():
    reseed(3, CPU)
    network = nn.Sequential(*(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)) for _ in range(4))).train()
    x, found = torch.randn(4, 8), []
    for recomputing in (False, True):
        if recomputing:
            assert recompute_blocks(network) == 1
        network.zero_grad()
        reseed(5, CPU)
        network(x).square().sum().backward()
        found.append(network[0][0].weight.grad.clone())
    assert torch.equal(*found)


def test_networks_without_blocks_are_refused():
    game = toys.Informed(toys.SPEC, None)
    game.G, game.D, game.Q = (nn.Flatten(), nn.Flatten(), nn.Flatten())
    with pytest.raises(SparringError, match=r"train\.checkpointing finds no blocks"):
        Engine(game, conformance.RandomDealer(toys.SPEC), Train(kimg=1, batch=8, checkpointing=True))


# ---------------------------------------------------------------------- measured


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(ways, "SECONDS", 0.01)
    monkeypatch.setattr(ways, "PIECE", 0.0)
    return tmp_path / "cache" / "ways"


def recipe_of(run):
    return json.loads((run / "recipe.json").read_text())["train"]


def test_nothing_is_measured_unless_asked_on_a_cpu(sparring, cache, tmp_path):
    assert sparring(*SHORT, "--run", tmp_path / "run").code == 0
    assert not cache.exists()
    assert [recipe_of(tmp_path / "run")[name] for name in ways.USUAL] == ["auto"] * 3


def test_what_was_measured_is_chosen_kept_and_resumed(sparring, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(
        ways, "side_by_side", lambda best, other: (10.0, 5.0 if other.train.kernels == "rewritten" else 12)
    )
    run = tmp_path / "run"
    line = (*SHORT, "--train.plan", "measured", "--run", run)
    assert sparring(*line).code == 0
    chosen = {"layout": "channels_last", "kernels": "rewritten", "compile": "off"}
    assert {name: recipe_of(run)[name] for name in ways.USUAL} == chosen
    reasons = " ".join(told(run, "plan"))
    assert (
        "train.layout channels_last: a step takes 5 ms channels_last, 10 ms contiguous (measured just now)" in reasons
    )
    assert "train.kernels rewritten: a step takes 12 ms written, 10 ms rewritten" in reasons
    monkeypatch.setattr(ways, "try_ways", lambda *_: pytest.fail("measured again"))
    answer = sparring(*line, "--train.kimg", "0.5")
    assert answer.code == 0, answer.err
    assert {name: recipe_of(run)[name] for name in ways.USUAL} == chosen
    again = sparring(*changed(line, ("--run", tmp_path / "other")), "--dry-run")
    assert "measured before" in again.out
    assert "layout channels_last, kernels rewritten, compile off" in again.out
    assert not (tmp_path / "other").exists()


def test_what_is_said_is_not_measured(sparring, cache, tmp_path):
    line = (*SHORT, "--train.plan", "measured", "--train.layout", "contiguous", "--train.kernels", "written")
    assert sparring(*line, "--run", tmp_path / "run").code == 0
    assert recipe_of(tmp_path / "run")["kernels"] == "written"
    assert contents(cache) == dict.fromkeys(contents(cache), b"[]\n")


def test_measuring_touches_no_weight(sparring, cache, tmp_path, monkeypatch):
    """Really measured; and where the usual ways win, the run is the one that was not measured, byte for byte."""
    monkeypatch.setattr(ways, "GAIN", math.inf)
    runs = tmp_path / "usual", tmp_path / "measured"
    for run, plan in zip(runs, ("auto", "measured"), strict=True):
        assert sparring(*SHORT, "--train.plan", plan, "--run", run).code == 0
    assert contents(runs[0] / "model")["generator.safetensors"] == contents(runs[1] / "model")["generator.safetensors"]
    assert all(float(found["ms"]) > 0 for kept in contents(cache).values() for found in json.loads(kept))


def test_a_damaged_answer_is_measured_again(sparring, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(ways, "side_by_side", lambda *_: (10.0, 20.0))
    line = (*SHORT, "--train.plan", "measured", "--dry-run", "--run", tmp_path / "run")
    assert sparring(*line).code == 0
    (kept,) = cache.glob("*.json")
    kept.write_text("[{")
    assert "measured just now" in sparring(*line).out
    assert len(json.loads(kept.read_text())) == 2


def test_another_way_is_not_taken_on_resume(refused, sparring, tmp_path):
    run = tmp_path / "run"
    assert sparring(*TINY, "--run", run).code == 0
    assert "train.layout auto" in refused(*TINY, "--train.layout", "channels_last", "--run", run)


# ---------------------------------------------------------------------- the script for a card


def test_the_gpu_check_says_where_there_is_no_card(capsys, monkeypatch):
    import runpy
    from pathlib import Path

    script = str(Path(__file__).parent.parent / "benchmarks" / "gpu_check.py")
    check = runpy.run_path(script)
    monkeypatch.setattr("sys.argv", ["gpu_check.py"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert check["main"]() == 2
    assert capsys.readouterr().out.splitlines() == ["gpu-check: torch finds no CUDA device here; nothing was checked"]


@of_the_compiler
def test_the_gpu_check_runs_on_a_cpu(capsys, monkeypatch):
    import runpy
    from pathlib import Path

    check = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "gpu_check.py"))
    monkeypatch.setitem(check["main"].__globals__, "FAMILIES", ("dcgan",))
    monkeypatch.setattr("sys.argv", ["gpu_check.py", "--device", "cpu", "--tiny"])
    assert check["main"]() == 0
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if line.count("|") == len(check["WAYS"]) + 3 and "dcgan" in line)
    cells = [cell.strip().replace(",", "") for cell in row.strip("| ").split("|")][2:]
    assert len(cells) == len(check["WAYS"])
    assert cells[2] == "a GPU's"
    assert all(float(cell) > 0 for place, cell in enumerate(cells) if place != 2)
