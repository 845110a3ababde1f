"""Features of real data, kept: a hundred thousand pictures need to be looked at once, not at every evaluation.

A set of features lies in a folder named by everything that it depends on, in shards of 10,000 images. Each shard is
written in one piece, so that an interrupted pass goes on where it was; one that was damaged is made again.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sparring.core.cluster import Cluster
from sparring.core.errors import SparringError
from sparring.core.files import cache_folder, sha256, write_atomic
from sparring.metrics.features import BATCH, Extractor, Features, extract, join

SHARD = 10_000
VERSION = 1  # of the layout


def extract_cached(
    batches: Callable[[int], Iterable[Tensor]],
    count: int,
    fingerprint: str,
    extractor: Extractor,
    folder: Path | None = None,
    progress: Callable[[int], None] | None = None,
    cluster: Cluster | None = None,
) -> Features:
    """Features of ``count`` images, read where they are kept and extracted where they are not.

    Args:
        batches: ``batches(start)`` gives uint8 batches ``(n, c, h, w)`` from image ``start`` on, always the same ones.
            Of several processes each is asked for its share of every shard, from a multiple of `BATCH` on.
        fingerprint: of exactly these images in this order: the data set's, and how they were chosen from it.
        folder: to keep them below; the cache folder if None.
        progress: told the number of images done.
        cluster: the processes that divide the work; each gets all features, and the leader keeps them.

    Raises:
        SparringError: the folder cannot be written.
        ValueError: ``batches`` ended too early.
    """
    place = (folder or cache_folder() / "features") / key(fingerprint, extractor, count)
    cluster = cluster or Cluster()
    shards: list[Features] = []
    for start in range(0, count, SHARD):
        rows = min(SHARD, count - start)
        path = place / f"{start:09d}.safetensors"
        shard = _read(path, rows, extractor.dim)
        if cluster.any(shard is None) or shard is None:
            share = cluster.share(rows, BATCH)
            told = (lambda done, before=start + share.start: progress(before + done)) if progress else None
            own = extract(_first(batches(start + share.start), len(share)), extractor, told)
            shard = together(own, rows, cluster)
            if cluster.leads:
                _write(path, shard)
        shards.append(shard)
        if progress:
            progress(start + rows)
    return join(shards)


def together(own: Features, count: int, cluster: Cluster) -> Features:
    """Features of all ``count`` images on every process, each of which saw its share of them, by `BATCH`."""
    logits = None if own.logits is None else cluster.join(own.logits, count, BATCH)
    return Features(cluster.join(own.features, count, BATCH), logits)


def key(fingerprint: str, extractor: Extractor, count: int) -> str:
    """A folder's name: of the images, the network, its weights, pixel rule and layer, and how many."""
    parts = (
        VERSION,
        fingerprint,
        extractor.name,
        extractor.digest,
        extractor.preprocessing,
        extractor.layer,
        count,
    )
    return f"{extractor.name}-{sha256(json.dumps(parts).encode())[:32]}"


def _first(batches: Iterable[Tensor], rows: int) -> Iterable[Tensor]:
    """Batches up to ``rows`` images in all, the last one cut."""
    left = rows
    for batch in batches:
        yield batch[:left]
        left -= len(batch)
        if left <= 0:
            return
    raise ValueError(f"the images ended {left} early")


def _write(path: Path, shard: Features) -> None:
    tensors = {"features": shard.features.contiguous()}
    if shard.logits is not None:
        tensors["logits"] = shard.logits.contiguous()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, save(tensors, {"sha256": _digest(tensors)}))
    except OSError as error:
        raise SparringError(
            f"cannot keep features in {path.parent}: {error.strerror or error}; make room or set SPARRING_CACHE"
        ) from None


def _read(path: Path, rows: int, dim: int) -> Features | None:
    """A shard, or None where it is not there or not whole."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
            digest = (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return None
    features = tensors.get("features")
    if features is None or features.shape != (rows, dim) or digest != _digest(tensors):
        return None
    return Features(features, tensors.get("logits"))


def _digest(tensors: dict[str, Tensor]) -> str:
    return sha256(b"".join(tensors[name].view(torch.uint8).numpy().tobytes() for name in sorted(tensors)))
