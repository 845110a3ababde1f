"""Series: what a sample of them is, and how it lies in one tensor.

A sample is a matrix ``(rows, length)`` of numbers in [-1, 1]. Its rows are, in this order: the channels, each scaled by
its range in the data; where lengths differ a flag, 1 as long as the series goes on and -1 after its end, where channels
are 0; and each number of its encoded attributes (`sparring.core.columns`), the same at every step.
"""

from dataclasses import dataclass
from functools import cached_property

from sparring.core.columns import Column, Layout


@dataclass(frozen=True)
class Channel:
    """One thing that is measured at every step.

    Attributes:
        name: its heading.
        minimum, maximum: of its values in the training data; samples stay within. Equal ones: a constant.
        decimals: to which values are rounded; -1 for numbers without a last decimal.
    """

    name: str
    minimum: float
    maximum: float
    decimals: int = -1

    @property
    def label(self) -> str:
        """``channel, 49.7 to 1287.6`` for a person."""
        if self.minimum == self.maximum:
            return f"channel, always {self.minimum:g}"
        return f"channel, {self.minimum:g} to {self.maximum:g}"


@dataclass(frozen=True)
class Series:
    """All that encodes and decodes a sample.

    Attributes:
        channels: what is measured.
        attributes: what is said of a series as a whole, columns of a table with a row a series.
        flags: whether lengths differ.
        stride: steps from one window to the next where samples are windows of longer series, in their order; 0 where
            each is a series of its own.
    """

    channels: tuple[Channel, ...]
    attributes: tuple[Column, ...] = ()
    flags: bool = False
    stride: int = 0

    @cached_property
    def layout(self) -> Layout:
        """Where the attributes' numbers lie among their rows."""
        return Layout(self.attributes)

    @property
    def rows(self) -> int:
        """Rows of a sample."""
        return len(self.channels) + self.flags + self.layout.width

    def overlap(self, length: int) -> int:
        """How many of the samples that follow one share steps with it."""
        return (length - 1) // self.stride if self.stride else 0
