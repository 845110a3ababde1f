"""What rows of a table are measured against."""

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import ClassVar

import torch
from torch import Tensor

from sparring.core.cluster import Cluster
from sparring.core.columns import Layout
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.folder import RunFolder
from sparring.core.game import Game
from sparring.core.rows import Rows, compact
from sparring.data.parallel import Progress
from sparring.data.table.schema import read_schema
from sparring.metrics.sets import table
from sparring.metrics.suite import Metric, Sample, halves
from sparring.tools.plain_examiner import PlainExaminer
from sparring.tools.reals import Reals


class TableExaminer(PlainExaminer):
    """Measures rows of a table, which are kept compact.

    Args:
        reals, most, seed, progress, cluster: as of `PlainExaminer`.
        by: columns that say who people are, of which fairness and attribute inference are measured.
    """

    set: ClassVar[ModuleType] = table
    things = "rows"
    most_trained = 50_000

    def __init__(
        self,
        reals: Reals,
        most: int,
        seed: int,
        progress: Progress | None = None,
        cluster: Cluster | None = None,
        by: Sequence[str] = (),
    ):
        known = [column.name for column in reals.reference.spec.columns]
        for name in by:
            if name not in known:
                raise SparringError(f"there is no column '{name}' to compare people by{did_you_mean(name, known)}")
        self.by = tuple(by)
        super().__init__(reals, most, seed, progress, cluster)
        if reals.train is not None and reals.train.pixels is not None:
            self.sides = replace(self.sides, learnt=Sample(reals.train.pixels))

    def learnt(self, train: Sample, count: int) -> Sample:
        some = torch.randperm(len(train), generator=torch.Generator().manual_seed(self.seed))
        return train.take(some[:count].sort().values)

    def parts(self, reference: Sample) -> tuple[tuple[Sample, Sample], str]:
        one, other = halves(reference, self.seed)
        return (one, other), f"two halves of the reference, {len(one):,} against {len(other):,}"

    def kept(self, samples: Tensor, game: Game) -> Tensor:
        return compact(samples, Layout(game.spec.columns))

    def further(self) -> list[Metric]:
        return [metric for name in self.by for metric in table.by_column(name)]

    def rows(self, fakes: Sample) -> tuple[Rows, Rows]:
        """The reference and samples, decoded."""
        return table.rows_of(self.sides.reals, self.sides), table.rows_of(fakes, self.sides)


def protected(folder: RunFolder, reals: Reals) -> tuple[str, ...]:
    """The columns that a run's schema calls protected; none where its training data is not known.

    Raises:
        SparringError: for a schema that is gone or cannot be read.
    """
    if reals.train is None or not folder.exists:
        return ()
    return read_schema(folder.read_recipe()["data"]["schema"]).protected
