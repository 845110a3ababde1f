"""Inception Score (Salimans et al. 2016, arXiv 1606.03498): sure of each picture, and of all classes over all pictures.

    IS = exp( mean_x KL( p(y|x) || p(y) ) ),        1 to the number of classes, more is better

Needs no real pictures, and so cannot see whether samples look like any. Says nothing off the classes of its network.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.metrics.rows import as_rows, pick, seeded


@dataclass(frozen=True)
class InceptionScore:
    """Mean and population standard deviation over ``splits`` equal parts."""

    value: float
    deviation: float
    splits: int


def inception_score(logits: Tensor, splits: int = 10, seed: int | None = 0) -> InceptionScore:
    """Of class logits ``(n, k)``; for numbers comparable with others' the 1008 of Inception without the last bias.

    The score grows with the rows in a split: compare only equal n and equal splits.

    Args:
        splits: 10 in the literature.
        seed: of the order of rows before splitting, for samples that come sorted by class; None leaves the order alone.

    Raises:
        ValueError: fewer rows than splits, or logits that are not finite.
    """
    if splits < 1:
        raise ValueError(f"splits must be at least 1, not {splits}")
    logits = as_rows(logits, "logits", at_least=splits)
    if seed is not None:
        logits = pick(logits, len(logits), seeded(seed))
    log_p = logits.log_softmax(1)
    scores = []
    for part in range(splits):
        rows = log_p[part * len(log_p) // splits : (part + 1) * len(log_p) // splits]
        log_marginal = rows.logsumexp(0) - torch.log(torch.tensor(len(rows), dtype=rows.dtype))
        scores.append((rows.exp() * (rows - log_marginal)).sum(1).mean().exp())
    values = torch.stack(scores)
    return InceptionScore(float(values.mean()), float(values.std(correction=0)), splits)
