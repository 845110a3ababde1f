"""Batch normalisation whose scale and shift follow a condition (Dumoulin et al. 2017; Miyato and Koyama 2018).

Each is called as ``norm(x, condition)`` with ``(n, features, h, w)``, so that a block can be built with any of them.
"""

import torch
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm2d):
    """Plain BatchNorm, deaf to the condition."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return super().forward(x)


class ClassBatchNorm(nn.Module):
    """gamma_y * BN(x) + beta_y, a row of two tables per class (Miyato and Koyama 2018). Starts as plain BatchNorm."""

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(features, affine=False)
        self.gain, self.bias = nn.Embedding(classes, features), nn.Embedding(classes, features)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """``condition`` holds labels, int64 ``(n,)``."""
        return _modulate(self.norm(x), self.gain(condition), self.bias(condition))


class CodeBatchNorm(nn.Module):
    """(1 + A c) * BN(x) + B c with linear maps A and B of a code c (Brock et al. 2019, fig. 15)."""

    def __init__(self, features: int, size: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(features, affine=False)
        self.gain, self.bias = nn.Linear(size, features, bias=False), nn.Linear(size, features, bias=False)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """``condition`` holds codes, ``(n, size)``."""
        return _modulate(self.norm(x), 1 + self.gain(condition), self.bias(condition))


def _modulate(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    return torch.addcmul(bias[:, :, None, None], gain[:, :, None, None], x)
