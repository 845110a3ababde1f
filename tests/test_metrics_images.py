"""Fidelity, alikeness and patches of pictures, against answers worked by hand or in closed form."""

import math

import pytest
import torch
from torch import Tensor

from sparring.core.errors import SparringError
from sparring.metrics.fidelity import SIGMA, WINDOW, fidelity, gaussian, luma, psnr, ssim
from sparring.metrics.ms_ssim import WEIGHTS, alikeness, draw_pairs, ms_ssim, protocol
from sparring.metrics.sliced_wasserstein import (
    PATCH,
    gaussian_pyramid_down,
    gaussian_pyramid_up,
    laplacian_levels,
    pyramid_distance,
    sliced_wasserstein,
    standardise,
)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def plain(value: int, *shape: int) -> Tensor:
    return torch.full(shape, value, dtype=torch.uint8)


# ---------------------------------------------------------------------- PSNR


def test_psnr_of_a_step_of_one_in_eight_bits():
    images = noise(3, 3, 16, 16).clamp(max=254)
    assert psnr(images, images + 1).tolist() == pytest.approx([20 * math.log10(255)] * 3)  # 48.13 dB
    assert psnr(images, images + 1, crop=4).tolist() == pytest.approx([20 * math.log10(255)] * 3)


def test_psnr_does_not_depend_on_the_scale_of_values():
    images, targets = noise(2, 3, 12, 12), noise(2, 3, 12, 12, seed=1)
    expected = psnr(images, targets)
    as_float = psnr(images.float() / 255, targets.float() / 255, data_range=1.0)
    as_16_bits = psnr((images.int() * 257).to(torch.uint16), (targets.int() * 257).to(torch.uint16))
    assert as_float.tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    assert as_16_bits.tolist() == pytest.approx(expected.tolist())


def test_the_mean_is_of_decibels_not_of_errors():
    images = plain(100, 2, 1, 11, 11)
    targets = torch.stack([plain(101, 1, 11, 11), plain(110, 1, 11, 11)])
    found = fidelity(images, targets)
    assert found.psnr == pytest.approx(20 * math.log10(255) - 10)  # 48.13 and 28.13; of the mean error it were 31.1
    assert (found.count, found.identical) == (2, 0)


def test_equal_pictures_are_said_to_be_equal():
    images = noise(2, 3, 16, 16)
    targets = torch.stack([images[0], images[1].flip(2)])
    found = fidelity(images, targets)
    assert found.psnr == math.inf
    assert found.identical == 1
    assert "all channels, range 255, crop 0" in found.protocol


def test_the_crop_leaves_out_the_edge():
    images, targets = plain(50, 1, 1, 15, 13), plain(50, 1, 1, 15, 13)
    targets[..., 0], targets[..., -1, :] = 255, 0
    assert psnr(images, targets, crop=1).item() == math.inf
    assert math.isfinite(psnr(images, targets).item())


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((255, 255, 255), 235.0),
        ((0, 0, 0), 16.0),
        ((255, 0, 0), 16 + 65.481),
        ((0, 255, 0), 16 + 128.553),
        ((0, 0, 255), 16 + 24.966),
        ((128, 128, 128), 16 + 219 * 128 / 255),
    ],
)
def test_luma_of_pure_colours(colour, expected):
    pixel = torch.tensor(colour, dtype=torch.float64)[None, :, None, None]
    assert luma(pixel, 255).item() == pytest.approx(expected)
    assert luma(pixel / 255, 1.0).item() == pytest.approx(expected / 255)


def test_psnr_on_luma_weighs_the_channels():
    images = plain(100, 1, 3, 12, 12)
    targets = images.clone()
    targets[:, 1] += 10
    step = 10 * 128.553 / 255
    assert psnr(images, targets, channels="y").item() == pytest.approx(20 * math.log10(255 / step))
    assert psnr(images, targets).item() == pytest.approx(10 * math.log10(255**2 / (100 / 3)))


@pytest.mark.parametrize(
    ("images", "targets", "more", "message"),
    [
        (noise(1, 3, 12, 12), noise(1, 3, 12, 13), {}, "one shape"),
        (noise(1, 3, 12, 12), noise(1, 3, 12, 12).float(), {}, "one shape and type"),
        (noise(1, 3, 12, 12).float(), noise(1, 3, 12, 12).float(), {}, "data range"),
        (noise(1, 1, 12, 12), noise(1, 1, 12, 12), {"channels": "y"}, "red, green and blue"),
        (noise(1, 1, 12, 12), noise(1, 1, 12, 12), {"crop": 6}, "leaves nothing"),
        (noise(0, 1, 12, 12), noise(0, 1, 12, 12), {}, "at least one"),
    ],
)
def test_pairs_that_cannot_be_compared_are_refused(images, targets, more, message):
    with pytest.raises(SparringError, match=message):
        psnr(images, targets, **more)


