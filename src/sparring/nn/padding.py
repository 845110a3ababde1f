"""Pictures of any size through networks that halve them."""

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import pad


def whole_multiple(
    network: Callable[[Tensor], Tensor], images: Tensor, multiple: int, scale: int = 1, least: int = 1
) -> Tensor:
    """``network(images)`` for ``(n, c, h, w)`` of any size: what is missing to a multiple is the edge repeated.

    Args:
        network: ``(n, c, h, w)`` with sides that ``multiple`` divides, to ``(n, c', scale * h, scale * w)``.
        scale: how many times larger its result is.
        least: a side that it needs, itself such a multiple.
    """
    height, width = images.shape[2:]
    down, right = (max(least - side, -side % multiple) for side in (height, width))
    if down == 0 and right == 0:
        return network(images)
    top, left = down // 2, right // 2
    made = network(pad(images, (left, right - left, top, down - top), mode="replicate"))
    top, left = scale * top, scale * left
    return made[:, :, top : top + scale * height, left : left + scale * width]
