"""Samples by the million, in numbered shards of a fixed size, whatever their number in the same memory.

A shard appears when it is whole, and then its note beside it: first seed, count, digests. A shard whose note holds is
not made again, so the same command goes on where it was cut off. Several processes share the work without a word to one
another: each makes every n-th shard, and whoever finds all of them there writes ``index.json``.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sparring.core.cluster import Cluster
from sparring.core.errors import SparringError
from sparring.core.files import sha256, sha256_file, write_atomic, write_json
from sparring.core.game import Game
from sparring.modalities import modality
from sparring.tools.model import digest
from sparring.tools.sample import CHUNK, check_truncation, draw_labelled, refuse_what_gives, shares_for

Kind = Literal["shards", "tar"]
Part = tuple[Sequence[int], np.ndarray, Tensor | None]  # seeds, samples as an .npz holds them, classes

SIZE = 160 * CHUNK  # samples in a shard
VERSION = 1
INDEX = "index.json"


class Shards:
    """Samples of a range of seeds, to be written in shards.

    What is kept in memory is one chunk of `CHUNK` samples and one shard's labels, however large and many the shards.

    Args:
        game: in eval mode, on its device.
        seeds: a range; seed ``seeds[n]`` is sample ``n % size`` of shard ``n // size``.
        out: the folder; every process that takes part must see it.
        kind: ``shards``: ``images-00000.npy``, uint8 ``(n, h, w, c)`` (of other data what an ``.npz`` would hold), and
            ``labels-00000.npy``, int64 ``(n,)``, of a game with classes. ``tar``: ``images-00000.tar`` of members
            ``seed00000007.png`` and, with classes, ``seed00000007.cls``, as WebDataset reads them.
        size: samples in a shard; the last may have fewer.
        wanted, truncation, labels: as `sparring.tools.sample.draw` takes them.
        cluster: this process's place among those that divide the work.

    Raises:
        SparringError: for what cannot be written so, or drawn.
    """

    def __init__(
        self,
        game: Game,
        seeds: Sequence[int],
        out: Path,
        kind: Kind = "shards",
        size: int = SIZE,
        wanted: str | int | None = None,
        truncation: float | None = None,
        labels: str = "as-data",
        cluster: Cluster | None = None,
    ):
        spec = game.spec
        if not isinstance(seeds, range):
            raise SparringError("shards are of one range of seeds, such as --seeds 0-999999; these have gaps")
        if size < 1:
            raise SparringError(f"--shard is 1 sample or more; got {size}")
        if kind == "tar" and spec.modality != "image":
            raise SparringError("tar is for pictures; ask for --as shards")
        refuse_what_gives(game)
        check_truncation(game, truncation)
        shares_for(game, wanted, labels)
        self.game, self.seeds, self.out, self.kind, self.size = game, seeds, out, kind, size
        self.asked = (wanted, truncation, labels)
        self.cluster, self.room = cluster or Cluster(), modality(spec.modality)
        players = tuple(f"{name}." for name in game.averaged())
        weights = {key: value.cpu() for key, value in game.state_dict().items() if key.startswith(players)}
        self.what = {
            "version": VERSION,
            "kind": kind,
            "model": digest(weights),
            "seeds": [seeds[0], seeds[-1]],
            "shard": size,
            "class": None if wanted is None else str(wanted),
            "labels": labels,
            "truncation": truncation,
            "modality": spec.modality,
            "shape": list(spec.shape),
            "classes": list(spec.classes) if game.conditional(game.config) else [],
        }
        self.of = sha256(json.dumps(self.what).encode())
        self.count = -(-len(seeds) // size)
        self.own = range(self.cluster.rank, self.count, self.cluster.size)

    @property
    def total(self) -> int:
        """How many samples fall to this process."""
        return sum(len(self._seeds(number)) for number in self.own)

    def write(self) -> Iterator[int]:
        """Write this process's shards, yielding how many of its samples are done.

        Raises:
            SparringError: where the folder cannot be written, or holds shards of other samples.
        """
        before = 0
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self._refuse_others()
            for number in self.own:
                if not self._holds(number):
                    yield from (before + done for done in self._make(number))
                before += len(self._seeds(number))
                yield before
            self._finish()
        except OSError as error:
            raise SparringError(f"cannot write to {self.out}: {error.strerror or error}") from None

    def _seeds(self, number: int) -> range:
        return self.seeds[number * self.size : (number + 1) * self.size]

    def _path(self, number: int, stem: str, suffix: str) -> Path:
        return self.out / f"{stem}-{number:05d}{suffix}"

    def _note(self, number: int) -> dict[str, Any] | None:
        """What is said of a shard, or None where nothing is, or nothing that can be read."""
        try:
            found = json.loads(self._path(number, self.room.ARRAY, ".json").read_text(encoding="utf-8"))
            return found if isinstance(found, dict) and isinstance(found["files"], dict) else None
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def _refuse_others(self) -> None:
        for number in self.own:
            note = self._note(number)
            if note is not None and note.get("of") != self.of:
                raise SparringError(
                    f"{self.out} holds shards of another model, other seeds or other settings; choose another --out, "
                    "or remove them"
                )

    def _holds(self, number: int) -> bool:
        """Whether a shard is there, whole, to the last bit of its digest."""
        note = self._note(number)
        try:
            return note is not None and all(
                sha256_file(self.out / Path(name).name) == kept for name, kept in note["files"].items()
            )
        except FileNotFoundError:
            return False

    def _make(self, number: int) -> Iterator[int]:
        """One shard: its file, its labels, then its note; each appears whole."""
        for killed in self.out.glob(f".*-{number:05d}.*.tmp"):  # before its file had its name
            killed.unlink(missing_ok=True)
        seeds = self._seeds(number)
        path = self._path(number, self.room.ARRAY, ".tar" if self.kind == "tar" else ".npy")
        temporary = path.with_name(f".{path.name}.part")  # the same at each try: nothing is left lying about
        labels: list[Tensor] = []
        pieces = (
            _tar(self._parts(seeds, labels)) if self.kind == "tar" else _npy(self._parts(seeds, labels), len(seeds))
        )
        with open(temporary, "wb") as file:
            target = Hashing(file)
            done = 0
            for data, count in pieces:
                target.write(data)
                done += count
                if count:
                    yield done
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        files = {path.name: target.sha.hexdigest()}
        note: dict[str, Any] = {"of": self.of, "first_seed": seeds[0], "count": len(seeds), "files": files}
        if labels:
            drawn = torch.cat(labels)
            note["class_counts"] = torch.bincount(drawn, minlength=len(self.game.spec.classes)).tolist()
            if self.kind == "shards":
                beside, buffer = self._path(number, "labels", ".npy"), io.BytesIO()
                np.lib.format.write_array(buffer, drawn.numpy(), allow_pickle=False)
                write_atomic(beside, buffer.getvalue())
                files[beside.name] = sha256(buffer.getvalue())
        write_json(self._path(number, self.room.ARRAY, ".json"), note)

    def _parts(self, seeds: range, labels: list[Tensor]) -> Iterator[Part]:
        """Samples chunk by chunk; their classes are also put to ``labels``."""
        start = 0
        for samples, drawn in draw_labelled(self.game, seeds, *self.asked):
            if drawn is not None:
                labels.append(drawn)
            array = self.room.array(samples, spec=self.game.spec)
            yield seeds[start : start + len(array)], array, drawn
            start += len(array)

    def _finish(self) -> None:
        """Write ``index.json`` if all shards are there, whoever made them."""
        notes = [self._note(number) for number in range(self.count)]
        if any(note is None or note.pop("of", "") != self.of for note in notes):
            return
        shards = [note for note in notes if note is not None]
        counts = [note["class_counts"] for note in shards if "class_counts" in note]
        index = {
            **self.what,
            "count": len(self.seeds),
            "class_counts": [sum(column) for column in zip(*counts, strict=True)],
        }
        write_json(self.out / INDEX, {**index, "shards": shards})


class Hashing:
    """A file being written, with the SHA-256 of what went into it."""

    def __init__(self, file: BinaryIO):
        self.file, self.sha = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Both."""
        self.sha.update(data)
        return self.file.write(data)


