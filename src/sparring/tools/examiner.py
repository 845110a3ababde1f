"""Real data, looked at once through one feature network; any number of generators can be measured against it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

import sparring
from sparring.core.cluster import Cluster
from sparring.core.errors import SparringError
from sparring.core.files import sha256
from sparring.core.game import Game
from sparring.core.seeds import draw_labels
from sparring.core.spec import DataSpec
from sparring.core.weights import find
from sparring.data import DataSet
from sparring.metrics import inception
from sparring.metrics.cache import extract_cached, together
from sparring.metrics.extractors import make_extractor
from sparring.metrics.features import BATCH, FitData, extract
from sparring.metrics.protocol import INCEPTION, Protocol, Score
from sparring.metrics.suite import Sample, Sides, choose, halves, measure, metric_set
from sparring.modalities import modality
from sparring.modalities.image import to_uint8
from sparring.tools.making import make_pictures, with_maps
from sparring.tools.reals import Reals
from sparring.tools.sample import draw

Progress = Callable[[str, int, int], None]
MOST_BYTES = 1 << 30  # of pictures kept on one side
MOST_FITTED = 20_000  # pictures that a feature network is fitted on
SMALL = 64  # pixels a side up to which a classifier fitted here sees enough


def choose_extractor(spec: DataSpec, weights: Path | None = None) -> tuple[str, str]:
    """A feature network for such data, and why."""
    if weights is not None or _has_inception():
        return INCEPTION, "its weights are there"
    classes = sum(count > 1 for count in spec.class_counts)
    if classes > 1 and spec.count >= 100 and min(spec.shape[1:]) >= 8 and max(spec.shape[1:]) <= SMALL:
        return "classifier", "the data has classes and small pictures: a classifier is fitted on them"
    return "pixels-pca", "there are no weights of a known network here, and no classes to fit one on: rough shapes only"


def _has_inception() -> bool:
    try:
        find(inception.WEIGHTS, None)
    except SparringError:
        return False
    return True


class Examiner:
    """Measures samples.

    Args:
        reals: what they are compared with.
        extractor: name of the feature network, or ``auto``.
        weights: file of its weights, for a network that needs one.
        resize: how pictures are brought to Inception's size, for that network.
        most: pictures on each side, at most.
        seed: of the metrics' random choices.
        device: where the feature network runs.
        cluster: the processes that divide reading, drawing and looking; each ends with all of it.

    Raises:
        SparringError: for weights that are missing or not the known ones, and for data that cannot be measured.
    """

    def __init__(
        self,
        reals: Reals,
        extractor: str = "auto",
        weights: Path | None = None,
        resize: str | None = None,
        most: int = 10_000,
        seed: int = 0,
        device: torch.device | None = None,
        progress: Progress | None = None,
        cluster: Cluster | None = None,
    ):
        self.reals, self.seed, self.progress, self.cluster = reals, seed, progress, cluster or Cluster()
        spec = reals.reference.spec
        self.set = metric_set(spec.modality)
        notes = list(reals.notes)
        size = torch.Size(spec.shape).numel()
        self.most = min(most, max(1000, MOST_BYTES // size))
        if self.most < most:
            notes.append(f"{self.most:,} pictures of this size are as many as are kept in memory; fewer than asked for")
        if extractor == "auto":
            extractor, why = choose_extractor((reals.train or reals.reference).spec, weights)
            notes.append(f"features of {extractor}: {why}")
        fit, where = self._fit_data(), device or torch.device("cpu")
        with self.cluster.leader_first():  # a classifier is fitted once, and then lies in the cache
            self.extractor = make_extractor(extractor, weights, resize, fit, where, progress)
        if not self.cluster.agree(self.extractor.digest, torch.device("cpu")):
            raise SparringError(
                "the feature network that was fitted is not the same in all processes; let SPARRING_CACHE name a "
                "folder that all of them see"
            )
        self.sides = self._look_at_reals()
        self.notes = tuple(notes)

    def _fit_data(self) -> FitData:
        data = self.reals.train or self.reals.reference
        images, labels = self.read(data, "read", MOST_FITTED)
        return FitData(images, labels, sha256(f"{data.fingerprint} {len(images)}".encode()))

    def read(self, data: DataSet, stage: str, most: int | None = None) -> tuple[Tensor, Tensor | None]:
        """Evenly spaced pictures uint8 ``(n, c, h, w)``, at most ``most``, and labels; deeper ones are rounded."""
        places = torch.linspace(0, len(data) - 1, min(most or self.most, len(data)), dtype=torch.float64).long()
        share = range(len(places)) if data.in_memory else self.cluster.share(len(places), BATCH)
        parts: list[Tensor] = []
        for part in places[share.start : share.stop].split(BATCH):
            parts.append(rounded(data.get(part)[0]))
            if self.progress and not data.in_memory:
                self.progress(stage, sum(map(len, parts)), len(share))
        images = self.cluster.join(torch.cat(parts), len(places), BATCH)
        return images, None if data.labels is None else data.labels[places]

    def look(self, images: Tensor, labels: Tensor | None, stage: str) -> Sample:
        """Pictures uint8 ``(n, c, h, w)`` through the feature network."""

        share = self.cluster.share(len(images), BATCH)

        def tell(done: int) -> None:
            if self.progress:
                self.progress(stage, done, len(share))

        own = extract(images[share.start : share.stop].split(BATCH), self.extractor, tell)
        seen = together(own, len(images), self.cluster)
        return Sample(images, seen.features, seen.logits, labels)

    def _look_at(self, data: DataSet, what: str) -> Sample:
        """Real data through the feature network, from the cache where it was looked at before."""
        images, labels = self.read(data, f"read {what}")

        def tell(done: int) -> None:
            if self.progress:
                self.progress(f"look at {what}", done, len(images))

        seen = extract_cached(
            lambda start: images[start:].split(BATCH),
            len(images),
            data.fingerprint,
            self.extractor,
            progress=tell,
            cluster=self.cluster,
        )
        return Sample(images, seen.features, seen.logits, labels)

    def _look_at_reals(self) -> Sides:
        reals = self.reals
        reference = self._look_at(reals.reference, "reals")
        train = None
        if reals.train is reals.reference:
            train = reference
        elif reals.train is not None:
            train = self._look_at(reals.train, "training data")
        if reals.held_out and train is not None:
            some = torch.randperm(len(train), generator=torch.Generator().manual_seed(self.seed))
            null = train.take(some[: len(reference)].sort().values), reference
            words = f"{len(null[0]):,} training samples against the {len(reference):,} held out"
        else:
            null = halves(reference, self.seed)
            words = f"two halves of the reference, {len(null[0]):,} against {len(null[1]):,}"
        own = self.extractor.name == "classifier"
        if train is not None and reals.train is not None:
            train = with_maps(train, reals.train)
        palette = reals.reference.spec.palette
        return Sides(reference, null, words, train, reals.held_out, own, self.seed, palette=palette)

    def examine(self, fakes: Sample, seeds: str, keys: Sequence[str] = ()) -> tuple[list[Score], list[str]]:
        """Scores of samples that were looked at, and what was left out, in words.

        Args:
            seeds: where the samples come from, for the protocol.
            keys: metrics to measure; none: all that can be and are not slow.
        """
        metrics, left_out = choose(self.set.METRICS, keys, self.sides.available(fakes))
        protocol = Protocol(
            metric="",
            data=self.reals.reference.fingerprint,
            reals=len(self.sides.reals),
            fakes=len(fakes),
            split=self.reals.split,
            extractor=self.extractor.name,
            digest=self.extractor.digest,
            preprocessing=self.extractor.preprocessing,
            layer=self.extractor.layer,
            seeds=seeds,
            seed=self.seed,
            code=sparring.__version__,
        )
        scores, more = measure(metrics, fakes, self.sides, protocol, bool(keys), self.progress)
        return scores, [*left_out, *more]

    def draw(self, game: Game, seeds: range) -> Sample:
        """Samples of a game in eval mode, looked at; with the classes that were asked for."""
        room = modality(game.spec.modality)
        if game.gives:
            return self._make(game, len(seeds))
        parts: list[Tensor] = []
        share = self.cluster.share(len(seeds), BATCH)
        for samples in draw(game, seeds[share.start : share.stop]):
            if not bool(samples.isfinite().all()):
                raise SparringError("the generator makes samples that are not finite: its weights are broken")
            parts.append(room.to_uint8(samples).cpu())
            if self.progress:
                self.progress("draw samples", sum(map(len, parts)), len(share))
        images = self.cluster.join(torch.cat(parts), len(seeds), BATCH)
        labels = draw_labels(seeds, game.spec.class_counts) if game.conditional(game.config) else None
        return replace(self.look(images, labels, "look at samples"), game=game)

    def _make(self, game: Game, most: int) -> Sample:
        """What a game that makes pictures from pictures makes of what the reference was made from, or of its own."""
        made = make_pictures(game, self.reals.reference, min(most, self.most), self.cluster, self.progress)
        looked = self.look(made.images, None, "look at pictures")
        return replace(made, features=looked.features, logits=looked.logits)


def rounded(kept: Tensor) -> Tensor:
    """Pictures as sets keep them to uint8, which feature networks look at."""
    return to_uint8(kept) if kept.ndim == 4 and kept.is_floating_point() else kept