# ---------------------------------------------------------------------- SSIM


def test_the_window_is_a_gaussian_of_eleven_taps():
    taps = gaussian(WINDOW, SIGMA)
    assert taps.sum().item() == pytest.approx(1)
    assert (taps[6] / taps[5]).item() == pytest.approx(math.exp(-1 / (2 * 1.5**2)))
    even = gaussian(4, 1.0)
    assert torch.equal(even, even.flip(0))


def test_ssim_of_equal_pictures_is_one():
    images = noise(2, 3, 20, 17)
    assert ssim(images, images).tolist() == pytest.approx([1, 1])


def test_ssim_of_plain_pictures():
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 120 + c1) / (100**2 + 120**2 + c1)  # no variance: luminance alone
    assert ssim(plain(100, 1, 3, 16, 16), plain(120, 1, 3, 16, 16)).item() == pytest.approx(expected)


def test_ssim_at_one_place_by_the_formula():
    x, y = noise(1, 1, 11, 11).double(), noise(1, 1, 11, 11, seed=1).double()
    taps = gaussian(11, 1.5)
    window = taps[:, None] * taps
    mean_x, mean_y = (window * x[0, 0]).sum(), (window * y[0, 0]).sum()
    dx, dy = x[0, 0] - mean_x, y[0, 0] - mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * (window * dx * dy).sum() + c2)
    bottom = (mean_x**2 + mean_y**2 + c1) * ((window * dx * dx).sum() + (window * dy * dy).sum() + c2)
    assert ssim(x, y, data_range=255).item() == pytest.approx((top / bottom).item())


def test_ssim_is_symmetric_and_falls_with_noise():
    images = noise(1, 3, 32, 32).float()
    shaken = [images + level * torch.randn(images.shape, generator=torch.manual_seed(0)) for level in (5, 20, 80)]
    values = [ssim(images, other, data_range=255).item() for other in shaken]
    assert values == sorted(values, reverse=True)
    assert ssim(shaken[1], images, data_range=255).item() == pytest.approx(values[1])


def test_ssim_of_pictures_smaller_than_its_window_is_refused():
    with pytest.raises(SparringError, match="window of 11"):
        ssim(noise(1, 1, 12, 12), noise(1, 1, 12, 12), crop=1)


# ---------------------------------------------------------------------- MS-SSIM


@pytest.mark.parametrize("side", [16, 28, 64, 176])
def test_ms_ssim_of_equal_pictures_is_one(side):
    images = noise(2, 3, side, side)
    assert ms_ssim(images, images).tolist() == pytest.approx([1, 1])


def test_ms_ssim_of_plain_pictures():
    c1 = (0.01 * 255) ** 2
    luminance = (2 * 100 * 140 + c1) / (100**2 + 140**2 + c1)
    found = ms_ssim(plain(100, 1, 1, 32, 32), plain(140, 1, 1, 32, 32)).item()
    assert found == pytest.approx(luminance ** WEIGHTS[-1])  # luminance counts at the coarsest scale alone


def test_ms_ssim_of_opposites_is_zero_not_nan():
    images = noise(1, 1, 64, 64)
    assert ms_ssim(images, 255 - images).item() == 0


def test_ms_ssim_says_which_windows_it_used():
    assert protocol(176, 256) == "MS-SSIM, 5 scales, window 11, 256x176"
    assert protocol(64, 64) == "MS-SSIM, 5 scales, windows shrunk to 11-11-11-8-4, 64x64"
    with pytest.raises(SparringError, match="16 pixels"):
        ms_ssim(noise(1, 1, 15, 64), noise(1, 1, 15, 64))


def test_pairs_are_different_pictures_of_one_class():
    labels = torch.tensor([0, 1, 0, 2, 1, 0, 1])
    first, second = draw_pairs(labels, 500, seed=3)
    assert torch.equal(labels[first], labels[second])
    assert not (first == second).any()
    assert set(first.tolist()) == {0, 1, 2, 4, 5, 6}  # picture 3 is alone in its class
    assert {(a, b) for a, b in zip(first.tolist(), second.tolist(), strict=True) if a == 0} == {(0, 2), (0, 5)}
    again = draw_pairs(labels, 500, seed=3)
    assert torch.equal(first, again[0])
    assert torch.equal(second, again[1])
    with pytest.raises(SparringError, match="two pictures"):
        draw_pairs(torch.arange(5), 10, seed=0)


