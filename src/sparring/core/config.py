"""Settings: frozen dataclasses inside, strict at the edges.

Every setting of a run belongs to one of five groups, spelt the same on the command line (``--train.kimg 60``), in a
settings file (``[train] kimg = 60``), in ``recipe.json`` and in Python: ``data`` (how samples are read), ``game`` (the
family's own), ``optim`` (per player), ``train`` (the engine's), ``eval`` (numbers while training). `build` refuses what
it does not know.
"""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from sparring.core.errors import SparringError, did_you_mean

T = TypeVar("T")
Settings = dict[str, Any]


def setting(default: Any, help: str) -> Any:
    """A dataclass field with its default and one line of help (with units)."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Optim:
    """How one player is moved."""

    name: Literal["adam", "rmsprop", "sgd"] = setting("adam", "optimiser")
    lr: float = setting(2e-4, "learning rate")
    betas: tuple[float, float] = setting((0.5, 0.999), "Adam's decay rates; RMSprop takes the second")
    eps: float = setting(1e-8, "Adam's and RMSprop's epsilon")
    momentum: float = setting(0.0, "SGD's and RMSprop's momentum")
    weight_decay: float = setting(0.0, "L2 penalty")
    schedule: Literal["constant", "linear", "cosine"] = setting("constant", "learning rate after the warm-up")
    warmup_kimg: float = setting(0.0, "linear warm-up from 0, in thousands of images shown")
    decay_from_kimg: float = setting(0.0, "where a linear or cosine schedule begins to fall to 0 at the run's end")
    burn_in_kimg: float = setting(0.0, "kimg over which the two below are reached along half a cosine, then kept")
    end_lr: float = setting(0.0, "learning rate from the end of the burn-in; 0: lr")
    end_beta2: float = setting(0.0, "Adam's second decay rate from the end of the burn-in; 0: the one in betas")

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise ValueError(f"lr must be above 0, got {self.lr}")


@dataclass(frozen=True)
class Data:
    """How samples are read."""

    size: str = setting("auto", "side in pixels (64), height x width (48x64), or auto")
    fit: Literal["crop", "pad", "stretch"] = setting("crop", "how a picture of another shape is brought to that size")
    crop: int = setting(
        0, "cut squares of so many pixels a side out of pictures, which keep their size; anew at each showing"
    )
    channels: Literal["auto", "1", "2", "3", "4"] = setting("auto", "1 grey, 2 grey+alpha, 3 RGB, 4 RGBA")
    depth: Literal["auto", "8"] = setting("auto", "auto keeps 16 bits and floating point, 8 rounds them to 8 bits")
    range: str = setting("", "which values are black and white where files do not say: 0,4095 or -1024,3071")
    labels: Literal["auto", "none"] = setting("auto", "none ignores classes that the data has")
    pairs: Literal[
        "auto", "none", "left-to-right", "right-to-left", "a-to-b", "b-to-a", "unpaired", "unpaired-b-to-a"
    ] = setting("auto", "pictures made from pictures: which is given, which is made; none takes each by itself")
    palette: str = setting("", "of given label maps: auto, or a file of colours, makes a channel for each")
    flip: bool = setting(False, "mirror pictures left to right in half of their showings; not for digits or text")
    rotate: bool = setting(False, "turn squares by 0, 90, 180 or 270 degrees, anew at each showing")
    balance: bool = setting(False, "show each class equally often, however few samples it has")
    store: Literal["auto", "memory", "stream"] = setting("auto", "keep decoded pixels in memory, or read as needed")
    workers: int = setting(2, "reading processes when streaming; 0 reads in the training process")
    max_bad: float = setting(0.01, "share of unreadable files above which training is refused")
    schema: str = setting("", "of a table: a file (TOML, JSON) that says what its columns are, where that is not seen")
    window: int = setting(0, "steps of the windows that a table of series is cut into; 0: no series, or whole ones")
    held_out: float = setting(0.0, "share that training never sees, kept for evaluation; chosen by content")

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out is a share from 0 to below 1, got {self.held_out}")
        if self.window and not 2 <= self.window <= 1 << 20:
            raise ValueError(f"window is 2 steps to 2^20, or 0 for none; got {self.window}")
        if self.crop and not 8 <= self.crop <= 4096:
            raise ValueError(f"crop is a side of 8 to 4096 pixels, or 0 for none; got {self.crop}")


@dataclass(frozen=True)
class Train:
    """What the engine needs to know; the same for every family."""

    kimg: float = setting(1000.0, "length of the run, in thousands of real images shown")
    batch: int = setting(64, "images per optimiser step, over all processes and microbatches")
    microbatches: int = setting(1, "pieces a batch is dealt in, over all processes (gradient accumulation)")
    seed: int = setting(0, "seed of everything random")
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps")
    precision: Literal["fp32", "tf32", "bf16"] = setting(
        "fp32", "bf16 runs networks under autocast, penalties in fp32; tf32 rounds what a GPU multiplies to 11 bits"
    )
    reference: bool = setting(False, "formulas as they are written, in place of their faster rewritings (docs: Speed)")
    plan: Literal["auto", "measured", "off"] = setting(
        "auto", "layout, kernels and compile where they are auto: measured before the first step; auto: on a GPU"
    )
    layout: Literal["auto", "contiguous", "channels_last"] = setting("auto", "how pictures and weights lie in memory")
    kernels: Literal["auto", "rewritten", "written"] = setting("auto", "layers' faster rewritings, or as written")
    compile: Literal["auto", "off", "on"] = setting("auto", "torch.compile the networks, but for penalties' passes")
    checkpointing: bool = setting(False, "keep less of a forward pass, compute it again backward: memory for time")
    allocator: Literal["default", "keep"] = setting("default", "keep: memory freed on a CPU stays with the process")
    shard: Literal["none", "optimiser", "fsdp2"] = setting(
        "none", "optimiser: each process keeps what optimisers remember of its share of the weights; fsdp2 is refused"
    )
    ema_kimg: float = setting(10.0, "half-life of the weight average, in thousands of images; 0 turns it off")
    ema_rampup: float = setting(0.05, "the half-life never exceeds this share of the images shown so far; 0: no ramp")
    augment: str = setting("none", "what D sees of pictures changed: none, diff, ada, or as in diff:color,cutout")
    augment_p: float = setting(0.0, "probability that ada's changes rise to; 0: as much as D overfits")
    augment_kimg: float = setting(500.0, "kimg in which ada's p rises from 0 to augment_p, or may rise to 1")
    freeze_d: int = setting(0, "with --from: layers of D, from the data on, that keep what they came with")
    clip_norm: float = setting(0.0, "clip the movers' joint gradient norm; 0: never")
    guard: Literal["stop", "skip", "rollback"] = setting("stop", "what to do when a gradient is not finite")
    guard_limit: int = setting(20, "skips or rollbacks in a row before the run stops all the same")
    tick_kimg: float = setting(0.0, "how often to log; 0: a hundredth of the run")
    picture_kimg: float = setting(0.0, "how often to draw a sample grid; 0: a twentieth of the run")
    save_kimg: float = setting(0.0, "how often to save the full state; 0: a tenth of the run")
    save_minutes: float = setting(10.0, "and at least this often by the clock")
    keep: int = setting(3, "how many full states to keep (2 or more)")
    track: tuple[str, ...] = setting((), "also log to: tensorboard, wandb, mlflow")
    referee: bool = setting(True, "look at samples and weights now and then, and say what goes wrong")
    coach: bool = setting(False, "on a critical finding go back to a state from before it and change one setting")

    def __post_init__(self) -> None:
        for name in ("kimg", "batch", "microbatches", "augment_kimg"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("ema_kimg", "ema_rampup", "clip_norm", "guard_limit", "tick_kimg", "picture_kimg", "save_kimg"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} cannot be negative, got {getattr(self, name)}")
        if self.freeze_d < 0:
            raise ValueError(f"freeze_d cannot be negative, got {self.freeze_d}")
        if not 0 <= self.augment_p < 1:
            raise ValueError(f"augment_p is at least 0 and below 1, got {self.augment_p}")
        if self.augment_p > 0 and self.augment.partition(":")[0] != "ada":
            raise ValueError(f"augment_p is a probability of ada's; with augment {self.augment} leave it out")
        if self.batch > 1 << 20:
            raise ValueError(f"batch is at most 2^20 images, got {self.batch}")
        if not 0 <= self.seed < 1 << 63:
            raise ValueError(f"seed lies in 0 to 2^63 - 1, got {self.seed}")
        if self.reference and (self.kernels == "rewritten" or self.compile == "on"):
            raise ValueError("reference computes formulas as they are written; leave kernels and compile out")
        if self.checkpointing and self.compile == "on":
            raise ValueError("checkpointing and compile do not go together; leave one of them out")
        if self.coach and not self.referee:
            raise ValueError("the coach acts on what the referee finds; leave referee on")
        if self.batch % self.microbatches:
            raise ValueError(f"batch {self.batch} cannot be dealt in {self.microbatches} equal microbatches")
        if self.shard == "fsdp2":
            raise ValueError(
                "shard fsdp2 would leave no process with whole weights, and one process alone draws samples, averages "
                "and publishes here; take shard optimiser (docs: Beyond one machine says what fsdp2 would need)"
            )
        if self.keep < 2:
            raise ValueError("keep must be 2 or more: the newest state may be the damaged one")

    @property
    def nimg(self) -> int:
        """Length of the run in images."""
        return round(self.kimg * 1000)


@dataclass(frozen=True)
class Eval:
    """Numbers while training. They shape no weight: a run is bit-identical with and without them."""

    every: float = setting(0.0, "how often to evaluate, in thousands of images; 0: never")
    samples: int = setting(2000, "samples each time, and reals at most")
    extractor: str = setting("auto", "feature network, as for `sparring evaluate`; auto chooses by the data")
    patience: int = setting(0, "stop after so many evaluations in a row without gain; 0: only advise")

    def __post_init__(self) -> None:
        for name in ("every", "patience"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} cannot be negative, got {getattr(self, name)}")
        if self.samples < 50:
            raise ValueError(f"samples must be 50 or more, got {self.samples}")


# What may change when a run is resumed: it shapes what is kept and shown, or how long, never the path of the weights.
FREE_ON_RESUME = frozenset(
    {"train.kimg", "train.device", "train.guard", "train.guard_limit", "train.keep", "train.track", "train.referee"}
    | {"train.allocator", "train.plan", "train.coach", "train.shard"}
    | {"train.tick_kimg", "train.picture_kimg", "train.save_kimg", "train.save_minutes", "data.workers", "data.store"}
    | {"eval.every", "eval.samples", "eval.extractor", "eval.patience"}
)


def build(cls: type[T], given: Mapping[str, Any], where: str) -> T:
    """Build the frozen dataclass ``cls`` from plain values or strings.

    Raises `SparringError` naming ``where.key`` for an unknown key, a value of the wrong type, or one the class refuses.
    """
    hints = typing.get_type_hints(cls)
    values: Settings = {}
    for key, value in given.items():
        name = key.replace("-", "_")
        if name not in hints:
            raise SparringError(f"unknown setting '{where}.{key}'{did_you_mean(name, hints)}")
        values[name] = _convert(value, hints[name], f"{where}.{key}")
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise SparringError(f"{where}: {error}") from None


def _convert(value: Any, kind: Any, where: str) -> Any:
    """Turn a string, JSON or TOML value into ``kind``."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise SparringError(f"{where} is a group of settings; write {where}.NAME VALUE")
        return build(kind, value, where)
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None or (isinstance(value, str) and value.lower() == "none" and type(None) in args):
            return None
        return _convert(value, next(arg for arg in args if arg is not type(None)), where)
    if origin is Literal:
        if value not in args:
            raise SparringError(f"{where} is one of {', '.join(map(str, args))}; got '{value}'")
        return value
    if origin is tuple:
        parts = [part for part in value.split(",") if part] if isinstance(value, str) else list(value)
        if args[-1] is not Ellipsis and len(parts) != len(args):
            raise SparringError(f"{where} takes {len(args)} values separated by commas, got '{value}'")
        return tuple(_convert(part, args[0], where) for part in parts)
    if kind is bool:
        word = str(value).lower()
        if word not in ("true", "false", "yes", "no", "1", "0"):
            raise SparringError(f"{where} is true or false; got '{value}'")
        return word in ("true", "yes", "1")
    if kind in (int, float) and not isinstance(value, bool):
        try:
            number = float(value)
            if math.isfinite(number) and (kind is float or number == int(number)):
                return kind(number) if kind is float else int(number)
        except (TypeError, ValueError):
            pass
        raise SparringError(f"{where} is a{' whole' if kind is int else ''} number; got '{value}'")
    if kind is str and isinstance(value, str):
        return value
    raise SparringError(f"{where} cannot be '{value}'")


