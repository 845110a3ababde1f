"""Settings that a person wrote to a file: YAML, TOML or JSON."""

import json
from pathlib import Path
from typing import Any

from sparring.core.config import Settings
from sparring.core.errors import SparringError


def read_file(path: Path) -> Settings:
    """Read a settings file (TOML, JSON, or YAML where PyYAML is installed). Raises `SparringError` for what is none."""
    if not path.is_file():
        raise SparringError(f"there is no settings file {path}")
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            import tomllib

            return tomllib.loads(text)
        if path.suffix == ".json":
            loaded = json.loads(text)
        elif path.suffix in (".yaml", ".yml"):
            loaded = _read_yaml(text)
        else:
            raise SparringError(f"{path}: a settings file ends in .toml, .json or .yaml")
    except (ValueError, OSError) as error:  # what TOML, JSON and UTF-8 raise are ValueErrors
        raise SparringError(f"{path}: {error}") from None
    if not isinstance(loaded, dict):
        raise SparringError(f"{path}: a settings file holds groups of settings (data, eval, game, optim, train)")
    return loaded


def _read_yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise SparringError("reading YAML needs PyYAML: pip install 'sparring[yaml]', or write TOML") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
