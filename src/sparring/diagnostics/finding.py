"""What the referee says, and the rules that make it say so."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from sparring.diagnostics.history import History

Level = Literal["good", "warn", "critical"]


@dataclass(frozen=True)
class Sign:
    """What one rule sees at one look; the referee waits until signs agree before it speaks.

    Attributes:
        level: how bad it would be if it lasted.
        reading: name of the reading that shows it.
        value, threshold: of that reading, and where this level begins.
        evidence: a sentence with the numbers.
        against: names of readings that point the other way.
        sure: whether independent readings agree, so that fewer looks are enough.
    """

    level: Level
    reading: str
    value: float
    threshold: float
    evidence: str
    against: tuple[str, ...] = ()
    sure: bool = False


@dataclass(frozen=True)
class Finding:
    """A verdict: what is wrong, since when, what shows it, what to do.

    Attributes:
        name, title: of the rule, such as ``collapse`` and "Mode collapse".
        severity: ``good``, ``warn`` or ``critical``.
        reading, value, threshold, evidence, against: as in the newest `Sign`.
        since, nimg: images shown when the first sign of it was seen, and now.
        well: images shown at the last look without any sign of it; 0: there was none.
        confidence: share of the latest looks that agree, 0 to 1.
        remedy: one sentence: what to do.
    """

    name: str
    title: str
    severity: Level
    reading: str
    value: float
    threshold: float
    evidence: str
    since: int
    nimg: int
    confidence: float
    remedy: str
    against: tuple[str, ...] = ()
    well: int = 0


class Rule(ABC):
    """One kind of failure. A pure function of the history: the same log gives the same signs.

    Another package offers its own by the entry point ``sparring.rules``.
    """

    name: ClassVar[str]
    title: ClassVar[str]  # "Mode collapse", for headings
    remedy: ClassVar[str]
    # Good news: its sign has the level ``good``, is told as soon as it is seen, and None means that it is not so.
    hoped_for: ClassVar[bool] = False

    @abstractmethod
    def look(self, history: History) -> Sign | None:
        """What the newest tick shows: a sign of level ``good`` where all is well.

        None where nothing can be said: the newest tick lacks the readings that it takes, or it is too early.
        """
