"""Minibatch standard deviation: D sees how varied a batch is (Karras et al. 2018, sec. 3)."""

import torch
from torch import Tensor, nn

from sparring.core.precision import full_precision
from sparring.nn.together import InParts


class MinibatchStddev(InParts, nn.Module):
    """Appends to each sample how much its group varies, as constant planes.

    Groups are strided through the batch as in the authors' code: of n samples in groups of g, sample i sits with
    i + n/g, i + 2n/g... A batch that ``group`` does not divide is cut into the largest groups below it that do. In
    parts, n is the size of a part.

    Args:
        group: samples a group.
        features: planes to append; channels are split over them.
    """

    def __init__(self, group: int = 4, features: int = 1):
        super().__init__()
        if group < 1 or features < 1:
            raise ValueError(f"a group of {group} samples and {features} planes: both are 1 or more")
        self.group, self.features = group, features

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, h, w)`` to ``(n, c + features, h, w)``. In float32 or better, since it sums small squares."""
        if self.parts > 1:
            return torch.cat([self.planes(part) for part in x.chunk(self.parts)])
        return self.planes(x)

    def planes(self, x: Tensor) -> Tensor:
        """The same for one part."""
        n, c, h, w = x.shape
        group = next(g for g in range(min(self.group, n), 0, -1) if n % g == 0)
        with full_precision(x):
            y = x.to(torch.promote_types(x.dtype, torch.float32))
            y = y.reshape(group, -1, self.features, c // self.features, h, w)
            y = (y - y.mean(0)).square().mean(0)  # (n / group, features, c / features, h, w)
            y = (y + 1e-8).sqrt().mean((2, 3, 4))
        planes = y.repeat(group, 1)[:, :, None, None].expand(n, self.features, h, w)
        return torch.cat([x, planes.to(x.dtype)], 1)
