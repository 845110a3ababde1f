"""Equalised learning rate: weights are N(0, 1) and scaled when used (Karras et al. 2018, sec. 4.1).

Adam moves every weight by about the learning rate; so all weights of a network, wide layer or narrow, move at the same
relative speed.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, linear

from sparring.core.rewritten import Rewritten
from sparring.nn.convolution import convolve, convolve_twice

GAIN = math.sqrt(2)  # of `leaky`


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, times sqrt 2, which keeps the variance about the same."""
    return leaky_relu(x, 0.2) * GAIN


def pixel_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    """``x / sqrt(mean over dimension 1 of x^2 + eps)`` (Karras et al. 2018, sec. 4.2): of pixels or of latents."""
    return x * (x.square().mean(1, keepdim=True) + eps).rsqrt()


class EqualisedLinear(nn.Module):
    """``y = gain / sqrt(inputs) W x + b``.

    Args:
        inputs, outputs: features.
        bias: what the bias begins with; None for no bias.
        gain: of the layer's output.
        lr_multiplier: how much slower than others this layer learns (its weights are kept so much larger).
    """

    def __init__(
        self, inputs: int, outputs: int, bias: float | None = 0.0, gain: float = 1.0, lr_multiplier: float = 1.0
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = None if bias is None else nn.Parameter(torch.full((outputs,), bias / lr_multiplier))
        self.scale, self.lr_multiplier = gain * lr_multiplier / math.sqrt(inputs), lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias if self.bias is None or self.lr_multiplier == 1 else self.bias * self.lr_multiplier
        return linear(x, self.weight * self.scale, bias)


class EqualisedConv(Rewritten, nn.Module):
    """A convolution with weights ``gain / sqrt(inputs kernel^2) W``.

    Args:
        inputs, outputs: channels.
        kernel: its side.
        stride, padding: as ever; the padding left out keeps the size at stride 1.
        bias: whether there is one; it begins at 0.
        gain: of the layer's output.
        up: whether every pixel becomes 2x2 first; the kernel's side is 3 then, and nothing else may be said of it.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        padding: int | None = None,
        bias: bool = True,
        gain: float = 1.0,
        up: bool = False,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = gain / math.sqrt(inputs * kernel**2)
        padding = kernel // 2 if padding is None else padding
        self.stride, self.padding, self.up = (stride, stride), (padding, padding), up

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """``gain`` more than usual, in the weights: they are fewer than what they make."""
        weight = self.weight * (self.scale * gain)
        bias = self.bias if self.bias is None or gain == 1 else self.bias * gain
        if self.up:
            return convolve_twice(x, weight, bias, self.reference)
        return convolve(x, weight, bias, self.stride, self.padding, reference=self.reference)

    def leaky(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """``gain * leaky(self(x))``. A positive factor passes a leaky ReLU unchanged, so it may come before."""
        if self.reference:
            return leaky(self(x)) * gain
        return leaky_relu(self(x, GAIN * gain), 0.2)
