"""Real samples that need no feature network, read once; any number of generators is measured against them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import ClassVar

import torch
from torch import Tensor

import sparring
from sparring.core.cluster import Cluster
from sparring.core.errors import SparringError
from sparring.core.game import Game
from sparring.data import DataSet
from sparring.data.parallel import Progress
from sparring.metrics.protocol import Protocol, Score
from sparring.metrics.suite import Metric, Sample, Sides, choose, measure
from sparring.tools.reals import Reals
from sparring.tools.sample import CHUNK, draw


class PlainExaminer(ABC):
    """Measures rows or series as `Examiner` does pictures. A subclass says by what, and what is compared for control.

    Args:
        reals: what they are compared with.
        most: samples on each side, at most.
        seed: of the metrics' random choices.
        cluster: the processes that divide the drawing; each ends with all samples.
    """

    set: ClassVar[ModuleType]  # a room of `sparring.metrics.sets`
    things: ClassVar[str]  # what samples are called
    most_trained: ClassVar[int]  # samples that were learnt from, at most

    def __init__(
        self, reals: Reals, most: int, seed: int, progress: Progress | None = None, cluster: Cluster | None = None
    ):
        self.reals, self.most, self.seed, self.progress = reals, most, seed, progress
        self.cluster = cluster or Cluster()
        self.notes = tuple(reals.notes)
        reference = self.read(reals.reference, most)
        train = None
        if reals.train is not None:
            train = reference if reals.train is reals.reference else self.read(reals.train, self.most_trained)
        if reals.held_out and train is not None:
            null = self.learnt(train, len(reference)), reference
            words = f"{len(null[0]):,} {self.things} learnt from against the {len(reference):,} held out"
        else:
            null, words = self.parts(reference)
        self.sides = Sides(
            *(reference, null, words, train, reals.held_out),
            seed=seed,
            spec=reals.reference.spec,
            overlap=self.overlap(len(reference)),
        )

    @abstractmethod
    def learnt(self, train: Sample, count: int) -> Sample:
        """At most ``count`` of those that were learnt from, to compare with held-out ones."""

    @abstractmethod
    def parts(self, reference: Sample) -> tuple[tuple[Sample, Sample], str]:
        """Where none is held out: two parts of the reference to compare with each other, and which they are."""

    def overlap(self, count: int) -> int:
        """How many that follow one share something with it, of ``count`` of the reference at equal distances."""
        return 0

    def kept(self, samples: Tensor, game: Game) -> Tensor:
        """Samples as they are compared."""
        return samples

    def further(self) -> list[Metric]:
        """Metrics that were asked for apart from those of the room."""
        return []

    def read(self, data: DataSet, most: int) -> Sample:
        """Evenly spaced ones in their order, as data sets keep them, at most ``most``."""
        places = torch.linspace(0, len(data) - 1, min(most, len(data)), dtype=torch.float64).long()
        return Sample(data.get(places)[0])

    def draw(self, game: Game, seeds: range) -> Sample:
        """Samples of a game in eval mode. Raises `SparringError` where they are not finite."""
        parts: list[Tensor] = []
        share = self.cluster.share(len(seeds), CHUNK)
        for samples in draw(game, seeds[share.start : share.stop]):
            if not bool(samples.isfinite().all()):
                raise SparringError(f"the generator makes {self.things} that are not finite: its weights are broken")
            parts.append(self.kept(samples, game).cpu())
            if self.progress:
                self.progress(f"draw {self.things}", sum(map(len, parts)), len(share))
        return replace(Sample(self.cluster.join(torch.cat(parts), len(seeds), CHUNK)), game=game)

    def examine(self, fakes: Sample, seeds: str, keys: Sequence[str] = ()) -> tuple[list[Score], list[str]]:
        """Scores of samples, and what was left out, in words; see `Examiner.examine`."""
        available = self.sides.available(fakes)
        metrics, left_out = choose(self.set.METRICS, keys, available)
        further, without = choose(self.further(), (), available)
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
        scores, more = measure([*metrics, *further], fakes, self.sides, protocol, bool(keys), self.progress)
        return scores, [*left_out, *without, *more]
