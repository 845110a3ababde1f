"""How much of a mixture of Gaussians with known centres is made, and how cleanly."""

from dataclasses import dataclass

import torch
from torch import Tensor

REACH = 3.0  # standard deviations


@dataclass(frozen=True)
class ModeCheck:
    """What was found.

    Attributes:
        touched: modes with at least one sample within 3 sigma of the centre, the rule of the literature.
        covered: modes with at least a twentieth of their fair share of all samples there.
        clean: share of samples within 3 sigma of some centre; 98.9 % of the mixture itself.
        counts: samples within 3 sigma, by mode.
    """

    touched: int
    covered: int
    clean: float
    counts: tuple[int, ...]


def check_modes(samples: Tensor, centres: Tensor, sigma: float) -> ModeCheck:
    """Compare samples ``(n, d)`` with modes at ``(k, d)`` of standard deviation ``sigma``, equally likely."""
    distances, nearest = torch.cdist(samples.double(), centres.double()).min(1)
    counts = torch.bincount(nearest[distances <= REACH * sigma], minlength=len(centres))
    fair = len(samples) / len(centres)
    return ModeCheck(
        touched=int((counts > 0).sum()),
        covered=int((counts >= max(fair / 20, 1)).sum()),
        clean=float(counts.sum()) / len(samples),
        counts=tuple(counts.tolist()),
    )
