"""Scores of a game, of new samples and of normal ones, and beside them those of methods without a network."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.core.anomaly import Abnormal, Scores
from sparring.core.batch import Batch
from sparring.core.columns import Layout
from sparring.core.game import Game
from sparring.core.rows import decode
from sparring.core.seeds import SeedNoise
from sparring.data import DataSet
from sparring.data.parallel import Progress
from sparring.data.table.strange import Strangers
from sparring.metrics.anomaly import KEPT, NeighbourDistance, PCAError, Separation, separation
from sparring.metrics.tables.matrix import design
from sparring.modalities import modality
from sparring.tools.score_inputs import Samples, read_of

CHUNK = 64
REFERENCES = 2000  # samples that percentiles are taken of, at most
FITTED = 5000  # training samples that the baselines are fitted on, at most
NUMBERS = 1 << 27  # in these samples together, at most

Read = Callable[[range], Tensor]  # samples of those places, as networks see them


@torch.inference_mode()
def look(game: Game, samples: Tensor) -> Abnormal:
    """What the game says of samples, on the CPU."""
    assert isinstance(game, Scores)
    device = next(game.parameters()).device
    found = game.abnormal(Batch(samples.to(device), None, 0, SeedNoise(range(len(samples)), device)))
    return Abnormal(*(part.float().cpu() for part in found))


def score_all(
    game: Game, read: Read, count: int, progress: Progress | None, stage: str
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Scores ``(count,)``, and of a table what each column adds to them ``(count, columns)``."""
    scores, parts = [], []
    for start in range(0, count, CHUNK):
        found = look(game, read(range(start, min(start + CHUNK, count))))
        scores.append(found.score.double().numpy())
        if game.spec.columns:
            parts.append(by_column(found.map, Layout(game.spec.columns)))
        if progress:
            progress(stage, min(start + CHUNK, count), count)
    return np.concatenate(scores), np.concatenate(parts) if parts else None


def by_column(heat: Tensor, layout: Layout) -> NDArray[np.float64]:
    """Of ``|x - again|`` of encoded rows, what each column adds to the mean square, ``(n, columns)``."""
    squares = heat.double().square().numpy() / layout.width
    parts = np.zeros((len(squares), len(layout.columns)))
    for span in layout.spans:
        if span.scalar >= 0:
            parts[:, span.place] += squares[:, span.scalar]
        parts[:, span.place] += squares[:, span.first : span.first + span.states].sum(1)
    return parts


def percentiles_of(
    game: Game, normal: DataSet | Strangers, scores: NDArray[np.float64], apart: bool, progress: Progress | None
) -> tuple[NDArray[np.float64], str]:
    """Share of normal scores below each score, in percent, and a sentence on what they were compared with.

    Of a table ``scores`` are those with their strangeness, and so are the normal ones.
    """
    places = spaced(len(normal), REFERENCES)

    def read(part: range) -> Tensor:
        return read_of(normal, [places[place] for place in part], game.spec)

    ours, _ = score_all(game, read, len(places), progress, "score normal samples")
    if isinstance(normal, Strangers):
        ours = ours + normal.strangeness[places].sum(1)
    ranks = np.searchsorted(np.sort(ours), scores, side="left") / len(ours) * 100
    whose = "held-out" if apart else "training"
    note = f"percentiles are among the scores of {len(places):,} {whose} samples"
    if not apart:
        note += (
            ", which are a little lower than those of new normal ones; --data.held-out 0.1 in training keeps some apart"
        )
    return ranks, note


def spaced(count: int, most: int) -> list[int]:
    """``most`` places at most of ``count``, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64)).tolist()


def separation_of(scores: Tensor | NDArray[np.float64], abnormal: Tensor, seed: int) -> Separation:
    """How well ``scores`` ``(n,)`` tell samples that are ``abnormal`` ``(n,)`` from the others."""
    scores = torch.as_tensor(scores)
    return separation(scores[~abnormal], scores[abnormal], seed=seed)


def baselines(
    train: DataSet, samples: Samples, abnormal: Tensor, seed: int, progress: Progress | None
) -> tuple[dict[str, Separation], str]:
    """What PCA reconstruction and the distance to neighbours make of the same samples, fitted on the training data.

    Of pictures on their pixels, of tables on standardised numbers and one-hot categories.
    """
    places = spaced(len(train), min(FITTED, max(2, NUMBERS // max(int(np.prod(train.spec.shape)), 1))))
    kept, _ = train.get(places)
    parts: Iterator[Tensor]
    if isinstance(samples.source, Strangers):
        ours = decode(kept, Layout(train.spec.columns))
        fitted = torch.from_numpy(design(ours, ours))
        parts = iter(torch.from_numpy(design(samples.source.rows, ours)).split(CHUNK))
    else:
        fitted = modality(train.spec.modality).decode(kept).flatten(1)
        starts = range(0, len(samples), CHUNK)
        parts = (samples.read(range(start, min(start + CHUNK, len(samples)))).flatten(1) for start in starts)
    pca, neighbours = PCAError(fitted), NeighbourDistance(fitted)
    errors: list[Tensor] = []
    distances: list[Tensor] = []
    for number, part in enumerate(parts):
        errors.append(pca(part))
        distances.append(neighbours(part))
        if progress:
            progress("score by baselines", number * CHUNK + len(part), len(samples))
    found = {f"PCA ({pca.components})": errors, f"k-NN ({neighbours.k})": distances}
    note = (
        f"baselines are fitted on {len(places):,} training samples: PCA reconstruction with the components of "
        f"{KEPT:.0%} of the variance, and the distance to the k-th nearest"
    )
    return {name: separation_of(torch.cat(scores), abnormal, seed) for name, scores in found.items()}, note
