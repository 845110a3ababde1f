"""Running a network on many pictures the same way everywhere: full precision, no gradients, in bounded memory."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from sparring.metrics.features import Extractor, Features, join


class NetworkExtractor(Extractor):
    """A network at rest that gives features and, mostly, logits in one run.

    Args:
        net: pictures ready for it ``(n, 3, h, w)`` to ``(features (n, dim), logits (n, k) or None)``.
        prepare: uint8 images ``(n, c, h, w)`` to what ``net`` takes.
        chunk: how many pictures run at once.
        name, digest, preprocessing, layer, dim: see `Extractor`.
    """

    def __init__(
        self,
        net: nn.Module,
        prepare: Callable[[Tensor], Tensor],
        device: torch.device | str,
        chunk: int,
        *,
        name: str,
        digest: str,
        preprocessing: str,
        layer: str,
        dim: int,
    ):
        self.device = torch.device(device)
        self.net = net.to(self.device)
        self.prepare, self.chunk = prepare, chunk
        self.name, self.digest, self.preprocessing, self.layer, self.dim = name, digest, preprocessing, layer, dim

    def features(self, images: Tensor) -> Tensor:
        return self.both(images).features

    def logits(self, images: Tensor) -> Tensor | None:
        return self.both(images).logits

    def both(self, images: Tensor) -> Features:
        with torch.no_grad(), exact(self.device):
            return join([Features(*self.net(self.prepare(some.to(self.device)))) for some in images.split(self.chunk)])


@contextlib.contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Plain float32 inside, whatever a training around it chose: no autocast, no TF32, no search for fast kernels."""
    matmul = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with (
            torch.autocast(device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(matmul)
