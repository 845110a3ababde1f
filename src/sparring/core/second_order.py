"""Passes whose gradients are differentiated once more, as penalties on slopes are.

Layers may then take other kernels (nn/convolution.py); and while the slopes themselves are taken, nobody asks for
gradients of weights, which an `torch.autograd.Function` cannot see by itself.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch
from torch import Tensor


class Pass:
    """One such pass.

    Attributes:
        slopes_only: whether the gradients that are being taken now are of the pass's inputs alone.
    """

    slopes_only = False

    def slopes(self, total: Tensor, inputs: Tensor) -> Tensor:
        """The gradient of the scalar ``total`` with respect to ``inputs``, differentiable."""
        self.slopes_only = True
        try:
            (gradient,) = torch.autograd.grad(total, inputs, create_graph=True)
        finally:
            self.slopes_only = False
        return gradient


_current: ContextVar[Pass | None] = ContextVar("pass", default=None)


@contextlib.contextmanager
def differentiated_twice() -> Iterator[Pass]:
    """What is computed inside the block will be differentiated twice; first by the pass's `slopes`."""
    playing = Pass()
    token = _current.set(playing)
    try:
        yield playing
    finally:
        _current.reset(token)


def current_pass() -> Pass | None:
    """The pass that is being played, or None. Compiled code has none: it could not be differentiated twice anyhow."""
    return None if torch.compiler.is_compiling() else _current.get()
