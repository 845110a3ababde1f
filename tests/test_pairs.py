"""Pictures made from pictures: what a layout says, what is refused, and that both sides stay together."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

import sparring as package
from conftest import events
from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.data import DataSet, hold_out, make_dealer, open_data, open_test
from sparring.data.doctor import examine
from sparring.data.palette import Palette
from sparring.metrics.fidelity import psnr
from sparring.tools.choose import Machine, choose_family
from sparring.tools.inspect import render


def photo(seed: int, height: int = 16, width: int = 16) -> np.ndarray:
    """A smooth picture with colours of its own."""
    small = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def folders(root: Path, given: str, made: str, names: int = 6, others: int = 0) -> Path:
    """Two folders of ``names`` pictures; what is given is the photo turned to its negative."""
    for index in range(names):
        save(root / made / f"{index}.png", photo(index))
        save(root / given / f"{index + others}.png", 255 - photo(index))
    return root


def check_pairs(data: DataSet, count: int) -> None:
    assert (data.spec.count, data.given_count) == (count, count)
    assert data.spec.paired
    made, _ = data.get(range(count))
    given = data.get_given(range(count))
    assert given is not None
    assert torch.equal(given, 255 - made)


# ------------------------------------------------------------------ two folders


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("A", "B"),
        ("input", "target"),
        ("trainA", "trainB"),
        ("train/A", "train/B"),
        ("A/train", "B/train"),
        ("wrapped/train_input", "wrapped/train_target"),
        ("sketches/deep/er", "photos/deep/er"),
    ],
)
def test_two_folders_matched_by_name(tmp_path: Path, given: str, made: str) -> None:
    data = open_data(str(folders(tmp_path / "set", given, made)))
    assert data.spec == DataSpec("image", (3, 16, 16), count=6, given=(3, 16, 16))
    check_pairs(data, 6)
    assert "6 pairs matched by name" in data.notes[0]
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted((tmp_path / "set").rglob("*.png")):
            file.write(path, path.relative_to(tmp_path / "set"))
    again = open_data(str(archive))
    streamed = open_data(str(archive), Data(store="stream"))
    remembered = open_data(str(archive), Data(store="stream"))
    assert again.fingerprint == data.fingerprint == streamed.fingerprint == remembered.fingerprint
    check_pairs(streamed, 6)
    check_pairs(remembered, 6)


def test_directions_and_other_names(tmp_path: Path) -> None:
    root = str(folders(tmp_path / "set", "A", "B"))
    forth, back = (open_data(root, Data(pairs=pairs)) for pairs in ("a-to-b", "b-to-a"))  # type: ignore[arg-type]
    assert torch.equal(forth.pixels, back.given)  # type: ignore[arg-type]
    assert torch.equal(forth.given, back.pixels)  # type: ignore[arg-type]
    other = str(folders(tmp_path / "other", "day", "night"))
    assert open_data(other).spec.classes == ("day", "night")  # as they are for any family
    check_pairs(open_data(other, Data(pairs="a-to-b")), 6)
    alone = open_data(root, Data(pairs="none"))
    assert (alone.spec.count, alone.spec.given, alone.spec.classes) == (12, (), ("A", "B"))
    decorated = tmp_path / "decorated"
    for index in range(3):
        save(decorated / "lr" / f"{index}x2.png", photo(index, 8, 12))
        save(decorated / "hr" / f"{index}.png", photo(index, 16, 24))
    larger = open_data(str(decorated))
    assert (larger.spec.shape, larger.spec.given) == ((3, 16, 24), (3, 8, 12))
    assert choose_family(larger.spec, Machine("cpu"), {})[0] == "srgan"


def test_two_sets_without_pairs(tmp_path: Path) -> None:
    root = folders(tmp_path / "set", "trainA", "trainB", 6, others=100)
    save(root / "trainA/more.png", photo(9))
    for name in ("testA/1.png", "testA/2.png", "testA/3.png", "testB/7.png", "testB/8.png"):
        save(root / name, photo(50))
    data = open_data(str(root))
    assert (data.spec.count, data.given_count, data.spec.paired) == (6, 7, False)
    assert "no name is in both" in data.notes[0]
    assert data.spec.classes == ()
    assert choose_family(data.spec, Machine("cpu"), {})[0] == "cut"
    test = open_test(str(root), Data(), data.spec)
    assert test is not None
    assert (test.spec.count, test.given_count, test.spec.paired) == (2, 3, False)
    back = open_data(str(root), Data(pairs="unpaired-b-to-a"))
    assert (back.spec.count, back.given_count) == (7, 6)
    named_alike = str(folders(tmp_path / "alike", "trainA", "trainB"))
    assert not open_data(named_alike, Data(pairs="unpaired")).spec.paired


def test_each_side_has_its_own_order_where_there_are_no_pairs(tmp_path: Path) -> None:
    root = folders(tmp_path / "set", "trainA", "trainB", 8, others=100)
    (root / "trainA/107.png").unlink()
    data = open_data(str(root))
    dealer = make_dealer(data, seed=0, stride=8, device=torch.device("cpu"))
    dealt = dealer.deal(0, 56)  # 7 epochs of one side, 8 of the other
    assert dealt.given is not None
    assert [len(side[:count].unique(dim=0)) for side, count in ((dealt.real, 8), (dealt.given, 7))] == [8, 7]
    negatives = torch.stack([(dealt.real[:8] + one).abs().flatten(1).amax(1).min() < 1e-6 for one in dealt.given[:7]])
    assert negatives.all()  # all are of the set
    assert not torch.equal(dealt.real[:7], -dealt.given[:7])  # and not side by side


def test_pairs_are_dealt_and_flipped_together(tmp_path: Path) -> None:
    root = str(folders(tmp_path / "set", "A", "B"))
    for store in ("memory", "stream"):
        data = open_data(root, Data(store=store))  # type: ignore[arg-type]
        dealer = make_dealer(data, seed=0, stride=12, device=torch.device("cpu"), flip=True)
        real, _, given = dealer.deal(0, 12)
        assert given is not None
        torch.testing.assert_close(given, -real)
        assert len(real.unique(dim=0)) > 6  # some are mirrored


def test_holding_out_keeps_pairs_and_splits_both_sets(tmp_path: Path) -> None:
    paired = hold_out(open_data(str(folders(tmp_path / "pairs", "A", "B", 40))), 0.3)
    assert paired.held_out is not None
    check_pairs(paired, len(paired))
    check_pairs(paired.held_out, 40 - len(paired))
    data = open_data(str(folders(tmp_path / "sets", "trainA", "trainB", 40, others=100)))
    split = hold_out(data, 0.3)
    assert split.held_out is not None
    assert split.given is not None
    assert split.held_out.given is not None
    assert len(split.given) + len(split.held_out.given) == 40
    assert 2 <= len(split.held_out.given) < 40


# ------------------------------------------------------------------ what does not fit


def refusal(root: Path, settings: Data | None = None) -> str:
    with pytest.raises(SparringError) as caught:
        open_data(str(root), settings or Data())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_missing_partners_are_named(tmp_path: Path) -> None:
    root = folders(tmp_path / "set", "A", "B", 20)
    save(root / "A/lonely.png", photo(99))
    words = refusal(root)
    assert "1 pictures have no partner" in words
    assert "A/lonely.png" in words
    assert "--data.pairs unpaired" in words
    data = open_data(str(root), Data(max_bad=0.1))
    check_pairs(data, 20)
    assert any("left out, such as A/lonely.png" in note for note in data.notes)
    report = examine(str(root))
    assert "A/lonely.png" in report.refused
    assert any("without a partner (1): A/lonely.png" in line for line in report.pairs)


def test_a_pair_with_something_wrong_is_left_out_on_both_sides(tmp_path: Path) -> None:
    root = folders(tmp_path / "set", "A", "B", 20)
    save(root / "A/3.png", photo(3, 16, 20))  # of another shape
    (root / "B/5.png").write_bytes(b"\x89PNG no")
    whole = (root / "A/7.png").read_bytes()
    (root / "A/7.png").write_bytes(whole[: len(whole) // 2])  # cut short: seen when it is decoded
    words = refusal(root)
    assert "3 of 20 pictures" in words
    report = examine(str(root), Data(max_bad=0.2))
    why = dict(report.corrupt)
    assert why["B/3.png"] == "it is 16x16 and its partner A/3.png 16x20"
    assert set(why) == {"B/3.png", "B/5.png", "B/7.png"}
    assert "its partner A/7.png" in why["B/7.png"]
    for store in ("memory", "stream"):
        check_pairs(open_data(str(root), Data(max_bad=0.2, store=store)), 17)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "settings", "words"),
    [
        ("digits", Data(pairs="a-to-b"), "data.pairs a-to-b is for folders"),
        ("digits", Data(palette="auto"), "digits has no pairs"),
        ("ring", Data(pairs="unpaired"), "data.pairs is for pictures"),
    ],
)
def test_pairs_of_what_has_none(source: str, settings: Data, words: str) -> None:
    with pytest.raises(SparringError, match=words):
        open_data(source, settings)


def test_asked_for_folders_that_are_not_there(tmp_path: Path) -> None:
    root = folders(tmp_path / "set", "A", "B")
    save(root / "C/1.png", photo(1))
    assert "it needs two folders" in refusal(root, Data(pairs="a-to-b"))


# ------------------------------------------------------------------ side by side


def halves(root: Path, count: int = 8, labels_left: bool = False, split: str = "train") -> Path:
    """A photo with its texture, and a plain label map of two areas."""
    for index in range(count):
        noise = np.random.default_rng(index).integers(0, 60, (16, 16, 3), dtype=np.uint8)
        textured = np.clip(photo(index).astype(int) + noise, 0, 255).astype(np.uint8)
        labels = np.zeros((16, 16, 3), np.uint8)
        labels[:, index % 8 + 4 :] = (0, 0, 255)
        labels[:, : index % 8 + 4] = (255, 0, 0)
        save(
            root / split / f"{index}.png", np.concatenate([labels, textured] if labels_left else [textured, labels], 1)
        )
    return root


@pytest.mark.parametrize("labels_left", [True, False])
def test_side_by_side_is_seen_by_its_seam(tmp_path: Path, labels_left: bool) -> None:
    root = halves(tmp_path / "set", labels_left=labels_left)
    halves(root, 3, labels_left, "val")
    data = open_data(str(root))
    direction = "left-to-right" if labels_left else "right-to-left"
    assert direction in data.notes[0]
    assert (data.spec.shape, data.spec.given, data.spec.count) == ((3, 16, 16), (3, 16, 16), 8)
    with Image.open(root / "train/5.png") as image:
        both = torch.from_numpy(np.asarray(image).copy()).movedim(-1, 0)
    left, right = both[:, :, :16], both[:, :, 16:]
    given, made = (left, right) if labels_left else (right, left)
    assert torch.equal(data.get([5])[0][0], made)
    assert torch.equal(data.get_given([5])[0], given)  # type: ignore[index]
    turned = open_data(str(root), Data(pairs="right-to-left" if labels_left else "left-to-right", store="stream"))
    assert torch.equal(turned.get([5])[0][0], given)
    test = open_test(str(root), Data(), data.spec)
    assert test is not None
    assert (test.spec.count, test.given_count) == (3, 3)
    assert choose_family(data.spec, Machine("cpu"), {})[0] == "pix2pix"


def test_panoramas_are_no_pairs(tmp_path: Path) -> None:
    for index in range(6):
        save(tmp_path / f"{index}.png", photo(index, 16, 32))
    assert open_data(str(tmp_path)).spec.given == ()
    assert open_data(str(tmp_path), Data(pairs="left-to-right")).spec.given == (3, 16, 16)


def test_the_doctor_says_what_was_found(tmp_path: Path) -> None:
    report = examine(str(halves(tmp_path / "set")))
    assert not report.refused
    console = Console(record=True, width=250, color_system=None)
    render(report, console)
    text = console.export_text()
    assert "two pictures side by side in each file: right-to-left" in text
    assert "3 x 16 x 16 is given, 3 x 16 x 16 is made" in text


# ------------------------------------------------------------------ label maps


def test_a_palette_is_found_and_makes_a_channel_for_each_colour(tmp_path: Path) -> None:
    root = halves(tmp_path / "set")
    data = open_data(str(root), Data(palette="auto", size="8"))
    assert set(data.spec.palette) == {"#ff0000", "#0000ff"}
    assert data.spec.given == (2, 8, 8)
    given = data.get_given(range(8))
    assert given is not None
    assert set(given.unique().tolist()) == {0, 255}  # no blend of two, although they were made smaller
    assert torch.equal(given.sum(1), torch.full((8, 8, 8), 255))
    assert choose_family(data.spec, Machine("cpu"), {})[0] == "spade"
    halves(root, 3, split="val")
    test = open_test(str(root), Data(palette="auto", size="8"), data.spec)
    assert test is not None
    assert test.spec.palette == data.spec.palette


def test_a_palette_from_a_file(tmp_path: Path) -> None:
    root, colours = halves(tmp_path / "set"), tmp_path / "colours.txt"
    colours.write_text("#0000ff wall\n255 0 0 door\n")
    assert open_data(str(root), Data(palette=str(colours))).spec.palette == ("#0000ff", "#ff0000")
    colours.write_text("#0000ff\n#00ff00\n")
    words = refusal(root, Data(palette=str(colours)))
    assert "train/0.png has the colour #ff0000 at row 0, column 0" in words
    for text, said in (("red\n", "line 1"), ("#000000\n", "1 colours"), ("300 0 0\n#000000\n", "line 1")):
        colours.write_text(text)
        assert said in refusal(root, Data(palette=str(colours)))
    assert "cannot read" in refusal(root, Data(palette=str(tmp_path / "no.txt")))


def test_jpeg_blurs_borders_and_not_classes() -> None:
    import io

    labels = np.zeros((64, 64, 3), np.uint8)
    labels[:, 20:] = (0, 170, 255)
    labels[30:, 40:] = (255, 85, 0)
    file = io.BytesIO()
    Image.fromarray(labels).save(file, "JPEG", quality=80)
    blurred = torch.from_numpy(np.asarray(Image.open(file)).copy()).movedim(-1, 0)[None]
    palette = Palette.find(blurred)
    assert len(palette.colours) == 3
    exact = Palette(("#000000", "#00aaff", "#ff5500"))
    classes = exact.one_hot(blurred, ["x"]).argmax(1)[0]
    truth = np.where(labels[..., 2] == 255, 1, np.where(labels[..., 0] == 255, 2, 0))
    assert (classes.numpy() == truth).mean() > 0.99
    noise: Any = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64), dtype=np.uint8))
    smooth = torch.from_numpy(np.stack([photo(seed, 64, 64) for seed in range(4)])).movedim(-1, 1)
    for pictures in (noise, smooth):
        with pytest.raises(SparringError, match="no label maps"):
            Palette.find(pictures)


# ------------------------------------------------------------------ trained, and measured


@pytest.mark.parametrize("family", ["Retouch", "Enlarge"])
def test_a_run_is_measured_against_what_its_pictures_should_be(
    tmp_path: Path, sparring: Any, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARRING_WEIGHTS", str(tmp_path / "none"))
    root = folders(tmp_path / "set", "train/A", "train/B", 40)
    folders(root, "val/A", "val/B", 24)
    named = f"translators:{family}"
    pairs = {"pairs": "auto" if family == "Retouch" else "none"}
    run = tmp_path / "run"
    options = {"kimg": 0.064, "batch": 8, "tick_kimg": 1.0, "picture_kimg": 1.0}
    trained = package.train(
        root, family=named, run=run, data_settings=pairs, eval={"every": 0.064, "samples": 50}, **options
    )
    assert not any(event["kind"] == "evaluation failed" for event in events(run))
    found = trained.evaluate(metrics=["fd", "psnr", "ssim"])
    assert (run / "samples/000000.064k.png").is_file()
    if family == "Enlarge":
        assert found["PSNR of Y"].protocol.layer == "crop 2"
        return
    assert found["PSNR"].protocol.fakes == 24  # of the test part
    made = torch.stack([torch.from_numpy(trained.apply(255 - photo(index))).movedim(-1, 0) for index in range(24)])
    truth = torch.stack([torch.from_numpy(photo(index).copy()).movedim(-1, 0) for index in range(24)])
    assert found["PSNR"].value == pytest.approx(psnr(made, truth).mean().item(), abs=1e-3)


def test_families_and_data_that_do_not_fit(tmp_path: Path, refused: Any) -> None:
    root = folders(tmp_path / "set", "A", "B")
    assert "--data.pairs none" in refused("train", root, "--family", "vanilla")
    words = refused("train", root, "--data.pairs", "none", "--family", "translators:Retouch")
    assert "makes pictures from pictures" in words
