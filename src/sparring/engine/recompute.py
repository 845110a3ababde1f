"""``--train.checkpointing``: networks keep what enters their blocks, and compute the rest again in the backward pass.

Memory for time: about a third more work, for activations of a few blocks instead of all. Gradients are those of the
pass itself; BatchNorm's statistics and spectral norm's vectors move once. Passes that are differentiated twice
(core/second_order.py) keep everything, for their kernels depend on what is asked of them meanwhile.

Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016 (arXiv 1604.06174).
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from sparring.core.errors import SparringError
from sparring.core.second_order import current_pass
from sparring.engine.calls import call_through
from sparring.nn.spectral import SpectralNorm, resting
from sparring.nn.together import InParts

FEW = 4  # layers in a sequence from which it is cut

Vectors = list[tuple[SpectralNorm, Tensor, Tensor]]


def recompute_blocks(network: nn.Module) -> int:
    """Let every block of ``network`` be recomputed; returns how many sequences and blocks there are.

    A sequence of n layers is cut into about sqrt(n) pieces, in a list each module that has parts is a block.
    """
    if isinstance(network, nn.Sequential) and len(network) >= FEW:
        call_through(network, partial(_in_pieces, network))
        return 1
    if isinstance(network, nn.ModuleList):
        blocks = [block for block in network if any(True for _ in block.children())]
        for block in blocks:
            call_through(block, partial(_again, block, block._call_impl))
        return len(blocks)
    return sum(map(recompute_blocks, network.children()))


def refuse_without_blocks(count: int, family: str) -> None:
    """Raises `SparringError` where nothing would be recomputed."""
    if not count:
        raise SparringError(f"train.checkpointing finds no blocks in the networks of '{family}'; leave it out")


def _in_pieces(sequence: nn.Sequential, x: Any) -> Any:
    layers = list(sequence)
    size = math.ceil(len(layers) / math.isqrt(len(layers)))
    for start in range(0, len(layers), size):
        piece = layers[start : start + size]
        x = _again(sequence, partial(_through, piece), x)
    return x


def _through(layers: list[nn.Module], x: Any) -> Any:
    for layer in layers:
        x = layer(x)
    return x


def _again(block: nn.Module, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not (block.training and torch.is_grad_enabled()) or current_pass() is not None:
        return call(*args, **kwargs)
    return checkpoint(call, *args, use_reentrant=False, context_fn=partial(_contexts, block), **kwargs)


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Of the pass and of the one that repeats it, asked for before the first."""
    mixers: list[tuple[InParts, int]] = [
        (module, module.parts) for module in block.modules() if isinstance(module, InParts)
    ]
    vectors: Vectors = []
    return _noted(block, vectors), _repeated(block, mixers, vectors)


@contextlib.contextmanager
def _noted(block: nn.Module, vectors: Vectors) -> Iterator[None]:
    """Note by which vectors spectral norms divide in this pass: later ones move them on."""
    yield
    vectors += [(m, m._u.clone(), m._v.clone()) for m in block.modules() if isinstance(m, SpectralNorm)]


@contextlib.contextmanager
def _repeated(block: nn.Module, mixers: list[tuple[InParts, int]], vectors: Vectors) -> Iterator[None]:
    """Batches have as many parts as before, weights are divided by the same, and nothing that a pass moves moves."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    now = [mixer.parts for mixer, _ in mixers]
    later = [(norm, norm._u, norm._v) for norm, _, _ in vectors]
    for norm in norms:
        norm.momentum = 0.0
        norm.num_batches_tracked = None
    for mixer, parts in mixers:
        mixer.parts = parts
    _divide_by(vectors)
    try:
        with resting(block):
            yield
    finally:
        for norm, (momentum, count) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
        for (mixer, _), parts in zip(mixers, now, strict=True):
            mixer.parts = parts
        _divide_by(later)


def _divide_by(vectors: Vectors) -> None:
    """Other tensors, not other numbers in the same: graphs may have kept those."""
    for module, u, v in vectors:
        module._u, module._v = u, v
