"""What is known of a run so far: the readings of its log, in order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sparring.core.readings import PREFIX


@dataclass(frozen=True)
class Context:
    """What rules must know of a run beside its readings.

    Attributes:
        total_nimg: images at the run's end.
        batch: images per step.
        loss: name of the adversarial loss, as ``--game.loss`` spells it; empty where the family has none of these.
        count: training samples.
        conditional: whether samples are made by class.
    """

    total_nimg: int
    batch: int
    loss: str = ""
    count: int = 0
    conditional: bool = False


@dataclass(frozen=True)
class Series:
    """One quantity over the run: ``nimg`` (images shown) and ``values``, oldest first; lines without it left out."""

    nimg: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def last(self, count: int) -> "Series":
        """The newest ``count``."""
        return Series(self.nimg[-count:], self.values[-count:])


@dataclass
class History:
    """Terms of each tick, oldest first; what a rule judges by. The same from a live run and from its ``log.jsonl``."""

    context: Context
    ticks: list[tuple[int, Mapping[str, float]]] = field(default_factory=list)

    def add(self, nimg: int, terms: Mapping[str, float]) -> None:
        """Append a tick; what a run that was set back had seen beyond it is forgotten."""
        while self.ticks and self.ticks[-1][0] >= nimg:
            self.ticks.pop()
        self.ticks.append((nimg, terms))

    @staticmethod
    def of_log(context: Context, records: Iterable[Mapping[str, Any]]) -> "History":
        """From the lines of ``log.jsonl``; what is no number in them is left out."""
        history = History(context)
        for record in records:
            terms = {k: float(v) for k, v in record.get("terms", {}).items() if isinstance(v, int | float)}
            history.add(int(record["nimg"]), terms)
        return history

    @property
    def nimg(self) -> int:
        """Images shown at the newest tick; 0 before any."""
        return self.ticks[-1][0] if self.ticks else 0

    def reading(self, name: str) -> Series:
        """A probe's reading, such as ``diversity``."""
        return self.term(PREFIX + name)

    def term(self, name: str) -> Series:
        """Any logged term by its full name, such as ``D.discriminator/loss``."""
        found = [(nimg, terms[name]) for nimg, terms in self.ticks if name in terms]
        return Series(tuple(nimg for nimg, _ in found), tuple(value for _, value in found))

    def turns(self, term: str) -> dict[str, Series]:
        """A term of every turn that logs it: ``turns("gradient_norm")["G.generator"]``."""
        names = {key for _, terms in self.ticks for key in terms if key.endswith(f"/{term}") and "." in key}
        return {name.removesuffix(f"/{term}"): self.term(name) for name in sorted(names)}
