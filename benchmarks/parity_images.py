"""Compare the metrics on pictures with what other packages say about the same pictures.

    pip install --no-deps --target FOLDER scikit-image lazy-loader pytorch-msssim torchmetrics lightning-utilities
    PYTHONPATH=FOLDER python benchmarks/parity_images.py

Packages that are not there, or do not import here, are passed over, and the page says so. Writes
``docs/results/parity-images.md`` and exits with 1 where a difference is larger than its tolerance.
"""

import argparse
import datetime
import importlib
import importlib.metadata
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.metrics.fidelity import luma, psnr, ssim
from sparring.metrics.ms_ssim import ms_ssim
from sparring.metrics.sliced_wasserstein import laplacian_levels, sliced_wasserstein

LEVELS = (2, 10, 40)  # standard deviations of the noise between the two pictures of a pair, of 255


@dataclass(frozen=True)
class Package:
    """Somebody else's: what ``pip`` and Python call it, and how to ask it the same questions.

    ``compare`` yields what was asked, the two answers and the largest difference that rounding explains.
    """

    project: str
    module: str
    compare: Callable[[ModuleType, Tensor, Tensor], Iterator[tuple[str, NDArray, NDArray, float]]] | None


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    question: str
    package: str
    ours: float
    theirs: float
    difference: float
    tolerance: float


