"""A residual network from pictures to pictures (Johnson et al. 2016), as CycleGAN and CUT use it.

At width 64 with 9 blocks it has the layers of CycleGAN's generator; a bias that InstanceNorm would cancel is left out.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, pad

from sparring.nn.dcgan import initialise
from sparring.nn.padding import whole_multiple

DOWNS = 2
SHORT = 0.97  # of white and black, which tanh cannot reach
LEAST = 8  # pixels a side, of which two are left where edges are mirrored last


class Translator(nn.Module):
    """``(n, inputs, h, w)`` to ``(n, outputs, h, w)`` in [-1, 1], any size.

    Args:
        width: channels at full size; four times as many at the quarter size, where the blocks are.
        blocks: residual blocks.
        smooth: blur before leaving pixels out and enlarge smoothly (Zhang 2019), as CUT does, in place of strided and
            transposed convolutions.
        change: make a change to the picture in place of a picture: it begins as nearly the picture itself.
    """

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int, smooth: bool = False, change: bool = False):
        super().__init__()
        if change and inputs != outputs:
            raise ValueError(f"{inputs} channels cannot be changed into {outputs}")
        self.change = change
        narrow, wide = 2 * width, 4 * width
        self.channels = [inputs, narrow, wide, *[wide] * blocks]  # of `features`, at full size and then stage by stage
        down = _smooth_down if smooth else _strided_down
        up = _smooth_up if smooth else _transposed_up
        begin = [nn.ReflectionPad2d(3), nn.Conv2d(inputs, width, 7, bias=False), *_normed(width)]
        half, quarter = nn.Sequential(*begin, *down(width, narrow)), nn.Sequential(*down(narrow, wide))
        self.stages = nn.ModuleList([half, quarter, *(ResidualBlock(wide) for _ in range(blocks))])
        paint = nn.Conv2d(width, outputs, 7)
        self.finish = nn.Sequential(*up(wide, narrow), *up(narrow, width), nn.ReflectionPad2d(3), paint)
        self.apply(initialise)
        if change:
            nn.init.zeros_(paint.weight)

    def forward(self, images: Tensor) -> Tensor:
        return whole_multiple(self.translate, images, 2**DOWNS, least=LEAST)

    def translate(self, images: Tensor) -> Tensor:
        """Of pictures whose sides 4 divides."""
        x = images
        for stage in self.stages:
            x = stage(x)
        made: Tensor = self.finish(x)
        return torch.tanh(made + torch.atanh(SHORT * images) if self.change else made)

    def features(self, images: Tensor, taps: Sequence[int]) -> list[Tensor]:
        """What the first half makes of pictures, at tap 0 the pictures themselves, at k what stage k makes of them."""
        x, found = images, [images] if 0 in taps else []
        for place, stage in enumerate(self.stages[: max(taps)], 1):
            x = stage(x)
            if place in taps:
                found.append(x)
        return found


class ResidualBlock(nn.Module):
    """x + norm conv ReLU norm conv x, edges mirrored; nothing after the sum."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            *_normed(channels),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Blur(nn.Module):
    """[1, 2, 1] / 4 along both sides, every second pixel kept, edges mirrored (Zhang 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        line = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device)
        kernel = torch.outer(line, line).expand(x.shape[1], 1, 3, 3)
        return conv2d(pad(x, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=x.shape[1])


class Twice(nn.Module):
    """Twice the size, linear between pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def _normed(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU()]


def _strided_down(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, 2, 1, bias=False), *_normed(after)]


def _smooth_down(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, 1, 1, bias=False), *_normed(after), Blur()]


def _transposed_up(before: int, after: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(before, after, 3, 2, 1, output_padding=1, bias=False), *_normed(after)]


def _smooth_up(before: int, after: int) -> list[nn.Module]:
    return [Twice(), nn.Conv2d(before, after, 3, 1, 1, bias=False), *_normed(after)]
