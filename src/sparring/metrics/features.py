"""What a metric looks through: a named network, fixed to its last weight and pixel rule, and one pass of images."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

BATCH = 256  # images that a network sees at once


@dataclass(frozen=True)
class Features:
    """What an extractor saw in n images: ``features`` ``(n, d)`` and, where it has classes, ``logits`` ``(n, k)``."""

    features: Tensor
    logits: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class FitData:
    """Real data that an extractor is fitted on.

    Attributes:
        images: uint8 ``(n, c, h, w)``, one channel or three.
        labels: int64 ``(n,)`` in 0..k-1, or None where the data has none.
        fingerprint: of exactly these images and labels, in this order: names what was fitted in every protocol.
    """

    images: Tensor
    labels: Tensor | None
    fingerprint: str


class Extractor(ABC):
    """Turns uint8 images into feature vectors. Two numbers may be compared only if all five attributes are equal.

    Attributes:
        name: of the network, such as ``inception-2015-12-05``.
        digest: full hex SHA-256 of its weights' file, or of what was fitted.
        preprocessing: the named pixel rule, such as ``tf1-bilinear-299``.
        layer: where the features are tapped, such as ``pool3-2048``.
        dim: width d of the features.
    """

    name: str
    digest: str
    preprocessing: str
    layer: str
    dim: int

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Float32 ``(n, dim)`` of uint8 images ``(n, c, h, w)``."""

    def logits(self, images: Tensor) -> Tensor | None:
        """Float32 class logits ``(n, k)``, or None where the network has no classes."""
        return None

    def both(self, images: Tensor) -> Features:
        """Features and logits; networks that have both override this to run once."""
        return Features(self.features(images), self.logits(images))


def extract(batches: Iterable[Tensor], extractor: Extractor, progress: Callable[[int], None] | None = None) -> Features:
    """One pass over batches of uint8 images ``(n, c, h, w)``; what comes back lies on the CPU.

    Args:
        progress: told the number of images done after each batch.

    Raises:
        ValueError: there was no image at all.
    """
    seen: list[Features] = []
    done = 0
    for batch in batches:
        both = extractor.both(batch)
        seen.append(Features(both.features.cpu(), None if both.logits is None else both.logits.cpu()))
        done += len(batch)
        if progress:
            progress(done)
    return join(seen)


def join(parts: list[Features]) -> Features:
    """Parts in order, as one."""
    if not parts:
        raise ValueError("no images to extract features from")
    logits = [part.logits for part in parts if part.logits is not None]
    return Features(torch.cat([part.features for part in parts]), torch.cat(logits) if logits else None)
