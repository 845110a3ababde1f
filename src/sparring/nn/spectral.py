"""Spectral normalisation: every weight divided by its largest singular value (Miyato et al. 2018).

The singular vectors are buffers, so that they are saved, resumed and spread over processes as BatchNorm's statistics
are. A forward pass in training improves them by one power iteration; in eval mode they rest.
"""

import contextlib
from collections.abc import Iterator
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

from sparring.core.precision import full_precision

M = TypeVar("M", bound=nn.Module)
WEIGHTS = (nn.Conv2d, nn.Linear)
ALL = (*WEIGHTS, nn.Embedding)


class SpectralNorm(_SpectralNorm):
    """PyTorch's, always in the weight's own precision: autocast would hand its vectors products of another type."""

    def forward(self, weight: Tensor) -> Tensor:
        with full_precision(weight):
            return super().forward(weight)

    def _power_method(self, weight_mat: Tensor, n_power_iterations: int) -> None:
        if not weight_mat.is_meta:  # networks that are only counted have nothing to iterate
            super()._power_method(weight_mat, n_power_iterations)


def spectral(module: M, kinds: tuple[type[nn.Module], ...] = ALL) -> M:
    """Normalise the weight of every layer of these ``kinds`` inside ``module``, and return it.

    A convolution's weight is seen as the matrix ``(out, in * k * k)``, as in the paper. Call it when the weights are
    initialised: the vectors are found from them, with 15 iterations.
    """
    for layer in [layer for layer in module.modules() if isinstance(layer, kinds)]:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        parametrize.register_parametrization(layer, "weight", SpectralNorm(weight))
    return module


def raw_weights(module: nn.Module) -> list[Tensor]:
    """The normalised layers' weights as they are before that, in the order of the layers."""
    lists = [m for m in module.modules() if isinstance(m, parametrize.ParametrizationList)]
    return [m.original for m in lists if isinstance(m[0], SpectralNorm)]


@contextlib.contextmanager
def resting(module: nn.Module, wanted: bool = True) -> Iterator[None]:
    """Inside the block no pass moves the vectors: the same weights give the same function once more."""
    norms = [m for m in module.modules() if isinstance(m, SpectralNorm)] if wanted else []
    iterations = [norm.n_power_iterations for norm in norms]
    for norm in norms:
        norm.n_power_iterations = 0
    try:
        yield
    finally:
        for norm, count in zip(norms, iterations, strict=True):
            norm.n_power_iterations = count
