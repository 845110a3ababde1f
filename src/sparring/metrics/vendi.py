"""Vendi Score (Friedman & Dieng 2023, arXiv 2210.02410): how many different things there seem to be."""

import torch
from torch import Tensor

from sparring.metrics.rows import as_rows


def vendi(features: Tensor) -> float:
    """exp of the Shannon entropy of the eigenvalues of K / n, K the cosines between rows ``(n, d)``; order q = 1.

    From 1, all rows in one direction, to min(n, d): it saturates at the width of the features. Looks at no reals; what
    is much depends on n and d: compare with the score of as many reals.

    Raises:
        ValueError: values that are not finite, or a row of zeros, which has no direction.
    """
    rows = as_rows(features)
    lengths = rows.norm(dim=1, keepdim=True)
    if not bool((lengths > 0).all()):
        raise ValueError(f"{int((lengths == 0).sum())} rows are zero and have no direction")
    rows = rows / lengths
    # X X^T and X^T X have the same eigenvalues apart from zeros, which have no entropy
    gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
    shares = torch.linalg.eigvalsh(gram / len(rows)).clamp_min(0)
    return float(torch.special.entr(shares).sum().exp())
