"""What probes are shown now and then: samples of fixed seeds beside real data, as small as judging them allows."""

from dataclasses import dataclass

from torch import Tensor

from sparring.core.batch import Batch
from sparring.core.game import Game


@dataclass(frozen=True)
class View:
    """Samples or reals in a space that is the same for a whole run.

    Attributes:
        pixels: pictures shrunk to at most 16x16, ``(n, c, h, w)``; other data as it is, ``(n, *shape)``.
        features: coordinates ``(n, d)``: the principal components of the reals' pixels, or values as they are.
        labels: int64 ``(n,)`` the class of each, as asked for or as the data has it; None without classes.
    """

    pixels: Tensor
    features: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class Look:
    """One look at a run. All tensors but the batches' and the game's are on the CPU.

    Attributes:
        nimg: images shown so far.
        game: with the live weights. What a probe does to its buffers, modes and gradient flags is undone afterwards;
            its weights and their gradients are not to be touched.
        samples: ``(n, *shape)`` in [-1, 1] of seeds 0 to n - 1 by the averaged weights.
        averaged: the same, as seen in the space.
        live: of the first of these seeds, by the live weights.
        reals: up to 2,000 training samples, evenly spaced, the same at each look.
        held_out: reals that training never sees; None where none were kept apart.
        seen, unseen: batches to be judged, of training and of held-out reals, as large as training's microbatches;
            no held-out ones where none were kept apart. Their noise is the same for both.
    """

    nimg: int
    game: Game
    samples: Tensor
    averaged: View
    live: View
    reals: View
    held_out: View | None
    seen: tuple[Batch, ...]
    unseen: tuple[Batch, ...]
