"""U-Net: halve a picture to almost nothing and double it again, with a skip at every size (Ronneberger et al. 2015).

At 256x256, width 64 and BatchNorm it is the generator of pix2pix (Isola et al. 2017), parameter for parameter
(54,413,955 of them).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from sparring.nn.dcgan import initialise
from sparring.nn.norms import Norm, norm_layer
from sparring.nn.padding import whole_multiple

CAP = 8  # channels grow to so many times the finest level's
DEEPEST = 8


def levels_for(height: int, width: int) -> int:
    """How often a picture is halved: until its shorter side is 1, but 8 times at most, as in pix2pix."""
    return max(1, min(DEEPEST, int(math.log2(min(height, width)))))


class UNet(nn.Module):
    """``(n, inputs, h, w)`` to ``(n, outputs, h, w)`` in [-1, 1], any size.

    Args:
        inputs, outputs: channels.
        width: channels of the finest level, doubled with each coarser one, 8 times as many at most.
        depth: how often a picture is halved.
        norm: after every convolution but the first and the innermost, which may see one pixel.
        dropout: share of features dropped in the three innermost levels going up, fewer where there are few levels.
    """

    def __init__(self, inputs: int, outputs: int, width: int, depth: int, norm: Norm, dropout: float = 0.0):
        super().__init__()
        self.depth = depth
        widths = [width * min(2**level, CAP) for level in range(depth)]
        bias = norm == "none"
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, after in enumerate(widths):
            inner = 0 < level < depth - 1
            halve = nn.Conv2d(widths[level - 1] if level else inputs, after, 4, 2, 1, bias=bias)
            self.down.append(nn.Sequential(halve, *(norm_layer(norm, after) if inner else [])))
        dropped = min(3, max(0, depth - 4))
        for level in reversed(range(depth)):
            before = widths[level] * (1 if level == depth - 1 else 2)  # what came up, and the skip
            if level == 0:
                self.up.append(nn.ConvTranspose2d(before, outputs, 4, 2, 1))
                break
            double = nn.ConvTranspose2d(before, widths[level - 1], 4, 2, 1, bias=bias)
            drop = [nn.Dropout(dropout)] if dropout > 0 and depth - 1 - level < dropped else []
            self.up.append(nn.Sequential(double, *norm_layer(norm, widths[level - 1]), *drop))
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        return whole_multiple(self.translate, images, 2**self.depth)

    def translate(self, images: Tensor) -> Tensor:
        """Of pictures whose sides 2^depth divides."""
        skips: list[Tensor] = []
        x = images
        for level, down in enumerate(self.down):
            x = down(leaky_relu(x, 0.2) if level else x)
            skips.append(x)
        skips.pop()
        for up in self.up:
            x = up(relu(x))
            x = torch.cat([x, skips.pop()], 1) if skips else x
        return x.tanh()
