"""What networks and trees trained after the fact make of samples: told from real ones or not, and what they teach
(Yoon et al. 2019, sec. 5). Series that are tested share no step with those that were learnt from.
"""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparring.metrics.series.statistics import blocks_of

ITERATIONS, BATCH, RATE = 2000, 128, 1e-3
RUNS = 3  # of each network, from seeds of their own
TESTED = (2, 7)  # of ten blocks of the series in their order
LEAST = 10  # series to learn from, and to be tested on


def exam_places(count: int, overlap: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places to learn from, and places to be tested on: two blocks of ten, with a gap around each.

    Args:
        count: of series in their order.
        overlap: how many that follow one share steps with it; so many on each side of a block are left out.

    Raises:
        ValueError: where one side has fewer than ten.
    """
    tested, near = np.zeros(count, bool), np.zeros(count, bool)
    for number, block in enumerate(blocks_of(count)):
        if number in TESTED:
            tested[block] = True
            near[max(block.start - overlap, 0) : block.stop + overlap] = True
    if min(tested.sum(), (~near).sum()) < LEAST:
        raise ValueError(
            f"of {count:,} series too few share no step with one another; take more data, or shorter windows"
        )
    return np.flatnonzero(~near), np.flatnonzero(tested)


def evenly(samples: Tensor, count: int) -> Tensor:
    """``count`` of the samples at equal distances, in their order."""
    return samples[torch.linspace(0, len(samples) - 1, count, dtype=torch.float64).round().long()]


class Recurrent(nn.Module):
    """One GRU layer, and a linear one at each step: ``(n, length, inputs)`` to ``(n, length, outputs)``."""

    def __init__(self, inputs: int, width: int, outputs: int):
        super().__init__()
        self.gru = nn.GRU(inputs, width, batch_first=True)
        self.last = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.last(self.gru(x)[0])
        return made


def discriminate(real: Tensor, fake: Tensor, lengths: tuple[Tensor, Tensor], overlap: int, seed: int) -> list[float]:
    """|0.5 - accuracy| of a GRU that tells real from fake series, from `RUNS` seeds: 0 where it cannot, 0.5 at best.

    Args:
        real, fake: ``(n, rows, length)`` in their order, as many of each.
        lengths: steps of each, int64 ``(n,)``; the network answers at the last.
        overlap: as for `exam_places`.
    """
    lesson, exam = exam_places(len(real), overlap)
    x = torch.cat([real, fake]).transpose(1, 2).float()
    last = torch.cat(lengths) - 1
    y = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))])
    learn, test = (torch.from_numpy(np.concatenate([places, len(real) + places])) for places in (lesson, exam))
    scores = []
    for run in range(RUNS):
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed + run)
            network = Recurrent(x.shape[2], max(4, x.shape[2] // 2), 1)
            optimiser = torch.optim.Adam(network.parameters(), RATE)
            for _ in range(ITERATIONS):
                some = learn[torch.randint(len(learn), (BATCH,))]
                logits = network(x[some])[torch.arange(BATCH), last[some], 0]
                loss = nn.functional.binary_cross_entropy_with_logits(logits, y[some])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        with torch.no_grad():
            said = network(x[test])[torch.arange(len(test)), last[test], 0] > 0
        scores.append(abs(0.5 - float((said == y[test].bool()).float().mean())))
    return scores


def discriminate_by_trees(real: NDArray[np.float64], fake: NDArray[np.float64], overlap: int, seed: int) -> float:
    """|0.5 - accuracy| of boosted trees on `summaries` ``(n, d)`` of series, as many real as fake ones."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    lesson, exam = exam_places(len(real), overlap)
    model = HistGradientBoostingClassifier(random_state=seed)
    y = np.repeat([1, 0], len(lesson))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(np.concatenate([real[lesson], fake[lesson]]), y)
        said = model.predict(np.concatenate([real[exam], fake[exam]]))
    return abs(0.5 - float((said == np.repeat([1, 0], len(exam))).mean()))


def predict(lesson: Tensor, exam: Tensor, channels: int, there: Tensor, told: Tensor, seed: int) -> list[float]:
    """Mean absolute error of the next step of every channel by a GRU that learnt from ``lesson``, from `RUNS` seeds.

    Args:
        lesson, exam: ``(n, rows, length)``, channels in their first rows, within [-1, 1].
        there, told: which steps there are in ``exam`` and in ``lesson``, bool ``(n, length)``.

    Returns:
        errors in units of the channels' ranges, as if they were scaled to [0, 1].
    """
    x, goal = lesson.transpose(1, 2).float(), exam.transpose(1, 2).float()
    errors = []
    for run in range(RUNS):
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed + run)
            network = Recurrent(x.shape[2], max(8, x.shape[2] // 2), channels)
            optimiser = torch.optim.Adam(network.parameters(), RATE)
            for _ in range(ITERATIONS):
                some = torch.randint(len(x), (BATCH,))
                loss = _missed(network(x[some, :-1]), x[some, 1:, :channels], told[some, 1:])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        with torch.no_grad():
            errors.append(float(_missed(network(goal[:, :-1]), goal[:, 1:, :channels], there[:, 1:])) / 2)
    return errors


def persistence(exam: Tensor, channels: int, there: Tensor) -> float:
    """What `predict` gives for a predictor that says the value of now."""
    x = exam.transpose(1, 2).float()
    return float(_missed(x[:, :-1, :channels], x[:, 1:, :channels], there[:, 1:])) / 2


def _missed(said: Tensor, goal: Tensor, there: Tensor) -> Tensor:
    error = (said - goal).abs().mean(2)
    return (error * there).sum() / there.sum().clamp(min=1)
