"""What is known of a run so far: the readings of its log, in order."""

import math
from collections.abc import Iterable, Iterator, Mapping
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
        conditional: whether samples are made by class; False for a family outside the registry.
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
    """Terms of each tick, oldest first; what a rule judges by. The same from a live run and from its ``log.jsonl``.

    A value that is not finite is NaN in `ticks`, since the log does not tell them apart, and left out of a `Series`.
    """

    context: Context
    ticks: list[tuple[int, Mapping[str, float]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        given, self.ticks = self.ticks, []
        self._columns: dict[str, tuple[list[int], list[float]]] = {}
        for nimg, terms in given:
            self.add(nimg, terms)

    def add(self, nimg: int, terms: Mapping[str, float]) -> None:
        """Append a tick; what a run that was set back had seen beyond it is forgotten."""
        while self.ticks and self.ticks[-1][0] >= nimg:
            _, lost = self.ticks.pop()
            for name, value in lost.items():
                if math.isfinite(value):
                    nimgs, values = self._columns[name]
                    nimgs.pop()
                    values.pop()
        self.ticks.append((nimg, {k: v if math.isfinite(v) else math.nan for k, v in terms.items()}))
        for name, value in terms.items():
            if math.isfinite(value):
                nimgs, values = self._columns.setdefault(name, ([], []))
                nimgs.append(nimg)
                values.append(value)

    @staticmethod
    def of_log(context: Context, records: Iterable[Mapping[str, Any]]) -> "History":
        """From the lines of ``log.jsonl``; null, which stands for what was not finite, is NaN."""
        return History(context, list(ticks_of(records)))

    @property
    def nimg(self) -> int:
        """Images shown at the newest tick; 0 before any."""
        return self.ticks[-1][0] if self.ticks else 0

    @property
    def progress(self) -> float:
        """Share of the run that is over."""
        return self.nimg / max(1, self.context.total_nimg)

    def newest(self, name: str) -> float | None:
        """A probe's reading at the newest tick; None where that tick has none, or it is not finite."""
        value = self.ticks[-1][1].get(PREFIX + name) if self.ticks else None
        return value if value is not None and math.isfinite(value) else None

    def reading(self, name: str) -> Series:
        """A probe's reading, such as ``diversity``."""
        return self.term(PREFIX + name)

    def term(self, name: str) -> Series:
        """Any logged term by its full name, such as ``D.discriminator/loss``."""
        nimgs, values = self._columns.get(name, ((), ()))
        return Series(tuple(nimgs), tuple(values))

    def turns(self, term: str) -> dict[str, Series]:
        """A term of every turn that logs it: ``turns("gradient_norm")["G.generator"]``."""
        names = [key for key in self._columns if key.endswith(f"/{term}") and "." in key]
        return {name.removesuffix(f"/{term}"): self.term(name) for name in sorted(names)}


def ticks_of(records: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, dict[str, float]]]:
    """Position and terms of each line of ``log.jsonl``; lines without a position, and what is no number, left out."""
    for record in records:
        nimg, terms = record.get("nimg"), record.get("terms")
        if isinstance(nimg, int | float) and isinstance(terms, Mapping):
            numbers = {str(k): math.nan if v is None else v for k, v in terms.items()}
            yield int(nimg), {k: float(v) for k, v in numbers.items() if isinstance(v, int | float)}