def pairs(side: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Smooth random pictures uint8 ``(3, 3, side, side)``, and each with noise of one of the `LEVELS`."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(len(LEVELS), 3, side // 8, side // 8, generator=generator)
    smooth = 255 * torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic")
    noise = torch.randn(smooth.shape, generator=generator) * torch.tensor(LEVELS)[:, None, None, None]
    return smooth.clamp(0, 255).byte(), (smooth + noise).clamp(0, 255).byte()


def with_skimage(skimage: ModuleType, images: Tensor, targets: Tensor) -> Iterator[tuple[str, NDArray, NDArray, float]]:
    """PSNR, SSIM with the window of the paper, and luma."""
    colour, metrics = (importlib.import_module(f"{skimage.__name__}.{part}") for part in ("color", "metrics"))
    left, right = (part.permute(0, 2, 3, 1).double().numpy() for part in (images, targets))
    theirs = [metrics.peak_signal_noise_ratio(b, a, data_range=255) for a, b in zip(left, right, strict=True)]
    yield "PSNR, RGB (dB)", psnr(images, targets).numpy(), np.array(theirs), 1e-9
    kind = {"data_range": 255, "channel_axis": 2}
    kind |= {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}  # the paper's, not the default
    theirs = [metrics.structural_similarity(a, b, **kind) for a, b in zip(left, right, strict=True)]
    yield "SSIM, RGB", ssim(images, targets).numpy(), np.array(theirs), 1e-9
    brightness = [colour.rgb2ycbcr(part / 255)[..., :1] for part in (left, right)]
    ours = luma(images.double(), 255).permute(0, 2, 3, 1).numpy()
    yield "Y of BT.601, mean", ours.mean((1, 2, 3)), brightness[0].mean((1, 2, 3)), 1e-9
    theirs = [metrics.structural_similarity(a, b, **kind) for a, b in zip(*brightness, strict=True)]
    yield "SSIM, Y", ssim(images, targets, channels="y").numpy(), np.array(theirs), 1e-9


def with_pytorch_msssim(
    package: ModuleType, images: Tensor, targets: Tensor
) -> Iterator[tuple[str, NDArray, NDArray, float]]:
    """Its window is float32 whatever it is given: about 1e-8 of each value."""
    both = images.double(), targets.double()
    theirs = package.ssim(*both, data_range=255, size_average=False)
    yield "SSIM, RGB", ssim(images, targets).numpy(), theirs.numpy(), 1e-6
    theirs = package.ms_ssim(*both, data_range=255, size_average=False)
    yield "MS-SSIM, RGB", ms_ssim(images, targets).numpy(), theirs.numpy(), 1e-6


def with_torchmetrics(
    package: ModuleType, images: Tensor, targets: Tensor
) -> Iterator[tuple[str, NDArray, NDArray, float]]:
    """Its own mean takes in five reflected pixels along each edge, so its map of SSIM is asked and these left out."""
    asked = importlib.import_module(f"{package.__name__}.functional.image")
    both, each = (images.double(), targets.double()), {"data_range": 255.0, "reduction": "none"}
    theirs = asked.peak_signal_noise_ratio(*both, dim=(1, 2, 3), **each)
    yield "PSNR, RGB (dB)", psnr(images, targets).numpy(), theirs.numpy(), 1e-5  # its logarithm is float32
    _, places = asked.structural_similarity_index_measure(*both, **each, return_full_image=True)
    theirs = places[:, :, 5:-5, 5:-5].mean((1, 2, 3))
    yield "SSIM, RGB, its map less the edge", ssim(images, targets).numpy(), theirs.numpy(), 1e-9


def with_scipy(scipy: ModuleType, images: Tensor, targets: Tensor) -> Iterator[tuple[str, NDArray, NDArray, float]]:
    """The pyramid by its filters, and the distance one direction at a time."""
    ndimage, stats = (importlib.import_module(f"{scipy.__name__}.{part}") for part in ("ndimage", "stats"))
    taps = np.array([1, 4, 6, 4, 1]) / 16

    def blur(x: NDArray) -> NDArray:
        return ndimage.convolve1d(ndimage.convolve1d(x, taps, axis=2, mode="mirror"), taps, axis=3, mode="mirror")

    finest = images.double().numpy()
    coarse = blur(finest)[:, :, ::2, ::2]
    spread = np.zeros_like(finest)
    spread[:, :, ::2, ::2] = coarse
    theirs = finest - 4 * blur(spread)
    ours = laplacian_levels(images, 2)[0].double().numpy()
    yield "Laplacian level, every value", ours.ravel(), theirs.ravel(), 1e-4  # ours is float32, of values up to 255

    clouds = [part.flatten(1)[:, :4096].reshape(-1, 16).double() for part in (images, targets)]
    unit = torch.randn(64, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    unit = unit / unit.norm(dim=1, keepdim=True)
    single = [stats.wasserstein_distance(*((cloud @ u).numpy() for cloud in clouds)) for u in unit]
    found = sliced_wasserstein(*clouds, directions=64, seed=0)
    yield "sliced Wasserstein-1, 64 directions", np.array([found]), np.array([np.mean(single)]), 1e-9


PACKAGES = (
    Package("scikit-image", "skimage", with_skimage),
    Package("pytorch-msssim", "pytorch_msssim", with_pytorch_msssim),
    Package("torchmetrics", "torchmetrics", with_torchmetrics),
    Package("scipy", "scipy", with_scipy),
    Package("piq", "piq", None),
    Package("lpips", "lpips", None),
)


def ask(package: Package, images: Tensor, targets: Tensor) -> tuple[list[Row], str]:
    """What it answers, and a sentence on whether it could be asked."""
    try:
        module = importlib.import_module(package.module)
    except ImportError as error:
        return [], f"not asked, it does not import here ({error})"
    name = f"{package.project} {importlib.metadata.version(package.project)}"
    if package.compare is None:
        return [], f"{name} imports here, but no comparison is written for it"
    rows = [
        Row(question, name, float(ours.mean()), float(theirs.mean()), float(np.abs(ours - theirs).max()), tolerance)
        for question, ours, theirs, tolerance in package.compare(module, images, targets)
    ]
    return rows, f"{name}, {len(rows)} questions"


def page(rows: list[Row], asked: dict[str, str], side: int, seed: int) -> str:
    """The page for ``docs/results``."""
    lines = "\n".join(
        f"| {row.question} | {row.package} | {row.ours:.9f} | {row.theirs:.9f} | {row.difference:.1e} | "
        f"{row.tolerance:.0e} | {'yes' if row.difference <= row.tolerance else '**NO**'} |"
        for row in rows
    )
    packages = "\n".join(f"* {project}: {sentence}." for project, sentence in asked.items())
    versions = f"sparring {importlib.metadata.version('sparring')}; Python {platform.python_version()}"
    good = sum(row.difference <= row.tolerance for row in rows)
    return f"""# Metrics on pictures agree with other packages

**{good} of {len(rows)} answers** agree within rounding.

| | |
|---|---|
| date | {datetime.datetime.now(datetime.UTC):%Y-%m-%d} |
| command | `python benchmarks/parity_images.py --side {side} --seed {seed}`, packages in a folder of their own |
| versions | {versions}; torch {torch.__version__} |
| pictures | {len(LEVELS)} smooth random colour pictures of {side}x{side}, 8 bits, each against itself with noise of \
{", ".join(map(str, LEVELS))} of 255 |

| question | asked of | sparring | other | largest difference | tolerance | agrees |
|---|---|---:|---:|---:|---:|---|
{lines}

"sparring" and "other" are means over pictures (of the level: over values); the difference is the largest of any picture
or value. scikit-image is asked with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`: its default, a
uniform window of 7x7 and sample covariances, is another SSIM. torchmetrics averages SSIM, and the last scale of its
MS-SSIM, over a picture extended by reflection, which is another number too: compared is its map less that edge. MS-SSIM
is compared at a size whose every halving is even and at least the window, because packages differ in how they treat
what is odd or small.

{packages}

What no package was asked: MS-SSIM with shrunk windows, path length, classification accuracy, and LPIPS, whose other
implementations need torchvision and the weights of its trunks. They are held by closed forms and by sums worked by hand
in `tests/test_metrics_images.py` and `tests/test_metrics_perceptual.py`. LPIPS end to end with the published trunks has
not been compared.
"""


def main() -> None:
    """Ask all, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--side", type=int, default=192, help="of the pictures, a multiple of 16 from 176")
    parser.add_argument("--seed", type=int, default=0)
    default = Path(__file__).parent.parent / "docs" / "results" / "parity-images.md"
    parser.add_argument("--out", type=Path, default=default, help="where the results are written")
    arguments = parser.parse_args()
    images, targets = pairs(arguments.side, arguments.seed)
    rows: list[Row] = []
    asked = {}
    for package in PACKAGES:
        found, asked[package.project] = ask(package, images, targets)
        rows += found
        print(f"{package.project}: {asked[package.project]}")
    for row in rows:
        print(f"{row.question:40} {row.package:22} {row.ours:.9f} {row.theirs:.9f} {row.difference:.1e}")
    arguments.out.write_text(page(rows, asked, arguments.side, arguments.seed), encoding="utf-8")
    sys.exit(0 if all(row.difference <= row.tolerance for row in rows) else 1)


if __name__ == "__main__":
    main()
