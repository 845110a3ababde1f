"""Penalties on D, in float32 or better whatever the networks run in.

Each squared gradient norm is the sum over all dimensions of one sample but the batch, then the mean over the batch. A
critic is handed over as a callable ``x -> logits``.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from sparring.core.precision import full_precision
from sparring.core.second_order import differentiated_twice

Critic = Callable[[Tensor], Tensor]


def judge(critic: Critic, points: Tensor) -> tuple[Tensor, Tensor]:
    """``critic(points)``, and ``||grad_x critic(x)||^2`` per sample, ``(n,)``, from one pass; both differentiable."""
    with full_precision(points), differentiated_twice() as playing:
        precise = torch.promote_types(points.dtype, torch.float32)
        points = points.detach().to(precise).requires_grad_(True)
        logits = critic(points)
        gradient = playing.slopes(logits.sum(), points)
        return logits, gradient.flatten(1).square().sum(1)


def squared_gradient_norm(critic: Critic, points: Tensor) -> Tensor:
    """``||grad_x critic(x)||^2`` per sample, ``(n,)``, differentiable once more."""
    return judge(critic, points)[1]


def gradient_norm(critic: Critic, points: Tensor) -> Tensor:
    """``||grad_x critic(x)||`` per sample, ``(n,)``. The root's slope at 0 is infinite: 1e-12 keeps it finite."""
    return (squared_gradient_norm(critic, points) + 1e-12).sqrt()


def r1(critic: Critic, real: Tensor, gamma: float) -> Tensor:
    """gamma/2 * E ||grad D(x)||^2 on reals (Mescheder et al. 2018, eq. 9), with the half."""
    return gamma / 2 * squared_gradient_norm(critic, real).mean()


def r2(critic: Critic, fake: Tensor, gamma: float) -> Tensor:
    """gamma/2 * E ||grad D(G(z))||^2 on fakes (Mescheder et al. 2018, eq. 10), with the half."""
    return gamma / 2 * squared_gradient_norm(critic, fake).mean()


def wgan_gp(
    critic: Critic, real: Tensor, fake: Tensor, mix: Tensor, weight: float = 10.0, one_sided: bool = False
) -> Tensor:
    """weight * E (||grad D(u)|| - 1)^2 at u = mix x + (1 - mix) G(z) (Gulrajani et al. 2017, eq. 3).

    Args:
        mix: uniform in [0, 1), one number per sample: ``batch.uniform(1, 1, 1)`` for pictures.
        one_sided: slopes below 1 cost nothing: max(0, ||grad D(u)|| - 1) (WGAN-LP, Petzka et al. 2018).
    """
    if mix.numel() != len(real):
        raise ValueError(f"mix holds one number per sample, {len(real)} of them; got {tuple(mix.shape)}")
    between = mix * real.detach() + (1 - mix) * fake.detach()
    excess = gradient_norm(critic, between) - 1
    return weight * (relu(excess) if one_sided else excess).square().mean()


def dragan(critic: Critic, real: Tensor, noise: Tensor, mix: Tensor, weight: float = 10.0) -> Tensor:
    """weight * E (||grad D(x + mix d)|| - 1)^2, d = std(batch)/2 * noise (Kodali et al. 2017, sec. 2.3).

    ``noise`` is uniform in [0, 1) for each value, ``mix`` likewise for each sample; the noise is one-sided, and the
    deviation one number for the whole batch, as in the authors' code.
    """
    near = real.detach() + mix * real.detach().std() / 2 * noise
    return weight * (gradient_norm(critic, near) - 1).square().mean()


def lecam(real_logits: Tensor, fake_logits: Tensor, real_anchor: Tensor, fake_anchor: Tensor) -> Tensor:
    """E relu(r - a_F)^2 + E relu(a_R - f)^2 (Tseng et al. 2021, eq. 4, one-sided as in the authors' code).

    The anchors are moving averages of D's mean logits on reals (a_R) and fakes (a_F), with no gradient.
    """
    above = relu(real_logits - fake_anchor.detach()).square().mean()
    return above + relu(real_anchor.detach() - fake_logits).square().mean()


def consistency(logits: Tensor, augmented_logits: Tensor) -> Tensor:
    """E (D(x) - D(T(x)))^2 (Zhang et al. 2020, eq. 2); for balanced consistency, add the same on fakes."""
    if logits.shape != augmented_logits.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and augmented logits {tuple(augmented_logits.shape)} differ")
    return (logits - augmented_logits).square().mean()


def orthogonal(weights: Iterable[Tensor]) -> Tensor:
    """Sum of ||W W^T - its diagonal||^2 over weights seen as (out, rest) (Brock et al. 2019, eq. 3)."""
    total: Tensor | None = None
    for weight in weights:
        with full_precision(weight):
            rows = weight.flatten(1)
            if len(rows) > rows.shape[1]:  # W^T W is the smaller of the two, and its norm is that of W W^T
                off_diagonal = (rows.T @ rows).square().sum() - rows.square().sum(1).square().sum()
            else:
                gram = rows @ rows.T
                off_diagonal = (gram - gram.diagonal().diag_embed()).square().sum()
        total = off_diagonal if total is None else total + off_diagonal
    if total is None:
        raise ValueError("no weights to make orthogonal")
    return total


@torch.no_grad()
def clip_weights(critic: nn.Module, limit: float) -> None:
    """Clamp every parameter to [-limit, limit] (Arjovsky et al. 2017, algorithm 1, line 7).

    It writes weights, so no loss may call it: a `Controller` does, after the critic's step.
    """
    for parameter in critic.parameters():
        parameter.clamp_(-limit, limit)