def test_a_collapsed_class_is_all_alike():
    labels = torch.arange(20) % 2
    varied = noise(20, 1, 16, 16)
    collapsed = varied[labels]  # one picture a class
    assert alikeness(collapsed, labels).mean == pytest.approx(1)
    found = alikeness(varied, labels, pairs=50)
    assert found.mean < 0.5
    assert 0 < found.error < 0.1
    assert found.protocol.endswith("50 pairs, same class, seed 0")


# ---------------------------------------------------------------------- sliced Wasserstein


def test_sliced_wasserstein_of_a_shift():
    points = torch.randn(200, 6, generator=torch.manual_seed(0), dtype=torch.float64)
    shift = torch.tensor([1.0, -2.0, 0.5, 0.0, 1.0, 0.3], dtype=torch.float64)
    expected = shift.norm().item() * math.gamma(3) / (math.sqrt(math.pi) * math.gamma(3.5))
    # sd of |u.m| over directions is about 0.27 |m|: 0.3 % of |m| with 8192 of them
    assert sliced_wasserstein(points, points + shift, directions=8192) == pytest.approx(expected, rel=0.03)


def test_sliced_wasserstein_on_a_line_is_the_distance_of_sorted_values():
    a, b = torch.tensor([[3.0], [0.0], [1.0]]), torch.tensor([[1.0], [5.0], [2.0]])
    assert sliced_wasserstein(a, b, directions=7) == pytest.approx((1 + 1 + 2) / 3)


def test_sliced_wasserstein_of_equal_sets_is_zero_and_it_is_symmetric():
    images, others = noise(12, 3, 32, 32), noise(12, 3, 32, 32, seed=1)
    assert pyramid_distance(images, images, patches=8, directions=16).mean == 0
    there, back = (pyramid_distance(*pair, patches=8, directions=16) for pair in ((images, others), (others, images)))
    assert there.levels == pytest.approx(back.levels)
    assert list(there.levels) == [32, 16]
    assert there.mean == pytest.approx(sum(there.levels.values()) / 2)


def test_sliced_wasserstein_sees_blur_at_the_finest_level():
    generator = torch.manual_seed(0)
    reals, same, other = (torch.rand(64, 1, 32, 32, generator=generator) for _ in range(3))
    blurred = gaussian_pyramid_down(gaussian_pyramid_up(gaussian_pyramid_down(other), 32, 32))
    blurred = gaussian_pyramid_up(blurred, 32, 32)
    null = pyramid_distance(same, reals, patches=32, directions=64)
    found = pyramid_distance(blurred, reals, patches=32, directions=64)
    assert found.levels[32] > 3 * null.levels[32]


def test_the_pyramid_comes_back_together():
    images = noise(2, 3, 33, 47).float()
    levels = laplacian_levels(images, 3)
    assert [tuple(level.shape[2:]) for level in levels] == [(33, 47), (17, 24), (9, 12)]
    whole = levels[2]
    for level in levels[1::-1]:
        whole = gaussian_pyramid_up(whole, *level.shape[2:]) + level
    torch.testing.assert_close(whole, images)
    flat = torch.full((1, 1, 16, 16), 7.0)
    torch.testing.assert_close(gaussian_pyramid_up(gaussian_pyramid_down(flat), 16, 16), flat)


def test_patches_are_standardised_by_channel():
    patches = torch.rand(50, 2, PATCH, PATCH, generator=torch.manual_seed(0), dtype=torch.float64)
    patches[:, 1] = 5
    done = standardise(100 + 30 * patches)
    assert done[:, 0].mean().item() == pytest.approx(0, abs=1e-9)
    assert done[:, 0].std(correction=0).item() == pytest.approx(1)
    assert not done[:, 1].any()


def test_sets_of_unequal_size_are_refused():
    with pytest.raises(SparringError, match="as many pictures"):
        pyramid_distance(noise(3, 1, 16, 16), noise(4, 1, 16, 16))
    with pytest.raises(SparringError, match="16 pixels"):
        pyramid_distance(noise(3, 1, 8, 8), noise(3, 1, 8, 8))
