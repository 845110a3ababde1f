"""The texts of a column, read as numbers in one way and summed up in bounded memory."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sparring.core.cells import WITH_COMMA, decimals_of, is_number, to_time

PLAIN, COMMA = "", ","  # ways to read numbers; any other way is the format of dates
SAMPLE = 20_000  # numbers kept for the mixture


def number_of(text: str, way: str) -> float | None:
    """The number that a text is; None where it is none in this way."""
    if way == COMMA and WITH_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if way in (PLAIN, COMMA):
        return float(text) if is_number(text) else None
    return to_time(text, way)


@dataclass
class Reading:
    """Numbers, and how many texts are none.

    Attributes:
        way: `PLAIN`, `COMMA`, or the format of dates.
        others: cells that are no numbers in this way.
        decimals: as of `Column`.
        sample: numbers, thinned evenly.
    """

    way: str = PLAIN
    others: int = 0
    decimals: int = 0
    minimum: float = float("inf")
    maximum: float = float("-inf")
    sample: list[NDArray[np.float64]] = field(default_factory=list)
    stride: int = 1

    @staticmethod
    def of(texts: Counter[str], way: str) -> "Reading":
        """All texts, counted, and none of them thinned out."""
        reading = Reading(way)
        numbers = reading._read(texts)
        counts = np.array([texts[text] for text in numbers], np.int64)
        reading.sample = [np.array(list(numbers.values()), np.float64).repeat(counts)]
        return reading

    def see(self, counts: Counter[str], cells: Sequence[str]) -> list[str]:
        """Take in cells, those among them that ``counts`` counts; returns the texts that are no numbers."""
        numbers = self._read(counts)
        if numbers:
            self._keep(np.array([numbers[cell] for cell in cells if cell in numbers]))
        return [text for text in counts if text not in numbers]

    def numbers(self) -> NDArray[np.float64]:
        """The sample, float64 ``(n,)``."""
        return np.concatenate(self.sample) if self.sample else np.empty(0)

    def _read(self, counts: Counter[str]) -> dict[str, float]:
        numbers = {text: number for text in counts if (number := number_of(text, self.way)) is not None}
        self.others += sum(count for text, count in counts.items() if text not in numbers)
        if numbers:
            self.minimum = min(self.minimum, *numbers.values())
            self.maximum = max(self.maximum, *numbers.values())
        if self.way in (PLAIN, COMMA):
            found = decimals_of(text.replace(",", ".") for text in numbers)
            self.decimals = -1 if -1 in (found, self.decimals) else max(found, self.decimals)
        return numbers

    def _keep(self, numbers: NDArray[np.float64]) -> None:
        self.sample.append(numbers[:: self.stride])
        while sum(map(len, self.sample)) > 2 * SAMPLE:
            self.sample = [np.concatenate(self.sample)[::2]]
            self.stride *= 2
