"""Sources: folders, zips, arrays, parquet; classes; and each mistake with its one sentence."""

import gzip
import io
import json
import os
import stat
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import refuses
from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.data import labels_warning, open_data


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))


def picture(seed: int, size: tuple[int, int] = (12, 12), kind: str = "PNG", channels: int = 3) -> bytes:
    shape = (*size, channels) if channels > 1 else size
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def folder(root: Path, *names: str, **files: bytes) -> Path:
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(seed))
    for name, data in files.items():
        (root / name.replace("__", ".")).write_bytes(data)
    return root


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


# ------------------------------------------------------------------ folders and zips


def test_digits() -> None:
    data = open_data("digits")
    assert (data.name, data.in_memory, len(data)) == ("digits", True, 1797)
    assert data.spec.shape == (1, 8, 8)
    assert data.spec.classes == tuple("0123456789")
    assert sum(data.spec.class_counts) == data.spec.count == 1797
    pixels, labels = data.get([0, 1])
    assert pixels.dtype == torch.uint8
    assert labels is not None
    assert labels.tolist() == [0, 1]
    assert pixels.max() == 255  # 16 of 16


def test_a_folder_a_zip_and_a_stream_are_the_same_data(tmp_path: Path) -> None:
    root = folder(tmp_path / "my photos!", "a/1.png", "a/2.png", "b/x/3", "b/4.jpg", notes__txt=b"hello")
    archive = zipped(
        tmp_path / "my photos!.zip",
        {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*"), reverse=True) if p.is_file()},
    )
    opened = [open_data(str(root)), open_data(str(archive)), open_data(str(archive), Data(store="stream"))]
    again = open_data(str(archive), Data(store="stream"))  # from the remembered scan
    assert [data.in_memory for data in opened] == [True, True, False]
    assert {data.name for data in opened} == {"my-photos"}
    for data in [*opened, again]:
        assert data.spec == DataSpec("image", (3, 12, 12), ("a", "b"), (2, 2), 4)
        assert data.fingerprint == opened[0].fingerprint
        assert data.notes == opened[0].notes
        pixels, labels = data.get(torch.tensor([3, 0, 2, 1]))
        first, same = opened[0].get([3, 0, 2, 1])
        assert torch.equal(pixels, first)
        assert labels is not None
        assert labels.tolist() == same.tolist() == [1, 0, 1, 0]  # type: ignore[union-attr]


def test_fingerprint_follows_pixels_labels_and_settings(tmp_path: Path) -> None:
    root = folder(tmp_path / "a", "a/1.png", "a/2.png", "b/3.png", "b/4.png")
    prints = [open_data(str(root), s).fingerprint for s in (Data(), Data(size="8"), Data(labels="none"))]
    (root / "a/2.png").rename(root / "b/2.png")
    prints.append(open_data(str(root)).fingerprint)
    (root / "b/2.png").write_bytes(picture(99))
    prints.append(open_data(str(root)).fingerprint)
    assert len(set(prints)) == 5


def test_a_remembered_scan_is_not_used_for_changed_files(tmp_path: Path) -> None:
    root = folder(tmp_path / "a", "1.png", "2.png")
    stream = Data(store="stream")
    before = open_data(str(root), stream)
    (root / "2.png").write_bytes(picture(7, channels=1))
    (root / "1.png").write_bytes(picture(8, channels=1))
    after = open_data(str(root), stream)
    assert (before.spec.shape[0], after.spec.shape[0]) == (3, 1)
    assert before.fingerprint != after.fingerprint
    scans = list((tmp_path / "cache/scans").glob("*.json"))
    assert len(scans) == 2
    for path in scans:
        path.write_text("{broken")
    assert open_data(str(root), stream).fingerprint == after.fingerprint


def test_memory_limit_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path / "a", "1.png", "2.png")
    monkeypatch.setattr("sparring.data.opened.MEMORY_LIMIT", 2 * 3 * 12 * 12 - 1)
    assert not open_data(str(root), Data(channels="3")).in_memory
    assert open_data(str(root), Data(store="memory")).in_memory


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    open_data(str(folder(tmp_path / "a", "1.png", "2.png")), Data(), lambda *step: told.append(step))
    assert told[-1] == ("read", 2, 2)


def test_streamed_picture_that_went_bad(tmp_path: Path) -> None:
    root = folder(tmp_path / "a", "1.png", "2.png")
    data = open_data(str(root), Data(store="stream"))
    (root / "2.png").unlink()
    with pytest.raises(SparringError, match=r"2\.png could be read before and cannot be now"):
        data.get([0, 1])


# ------------------------------------------------------------------ what is left out, and said


