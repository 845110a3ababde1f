"""Bicubic as super-resolution has it: known values, and the low-resolution files that published numbers stand on."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.metrics.fidelity import fidelity
from sparring.nn.resample import enlarge, keys, resize, shrink, to_8_bits


def test_the_kernel_is_keys():
    assert keys(torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, -0.5, 3.0])).tolist() == [
        1.0,
        0.5625,
        0.0,
        -0.0625,
        0.0,
        0.5625,
        0.0,
    ]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (24, 40), (3, 5), (7, 33)])
def test_flat_stays_flat_and_a_slope_stays_a_slope(height, width):
    image = torch.full((1, 2, 12, 20), 0.25, dtype=torch.float64)
    torch.testing.assert_close(resize(image, height, width), torch.full((1, 2, height, width), 0.25).double())
    ramp = torch.arange(20.0, dtype=torch.float64).expand(1, 1, 12, 20)
    expected = (torch.arange(40, dtype=torch.float64) + 0.5) / 2 - 0.5
    torch.testing.assert_close(resize(ramp, 12, 40)[0, 0, 0, 4:-4], expected[4:-4])  # exact away from the edges
    expected = (torch.arange(5, dtype=torch.float64) + 0.5) * 4 - 0.5
    torch.testing.assert_close(resize(ramp, 12, 5)[0, 0, 0, 2:-2], expected[2:-2])


def test_twice_as_large_by_hand():
    # Centres fall at -1/4 and 1/4 of the source pixels: weights k(1.25), k(.25), k(.75), k(1.75), edges mirrored.
    near, next_, far, outer = keys(torch.tensor([0.25, 0.75, 1.25, 1.75], dtype=torch.float64)).tolist()
    line = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)[None, None, None]
    made = resize(line, 1, 8)[0, 0, 0]
    expected = [next_ + near, far + near, next_ + outer, far, outer, 0.0, 0.0, 0.0]  # the mirrored 1 stands at -1
    torch.testing.assert_close(made, torch.tensor(expected, dtype=torch.float64))


def test_four_times_smaller_does_not_alias():
    stripes = torch.tensor([1.0, -1.0]).repeat(16).expand(1, 1, 8, 32)
    assert resize(stripes, 8, 8)[..., 1:-1].abs().max() < 0.03


def test_a_file_keeps_256_levels():
    assert to_8_bits(torch.tensor([-1.4, -1.0, 0.001, 0.5, 1.0])).mul(127.5).add(127.5).tolist() == pytest.approx(
        [0, 0, 128, 191, 255]
    )
    with pytest.raises(ValueError, match="crop them to a multiple"):
        shrink(torch.zeros(1, 1, 8, 10), 4)


@pytest.fixture(scope="module")
def benchmark_pictures():
    folder = os.environ.get("SPARRING_TEST_DATA")
    if not folder:
        pytest.skip("SPARRING_TEST_DATA names no folder with super_resolution/set5_set14.zip")
    with zipfile.ZipFile(Path(folder) / "super_resolution" / "set5_set14.zip") as archive:

        def read(name: str) -> torch.Tensor:
            picture = np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))
            return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None]

        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        yield {
            (part, kind): [read(name) for name in names if name.startswith(f"{part}/{kind}/")]
            for part, kind in (("Set5", "HR"), ("Set5", "LRx4"), ("Set14", "HR"), ("Set14", "LRx4"))
        }


@pytest.mark.parametrize(("part", "low", "high"), [("Set5", 28.42 - 0.05, 28.42 + 0.05), ("Set14", 26.0, 26.15)])
def test_bicubic_has_its_published_distance(benchmark_pictures, part, low, high):
    values = []
    for whole, small in zip(benchmark_pictures[part, "HR"], benchmark_pictures[part, "LRx4"], strict=True):
        made = (enlarge(small.float() / 127.5 - 1, 4).clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
        values.append(fidelity(made, whole, channels="y", crop=4).psnr)
    assert low <= np.mean(values) <= high


@pytest.mark.parametrize("part", ["Set5", "Set14"])
def test_our_small_pictures_are_the_published_ones(benchmark_pictures, part):
    """Away from the edges, where MATLAB's versions differ. MATLAB rounds between the two passes: then to the value."""
    for whole, small in zip(benchmark_pictures[part, "HR"], benchmark_pictures[part, "LRx4"], strict=True):
        height, width = small.shape[2:]
        inside = (..., slice(2, height - 2), slice(2, width - 2))
        rows = resize(whole.double(), height, whole.shape[3]).clamp(0, 255).round()
        rounded = resize(rows, height, width).clamp(0, 255).round()
        assert (rounded[inside] == small[inside]).double().mean() > 0.998
        ours = shrink(whole.float() / 127.5 - 1, 4) * 127.5 + 127.5
        off = (ours - small)[inside].abs()
        assert (off < 1.5).double().mean() > 0.985
        assert off.mean() < 0.15
