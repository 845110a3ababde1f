"""Beginning with what another run has learnt."""

import json
import shutil

import pytest
import torch

import sparring
from sparring.core.errors import SparringError
from sparring.engine import checkpoint

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
