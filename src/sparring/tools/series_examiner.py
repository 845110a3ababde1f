"""What series are measured against."""

from types import ModuleType
from typing import ClassVar

import torch
from torch import Tensor

from sparring.metrics.series.judges import evenly
from sparring.metrics.series.statistics import blocks_of
from sparring.metrics.sets import series
from sparring.metrics.suite import Sample
from sparring.tools.plain_examiner import PlainExaminer


class SeriesExaminer(PlainExaminer):
    """Measures series. What it compares shares no step of time with what it is compared with."""

    set: ClassVar[ModuleType] = series
    things = "series"
    most_trained = 20_000

    def learnt(self, train: Sample, count: int) -> Sample:
        return Sample(evenly(train.images, min(len(train), count)))

    def parts(self, reference: Sample) -> tuple[tuple[Sample, Sample], str]:
        one, other, blocks = sides_in_time(reference, self.overlap(len(reference)))
        words = (
            f"every other of {blocks} blocks of the reference against the rest, {len(one):,} and {len(other):,} series"
        )
        return (one, other), words

    def overlap(self, count: int) -> int:
        spec = self.reals.reference.spec
        assert spec.series is not None
        return thinned(spec.series.overlap(spec.shape[1]), count, len(self.reals.reference))


def thinned(overlap: int, kept: int, total: int) -> int:
    """How many overlap with one before them where ``kept`` of ``total`` samples stay, at equal distances."""
    return -(-overlap * kept // total)


def sides_in_time(sample: Sample, overlap: int) -> tuple[Sample, Sample, int]:
    """Every other block of the series in their order, and the rest; none of one shares steps with any of the other.

    At the seams as many are left out as ``overlap``, unless that would leave nothing. There are ten blocks, fewer where
    these would be shorter than twice the overlap, and two at least; how many comes third.
    """
    parts: tuple[list[Tensor], list[Tensor]] = ([], [])
    blocks = max(2, min(10, len(sample) // max(2 * overlap, 1)))
    for number, block in enumerate(blocks_of(len(sample), blocks)):
        last = max(block.stop - overlap, block.start + 1)
        parts[number % 2].append(sample.images[block.start : last])
    one, other = (Sample(torch.cat(side)) for side in parts)
    return one, other, blocks
