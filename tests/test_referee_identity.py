"""A run is bit-identical with and without the referee, whatever the family keeps beside its weights."""

import pytest
import torch

from conftest import contents, states, stop_at, told
from sparring.core.folder import RunFolder

SHORT = ("--train.kimg", "0.64", "--train.tick-kimg", "0.064", "--train.save-kimg", "0.32", "--train.picture-kimg", "9")
PLAIN = ("--data.labels", "none")
RUNS = {
    "batch normalisation": (
        "digits",
        "--family",
        "dcgan",
        "--game.width",
        "4",
        "--game.discriminator-norm",
        "batch",
        *PLAIN,
    ),
    "spectral normalisation": ("digits", "--family", "sngan", "--game.width", "4", *PLAIN),
    "style, ada": ("digits", "--family", "stylegan2", "--train.augment", "ada", "--train.batch", "32", *PLAIN),
    "held-out reals, microbatches": (
        "digits",
        "--family",
        "dcgan",
        "--data.held-out",
        "0.2",
        "--game.width",
        "4",
        *PLAIN,
    ),
    "a gradient penalty, held-out reals": (
        "digits",
        "--family",
        "wgan_gp",
        "--data.held-out",
        "0.2",
        "--game.width",
        "4",
        "--game.d-steps",
        "1",
        *PLAIN,
    ),
    "a conditional one": ("digits", "--family", "cgan", "--game.width", "8"),
    "points": ("ring", "--family", "wgan_gp", "--game.width", "16", "--train.batch", "64"),
}


@pytest.fixture(autouse=True)
def _eager(monkeypatch):
    """Looks at every tick, though they are dear here."""
    monkeypatch.setattr("sparring.tools.refereeing.STEPS", 0)
    monkeypatch.setattr("sparring.tools.refereeing.LOOKS", 1000)


def kept(run):
    """Everything that the run saved but what the referee keeps for itself."""
    files = {}
    for part in (run / "model", run / "samples", *states(run)):
        files |= {f"{part.name}/{name}": data for name, data in contents(part).items()}
    return {
        name: data for name, data in files.items() if not name.endswith(("manifest.json", "probes.safetensors", ".gif"))
    }


@pytest.mark.parametrize("name", RUNS)
def test_on_and_off_are_bit_identical(sparring, tmp_path, name):
    for word in ("true", "false"):
        answer = sparring("train", *RUNS[name], *SHORT, "--train.referee", word, "--run", tmp_path / word)
        assert answer.code == 0, answer
    on, off = kept(tmp_path / "true"), kept(tmp_path / "false")
    assert on.keys() == off.keys()
    assert len(on) > 6
    for file, data in off.items():
        assert on[file] == data, file
    looks = [line["terms"] for line in RunFolder(tmp_path / "true").read_log() if "probe/diversity" in line["terms"]]
    assert len(looks) > 1
    wanted = {"probe/auc", "probe/fake_gradient", "probe/coverage", "probe/update"}
    assert all(wanted <= terms.keys() for terms in looks[1:])
    assert not told(tmp_path / "true", "referee")
    without = [line["terms"] for line in RunFolder(tmp_path / "false").read_log()]
    assert not [name for terms in without for name in terms if name.startswith("probe/")]


def test_a_resumed_run_reads_what_an_uninterrupted_one_reads(sparring, tmp_path):
    line = ("train", "digits", "--family", "dcgan", "--game.width", "4", *PLAIN, *SHORT)
    assert sparring(*line, "--run", tmp_path / "straight").code == 0
    with stop_at(400):
        assert sparring(*line, "--run", tmp_path / "cut").code == 75
    assert sparring(*line, "--run", tmp_path / "cut").code == 0
    assert contents(states(tmp_path / "cut")[-1]) == contents(states(tmp_path / "straight")[-1])
    straight, cut = (
        {tick["nimg"]: tick["terms"] for tick in RunFolder(tmp_path / run).read_log()} for run in ("straight", "cut")
    )
    looked = [nimg for nimg, terms in straight.items() if "probe/travel" in terms]
    assert looked
    for nimg in looked:
        at_looks = [name for name in straight[nimg] if name.startswith("probe/")]
        assert {n: cut[nimg][n] for n in at_looks} == {n: straight[nimg][n] for n in at_looks}


def test_the_default_generator_is_left_as_it_was(sparring, tmp_path):
    torch.manual_seed(3)
    expected = torch.get_rng_state()
    assert sparring("train", *RUNS["points"], *SHORT, "--run", tmp_path / "run").code == 0
    assert torch.equal(torch.get_rng_state(), expected)