def plain(config: Any) -> Settings:
    """The JSON form of a settings dataclass; `build` takes it back."""
    return typing.cast(Settings, json.loads(json.dumps(dataclasses.asdict(config))))


def describe(cls: Any) -> list[tuple[str, str, str]]:
    """``(name, default, help)`` of each setting, for help pages and documentation."""
    rows: list[tuple[str, str, str]] = []
    for item in fields(cls):
        if dataclasses.is_dataclass(item.default):
            rows += [(f"{item.name}.{name}", value, said) for name, value, said in describe(type(item.default))]
            continue
        default = "" if item.default is MISSING else item.default
        if isinstance(default, tuple):
            default = ",".join(map(str, default))
        rows.append((item.name, str(default), item.metadata.get("help", "")))
    return rows


def merge(*layers: Mapping[str, Any]) -> Settings:
    """Merge nested settings; a later layer wins."""
    merged: Settings = {}
    for layer in layers:
        for key, value in layer.items():
            if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
                merged[key] = merge(merged[key], value)
            else:
                merged[key] = merge(value) if isinstance(value, Mapping) else value
    return merged


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"train": {"kimg": 1}}`` to ``{"train.kimg": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat.update(flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat


def unflatten(flat: Mapping[str, Any]) -> Settings:
    """``{"train.kimg": 1}`` to ``{"train": {"kimg": 1}}``."""
    nested: Settings = {}
    for dotted, value in flat.items():
        *groups, name = dotted.split(".")
        inner = nested
        for group in groups:
            inner = inner.setdefault(group, {})
            if not isinstance(inner, dict):
                raise SparringError(f"'{group}' in '{dotted}' is both a setting and a group")
        inner[name] = value
    return nested
