"""How close pictures are to the pictures they should be: PSNR and SSIM, for restoration, upscaling, translation.

    PSNR = 10 log10(L^2 / MSE)                                          in dB, infinite for equal pictures
    SSIM = mean of (2 mx my + C1)(2 sxy + C2) / ((mx^2 + my^2 + C1)(sx^2 + sy^2 + C2)),  C1 = (.01 L)^2, C2 = (.03 L)^2

with L the data range (Wang, Bovik, Sheikh, Simoncelli 2004): means m, variances s under a Gaussian window of 11x11 with
sigma 1.5, only where it lies inside the picture, population variances. Other windows and sample variances, the default
elsewhere, give other numbers. Each is computed per picture and then averaged over pictures, channels apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from sparring.core.errors import SparringError

Channels = Literal["rgb", "y"]

WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
RANGES = {torch.uint8: 255.0, torch.uint16: 65535.0}
LUMA, BLACK = (65.481, 128.553, 24.966), 16.0  # ITU-R BT.601, studio swing, in steps of 1/255 of the range
CHUNK = 32  # pictures at a time, in float64


@dataclass(frozen=True)
class Fidelity:
    """Means over pairs of pictures.

    Attributes:
        psnr: in dB; infinite as soon as one pair is equal.
        ssim: at most 1.
        count: pairs.
        identical: pairs that are equal, value for value: why `psnr` is infinite.
        protocol: what was measured, in words.
    """

    psnr: float
    ssim: float
    count: int
    identical: int
    protocol: str


def fidelity(
    images: Tensor, targets: Tensor, data_range: float | None = None, channels: Channels = "rgb", crop: int = 0
) -> Fidelity:
    """PSNR and SSIM of ``images`` against ``targets``, ``(n, c, h, w)`` both; for the arguments see `prepare`."""
    data_range = range_of(images, data_range)
    each = psnr(images, targets, data_range, channels, crop)
    shown = "BT.601 Y" if channels == "y" else "all channels"
    return Fidelity(
        psnr=each.mean().item(),
        ssim=ssim(images, targets, data_range, channels, crop).mean().item(),
        count=len(each),
        identical=int(each.isinf().sum()),
        protocol=f"PSNR and SSIM, {shown}, range {data_range:g}, crop {crop}, SSIM window {WINDOW} sigma {SIGMA} valid",
    )


def psnr(
    images: Tensor, targets: Tensor, data_range: float | None = None, channels: Channels = "rgb", crop: int = 0
) -> Tensor:
    """Peak signal-to-noise ratio of each pair, float64 ``(n,)`` in dB; infinite where the two are equal."""
    data_range, chunks = prepare(images, targets, data_range, channels, crop)
    errors = torch.cat([(image - target).square().mean((1, 2, 3)) for image, target in chunks])
    return 10 * torch.log10(data_range**2 / errors)


def ssim(
    images: Tensor, targets: Tensor, data_range: float | None = None, channels: Channels = "rgb", crop: int = 0
) -> Tensor:
    """Structural similarity of each pair, float64 ``(n,)``, -1..1. Raises `SparringError` below 11 pixels a side."""
    data_range, chunks = prepare(images, targets, data_range, channels, crop)
    height, width = (side - 2 * crop for side in images.shape[2:])
    if min(height, width) < WINDOW:
        raise SparringError(f"SSIM looks through a window of {WINDOW} pixels; pictures of {width}x{height} are smaller")
    return torch.cat([similarity(image, target, data_range)[0].mean(1) for image, target in chunks])


def similarity(
    image: Tensor, target: Tensor, data_range: float, size: int = WINDOW, sigma: float = SIGMA
) -> tuple[Tensor, Tensor]:
    """SSIM and its contrast-structure part alone, ``(n, c)`` each, averaged over the places of the window.

    Args:
        image, target: float ``(n, c, h, w)``, at least ``size`` a side.
        size, sigma: of the Gaussian window, in pixels.
    """
    channels = image.shape[1]
    stack = torch.cat([image, target, image * image, target * target, image * target], 1)
    blurred = blur(stack, gaussian(size, sigma).to(stack))
    mean_x, mean_y, xx, yy, xy = blurred.split(channels, 1)
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    structure = (2 * (xy - mean_x * mean_y) + c2) / (xx - mean_x**2 + yy - mean_y**2 + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return (luminance * structure).mean((2, 3)), structure.mean((2, 3))


def gaussian(size: int, sigma: float) -> Tensor:
    """A Gaussian of ``size`` taps that sum to 1, symmetric also where ``size`` is even, float64."""
    places = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    taps = torch.exp(-places.square() / (2 * sigma**2))
    return taps / taps.sum()


def blur(images: Tensor, taps: Tensor) -> Tensor:
    """Filter along both sides, each channel apart, where the window lies inside: each side loses ``len(taps) - 1``."""
    channels = images.shape[1]
    kernel = taps.expand(channels, 1, -1)
    return conv2d(conv2d(images, kernel[..., None], groups=channels), kernel[..., None, :], groups=channels)


def luma(images: Tensor, data_range: float) -> Tensor:
    """Y of BT.601, not rounded, ``(n, 1, h, w)``: on a range of 255, black is 16 and white 235."""
    weights = torch.tensor(LUMA, dtype=images.dtype, device=images.device)[:, None, None]
    return ((images * weights).sum(1, keepdim=True) + BLACK * data_range) / 255


def range_of(images: Tensor, data_range: float | None) -> float:
    """L: as given, else what 8 or 16 bits hold. Raises `SparringError` for other types without it."""
    if data_range is None and images.dtype not in RANGES:
        raise SparringError(f"say the data range of pictures in {images.dtype}, such as 1.0 for values from 0 to 1")
    return RANGES[images.dtype] if data_range is None else data_range


def prepare(
    images: Tensor, targets: Tensor, data_range: float | None, channels: Channels, crop: int
) -> tuple[float, Iterator[tuple[Tensor, Tensor]]]:
    """The range and the pairs in float64, `CHUNK` at a time.

    Args:
        images, targets: ``(n, c, h, w)`` of one shape and type: uint8, uint16 or float.
        data_range: L, the largest value less the smallest that there may be; None: 255 for uint8, 65535 for uint16.
            Y needs values from 0 to L.
        channels: rgb takes them as they are, y turns three into luma.
        crop: pixels to leave out along each edge; published results for upscaling leave out the scale.

    Raises:
        SparringError: the two differ in shape or type, there are none, Y of pictures without three channels, a crop
            that leaves nothing, or no known range.
    """
    if images.shape != targets.shape or images.dtype != targets.dtype:
        raise SparringError(
            f"pictures of {tuple(images.shape)} {images.dtype} cannot be compared with targets of "
            f"{tuple(targets.shape)} {targets.dtype}; both must be of one shape and type"
        )
    if images.ndim != 4 or not len(images):
        raise SparringError(f"pictures come as (count, channels, height, width), at least one; got {images.shape}")
    if channels == "y" and images.shape[1] != 3:
        raise SparringError(f"Y is made from red, green and blue; these pictures have {images.shape[1]} channels")
    height, width = images.shape[2:]
    if crop < 0 or 2 * crop >= min(height, width):
        raise SparringError(f"a crop of {crop} leaves nothing of pictures of {width}x{height}")
    data_range = range_of(images, data_range)

    def convert(part: Tensor) -> Tensor:
        part = part[:, :, crop : height - crop, crop : width - crop].double()
        return luma(part, data_range) if channels == "y" else part

    pairs = zip(images.split(CHUNK), targets.split(CHUNK), strict=True)
    return data_range, ((convert(image), convert(target)) for image, target in pairs)
