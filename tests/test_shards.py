"""Samples in shards: their bytes, cut off and gone on with, divided over processes."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import contents
from sparring.core.cluster import Cluster
from sparring.core.errors import SparringError
from sparring.core.files import sha256_file
from sparring.core.registry import load_family
from sparring.core.spec import DataSpec
from sparring.modalities import image
from sparring.tools.sample import draw, draw_labelled
from sparring.tools.shards import Shards

STATM = Path("/proc/self/statm")
CATS = DataSpec("image", (1, 8, 8), ("cat", "dog", "owl"), (90, 9, 1), 100)


@pytest.fixture(scope="module")
def game():
    torch.manual_seed(0)
    vanilla = load_family("vanilla")
    return vanilla(DataSpec("image", (1, 8, 8), count=10), vanilla.config_class(z_dim=4, width=8)).eval()


@pytest.fixture(scope="module")
def by_class():
    torch.manual_seed(0)
    dcgan = load_family("dcgan")
    return dcgan(CATS, dcgan.config_class(z_dim=4, width=4, conditional=True)).eval()


def write(game, out, *, count=250, size=100, **options):
    shards = Shards(game, range(count), out, size=size, **options)
    assert list(shards.write())[-1] == shards.total
    return shards


def pixels_of(game, seeds):
    return torch.cat([image.to_uint8(part) for part in draw(game, seeds)]).movedim(1, -1).numpy()


def test_shards_hold_the_samples_of_their_seeds_and_the_index_says_so(game, tmp_path):
    write(game, tmp_path)
    names = [f"images-{number:05d}" for number in range(3)]
    assert sorted(contents(tmp_path)) == sorted([f"{n}{s}" for n in names for s in (".json", ".npy")] + ["index.json"])
    arrays = [np.load(tmp_path / f"{name}.npy", allow_pickle=False) for name in names]
    assert [array.shape for array in arrays] == [(100, 8, 8, 1), (100, 8, 8, 1), (50, 8, 8, 1)]
    assert arrays[0].dtype == np.uint8
    assert (np.concatenate(arrays) == pixels_of(game, range(250))).all()
    index = json.loads((tmp_path / "index.json").read_text())
    assert (index["count"], index["shape"], index["classes"], index["seeds"]) == (250, [1, 8, 8], [], [0, 249])
    assert [(shard["first_seed"], shard["count"]) for shard in index["shards"]] == [(0, 100), (100, 100), (200, 50)]
    for shard in index["shards"]:
        for name, digest in shard["files"].items():
            assert sha256_file(tmp_path / name) == digest


def test_a_shard_does_not_depend_on_where_the_others_end(game, tmp_path):
    write(game, tmp_path / "a", size=100)
    write(game, tmp_path / "b", size=7)
    parts = [np.load(path) for path in sorted((tmp_path / "b").glob("*.npy"))]
    assert len(parts) == 36
    assert (np.concatenate(parts)[:100] == np.load(tmp_path / "a" / "images-00000.npy")).all()


def test_labels_lie_beside_and_are_counted(by_class, tmp_path):
    write(by_class, tmp_path, labels="balanced")
    labels = np.concatenate([np.load(tmp_path / f"labels-{number:05d}.npy") for number in range(3)])
    drawn = torch.cat([own for _, own in draw_labelled(by_class, range(250), None, None, "balanced")])
    assert labels.tolist() == drawn.tolist()
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["classes"] == ["cat", "dog", "owl"]
    assert index["class_counts"] == np.bincount(labels).tolist()
    assert sum(index["shards"][2]["class_counts"]) == 50
    write(by_class, tmp_path / "dogs", wanted="dog")
    assert json.loads((tmp_path / "dogs" / "index.json").read_text())["class_counts"] == [0, 250, 0]


def test_tars_hold_the_same_pictures_and_classes(by_class, tmp_path):
    write(by_class, tmp_path / "tar", kind="tar")
    write(by_class, tmp_path / "npy")
    with tarfile.open(tmp_path / "tar" / "images-00001.tar") as archive:
        members = {info.name: archive.extractfile(info).read() for info in archive}
    assert list(members)[:3] == ["seed00000100.png", "seed00000100.cls", "seed00000101.png"]
    pictures = [np.asarray(Image.open(io.BytesIO(data))) for name, data in members.items() if name.endswith("png")]
    assert (np.stack(pictures)[..., None] == np.load(tmp_path / "npy" / "images-00001.npy")).all()
    classes = [int(data) for name, data in members.items() if name.endswith("cls")]
    assert classes == np.load(tmp_path / "npy" / "labels-00001.npy").tolist()


def test_colour_survives_both_kinds(tmp_path):
    torch.manual_seed(0)
    vanilla = load_family("vanilla")
    game = vanilla(DataSpec("image", (3, 8, 9), count=10), vanilla.config_class(z_dim=4, width=8)).eval()
    for kind in ("shards", "tar"):
        write(game, tmp_path, kind=kind, count=5, size=9) if kind == "shards" else write(
            game, tmp_path / "tar", kind=kind, count=5, size=9
        )
    with tarfile.open(tmp_path / "tar" / "images-00000.tar") as archive:
        picture = np.asarray(Image.open(archive.extractfile("seed00000004.png")))
    assert (picture == np.load(tmp_path / "images-00000.npy")[4]).all()
    assert (picture == pixels_of(game, [4])[0]).all()


@pytest.mark.parametrize("kind", ["shards", "tar"])
def test_a_finished_shard_is_not_made_again_and_a_damaged_one_is(by_class, tmp_path, monkeypatch, kind):
    write(by_class, tmp_path, kind=kind)
    whole = contents(tmp_path)
    made = []
    original = Shards._make
    monkeypatch.setattr(Shards, "_make", lambda self, number: (made.append(number), original(self, number))[1])
    write(by_class, tmp_path, kind=kind)
    assert made == []
    suffix = "tar" if kind == "tar" else "npy"
    second, third = (tmp_path / f"images-0000{number}.{suffix}" for number in (1, 2))
    second.write_bytes(second.read_bytes()[:-1] + b"!")
    third.unlink()
    (tmp_path / "images-00000.json").write_text("{broken")
    write(by_class, tmp_path, kind=kind)
    assert made == [0, 1, 2]
    assert contents(tmp_path) == whole


def test_a_shard_that_was_cut_off_leaves_nothing_that_counts(game, tmp_path):
    writing = Shards(game, range(250), tmp_path, size=100).write()
    while next(writing) < 150:
        pass
    writing.close()  # in the middle of the second
    assert not (tmp_path / "images-00001.npy").exists()
    assert not (tmp_path / "index.json").exists()
    write(game, tmp_path)
    write(game, tmp_path / "straight")
    (tmp_path / "straight").rename(tmp_path.parent / "straight")
    assert contents(tmp_path) == contents(tmp_path.parent / "straight")


def test_processes_divide_the_shards_and_write_the_same_bytes(by_class, tmp_path):
    write(by_class, tmp_path / "one", count=500)
    for rank in (2, 0, 1):  # in any order, none waits for another
        shards = write(by_class, tmp_path / "three", count=500, cluster=Cluster(rank, 3))
        assert shards.total == {0: 200, 1: 200, 2: 100}[rank]
        assert (tmp_path / "three" / "index.json").exists() == (rank == 1)
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


@pytest.mark.skipif(not STATM.exists(), reason="resident memory is read from Linux's /proc")
def test_memory_does_not_grow_with_the_number_of_samples(game, tmp_path):
    def most_resident(name, count):
        shards = Shards(game, range(count), tmp_path / name, size=count)
        return max(int(STATM.read_text().split()[1]) for _ in shards.write())

    before = most_resident("few", 64 * 20)
    pages = most_resident("many", 64 * 400) - before  # one shard of 1.6 MB, its floats 6.5 MB
    assert pages * 4096 < 1e6


def test_what_cannot_be_written_is_a_sentence(game, by_class, tmp_path):
    for options, words in (
        ({"seeds": [1, 2, 5]}, "these have gaps"),
        ({"size": 0}, "--shard is 1 sample or more"),
        ({"truncation": 0.5}, "truncation cannot be asked for"),
        ({"wanted": "cat"}, "not trained by class"),
        ({"game": by_class, "wanted": "cat", "labels": "balanced"}, "ask for one of them"),
    ):
        with pytest.raises(SparringError, match=words):
            Shards(**{"game": game, "seeds": range(9), "out": tmp_path, **options})
    dcgan = load_family("dcgan")
    points = dcgan(DataSpec("points", (2,), count=10), dcgan.config_class(z_dim=2, width=8)).eval()
    with pytest.raises(SparringError, match="tar is for pictures"):
        Shards(points, range(9), tmp_path, "tar")
    write(points, tmp_path / "points", count=9)
    assert np.load(tmp_path / "points" / "points-00000.npy").dtype == np.float32
    write(game, tmp_path / "held", count=9)
    for other in ({"seeds": range(10)}, {"game": by_class}, {"size": 8}, {"kind": "tar"}):
        shards = Shards(**{"game": game, "seeds": range(9), "out": tmp_path / "held", "size": 100, **other})
        with pytest.raises(SparringError, match="another model, other seeds or other settings"):
            list(shards.write())
    (tmp_path / "file").touch()
    with pytest.raises(SparringError, match="cannot write to"):
        write(game, tmp_path / "file", count=9)


def test_the_command_writes_shards(sparring, refused, finished, tmp_path):
    line = ("sample", finished, "--seeds", "0-149", "--shard", "64")
    answer = sparring(*line, "--as", "shards", "--out", tmp_path / "npy")
    assert (answer.code, "150 samples in" in answer.out) == (0, True)
    assert len(list((tmp_path / "npy").glob("images-*.npy"))) == 3
    assert sparring(*line, "--as", "tar", "--out", tmp_path / "tar").code == 0
    assert "index.json" in contents(tmp_path / "tar")
    assert "these have gaps" in refused("sample", finished, "--seeds", "1,5", "--as", "shards", "--out", tmp_path / "x")
    assert "--where" in refused(*line, "--as", "tar", "--where", "a=1", "--out", tmp_path / "x")


def test_one_process_of_several_writes_its_shards_and_one_alone_writes_files(sparring, finished, tmp_path, monkeypatch):
    assert (
        sparring(
            "sample", finished, "--seeds", "0-149", "--shard", "64", "--as", "shards", "--out", tmp_path / "a"
        ).code
        == 0
    )
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, names in (("1", {"images-00001.npy"}), ("0", {f"images-0000{number}.npy" for number in range(3)})):
        monkeypatch.setenv("RANK", rank)
        line = ("sample", finished, "--seeds", "0-149", "--shard", "64", "--as", "shards", "--out", tmp_path / "b")
        assert sparring(*line).code == 0
        assert {path.name for path in (tmp_path / "b").glob("*.npy")} == names
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    monkeypatch.setenv("RANK", "1")
    assert sparring("sample", finished, "--as", "npz", "--out", tmp_path / "c").code == 0
    assert not (tmp_path / "c").exists()


def test_killed_and_said_again_it_ends_with_the_same_bytes(finished, sparring, tmp_path):
    line = ["sample", str(finished), "--seeds", "0-19999", "--shard", "500", "--as", "shards", "--out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "sparring", *line, str(tmp_path / "a")], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    while not (tmp_path / "a" / "images-00002.json").exists():
        assert process.poll() is None
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert sparring(*line, tmp_path / "a").code == 0
    assert sparring(*line, tmp_path / "b").code == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_what_a_killed_try_left_under_another_name_goes(finished, sparring, tmp_path):
    line = ["sample", str(finished), "--seeds", "0-39", "--shard", "20", "--as", "shards", "--out", tmp_path / "a"]
    assert sparring(*line).code == 0
    whole = contents(tmp_path / "a")
    (tmp_path / "a" / "images-00001.json").rename(tmp_path / "a" / ".images-00001.json.77.tmp")
    assert sparring(*line).code == 0
    assert contents(tmp_path / "a") == whole
