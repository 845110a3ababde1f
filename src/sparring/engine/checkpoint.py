"""Full training states that survive anything: a folder each, checksummed, the newest few kept.

A state is written into a temporary folder beside its place (files, fsync; manifest with SHA-256 of each, fsync), then
renamed. A reader takes the newest whose checksums hold; a damaged one is set aside, never deleted. Everything is
safetensors and JSON: nothing is ever unpickled.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from sparring.core.errors import SparringError
from sparring.core.files import sha256, sha256_file, sync_folder, write_synced

VERSION = 1
Tensors = dict[str, dict[str, Tensor]]


class Damaged(Exception):
    """A state whose files are not what its manifest says."""


def save(root: Path, tensors: Mapping[str, Mapping[str, Tensor]], position: Mapping[str, Any], keep: int) -> Path:
    """Write one state under ``root`` and drop all but the newest ``keep``. ``position`` must hold ``nimg``.

    Raises `OSError` when the disk is full or read-only; the states before it are untouched then.
    """
    final = root / f"{position['nimg']:012d}"
    if final.exists():  # the same position was saved before; its content is the same
        return final
    temporary = root / f".{final.name}.{os.getpid()}.tmp"
    try:
        temporary.mkdir(parents=True)
        files = {f"{name}.safetensors": to_bytes(_contiguous(group)) for name, group in tensors.items()}
        files["position.json"] = json.dumps(dict(position)).encode()
        for name, data in files.items():
            write_synced(temporary / name, data)
        manifest = {"version": VERSION, "sha256": {name: sha256(data) for name, data in files.items()}}
        write_synced(temporary / "manifest.json", json.dumps(manifest).encode())
        sync_folder(temporary)
        os.replace(temporary, final)
        sync_folder(root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for old in _states(root)[keep:]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def load_newest(root: Path) -> Iterator[tuple[Tensors, dict[str, Any]] | str]:
    """Yield a sentence for each damaged state set aside, then ``(tensors, position)`` of the newest whole one, if any.

    Where none is whole, none is moved: to ask again must not start afresh over what might still be mended.

    Raises `SparringError` for a state of another version, or when states exist and every one is damaged.
    """
    damaged: list[tuple[Path, Damaged]] = []
    for folder in _states(root):
        try:
            whole = read(folder)
        except Damaged as error:
            damaged.append((folder, error))
            continue
        for bad, why in damaged:
            aside = bad.with_name(f"damaged-{bad.name}-{os.getpid()}")
            os.replace(bad, aside)
            yield f"state {bad.name} is damaged ({why}); kept as {aside.name}; falling back to the one before"
        yield whole
        return
    if damaged:
        raise SparringError(
            f"every state in {root} is damaged, the newest so: {damaged[0][1]}; "
            "put one back from a copy, or train into another --run"
        )


def read(folder: Path) -> tuple[Tensors, dict[str, Any]]:
    """One state, verified before a byte of it is used. Raises `Damaged`."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        version, digests = manifest["version"], dict(manifest["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"manifest.json: {error}") from None
    if version != VERSION:
        raise SparringError(f"{folder} has version {version}; this sparring reads version {VERSION}")
    for name, digest in digests.items():
        if Path(name).name != name or not (folder / name).is_file():
            raise Damaged(f"{name} is missing")
        if sha256_file(folder / name) != digest:
            raise Damaged(f"{name} has another checksum than it was written with")
    try:
        names = sorted(name for name in digests if name.endswith(".safetensors"))
        tensors = {Path(name).stem: from_bytes((folder / name).read_bytes()) for name in names}
        return tensors, json.loads((folder / "position.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise Damaged(str(error)) from None


def positions(root: Path) -> list[int]:
    """Images shown at each state, newest first."""
    return [int(folder.name) for folder in _states(root)]


def drop_after(root: Path, nimg: int, salt: int) -> None:
    """Drop the states beyond ``nimg`` of a future that was given up: those with a lower salt than the run has now."""
    for folder in _states(root):
        if int(folder.name) > nimg:
            try:
                given_up = int(json.loads((folder / "position.json").read_text(encoding="utf-8"))["salt"]) < salt
            except (OSError, ValueError, KeyError, TypeError):
                continue  # damaged; `load_newest` says so
            if given_up:
                shutil.rmtree(folder, ignore_errors=True)


def clear_leftovers(root: Path) -> None:
    """Remove temporaries that a killed process left. Call it only while holding the run folder's lock."""
    for leftover in root.glob(".*.tmp"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _states(root: Path) -> list[Path]:
    """Whole states, newest first."""
    return sorted((p for p in root.glob("[0-9]*") if p.is_dir()), reverse=True)


def _contiguous(group: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in group.items()}
