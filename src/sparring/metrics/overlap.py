"""Whether label maps agree, class by class: intersection over union (Jaccard 1912), and the share of places."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.core.errors import SparringError


@dataclass(frozen=True)
class Overlap:
    """Over all places of all pictures.

    Attributes:
        per_class: intersection over union of each class, nan for one that is neither found nor wanted.
        mean: over the classes that there are.
        accuracy: share of places that agree.
        confusion: int64 ``(classes, classes)``, wanted by found.
    """

    per_class: tuple[float, ...]
    mean: float
    accuracy: float
    confusion: Tensor


def overlap(found: Tensor, wanted: Tensor, classes: int, ignored: int | None = None) -> Overlap:
    """How well label maps ``found`` agree with ``wanted``.

    Args:
        found, wanted: whole numbers from 0, of one shape.
        classes: how many there are.
        ignored: a label in ``wanted`` of places that do not count.

    Raises:
        SparringError: shapes that differ, labels outside the classes, or no place that counts.
    """
    if found.shape != wanted.shape:
        raise SparringError(f"label maps of {tuple(found.shape)} and {tuple(wanted.shape)} differ in shape")
    counts = torch.ones_like(wanted, dtype=torch.bool) if ignored is None else wanted != ignored
    found, wanted = found[counts].long(), wanted[counts].long()
    if not len(wanted):
        raise SparringError("label maps without a place that counts cannot agree")
    for labels in (found, wanted):
        if labels.min() < 0 or labels.max() >= classes:
            raise SparringError(f"labels run from 0 to {classes - 1}; there are {labels.min()} to {labels.max()}")
    confusion = torch.bincount(wanted * classes + found, minlength=classes**2).reshape(classes, classes)
    same = confusion.diagonal().double()
    union = confusion.sum(0) + confusion.sum(1) - same
    each = same / union  # 0 / 0 is nan
    return Overlap(
        per_class=tuple(each.tolist()),
        mean=each[union > 0].mean().item(),
        accuracy=(same.sum() / confusion.sum()).item(),
        confusion=confusion,
    )
