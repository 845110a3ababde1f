"""What people and strangers put in: each a line that says what to do, or a policy that is stated and logged.

Never a traceback, never a lost state. Seen from outside; the data room has tests of its own.
"""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib

import pytest
import torch
from safetensors.torch import load_file, save_file

import stumbling
from conftest import TINY, contents, events, outcome, png, states, told, write_pictures
from sparring.core.errors import SparringError
from sparring.engine import checkpoint


def train(data, run, *more):
    """The tiny run's command on other data."""
    return ("train", data, *TINY[2:], *more, "--run", run)


# ---------------------------------------------------------------------- data that cannot be trained on


def missing(folder):
    return folder / "nowhere"


def empty(folder):
    (folder / "empty").mkdir()
    return folder / "empty"


def no_images(folder):
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_text("hello")
    return folder / "notes"


def all_corrupt(folder):
    (folder / "corrupt").mkdir()
    for place in range(4):
        (folder / "corrupt" / f"{place}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(place, 90)))
    return folder / "corrupt"


def truncated(folder):
    pictures = write_pictures(folder / "truncated", 4)
    (pictures / "002.png").write_bytes(png(2)[:150])
    return pictures


def one_image(folder):
    return write_pictures(folder / "one", 1)


def a_single_file(folder):
    (folder / "face.png").write_bytes(png())
    return folder / "face.png"


def bomb(folder):
    """A picture of a few bytes that unpacks to 10 gigapixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pictures = write_pictures(folder / "bomb", 4)
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")
    (pictures / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return pictures


def zip_that_climbs(folder):
    with zipfile.ZipFile(folder / "evil.zip", "w") as archive:
        archive.writestr("../../outside.png", png())
        archive.writestr("a.png", png(1))
    return folder / "evil.zip"


def zip_cut_short(folder):
    with zipfile.ZipFile(folder / "cut.zip", "w") as archive:
        archive.writestr("a.png", png())
    (folder / "cut.zip").write_bytes((folder / "cut.zip").read_bytes()[:100])
    return folder / "cut.zip"


class Exploit:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (os.mkdir, (str(self.mark),))


def pickled(folder, name="data.pkl"):
    (folder / name).write_bytes(pickle.dumps(Exploit(folder / "pwned")))
    return folder / name


def pickled_pt(folder):
    torch.save(torch.zeros(3), folder / "data.pt")
    return folder / "data.pt"


def pickled_in_npy(folder):
    import numpy as np

    np.save(folder / "data.npy", np.array([Exploit(folder / "pwned")], dtype=object), allow_pickle=True)
    return folder / "data.npy"


REFUSED = {
    missing: "there is no file or folder",
    empty: "is empty",
    no_images: "has no pictures, only 1 other file such as a.txt",
    all_corrupt: "none of the 4 pictures",
    truncated: "002.png: the file is cut short",
    one_image: "has one picture that can be read",
    a_single_file: "is a single picture",
    bomb: "bomb.png: too many pixels",
    zip_that_climbs: "'../../outside.png' points outside",
    zip_cut_short: "is not a zip file, or is cut short",
    pickled: "never unpickles",
    pickled_pt: "never unpickles",
    pickled_in_npy: "data.npy",
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_training_is_refused_and_makes_no_folder(refused, tmp_path, make):
    data = make(tmp_path)
    message = refused(*train(data, tmp_path / "run"))
    assert REFUSED[make] in message
    assert str(data) in message
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "pwned").exists()
    assert not (tmp_path.parent / "outside.png").exists()


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_the_doctor_says_the_same(sparring, tmp_path, make):
    data = make(tmp_path)
    answer = sparring("inspect", data)
    assert answer.code == 2
    said = " ".join((answer.out + answer.err).split())
    assert REFUSED[make].split(": ")[-1] in said
    assert "Traceback" not in said
    assert len(answer.err.splitlines()) <= 1
    assert not (tmp_path / "pwned").exists()


# ---------------------------------------------------------------------- data with a policy, stated and logged


def said_and_logged(answer, run, text):
    assert answer.code == 0, answer
    assert text in " ".join(answer.out.split())
    assert any(text in message for message in told(run, "plan")), told(run, "plan")


def test_two_sizes_are_brought_to_one(sparring, tmp_path):
    data = write_pictures(tmp_path / "data", 6, (8, 8))
    write_pictures(data, 2, (16, 10), first=50)
    answer = sparring(*train(data, tmp_path / "run"))
    said_and_logged(answer, tmp_path / "run", "2 pictures of 16x10 are brought to 8x8 by cropping")


def test_few_bad_files_are_left_out(sparring, tmp_path):
    data = bomb(tmp_path)
    answer = sparring(*train(data, tmp_path / "run", "--data.max-bad", "0.5"))
    said_and_logged(
        answer, tmp_path / "run", "1 of 5 pictures cannot be read and are left out (bomb.png: too many pixels"
    )


def test_seventy_classes_of_one_picture_cannot_be_learnt(sparring, refused, tmp_path):
    for place in range(70):
        write_pictures(tmp_path / "data" / f"class{place}", 1, (8, 8), first=place)
    message = refused("train", tmp_path / "data", "--game.conditional", "--run", tmp_path / "no")
    assert "most classes have a single image (70 of 70)" in message
    assert "--data.labels none" in message
    assert not (tmp_path / "no").exists()
    line = [*train(tmp_path / "data", tmp_path / "run")]
    line[line.index("none")] = "auto"
    said_and_logged(sparring(*line), tmp_path / "run", "labels cannot be learnt")


def test_pictures_that_vanish_while_streamed_are_named(refused, tmp_path, monkeypatch):
    from sparring.engine.loop import Engine

    data = write_pictures(tmp_path / "data", 40)
    original = Engine.step

    def step(engine):
        if engine.nimg == 640:
            for path in data.glob("*.png"):
                path.unlink()
        original(engine)

    monkeypatch.setattr(Engine, "step", step)
    message = refused(*train(data, tmp_path / "run", "--data.store", "stream", "--data.workers", "0"))
    assert "could be read before and cannot be now" in message
    assert int(states(tmp_path / "run")[-1].name) == 512


# ---------------------------------------------------------------------- a full disk


def test_a_disk_too_full_for_states(sparring, refused, fill, finished, tmp_path):
    run = tmp_path / "run"
    disk = fill(run / "state")
    disk.full = lambda: len(states(run)) >= 1  # from the second save on
    message = refused(*TINY, "--run", run)
    assert "No space left on device" in message
    assert "the same command goes on" in message
    assert disk.refusals > 0
    said = told(run, "not saved")
    assert len(said) == 3, "each save that failed is logged"
    assert all("No space left on device" in message for message in said)
    assert json.loads((run / "log.jsonl").read_text().splitlines()[-1])["nimg"] == 2048, "training went on to the end"
    (state,) = states(run)
    assert contents(state) == contents(finished / "state" / state.name)
    disk.full = lambda: False
    assert sparring(*TINY, "--run", run).code == 0
    assert told(run, "resumed") == ["at 0.512 kimg"]
    assert outcome(run) == outcome(finished)


def test_a_disk_that_was_full_for_a_while(sparring, fill, finished, tmp_path):
    run = tmp_path / "run"
    disk = fill(run / "state")
    disk.full = lambda: len(states(run)) == 1 and disk.refusals < 2
    assert sparring(*TINY, "--run", run).code == 0
    assert len(told(run, "not saved")) == 2
    assert outcome(run) == outcome(finished)


def test_a_disk_where_nothing_fits_any_more(sparring, fill, finished, tmp_path):
    run = tmp_path / "run"
    disk = fill(run)
    disk.full = lambda: len(states(run)) >= 1
    answer = sparring(*TINY, "--run", run)
    assert answer.code == 2
    assert answer.err.splitlines()[-1].startswith("sparring: ")
    assert "No space left on device" in answer.err.splitlines()[-1]
    assert "Traceback" not in answer.out + answer.err
    (state,) = states(run)
    assert contents(state) == contents(finished / "state" / state.name)
    disk.full = lambda: False
    assert sparring(*TINY, "--run", run).code == 0
    assert outcome(run) == outcome(finished)


def test_a_disk_full_from_the_start(refused, fill, tmp_path):
    fill(tmp_path)
    assert "No space left on device" in refused(*TINY, "--run", tmp_path / "run")


def test_a_disk_full_before_the_resume(refused, fill, stopped, tmp_path):
    run = shutil.copytree(stopped, tmp_path / "run")
    before = contents(run / "state")
    fill(run)
    assert "No space left on device" in refused(*TINY, "--run", run)
    assert contents(run / "state") == before


def test_a_full_disk_where_samples_go(refused, fill, finished, tmp_path):
    fill(tmp_path)
    for kind in ("files", "grid", "npz"):
        message = refused("sample", finished, "--out", tmp_path / "out", "--as", kind)
        assert "cannot write to" in message
        assert "No space left on device" in message


@pytest.mark.parametrize("file", ["game.safetensors", "manifest.json"])
def test_a_save_that_fails_half_way_leaves_the_state_before(file, tmp_path, monkeypatch):
    tensors = {"game": {"w": torch.ones(3)}, "average": {"w": torch.zeros(3)}}
    checkpoint.save(tmp_path, tensors, {"nimg": 1}, keep=2)
    whole, write = contents(tmp_path), checkpoint.write_synced

    def failing(path, data):
        if path.name == file:
            path.write_bytes(data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(checkpoint, "write_synced", failing)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, tensors, {"nimg": 2}, keep=2)
    assert contents(tmp_path) == whole
    (found,) = checkpoint.load_newest(tmp_path)
    assert found[1] == {"nimg": 1}


# ---------------------------------------------------------------------- gradients that are not finite


@pytest.fixture
def stumble(monkeypatch):
    """The command of a run whose D stumbles ``times`` from 1 kimg on."""
    monkeypatch.setattr(stumbling.NaNGAN, "stumbled", 0)

    def line(run, times, *more):
        return (
            *("train", "digits", "--family", "stumbling:NaNGAN", "--data.labels", "none", "--game.at", "1000"),
            *(
                "--game.times",
                str(times),
                "--train.kimg",
                "2",
                "--train.save-kimg",
                "0.25",
                "--train.tick-kimg",
                "0.25",
            ),
            *("--train.picture-kimg", "9", *more, "--run", run),
        )

    return line


def test_the_guard_stops_and_names_turn_and_parameter(refused, stumble, tmp_path):
    message = refused(*stumble(tmp_path, 10**9))
    assert "D.1.weight is not finite in turn D.discriminator at 1.024 kimg" in message
    assert "--train.guard rollback" in message
    assert int(states(tmp_path)[-1].name) == 1024
    checkpoint.read(states(tmp_path)[-1])
    assert "D.discriminator" in told(tmp_path, "not finite")[0]


def test_the_guard_skips_and_goes_on(sparring, stumble, tmp_path):
    answer = sparring(*stumble(tmp_path, 3, "--train.guard", "skip"))
    assert answer.code == 0
    (message,) = told(tmp_path, "skipped")
    assert "3 turns" in message
    assert "D.1.weight" in message
    assert all(value.isfinite().all() for value in load_file(tmp_path / "model" / "generator.safetensors").values())


def test_the_guard_s_patience_with_skips_ends(refused, stumble, tmp_path):
    message = refused(*stumble(tmp_path, 10**9, "--train.guard", "skip", "--train.guard-limit", "3"))
    assert "not finite in turn D.discriminator at 1.216 kimg" in message  # three steps after 1.024


def test_the_guard_rolls_back_and_goes_on(sparring, stumble, tmp_path):
    answer = sparring(*stumble(tmp_path, 2, "--train.guard", "rollback"))
    assert answer.code == 0
    assert len(told(tmp_path, "rolled back")) == 2
    position = json.loads((states(tmp_path)[-1] / "position.json").read_text())
    assert position["salt"] == 2, "it tried other noise each time"
    assert position["nimg"] == 2048


def test_the_guard_s_patience_with_rollbacks_ends(refused, stumble, tmp_path):
    message = refused(*stumble(tmp_path, 10**9, "--train.guard", "rollback", "--train.guard-limit", "3"))
    assert "not finite" in message
    assert len(told(tmp_path, "rolled back")) == 3
    checkpoint.read(states(tmp_path)[-1])


# ---------------------------------------------------------------------- a stranger's model


@pytest.fixture
def model(finished, tmp_path):
    """A copy of a good model folder."""
    return shutil.copytree(finished / "model", tmp_path / "model")


@pytest.mark.parametrize("name", ["model.pt", "model.pkl", "model.safetensors"])
def test_a_single_file_is_never_unpickled(refused, tmp_path, name):
    message = refused("sample", pickled(tmp_path, name))
    assert "never unpickles" in message
    assert not (tmp_path / "pwned").exists()


def test_a_pickle_under_our_name_is_refused(refused, model, tmp_path):
    (model / "generator.safetensors").write_bytes(pickle.dumps(Exploit(tmp_path / "pwned")))
    assert "not a whole safetensors file" in refused("sample", model)
    assert not (tmp_path / "pwned").exists()


def card(model, **changes):
    path = model / "model.json"
    held = json.loads(path.read_text())
    held.update(changes)
    path.write_text(json.dumps({key: value for key, value in held.items() if value is not None}))


def test_a_card_that_names_code_is_not_imported(refused, model, tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text("import pathlib; pathlib.Path('pwned').mkdir()")
    monkeypatch.chdir(tmp_path)
    for family in ("stranger:Evil", "os:system"):
        card(model, family=family)
        message = refused("sample", model)
        assert f"names the code '{family}'" in message
        assert f"--family {family} yourself" in message
    assert not (tmp_path / "pwned").exists()
    assert "stranger" not in sys.modules


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 99}, "version 99"),
        ({"version": None}, "damaged"),
        ({"family": "vanila"}, "did you mean 'vanilla'?"),
        ({"family": 3}, "'family' is of the wrong kind"),
        ({"family": "../../evil"}, "there is no family"),
        ({"spec": [1]}, "'spec' is of the wrong kind"),
        ({"spec": {}}, "model.json"),
        ({"spec": {"modality": "image", "shape": [1, 10**6, 10**6]}}, "does not hold the weights"),
        ({"spec": {"modality": "image", "shape": [1, -8, 8]}}, "damaged"),
        ({"spec": {"modality": "image", "shape": [64]}}, "damaged"),
        ({"spec": {"modality": "os", "shape": [1, 8, 8]}}, "damaged"),
        ({"spec": {"modality": "image", "shape": [1, 8, 8], "extra": 1}}, "unknown setting"),
        ({"game": {"width": 10**9, "z_dim": 8}}, "does not hold the weights"),
        ({"game": {"width": "wide"}}, "is a whole number"),
        ({"game": {"wdith": 8}}, "did you mean 'width'?"),
    ],
)
def test_a_card_that_lies_is_refused(refused, model, changes, says):
    card(model, **changes)
    assert says in refused("sample", model)


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"\xff\xfe\x00"])
def test_a_damaged_card_is_refused(refused, model, content):
    (model / "model.json").write_bytes(content)
    assert "model.json is damaged" in refused("sample", model)


def flip_last(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-4])


def other_weights(path):
    save_file({"G.0.weight": torch.zeros(2)}, path)


def longer_header(path):
    path.write_bytes(struct.pack("<Q", 1 << 60) + path.read_bytes()[8:])


@pytest.mark.parametrize(
    "damage",
    [flip_last, cut, other_weights, longer_header, lambda path: path.unlink(), lambda path: path.write_bytes(b"")],
)
def test_damaged_weights_are_refused(refused, model, tmp_path, damage):
    damage(model / "generator.safetensors")
    message = refused("sample", model, "--out", tmp_path / "out")
    assert "generator.safetensors" in message
    assert not (tmp_path / "out").exists()


def test_nothing_is_ever_unpickled(stopped, finished, tmp_path):
    """Resuming, loading and sampling with every door to pickle shut."""
    shutil.copytree(stopped, tmp_path / "run")
    code = """
import pickle, sys, torch
def no(*args, **kwargs):
    raise AssertionError("unpickled")
class No(pickle._Unpickler):
    def __init__(self, *args, **kwargs):
        no()
pickle.load = pickle.loads = torch.load = no
pickle.Unpickler = pickle._Unpickler = No
from sparring.cli import main
for line in sys.argv[1:]:
    try:
        main(line.split())
    except SystemExit as left:
        assert not left.code, (line, left.code)
"""
    run = tmp_path / "run"
    lines = (" ".join((*TINY, "--run", str(run))), f"sample {run} --out {tmp_path / 'out'}", f"sample {run / 'model'}")
    done = subprocess.run(
        [sys.executable, "-c", code, *lines], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert outcome(run) == outcome(finished)
    assert len(list((tmp_path / "out").iterdir())) == 16


# ---------------------------------------------------------------------- the same from Python


def test_python_gets_one_exception_for_all_of_it(tmp_path):
    import sparring

    for data in (missing(tmp_path), one_image(tmp_path), pickled(tmp_path)):
        with pytest.raises(SparringError):
            sparring.train(data, family="vanilla", run=tmp_path / "run")
    with pytest.raises(SparringError, match="did you mean 'vanilla'"):
        sparring.train("digits", family="vanila", run=tmp_path / "run")
    with pytest.raises(SparringError, match="did you mean 'kimg'"):
        sparring.train("digits", family="vanilla", kimgs=1, run=tmp_path / "run")
    with pytest.raises(SparringError, match="neither a run folder"):
        sparring.load(tmp_path)
    assert not (tmp_path / "run").exists()


def test_a_run_without_trouble_logs_none(finished):
    assert {event["kind"] for event in events(finished)} == {"verdict"}
