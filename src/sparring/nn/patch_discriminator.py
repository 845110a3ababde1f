"""PatchGAN: a critic of patches, one logit for each (Isola et al. 2017; Li and Wand 2016).

With three layers each logit sees 70x70 pixels, with two 34x34, with one 16x16.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from sparring.nn.dcgan import initialise
from sparring.nn.norms import Norm, norm_layer

CAP = 8


def layers_for(height: int, width: int) -> int:
    """How often a critic halves pictures of this size: 3 times from 128 pixels on, the paper's; twice from 64; else
    once.
    """
    return max(1, min(3, int(math.log2(min(height, width) / 16)))) if min(height, width) >= 16 else 1


class PatchDiscriminator(nn.Module):
    """Pictures (and what they go with) to logits ``(n, 1, h', w')``.

    Args:
        inputs: channels, of all that is stacked together.
        width: channels of the first layer, doubled with each, 8 times as many at most.
        layers: 4x4 convolutions of stride 2; two of stride 1 follow.
        norm: after all convolutions but the first and the last.
    """

    def __init__(self, inputs: int, width: int, layers: int, norm: Norm):
        super().__init__()
        widths = [width * min(2**level, CAP) for level in range(layers + 1)]
        bias = norm == "none"
        stages: list[nn.Module] = [nn.Sequential(nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(0.2))]
        for level, (before, after) in enumerate(pairwise(widths), 1):
            conv = nn.Conv2d(before, after, 4, 1 if level == layers else 2, 1, bias=bias)
            stages.append(nn.Sequential(conv, *norm_layer(norm, after), nn.LeakyReLU(0.2)))
        stages.append(nn.Conv2d(widths[-1], 1, 4, 1, 1))
        self.stages = nn.ModuleList(stages)
        self.apply(initialise)

    def forward(self, images: Tensor, *others: Tensor) -> Tensor:
        return self.features(images, *others)[-1]

    def features(self, images: Tensor, *others: Tensor) -> list[Tensor]:
        """What every layer makes of them, the logits last."""
        x = torch.cat([images, *others], 1) if others else images
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found


class MultiScaleDiscriminator(nn.Module):
    """Several critics, each of the picture at half the size of the one before (Wang et al. 2018)."""

    def __init__(self, inputs: int, width: int, layers: int, norm: Norm, scales: int):
        super().__init__()
        self.critics = nn.ModuleList(PatchDiscriminator(inputs, width, layers, norm) for _ in range(scales))

    def forward(self, images: Tensor, *others: Tensor) -> list[Tensor]:
        """The logits of each, ``(n, 1, h', w')``."""
        return self.logits(self.features(images, *others))

    def features(self, images: Tensor, *others: Tensor) -> list[list[Tensor]]:
        """For each critic what its layers make, the logits last."""
        x = torch.cat([images, *others], 1)
        found = []
        for scale, critic in enumerate(self.critics):
            x = avg_pool2d(x, 3, 2, 1, count_include_pad=False) if scale else x
            assert isinstance(critic, PatchDiscriminator)
            found.append(critic.features(x))
        return found

    @staticmethod
    def logits(features: list[list[Tensor]]) -> list[Tensor]:
        """The logits among them."""
        return [each[-1] for each in features]
