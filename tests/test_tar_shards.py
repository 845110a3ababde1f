"""Tar shards as training data: WebDataset's layout, read in place; what is damaged or made to harm."""

import io
import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import png, refuses
from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.data import make_dealer, open_data, tars
from sparring.data.doctor import examine
from sparring.data.tars import TarFiles, Window, expand
from sparring.data.webdataset import split

STREAM = Data(store="stream")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))


def tarred(path: Path, members: dict[str, bytes], *more: tarfile.TarInfo) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in more:
            archive.addfile(info)
    return path


def shard(first: int, count: int, kind: str = "cls") -> dict[str, bytes]:
    """Pictures ``first`` to ``first + count``, of classes 0, 1 and 10 in turn."""
    members: dict[str, bytes] = {}
    for number in range(first, first + count):
        label = (0, 1, 10)[number % 3]
        members[f"{number:04d}.png"] = png(number)
        text = str(label) if kind == "cls" else json.dumps({"label": label})
        members[f"{number:04d}.{kind}"] = text.encode()
    return members


def shards(root: Path, count: int = 3, each: int = 4, kind: str = "cls") -> Path:
    for number in range(count):
        tarred(root / f"data-{number:03d}.tar", shard(number * each, each, kind))
    return root


# ---------------------------------------------------------------------- the same data, whatever it lies in


@pytest.mark.parametrize("kind", ["cls", "json"])
def test_a_folder_of_shards_a_pattern_one_tar_and_a_folder_of_pictures_are_the_same_data(
    tmp_path: Path, kind: str
) -> None:
    folder = shards(tmp_path / "shards", kind=kind)
    single = tarred(tmp_path / "single.tar", shard(0, 12, kind))
    plain = tmp_path / "plain"
    plain.mkdir()
    for number in range(12):
        (plain / f"{number:04d}.png").write_bytes(png(number))
    lines = [f"{number:04d}.png,{(0, 1, 10)[number % 3]}" for number in range(12)]
    (plain / "labels.csv").write_text("\n".join(lines))
    sources = [folder, folder / "data-{000..002}.tar", single, plain]
    opened = [open_data(str(source), settings) for source in sources for settings in (Data(), STREAM)]
    assert [data.name for data in opened[::2]] == ["shards", "data", "single", "plain"]
    assert [data.in_memory for data in opened] == [True, False] * 4
    wanted = opened[-1].get(torch.arange(12))
    for data in opened:
        assert data.spec == DataSpec("image", (3, 10, 10), ("0", "1", "10"), (4, 4, 4), 12)
        assert data.fingerprint == opened[0].fingerprint
        pixels, labels = data.get(torch.arange(12))
        assert torch.equal(pixels, wanted[0])
        assert labels is not None
        assert torch.equal(labels, wanted[1])  # type: ignore[arg-type]


def test_a_tar_without_classes_beside_its_pictures_is_read_as_a_zip_is(tmp_path: Path) -> None:
    members = {"all/a/1.png": png(0), "all/a/2.png": png(1), "all/b/3.png": png(2), "all/notes.txt": b"hello"}
    assert open_data(str(tarred(tmp_path / "a.tar", members))).spec.classes == ("a", "b")
    listed = {"1.png": png(0), "2.png": png(1), "dataset.json": b'{"labels": [["1.png", 4], ["2.png", 5]]}'}
    assert open_data(str(tarred(tmp_path / "b.tar", listed))).spec.classes == ("4", "5")


def test_names_classes_and_kinds_of_members(tmp_path: Path) -> None:
    assert split("a/0001.seg.png") == ("a/0001", "seg.png")
    assert split("0001.CLS") == ("0001", "cls")
    members = {
        **{"./a/1.jpg": png(0), "./a/1.cls": b"cat\n", "./a/1.seg.png": png(7), "./a/1.txt": b"a cat"},
        **{"b/1.png": png(1), "b/1.cls": b" 7 ", "b/2.PNG": png(2), "._b": b"junk", "b/.hidden.png": png(9)},
    }
    path = tarred(tmp_path / "a.tar", members)
    report = examine(str(path))
    assert report.count == report.usable == 2
    assert report.classes == (("7", 1), ("cat", 1))
    assert report.others == 2  # the text, and the map of segments
    assert any("1 pictures of a second kind are left out, first a/1.seg.png" in note for note in report.notes)
    assert any("1 pictures are left out: no .cls or .json" in note for note in report.notes)
    assert open_data(str(path), Data(labels="none")).spec.classes == ()
    assert len(open_data(str(path), Data(labels="none"))) == 3


