"""Trackers: tensorboard for real, wandb and mlflow against stand-ins that record what they are told."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from sparring.core.errors import SparringError
from sparring.core.folder import RunFolder
from sparring.core.observer import Tick, Watcher
from sparring.watch.pictures import grid_path
from sparring.watch.trackers import make_tracker

CONFIG = {"family": "dcgan", "train": {"kimg": 60, "batch": 64}}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "faces")
    made.create()
    Image.new("RGBA", (8, 6), (255, 0, 0, 128)).save(grid_path(made, 1000))
    return made


def play(tracker: Watcher, folder: RunFolder, nimg: int = 0, ticks: tuple[int, ...] = (1000, 2000)) -> None:
    tracker.start(nimg, 60_000)
    for at in ticks:
        tracker.tick(Tick(at, 60_000, 1.0, 10.0, 5.0, {"D.d/loss": at / 1000, "G+E.g/loss": float("nan")}))
    tracker.picture(grid_path(folder, 1000), 1000)
    tracker.event("verdict", "collapsed", severity="critical")
    tracker.finish()
    tracker.event("late", "after the end")
    tracker.finish()


@pytest.mark.parametrize("name", ["wandb", "mlflow", "tensorboard"])
def test_a_missing_package_is_named(name: str, folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(SparringError, match=rf"pip install 'sparring\[{name}\]'"):
        make_tracker(name, folder, CONFIG)


def test_an_unknown_name(folder: RunFolder) -> None:
    with pytest.raises(SparringError, match="did you mean 'tensorboard'"):
        make_tracker("tensorbord", folder, CONFIG)


# ---------------------------------------------------------------------- tensorboard


def test_tensorboard(folder: RunFolder) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read() -> Any:
        return EventAccumulator(str(folder.root / "tensorboard"), {"images": 0, "scalars": 0, "tensors": 0}).Reload()

    play(make_tracker("tensorboard", folder, CONFIG), folder)
    events = read()
    assert [(s.step, s.value) for s in events.Scalars("D.d/loss")] == [(1000, 1.0), (2000, 2.0)]
    assert {"G+E.g/loss", "speed/images_per_second"} <= set(events.Tags()["scalars"])
    (picture,) = events.Images("samples")
    assert (picture.step, picture.width, picture.height) == (1000, 8, 6)
    (text,) = events.Tensors("events/verdict/text_summary")
    assert text.tensor_proto.string_val[0] == b"collapsed"
    assert b"train.batch = 64" in events.Tensors("recipe/text_summary")[0].tensor_proto.string_val[0]

    play(make_tracker("tensorboard", folder, CONFIG), folder, nimg=1000, ticks=(1500,))
    assert [(s.step, s.value) for s in read().Scalars("D.d/loss")] == [(1000, 1.0), (1500, 1.5)]


# ---------------------------------------------------------------------- stand-ins


class Told(list[Any]):
    """Functions that note their calls."""

    def note(self, name: str, result: Any = None) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            self.append((name, args, named))
            return result

        return call

    def of(self, name: str) -> list[Any]:
        return [(args, named) for called, args, named in self if called == name]


def stand_in(name: str, told: Told, results: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType(name)
    for function, result in results.items():
        setattr(module, function, told.note(function, result))
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    run = SimpleNamespace(**{name: told.note(name) for name in ("define_metric", "log", "alert", "finish")})
    stand_in("wandb", told, {"init": run, "Image": "an image"}, monkeypatch)
    return told


def test_wandb(folder: RunFolder, wandb: Told) -> None:
    play(make_tracker("wandb", folder, CONFIG), folder)
    play(make_tracker("wandb", folder, CONFIG), folder, nimg=1000, ticks=(1500,))
    first, second = (named for _, named in wandb.of("init"))
    assert first["id"] == second["id"]
    assert (first["resume"], first["name"], first["config"]) == ("allow", "faces", CONFIG)
    logged = [args[0] for args, _ in wandb.of("log")]
    assert (logged[0]["nimg"], logged[0]["D.d/loss"]) == (1000, 1.0)
    assert {"nimg": 1000, "samples": "an image"} in logged
    assert wandb.of("Image")[0] == ((str(grid_path(folder, 1000)),), {})
    assert wandb.of("alert")[0] == ((), {"title": "verdict", "text": "collapsed"})
    assert len(wandb.of("finish")) == 2


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    names = ("set_experiment", "log_params", "log_metrics", "log_artifact", "set_tag", "end_run")
    run = SimpleNamespace(info=SimpleNamespace(run_id="abc"))
    stand_in("mlflow", told, {"start_run": run, **dict.fromkeys(names)}, monkeypatch)
    return told


def test_mlflow(folder: RunFolder, mlflow: Told) -> None:
    play(make_tracker("mlflow", folder, CONFIG), folder)
    play(make_tracker("mlflow", folder, CONFIG), folder, nimg=1000, ticks=(1500,))
    assert [named for _, named in mlflow.of("start_run")] == [{"run_name": "faces"}, {"run_id": "abc"}]
    assert mlflow.of("log_params") == [(({"family": "dcgan", "train.kimg": "60", "train.batch": "64"},), {})]
    (metrics,), step = mlflow.of("log_metrics")[0]
    assert step == {"step": 1000}
    assert metrics == {"D.d/loss": 1.0, "speed/images_per_second": 10.0, "speed/memory_mb": 5.0}  # no nan
    assert mlflow.of("log_artifact")[0] == ((str(grid_path(folder, 1000)), "samples"), {})
    assert mlflow.of("set_tag")[0] == (("event.verdict", "collapsed"), {})
    assert len(mlflow.of("end_run")) == 2