def test_bad_files_are_counted_and_too_many_refused(tmp_path: Path) -> None:
    root = folder(
        tmp_path / "a", *(f"{i:02d}.png" for i in range(10)), bad__png=b"no picture", cut__jpg=b"\xff\xd8\xff"
    )
    refuses(root, "2 of 12 pictures", "bad.png", "16.7%", "--data.max-bad")
    data = open_data(str(root), Data(max_bad=0.2))
    assert len(data) == 10
    assert "2 of 12 pictures cannot be read and are left out" in data.notes[0]
    assert "bad.png" in data.notes[0]
    streamed = open_data(str(root), Data(max_bad=0.2, store="stream"))
    assert torch.equal(streamed.get(range(10))[0], data.get(range(10))[0])


def test_litter_and_other_files_are_no_pictures(tmp_path: Path) -> None:
    root = folder(tmp_path / "a", "1.png", "2", ".hidden.png", "__MACOSX/1.png", readme__txt=b"x", Thumbs__db=b"x")
    assert len(open_data(str(root))) == 2


def test_sizes_channels_and_policies_are_stated(tmp_path: Path) -> None:
    root = tmp_path / "a"
    root.mkdir()
    for index, (size, channels) in enumerate([((20, 40), 3), ((24, 24), 1), ((18, 30), 4)]):
        (root / f"{index}.png").write_bytes(picture(index, size, channels=channels))
    data = open_data(str(root))
    assert data.spec.shape == (4, 16, 16)
    text = " ".join(data.notes)
    assert "3 pictures of 18x30 to 20x40 are brought to 16x16 by cropping" in text
    white = open_data(str(root), Data(channels="3", fit="pad"))
    assert white.spec.shape == (3, 16, 16)
    assert "transparency of 1 pictures is laid on white" in " ".join(white.notes)
    assert "black border" in " ".join(white.notes)
    grey = open_data(str(root), Data(channels="1", size="32x8"))
    assert grey.spec.shape == (1, 32, 8)
    assert "made grey" in " ".join(grey.notes)
    assert "enlarged" in " ".join(grey.notes)


# ------------------------------------------------------------------ classes


def test_classes_from_folders_in_natural_order(tmp_path: Path) -> None:
    names = [f"wrapped/{label}/{i}.png" for label in ("10", "9", "2") for i in range(2)]
    data = open_data(str(folder(tmp_path / "a", *names)))
    assert data.spec.classes == ("2", "9", "10")
    assert open_data(str(tmp_path / "a"), Data(labels="none")).spec.classes == ()


def test_one_folder_and_stray_pictures_are_no_classes(tmp_path: Path) -> None:
    assert open_data(str(folder(tmp_path / "a", "x/1.png", "x/2.png"))).labels is None
    data = open_data(str(folder(tmp_path / "b", "x/1.png", "y/2.png", "3.png")))
    assert data.labels is None
    assert any("not taken as classes" in note for note in data.notes)


def test_train_part_is_taken(tmp_path: Path) -> None:
    data = open_data(str(folder(tmp_path / "a", "train/x/1.png", "train/y/2.png", "test/x/1.png", "val/y/1.png")))
    assert data.spec.classes == ("x", "y")
    assert len(data) == 2
    assert "only the 2 pictures of train/ are used" in data.notes[0]


@pytest.mark.parametrize("text", ["file,label\n1.png,cat\nx/2.png,dog\n", "1.png,cat\nx/2.png,dog\n"])
def test_labels_csv(tmp_path: Path, text: str) -> None:
    root = folder(tmp_path / "a", "1.png", "x/2.png", "3.png", labels__csv=text.encode())
    data = open_data(str(root))
    assert data.spec.classes == ("cat", "dog")
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1]
    assert "1 pictures are left out" in data.notes[0]


def test_labels_csv_with_more_columns_needs_its_header(tmp_path: Path) -> None:
    root = folder(tmp_path / "a", "1.png", "2.png", labels__csv=b"id,label,file\n1,x,1.png\n2,y,2.png\n")
    assert open_data(str(root)).spec.classes == ("x", "y")
    (root / "labels.csv").write_text("1,x,1.png\n2,y,2.png\n")
    refuses(root, "labels.csv", "file,label")
    (root / "labels.csv").write_text("1.png,x\ngone.png,y\n")
    refuses(root, "labels.csv", "1 of 2 pictures that are not there", "gone.png")
    assert len(open_data(str(root), Data(labels="none"))) == 2


