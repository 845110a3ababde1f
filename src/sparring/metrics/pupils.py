"""Classifiers that take the same number of updates whatever they are taught with, so that lessons can be compared.

More samples in a lesson are not more training: a picture classifier takes as many steps of as many pictures, boosted
trees grow as many rounds. Else every arm of a study with more data would be a longer one too.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sparring.metrics.classifier import RATE, SmallCNN, network_input
from sparring.metrics.network import exact
from sparring.metrics.smote import smote
from sparring.metrics.tables.efficacy import learner
from sparring.nn.augment import translate, whole

How = Literal["plain", "augmented", "weighted", "oversampled"]
Predict = Callable[[Tensor], NDArray[np.float64]]  # samples (n, ...) to chances (n, classes)


class Pupil(ABC):
    """Learns classes from samples ``x`` and labels ``y``, anew each time."""

    unit: str  # what `updates` counts
    classical: str  # what ``augmented`` does

    def __init__(self, updates: int):
        self.updates = updates

    @abstractmethod
    def learn(self, x: Tensor, y: Tensor, classes: int, how: How, seed: int) -> Predict:
        """Teach a fresh classifier.

        Args:
            x, y: samples, and int64 labels ``(n,)`` below ``classes``.
            classes: how many the classifier is to know; a lesson need not have all of them.
            how: ``weighted`` makes a sample count the more the rarer its class, ``oversampled`` shows all classes
                equally often, ``augmented`` is the usual thing for such data without a generator.
            seed: of all that is random.
        """


def weights_of(y: Tensor, classes: int) -> Tensor:
    """``n / (classes there are * samples of the class)``, float32 ``(classes,)``; 0 for a class that is not there."""
    counts = torch.bincount(y, minlength=classes)
    return torch.where(counts > 0, len(y) / ((counts > 0).sum() * counts.clamp(min=1)), 0.0)


class PicturePupil(Pupil):
    """The network of `metrics.classifier` on uint8 ``(n, c, h, w)``: AdamW with a one-cycle rate, on the CPU.

    Args:
        updates: steps.
        batch: pictures in a step.
        flip: whether ``augmented`` may mirror pictures left to right; it moves them by up to an eighth in any case.
    """

    unit = "steps"

    def __init__(self, updates: int = 400, batch: int = 64, flip: bool = False):
        super().__init__(updates)
        self.batch, self.flip = batch, flip
        self.classical = "shifted and mirrored" if flip else "shifted"

    def learn(self, x: Tensor, y: Tensor, classes: int, how: How, seed: int) -> Predict:
        channels = 1 if x.shape[1] == 1 else 3
        with torch.random.fork_rng(devices=[]), exact(torch.device("cpu")), torch.enable_grad():
            torch.manual_seed(seed)
            net = SmallCNN(channels, classes)
            optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.05)
            rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, self.updates, pct_start=0.2)
            weights = weights_of(y, classes)
            for chosen in self._order(y, weights, how):
                pictures = network_input(x[chosen], channels)
                pictures = self._changed(pictures) if how == "augmented" else pictures
                loss = F.cross_entropy(net(pictures)[1], y[chosen], weights if how == "weighted" else None)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                rate.step()
        net.eval()

        def predict(pictures: Tensor) -> NDArray[np.float64]:
            with torch.no_grad(), exact(torch.device("cpu")):
                logits = [net(network_input(part, channels))[1] for part in pictures.split(512)]
            return torch.cat(logits).double().softmax(1).numpy()

        return predict

    def _order(self, y: Tensor, weights: Tensor, how: How) -> tuple[Tensor, ...]:
        """Which samples each step sees: round after round of all of them, however few, or drawn by class."""
        count = self.updates * self.batch
        if how == "oversampled":
            return torch.multinomial(weights[y].double(), count, replacement=True).split(self.batch)
        rounds = -(-count // len(y))
        return torch.cat([torch.randperm(len(y)) for _ in range(rounds)])[:count].split(self.batch)

    def _changed(self, pictures: Tensor) -> Tensor:
        down, right = (whole(pictures, -(side // 8), side // 8) for side in pictures.shape[2:])
        pictures = translate(pictures, down, right, "reflect")
        if self.flip:
            mirrored = torch.rand(len(pictures), 1, 1, 1) < 0.5
            pictures = torch.where(mirrored, pictures.flip(3), pictures)
        return pictures


class TablePupil(Pupil):
    """Boosted trees of scikit-learn on float32 ``(n, d)``, as in `metrics.tables.efficacy` but never stopped early.

    Each split looks at half of the columns, drawn by the seed: without that, trees know no chance, and seeds would say
    nothing.
    """

    unit = "rounds of boosting"
    classical = "SMOTE"

    def __init__(self, updates: int = 100):
        super().__init__(updates)

    def learn(self, x: Tensor, y: Tensor, classes: int, how: How, seed: int) -> Predict:
        rows, labels = x.numpy(), y.numpy()
        if how == "augmented":
            rows, labels = smote(rows, labels, seed)
        elif how == "oversampled":
            chosen = _evened(labels, seed)
            rows, labels = rows[chosen], labels[chosen]
        known = np.unique(labels)
        if len(known) < 2:  # such as samples of a generator that knows one class only
            return lambda asked: np.eye(classes)[np.full(len(asked), known[0])]
        weights = weights_of(y, classes).numpy()[labels] if how == "weighted" else None
        model: Any = learner("boosting", seed)
        model.set_params(early_stopping=False, max_iter=self.updates, max_features=0.5)
        model.fit(rows, labels, sample_weight=weights)

        def predict(asked: Tensor) -> NDArray[np.float64]:
            chances = np.zeros((len(asked), classes))
            chances[:, known] = model.predict_proba(asked.numpy())
            return chances

        return predict


def _evened(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Places of all samples, and of those of smaller classes again and again until all are as large as the largest."""
    draw = np.random.default_rng(seed)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    most = max(map(len, groups))
    return np.concatenate([*groups, *(draw.choice(group, most - len(group)) for group in groups)])
