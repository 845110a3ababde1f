"""Classes: their order, and whether there is anything to learn from them."""

import re
from collections.abc import Sequence

import numpy as np

from sparring.core.spec import DataSpec


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key under which ``"9"`` comes before ``"10"``."""
    parts = re.split(r"(\d+)", text)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)


def numbered(names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """One class name per sample to int64 labels ``(n,)`` and the class names in natural order."""
    classes = tuple(sorted(set(names), key=lambda name: (natural(name), name)))
    place = {name: index for index, name in enumerate(classes)}
    return np.array([place[name] for name in names], dtype=np.int64), classes


def compact(labels: np.ndarray, classes: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...], tuple[int, ...]]:
    """Drop classes that no sample has: labels ``(n,)``, names, and how many samples each has."""
    used, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return inverse.astype(np.int64), tuple(classes[index] for index in used), tuple(int(count) for count in counts)


def labels_warning(spec: DataSpec) -> str | None:
    """Why the classes of this data cannot be learnt, or None."""
    single = sum(count == 1 for count in spec.class_counts)
    if 2 * single > len(spec.class_counts):
        return (
            f"labels cannot be learnt: most classes have a single image ({single} of {len(spec.class_counts)}); "
            "--data.labels none ignores them"
        )
    return None
