"""Gated convolutions, which learn what of a picture with holes to heed (Yu et al. 2019, sec. 3.1)."""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, instance_norm, interpolate, leaky_relu

from sparring.nn.convolution import Conv2d
from sparring.nn.dcgan import initialise
from sparring.nn.padding import whole_multiple
from sparring.nn.spectral import spectral

DILATIONS = (2, 4, 8, 16)


class GatedConv(nn.Module):
    """ELU(features) * sigmoid(gate), both from one convolution of twice as many channels.

    Args:
        before, after: channels.
        resize: ``down`` halves by a stride of 2, ``up`` repeats pixels first.
    """

    def __init__(
        self, before: int, after: int, size: int = 3, resize: Literal["", "down", "up"] = "", dilation: int = 1
    ):
        super().__init__()
        stride, edge = 2 if resize == "down" else 1, dilation * (size - 1) // 2
        self.up = resize == "up"
        self.conv = nn.Conv2d(before, 2 * after, size, stride, edge, dilation)
        with torch.no_grad():  # keep the variance, of which ELU leaves about .65 and a half-open gate .27
            self.conv.weight[:after].normal_(0, (before * size**2 * 0.65 * 0.27) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = interpolate(x, scale_factor=2.0, mode="nearest") if self.up else x
        features, gate = self.conv(x).chunk(2, 1)
        return elu(features) * gate.sigmoid()


class GatedEncoderDecoder(nn.Module):
    """A picture with holes to a picture, seen at a quarter of its size by dilated convolutions; in [-1, 1].

    Args:
        inputs, outputs: channels.
        width: channels at full size; four times as many at the quarter.
    """

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        half, quarter = 2 * width, 4 * width
        self.layers = nn.Sequential(
            GatedConv(inputs, width, size=5),
            GatedConv(width, half, resize="down"),
            GatedConv(half, half),
            GatedConv(half, quarter, resize="down"),
            GatedConv(quarter, quarter),
            *(GatedConv(quarter, quarter, dilation=dilation) for dilation in DILATIONS),
            GatedConv(quarter, quarter),
            GatedConv(quarter, half, resize="up"),
            GatedConv(half, half),
            GatedConv(half, width, resize="up"),
            GatedConv(width, max(1, width // 2)),
            Conv2d(max(1, width // 2), outputs, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers(x)
        return made


class Inpainter(nn.Module):
    """Coarse, then fine: what the first network puts into the hole, the second sees and makes better.

    Args:
        channels: of a picture.
        width: of `GatedEncoderDecoder`.
    """

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.channels = channels
        self.coarse = GatedEncoderDecoder(channels + 1, channels, width)
        self.fine = GatedEncoderDecoder(channels + 1, channels, width)

    def forward(self, image: Tensor, hole: Tensor) -> Tensor:
        """Both proposals for the whole picture, stacked: ``(n, 2 * channels, h, w)``.

        Args:
            image: in [-1, 1]; what is in the hole is not looked at.
            hole: ``(n, 1, h, w)``, 1 where there is one, else 0.
        """
        return whole_multiple(self._both, torch.cat([image * (1 - hole), hole], 1), 4)

    def _both(self, seen: Tensor) -> Tensor:
        image, hole = seen[:, :-1], seen[:, -1:]
        coarse = self.coarse(seen)
        fine = self.fine(torch.cat([torch.where(hole > 0, coarse, image), hole], 1))
        return torch.cat([coarse, fine], 1)


class GlobalPatchDiscriminator(nn.Module):
    """A critic of patches and one of the whole picture: logits ``(n, k)`` and ``(n, 1)``.

    Every place and channel of the patch critic's last map is a logit (SN-PatchGAN, Yu et al. 2019, sec. 3.2); the
    whole's is read off the mean of that map.

    Args:
        norm: ``spectral``: of every weight, the paper's; ``instance``: of what all layers but the first and the last
            make, which brings it to one scale, so that where features are matched no layer is drowned.
    """

    def __init__(self, inputs: int, width: int, layers: int, norm: Literal["spectral", "instance"]):
        super().__init__()
        widths = [inputs, *(width * min(2**level, 4) for level in range(layers))]
        self.norm = norm
        self.patches = nn.ModuleList(nn.Conv2d(before, after, 5, 2, 2) for before, after in pairwise(widths))
        self.whole = nn.Linear(widths[-1], 1)
        if norm == "spectral":
            spectral(self)
        else:
            self.apply(initialise)

    def forward(self, images: Tensor, *others: Tensor) -> list[Tensor]:
        return self.logits(self.features(images, *others))

    def features(self, images: Tensor, *others: Tensor) -> list[Tensor]:
        """What every layer makes of them, the map of logits last."""
        x = torch.cat([images, *others], 1)
        found = []
        for place, conv in enumerate(self.patches):
            x = conv(leaky_relu(x, 0.2) if place else x)
            inner = 0 < place < len(self.patches) - 1
            if self.norm == "instance" and inner and x[0, 0].numel() > 1:  # a single place would become 0
                x = instance_norm(x)
            found.append(x)
        return found

    def logits(self, features: list[Tensor]) -> list[Tensor]:
        """Of both critics."""
        last = features[-1]
        return [last.flatten(1), self.whole(leaky_relu(last, 0.2).mean((2, 3)))]
