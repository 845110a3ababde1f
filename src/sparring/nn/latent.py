"""What is done to latents when drawing samples."""

import math

import torch
from torch import Tensor


def truncate(z: Tensor, threshold: float) -> Tensor:
    """Standard normal z to a normal cut off at +-threshold (the truncation trick, Brock et al. 2019, sec. 3.1).

    The paper draws anew whatever lies beyond; this bends each value instead, F^-1(F(-t) + F(z) (F(t) - F(-t))) with F
    the normal distribution function. The result is distributed the same, and is a function of z alone: a seed keeps
    its picture, which changes smoothly with the threshold.

    Args:
        z: of any shape.
        threshold: above 0. Smaller is less varied and more typical; infinity changes nothing.
    """
    if not threshold > 0:
        raise ValueError(f"a truncation threshold is above 0; got {threshold}")
    # In float64 and from the nearer tail, where F is small and exact; where 1 - F would round to 1, it is not.
    precise = z.detach().cpu().double()
    tail = math.erfc(threshold / math.sqrt(2)) / 2  # F(-t)
    lower = torch.special.erfc(precise.abs() / math.sqrt(2)) / 2  # F(-|z|); PyTorch's own F is not exact there
    bent = torch.special.ndtri(tail + lower * (1 - 2 * tail)).abs()
    return (bent * precise.sign()).clamp(-threshold, threshold).to(z)
