"""Whether samples give away rows that were learnt from. A distance that looks large proves no privacy (Yao et al. 2025,
arXiv 2505.01524), so attacks on membership stand beside the distances.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.core.rows import Rows
from sparring.metrics.tables.efficacy import learner
from sparring.metrics.tables.marginals import learnt
from sparring.metrics.tables.matrix import design, gower

PIECE = 512


def nearest_two(queries: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
    """L1 distances to the nearest and the second nearest of ``others`` (two rows or more), float64 ``(n,)`` each."""
    kept = torch.from_numpy(others)
    found = [
        torch.cdist(part, kept, p=1).topk(2, largest=False).values for part in torch.from_numpy(queries).split(PIECE)
    ]
    first, second = torch.cat(found).double().numpy().T
    return first, second


def nearest_rows(queries: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.int64]:
    """The number of the nearest of ``others`` by L1 distance, int64 ``(n,)``; the first of several."""
    kept = torch.from_numpy(others)
    found: NDArray[np.int64] = torch.cat(
        [torch.cdist(part, kept, p=1).argmin(1) for part in torch.from_numpy(queries).split(PIECE)]
    ).numpy()
    return found


@dataclass(frozen=True)
class Distances:
    """What distances to the nearest row say.

    Attributes:
        closer: share of samples that are nearer to the rows learnt from than to as many held-out ones, ties half; 0.5
            of samples that know neither.
        record: 5th percentile of Gower's distance to the nearest row learnt from (DCR).
        ratio: 5th percentile of the nearest over the second nearest (NNDR); low means that single rows are hit.
    """

    closer: float
    record: float
    ratio: float


def distances(fake: Rows, train: Rows, held_out: Rows, seed: int = 0) -> Distances:
    """Distances of samples to equally many training and held-out rows: else the larger side would be the nearer."""
    count = min(len(train), len(held_out))
    draw = np.random.default_rng(seed)
    ours = train.take(draw.permutation(len(train))[:count])
    theirs = held_out.take(draw.permutation(len(held_out))[:count])
    reference, columns = train, sum(1 for _ in learnt(train))
    x, a, b = (gower(rows, reference) for rows in (fake, ours, theirs))
    first, second = nearest_two(x, a)
    other, _ = nearest_two(x, b)
    closer = (first < other).mean() + (first == other).mean() / 2
    ratio = np.where(second > 0, first / np.where(second > 0, second, 1), 1.0)
    return Distances(float(closer), float(np.quantile(first / columns, 0.05)), float(np.quantile(ratio, 0.05)))


@dataclass(frozen=True)
class Attack:
    """How well an attack tells members from others.

    Attributes:
        area: under its ROC curve; 0.5 is guessing.
        sure: share of members that are found where one in a hundred others is accused wrongly.
    """

    area: float
    sure: float


def _attack(members: NDArray[np.float64], others: NDArray[np.float64]) -> Attack:
    """From scores, larger for those that are taken for members."""
    from sklearn.metrics import roc_auc_score

    area = roc_auc_score(np.repeat([1, 0], [len(members), len(others)]), np.concatenate([members, others]))
    # A tie with the threshold is no finding, or scores that are all alike would find everybody.
    return Attack(float(area), float((members > np.quantile(others, 0.99)).mean()))


def attack_by_distance(members: Rows, others: Rows, fake: Rows) -> Attack:
    """A row near a sample is taken for a member (full black box; Chen et al. 2020, arXiv 1909.03935)."""
    bank = gower(fake, members)
    scores = [-nearest_two(gower(rows, members), bank)[0] for rows in (members, others)]
    return _attack(*scores)


def attack_by_classifier(members: Rows, others: Rows, fake: Rows, seed: int = 0) -> Attack:
    """A classifier of samples against other real rows scores rows (black box; Hayes et al. 2019, arXiv 1705.07663).

    Half of ``others`` teaches it what real rows are that are no members; the other half is tested on.
    """
    order = np.random.default_rng(seed).permutation(len(others))
    known, tested = others.take(order[: len(order) // 2]), others.take(order[len(order) // 2 :])
    some = fake.take(np.arange(min(len(fake), 4 * len(known))))
    x = np.concatenate([design(rows, known) for rows in (some, known)])
    model = learner("forest", seed).fit(x, np.repeat([1, 0], [len(some), len(known)]))
    scores = [model.predict_proba(design(rows, known))[:, 1] for rows in (members, tested)]
    return _attack(*scores)
