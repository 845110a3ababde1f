"""Pictures of more than 8 bits are trained on, and measured, as deep as they are."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import sparring as package
from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.data import make_dealer, open_data
from sparring.data.depth import Kind, Meta
from sparring.data.strips import SUFFIX, open_strips

SIDE = 16
BASE = 20_000  # all values of the pictures below lie between this and 200 more: 8 bits see one plain grey


def faint(seed: int, channels: int = 3, side: int = SIDE) -> np.ndarray:
    """uint16 ``(side, side, channels)`` within 200 of 65,535 levels."""
    return np.random.default_rng(seed).integers(BASE, BASE + 200, (side, side, channels), dtype=np.uint16)


def write(path: Path, values: np.ndarray, kind: Kind = "png") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path = path.with_suffix(SUFFIX[kind])
    with open_strips(kind, path, values.shape, values.dtype, Meta(), False) as file:  # type: ignore[arg-type]
        file.write(values)
    return path


def pairs(root: Path, count: int = 6, kind: Kind = "png", channels: int = 3) -> Path:
    """What is made is what is given in reverse order: nothing of it can be told in 8 bits."""
    for index in range(count):
        write(root / "A" / str(index), faint(index, channels), kind)
        write(root / "B" / str(index), faint(index, channels)[::-1, ::-1], kind)
    return root


def levels(kept: torch.Tensor) -> np.ndarray:
    """The 16-bit values that float32 in [-1, 1] stand for, ``(n, h, w, c)``."""
    assert kept.dtype == torch.float32
    return np.rint((kept.double().numpy() + 1) * 32767.5).astype(np.uint16).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["png", "tiff", "npy"])
@pytest.mark.parametrize("store", ["memory", "stream"])
def test_no_bit_of_pairs_is_lost(tmp_path: Path, kind: Kind, channels: int, store: Any) -> None:
    data = open_data(str(pairs(tmp_path, 6, kind, channels)), Data(store=store))
    assert (data.spec.shape, data.spec.given) == ((channels, SIDE, SIDE), (channels, SIDE, SIDE))
    given = data.get_given(range(6))
    assert given is not None
    truth = np.stack([faint(index, channels) for index in range(6)])
    np.testing.assert_array_equal(levels(given), truth)
    np.testing.assert_array_equal(levels(data.get(range(6))[0]), truth[:, ::-1, ::-1])
    dealer = make_dealer(data, seed=0, stride=6, device=torch.device("cpu"))
    real, _, dealt = dealer.deal(0, 6)
    dealer.close()
    assert dealt is not None
    assert torch.equal(dealt.flip(2, 3), real)
    assert {picture.tobytes() for picture in levels(real)} == {picture.tobytes() for picture in truth[:, ::-1, ::-1]}
    assert any("more than 8 bits are kept" in note for note in data.notes)


def test_eight_bits_can_be_asked_for(tmp_path: Path) -> None:
    data = open_data(str(pairs(tmp_path, 4)), Data(depth="8"))
    assert data.pixels is not None
    assert data.pixels.dtype == torch.uint8
    assert data.pixels.unique().tolist() == [BASE >> 8]  # nothing is left
    arrays = open_data(str(pairs(tmp_path / "npy", 4, "npy")), Data(depth="8"))
    assert arrays.pixels is not None
    assert arrays.pixels.unique().tolist() == [78, 79]  # 20,000 / 257 to 20,199 / 257


def test_one_deep_picture_makes_a_set_deep_and_the_others_keep_their_values(tmp_path: Path) -> None:
    eight = np.random.default_rng(9).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    write(tmp_path / "a", faint(0))
    write(tmp_path / "b", eight)
    data = open_data(str(tmp_path))
    np.testing.assert_array_equal(levels(data.get([1])[0])[0], eight.astype(np.uint16) * 257)


def test_ranges_by_hand(tmp_path: Path) -> None:
    scan = np.array([[-1024, 3071], [1023, 1024]], np.int16).repeat(8, 0).repeat(8, 1)
    for name in ("a", "b"):
        write(tmp_path / name, scan[..., None], "npy")
    with pytest.raises(SparringError, match="say which values are black and white"):
        open_data(str(tmp_path))
    data = open_data(str(tmp_path), Data(range="-1024,3071"))
    corners = data.get([0])[0][0, 0, ::8, ::8]
    assert torch.allclose(corners, torch.tensor([[-1.0, 1.0], [-1 / 4095, 1 / 4095]]), atol=1e-6)
    with pytest.raises(SparringError, match="outside of 0 to 4095"):
        open_data(str(tmp_path), Data(range="0,4095"))
    with pytest.raises(SparringError, match=r"data\.range is two numbers"):
        open_data(str(tmp_path), Data(range="wide"))


def test_floating_point_runs_from_0_to_1(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((2, SIDE, SIDE, 1)).astype(np.float32)
    for index, picture in enumerate(values):
        Image.fromarray(picture[..., 0]).save(tmp_path / f"{index}.tif")
    data = open_data(str(tmp_path))
    np.testing.assert_allclose(data.get([0, 1])[0][:, 0].numpy(), values[..., 0] * 2 - 1, atol=2e-7)
    signed = tmp_path / "signed"
    for name in ("a", "b"):
        write(signed / name, values[0] - 0.5, "npy")
    with pytest.raises(SparringError, match=r"say data\.range -1,1"):
        open_data(str(signed))
    np.testing.assert_allclose(
        open_data(str(signed), Data(range="-1,1")).get([0])[0][0, 0].numpy(), values[0, ..., 0] - 0.5, atol=2e-7
    )


def test_arrays_are_kept_in_8_bits_where_that_loses_nothing(tmp_path: Path) -> None:
    eight = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE), dtype=np.uint8)
    np.save(tmp_path / "eight.npy", eight.astype(np.uint16) * 257)
    np.save(tmp_path / "deep.npy", np.stack([faint(index, 1)[..., 0] for index in range(4)]))
    assert open_data(str(tmp_path / "eight.npy")).get([0])[0].dtype == torch.uint8
    deep = open_data(str(tmp_path / "deep.npy"))
    np.testing.assert_array_equal(levels(deep.get(range(4))[0])[1], faint(1, 1))
    assert open_data(str(tmp_path / "deep.npy"), Data(depth="8")).get([0])[0].dtype == torch.uint8


def test_sizes_crops_halves_and_zips_of_deep_pictures(tmp_path: Path) -> None:
    for index in range(4):
        write(tmp_path / "wide" / str(index), np.concatenate([faint(index), faint(index + 9)], 1))
    data = open_data(str(tmp_path / "wide"), Data(pairs="left-to-right", crop=8))
    given = data.get_given([2])
    assert given is not None
    np.testing.assert_array_equal(levels(given)[0], faint(2)[4:12, 4:12])
    np.testing.assert_array_equal(levels(data.get([2])[0])[0], faint(11)[4:12, 4:12])
    small = open_data(str(tmp_path / "wide"), Data(pairs="none", size="8x16"))
    mean = levels(small.get([0])[0]).astype(float).mean()
    assert mean == pytest.approx(np.concatenate([faint(0), faint(9)], 1).mean(), abs=10)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as file:
        for path in sorted((tmp_path / "wide").iterdir()):
            file.write(path, path.name)
    packed = open_data(str(tmp_path / "set.zip"), Data(pairs="left-to-right", crop=8))
    assert packed.fingerprint == data.fingerprint


def test_arrays_that_are_no_pictures(tmp_path: Path) -> None:
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.zeros((SIDE, SIDE, 5), np.float32))
    with pytest.raises(SparringError, match="5 channels"):
        open_data(str(tmp_path))
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(SparringError, match="never unpickles"):
        open_data(str(tmp_path), Data(max_bad=0.1))


def test_a_run_on_faint_pairs_is_measured_in_16_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given differs from what is wanted by less than 1/255: rounded to 8 bits, PSNR would be infinite."""
    monkeypatch.setenv("SPARRING_WEIGHTS", str(tmp_path / "none"))
    pairs(tmp_path / "set", 24)
    run = package.train(
        tmp_path / "set", family="translators:Retouch", run=tmp_path / "run", kimg=0.016, batch=8, referee=False
    )
    found = run.evaluate(metrics=["psnr"])["PSNR"].value
    made = np.stack([run.apply(faint(index)) for index in range(24)])
    assert made.dtype == np.uint16
    errors = [np.square(made[index].astype(float) - faint(index)[::-1, ::-1]).mean() for index in range(24)]
    assert found == pytest.approx(np.mean([10 * np.log10(65535**2 / error) for error in errors]), abs=1e-3)
