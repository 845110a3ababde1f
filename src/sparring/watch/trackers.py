"""The same numbers in other people's tools. Each is an extra package, imported only when it is asked for."""

import json
import math
import re
import uuid
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sparring.core.config import flatten
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.files import write_json
from sparring.core.folder import RunFolder
from sparring.core.observer import Tick, Watcher
from sparring.watch.pictures import opaque, open_picture


def make_tracker(name: str, folder: RunFolder, config: Mapping[str, Any]) -> Watcher:
    """The tracker called ``name``: tensorboard, wandb or mlflow.

    Args:
        name: as in ``--train.track``.
        folder: the run.
        config: the recipe, shown beside the numbers.

    Raises `SparringError` for an unknown name or a package that is not installed.
    """
    if name not in TRACKERS:
        raise SparringError(f"there is no tracker '{name}' (train.track){did_you_mean(name, TRACKERS)}")
    try:
        return TRACKERS[name](folder, config)
    except ImportError as error:
        raise SparringError(
            f"tracking with {name} needs a package that is not installed ({error}): pip install 'sparring[{name}]', "
            f"or leave {name} out of train.track"
        ) from None


def _numbers(tick: Tick) -> dict[str, float]:
    speed = {"speed/images_per_second": tick.images_per_second, "speed/memory_mb": tick.memory_mb}
    return {**tick.terms, **speed}


def _remembered(folder: RunFolder, tool: str, make: Callable[[], str]) -> tuple[str, bool]:
    """The name that ``tool`` knows this run by, and whether it is new; ``tracking.json`` keeps it for a resume."""
    path = folder.root / "tracking.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if tool in known:
        return str(known[tool]), False
    known[tool] = make()
    write_json(path, known)
    return str(known[tool]), True


class TensorBoard(Watcher):
    """Event files in the run's ``tensorboard/``. Steps are images shown; a lost future is purged on resume."""

    def __init__(self, folder: RunFolder, config: Mapping[str, Any]):
        with warnings.catch_warnings():  # what tensorboard's own imports deprecate is not this run's news
            warnings.simplefilter("ignore", DeprecationWarning)
            from torch.utils.tensorboard import SummaryWriter
        self.make = SummaryWriter
        self.folder, self.config = folder, config
        self.writer: Any = None
        self.nimg = 0

    def start(self, nimg: int, total_nimg: int) -> None:
        self.finish()
        self.nimg = nimg
        self.writer = self.make(str(self.folder.root / "tensorboard"), purge_step=nimg + 1 if nimg else None)
        if nimg == 0:
            lines = (f"    {key} = {value}" for key, value in flatten(self.config).items())
            self.writer.add_text("recipe", "\n".join(lines), 0)

    def tick(self, tick: Tick) -> None:
        self.nimg = tick.nimg
        for name, value in _numbers(tick).items():
            self.writer.add_scalar(name, value, tick.nimg)
        self.writer.flush()

    def event(self, kind: str, message: str, **details: Any) -> None:
        if self.writer is not None:
            self.writer.add_text(f"events/{kind}", message, self.nimg)

    def picture(self, path: Path, nimg: int) -> None:
        image = open_picture(path)
        if image is not None:
            self.writer.add_image("samples", np.asarray(opaque(image)), nimg, dataformats="HWC")

    def finish(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None


class WandB(Watcher):
    """Weights & Biases. Curves are over ``nimg``, because its own step may never go back, as a resumed run does."""

    def __init__(self, folder: RunFolder, config: Mapping[str, Any]):
        import wandb

        self.wandb: ModuleType = wandb
        self.folder, self.config = folder, config
        self.run: Any = None

    def start(self, nimg: int, total_nimg: int) -> None:
        if self.run is not None:
            return
        identity, _ = _remembered(self.folder, "wandb", lambda: uuid.uuid4().hex[:12])
        self.run = self.wandb.init(
            project="sparring",
            name=self.folder.root.name,
            id=identity,
            resume="allow",
            dir=str(self.folder.root),
            config=dict(self.config),
        )
        self.run.define_metric("nimg")
        self.run.define_metric("*", step_metric="nimg")

    def tick(self, tick: Tick) -> None:
        self.run.log({"nimg": tick.nimg, **_numbers(tick)})

    def event(self, kind: str, message: str, **details: Any) -> None:
        """Warnings become alerts; the rest is in ``events.jsonl``."""
        if self.run is not None and details.get("severity") in ("warn", "critical"):
            self.run.alert(title=kind, text=message)

    def picture(self, path: Path, nimg: int) -> None:
        self.run.log({"nimg": nimg, "samples": self.wandb.Image(str(path))})

    def finish(self) -> None:
        if self.run is not None:
            run, self.run = self.run, None
            run.finish()


class MLflow(Watcher):
    """MLflow, wherever its own settings point. Steps are images shown."""

    def __init__(self, folder: RunFolder, config: Mapping[str, Any]):
        import mlflow

        self.mlflow: Any = mlflow
        self.folder, self.config = folder, config
        self.open = False

    def start(self, nimg: int, total_nimg: int) -> None:
        if self.open:
            return

        def begin() -> str:
            self.mlflow.set_experiment("sparring")
            return str(self.mlflow.start_run(run_name=self.folder.root.name).info.run_id)

        identity, new = _remembered(self.folder, "mlflow", begin)
        self.open = True
        if new:  # a parameter cannot be logged twice
            self.mlflow.log_params({key: str(value)[:500] for key, value in flatten(self.config).items()})
        else:
            self.mlflow.start_run(run_id=identity)

    def tick(self, tick: Tick) -> None:
        finite = {name: value for name, value in _numbers(tick).items() if math.isfinite(value)}
        named = {re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII): value for name, value in finite.items()}
        self.mlflow.log_metrics(named, step=tick.nimg)

    def event(self, kind: str, message: str, **details: Any) -> None:
        if self.open:
            self.mlflow.set_tag(f"event.{re.sub(r'[^A-Za-z0-9_]', '_', kind)}", message[:500])

    def picture(self, path: Path, nimg: int) -> None:
        self.mlflow.log_artifact(str(path), "samples")

    def finish(self) -> None:
        if self.open:
            self.open = False
            self.mlflow.end_run()


TRACKERS: dict[str, Callable[[RunFolder, Mapping[str, Any]], Watcher]] = {
    "tensorboard": TensorBoard,
    "wandb": WandB,
    "mlflow": MLflow,
}
