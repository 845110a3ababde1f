"""Weights that somebody else trained: found, checked by digest, key and shape, and only then put into a network.

Nothing is downloaded, nothing is unpickled into objects, and no other network stands in for one that is missing.
"""

import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sparring.core.errors import SparringError
from sparring.core.files import cache_folder, sha256_file

Net = TypeVar("Net", bound=nn.Module)
COUNTER = "num_batches_tracked"  # of BatchNorm: older files lack it, and a network at rest does not read it


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights that people know by name.

    Attributes:
        name: as its authors call it.
        sha256: full, hex; what was made of other bytes is another network.
        origin: the project that gives it away.
        other_names: the same bytes under another name.
    """

    name: str
    sha256: str
    origin: str
    other_names: tuple[str, ...] = ()


def find(known: WeightsFile, given: str | Path | None) -> Path:
    """Where the file lies: ``given`` (a file, or a folder it is in), else ``$SPARRING_WEIGHTS``, else the cache folder.

    Raises `SparringError` that says which file is missing, where it belongs and who has it.
    """
    names = (known.name, *known.other_names)
    if given is not None:
        path = Path(given)
        if path.is_file():
            return path
        places = [path]
    else:
        places = [Path(os.environ["SPARRING_WEIGHTS"])] if os.environ.get("SPARRING_WEIGHTS") else []
        places.append(cache_folder() / "weights")
    for place in places:
        for name in names:
            if (place / name).is_file():
                return place / name
    raise SparringError(
        f"the weights {' or '.join(names)} (SHA-256 {known.sha256[:8]}...) are not in "
        f"{' nor in '.join(str(place) for place in places)}: get them from {known.origin} and put them there, or give "
        "their place with --weights or in SPARRING_WEIGHTS"
    )


def check_digest(path: Path, known: WeightsFile) -> str:
    """The file's SHA-256. Raises `SparringError` when it is not the known one."""
    digest = sha256_file(path)
    if digest != known.sha256:
        raise SparringError(
            f"wrong SHA-256 of {path}: {digest[:8]}... instead of {known.sha256[:8]}...; it is not the file from "
            f"{known.origin} or was damaged: get it again"
        )
    return digest


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` or ``.pth`` file by name, on the CPU.

    Raises `SparringError` when it is of another kind, damaged, or holds anything besides tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix in (".pth", ".pt") and zipfile.is_zipfile(path):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
            if isinstance(loaded, Mapping) and all(isinstance(value, Tensor) for value in loaded.values()):
                return dict(loaded)  # a plain dict: no version notes that would make BatchNorm ask for its counters
    except (OSError, SafetensorError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise SparringError(f"cannot read the weights {path}: {str(error).splitlines()[0]}") from None
    raise SparringError(f"{path} is no file of weights that can be read safely; give a .safetensors or .pth of tensors")


def fill(net: Net, tensors: Mapping[str, Tensor], path: Path) -> Net:
    """Put ``tensors`` into ``net``, built on the meta device, for looking only: evaluation mode, no gradients.

    Raises `SparringError` unless every key is there, none besides, each float32, finite and of the right shape.
    """
    wanted = net.state_dict()
    counters = {key: torch.tensor(0) for key in wanted if key.endswith(COUNTER)}
    given = {key: tensor for key, tensor in tensors.items() if not key.endswith(COUNTER)}
    for kind, keys in (
        ("lacks", wanted.keys() - counters.keys() - given.keys()),
        ("has", given.keys() - wanted.keys()),
    ):
        if keys:
            raise SparringError(f"{path} does not fit {type(net).__name__}: it {kind} {_some(keys)}")
    for key, tensor in given.items():
        if tensor.shape != wanted[key].shape or tensor.dtype != torch.float32:
            raise SparringError(
                f"{path} does not fit {type(net).__name__}: {key} is {_kind(tensor)}, not {_kind(wanted[key])}"
            )
        if not tensor.isfinite().all():
            raise SparringError(f"{path} is damaged: {key} has numbers that are not finite")
    net.load_state_dict({**given, **counters}, assign=True)
    return net.requires_grad_(False).eval()


def _some(keys: set[str]) -> str:
    first = ", ".join(sorted(keys)[:3])
    return f"{first} and {len(keys) - 3} more" if len(keys) > 3 else first


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
