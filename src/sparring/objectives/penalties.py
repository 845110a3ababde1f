"""Gradient penalties, in float32 or better whatever the networks run in.

Each squared norm is the sum over all dimensions of one sample but the batch, then the mean over the batch. A critic is
handed over as a callable ``x -> logits``.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Critic = Callable[[Tensor], Tensor]


def squared_gradient_norm(critic: Critic, points: Tensor) -> Tensor:
    """``||grad_x critic(x)||^2`` per sample, ``(n,)``, differentiable once more."""
    with torch.autocast(points.device.type, enabled=False):
        precise = torch.promote_types(points.dtype, torch.float32)
        points = points.detach().to(precise).requires_grad_(True)
        (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
        return gradient.flatten(1).square().sum(1)


def r1(critic: Critic, real: Tensor, gamma: float) -> Tensor:
    """gamma/2 * E ||grad D(x)||^2 on reals (Mescheder et al. 2018, eq. 9), with the half."""
    return gamma / 2 * squared_gradient_norm(critic, real).mean()
