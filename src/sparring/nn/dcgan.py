"""The networks of DCGAN for any picture of 8 pixels or more a side (Radford, Metz, Chintala 2015).

At 64x64, width 64, a latent of 100 and BatchNorm in D they are the paper's, parameter for parameter (3,576,704 and
2,765,568 of them).
"""

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from sparring.nn.convolution import Conv2d
from sparring.nn.together import BatchNorm2d


def stages(height: int, width: int) -> int:
    """How often a picture is halved: until its shorter side is 4 to 7, but twice at least, or D would be shallow."""
    return max(2, int(math.log2(min(height, width) / 4)))


class DCGenerator(nn.Module):
    """z (and a class) to a picture: a linear layer to the coarsest grid, then 4x4 transposed convolutions.

    Args:
        shape: of a picture, ``(channels, height, width)``. A side that is no multiple of the grid is cut to size.
        z_dim: size of the latent.
        width: channels of the finest hidden layer, doubled with each coarser one.
        classes: how many classes there are to embed beside z; 0 for none.
        embed_dim: size of a class embedding.
    """

    def __init__(self, shape: tuple[int, ...], z_dim: int, width: int, classes: int = 0, embed_dim: int = 16):
        super().__init__()
        channels, self.height, self.width = shape
        depth = stages(self.height, self.width)
        grid = (math.ceil(self.height / 2**depth), math.ceil(self.width / 2**depth))
        widths = [width * 2**level for level in reversed(range(depth))]
        self.embed = nn.Embedding(classes, embed_dim) if classes else None
        layers: list[nn.Module] = [
            # On a 1x1 latent the paper's first 4x4 transposed convolution is this linear layer.
            nn.Linear(z_dim + (embed_dim if classes else 0), widths[0] * grid[0] * grid[1], bias=False),
            nn.Unflatten(1, (widths[0], *grid)),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for before, after in pairwise(widths):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(initialise)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """``(n, z_dim)`` and int64 ``(n,)`` to ``(n, *shape)`` in [-1, 1]."""
        if self.embed is not None:
            z = torch.cat([z, self.embed(labels)], dim=1)
        image: Tensor = self.layers(z)
        top, left = (image.shape[2] - self.height) // 2, (image.shape[3] - self.width) // 2
        return image[:, :, top : top + self.height, left : left + self.width]


class DCTrunk(nn.Module):
    """A picture to features ``(n, features, *grid)``: 4x4 convolutions of stride 2.

    Args:
        shape: of a picture, ``(channels, height, width)``; other planes may be stacked onto its channels.
        width: channels of the finest layer, doubled with each coarser one.
        norm: ``batch`` is the paper's; ``none`` suits a gradient penalty; the convolutions then take biases
            (a D without any gives every grey picture the logit 0) and another initialisation.
    """

    def __init__(self, shape: tuple[int, ...], width: int, norm: Literal["none", "batch"]):
        super().__init__()
        channels, height, breadth = shape
        depth = stages(height, breadth)
        widths = [width * 2**level for level in range(depth)]
        self.features, self.grid = widths[-1], (height // 2**depth, breadth // 2**depth)
        layers: list[nn.Module] = []
        for level, (before, after) in enumerate(pairwise([channels, *widths])):
            layers += [Conv2d(before, after, 4, 2, 1, bias=norm == "none")]
            layers += [BatchNorm2d(after)] if norm == "batch" and level > 0 else []
            layers += [nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        if norm == "batch":
            self.apply(initialise)
        else:  # nothing rescales what 0.02 would shrink with every layer: keep each layer's variance (He et al. 2015)
            for layer in self.layers:
                if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                    nn.init.kaiming_normal_(layer.weight, 0.2)
                    nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.layers(image)
        return features


class DCDiscriminator(nn.Module):
    """A picture (and a class) to one logit ``(n, 1)``: the trunk, then one convolution over the whole grid.

    With classes, the logit is psi(phi(x)) + <embed(y), phi(x)>, phi summed over the grid (Miyato and Koyama 2018).
    """

    def __init__(self, shape: tuple[int, ...], width: int, norm: Literal["none", "batch"] = "none", classes: int = 0):
        super().__init__()
        self.trunk = DCTrunk(shape, width, norm)
        self.head = Conv2d(self.trunk.features, 1, self.trunk.grid, bias=norm == "none")
        self.embed = nn.Embedding(classes, self.trunk.features) if classes else None
        if norm == "batch":
            self.head.apply(initialise)

    def forward(self, image: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.trunk(image)
        logits: Tensor = self.head(features).flatten(1)
        if self.embed is not None:
            logits = logits + (features.sum((2, 3)) * self.embed(labels)).sum(1, keepdim=True)
        return logits


def initialise(module: nn.Module) -> None:
    """Weights N(0, 0.02), BatchNorm's scale N(1, 0.02) (Radford et al. 2015, sec. 4)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
