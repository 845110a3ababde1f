"""Real rows of a table, read once; samples of any number of generators can be measured against them."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

import sparring
from sparring.core.cluster import Cluster
from sparring.core.columns import Layout
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.folder import RunFolder
from sparring.core.game import Game
from sparring.core.rows import Rows, compact
from sparring.data import DataSet
from sparring.data.parallel import Progress
from sparring.data.table.schema import read_schema
from sparring.metrics.protocol import Protocol, Score
from sparring.metrics.sets import table
from sparring.metrics.suite import Sample, Sides, choose, halves, measure
from sparring.tools.reals import Reals
from sparring.tools.sample import CHUNK, draw

MOST_TRAINED = 50_000  # rows that were learnt from, at most


class TableExaminer:
    """Measures samples of a table, as `Examiner` does pictures; rows need no feature network.

    Args:
        reals: what they are compared with.
        most: rows on each side, at most.
        seed: of the metrics' random choices.
        by: columns that say who people are, of which fairness and attribute inference are measured.
        cluster: the processes that divide the drawing; each ends with all rows.
    """

    def __init__(
        self,
        reals: Reals,
        most: int,
        seed: int,
        progress: Progress | None = None,
        cluster: Cluster | None = None,
        by: Sequence[str] = (),
    ):
        self.reals, self.most, self.seed, self.progress, self.by = reals, most, seed, progress, tuple(by)
        known = [column.name for column in reals.reference.spec.columns]
        for name in self.by:
            if name not in known:
                raise SparringError(f"there is no column '{name}' to compare people by{did_you_mean(name, known)}")
        self.cluster = cluster or Cluster()
        self.notes, self.set = tuple(reals.notes), table
        reference = self.read(reals.reference, most)
        train = None
        if reals.train is not None:
            train = reference if reals.train is reals.reference else self.read(reals.train, MOST_TRAINED)
        if reals.held_out and train is not None:
            some = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
            null = train.take(some[: len(reference)].sort().values), reference
            words = f"{len(null[0]):,} rows learnt from against the {len(reference):,} held out"
        else:
            null = halves(reference, seed)
            words = f"two halves of the reference, {len(null[0]):,} against {len(null[1]):,}"
        self.sides = Sides(reference, null, words, train, reals.held_out, seed=seed, spec=reals.reference.spec)

    def read(self, data: DataSet, most: int) -> Sample:
        """Evenly spaced rows, compact, at most ``most``."""
        places = torch.linspace(0, len(data) - 1, min(most, len(data)), dtype=torch.float64).long()
        return Sample(data.get(places)[0])

    def draw(self, game: Game, seeds: range) -> Sample:
        """Rows of a game in eval mode."""
        parts: list[Tensor] = []
        layout = Layout(game.spec.columns)
        share = self.cluster.share(len(seeds), CHUNK)
        for samples in draw(game, seeds[share.start : share.stop]):
            if not bool(samples.isfinite().all()):
                raise SparringError("the generator makes rows that are not finite: its weights are broken")
            parts.append(compact(samples, layout).cpu())
            if self.progress:
                self.progress("draw rows", sum(map(len, parts)), len(share))
        return replace(Sample(self.cluster.join(torch.cat(parts), len(seeds), CHUNK)), game=game)

    def rows(self, fakes: Sample) -> tuple[Rows, Rows]:
        """The reference and samples, decoded."""
        return table.rows_of(self.sides.reals, self.sides), table.rows_of(fakes, self.sides)

    def examine(self, fakes: Sample, seeds: str, keys: Sequence[str] = ()) -> tuple[list[Score], list[str]]:
        """Scores of samples, and what was left out, in words; see `Examiner.examine`."""
        available = self.sides.available(fakes)
        metrics, left_out = choose(self.set.METRICS, keys, available)
        named, without = choose([metric for name in self.by for metric in self.set.by_column(name)], (), available)
        protocol = Protocol(
            metric="",
            data=self.reals.reference.fingerprint,
            reals=len(self.sides.reals),
            fakes=len(fakes),
            split=self.reals.split,
            seeds=seeds,
            seed=self.seed,
            code=sparring.__version__,
        )
        scores, more = measure([*metrics, *named], fakes, self.sides, protocol, bool(keys), self.progress)
        return scores, [*left_out, *without, *more]


def protected(folder: RunFolder, reals: Reals) -> tuple[str, ...]:
    """The columns that a run's schema calls protected; none where its training data is not known.

    Raises:
        SparringError: for a schema that is gone or cannot be read.
    """
    if reals.train is None or not folder.exists:
        return ()
    return read_schema(folder.read_recipe()["data"]["schema"]).protected
