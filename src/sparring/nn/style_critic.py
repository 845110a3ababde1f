"""The discriminator of StyleGAN2 and 3: residual blocks that halve behind a low-pass filter (Karras et al. 2020)."""

import math

from torch import Tensor, nn

from sparring.nn.equalised import EqualisedConv, EqualisedLinear, leaky
from sparring.nn.fir import Blur
from sparring.nn.levels import channels_at, halvings
from sparring.nn.stddev import MinibatchStddev
from sparring.nn.style import Mapping


class HalvingBlock(nn.Module):
    """Two 3x3 convolutions, the second one halving the sides; beside them a 1x1 one, if residual.

    Args:
        inputs, outputs: channels.
        residual: whether to add the 1x1 branch.
    """

    def __init__(self, inputs: int, outputs: int, residual: bool):
        super().__init__()
        self.blur = Blur()
        self.conv0 = EqualisedConv(inputs, inputs, 3)
        self.conv1 = EqualisedConv(inputs, outputs, 3, stride=2, padding=0)
        self.skip = EqualisedConv(inputs, outputs, 1, bias=False) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """``(n, inputs, h, w)`` to ``(n, outputs, h // 2, w // 2)``."""
        share = 1.0 if self.skip is None else math.sqrt(0.5)
        y = self.conv1.leaky(self.blur(self.conv0.leaky(x), padding=2), share)
        if self.skip is None:
            return y
        shortcut: Tensor = self.skip(self.blur.down(x), share)
        return shortcut + y


class StyleDiscriminator(nn.Module):
    """A picture (and a class) to one logit ``(n, 1)``.

    With classes the head gives a vector, and the logit is its product with the mapped class over the root of their
    size (Miyato and Koyama 2018; Karras et al. 2020, arXiv 2006.06676).

    Args:
        shape: of a picture ``(channels, height, width)``, 8 pixels a side or more.
        base, most: channels, see `channels_at`.
        group: samples a group of the minibatch standard deviation.
        residual: whether blocks are residual.
        classes: how many classes; 0 for none.
        mapping_layers: dense layers that map a class.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        base: int,
        most: int,
        group: int = 4,
        residual: bool = True,
        classes: int = 0,
        mapping_layers: int = 8,
    ):
        super().__init__()
        depth = halvings(shape)
        widths = [channels_at(level, base, most) for level in range(depth + 1)]
        self.from_rgb = EqualisedConv(shape[0], widths[-1], 1)
        self.blocks = nn.Sequential(
            *(HalvingBlock(widths[level], widths[level - 1], residual) for level in range(depth, 0, -1))
        )
        coarsest = widths[0]
        self.stddev = MinibatchStddev(group)
        self.conv = EqualisedConv(coarsest + 1, coarsest, 3)
        self.dense = EqualisedLinear(coarsest * (shape[1] >> depth) * (shape[2] >> depth), coarsest)
        self.head = EqualisedLinear(coarsest, coarsest if classes else 1)
        self.mapping = Mapping(0, coarsest, mapping_layers, classes) if classes else None

    def forward(self, image: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.blocks(self.from_rgb.leaky(image))
        x = self.conv.leaky(self.stddev(x))
        x = self.head(leaky(self.dense(x.flatten(1))))
        if self.mapping is None:
            logits: Tensor = x
            return logits
        return (x * self.mapping(None, labels)).sum(1, keepdim=True) / math.sqrt(x.shape[1])
