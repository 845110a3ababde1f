"""Beginning with what another run has learnt."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

import sparring
from sparring.core.config import Train
from sparring.core.errors import SparringError
from sparring.core.registry import load_family
from sparring.engine import checkpoint
from sparring.engine.held import layers_in_order
from sparring.testing.conformance import make_engine, make_game, whole_state

TINY = {"family": "dcgan", "kimg": 0.2, "batch": 8, "ema_kimg": 0.05}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return sparring.train("digits", run=tmp_path_factory.mktemp("runs") / "teacher", game={"width": 4}, **TINY).folder


def newest(folder):
    ((tensors, position),) = checkpoint.load_newest(folder.state)
    return tensors, position


def test_a_new_run_begins_with_what_another_learnt(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(sparring.tools.train.Training, "run", lambda self: "stopped")
    sparring.train("digits", run=tmp_path / "r", game={"width": 4}, start_from=teacher.root, **TINY, seed=9)
    learnt, _ = newest(teacher)
    begun, position = newest(sparring.core.folder.RunFolder(tmp_path / "r"))
    assert position["nimg"] == 0
    for group in ("game", "average"):
        assert all(torch.equal(learnt[group][name], value) for name, value in begun[group].items())
    assert begun["optimisers"] == {}


def test_what_does_not_fit_begins_afresh_and_is_said(teacher, tmp_path):
    sparring.train("digits", run=tmp_path / "r", game={"width": 4, "z_dim": 7}, start_from=teacher.root, **TINY)
    events = [json.loads(line) for line in (tmp_path / "r" / "events.jsonl").read_text().splitlines()]
    (message,) = [event["message"] for event in events if event["kind"] == "transferred"]
    assert "begin afresh: G.layers.0.weight" in message


def test_nothing_that_fits_and_nothing_there(teacher, tmp_path):
    with pytest.raises(SparringError, match="no training state"):
        sparring.train("digits", run=tmp_path / "a", start_from=tmp_path / "nowhere", **TINY)
    with pytest.raises(SparringError, match="none of its weights fit"):
        sparring.train("digits", run=tmp_path / "b", start_from=teacher.root, **{**TINY, "family": "vanilla"})


def test_a_run_killed_before_its_first_state_begins_with_the_other_again(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(sparring.tools.train.Training, "run", lambda self: "stopped")
    for _ in range(2):  # the second time the folder is there, and its states are gone
        sparring.train("digits", run=tmp_path / "r", game={"width": 4}, start_from=teacher.root, **TINY)
        begun, _ = newest(sparring.core.folder.RunFolder(tmp_path / "r"))
        assert torch.equal(begun["game"]["G.layers.0.weight"], newest(teacher)[0]["game"]["G.layers.0.weight"])
        for state in (tmp_path / "r" / "state").iterdir():
            shutil.rmtree(state)


# ---------------------------------------------------------------------- freeze_d


def order_of(name, player="D", **settings):
    family = load_family(name)
    spec, config = family.tiny()
    return layers_in_order(family(spec, replace(config, **settings)), player, Train(kimg=1, batch=8))


def test_layers_are_ordered_as_the_picture_passes_through_them():
    assert order_of("vanilla") == ["D.1", "D.3", "D.5"]
    assert order_of("dcgan", conditional=False) == ["D.trunk.layers.0", "D.trunk.layers.2", "D.head"]
    assert order_of("sngan")[:3] == ["D.blocks.0.conv1", "D.blocks.0.conv2", "D.blocks.0.shortcut"]
    assert order_of("lapgan", "D0") == ["D0.layers.0", "D0.layers.2", "D0.layers.6"]


def test_of_a_growing_critic_the_finest_layers_come_first():
    """Registered last, and not even called in the first step of a run."""
    assert order_of("progressive")[:3] == ["D.from_rgb.2", "D.blocks.2.conv0", "D.blocks.2.conv1"]


def test_a_class_embedding_is_not_near_the_picture():
    assert "D.embed" not in order_of("dcgan")
    assert not any("mapping" in name for name in order_of("stylegan2"))


def test_the_order_costs_no_memory_and_changes_nothing():
    game = make_game(load_family("sagan"))
    before = {name: value.clone() for name, value in game.state_dict().items()}
    assert len(order_of("sagan")) == 15
    layers_in_order(game, "D", Train(kimg=1, batch=8))
    assert all(torch.equal(value, before[name]) for name, value in game.state_dict().items())
    assert all(p.requires_grad and not p.is_meta for p in game.parameters())


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("wgan_gp", ("D.blocks.0.conv1.", "D.blocks.0.conv2.", "D.blocks.0.shortcut.")),
        ("biggan", ("D.blocks.0.conv1.", "D.blocks.0.conv2.", "D.blocks.0.shortcut.")),  # spectral norm's vectors too
        ("tutorial", ("D.0.", "D.3.", "D.5.")),  # the third is a BatchNorm, with its statistics
        ("lapgan", ()),
    ],
)
def test_held_layers_stay_to_the_bit_and_the_others_learn(name, kept):
    train = Train(kimg=1, batch=8, freeze_d=2 if name == "lapgan" else 3)
    kept = kept or ("D0.layers.0.", "D0.layers.2.", "D1.layers.0.", "D1.layers.2.")
    engine = make_engine(load_family(name), train)
    before = {name: value.clone() for name, value in engine.game.state_dict().items()}
    for _ in range(2):
        engine.step()
    after = engine.game.state_dict()
    stayed = {name for name, value in before.items() if torch.equal(value, after[name])}
    held = {name for name in before if name.startswith(kept)}
    assert held
    assert held <= stayed
    learning = {key for player in engine.players for key, _ in engine.optimisers.parameters((player,))}
    learning -= held | {"D.head.bias"}  # which a Wasserstein loss does not feel
    assert not learning & stayed
    assert not any(entry.replace("/", ".", 1).startswith(kept) for entry in engine.optimisers.state())


def test_an_augmented_judge_holds_the_same_layers():
    engine = make_engine(load_family("vanilla"), Train(kimg=1, batch=8, freeze_d=1, augment="diff"))
    before = {name: value.clone() for name, value in engine.game.state_dict().items()}
    engine.step()
    after = engine.game.state_dict()
    assert [n for n in before if n.startswith("D.") and torch.equal(before[n], after[n])] == ["D.1.weight", "D.1.bias"]


def test_a_run_with_held_layers_resumes_bit_for_bit():
    train = Train(kimg=1, batch=8, freeze_d=3)
    straight, first, second = (make_engine(load_family("tutorial"), train) for _ in range(3))
    for engine, steps in ((straight, 3), (first, 1)):
        for _ in range(steps):
            engine.step()
    second.load(*first.state())
    for _ in range(2):
        second.step()
    resumed = dict(whole_state(second))
    assert all(torch.equal(value, resumed[name]) for name, value in whole_state(straight))


def test_freeze_d_keeps_what_came_from_the_other_run(teacher, tmp_path):
    settings = {"game": {"width": 4}, "start_from": teacher.root, "freeze_d": 1, **TINY, "seed": 9}
    run = sparring.train("digits", run=tmp_path / "r", **settings)
    learnt, kept = newest(teacher)[0]["game"], newest(run.folder)[0]["game"]
    held = [name for name in kept if name.startswith("D.trunk.layers.0.")]
    assert held
    assert all(torch.equal(learnt[name], kept[name]) for name in held)
    assert not torch.equal(learnt["D.head.weight"], kept["D.head.weight"])
    sparring.train(run=tmp_path / "r", kimg=0.25)  # it goes on without being told again where it came from
    assert all(torch.equal(learnt[name], newest(run.folder)[0]["game"][name]) for name in held)


def test_freeze_d_is_refused_where_it_cannot_be(teacher, tmp_path):
    settings = {"game": {"width": 4}, **TINY}
    with pytest.raises(SparringError, match=r"train\.freeze_d.*--from"):
        sparring.train("digits", run=tmp_path / "a", freeze_d=1, **settings)
    with pytest.raises(SparringError, match="leaves D nothing to learn: it has 3 layers"):
        sparring.train("digits", run=tmp_path / "b", freeze_d=3, start_from=teacher.root, **settings)
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists()
    with pytest.raises(SparringError, match=r"D\.trunk\.layers\.0\.\w+ that fits, which train\.freeze_d would keep"):
        sparring.train("digits", run=tmp_path / "c", start_from=teacher.root, freeze_d=1, game={"width": 8}, **TINY)
