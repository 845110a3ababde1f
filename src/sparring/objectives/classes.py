"""Losses on the class that a network reads off a sample: logits ``(n, classes)``, labels int64 ``(n,)``."""

from torch import Tensor
from torch.nn.functional import cross_entropy


def auxiliary_classifier(class_logits: Tensor, labels: Tensor | None) -> Tensor:
    """-E log P(C = y | x) (Odena et al. 2017, eq. 2, as a loss). ln k over k classes when the logits say nothing."""
    if labels is None:
        raise ValueError("a classification loss needs the labels of the data")
    if class_logits.ndim != 2 or labels.shape != class_logits.shape[:1]:
        raise ValueError(f"class logits (n, classes) and labels (n,); got {(*class_logits.shape,)}, {(*labels.shape,)}")
    return cross_entropy(class_logits, labels)
