"""Data that training never sees: a share of the set chosen by content, or the test part that came with it."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.data.builtin import TESTS, read_builtin_test
from sparring.data.dataset import DataSet
from sparring.data.files import FolderFiles
from sparring.data.layout import SPLITS
from sparring.data.opening import arrays_as_data, open_data
from sparring.data.parallel import Progress
from sparring.data.two_sides import open_test_sides

CHUNK = 1024


def hold_out(data: DataSet, share: float, progress: Progress | None = None) -> DataSet:
    """``data`` without about ``share`` of its samples, which its ``held_out`` holds.

    Which ones depends on each sample's pixels alone (a hash below a threshold), so that copies stay on one side, and a
    set that grows moves none of its samples across. A streamed set is read through once for it.

    Raises:
        SparringError: when either side would have fewer than two samples.
    """
    apart = _apart(lambda places: data.get(places)[0], len(data), share, None if data.in_memory else progress)
    if min(apart.sum(), (~apart).sum()) < 2:
        raise SparringError(
            f"--data.held-out {share} leaves {(~apart).sum():,} samples to train on and {apart.sum():,} held out of "
            f"{len(data):,}; each side needs two or more"
        )
    of_given: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
    if data.given_count and not data.spec.paired:
        others = _apart(data.get_given, data.given_count, share, None if data.in_memory else progress)
        if min(others.sum(), (~others).sum()) < 2:
            raise SparringError(
                f"--data.held-out {share} leaves {(~others).sum():,} pictures to begin with and {others.sum():,} held "
                f"out of {data.given_count:,}; each side needs two or more"
            )
        of_given = np.flatnonzero(~others), np.flatnonzero(others)
    kept, held_out = data.subset(np.flatnonzero(~apart), of_given[0]), data.subset(np.flatnonzero(apart), of_given[1])
    note = (
        f"{len(held_out):,} of {len(data):,} samples ({len(held_out) / len(data):.1%}) are held out for evaluation: "
        "training never sees them"
    )
    return replace(kept, notes=(*data.notes, note), held_out=held_out)


def _apart(
    read: Callable[[range], torch.Tensor | None], count: int, share: float, progress: Progress | None
) -> np.ndarray:
    """Which of ``count`` samples lie below the threshold, bool ``(count,)``."""
    chances: list[float] = []
    for start in range(0, count, CHUNK):
        pixels = read(range(start, min(start + CHUNK, count)))
        assert pixels is not None
        chances += [_chance(picture) for picture in pixels.numpy()]
        if progress:
            progress("split", len(chances), count)
    return np.array(chances) < share


def _chance(picture: np.ndarray) -> float:
    """A number in [0, 1) that depends on the pixels alone."""
    digest = hashlib.blake2b(picture.tobytes(), digest_size=8, person=b"held out").digest()
    return int.from_bytes(digest, "little") / 2.0**64


def open_test(source: str, settings: Data, spec: DataSpec, progress: Progress | None = None) -> DataSet | None:
    """The test part that came with ``source``, brought to ``spec``; None where there is none, as beside mixtures.

    That is ``t10k-*`` beside MNIST's training files, ``test/`` beside ``train/`` in a folder of pictures (else ``val/``
    or ``validation/``), and the published test files of the built-in sets. Of pictures made from pictures it is the
    same part of both sides, ``testA/ testB/`` for example, in a zip too.

    Raises:
        SparringError: when it has classes that ``spec`` does not know, or cannot be read.
    """
    if spec.modality != "image":
        return None
    if spec.given:
        return open_test_sides(source, settings, spec, progress)
    channels, height, width = spec.shape
    size = settings.size if settings.crop else f"{height}x{width}"
    alike = replace(settings, size=size, pairs="none", channels=str(channels), held_out=0.0)  # type: ignore[arg-type]
    if source in TESTS and not Path(source).exists():
        return with_classes(arrays_as_data(f"{source}-test", read_builtin_test(source, progress), alike), spec)
    part = _test_part(Path(source).expanduser())
    return None if part is None else with_classes(open_data(str(part), alike, progress), spec)


def _test_part(path: Path) -> Path | None:
    if not path.is_dir():
        return None
    names = FolderFiles(path).names
    idx = sorted(name for name in names if "idx3" in name)
    if len(idx) > 1 and any("train" in name for name in idx):
        return next((path / name for name in idx if "t10k" in name or "test" in name), None)
    folders = {entry.name.lower(): entry for entry in path.iterdir() if entry.is_dir()}
    if "train" not in folders or not set(folders) <= SPLITS:
        return None
    return next((folders[name] for name in ("test", "val", "valid", "validation") if name in folders), None)


def with_classes(data: DataSet, spec: DataSpec) -> DataSet:
    """Labels numbered as ``spec`` numbers its classes. Raises `SparringError` for a class that ``spec`` has not."""
    if data.labels is None or not spec.classes:
        return replace(data, labels=None, spec=replace(data.spec, classes=(), class_counts=()))
    unknown = set(data.spec.classes) - set(spec.classes)
    if unknown:
        raise SparringError(f"{data.name} has a class '{min(unknown)}' that the training data has not")
    places = torch.tensor([spec.classes.index(name) for name in data.spec.classes])
    labels = places[data.labels]
    counts = torch.bincount(labels, minlength=len(spec.classes)).tolist()
    return replace(data, labels=labels, spec=replace(data.spec, classes=spec.classes, class_counts=tuple(counts)))