def test_captions_are_no_classes(tmp_path: Path) -> None:
    members = {"1.png": png(0), "1.json": b'{"caption": "a cat"}', "2.png": png(1), "2.json": b"not even JSON"}
    assert open_data(str(tarred(tmp_path / "a.tar", members))).spec.classes == ()


def test_of_a_folder_those_called_train_are_read(tmp_path: Path) -> None:
    tarred(tmp_path / "a" / "train-0.tar", shard(0, 4))
    tarred(tmp_path / "a" / "val-0.tar", shard(4, 4))
    data = open_data(str(tmp_path / "a"))
    assert len(data) == 4
    assert "of 2 tar files in the folder the 1 called train are read" in data.notes


def test_patterns(tmp_path: Path) -> None:
    assert expand("data-{008..011}.tar") == [f"data-{n:03d}.tar" for n in range(8, 12)]
    assert expand("{0..1}/{8..10}.tar") == ["0/8.tar", "0/9.tar", "0/10.tar", "1/8.tar", "1/9.tar", "1/10.tar"]
    assert expand("photos{0..1}") == ["photos{0..1}"]
    for wrong in ("{3..1}.tar", "{0..999999999}.tar"):
        with pytest.raises(SparringError, match="stands for no shards, or for too many"):
            expand(wrong)
    shards(tmp_path)
    refuses(tmp_path / "data-{000..004}.tar", "2 of the 5 shards", "data-003.tar")
    assert "no file or folder" in refuses(tmp_path / "data.tar")


# ---------------------------------------------------------------------- random access


def test_members_are_read_by_offset_small_and_large_also_after_pickling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = np.random.default_rng(0).bytes(tars.SMALL + 1000)
    path = tarred(tmp_path / "a.tar", {"b.bin": large, "a.bin": b"small", "long" * 40 + ".bin": b"x"})
    files = TarFiles(path)
    assert files.names == ("a.bin", "b.bin", "long" * 40 + ".bin")
    again = pickle.loads(pickle.dumps(files))
    monkeypatch.setattr(tars, "_walk", lambda path: pytest.fail("the index is kept"))
    for own in (files, again, TarFiles(path)):
        assert own.read(0) == b"small"
        assert own.read(1) == large
        assert own.read(2) == b"x"
    with files.open(1) as file:
        assert file.seek(-10, io.SEEK_END) == len(large) - 10
        assert file.read(100) == large[-10:]
        assert file.read(1) == b""
        file.seek(5)
        file.seek(5, io.SEEK_CUR)
        assert file.read(7) == large[10:17]
    with Window(open(path, "rb"), 512, 10) as window:
        assert window.read() == large[:10]


def test_an_index_that_was_kept_is_not_used_for_a_changed_file(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar", {"1.png": png(0), "2.png": png(1)})
    before = TarFiles(path)
    (kept,) = (tmp_path / "cache/tars").glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:50])
    assert TarFiles(path).names == before.names
    tarred(path, {"3.png": png(2), "4.png": png(3), "5.png": png(4)})
    assert TarFiles(path).names == ("3.png", "4.png", "5.png")
    assert TarFiles(path).stamp() != before.stamp()


def test_each_process_reads_its_slice_alone_and_what_is_dealt_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = open_data(str(shards(tmp_path / "a")), STREAM)
    read: list[int] = []
    original = TarFiles.open
    monkeypatch.setattr(TarFiles, "open", lambda self, index: (read.append(index), original(self, index))[1])

    def deal(first: int, count: int) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        read.clear()
        dealer = make_dealer(data, seed=3, stride=8, device=torch.device("cpu"))
        real, labels, _ = dealer.deal(first, count)
        assert labels is not None
        return real, labels, sorted(read)

    whole, one, two = deal(0, 8), deal(0, 4), deal(4, 4)  # a batch of 8; two processes' halves of it
    assert torch.equal(torch.cat([one[0], two[0]]), whole[0])
    assert torch.equal(torch.cat([one[1], two[1]]), whole[1])
    assert len(one[2]) == len(two[2]) == 4
    assert sorted(one[2] + two[2]) == whole[2]


# ---------------------------------------------------------------------- what is damaged or made to harm


def test_dangerous_tars_are_refused(tmp_path: Path) -> None:
    good = {"1.png": png(0), "2.png": png(1)}
    for name in ("../evil.png", "/etc/evil.png", "a/../../evil.png", "C:/evil.png", "..\\evil.png"):
        refuses(tarred(tmp_path / "a.tar", {**good, name: png(2)}), "is refused", "evil.png", "outside the tar")
    for kind, words in (
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.FIFOTYPE, "neither a plain file nor a folder"),
        (tarfile.CHRTYPE, "neither a plain file nor a folder"),
    ):
        info = tarfile.TarInfo("strange.png")
        info.type, info.linkname = kind, "/etc/passwd"
        refuses(tarred(tmp_path / "b.tar", good, info), "is refused", "strange.png", words)


