"""Crops: cut at places that depend on position alone, the same of both of a pair, and pictures keep their pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import sparring as package
from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.core.seeds import seed_of
from sparring.data import DataSet, hold_out, make_dealer, open_data, open_test
from sparring.data.order import Order
from sparring.data.turning import turned

SIZES = [(20, 30), (24, 24), (40, 16), (17, 19), (33, 21)]


def place_coded(index: int, height: int, width: int, step: int = 1) -> np.ndarray:
    """Every pixel says which picture it is of, and where it lies, ``step`` to a pixel."""
    rows, columns = np.mgrid[0:height, 0:width] // step
    return np.stack([np.full_like(rows, 40 * index), 4 * rows, 4 * columns], -1).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for index, size in enumerate(SIZES):
        save(tmp_path / "photos" / f"{index}.png", place_coded(index, *size))
    return tmp_path / "photos"


def deal(data: DataSet, first: int, count: int, **options: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What is dealt, as uint8 again."""
    dealer = make_dealer(data, seed=0, stride=count, device=torch.device("cpu"), **options)
    try:
        real, _, given = dealer.deal(first, count)
    finally:
        dealer.close()
    back = [None if side is None else (side * 127.5 + 127.5).round().to(torch.uint8) for side in (real, given)]
    assert back[0] is not None
    return back[0], back[1]


def test_crops_are_pixels_of_their_picture_at_every_place(photos: Path) -> None:
    data = open_data(str(photos), Data(crop=16))
    assert (data.spec.shape, data.spec.count, data.in_memory) == ((3, 16, 16), 5, True)
    crops, _ = deal(data, 0, 1000)
    seen: dict[int, set[tuple[int, int]]] = {}
    for crop in crops:
        index, top, left = int(crop[0, 0, 0]) // 40, int(crop[1, 0, 0]) // 4, int(crop[2, 0, 0]) // 4
        whole = place_coded(index, *SIZES[index])
        np.testing.assert_array_equal(crop.movedim(0, -1), whole[top : top + 16, left : left + 16])
        seen.setdefault(index, set()).add((top, left))
    assert len(seen[3]) == 2 * 4  # of 17x19: both rows, all four columns
    assert len(seen[2]) == 25  # of 40x16


def test_outside_of_training_the_middle_is_taken(photos: Path) -> None:
    data = open_data(str(photos), Data(crop=16))
    middle = data.get([0])[0][0]
    np.testing.assert_array_equal(middle.movedim(0, -1), place_coded(0, 20, 30)[2:18, 7:23])


@pytest.mark.parametrize("workers", [0, 1])
def test_streamed_and_in_memory_whole_and_in_parts_are_the_same(photos: Path, workers: int) -> None:
    options = {"flip": True, "rotate": True}
    whole, _ = deal(open_data(str(photos), Data(crop=16)), 7, 12, **options)
    streamed = open_data(str(photos), Data(crop=16, store="stream"))
    assert not streamed.in_memory
    halves = [deal(streamed, first, 6, workers=workers, **options)[0] for first in (7, 13)]
    assert torch.equal(whole, torch.cat(halves))  # as two processes deal it, or a run that goes on


def test_pairs_are_cut_at_the_same_place(tmp_path: Path) -> None:
    for index, (height, width) in enumerate(SIZES):
        save(tmp_path / "lr" / f"{index}.png", place_coded(index, height, width))
        save(tmp_path / "hr" / f"{index}.png", place_coded(index, 2 * height, 2 * width, 2))
    data = open_data(str(tmp_path), Data(crop=32))
    assert (data.spec.shape, data.spec.given) == ((3, 32, 32), (3, 16, 16))
    for options in ({}, {"flip": True, "rotate": True}):
        made, given = deal(data, 3, 60, **options)
        assert given is not None
        assert torch.equal(made[:, :, ::2, ::2], given)
    kept = hold_out(data, 0.4)
    assert kept.held_out is not None
    made, given = kept.held_out.get([0])[0], kept.held_out.get_given([0])
    assert given is not None
    assert torch.equal(made[:, :, ::2, ::2], given)


