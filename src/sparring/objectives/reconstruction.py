"""How far a picture is from the one it should be."""

from torch import Tensor
from torch.nn.functional import avg_pool2d


def pooled_l1(made: Tensor, wanted: Tensor, levels: int = 3) -> Tensor:
    """E |made - wanted|, averaged over the pictures as they are, pooled 2x2, pooled 4x4 and so on, ``levels`` of them.

    Plain L1 forgives a wrong average colour no more than wrong noise of the same size; pooling removes the noise and
    keeps what a person sees first. Levels that a picture is too small for are left out.
    """
    if made.shape != wanted.shape:
        raise ValueError(f"pictures {tuple(made.shape)} and {tuple(wanted.shape)} differ in shape")
    difference = made - wanted
    losses = [difference.abs().mean()]
    while len(losses) < levels and min(difference.shape[2:]) >= 2:
        difference = avg_pool2d(difference, 2)
        losses.append(difference.abs().mean())
    return sum(losses[1:], losses[0]) / len(losses)


def gaussian(made: Tensor, deviation: Tensor, wanted: Tensor) -> Tensor:
    """-log N(wanted; made, deviation^2) but for its constant, elementwise."""
    return ((wanted - made) / deviation).square() / 2 + deviation.log()


def kl_to_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) per sample ``(n,)`` (Kingma and Welling 2014, appendix B)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1) / 2
