"""How a sample of each kind is drawn and written. One file a kind of data; ``DataSpec.modality`` names it."""

import importlib
from types import ModuleType

from sparring.core.errors import SparringError


def modality(name: str) -> ModuleType:
    """The room of a kind of data, e.g. ``modality("image")``."""
    try:
        return importlib.import_module(f"sparring.modalities.{name}")
    except ModuleNotFoundError:
        raise SparringError(f"there is no modality '{name}'") from None
