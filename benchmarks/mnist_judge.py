"""What the benchmarks on MNIST and Fashion-MNIST judge samples by: one classifier fitted on the training pictures.

Its penultimate features are the feature space of the Fréchet distance, its classes say what a sample is recognised as.
Within-class diversity is the mean distance between pixels of two samples of a class, over the same of two real test
pictures of it; 1 is as varied as reals, 0 is one picture again and again.
"""

import gzip
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sparring.metrics.classifier import load_classifier
from sparring.metrics.features import Features, FitData, extract
from sparring.metrics.frechet import Gaussian, frechet_distance
from sparring.modalities.image import to_uint8
from sparring.tools.run import Run

CLASSES = 10


def read(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """Pictures uint8 ``(n, 1, 28, 28)`` and labels ``(n,)`` of ``train`` or ``t10k``."""
    images = gzip.decompress((folder / f"{split}-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((folder / f"{split}-labels-idx1-ubyte.gz").read_bytes())[8:]
    pictures = torch.from_numpy(np.frombuffer(images, np.uint8).copy()).view(-1, 1, 28, 28)
    return pictures, torch.from_numpy(np.frombuffer(labels, np.uint8).astype(np.int64))


def shrunk(pictures: Tensor, size: int) -> Tensor:
    """Uint8 pictures of any size and channels as grey ones of ``size`` pixels, by area."""
    grey = pictures.float().mean(1, keepdim=True)
    if grey.shape[-1] != size:
        grey = interpolate(grey, (size, size), mode="area" if grey.shape[-1] > size else "bilinear", antialias=False)
    return grey.round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Judgement:
    """Of one run.

    Attributes:
        distance: Fréchet distance to the 10,000 test pictures in the classifier's features.
        hit: share of samples recognised as the class asked for, 0..1; None for a run without classes.
        class_hits: the same of each class; empty for a run without classes.
        diversity: mean within-class diversity, over classes asked for or, without classes, recognised.
        least_diversity: of the poorest class.
        rarest: share of the class recognised least often, 0..1; 0.1 is even.
    """

    distance: float
    hit: float | None
    class_hits: tuple[float, ...]
    diversity: float
    least_diversity: float
    rarest: float


class Judge:
    """Judges samples of ``size`` pixels. The first call fits the classifier, later ones find it in the cache."""

    def __init__(self, folder: Path, size: int = 28, name: str = "mnist"):
        images, labels = read(folder, "train")
        self.size = size
        self.classifier = load_classifier(FitData(shrunk(images, size), labels, f"{name}-train-{size}"))
        test, self.labels = read(folder, "t10k")
        self.test = shrunk(test, size)

    @cached_property
    def reals(self) -> Features:
        return self.look(self.test)

    @cached_property
    def accuracy(self) -> float:
        """On the 10,000 test pictures, 0..1."""
        assert self.reals.logits is not None
        return float((self.reals.logits.argmax(1) == self.labels).double().mean())

    def look(self, pictures: Tensor) -> Features:
        return extract(pictures.split(500), self.classifier)

    def judge(self, run: Run, count: int) -> Judgement:
        """``count`` samples of seeds from 0, as many of each class where the run makes classes."""
        conditional = run.game.conditional(run.game.config)
        if conditional:
            share = count // CLASSES
            parts = [run.sample(share, seed=label * share, label=label) for label in range(CLASSES)]
            samples, asked = torch.cat(parts), torch.arange(CLASSES).repeat_interleave(share)
        else:
            samples, asked = run.sample(count), None
        pictures = shrunk(to_uint8(samples), self.size)
        seen = self.look(pictures)
        assert seen.logits is not None
        recognised = seen.logits.argmax(1)
        groups = recognised if asked is None else asked
        right = None if asked is None else (recognised == asked).double()
        hits = () if right is None else tuple(float(right[asked == label].mean()) for label in range(CLASSES))
        varied = [
            spread(pictures[groups == label]) / spread(self.test[self.labels == label]) for label in range(CLASSES)
        ]
        return Judgement(
            frechet_distance(Gaussian.of(seen.features), Gaussian.of(self.reals.features)),
            None if right is None else float(right.mean()),
            hits,
            sum(varied) / CLASSES,
            min(varied),
            float(torch.bincount(recognised, minlength=CLASSES).min() / len(recognised)),
        )


def spread(pictures: Tensor, most: int = 500) -> float:
    """Mean distance between the pixels of two different pictures among the first ``most``; 0 where there is no pair."""
    rows = pictures[:most].flatten(1).double()
    return float(torch.pdist(rows).mean()) if len(rows) > 1 else 0.0
