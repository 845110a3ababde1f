"""The normalisations that translation networks are offered."""

from typing import Literal

from torch import nn

Norm = Literal["none", "instance", "batch"]


def norm_layer(kind: Norm, channels: int) -> list[nn.Module]:
    """As layers to put behind a convolution, which needs a bias only where ``kind`` is none.

    ``instance`` has no scales and no running statistics, as in pix2pix's and CycleGAN's release.
    """
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    return [nn.InstanceNorm2d(channels)] if kind == "instance" else []
