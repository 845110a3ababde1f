"""Adversarial losses on raw logits, ``(n, ...)`` each; every one returns a scalar mean.

``r`` is D on reals, ``f`` D on fakes, sp(t) = log(1 + e^t). Computed with softplus throughout: a sigmoid followed by a
logarithm overflows where it matters most.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus


@dataclass(frozen=True)
class Adversarial:
    """A pair of losses.

    Attributes:
        discriminator: ``(real_logits, fake_logits) -> loss`` that D minimises.
        generator: ``(fake_logits) -> loss`` that G minimises.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def _check(real_logits: Tensor, fake_logits: Tensor) -> None:
    if real_logits.shape != fake_logits.shape:
        raise ValueError(f"logits of reals {tuple(real_logits.shape)} and of fakes {tuple(fake_logits.shape)} differ")


def logistic_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E sp(-r) + E sp(f): the discriminator of Goodfellow et al. 2014, eq. 1. 2 ln 2 when D cannot tell."""
    _check(real_logits, fake_logits)
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def non_saturating_generator(fake_logits: Tensor) -> Tensor:
    """E sp(-f): maximise log D(G(z)) (Goodfellow et al. 2014, sec. 3). Its gradient lives while D is winning."""
    return softplus(-fake_logits).mean()


def minimax_generator(fake_logits: Tensor) -> Tensor:
    """-E sp(f): minimise log(1 - D(G(z))) (Goodfellow et al. 2014, eq. 1). Its gradient dies while D is winning."""
    return -softplus(fake_logits).mean()


non_saturating = Adversarial(logistic_discriminator, non_saturating_generator)
minimax = Adversarial(logistic_discriminator, minimax_generator)

LOSSES = {"non_saturating": non_saturating, "minimax": minimax}
