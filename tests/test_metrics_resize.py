"""Pixel rules, on examples small enough to work by hand."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sparring.metrics import resize


def grey(*rows: list[int]) -> Tensor:
    """One grey image ``(1, 1, h, w)``."""
    return torch.tensor(rows, dtype=torch.uint8)[None, None]


def random_images(n: int, channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, channels, height, width), generator=generator).to(torch.uint8)


def test_tf1_bilinear_by_hand() -> None:
    """Sources 0, .5, 1, 1.5: the last one lies beyond the last pixel and repeats it, unlike with half-pixel centres."""
    found = resize.tf1_bilinear(grey([0, 100], [200, 100]), 4)
    expected = [[0, 50, 100, 100], [100, 100, 100, 100], [200, 150, 100, 100], [200, 150, 100, 100]]
    assert found.tolist() == [[expected] * 3]


def test_tf1_bilinear_shrinks_without_a_filter() -> None:
    """5 to 2: sources 0 and 2.5, so that pixels 1 and 4 are never looked at."""
    found = resize.tf1_bilinear(grey(*[[10, 255, 30, 50, 255]] * 5), 2)
    assert found[0, 0].tolist() == [[10, 40], [10, 40]]


def test_pytorch_bilinear_by_hand() -> None:
    """2 to 4 between half-pixel centres: sources -.25 (clamped to 0), .25, .75, 1.25."""
    found = resize.pytorch_bilinear(grey([0, 255], [0, 255]), 4)
    assert found[0, 0].tolist() == [[0, 0.25, 0.75, 1]] * 4


def test_clean_bicubic_by_hand() -> None:
    """8 to 4 of a step: the filter (a = -1/2) is twice as wide, overshoots on both sides, and is clipped, not rounded.

    Around output 1 (centre 4 of 8 in half-open pixels: at 3) lie pixels at distances +-.25, +-.75, +-1.25, +-1.75 of a
    doubled pixel, with the weights below.
    """

    def cubic(x: float) -> float:
        return 1.5 * x**3 - 2.5 * x**2 + 1 if x < 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2

    weights = [cubic(x) for x in (1.75, 1.25, 0.75, 0.25, 0.25, 0.75, 1.25, 1.75)]
    row = [100, 100, 100, 100, 200, 200, 200, 200]
    # Output 1 is centred between pixels 2 and 3: its taps are pixels -1..6, of which -1 does not exist.
    inside = [(w, row[i]) for i, w in zip(range(-1, 7), weights, strict=True) if i >= 0]
    expected = sum(w * v for w, v in inside) / sum(w for w, _ in inside)
    found = resize.clean_bicubic(grey(*[row] * 8), 4)
    assert found[0, 0, 0, 1].item() == pytest.approx(expected, abs=1e-3)
    assert expected != round(expected)
    step = resize.clean_bicubic(grey(*[[0] * 4 + [255] * 4] * 8), 4)
    assert step.min() == 0
    assert step.max() == 255


def test_rules_are_told_apart_and_normalised_as_their_authors_do() -> None:
    images = random_images(2, 3, 32, 32)
    found = {rule: resize.fid_input(rule)(images) for rule in resize.FID_RULES}
    for rule, x in found.items():
        assert x.shape == (2, 3, 299, 299), rule
        assert x.dtype == torch.float32
    white = torch.full((1, 3, 299, 299), 255, dtype=torch.uint8)
    assert resize.fid_input("tf1-bilinear-299")(white).unique().tolist() == [127 / 128]
    assert resize.fid_input("clean-bicubic-299")(white).unique().tolist() == pytest.approx([127 / 128])
    assert resize.fid_input("pytorch-bilinear-299")(white).unique().tolist() == [1]
    for first, second in (("tf1", "clean"), ("tf1", "pytorch"), ("clean", "pytorch")):
        one, other = (next(x for rule, x in found.items() if rule.startswith(name)) for name in (first, second))
        assert (one - other).abs().mean() > 0.02


def test_pillow_bicubic_is_pillows() -> None:
    images = random_images(1, 3, 20, 30)
    picture = Image.fromarray(images[0].permute(1, 2, 0).numpy()).resize((14, 14), Image.Resampling.BICUBIC)
    assert torch.equal(
        resize.pillow_bicubic(images, 14)[0].permute(1, 2, 0), torch.from_numpy(np.array(picture)).float()
    )


def test_channels() -> None:
    assert resize.to_rgb(grey([7])).flatten().tolist() == [7, 7, 7]
    rgb = random_images(2, 3, 5, 4)
    assert torch.equal(resize.to_rgb(rgb), rgb)
    # Over white: (100 * 51 + 255 * 204) / 255 = 224; with no alpha white, with full alpha itself.
    rgba = torch.tensor([[100, 0, 200, 51], [9, 8, 7, 0], [9, 8, 7, 255]], dtype=torch.uint8)[:, :, None, None]
    assert resize.to_rgb(rgba).flatten(1).tolist() == [[224, 204, 244], [255, 255, 255], [9, 8, 7]]
    assert resize.to_rgb(torch.tensor([[0, 128]], dtype=torch.uint8)[:, :, None, None]).unique().tolist() == [127]
    for wrong in (torch.zeros(1, 3, 4, 4), rgb[0], torch.zeros(1, 5, 4, 4, dtype=torch.uint8)):
        with pytest.raises(ValueError, match="expected uint8 images"):
            resize.to_rgb(wrong)


def test_antialiased() -> None:
    images = random_images(2, 3, 32, 32)
    assert torch.equal(resize.antialiased(images, 32), images.float())
    stripes = grey(*[[0, 255] * 8] * 16)
    assert resize.antialiased(stripes, 4)[0, 0, :, 1:3].sub(127.5).abs().max() < 1  # a filter: stripes become grey
    assert resize.tf1_bilinear(stripes, 4).max() == 0  # none: stripes become black


def test_shrink() -> None:
    images = grey([0, 10, 20, 30], [40, 50, 60, 70])
    assert resize.shrink(images, 2).tolist() == [[[[25, 45]]]]
    assert torch.equal(resize.shrink(images, 9), images.float())
    assert resize.shrunk(100, 50, 16) == (16, 8)
    assert resize.shrunk(400, 3, 16) == (16, 1)
