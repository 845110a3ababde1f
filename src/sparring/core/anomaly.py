"""Scoring: what a game that has learnt what is normal can say of any sample."""

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from sparring.core.batch import Batch


class Abnormal(NamedTuple):
    """How abnormal samples are.

    Attributes:
        score: of each sample ``(n,)``, 0 or more; the larger, the less normal.
        map: of each of its numbers ``(n, *spec.shape)``, 0 or more: a pixel of a channel, a number of an encoded row.
        again: the sample as the game would have made it ``(n, *spec.shape)``, in [-1, 1].
    """

    score: Tensor
    map: Tensor
    again: Tensor


@runtime_checkable
class Scores(Protocol):
    """A `Game` that scores samples: ``sparring score`` asks for no more than this method.

    What is scored does not depend on the rest of its batch, and the same sample always has the same score.
    """

    def abnormal(self, batch: Batch) -> Abnormal:
        """Score ``batch.real``; called in eval mode, with no more weights than those of ``averaged()``."""
