"""Real series, read once; samples of any number of generators can be measured against them."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

import sparring
from sparring.core.cluster import Cluster
from sparring.core.errors import SparringError
from sparring.core.game import Game
from sparring.data import DataSet
from sparring.data.parallel import Progress
from sparring.metrics.protocol import Protocol, Score
from sparring.metrics.series.judges import evenly
from sparring.metrics.series.statistics import blocks_of
from sparring.metrics.sets import series
from sparring.metrics.suite import Sample, Sides, choose, measure
from sparring.tools.reals import Reals
from sparring.tools.sample import CHUNK, draw

MOST_TRAINED = 20_000  # series that were learnt from, at most


class SeriesExaminer:
    """Measures samples of series, as `Examiner` does pictures; no feature network is needed.

    Args:
        reals: what they are compared with.
        most: series on each side, at most.
        seed: of the metrics' random choices.
        cluster: the processes that divide the drawing; each ends with all series.
    """

    def __init__(
        self, reals: Reals, most: int, seed: int, progress: Progress | None = None, cluster: Cluster | None = None
    ):
        self.reals, self.most, self.seed, self.progress = reals, most, seed, progress
        self.cluster = cluster or Cluster()
        self.notes, self.set = tuple(reals.notes), series
        reference = self.read(reals.reference, most)
        train = None
        if reals.train is not None:
            train = reference if reals.train is reals.reference else self.read(reals.train, MOST_TRAINED)
        if reals.held_out and train is not None:
            null = Sample(evenly(train.images, min(len(train), len(reference)))), reference
            words = f"{len(null[0]):,} series learnt from against the {len(reference):,} held out"
        else:
            spec = reals.reference.spec
            null = sides_in_time(reference, spec.series.overlap(spec.shape[1]) if spec.series else 0)
            words = f"every other tenth of the reference against the rest, {len(null[0]):,} and {len(null[1]):,} series"
        self.sides = Sides(reference, null, words, train, reals.held_out, seed=seed, spec=reals.reference.spec)

    def read(self, data: DataSet, most: int) -> Sample:
        """Evenly spaced series in their order, at most ``most``."""
        places = torch.linspace(0, len(data) - 1, min(most, len(data)), dtype=torch.float64).long()
        return Sample(data.get(places)[0])

    def draw(self, game: Game, seeds: range) -> Sample:
        """Series of a game in eval mode."""
        parts: list[Tensor] = []
        share = self.cluster.share(len(seeds), CHUNK)
        for samples in draw(game, seeds[share.start : share.stop]):
            if not bool(samples.isfinite().all()):
                raise SparringError("the generator makes series that are not finite: its weights are broken")
            parts.append(samples.cpu())
            if self.progress:
                self.progress("draw series", sum(map(len, parts)), len(share))
        return replace(Sample(self.cluster.join(torch.cat(parts), len(seeds), CHUNK)), game=game)

    def examine(self, fakes: Sample, seeds: str, keys: Sequence[str] = ()) -> tuple[list[Score], list[str]]:
        """Scores of samples, and what was left out, in words; see `Examiner.examine`."""
        metrics, left_out = choose(self.set.METRICS, keys, self.sides.available(fakes))
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
        scores, more = measure(metrics, fakes, self.sides, protocol, bool(keys), self.progress)
        return scores, [*left_out, *more]


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
