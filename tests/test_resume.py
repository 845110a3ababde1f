"""A run that was cut off goes on with the same command and ends where it would have ended, bit for bit."""

import json
import shutil

import pytest
import torch

from conftest import TINY, changed, contents, outcome, states, stop_at, told, write_pictures
from sparring.core.config import Train
from sparring.core.registry import load_family
from sparring.engine.loop import Engine
from sparring.testing import conformance


@pytest.fixture
def run(stopped, tmp_path):
    """A copy of the interrupted run."""
    return shutil.copytree(stopped, tmp_path / "run")


def test_the_same_command_again_ends_bit_identical(sparring, run, finished):
    assert [int(state.name) for state in states(run)] == [512, 1024, 1280]
    answer = sparring(*TINY, "--run", run)
    assert answer.code == 0
    assert told(run, "resumed") == ["at 1.280 kimg"]
    assert outcome(run) == outcome(finished)
    common = {state.name for state in states(run)} & {state.name for state in states(finished)}
    assert len(common) > 3
    for name in common:
        assert contents(run / "state" / name) == contents(finished / "state" / name)


def test_the_log_of_a_resumed_run_has_each_tick_once(sparring, run, finished):
    sparring(*TINY, "--run", run)
    ticks = [json.loads(line)["nimg"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert ticks == sorted(set(ticks))
    assert ticks[-1] == 2048


def test_the_run_alone_is_enough_to_go_on(sparring, run, finished):
    assert sparring("train", "--run", run).code == 0
    assert outcome(run) == outcome(finished)


def test_cut_off_again_and_again(sparring, tmp_path, finished):
    for nimg in (1, 65, 600, 700, 1900):
        with stop_at(nimg):
            answer = sparring(*TINY, "--run", tmp_path / "run")
        assert answer.code == 75, answer
        assert "same command goes on" in answer.out
    assert sparring(*TINY, "--run", tmp_path / "run").code == 0
    assert outcome(tmp_path / "run") == outcome(finished)


def test_a_whole_family_with_batchnorm_and_lazy_turns(sparring, tmp_path):
    line = ("train", "digits", "--family", "dcgan", "--game.width", "4", "--game.r1-every", "3", "--game.conditional")
    line += (
        "--train.kimg",
        "1",
        "--train.picture-kimg",
        "9",
        "--optim.schedule",
        "linear",
        "--train.microbatches",
        "2",
    )
    assert sparring(*line, "--run", tmp_path / "straight").code == 0
    with stop_at(700):
        assert sparring(*line, "--run", tmp_path / "cut").code == 75
    assert sparring(*line, "--run", tmp_path / "cut").code == 0
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "straight")


# ---------------------------------------------------------------------- damage


def flip(path, place=0.5):
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 0x20
    path.write_bytes(data)


DAMAGES = {
    "a bit of the networks": lambda state: flip(state / "game.safetensors"),
    "a bit of a header": lambda state: flip(state / "optimisers.safetensors", 0.01),
    "a bit of the average": lambda state: flip(state / "average.safetensors", 0.99),
    "a bit of the position": lambda state: flip(state / "position.json"),
    "a bit of the checksums": lambda state: flip(state / "manifest.json"),
    "cut short": lambda state: (state / "game.safetensors").write_bytes((state / "game.safetensors").read_bytes()[:99]),
    "an empty file": lambda state: (state / "average.safetensors").write_bytes(b""),
    "an empty manifest": lambda state: (state / "manifest.json").write_bytes(b""),
    "a manifest that is a list": lambda state: (state / "manifest.json").write_text("[]"),
    "no manifest": lambda state: (state / "manifest.json").unlink(),
    "no optimisers": lambda state: (state / "optimisers.safetensors").unlink(),
    "nothing in the folder": lambda state: [path.unlink() for path in state.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_falls_back_to_the_one_before(sparring, run, finished, damage):
    newest = states(run)[-1]
    DAMAGES[damage](newest)
    broken = contents(newest)
    assert sparring(*TINY, "--run", run).code == 0
    (message,) = told(run, "damaged state")
    assert newest.name in message
    assert "falling back to the one before" in message
    assert told(run, "resumed") == ["at 1.024 kimg"]
    (aside,) = run.glob("state/damaged-*")
    assert contents(aside) == broken
    assert outcome(run) == outcome(finished)


def test_all_states_damaged_is_refused_and_stays_refused(refused, run):
    for state in states(run):
        flip(state / "game.safetensors")
    before = contents(run / "state")
    for _ in range(2):  # a second try must not begin from nothing over what might be mended
        message = refused(*TINY, "--run", run)
        assert "every state" in message
        assert "another --run" in message
        assert contents(run / "state") == before


def test_a_state_of_another_version_is_refused(refused, run):
    manifest = states(run)[-1] / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": 1', '"version": 99'))
    assert "version 99" in refused(*TINY, "--run", run)


def test_what_a_killed_run_left_half_written_is_cleared(sparring, run, finished):
    (run / "state" / ".000000001344.77.tmp").mkdir()
    (run / "state" / ".000000001344.77.tmp" / "game.safetensors").write_bytes(b"half")
    (run / "model" / ".generator.safetensors.77.tmp").write_bytes(b"half")
    assert sparring(*TINY, "--run", run).code == 0
    assert not list(run.rglob("*.tmp"))
    assert outcome(run) == outcome(finished)


# ---------------------------------------------------------------------- what may change, and what may not


def test_a_longer_run_goes_on(sparring, finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    assert sparring(*changed(TINY, ("--train.kimg", "3")), "--run", run).code == 0
    assert told(run, "resumed") == ["at 2.048 kimg"]
    assert told(run, "setting changed") == ["train.kimg 2.0 -> 3.0"]
    assert int(states(run)[-1].name) == 3008
    straight = tmp_path / "straight"
    assert sparring(*changed(TINY, ("--train.kimg", "3")), "--run", straight).code == 0
    one, other = outcome(run), outcome(straight)
    # Looks come so often in a run, so that what probes remember depends on its length; what they read shapes nothing.
    seen = {name for name in one if name.endswith(("probes.safetensors", "manifest.json"))}
    assert {name: one[name] for name in one.keys() - seen} == {name: other[name] for name in other.keys() - seen}
    assert len(seen) == 2


def test_a_finished_run_says_so_and_keeps_its_states(sparring, finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    before = outcome(run)
    answer = sparring(*TINY, "--run", run)
    assert answer.code == 0
    assert "finished already" in answer.out
    assert "raise --train.kimg" in answer.out
    assert outcome(run) == before
    assert contents(run / "state") == contents(finished / "state")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--train.batch", "32"),
        ("--train.seed", "1"),
        ("--train.ema-kimg", "1"),
        ("--train.precision", "bf16"),
        ("--game.width", "16"),
        ("--optim.lr", "0.1"),
        ("--optim.D.lr", "0.1"),
        ("--data.size", "16"),
        ("--data.labels", "auto"),
        ("--family", "dcgan"),
    ],
)
def test_what_bends_the_path_is_refused(refused, run, option, value):
    before = contents(run)
    message = refused(*changed(TINY, (option, value)), "--run", run)
    name = "optim.G.lr" if option == "--optim.lr" else option[2:].replace("-", "_")
    if option not in ("--data.labels", "--data.size"):  # these change the data too
        assert f"started with {name}" in message
    assert value in message or "data" in message
    assert "another --run" in message
    after = contents(run)
    after.pop(".lock"), before.pop(".lock")
    assert after == before


def test_other_data_is_refused(refused, run):
    line = list(TINY)
    line[1] = "mnist"
    assert "started with source digits" in refused(*line, "--run", run)


def test_data_that_changed_is_refused(sparring, refused, tmp_path):
    data = write_pictures(tmp_path / "pictures", 8)
    line = ("train", data, *TINY[2:], "--run", tmp_path / "run")
    with stop_at(640):
        assert sparring(*line).code == 75
    write_pictures(data, 1, first=100)
    before = contents(tmp_path / "run" / "state")
    message = refused(*line)
    assert "has changed since" in message
    assert "give it back its files" in message
    assert contents(tmp_path / "run" / "state") == before
    (data / "100.png").unlink()
    assert sparring(*line).code == 0


def rewrite(path, **changes):
    recipe = json.loads(path.read_text())
    recipe.update(changes)
    path.write_text(json.dumps({key: value for key, value in recipe.items() if value is not None}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 99}, "version 99"),
        ({"version": None}, "version None"),
        ({"familly": "dcgan"}, "unknown key 'familly'; did you mean 'family'?"),
        ({"train": None}, "'train' is missing"),
        ({"train": [1]}, "'train' is missing or of the wrong kind"),
        ({"fingerprint": None}, "'fingerprint' is missing"),
        ({"game": {"widht": 8}}, "unknown setting 'game.widht'; did you mean 'width'?"),
        ({"family": "dcgam"}, "dcgam"),
    ],
)
def test_a_recipe_that_is_not_understood_is_refused(refused, run, changes, says):
    rewrite(run / "recipe.json", **changes)
    before = contents(run / "state")
    assert says in refused("train", "--run", run)
    assert contents(run / "state") == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_damaged_recipe_is_refused(refused, run, content):
    (run / "recipe.json").write_bytes(content)
    assert "recipe.json" in refused(*TINY, "--run", run)


# ---------------------------------------------------------------------- can these tests fail?


class Dealt:
    """An engine over real settings at whose state one can pick."""

    STEPS = 4

    @staticmethod
    def make(family, **train):
        game = conformance.make_game(load_family(family))
        settings = Train(**{"kimg": 1, "batch": 8, "ema_kimg": 1, **train})
        return Engine(game, conformance.RandomDealer(game.spec), settings)

    @classmethod
    def final(cls, spoil=None, family="dcgan", before=lambda engine: None):
        """The state after a resume in which ``spoil(tensors, position)`` may drop something."""
        first, second = cls.make(family), cls.make(family)
        before(first)
        for _ in range(cls.STEPS + 1):  # an odd number: the lazy turn of every second step is at another place
            first.step()
        tensors, position = first.state()
        fresh, zero = second.state()
        tensors = {file: {name: value.clone() for name, value in group.items()} for file, group in tensors.items()}
        if spoil:
            spoil(tensors, position, fresh, zero)
        second.load(tensors, position)
        for _ in range(cls.STEPS):
            second.step()
        return dict(conformance.whole_state(second))


def same(a, b):
    """Whether two states hold the same names and values."""
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


def from_fresh(file, part=""):
    """Spoil: what a new run has in place of what was saved."""

    def spoil(tensors, position, fresh, zero):
        chosen = [name for name in tensors[file] if part in name]
        assert chosen
        for name in chosen:
            if name in fresh[file]:
                tensors[file][name] = fresh[file][name].clone()
            else:
                del tensors[file][name]

    return spoil


def emptied(file, part):
    """Spoil: zeros in place of what was saved."""

    def spoil(tensors, position, fresh, zero):
        chosen = [value for name, value in tensors[file].items() if part in name]
        assert chosen
        for value in chosen:
            value.zero_()

    return spoil


def zeroed(name):
    """Spoil: a position that was forgotten."""

    def spoil(tensors, position, fresh, zero):
        assert position[name] != zero[name]
        position[name] = zero[name]

    return spoil


def roll_back_once(engine):
    engine.salt = 1


def test_nothing_dropped_nothing_changed():
    straight = Dealt.make("dcgan")
    for _ in range(2 * Dealt.STEPS + 1):
        straight.step()
    assert same(Dealt.final(), dict(conformance.whole_state(straight)))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(from_fresh("game", "D."), id="D's weights"),
        pytest.param(from_fresh("game", "G."), id="G's weights"),
        pytest.param(from_fresh("game", "running_mean"), id="BatchNorm's means"),
        pytest.param(from_fresh("average"), id="the average"),
        pytest.param(from_fresh("optimisers", "D/"), id="D's optimiser"),
        pytest.param(from_fresh("optimisers", "G/"), id="G's optimiser"),
        pytest.param(emptied("optimisers", "/step"), id="Adam's step count"),
        pytest.param(emptied("optimisers", "exp_avg_sq"), id="Adam's second moments"),
        pytest.param(zeroed("nimg"), id="images shown"),
        pytest.param(zeroed("steps"), id="steps"),
    ],
)
def test_each_part_of_the_state_matters(spoil):
    assert not same(Dealt.final(spoil), Dealt.final())


def test_the_salt_of_a_rollback_matters():
    whole = Dealt.final(before=roll_back_once)
    assert not same(Dealt.final(zeroed("salt"), before=roll_back_once), whole)
    assert not same(Dealt.final(), whole)


def test_the_guard_s_patience_is_kept():
    engine, other = Dealt.make("vanilla", guard="skip", guard_limit=3), Dealt.make("vanilla", guard="skip")
    engine.guard.skipped = 2
    other.load(*engine.state())
    assert other.guard.skipped == 2