def test_quarters_turn_squares_and_all_four_are_as_likely() -> None:
    square = torch.arange(4.0).reshape(1, 1, 2, 2).expand(4, 1, 2, 2)
    found = turned(square, torch.arange(4)[:, None, None, None])
    assert all(torch.equal(found[k, 0], square[0, 0].rot90(k)) for k in range(4))
    counts = torch.bincount(Order(4000, 0).quarters(0, 4000), minlength=4)
    assert counts.min() > 900


def test_nothing_else_is_dealt_otherwise() -> None:
    """The order and the coins of runs from before there were crops."""
    order = Order(7, 3)
    generator = torch.Generator().manual_seed(seed_of(3, "epoch", 1))
    assert torch.equal(order.indices(7, 7), torch.randperm(7, generator=generator))
    assert torch.equal(order.coins(7, 7), torch.rand(7, generator=generator) < 0.5)


def test_cut_out_of_a_size_that_is_asked_for(photos: Path) -> None:
    data = open_data(str(photos), Data(crop=16, size="20"))
    assert data.spec.shape == (3, 16, 16)
    crops, _ = deal(data, 0, 200)
    assert len({crop[:, 0, 0].numpy().tobytes() for crop in crops}) > 5 * 12  # of 5 x 25 places


def test_the_test_part_is_cut_too(tmp_path: Path) -> None:
    for index, size in enumerate(SIZES):
        save(tmp_path / "train" / f"{index}.png", place_coded(index, *size))
        save(tmp_path / "test" / f"{index}.png", place_coded(index, *size))
    settings = Data(crop=16)
    data = open_data(str(tmp_path), settings)
    test = open_test(str(tmp_path), settings, data.spec)
    assert test is not None
    assert torch.equal(test.get(range(5))[0], data.get(range(5))[0])


def test_pictures_too_small_are_named_and_too_many_refused(photos: Path) -> None:
    with pytest.raises(SparringError, match=r"2 of 5 .* 2\.png: it is 40x16, smaller than the 18x18"):
        open_data(str(photos), Data(crop=18, max_bad=0.1))
    left = open_data(str(photos), Data(crop=18, max_bad=0.4))
    assert (left.spec.count, left.spec.shape) == (3, (3, 18, 18))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Data(crop=33), "data.crop 33"),
        (Data(crop=24, size="20"), "more than data.size 20x20"),
        (Data(crop=15), "2 has to divide"),
    ],
)
def test_crops_that_cannot_be(tmp_path: Path, settings: Data, words: str) -> None:
    for index in range(4):
        save(tmp_path / "lr" / f"{index}.png", place_coded(index, 16, 16))
        save(tmp_path / "hr" / f"{index}.png", place_coded(index, 32, 32, 2))
    with pytest.raises(SparringError, match=words):
        open_data(str(tmp_path), settings)


def test_pairs_of_sizes_that_do_not_agree(tmp_path: Path) -> None:
    for index in range(4):
        save(tmp_path / "A" / f"{index}.png", place_coded(index, 24, 24))
        save(tmp_path / "B" / f"{index}.png", place_coded(index, 24, 25 if index else 24))
    with pytest.raises(SparringError, match="one pair is 24x25 and 24x24"):
        open_data(str(tmp_path), Data(crop=16))


def test_only_squares_are_turned(refused: Any, photos: Path, tmp_path: Path) -> None:
    words = refused("train", photos, "--data.rotate", "true", "--data.size", "16x32", "--run", tmp_path / "run")
    assert "data.rotate turns squares" in words


def test_a_run_of_crops_goes_on_bit_by_bit(photos: Path, tmp_path: Path) -> None:
    """Stopped in the middle and resumed: the same weights as in one go."""
    same = {"family": "srgan", "data_settings": {"crop": 16, "flip": True, "rotate": True}}
    same |= {"game": {"width": 4, "blocks": 1, "scale": 2, "warmup_kimg": 0.008}, "batch": 4, "referee": False}
    package.train(photos, run=tmp_path / "one", kimg=0.032, **same, optim={"schedule": "constant"})
    package.train(photos, run=tmp_path / "two", kimg=0.016, **same, optim={"schedule": "constant"})
    package.train(run=tmp_path / "two", kimg=0.032)
    one, two = (package.load(tmp_path / name).game.state_dict() for name in ("one", "two"))
    assert all(torch.equal(one[key], two[key]) for key in one if key.startswith("G."))  # a model has no D