def _npy(parts: Iterable[Part], count: int) -> Iterator[tuple[bytes, int]]:
    """Pieces of an ``.npy`` file of ``count`` samples, and how many samples each has."""
    for number, (_, array, _) in enumerate(parts):
        if number == 0:
            header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False}
            buffer = io.BytesIO()
            np.lib.format.write_array_header_1_0(buffer, {**header, "shape": (count, *array.shape[1:])})
            yield buffer.getvalue(), 0
        yield array.tobytes(), len(array)


def _tar(parts: Iterable[Part]) -> Iterator[tuple[bytes, int]]:
    """Pieces of a tar file of PNGs, each with its class's number behind it; the same bytes every time."""
    for seeds, array, drawn in parts:
        members = []
        for place, (seed, pixels) in enumerate(zip(seeds, array, strict=True)):
            buffer = io.BytesIO()
            Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)).save(
                buffer, "PNG"
            )
            members.append(member(f"seed{seed:08d}.png", buffer.getvalue()))
            if drawn is not None:
                members.append(member(f"seed{seed:08d}.cls", str(int(drawn[place])).encode()))
        yield b"".join(members), len(array)
    yield bytes(2 * tarfile.BLOCKSIZE), 0  # the end


def member(name: str, data: bytes) -> bytes:
    """A file as it lies in a tar, without a date, an owner or anything else that would differ tomorrow."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE)
