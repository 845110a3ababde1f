"""Convolutions: doubled pictures by one transposed convolution, pictures out of features by one product of matrices,
and gradients that are fast to differentiate again.

PyTorch's own double backward goes through the groups of a convolution one by one. Said as three convolutions, which it
is (each of value, input gradient and weight gradient is linear in two of the three), it takes all groups at once.
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, fold, interpolate, pad

from sparring.core.rewritten import Rewritten
from sparring.core.second_order import Pass, current_pass

Pair = tuple[int, int]
Gradients = tuple[Tensor | None, Tensor | None]
ONCE: Pair = (1, 1)


class Geometry(NamedTuple):
    """How a kernel is laid over its input, as `torch.convolution` takes it."""

    stride: Pair
    padding: Pair
    transposed: bool
    groups: int

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """The convolution."""
        stride, padding, transposed, groups = self
        return torch.convolution(x, weight, bias, stride, padding, ONCE, transposed, (0, 0), groups)

    def gradients(self, gradient: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool]) -> Gradients:
        """Of input and weight, those that are wanted."""
        stride, padding, transposed, groups = self
        mask = [*wanted, False]
        found = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, stride, padding, ONCE, transposed, (0, 0), groups, mask
        )
        return found[0] if wanted[0] else None, found[1] if wanted[1] else None


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, playing: Pass | None) -> Tensor:
        return geometry.apply(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, ctx.geometry, ctx.playing = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        (gradient,), (x, weight) = gradients, ctx.saved_tensors
        weights = not (ctx.playing is not None and ctx.playing.slopes_only)
        wanted = (ctx.needs_input_grad[0], ctx.needs_input_grad[1] and weights)
        of_x, of_weight = _Gradients.apply(gradient, x, weight, ctx.geometry, wanted, ctx.playing)
        of_bias = gradient.sum((0, 2, 3)) if ctx.needs_input_grad[2] and weights else None
        return of_x, of_weight, of_bias, None, None


class _Gradients(torch.autograd.Function):
    @staticmethod
    def forward(
        gradient: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, wanted: tuple[bool, bool], playing: Pass | None
    ) -> Gradients:
        return geometry.gradients(gradient, x, weight, wanted)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Gradients) -> None:
        gradient, x, weight, ctx.geometry, _, ctx.playing = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(gradient, x, weight)

    @staticmethod
    def backward(ctx: Any, *along: Tensor | None) -> tuple[Tensor | None, ...]:
        (gradient, x, weight), (along_x, along_weight), geometry = ctx.saved_tensors, along, ctx.geometry
        needs = ctx.needs_input_grad
        of_gradient = of_x = of_weight = None
        if along_x is not None:
            if needs[0]:
                of_gradient = _Convolve.apply(along_x, weight, None, geometry, ctx.playing)
            if needs[2]:
                of_weight = _Gradients.apply(gradient, along_x, weight, geometry, (False, True), ctx.playing)[1]
        if along_weight is not None:
            if needs[0]:
                more = _Convolve.apply(x, along_weight, None, geometry, ctx.playing)
                of_gradient = more if of_gradient is None else of_gradient + more
            if needs[1]:
                of_x = _Gradients.apply(gradient, x, along_weight, geometry, (True, False), ctx.playing)[0]
        return of_gradient, of_x, of_weight, None, None, None


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = ONCE,
    padding: Pair = (0, 0),
    groups: int = 1,
    reference: bool = False,
) -> Tensor:
    """``torch.nn.functional.conv2d``; fast to differentiate twice where it is going to be (core/second_order.py)."""
    playing = None if reference else current_pass()
    if playing is None:
        return conv2d(x, weight, bias, stride, padding, groups=groups)
    y: Tensor = _Convolve.apply(x, weight, bias, Geometry(stride, padding, False, groups), playing)
    return y


def convolve_transposed(
    x: Tensor, weight: Tensor, stride: Pair = ONCE, padding: Pair = (0, 0), reference: bool = False
) -> Tensor:
    """``torch.nn.functional.conv_transpose2d``, likewise; ``weight`` is ``(in, out, kh, kw)``."""
    playing = None if reference else current_pass()
    if playing is None:
        return conv_transpose2d(x, weight, None, stride, padding)
    y: Tensor = _Convolve.apply(x, weight, None, Geometry(stride, padding, True, 1), playing)
    return y


def twice(x: Tensor) -> Tensor:
    """Each pixel becomes 2x2."""
    return interpolate(x, scale_factor=2, mode="nearest")


def convolve_twice(x: Tensor, weight: Tensor, bias: Tensor | None = None, reference: bool = False) -> Tensor:
    """A 3x3 convolution, padded by 1, of the picture with `twice` the sides.

    Two of three taps see the same pixel. Added up, they are a 4x4 kernel of a transposed convolution of stride 2, which
    multiplies 4 times for each value in place of 9.

    Args:
        x: ``(n, inputs, h, w)``.
        weight: ``(outputs, inputs, 3, 3)``.

    Returns:
        ``(n, outputs, 2h, 2w)``.
    """
    if reference:
        return conv2d(twice(x), weight, bias, padding=1)
    # Row t of the 4x4 kernel scatters to the place t - 1 of the doubled grid; (w2, w1 + w2, w0 + w1, w0).
    kernel = weight.flip(2, 3).transpose(0, 1)
    kernel = pad(kernel, (0, 0, 0, 1)) + pad(kernel, (0, 0, 1, 0))
    kernel = pad(kernel, (0, 1)) + pad(kernel, (1, 0))
    return conv_transpose2d(x, kernel, bias, 2, 1)


def convolve_to_few(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 3x3 convolution, padded by 1, to a few channels.

    A processor computes 16 outputs at once, of which 3 leave 13 idle. With a tap's share as an output of its own there
    are 27, by one product of matrices; then each share is added where its tap looks from.

    Args:
        x: ``(n, inputs, h, w)``.
        weight: ``(outputs, inputs, 3, 3)``.
    """
    n, _, height, width = x.shape
    taps = weight.flip(2, 3).permute(0, 2, 3, 1).flatten(0, 2)
    shares = torch.bmm(taps.expand(n, -1, -1), x.flatten(2))  # (n, outputs * 9, h * w)
    y = fold(shares.to(weight.dtype), (height, width), 3, padding=1)
    return y if bias is None else y + bias[:, None, None]


class Conv2d(Rewritten, nn.Conv2d):
    """``nn.Conv2d`` with zero padding and no dilation, its parameters and their names, by `convolve`.

    On a CPU by `convolve_to_few` where that is for it.
    """

    @property
    def to_few(self) -> bool:
        """Whether it is 3x3, padded by 1, from many channels to four at most."""
        form = (self.kernel_size, self.stride, self.padding, self.groups)
        return form == ((3, 3), ONCE, ONCE, 1) and self.out_channels <= 4 and self.in_channels >= 32

    def forward(self, x: Tensor) -> Tensor:
        if self.to_few and not self.reference and x.device.type == "cpu":
            return convolve_to_few(x, self.weight, self.bias)
        stride, padding = cast(Pair, self.stride), cast(Pair, self.padding)
        return convolve(x, self.weight, self.bias, stride, padding, self.groups, self.reference)


class UpConv2d(Rewritten, nn.Conv2d):
    """``nn.Upsample(scale_factor=2)``, then ``nn.Conv2d`` of 3x3 with padding 1, by `convolve_twice`.

    Its parameters are the convolution's. Arguments: channels in and out, and whether there is a bias.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True):
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return convolve_twice(x, self.weight, self.bias, self.reference)
