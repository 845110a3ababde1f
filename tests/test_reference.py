"""``--train.reference``: the literal loop, and how far from it the engine plays with all that makes it fast."""

import json
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy

from conftest import TINY, changed
from sparring.core.config import Train
from sparring.core.registry import load_family
from sparring.core.rewritten import Rewritten
from sparring.core.seeds import PositionNoise, seed_of
from sparring.engine.allocator import keep_memory
from sparring.engine.loop import Engine
from sparring.testing import conformance

CPU = torch.device("cpu")
BATCH, STEPS, SEED = 4, 3, 3


# ---------------------------------------------------------------------- the tutorial


def literal_networks():
    """Layer by layer as the tutorial writes them, without dropout, whose masks are another stream of numbers."""
    G = nn.Sequential(
        *(nn.Linear(100, 128 * 8 * 8), nn.ReLU(), nn.Unflatten(1, (128, 8, 8))),
        *(nn.Upsample(scale_factor=2), nn.Conv2d(128, 128, 3, padding=1), nn.BatchNorm2d(128, momentum=0.78)),
        *(nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(128, 64, 3, padding=1)),
        *(nn.BatchNorm2d(64, momentum=0.78), nn.ReLU(), nn.Conv2d(64, 3, 3, padding=1), nn.Tanh()),
    )
    D = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Dropout(0.0)),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ZeroPad2d((0, 1, 0, 1)), nn.BatchNorm2d(64, momentum=0.82)),
        *(nn.LeakyReLU(0.25), nn.Dropout(0.0), nn.Conv2d(64, 128, 3, stride=2, padding=1)),
        *(nn.BatchNorm2d(128, momentum=0.82), nn.LeakyReLU(0.2), nn.Dropout(0.0)),
        *(nn.Conv2d(128, 256, 3, padding=1), nn.BatchNorm2d(256, momentum=0.8), nn.LeakyReLU(0.25), nn.Dropout(0.0)),
        *(nn.Flatten(), nn.Linear(256 * 5 * 5, 1), nn.Sigmoid()),
    )
    return G, D


def literal_loop(G, D, dealer):
    """What the tutorial writes: two passes of G on the same z, cross-entropy of probabilities, Adam as it comes."""
    optimisers = [torch.optim.Adam(net.parameters(), 2e-4, betas=(0.5, 0.999), foreach=False) for net in (D, G)]
    valid, fake = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
    for step in range(STEPS):
        real = dealer.deal(step * BATCH, BATCH).real
        z = PositionNoise(BATCH, seed_of(SEED, 0, step * BATCH, "share", "G", "fakes", 0, 0), CPU).normal(100)
        optimisers[0].zero_grad()
        on_real = binary_cross_entropy(D(real), valid)
        on_fake = binary_cross_entropy(D(G(z).detach()), fake)
        ((on_real + on_fake) / 2).backward()
        optimisers[0].step()
        optimisers[1].zero_grad()
        binary_cross_entropy(D(G(z)), valid).backward()
        optimisers[1].step()