def test_dataset_json_of_stylegan(tmp_path: Path) -> None:
    pairs = {"labels": [["00/1.png", 5], ["00/2.png", 11], ["00/3.png", 5]]}
    root = folder(tmp_path / "a", "00/1.png", "00/2.png", "00/3.png", dataset__json=json.dumps(pairs).encode())
    data = open_data(str(root))
    assert (data.spec.classes, data.spec.class_counts) == (("5", "11"), (2, 1))
    (root / "dataset.json").write_text('{"labels": null}')
    assert open_data(str(root)).labels is None
    (root / "dataset.json").write_text("[]")
    refuses(root, "dataset.json", "expected")


def test_single_image_classes_are_warned_of() -> None:
    names = tuple(map(str, range(70)))
    warning = labels_warning(DataSpec("image", (3, 8, 8), names, (1,) * 70, 70))
    assert warning is not None
    assert "labels cannot be learnt: most classes have a single image" in warning
    assert labels_warning(DataSpec("image", (3, 8, 8), ("a", "b"), (1, 9), 10)) is None
    assert labels_warning(DataSpec("image", (3, 8, 8), count=10)) is None


# ------------------------------------------------------------------ arrays


def idx(path: Path, values: np.ndarray) -> Path:
    head = b"\0\0\x08" + bytes([values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
    data = head + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_idx_pairs(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 9, 8), dtype=np.uint8)
    idx(tmp_path / "train-labels-idx1-ubyte.gz", np.array([3, 1, 3, 1, 7]))
    images = idx(tmp_path / "train-images-idx3-ubyte.gz", pixels)
    idx(tmp_path / "t10k-images-idx3-ubyte.gz", pixels[:2])
    for source in (tmp_path, images):
        data = open_data(str(source))
        assert data.spec.shape == (1, 9, 8)
        assert (data.spec.classes, data.spec.class_counts) == (("1", "3", "7"), (2, 2, 1))
        np.testing.assert_array_equal(data.get(range(5))[0][:, 0], pixels)
    images.write_bytes(gzip.compress(gzip.decompress(images.read_bytes())[:-3]))
    refuses(images, "cut short")
    images.write_bytes(images.read_bytes()[:30])
    refuses(images, "cannot read")
    refuses(tmp_path / "train-labels-idx1-ubyte.gz", "pictures, not of labels")


@pytest.mark.parametrize("layout", ["NHWC", "NCHW", "NHW"])
@pytest.mark.parametrize("kind", ["uint8", "int64", "0 to 1", "-1 to 1", "uint16"])
def test_npz_layouts_and_values(tmp_path: Path, layout: str, kind: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (6, 8, 10, 3), dtype=np.uint8)
    pixels[0, 0, 0], pixels[0, 0, 1] = 0, 255
    stored = {"NHWC": pixels, "NCHW": pixels.transpose(0, 3, 1, 2), "NHW": pixels[..., 0]}[layout]
    values = {
        "uint8": stored,
        "int64": stored.astype(np.int64),
        "0 to 1": (stored / 255).astype(np.float32),
        "-1 to 1": (stored / 127.5 - 1).astype(np.float32),
        "uint16": stored.astype(np.uint16) * 257,
    }[kind]
    np.savez(tmp_path / "set.npz", x_train=values, y_train=np.array([[1], [0], [1], [0], [1], [1]]), x_test=values[:2])
    data = open_data(str(tmp_path / "set.npz"))
    assert data.spec.shape == (1 if layout == "NHW" else 3, 8, 10)
    assert data.spec.class_counts == (2, 4)
    expected = pixels.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(data.get(range(6))[0], expected[:, : data.spec.shape[0]])
    np.save(tmp_path / "set.npy", values)
    assert torch.equal(open_data(str(tmp_path / "set.npy")).get(range(6))[0], data.get(range(6))[0])


def test_npz_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, voxels=np.zeros((4, 9, 9, 9)), y=np.zeros(4))
    refuses(path, "voxels (4, 9, 9, 9)", "x_train")
    np.savez(path, images=np.array([{}] * 3, dtype=object))
    refuses(path, "no array of pictures")
    np.savez(path, images=np.full((4, 8, 8), np.nan))
    refuses(path, "not finite")
    np.savez(path, images=np.linspace(-5, 999, 256).reshape(4, 8, 8))
    refuses(path, "-5 to 999")
    path.write_bytes(b"PK\x03\x04 broken")
    refuses(path, "cannot read")
    np.save(tmp_path / "o.npy", np.array([{}] * 3, dtype=object), allow_pickle=True)
    refuses(tmp_path / "o.npy", "never unpickles")


