"""Strange pictures in pairs: each is trained on, or refused in one line that names it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.data import open_data
from sparring.metrics.consistency import consistency
from sparring.metrics.segmenter import fit_segmenter, seen_by
from sparring.metrics.sets.pairs import METRICS
from sparring.metrics.suite import Sample, Sides, choose


def colours(seed: int, height: int = 16, width: int = 16, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def pair(root: Path, name: str, given: Image.Image, made: Image.Image, suffix: str = ".png") -> None:
    for side, image in (("A", given), ("B", made)):
        (root / side).mkdir(parents=True, exist_ok=True)
        image.save(root / side / f"{name}{suffix}")


def plain(root: Path, count: int = 4) -> Path:
    for index in range(count):
        pair(root, str(index), Image.fromarray(colours(index)), Image.fromarray(colours(index + 50)))
    return root


def test_one_pixel_is_refused_with_a_size_that_would_do(tmp_path: Path) -> None:
    for index in range(4):
        pair(tmp_path, str(index), *(Image.fromarray(colours(index, 1, 1)) for _ in range(2)))
    with pytest.raises(SparringError, match=r"the pictures are 1x1; .* --data\.size 8x8"):
        open_data(str(tmp_path))
    assert open_data(str(tmp_path), Data(size="8")).spec.shape[1:] == (8, 8)


def test_panorama_strips_keep_their_shape(tmp_path: Path) -> None:
    for index in range(4):
        pair(tmp_path, str(index), *(Image.fromarray(colours(index + k, 16, 400)) for k in (0, 9)))
    assert open_data(str(tmp_path)).spec.shape == (3, 16, 400)
    assert open_data(str(tmp_path), Data(crop=16)).spec.shape == (3, 16, 16)


def test_cmyk_becomes_colour_and_is_said(tmp_path: Path) -> None:
    for index in range(4):
        picture = Image.fromarray(colours(index))
        pair(tmp_path, str(index), picture.convert("CMYK"), picture, ".tif")
    data = open_data(str(tmp_path))
    assert (data.spec.shape, data.spec.given) == ((3, 16, 16), (3, 16, 16))
    given = data.get_given([0])
    assert given is not None
    assert np.array_equal(given.numpy(), data.get([0])[0].numpy())  # colours that Pillow made inks of come back
    assert any(note.startswith("of what is given, CMYK") for note in data.notes)


def test_transparency_of_one_side_is_a_channel_of_that_side(tmp_path: Path) -> None:
    for index in range(4):
        pair(tmp_path, str(index), Image.fromarray(colours(index, channels=4)), Image.fromarray(colours(index + 9)))
    data = open_data(str(tmp_path))
    assert (data.spec.shape, data.spec.given) == ((3, 16, 16), (4, 16, 16))


def test_an_unknown_colour_is_named_with_its_place(tmp_path: Path) -> None:
    maps = np.zeros((16, 16, 3), np.uint8)
    maps[:, 8:] = (255, 128, 0)
    for index in range(4):
        strange = maps.copy()
        if index == 2:
            strange[4:10, 2:6] = (0, 255, 255)
        pair(tmp_path / "set", str(index), Image.fromarray(strange), Image.fromarray(colours(index)))
    (tmp_path / "colours.txt").write_text("#000000 wall\n255 128 0 door\n")
    with pytest.raises(SparringError, match=r"A/2\.png has the colour #00ffff at row \d, column \d"):
        open_data(str(tmp_path / "set"), Data(palette=str(tmp_path / "colours.txt")))


def test_crops_of_label_maps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SparringError, match=r"data\.crop does not cut label maps"):
        open_data(str(plain(tmp_path)), Data(palette="auto", crop=8))


# ------------------------------------------------------------------ what is measured of such pairs


def test_a_segmenter_sees_what_it_was_shown_and_not_what_is_swapped() -> None:
    draw = torch.Generator().manual_seed(0)
    maps = torch.zeros(24, 16, 16, dtype=torch.int64)
    maps[:, :, 8:] = 1
    maps = torch.stack([one.rot90(int(k)) for one, k in zip(maps, torch.arange(24) % 4, strict=True)])
    photos = (maps[:, None] * 200 + torch.randint(0, 40, (24, 3, 16, 16), generator=draw)).to(torch.uint8)
    segment = fit_segmenter(photos[:16], maps[:16], 2, steps=60)
    assert seen_by(segment, photos[16:], maps[16:], 2).mean > 0.9
    assert seen_by(segment, 255 - photos[16:], maps[16:], 2).mean < 0.2


def test_consistency_is_measured_where_pictures_are_enlarged() -> None:
    draw = torch.Generator().manual_seed(0)
    given = torch.randint(0, 256, (12, 3, 8, 8), generator=draw, dtype=torch.uint8)
    made = given.repeat_interleave(2, 2).repeat_interleave(2, 3)
    fakes = Sample(made, scale=2, given=given)
    reals = Sample(made)
    sides = Sides(reals, (reals, reals), "", None, False)
    (metric,) = [metric for metric in METRICS if metric.key == "consistency"]
    assert metric in choose(METRICS, (), sides.available(fakes))[0]
    assert metric not in choose(METRICS, (), sides.available(Sample(made)))[0]
    found = metric.measure(fakes, sides)["consistency"]
    assert found.value == pytest.approx(consistency(made, given).mean().item())
