"""Dropout whose masks are bytes of random numbers."""

import torch
from torch import Tensor, nn

from sparring.core.rewritten import Rewritten


class Dropout(Rewritten, nn.Dropout):
    """``nn.Dropout``. On a CPU, where p is so many 256ths, eight values share one random number of 64 bits.

    The distribution is the same to the last bit of p; the stream of random numbers is another.
    """

    def forward(self, x: Tensor) -> Tensor:
        by_bytes = (256 * self.p).is_integer() and 0 < self.p < 1 and x.device.type == "cpu"
        if self.reference or not by_bytes or not self.training:
            return super().forward(x)
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)  # all 64 bits
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= int(256 * self.p)
        return x * kept.to(x.dtype).mul_(1 / (1 - self.p))