def test_arrays_are_resized_and_reduced(tmp_path: Path) -> None:
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), dtype=np.uint8), 3, axis=3)
    np.save(tmp_path / "a.npy", grey)
    data = open_data(str(tmp_path / "a.npy"), Data(size="8", store="stream"))
    assert data.spec.shape == (1, 8, 8)
    assert data.in_memory
    assert "always kept in memory" in data.notes[-1]


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    cells = [{"bytes": picture(i), "path": f"{i}.png"} for i in range(4)]
    table = pa.table({"image": cells, "label": [1, 0, 1, 1]})
    info = {"info": {"features": {"label": {"names": ["cat", "dog"]}}}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, tmp_path / "train-0.parquet", row_group_size=2)
    data = open_data(str(tmp_path / "train-0.parquet"))
    assert (data.spec.classes, data.spec.class_counts) == (("cat", "dog"), (1, 3))
    pq.write_table(pa.table({"img": [cell["bytes"] for cell in cells]}), tmp_path / "test-0.parquet")
    in_folder = open_data(str(tmp_path), Data(store="stream"))  # of the folder, the training part
    assert in_folder.fingerprint == data.fingerprint
    assert torch.equal(in_folder.get([2, 0])[0], data.get([2, 0])[0])
    assert open_data(str(tmp_path / "test-0.parquet")).labels is None
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "words.parquet")
    assert open_data(str(tmp_path / "words.parquet")).spec.modality == "table"
    (tmp_path / "junk.parquet").write_bytes(b"junk")
    refuses(tmp_path / "junk.parquet", "cannot read")


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refuses(tmp_path / "a.parquet", "pip install 'sparring[parquet]'")


# ------------------------------------------------------------------ mistakes


def test_missing_sources() -> None:
    refuses("digit", "did you mean 'digits'?")
    refuses("no/such/folder", "there is no file or folder 'no/such/folder'")


def test_empty_and_useless_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refuses(tmp_path / "empty", "is empty")
    refuses(folder(tmp_path / "empty", notes__txt=b"x"), "no pictures", "notes.txt")
    refuses(folder(tmp_path / "one", "1.png"), "two or more")
    zipped(tmp_path / "empty/photos.zip", {"1.png": picture(0)})
    refuses(tmp_path / "empty", "photos.zip: give that file")
    (tmp_path / "bad").mkdir()
    refuses(folder(tmp_path / "bad", a__png=b"", b__png=b"x"), "none of the 2 pictures", "a.png")
    root = tmp_path / "tiny"
    root.mkdir()
    for i in range(3):
        (root / f"{i}.png").write_bytes(picture(i, (4, 5)))
    refuses(root, "4x5", "--data.size 8x8")


def test_dangerous_zips_are_refused(tmp_path: Path) -> None:
    good = {"1.png": picture(0), "2.png": picture(1)}
    for name in ("../evil.png", "/etc/evil.png", "a/../../evil.png", "..\\evil.png", "C:\\evil.png"):
        refuses(zipped(tmp_path / "a.zip", {**good, name: picture(2)}), "is refused", "evil.png")
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(zipped(tmp_path / "b.zip", good), "a") as file:
        file.writestr(link, "/etc/passwd")
    refuses(tmp_path / "b.zip", "link.png", "symbolic link")


def test_encrypted_and_broken_zips(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"1.png": picture(0), "2.png": picture(1)})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory that says encrypted
    path.write_bytes(data)
    refuses(path, "encrypted", "1.png")
    path.write_bytes(b"not a zip at all")
    refuses(path, "not a zip file")


def test_damaged_member_is_one_bad_picture(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {f"{i}.png": picture(i) for i in range(4)})
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        data[file.getinfo("2.png").header_offset + 200] ^= 255
    path.write_bytes(data)
    opened = open_data(str(path), Data(max_bad=0.5))
    assert len(opened) == 3
    assert "2.png: the file is damaged" in opened.notes[0]


@pytest.mark.parametrize("name", ["model.pt", "data.pkl", "weights.pth", "x.ckpt"])
def test_pickles_are_never_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")
    refuses(tmp_path / name, "never unpickles")


def test_other_kinds_are_named(tmp_path: Path) -> None:
    for name, word in (("a.csv", "is not text"), ("a.tar.gz", "unpack it"), ("a.png", "single picture")):
        (tmp_path / name).write_bytes(picture(0))
        refuses(tmp_path / name, word)


def test_unreadable_folders_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path / "a", "1.png", "2.png", "x/3.png")
    scandir = os.scandir

    def locked(path: Any = ".") -> Any:
        if str(path).endswith("x"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    refuses(root, "cannot read the folder", "Permission denied")


def test_links_to_nowhere_pipes_and_circles_are_harmless(tmp_path: Path) -> None:
    root = folder(tmp_path / "a", "1.png", "2.png")
    (root / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (root / "circle").symlink_to(root)
    os.mkfifo(root / "pipe.png")
    assert len(open_data(str(root))) == 2
