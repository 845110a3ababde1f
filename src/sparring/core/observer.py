"""Seats around the ring: probes read, controllers write declared buffers, watchers tell people."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from sparring.core.batch import Batch, Outcome
from sparring.core.game import Game, Turn
from sparring.core.look import Look


class Probe(ABC):
    """Reads, never writes. Sees every outcome after its backward pass, and samples of fixed seeds at each look."""

    # Whether `see` reads ``outcome.fake.grad``, G's gradient at the fakes, which the engine keeps for it then.
    needs_fake_gradient: bool = False

    def see(self, turn: Turn, batch: Batch, outcome: Outcome) -> None:
        """Called once per microbatch; must not read a number off the device."""

    def look(self, look: Look) -> None:
        """Called now and then, before a tick. It may take as long as a step or two of training."""

    @abstractmethod
    def report(self) -> dict[str, float]:
        """Called at each tick: named readings since the last one; what is not finite is left out of the log."""

    def state(self) -> dict[str, Tensor]:
        """What the next looks are compared with, saved with the weights and given back to `load`."""
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned; it may be empty, as where the run was watched by nobody so far."""


class Controller(ABC):
    """Acts after a turn by writing what it declares of the game, buffers as a rule; they are saved with the weights."""

    @abstractmethod
    def buffers(self, game: Game) -> tuple[str, ...]:
        """Names (as in ``game.named_buffers()``) of what this controller writes. The engine checks that they exist."""

    def parameters(self, game: Game) -> tuple[str, ...]:
        """Names (as in ``game.named_parameters()``) of weights that it writes, such as a critic's that it clips.

        For what no loss can say: a projection that follows the optimiser's step. It writes them after turns in which
        their player moved, and at no other time.
        """
        return ()

    def measure(self, turn: Turn, outcome: Outcome) -> Tensor | None:
        """What `act` needs to know of one microbatch; summed over all microbatches of the turn, on all processes.

        Whether it is None may depend on the turn alone. Must not read a number off the device.
        """
        return None

    @abstractmethod
    def act(self, game: Game, turn: Turn, measured: Tensor | None, nimg: int) -> None:
        """Called once after each turn has stepped, with the sum of what was measured: the same on every process.

        ``nimg`` is the images shown before this step.
        """

    def terms(self, game: Game) -> dict[str, Tensor]:
        """Named scalars worth logging, asked for after each step. Must not read a number off the device."""
        return {}


@dataclass(frozen=True)
class Tick:
    """What is known at a tick.

    Attributes:
        nimg, total_nimg: images shown so far, and at the run's end.
        seconds: since the tick before.
        images_per_second: over those seconds.
        memory_mb: peak memory of this process, or of the device on CUDA, in MB.
        terms: means since the tick before: ``D.discriminator/loss``, ``.../real_logits``, ``probe/diversity``.
    """

    nimg: int
    total_nimg: int
    seconds: float
    images_per_second: float
    memory_mb: float
    terms: dict[str, float] = field(default_factory=dict)

    @property
    def eta_seconds(self) -> float:
        """Seconds left at the present speed."""
        return (self.total_nimg - self.nimg) / max(self.images_per_second, 1e-9)


class Watcher(ABC):
    """Tells people. One that fails is reported and left out; it never stops a run."""

    def start(self, nimg: int, total_nimg: int) -> None:
        """Training begins, or goes on, at ``nimg``."""

    @abstractmethod
    def tick(self, tick: Tick) -> None:
        """New numbers."""

    def event(self, kind: str, message: str, **details: Any) -> None:
        """Something worth telling happened."""

    def picture(self, path: Path, nimg: int) -> None:
        """A new sample grid lies at ``path``."""

    def finish(self) -> None:
        """Training has left the ring, for whatever reason."""
