"""Pixels as a feature space: pictures shrunk by areas, on the principal directions of the real ones.

It sees colour, layout and rough shape, and nothing finer. No weights, any kind of picture, seconds on a CPU.
"""

import torch
from torch import Tensor

from sparring.core.errors import SparringError
from sparring.core.files import sha256
from sparring.metrics.features import Extractor, FitData
from sparring.metrics.resize import shrink

SIDE = 16
DIRECTIONS = 64
MOST_FITTED = 10_000
VERSION = 1  # of the fit: raise it when the same data would give other directions


class PixelExtractor(Extractor):
    """Principal components of pixels in 0..1, fitted on ``fit``, 64 at most; no logits.

    Of more than 10,000 images evenly spaced ones are fitted, which says the same of 64 directions in less time.

    Raises `SparringError` when there are fewer than two images.
    """

    name = "pixels-pca"
    preprocessing = f"area-{SIDE}"

    def __init__(self, fit: FitData, device: torch.device | str = "cpu"):
        if len(fit.images) < 2:
            raise SparringError(f"pixels-pca needs at least two real images to be fitted on, not {len(fit.images)}")
        self.device = torch.device(device)
        count = len(fit.images)
        chosen = torch.arange(min(count, MOST_FITTED)) * count // min(count, MOST_FITTED)
        pixels = flat(fit.images[chosen])
        self.mean = pixels.mean(0)
        directions = torch.linalg.svd(pixels - self.mean, full_matrices=False).Vh[:DIRECTIONS]
        # A direction and its opposite explain the same; the one whose largest entry is positive is the direction.
        largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
        self.directions = directions * largest.sign()
        self.mean, self.directions = self.mean.to(self.device), self.directions.to(self.device)
        self.dim = len(self.directions)
        self.layer = f"pca-{self.dim}"
        self.digest = sha256(f"{self.name} {self.preprocessing} {self.layer} v{VERSION} {fit.fingerprint}".encode())

    def features(self, images: Tensor) -> Tensor:
        return ((flat(images.to(self.device)) - self.mean) @ self.directions.T).float()


def flat(images: Tensor) -> Tensor:
    """Uint8 ``(n, c, h, w)`` to shrunken pixels in 0..1, float64 ``(n, c * h' * w')``."""
    return shrink(images, SIDE).flatten(1).double() / 255
