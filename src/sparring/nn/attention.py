"""Self-attention over the positions of a map (Zhang et al. 2019)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d


class SelfAttention(nn.Module):
    """x + gamma * o, where every position gathers from all others; gamma starts at 0 (Zhang et al. 2019, eq. 1 to 3).

    Products are written out (bmm, softmax, bmm): fused attention kernels have no second derivative, which a gradient
    penalty on D needs. No 1/sqrt(d), as in the paper.

    Args:
        channels: of the map.
        pool: keys and values are max-pooled 2x2, as in the authors' code but not in the paper's text: 4 times fewer.
    """

    def __init__(self, channels: int, pool: bool = True):
        super().__init__()
        self.pool = pool
        inner, values = max(channels // 8, 1), max(channels // 2, 1)
        self.query = nn.Conv2d(channels, inner, 1, bias=False)
        self.key = nn.Conv2d(channels, inner, 1, bias=False)
        self.value = nn.Conv2d(channels, values, 1, bias=False)
        self.out = nn.Conv2d(values, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def weights(self, x: Tensor) -> Tensor:
        """How much each position (row) takes from each key (column), ``(n, h * w, keys)``; rows sum to 1."""
        query, key = self.query(x).flatten(2), self._pooled(self.key(x)).flatten(2)
        return torch.bmm(query.transpose(1, 2), key).softmax(dim=2)

    def forward(self, x: Tensor) -> Tensor:
        value = self._pooled(self.value(x)).flatten(2)
        gathered = torch.bmm(value, self.weights(x).transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gamma * self.out(gathered)

    def _pooled(self, x: Tensor) -> Tensor:
        return max_pool2d(x, 2, ceil_mode=True) if self.pool else x
