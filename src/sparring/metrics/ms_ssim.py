"""MS-SSIM: structural similarity at five scales, and how alike the pictures of a class are by it.

    MS-SSIM = l_5^a5 prod_k cs_k^ak        (Wang, Simoncelli, Bovik 2003)

with cs the contrast-structure part at each scale, SSIM itself at the coarsest, halved between scales by the mean of
2x2 pixels. A mean below 0 counts as 0. Where a picture is smaller than the window of 11 pixels at some scale, the
window shrinks to it, sigma in proportion, as in the code that the GAN literature took its numbers from (TensorFlow
models; Karras et al. 2018); `protocol` says where. Channels are judged apart and averaged at the end.

Among random pairs of one class it measures variety: lower is more varied, and far above the value of the reals is
collapse (Odena, Olah, Shlens 2017, sec. 4.2). The number depends on the size of the pictures: compare equal sizes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from sparring.core.errors import SparringError
from sparring.metrics.fidelity import SIGMA, WINDOW, prepare, similarity

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # their sum, 1.0001, is the paper's
SMALLEST = 2 ** (len(WEIGHTS) - 1)


@dataclass(frozen=True)
class Alikeness:
    """MS-SSIM among random pairs.

    Attributes:
        mean: 0..1, lower is more varied.
        error: standard error of the mean, over pairs.
        pairs: how many.
        protocol: how it was measured.
    """

    mean: float
    error: float
    pairs: int
    protocol: str


def ms_ssim(images: Tensor, targets: Tensor, data_range: float | None = None) -> Tensor:
    """MS-SSIM of each pair, float64 ``(n,)``, 0..1.

    Args:
        images, targets: ``(n, c, h, w)`` of one shape and type, at least 16 pixels a side.
        data_range: None: 255 for uint8, 65535 for uint16.

    Raises:
        SparringError: as `fidelity.prepare`, or smaller pictures.
    """
    check_size(images)
    data_range, chunks = prepare(images, targets, data_range, "rgb", 0)
    return torch.cat([_of_pair(image, target, data_range) for image, target in chunks])


def protocol(height: int, width: int) -> str:
    """Which MS-SSIM pictures of this size get: its windows, finest scale first."""
    windows = [min(WINDOW, height >> scale, width >> scale) for scale in range(len(WEIGHTS))]
    shown = f"window {WINDOW}" if min(windows) == WINDOW else f"windows shrunk to {'-'.join(map(str, windows))}"
    return f"MS-SSIM, {len(WEIGHTS)} scales, {shown}, {width}x{height}"


def alikeness(
    images: Tensor, labels: Tensor | None = None, pairs: int = 100, seed: int = 0, data_range: float | None = None
) -> Alikeness:
    """Mean MS-SSIM of random pairs of different pictures of one class.

    Args:
        images: ``(n, c, h, w)``.
        labels: int64 ``(n,)``: a pair's second picture is drawn from the class of the first. None: from all.
        pairs: at least 2.
        seed: the same pairs for the same labels.

    Raises:
        SparringError: no class with two pictures, or fewer than two pairs.
    """
    check_size(images)
    first, second = draw_pairs(torch.zeros(len(images)) if labels is None else labels, pairs, seed)
    values = ms_ssim(images[first], images[second], data_range)
    among = "all pictures" if labels is None else "same class"
    return Alikeness(
        mean=values.mean().item(),
        error=(values.std() / pairs**0.5).item(),
        pairs=pairs,
        protocol=f"{protocol(*images.shape[2:])}, {pairs} pairs, {among}, seed {seed}",
    )


def draw_pairs(labels: Tensor, pairs: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices ``(pairs,)`` of first and second pictures: each first equally likely, each other of its class too."""
    if pairs < 2:
        raise SparringError(f"MS-SSIM among pairs needs 2 pairs or more to say how sure it is; got {pairs}")
    order = labels.cpu().argsort(stable=True)
    _, counts = labels.cpu()[order].unique_consecutive(return_counts=True)
    size = counts.repeat_interleave(counts)  # of the class at each place of the order
    start = (counts.cumsum(0) - counts).repeat_interleave(counts)
    usable = (size > 1).nonzero().flatten()
    if not len(usable):
        raise SparringError("MS-SSIM among pairs needs a class with at least two pictures; draw more samples")
    generator = torch.Generator().manual_seed(seed)
    place = usable[torch.randint(len(usable), (pairs,), generator=generator)]
    others = size[place] - 1
    step = 1 + (torch.rand(pairs, generator=generator, dtype=torch.float64) * others).long()
    partner = start[place] + (place - start[place] + step) % size[place]
    return order[place].to(labels.device), order[partner].to(labels.device)


def check_size(images: Tensor) -> None:
    """Raise `SparringError` for pictures that cannot be halved four times."""
    if images.ndim != 4 or min(images.shape[2:]) < SMALLEST:
        raise SparringError(
            f"MS-SSIM halves pictures {len(WEIGHTS) - 1} times and needs {SMALLEST} pixels a side; got "
            f"{tuple(images.shape)}"
        )


def _of_pair(image: Tensor, target: Tensor, data_range: float) -> Tensor:
    product = torch.ones(image.shape[:2], dtype=image.dtype, device=image.device)
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            image, target = avg_pool2d(image, 2), avg_pool2d(target, 2)
        size = min(WINDOW, *image.shape[2:])
        whole, structure = similarity(image, target, data_range, size, SIGMA * size / WINDOW)
        last = scale == len(WEIGHTS) - 1
        product = product * (whole if last else structure).clamp(min=0) ** weight
    return product.mean(1)
