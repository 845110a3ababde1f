"""Features of patches for contrastive losses: the same places of several feature maps, through a small perceptron each
(Park et al. 2020, sec. 3.2).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sparring.nn.dcgan import initialise


class PatchSampler(nn.Module):
    """Feature maps ``(n, c_l, h_l, w_l)`` to features ``(n, places, size)``, one tensor a map.

    Args:
        channels: c_l of each map.
        size: of a patch's feature.
    """

    def __init__(self, channels: Sequence[int], size: int):
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(width, size), nn.ReLU(), nn.Linear(size, size)) for width in channels
        )
        self.apply(initialise)
        for name, value in self.named_parameters():  # beside weights this small, others would make all patches alike
            if name.endswith("bias"):
                nn.init.zeros_(value)

    def forward(self, maps: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
        """``places`` as `choose_places` draws them, so that two pictures can be asked at the same ones."""
        return [head(_at(features, place)) for head, features, place in zip(self.heads, maps, places, strict=True)]


def choose_places(uniform: Tensor, count: int) -> Tensor:
    """``count`` different places of each map, or all where there are fewer: ``(n, count)``.

    Args:
        uniform: a random number for each place, ``(n, places)``.
    """
    return uniform.topk(min(count, uniform.shape[1]), dim=1).indices


def _at(features: Tensor, place: Tensor) -> Tensor:
    flat = features.flatten(2).transpose(1, 2)
    return torch.gather(flat, 1, place[:, :, None].expand(-1, -1, flat.shape[2]))
