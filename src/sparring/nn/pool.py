"""Fakes of earlier steps for D to judge beside fresh ones (Shrivastava et al. 2017; Zhu et al. 2017, sec. 4)."""

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Up to ``size`` pictures of one shape, in a buffer, so that a resumed run finds them again.

    Until it is full, fresh pictures are kept and handed back. Then each is handed back half of the time; else an
    earlier one is, and the fresh one takes its place.
    """

    pictures: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]):
        super().__init__()
        self.size = size
        self.register_buffer("pictures", torch.zeros(size, *shape))

    @torch.no_grad()
    def exchange(self, fresh: Tensor, coin: Tensor, place: Tensor, seen: int) -> Tensor:
        """What D is to judge for ``fresh`` ``(n, *shape)``.

        Args:
            coin, place: ``(n,)``, uniform in [0, 1): whether to exchange, and with which picture.
            seen: pictures that were offered before, by which it is known how full it is.
        """
        if self.size == 0:
            return fresh
        given = []
        for index, picture in enumerate(fresh.to(self.pictures.dtype)):
            if seen + index < self.size:
                self.pictures[seen + index] = picture
                given.append(picture)
                continue
            slot = (place[index : index + 1] * self.size).long()
            kept, stays = self.pictures[slot][0], coin[index] < 0.5
            self.pictures[slot] = torch.where(stays, kept, picture)[None]
            given.append(torch.where(stays, picture, kept))
        return torch.stack(given)
