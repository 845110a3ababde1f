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
        spec = self.reals.reference.spec
        one, other = sides_in_time(reference, spec.series.overlap(spec.shape[1]) if spec.series else 0)
        words = f"every other tenth of the reference against the rest, {len(one):,} and {len(other):,} series"
        return (one, other), words


def sides_in_time(sample: Sample, overlap: int) -> tuple[Sample, Sample]:
    """Every other tenth of the series in their order, and the rest; none of one shares steps with any of the other.

    At the seams as many are left out as ``overlap``, unless that would leave nothing.
    """
    parts: tuple[list[Tensor], list[Tensor]] = ([], [])
    for number, block in enumerate(blocks_of(len(sample))):
        last = max(block.stop - overlap, block.start + 1)
        parts[number % 2].append(sample.images[block.start : last])
    one, other = (Sample(torch.cat(side)) for side in parts)
    return one, other
