"""What classifiers are taught with and tested on: real data and samples of a run, pictures and tables alike."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.core.columns import Column, Layout
from sparring.core.errors import SparringError
from sparring.core.game import Game
from sparring.core.rows import Rows, compact, decode
from sparring.core.texts import texts_of
from sparring.data import DataSet
from sparring.metrics.classifier import SIDE
from sparring.metrics.pupils import PicturePupil, Pupil, TablePupil
from sparring.metrics.resize import shrink, to_rgb
from sparring.metrics.tables.efficacy import classes_of
from sparring.metrics.tables.matrix import design, gower
from sparring.modalities.image import to_uint8
from sparring.tools.sample import draw
from sparring.tools.where import draw_where

CHUNK = 512


@dataclass(frozen=True)
class Part:
    """Samples with their classes.

    Attributes:
        x: what classifiers see: uint8 ``(n, c, h, w)``, or of a table float32 ``(n, d)``.
        y: int64 ``(n,)``.
        rows: of a table, what `x` was made of.
    """

    x: Tensor
    y: Tensor
    rows: Rows | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, chosen: Tensor) -> "Part":
        """Some of them, by number or bool ``(n,)``."""
        return Part(self.x[chosen], self.y[chosen], None if self.rows is None else self.rows.take(chosen.numpy()))

    def beside(self, other: "Part") -> "Part":
        """These and others, as a lesson (without `rows`)."""
        return Part(torch.cat([self.x, other.x]), torch.cat([self.y, other.y]))


def apportion(count: int, shares: Sequence[float]) -> tuple[int, ...]:
    """``count`` things in whole numbers near to ``shares``, by largest remainders; of equals the first comes first."""
    exact = np.asarray(shares, np.float64) * count / max(sum(shares), 1e-300)
    whole = np.floor(exact + 1e-9).astype(int)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: count - whole.sum()]] += 1
    return tuple(whole.tolist())


def missing_of(counts: Sequence[int]) -> tuple[int, ...]:
    """How many each class lacks to be as large as the largest."""
    return tuple(max(counts) - count for count in counts)


class Material(ABC):
    """One kind of data, as lessons and as exams.

    Attributes:
        game: makes the samples; in eval mode.
        classes: their names.
        pupil: what is taught.
    """

    game: Game
    classes: tuple[str, ...]
    pupil: Pupil

    @abstractmethod
    def read(self, data: DataSet) -> Part:
        """All of a data set whose class is known."""

    @abstractmethod
    def like_data(self, count: int, seed: int) -> Part:
        """About ``count`` samples of seeds from ``seed`` on, classes as often as in the data, in no order."""

    @abstractmethod
    def by_class(self, counts: Sequence[int], seed: int) -> Part:
        """So many samples of each class. Raises `SparringError` where the game cannot make them."""

    @abstractmethod
    def places(self, part: Part) -> NDArray[np.float32]:
        """A matrix ``(n, d)`` whose L1 distances are in 0..1: of pictures the mean difference of a value from black to
        white, of rows Gower's distance."""

    def counts(self, part: Part) -> tuple[int, ...]:
        """How many there are of each class."""
        return tuple(torch.bincount(part.y, minlength=len(self.classes)).tolist())


