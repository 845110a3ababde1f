"""Path lengths: how far a picture moves when its style does (Karras et al. 2020, sec. 3.2)."""

from collections.abc import Callable

import torch
from torch import Tensor

from sparring.core.precision import full_precision
from sparring.core.second_order import differentiated_twice

Synthesis = Callable[[Tensor], Tensor]


def path_lengths(synthesis: Synthesis, styles: Tensor, noise: Tensor) -> Tensor:
    """``||J_w^T y||`` per sample, ``(n,)``, differentiable once more, in float32 or better.

    Args:
        synthesis: ``(n, layers, w_dim)`` to pictures ``(n, c, h, w)``.
        styles: where to measure.
        noise: y, a standard normal picture for each sample; divided here by sqrt(h w), so that the length does not
            depend on the size.

    Returns:
        the root of the mean over layers of the squared gradients' sums over ``w_dim``.
    """
    with full_precision(styles), differentiated_twice() as playing:
        styles = styles.to(torch.promote_types(styles.dtype, torch.float32))
        styles = styles if styles.requires_grad else styles.detach().requires_grad_(True)
        images = synthesis(styles)
        if images.shape != noise.shape:
            raise ValueError(f"pictures {tuple(images.shape)} and noise {tuple(noise.shape)} differ in shape")
        images = images.to(styles.dtype) * noise / (images.shape[2] * images.shape[3]) ** 0.5
        gradient = playing.slopes(images.sum(), styles)
        return (gradient.square().sum(2).mean(1) + 1e-12).sqrt()  # the root's slope at 0 is infinite


def path_penalty(lengths: Tensor, mean: Tensor, decay: float = 0.01) -> tuple[Tensor, Tensor]:
    """``E (length - a)^2`` and the new a, ``a + decay (mean length - a)`` (Karras et al. 2020, eq. 4).

    The penalty is measured from the new a, with its gradient, as in the authors' code. The a returned has none.
    """
    centre = mean + decay * (lengths.mean() - mean)
    return (lengths - centre).square().mean(), centre.detach()
