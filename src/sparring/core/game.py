"""A game: players who take turns."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, Train
from sparring.core.privacy import Private
from sparring.core.rewritten import Rewritten
from sparring.core.spec import DataSpec

if TYPE_CHECKING:
    from sparring.core.observer import Controller


@dataclass(frozen=True)
class Turn:
    """Who moves, on which loss, how often.

    Attributes:
        players: one name, or several that move together on one loss.
        loss: ``loss(batch) -> Outcome``. It calls networks and pure functions; it never steps, backpropagates or reads
            a number off the device.
        every: played at every so many steps. 16 is lazy regularisation; the loss then says ``16 *`` itself.
        times: played so many times in a row, each with fresh data. 5 is an n-critic of 5.
    """

    players: str | tuple[str, ...]
    loss: Callable[[Batch], Outcome]
    every: int = 1
    times: int = 1

    @property
    def movers(self) -> tuple[str, ...]:
        """The players as a tuple."""
        return (self.players,) if isinstance(self.players, str) else self.players

    @property
    def name(self) -> str:
        """``"D.discriminator"``: the movers and the loss, as logs and error messages call this turn."""
        return f"{'+'.join(self.movers)}.{getattr(self.loss, '__name__', 'loss')}"


@dataclass(frozen=True)
class NoSettings:
    """The settings of a game that has none."""


class Game(Rewritten, nn.Module, ABC):
    """One GAN family. A subclass is final, and its docstring names the paper and the command that trains it.

    A family says who plays (`players`), when and on what (`turns`), and how samples are made (`sample`). It never
    steps an optimiser, knows no device and no file: that is the engine's business.
    """

    # The kinds of data it is for, rooms in ``sparring.modalities``.
    modalities: ClassVar[tuple[str, ...]] = ("image",)
    config_class: ClassVar[type] = NoSettings
    # Why k microbatches are not exactly one large batch, e.g. "BatchNorm: statistics are per microbatch".
    not_accumulable: ClassVar[str | None] = None
    # Why `--train.augment` has no place here, e.g. "D sees changed pictures always".
    not_augmentable: ClassVar[str | None] = None
    # Whether batch, width and augmentation follow the data and the machine; else a paper's settings stay as they are.
    fitted: ClassVar[bool] = False
    # Whether `sample` heeds ``batch.truncation``: less varied, more typical samples.
    truncates: ClassVar[bool] = False

    # Which of `sparring.objectives.adversarial.LOSSES` it plays, where no setting ``loss`` chooses one.
    plays: ClassVar[str] = ""

    # Whether rows of a table are dealt with a condition that they meet, in ``batch.given``, rare ones often.
    asks: ClassVar[bool] = False
    # Whether samples are made from something that a person gives, such as a picture to translate; see `give`.
    gives: ClassVar[bool] = False
    # How much larger than what is given, in pixels a side, such a sample is.
    scale: int = 1

    def __init__(self, spec: DataSpec, config: Any):
        super().__init__()
        self.spec, self.config = spec, config

    @abstractmethod
    def players(self) -> dict[str, nn.Module]:
        """Named modules, one optimiser each. Together they hold every trained parameter."""

    @abstractmethod
    def turns(self, nimg: int) -> list[Turn]:
        """The schedule at ``nimg`` images shown. Pure: the same ``nimg`` gives the same schedule."""

    @abstractmethod
    def sample(self, batch: Batch) -> Tensor:
        """Samples ``(n, *spec.shape)`` in [-1, 1] from the batch's noise and labels alone."""

    def give(self, batch: Batch) -> Tensor | None:
        """What `sample` is to find in ``batch.given``, of real data: as it was dealt, or made of ``batch.real``, as a
        picture made smaller for super-resolution is.
        """
        return batch.given

    def show(self, batch: Batch) -> Tensor:
        """What a person looks at while training; the samples unless the family has more to show."""
        return self.sample(batch)

    def averaged(self) -> tuple[str, ...]:
        """The players whose weights are averaged (EMA) and which `sample` needs."""
        return ("G",)

    def judges(self) -> tuple[str, ...]:
        """The players that score samples, given to them first of all arguments; ``--train.augment`` changes what they
        see, ``--train.freeze_d`` holds their first layers.
        """
        return ("D",)

    def boundary(self, judge: str) -> float | None:
        """The logit at which ``judge`` is undecided, by which ``--train.augment ada`` reads ``Outcome.real_logits``.

        None where a logit means nothing by itself. Unless a family says otherwise, that of its ``self.loss``.
        """
        boundary: float | None = getattr(getattr(self, "loss", None), "boundary", None)
        return boundary

    def optimisers(self) -> dict[str, Optim]:
        """The paper's optimiser for each player."""
        return {name: Optim() for name in self.players()}

    def controllers(self) -> "list[Controller]":
        """Who writes buffers or weights of this game while it is played, such as one who clips a critic's."""
        return []

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        """Settings that this family wants for such data, e.g. ``{"train": {"kimg": 60}}``; a person's settings win."""
        return {}

    @classmethod
    def narrow(cls, spec: DataSpec) -> Settings:
        """Of a family that is `fitted`: settings by which a CPU gets further with such data."""
        return {}

    @classmethod
    def wide(cls, spec: DataSpec) -> Settings:
        """Of a family that is `fitted`: settings for plenty of data on a large accelerator."""
        return {}

    @classmethod
    def scaled(cls, spec: DataSpec, train: Train) -> Settings:
        """Settings in proportion to the batch, such as a penalty's strength; asked when ``train`` is settled."""
        return {}

    @classmethod
    def implied(cls, spec: DataSpec, config: Any, train: Train) -> list[tuple[Settings, str]]:
        """Settings that follow from others, such as noise from a privacy budget, and why; a person's settings win."""
        return []

    @classmethod
    def private(cls, config: Any) -> Private | None:
        """By what it learns with differential privacy, if it does; then each batch is a subset drawn anew."""
        return None

    @classmethod
    def conditional(cls, config: Any) -> bool:
        """Whether samples are made by class under these settings."""
        return False

    @classmethod
    def refuse(cls, spec: DataSpec, config: Any, train: Train) -> None:
        """Raise `SparringError` for a run that could not succeed, such as one too short for the schedule."""

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Any]:
        """A spec and settings small enough for the conformance suite to play in seconds."""
        return DataSpec("image", (1, 8, 8), count=64), cls.config_class()