@pytest.mark.parametrize("reference", [False, True])
def test_the_tutorials_trajectory_is_that_of_its_literal_loop(reference):
    """With everything of the kinds *bit-exact* and *same mathematics* on, and with all of it off."""
    family = load_family("tutorial")
    spec, config = family.tiny()
    with conformance.default_dtype(torch.float64):
        torch.manual_seed(0)
        game = family(spec, config)
        torch.manual_seed(0)
        G, D = literal_networks()
        for layer in game.D:
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        dealer = conformance.RandomDealer(spec)
        dealer.real = dealer.real.double()
        engine = Engine(game, dealer, Train(kimg=1, batch=BATCH, seed=SEED, reference=reference))
        for _ in range(STEPS):
            engine.step()
        literal_loop(G, D, dealer)
    for played, literal in ((game.G, G), (game.D, D)):
        assert list(played.state_dict()) == list(literal.state_dict())
        for (name, ours), theirs in zip(played.state_dict().items(), literal.state_dict().values(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")


# ---------------------------------------------------------------------- every family that has rewritings


@pytest.mark.parametrize(
    "name", ["dcgan", "fastgan", "progressive", "r3gan", "stylegan2", "stylegan3", "vanilla", "wgan", "wgan_gp"]
)
def test_with_and_without_reference_a_family_takes_the_same_path(name):
    family = load_family(name)
    with conformance.default_dtype(torch.float64):
        ends = []
        for reference in (False, True):
            engine = conformance.make_engine(family, Train(kimg=1, batch=BATCH, reference=reference))
            for _ in range(STEPS):
                engine.step()
            ends.append(engine.game.state_dict())
    assert list(ends[0]) == list(ends[1])
    for key, fast in ends[0].items():
        torch.testing.assert_close(fast, ends[1][key], rtol=1e-6, atol=1e-8, msg=lambda m, n=key: f"{n}: {m}")


def test_reference_turns_all_of_them_off():
    engine = conformance.make_engine(load_family("tutorial"), Train(kimg=1, batch=BATCH, reference=True))
    layers = [module for module in engine.game.modules() if isinstance(module, Rewritten)]
    # The game, which judges reals and fakes apart; two doublings; one convolution to few channels; four dropouts.
    assert len(layers) == 1 + 2 + 1 + 4
    assert all(layer.reference for layer in layers)
    calls = {"G": 0, "D": 0}
    for name in calls:
        engine.players[name].register_forward_hook(lambda *_, n=name: calls.__setitem__(n, calls[n] + 1))
    engine.step()
    assert calls == {"G": 2, "D": 3}
    assert all(group["fused"] is False for o in engine.optimisers.of.values() for group in o.param_groups)
    assert all(group["foreach"] is False for o in engine.optimisers.of.values() for group in o.param_groups)


def test_without_it_they_are_on():
    engine = conformance.make_engine(load_family("tutorial"))
    calls = {"G": 0, "D": 0}
    for name in calls:
        engine.players[name].register_forward_hook(lambda *_, n=name: calls.__setitem__(n, calls[n] + 1))
    engine.step()
    assert calls == {"G": 1, "D": 2}
    assert not any(module.reference for module in engine.game.modules() if isinstance(module, Rewritten))


def test_one_engine_does_not_tell_another():
    family = load_family("tutorial")
    conformance.make_engine(family, Train(kimg=1, batch=BATCH, reference=True))
    assert not conformance.make_engine(family, Train(kimg=1, batch=BATCH)).game.reference


def test_a_run_keeps_to_what_it_was_started_with(sparring, refused, tmp_path):
    line = [*TINY, "--run", tmp_path / "run", "--train.reference"]
    assert sparring(*changed(line, ("--train.kimg", "1"))).code == 0
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["train"]["reference"] is True
    assert "train.reference" in refused("train", "--run", tmp_path / "run", "--train.reference", "false")


# ---------------------------------------------------------------------- the allocator

MAPPED = """
import ctypes, torch
from sparring.engine.allocator import keep_memory
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd rest".split()] + [
        (f"more{index}", ctypes.c_size_t) for index in range(4)]
ask = ctypes.CDLL(None).mallinfo2
ask.restype = Info
KEEP and keep_memory()
before = ask().hblks
large = [torch.empty(1 << 24) for _ in range(3)]
print(ask().hblks - before)
"""


@pytest.mark.parametrize(("keep", "mapped"), [(True, 0), (False, 3)])
def test_kept_blocks_come_from_the_heap_and_are_not_mapped_one_by_one(keep, mapped):
    if not keep_memory():
        pytest.skip("only glibc can be told")
    told = subprocess.run([sys.executable, "-c", MAPPED.replace("KEEP", str(keep))], capture_output=True, check=True)
    assert int(told.stdout) == mapped


def test_the_allocator_may_change_on_resume(sparring, tmp_path):
    line = [*TINY, "--run", tmp_path / "run"]
    assert sparring(*changed(line, ("--train.kimg", "1"))).code == 0
    assert json.loads((tmp_path / "run" / "env.json").read_text())["allocator"] == "default"
    assert sparring(*line, "--train.allocator", "keep").code == 0
    expected = "keep" if keep_memory() else "default"
    assert json.loads((tmp_path / "run" / "env.json").read_text())["allocator"] == expected
