"""Low-pass filters for pictures: every channel by the same kernel, fast also where a penalty differentiates twice.

Up- and downsampling are each other's adjoint, so each is the other's backward pass. Saying so spares PyTorch's own
double backward of a depthwise convolution, which goes through the channels one by one.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

from sparring.core.precision import full_precision
from sparring.core.rewritten import Rewritten

Pair = tuple[int, int]


def outer(taps: Sequence[float]) -> Tensor:
    """The separable kernel ``(k, k)`` with these taps in both directions, of sum 1."""
    line = torch.tensor(taps, dtype=torch.get_default_dtype())
    kernel = torch.outer(line, line)
    return kernel / kernel.sum()


def _down(x: Tensor, kernel: Tensor, stride: Pair, padding: Pair) -> Tensor:
    weight = kernel.to(x.dtype).expand(x.shape[1], 1, *kernel.shape)
    with full_precision(x):
        return conv2d(x, weight, stride=stride, padding=padding, groups=x.shape[1])


def _up(x: Tensor, kernel: Tensor, stride: Pair, padding: Pair, size: Pair) -> Tensor:
    weight = kernel.to(x.dtype).expand(x.shape[1], 1, *kernel.shape)
    extra = [
        wanted - ((side - 1) * step - 2 * pad + k)
        for wanted, side, step, pad, k in zip(size, x.shape[2:], stride, padding, kernel.shape, strict=True)
    ]
    with full_precision(x):
        return conv_transpose2d(
            x, weight, stride=stride, padding=padding, output_padding=(extra[0], extra[1]), groups=x.shape[1]
        )


class _Down(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, kernel: Tensor, stride: Pair, padding: Pair) -> Tensor:
        return _down(x, kernel, stride, padding)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, kernel, ctx.stride, ctx.padding = inputs
        ctx.size = (x.shape[2], x.shape[3])
        ctx.save_for_backward(kernel)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (kernel,) = ctx.saved_tensors
        return _Up.apply(gradients[0], kernel, ctx.stride, ctx.padding, ctx.size), None, None, None


class _Up(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, kernel: Tensor, stride: Pair, padding: Pair, size: Pair) -> Tensor:
        return _up(x, kernel, stride, padding, size)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, kernel, ctx.stride, ctx.padding, _ = inputs
        ctx.save_for_backward(kernel)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (kernel,) = ctx.saved_tensors
        return _Down.apply(gradients[0], kernel, ctx.stride, ctx.padding), None, None, None, None


def _learns(x: Tensor) -> bool:
    return torch.is_grad_enabled() and x.requires_grad


def filter_down(
    x: Tensor, kernel: Tensor, down: Pair = (1, 1), padding: Pair = (0, 0), reference: bool = False
) -> Tensor:
    """Filter, then keep every ``down``-th value.

    Args:
        x: ``(n, c, h, w)``.
        kernel: ``(kh, kw)``, not learnt, applied without flipping.
        down: steps in height and width.
        padding: zeros around the picture, in height and width.
        reference: filter everywhere first, as it is written.

    Returns:
        ``(n, c, (h + 2 padding - kh) // down + 1, ...)``.
    """
    if reference:
        return _down(x, kernel, (1, 1), padding)[:, :, :: down[0], :: down[1]]
    y: Tensor = (_Down.apply if _learns(x) else _down)(x, kernel, down, padding)
    return y


def filter_up(x: Tensor, kernel: Tensor, up: Pair = (2, 2), padding: Pair = (0, 0), reference: bool = False) -> Tensor:
    """Put ``up - 1`` zeros between neighbours, then filter: the adjoint of `filter_down`.

    Give the kernel a sum of the product of ``up`` and brightness is kept. ``padding`` is cut from each border. With
    ``reference`` the zeros are there to be seen.

    Returns:
        ``(n, c, (h - 1) up + kh - 2 padding, ...)``.
    """
    if reference:
        n, channels, rows, columns = x.shape
        spread = pad(x[:, :, :, None, :, None], (0, up[1] - 1, 0, 0, 0, up[0] - 1))
        spread = spread.reshape(n, channels, rows * up[0], columns * up[1])
        # Of those zeros the last ones stand in for padding, or are too many.
        before = [k - 1 - edge for k, edge in zip(kernel.shape, padding, strict=True)]
        after = [around - step + 1 for around, step in zip(before, up, strict=True)]
        return _down(pad(spread, (before[1], after[1], before[0], after[0])), kernel.flip(0, 1), (1, 1), (0, 0))
    sides = zip(x.shape[2:], up, kernel.shape, padding, strict=True)
    height, width = ((side - 1) * step + k - 2 * pad for side, step, k, pad in sides)
    y: Tensor = (_Up.apply if _learns(x) else _up)(x, kernel, up, padding, (height, width))
    return y


class Blur(Rewritten, nn.Module):
    """[1, 3, 3, 1] in both directions around a convolution of stride 2 (Karras et al. 2020, appendix B)."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel: Tensor
        self.register_buffer("kernel", outer([1, 3, 3, 1]), persistent=False)

    def forward(self, x: Tensor, padding: int) -> Tensor:
        """Filter in place: ``(n, c, h, w)`` to ``(n, c, h + 2 padding - 3, ...)``."""
        return filter_down(x, self.kernel, padding=(padding, padding), reference=self.reference)

    def down(self, x: Tensor) -> Tensor:
        """Halve both sides, rounded down."""
        return filter_down(x, self.kernel, (2, 2), (1, 1), self.reference)

    def up(self, x: Tensor) -> Tensor:
        """Double both sides."""
        return filter_up(x, 4 * self.kernel, (2, 2), (1, 1), self.reference)