class Pictures(Material):
    """Pictures by class, their longer side brought to 32 pixels at most: all that the classifier looks at."""

    def __init__(self, game: Game, updates: int | None = None, flip: bool = False):
        refuse_without_classes(game)
        self.game, self.classes = game, game.spec.classes
        self.pupil = PicturePupil(flip=flip) if updates is None else PicturePupil(updates, flip=flip)

    def read(self, data: DataSet) -> Part:
        if data.labels is None:
            raise SparringError(f"{data.name} has no classes to learn; give pictures in a folder for each class")
        places = torch.arange(len(data)).split(CHUNK)
        return Part(torch.cat([self._seen(data.get(part)[0]) for part in places]), data.labels)

    def like_data(self, count: int, seed: int) -> Part:
        made = self.by_class(apportion(count, self.game.spec.class_counts), seed)
        return made.take(torch.randperm(count, generator=torch.Generator().manual_seed(seed)))

    def by_class(self, counts: Sequence[int], seed: int) -> Part:
        pictures, labels = [], []
        for label, (name, count) in enumerate(zip(self.classes, counts, strict=True)):
            pictures += [self._seen(finite(made)) for made in draw(self.game, range(seed, seed + count), name)]
            labels += [label] * count
            seed += count
        none = torch.empty(0, *self._seen(torch.zeros(1, *self.game.spec.shape)).shape[1:], dtype=torch.uint8)
        return Part(torch.cat([none, *pictures]), torch.tensor(labels, dtype=torch.int64))

    def places(self, part: Part) -> NDArray[np.float32]:
        flat = part.x.flatten(1).float()
        return (flat / 255 / flat.shape[1]).numpy()

    @staticmethod
    def _seen(pictures: Tensor) -> Tensor:
        pixels = to_uint8(pictures) if pictures.is_floating_point() else pictures
        return shrink(pixels if pixels.shape[1] == 1 else to_rgb(pixels), SIDE).round().to(torch.uint8)


class Table(Material):
    """Rows of a table, whose target is the class. Numbers are scaled by ``train``, the rows that were learnt from."""

    def __init__(self, game: Game, train: DataSet, updates: int | None = None):
        self.game, self.layout = game, Layout(game.spec.columns)
        self.reference = decode(train.get(torch.arange(len(train)))[0], self.layout)
        self.target = target_among(self.layout.columns)
        self.classes = values_of(self.target)
        self.pupil = TablePupil() if updates is None else TablePupil(updates)

    def read(self, data: DataSet) -> Part:
        return self._part(decode(data.get(torch.arange(len(data)))[0], self.layout))

    def like_data(self, count: int, seed: int) -> Part:
        made = draw(self.game, range(seed, seed + count))
        parts = [compact(finite(part), self.layout) for part in made]
        return self._part(decode(torch.cat(parts), self.layout))

    def by_class(self, counts: Sequence[int], seed: int) -> Part:
        made = [torch.empty(0, len(self.layout.scalars) + len(self.layout.choices))]
        for name, count in zip(self.classes, counts, strict=True):
            if count:
                found = draw_where(self.game, f"{self.target.name}={name}", count, seed)
                made += [compact(finite(part), self.layout) for part in found]
        return self._part(decode(torch.cat(made), self.layout))

    def places(self, part: Part) -> NDArray[np.float32]:
        assert part.rows is not None
        columns = sum(column.learnt and column.kind != "constant" for column in self.layout.columns)
        return gower(part.rows, self.reference) / np.float32(columns)

    def _part(self, rows: Rows) -> Part:
        labels = classes_of(self.target, rows[self.target.name])
        rows, labels = rows.take(labels >= 0), labels[labels >= 0]
        x = design(rows, self.reference, (self.target.name,))
        return Part(torch.from_numpy(x), torch.from_numpy(labels), rows)


def finite(samples: Tensor) -> Tensor:
    """Samples on the CPU. Raises `SparringError` where they are not finite."""
    if not bool(samples.isfinite().all()):
        raise SparringError("the generator makes samples that are not finite: its weights are broken")
    return samples.cpu()


def refuse_without_classes(game: Game) -> None:
    """Raise `SparringError` for a game of pictures that does not make them by class."""
    if game.spec.modality != "image":
        raise SparringError(f"augmentation is for pictures and tables; this run makes {game.spec.modality} data")
    if not game.conditional(game.config) or len(game.spec.classes) < 2:
        raise SparringError(
            "this run does not make pictures by class, so nobody could say which class a sample belongs to; train one "
            "that does on labelled data, such as --family cgan or projection"
        )


def target_among(columns: Sequence[Column]) -> Column:
    """The column that says the class. Raises `SparringError` where none does."""
    column = next((column for column in columns if column.target), None)
    if column is None:
        raise SparringError(
            "no column of this table is the target that says the class; name one in a schema (target = NAME) and "
            "train again"
        )
    return column


def values_of(column: Column) -> tuple[str, ...]:
    """The values of a target in the order of `classes_of`, as `--where` reads them."""
    values = np.array(sorted(column.points)) if column.numeric else np.arange(len(column.categories))
    return tuple(texts_of(column, values))
