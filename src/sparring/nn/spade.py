"""Spatially adaptive normalisation: scales and shifts read off a label map, place by place (Park et al. 2019)."""

from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, relu

from sparring.nn.convolution import Conv2d
from sparring.nn.padding import whole_multiple
from sparring.nn.spectral import spectral

CAP = 16


class SPADE(nn.Module):
    """norm(x) (1 + gamma(m)) + beta(m), the norm without scales of its own.

    Args:
        channels: of x.
        labels: channels of m.
        hidden: channels between m and gamma, beta; the paper has 128.
    """

    def __init__(self, channels: int, labels: int, hidden: int, norm: Literal["batch", "instance"]):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False) if norm == "batch" else nn.InstanceNorm2d(channels)
        self.shared = nn.Conv2d(labels, hidden, 3, padding=1)
        self.gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        size = (x.shape[2], x.shape[3])
        hidden = relu(self.shared(interpolate(labels, size, mode="nearest")))  # label maps are never blended
        return self.norm(x) * (1 + self.gamma(hidden)) + self.beta(hidden)


class SPADEBlock(nn.Module):
    """Twice SPADE, lrelu, conv; around it SPADE and a 1x1 convolution where the widths differ."""

    def __init__(self, before: int, after: int, labels: int, hidden: int, norm: Literal["batch", "instance"]):
        super().__init__()
        middle = min(before, after)
        self.norm1, self.norm2 = SPADE(before, labels, hidden, norm), SPADE(middle, labels, hidden, norm)
        self.conv1 = spectral(nn.Conv2d(before, middle, 3, padding=1))
        self.conv2 = spectral(nn.Conv2d(middle, after, 3, padding=1))
        self.norm_s = SPADE(before, labels, hidden, norm) if before != after else None
        self.conv_s = spectral(nn.Conv2d(before, after, 1, bias=False)) if before != after else None

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        h = self.conv1(leaky_relu(self.norm1(x, labels), 0.2))
        h = self.conv2(leaky_relu(self.norm2(h, labels), 0.2))
        if self.norm_s is not None and self.conv_s is not None:
            x = self.conv_s(self.norm_s(x, labels))
        return x + h


class SPADEGenerator(nn.Module):
    """A label map ``(n, labels, h, w)`` to a picture ``(n, channels, h, w)`` in [-1, 1], any size.

    Args:
        width: channels of the finest block, doubled with each coarser one, 16 times as many at most.
        ups: how often the size is doubled, from a label map made so many times smaller.
    """

    def __init__(
        self, labels: int, channels: int, width: int, ups: int, hidden: int, norm: Literal["batch", "instance"]
    ):
        super().__init__()
        self.ups = ups
        widths = [width * min(2**level, CAP) for level in reversed(range(ups + 1))]
        self.first = nn.Conv2d(labels, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            SPADEBlock(before, after, labels, hidden, norm)
            for before, after in zip([widths[0], *widths], widths, strict=False)
        )
        self.last = Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, labels: Tensor) -> Tensor:
        return whole_multiple(self.draw, labels, 2**self.ups)

    def draw(self, labels: Tensor) -> Tensor:
        """Of label maps whose sides 2^ups divides."""
        height, width = (side >> self.ups for side in labels.shape[2:])
        x = self.first(interpolate(labels, (height, width), mode="nearest"))
        for place, block in enumerate(self.blocks):
            x = interpolate(x, scale_factor=2.0, mode="nearest") if place else x
            x = block(x, labels)
        made: Tensor = self.last(leaky_relu(x, 0.2))
        return made.tanh()
