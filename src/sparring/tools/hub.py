"""Models on a model hub, through ``huggingface_hub`` (an extra). Only safetensors, JSON and pictures travel."""

from pathlib import Path
from typing import Any

from sparring.core.errors import SparringError
from sparring.tools.model import CARD, WEIGHTS
from sparring.tools.run import Run, load


def push(run: str | Path, repository: str, private: bool = False) -> str:
    """Upload a run's ``model/`` to ``OWNER/NAME`` and return its address.

    Raises:
        SparringError: without the extra, without a whole model, or when the hub refuses.
    """
    load(run)  # a damaged model is not sent
    folder = Run(run)._model
    hub = _hub()
    try:
        api = hub.HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=str(folder), allow_patterns=[WEIGHTS, CARD])
    except Exception as error:  # the client raises its own, requests' and OS errors: all mean that it did not arrive
        raise SparringError(f"could not push to {repository}: {_first_line(error)}") from None
    return repository


def pull(repository: str, out: str | Path | None = None) -> Path:
    """Download a model that `push` uploaded, verify it, and return its folder.

    Raises:
        SparringError: without the extra, when it cannot be fetched, or when it is no whole sparring model.
    """
    target = Path(out or repository.rpartition("/")[2])
    hub = _hub()
    try:
        hub.snapshot_download(repository, local_dir=str(target), allow_patterns=[WEIGHTS, CARD])
    except Exception as error:
        raise SparringError(f"could not pull {repository}: {_first_line(error)}") from None
    load(target)
    return target


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise SparringError("the model hub needs an extra: pip install 'sparring[hub]'") from None
    return huggingface_hub


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
