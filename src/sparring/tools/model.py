"""The generator in files of its own: safetensors for weights, JSON for what they belong to. Nothing is unpickled."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from sparring.core.config import build
from sparring.core.errors import SparringError
from sparring.core.files import write_atomic, write_json
from sparring.core.game import Game
from sparring.core.registry import load_family
from sparring.core.spec import DataSpec
from sparring.engine.loop import Engine
from sparring.modalities import modality
from sparring.tools.plan import Plan, dry_game

VERSION = 1
WEIGHTS, CARD = "generator.safetensors", "model.json"


def publish(engine: Engine, plan: Plan, folder: Path) -> None:
    """Write the averaged weights of the players that `Game.sample` needs.

    ``model.json`` never changes during a run and goes first; the weights carry their own checksum and position. So a
    crash between the two files leaves a model that loads.
    """
    record = plan.record()
    card = {"version": VERSION, **{key: record[key] for key in ("family", "spec", "game", "source")}}
    write_json(folder / CARD, card)
    with engine.average.applied():
        prefixes = tuple(f"{name}." for name in engine.game.averaged())
        weights = {
            key: value.detach().cpu().contiguous().clone()
            for key, value in engine.game.state_dict().items()
            if key.startswith(prefixes)
        }
    origin = json.dumps({"nimg": engine.nimg, "sha256": digest(weights)})
    # One entry only: safetensors writes several in an order of its own, and equal weights would not be equal files.
    write_atomic(folder / WEIGHTS, safetensors.torch.save(weights, {"sparring": origin}))


def digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over names and values, in the order of the names."""
    sha = hashlib.sha256()
    for name in sorted(weights):
        sha.update(name.encode())
        sha.update(weights[name].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def load_model(folder: Path, family: str | None = None) -> tuple[Game, dict[str, Any]]:
    """Build the game in ``folder`` (a ``model/``) with its published weights, in eval mode.

    Args:
        folder: holds ``generator.safetensors`` and ``model.json``.
        family: names the family itself; needed when the card names code outside the registry (``module:Class``), which
            is imported only on a person's word.

    Returns:
        the game, and ``model.json`` with ``nimg`` added.

    Raises:
        SparringError: when a file is missing, damaged, of another version, or not what it says.
    """
    card = read_card(folder)
    name = family or card["family"]
    if ":" in name and family is None:
        raise SparringError(f"{folder} names the code '{name}'; if you trust it, say --family {name} yourself")
    cls = load_family(name)
    spec = build(DataSpec, card["spec"], f"{folder / CARD}: spec")
    config: Any = build(cls.config_class, card["game"], f"{folder / CARD}: game")
    if spec.modality not in cls.modalities or not modality(spec.modality).fits(spec.shape):
        raise SparringError(f"{folder / CARD} is damaged: '{name}' makes no {spec.modality} of shape {spec.shape}")
    weights, nimg = read_weights(folder / WEIGHTS)
    dry = dry_game(name, cls, spec, config)  # a card may ask for any amount of memory: compare before giving it
    prefixes = tuple(f"{player}." for player in dry.averaged())
    own = {key: value.shape for key, value in dry.state_dict().items() if key.startswith(prefixes)}
    if own != {key: value.shape for key, value in weights.items()}:
        raise SparringError(f"{folder / WEIGHTS} does not hold the weights that {CARD} describes; copy both again")
    game = cls(spec, config)
    game.load_state_dict(weights, strict=False)
    return game.eval().requires_grad_(False), {**card, "nimg": nimg}


def read_card(folder: Path) -> dict[str, Any]:
    """``model.json``. Raises `SparringError` when it is missing, damaged or of another version."""
    path = folder / CARD
    if not path.is_file():
        raise SparringError(f"{folder} holds no model: {CARD} is missing")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        version = card["version"]
        for key, kind in (("family", str), ("spec", dict), ("game", dict)):
            if not isinstance(card[key], kind):
                raise ValueError(f"'{key}' is of the wrong kind")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SparringError(f"{path} is damaged: {error}") from None
    if version != VERSION:
        raise SparringError(f"{path} has version {version}; this sparring reads version {VERSION}")
    return dict(card)


def read_weights(path: Path) -> tuple[dict[str, Tensor], int]:
    """Weights and the position they were taken at, checksum verified."""
    if not path.is_file():
        raise SparringError(f"{path} is missing")
    try:
        with safetensors.safe_open(path, "pt") as file:
            origin = json.loads((file.metadata() or {}).get("sparring", "null"))
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise SparringError(f"{path} is not a whole safetensors file: {error}") from None
    if not isinstance(origin, dict) or not isinstance(origin.get("nimg"), int):
        raise SparringError(f"{path} was not written by sparring, or is damaged: it does not say where it comes from")
    if origin.get("sha256") != digest(weights):
        raise SparringError(f"{path} is damaged: its checksum differs from the one it was written with")
    return weights, origin["nimg"]
