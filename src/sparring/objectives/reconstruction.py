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