def test_broken_tars_are_refused_by_name(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar", shard(0, 4))
    whole = path.read_bytes()
    with tarfile.open(path) as archive:
        members = archive.getmembers()
    last, third = members[-2], members[4]  # 0003.png, 0002.png

    def holds(data: bytes) -> Path:
        path.write_bytes(data)
        return path

    refuses(holds(whole[: last.offset_data + 10]), "cut short in its member '0003.png'", "download it again")
    refuses(holds(whole[: last.offset]), "is cut short after its member '0002.cls'")
    damaged = bytearray(whole)
    damaged[third.offset : third.offset + 100] = b"?" * 100  # a header's checksum no longer fits
    refuses(holds(bytes(damaged)), "is damaged after its member '0001.cls'")
    refuses(holds(b"not a tar at all"), "is not a tar file")
    refuses(holds(b""), "is not a tar file")
    refuses(holds(bytes(10240)), "is empty")
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("1.png"))
    refuses(path, "is compressed", "unpack a .tar.gz")
    refuses(path.rename(tmp_path / "a.tar.gz"), "kind that is not read", "unpack it to a .tar")


def test_a_damaged_picture_is_named_with_its_shard(tmp_path: Path) -> None:
    folder = shards(tmp_path / "a")
    tarred(folder / "data-001.tar", {**shard(4, 4), "0005.png": png(5)[:-40], "0006.png": b"no picture"})
    report = examine(str(folder))
    assert [name for name, _ in report.corrupt] == ["data-001.tar/0005.png", "data-001.tar/0006.png"]
    assert "2 of 12 pictures" in report.refused
    data = open_data(str(folder), Data(max_bad=0.5))
    assert len(data) == 10
    assert sum(data.spec.class_counts) == 10


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("2.cls", b"  ", "is empty"),
        ("2.cls", b"\xff\xfe", "cannot be read"),
        ("1.json", b"{", "is not JSON"),
        ("1.json", b"[3]", "is not an object"),
        ("1.json", b'{"label": 1.5}', "has the label '1.5'"),
        ("1.json", b'{"label": [1]}', "has the label"),
        ("1.json", b'{"label": true}', "has the label"),
    ],
)
def test_classes_that_cannot_be_read_are_refused_by_name(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    path = tarred(tmp_path / "a.tar", {"1.png": png(0), "2.png": png(1), name: data})
    refuses(path, f"a.tar/{name}", words, "whole number or a name")


def test_shards_without_pictures_are_refused(tmp_path: Path) -> None:
    for number in range(2):
        tarred(tmp_path / "a" / f"{number}.tar", {"1.txt": b"hello", "1.cls": b"1"})
    refuses(tmp_path / "a", "has no pictures, only 4 other members such as 0.tar/1.cls")


# ---------------------------------------------------------------------- the commands


def test_samples_as_tar_are_data_again(finished: Path, sparring: Callable[..., object], tmp_path: Path) -> None:
    sparring("sample", finished, "--seeds", "0-149", "--as", "tar", "--shard", "64", "--out", tmp_path / "made")
    sparring("sample", finished, "--seeds", "0-149", "--as", "npz", "--out", tmp_path)
    data = open_data(str(tmp_path / "made"))
    with np.load(tmp_path / "samples.npz") as archive:
        assert (data.get(range(150))[0].movedim(1, -1).numpy() == archive["images"]).all()


def test_the_doctor_and_training_take_them(tmp_path: Path, sparring: Callable[..., object]) -> None:
    folder = shards(tmp_path / "a", each=10)
    answer = sparring("inspect", folder / "data-{000..002}.tar")
    assert answer.code == 0, answer  # type: ignore[attr-defined]
    assert "3 tar shards" in answer.out  # type: ignore[attr-defined]
    few = ("--train.kimg", "0.06", "--train.batch", "30", "--train.picture-kimg", "9", "--game.width", "4")
    line = ("train", folder, "--family", "vanilla", "--data.store", "stream", "--data.workers", "0", *few)
    answer = sparring(*line, "--run", tmp_path / "run")
    assert answer.code == 0, answer  # type: ignore[attr-defined]
    assert "3 tar shards" in " ".join(answer.out.split())  # type: ignore[attr-defined]
    assert (tmp_path / "run" / "model" / "generator.safetensors").is_file()
