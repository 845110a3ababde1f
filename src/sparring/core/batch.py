"""What a turn is dealt, and what its loss returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from sparring.core.seeds import Noise, SeedNoise

Make = Callable[["Batch"], Tensor]
Share = Callable[["Batch", str, Make], Tensor]


def _make_afresh(batch: "Batch", player: str, make: Make) -> Tensor:
    return make(batch)


@dataclass
class Batch:
    """One microbatch.

    Attributes:
        real: real samples ``(n, *spec.shape)`` in [-1, 1]; when sampling, an empty ``(n, 0)`` tensor.
        labels: int64 ``(n,)``, or None where the data has none. Fakes are made and judged with the same labels.
        nimg: images shown before this step.
        random: where its random numbers come from.
        given: what samples are made from besides noise ``(n, *spec.given)``, such as pictures to translate; None where
            the data has nothing of the kind.
        truncation: how close to the typical samples are to keep, for families with `Game.truncates`, which say how;
            None: the whole distribution.
    """

    real: Tensor
    labels: Tensor | None
    nimg: int
    random: Noise
    truncation: float | None = None
    given: Tensor | None = None
    _share: Share = _make_afresh

    @property
    def size(self) -> int:
        """How many samples."""
        return len(self.real)

    def noise(self, *shape: int) -> Tensor:
        """Fresh standard normal noise ``(n, *shape)``."""
        return self.random.normal(*shape)

    def uniform(self, *shape: int) -> Tensor:
        """Fresh uniform noise ``(n, *shape)`` in [0, 1)."""
        return self.random.uniform(*shape)

    def share(self, player: str, make: Make) -> Tensor:
        """What ``player`` makes of this batch, made once for all turns of the step that ask for it.

        ``make(batch)`` may use no player but ``player``. The turn in which ``player`` moves gets a result with a graph
        behind it, any other turn the same values detached: the fakes that D judges are the fakes that G learns from.
        """
        return self._share(self, player, make)

    @staticmethod
    def of_seeds(
        seeds: Sequence[int],
        labels: Tensor | None,
        device: torch.device,
        truncation: float | None = None,
        given: Tensor | None = None,
    ) -> "Batch":
        """A batch to sample from: no reals, one noise generator per seed."""
        labels, given = (None if tensor is None else tensor.to(device) for tensor in (labels, given))
        real = torch.empty(len(seeds), 0, device=device)
        return Batch(real, labels, 0, SeedNoise(seeds, device), truncation, given)


@dataclass
class Outcome:
    """What a turn's loss returns.

    Attributes:
        loss: scalar, what the movers minimise, a mean over the microbatch.
        terms: named scalars worth logging. They stay tensors; the engine detaches them and reads them at a tick.
        real_logits, fake_logits: the discriminator's raw scores ``(n, ...)``, for the probes; None where it has none.
        fake: the fakes that were judged, for the probes.
    """

    loss: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)
    real_logits: Tensor | None = None
    fake_logits: Tensor | None = None
    fake: Tensor | None = None


class Deal(NamedTuple):
    """What a dealer deals: see `Batch` for the three."""

    real: Tensor
    labels: Tensor | None = None
    given: Tensor | None = None


class Dealer(Protocol):
    """Deals real data. Position is counted in images, so the order does not depend on how it is cut into batches."""

    def deal(self, first: int, count: int) -> Deal:
        """Samples ``first`` to ``first + count`` of the endless shuffled stream, on the device, in [-1, 1]."""

    def close(self) -> None:
        """Let go of reading processes, if there are any."""
