"""From what a person typed to everything a run needs, with reasons."""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from sparring.core.cluster import Cluster
from sparring.core.config import FREE_ON_RESUME, Data, Eval, Optim, Settings, Train, build, flatten, merge, plain
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.folder import RunFolder
from sparring.core.game import Game
from sparring.core.recipe import GROUPS, Recipe
from sparring.core.registry import load_family
from sparring.core.spec import DataSpec
from sparring.data import DataSet, hold_out, labels_warning, open_data
from sparring.data.series import is_series, usual_window
from sparring.data.table.noisy import with_noisy_counts
from sparring.engine.augmentation import augment
from sparring.engine.held import Held
from sparring.engine.precision import choose_device
from sparring.tools.choose import Machine, advice, choose, choose_family, settings_of, shape_of
from sparring.tools.moves import KEY as MOVES
from sparring.tools.moves import moves_of, without_what_moved


@dataclass(frozen=True)
class Plan:
    """A run, fully said.

    Attributes:
        source, family, data, train, eval: what is trained on what, how, and how it is measured meanwhile.
        game: an instance of the family's ``config_class``.
        optim: each player's optimiser.
        dataset: the opened data; its ``spec`` is what networks are built from.
        reasons: why things were chosen that nobody asked for, for printing.
    """

    source: str
    family: str
    data: Data
    game: Any
    optim: dict[str, Optim]
    train: Train
    eval: Eval
    dataset: DataSet
    reasons: tuple[str, ...] = field(default=())

    @property
    def family_class(self) -> type[Game]:
        return load_family(self.family)

    def make_game(self) -> Game:
        """The networks, initialised from the run's seed."""
        torch.manual_seed(self.train.seed)
        return self.family_class(self.dataset.spec, self.game)

    def record(self) -> dict[str, Any]:
        """The content of ``recipe.json``: every setting said."""
        return {
            "source": self.source,
            "family": self.family,
            "fingerprint": self.dataset.fingerprint,
            "spec": asdict(self.dataset.spec),
            "data": plain(self.data),
            "game": plain(self.game),
            "optim": {name: plain(optim) for name, optim in self.optim.items()},
            "train": plain(self.train),
            "eval": plain(self.eval),
        }


def make_plan(
    recipe: Recipe,
    progress: Any = None,
    cluster: Cluster | None = None,
    dataset: DataSet | None = None,
    automatic: bool = True,
) -> Plan:
    """Open the data (unless it is open), choose what is not said, and check all of it.

    Without ``automatic`` nothing is chosen for the data and the machine: what a run was started with goes on anywhere.

    Raises `SparringError` for anything a person can mend.
    """
    data = with_window(recipe, build(Data, recipe.part("data"), "data"))
    dataset = dataset or open_data(recipe.source, data, progress)
    if data.held_out and dataset.held_out is None:
        dataset = hold_out(dataset, data.held_out, progress)
    spec = dataset.spec
    if data.balance and not spec.classes:
        raise SparringError("data.balance shows each class equally often, and this data has no classes; leave it out")
    if data.rotate and (spec.modality != "image" or spec.shape[1] != spec.shape[2]):
        raise SparringError(f"data.rotate turns squares, and the samples are {shape_of(spec)}; leave it out")
    reasons = list(dataset.notes)
    if data.window and "window" not in recipe.part("data"):
        reasons.append(f"data.window {data.window}: {recipe.family} is for series, which are cut into windows")
    family = recipe.family
    processes = cluster.size if cluster else 1
    machine = Machine.of(choose_device(str(recipe.part("train").get("device", "auto"))), processes)
    if not family:
        family, why = choose_family(spec, machine, recipe.settings)
        reasons.append(f"family {family}: {why}")
    cls = load_family(family)
    if spec.modality not in cls.modalities:
        made_for = " and ".join(cls.modalities)
        raise SparringError(f"family '{family}' is for {made_for} data; {recipe.source} is {spec.modality} data")
    refuse_what_does_not_fit(family, cls, spec, recipe.source)
    refuse_privacy(family, cls, recipe.part("game"))
    settings = recipe.settings
    if automatic:
        choices = choose(family, cls, spec, machine, settings)
        reasons += [*map(str, choices), *advice(cls, spec, machine, settings)]
        settings = merge(settings_of(choices), settings)
    train_settings = dict(settings.get("train", {}))
    if processes > 1 and "microbatches" not in train_settings:
        train_settings["microbatches"] = processes
        reasons.append(f"train.microbatches {processes}: one for each process")
    game: Any = build(cls.config_class, settings.get("game", {}), "game")
    train = build(Train, train_settings, "train")
    evaluation = build(Eval, settings.get("eval", {}), "eval")
    cls.refuse(spec, game, train)
    if private := cls.private(game):
        dataset = with_noisy_counts(dataset, private.counts, train.seed)
        spec = dataset.spec
    warning = labels_warning(spec) if cls.conditional(game) else None
    if warning:
        raise SparringError(f"game.conditional cannot be used here: {warning}")
    dry = dry_game(family, cls, spec, game)
    Held(dry, train)
    augment(dry, train)
    optim = players_optim(dry.optimisers(), settings.get("optim", {}))
    return Plan(recipe.source, family, data, game, optim, train, evaluation, dataset, tuple(reasons))


def with_window(recipe: Recipe, data: Data) -> Data:
    """The settings with the window that makes a source series, where its family alone says that it is of series."""
    if not recipe.family or load_family(recipe.family).modalities != ("series",) or is_series(recipe.source, data):
        return data
    return replace(data, window=usual_window(recipe.source))


def refuse_what_does_not_fit(family: str, cls: type[Game], spec: DataSpec, source: str) -> None:
    """Raise `SparringError` where a family makes samples from something that the data has not, or the reverse."""
    if spec.modality != "image":
        return
    if spec.given and not cls.gives:
        raise SparringError(
            f"family '{family}' makes pictures from noise, and {source} holds pictures to make others from; take a "
            "family such as pix2pix or cut, or --data.pairs none for all pictures as one set"
        )
    if cls.gives and cls.give is Game.give and not spec.given:
        raise SparringError(
            f"family '{family}' makes pictures from pictures, and {source} is one set of pictures; give two folders "
            "such as trainA/ and trainB/, or pairs side by side with --data.pairs left-to-right"
        )


def refuse_privacy(family: str, cls: type[Game], said: Mapping[str, Any]) -> None:
    """Raise `SparringError` where privacy is asked of a family that has no settings for it."""
    if "dp" in said and "dp" not in {item.name for item in fields(cls.config_class)}:
        raise SparringError(
            f"family '{family}' does not learn with differential privacy (game.dp): every network that sees data would "
            "have to be moved by clipped and noisy gradients, which ctgan's critic is, for tables"
        )


def dry_game(family: str, cls: type[Game], spec: DataSpec, config: Any) -> Game:
    """The networks without memory for their weights: whether these settings build any at all, before a run begins."""
    try:
        with torch.device("meta"), _Unfilled(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layers without weights; they are refused below
            game = cls(spec, config)
    except (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError) as error:
        raise SparringError(
            f"family '{family}' cannot be built for {shape_of(spec)} with these --game settings: {first_line(error)}"
        ) from None
    for name, parameter in game.named_parameters():
        if parameter.numel() == 0:
            raise SparringError(f"family '{family}': these --game settings leave {name} without weights; raise them")
    return game


class _Unfilled(TorchFunctionMode):
    """Leaves tensors as they are made: filling ones that have no memory does nothing, but costs torch seconds."""

    FILLS = (torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.bernoulli_)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self.FILLS or getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def first_line(error: Exception) -> str:
    """What a library says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def players_optim(paper: Mapping[str, Optim], given: Mapping[str, Any]) -> dict[str, Optim]:
    """Each player's optimiser: the paper's, then what is said for all (``optim.lr``), then for one (``optim.D.lr``)."""
    for name in paper:
        if not isinstance(given.get(name, {}), Mapping):
            raise SparringError(f"'optim.{name}' is a group of settings; write optim.{name}.lr; got {given[name]!r}")
    common = {key: value for key, value in given.items() if key not in paper}
    for key, value in common.items():
        if isinstance(value, Mapping):
            raise SparringError(f"'optim.{key}': there is no player '{key}'{did_you_mean(key, paper)}")
    return {
        name: build(Optim, merge(plain(optim), common, given.get(name, {})), f"optim.{name}")
        for name, optim in paper.items()
    }


def resume_plan(folder: RunFolder, recipe: Recipe, progress: Any = None) -> tuple[Plan, list[str]]:
    """The plan of the run in ``folder``, with what may change changed; the second value names those changes.

    Raises `SparringError` when the run was started with something else that would bend its path.
    """
    saved = folder.read_recipe()
    check_record(saved, folder)
    refuse_changes("source", saved["source"], recipe.source or saved["source"], folder)
    refuse_changes("family", saved["family"], recipe.family or saved["family"], folder)
    base = {group: saved.get(group, {}) for group in GROUPS}
    said = without_what_moved(spread_optim(recipe.settings, saved["optim"]), moves_of(saved))
    asked = Recipe(saved["source"], saved["family"], merge(base, said))
    plan = make_plan(asked, progress, automatic=False)
    if plan.dataset.fingerprint != saved["fingerprint"]:
        raise SparringError(
            f"the data in {plan.source} has changed since {folder.root} was started; "
            "give it back its files, or train into another --run"
        )
    changes = []
    before, after = flatten(base), flatten({group: plan.record()[group] for group in GROUPS})
    for key, value in after.items():
        if value != before.get(key, value):
            if key not in FREE_ON_RESUME:
                refuse_changes(key, before[key], value, folder)
            changes.append(f"{key} {before[key]} -> {value}")
    return plan, changes


def check_record(saved: Mapping[str, Any], folder: RunFolder) -> None:
    """Raise `SparringError` unless ``recipe.json`` holds just what `Plan.record` wrote."""
    path = folder.root / "recipe.json"
    texts, groups = ("source", "family", "fingerprint"), ("spec", *GROUPS)
    saved = {"eval": {}, **saved}  # runs from before there was evaluation have no such group
    for key in saved:
        if key not in (*texts, *groups, MOVES):
            raise SparringError(f"{path}: unknown key '{key}'{did_you_mean(key, (*texts, *groups))}")
    for key in (*texts, *groups):
        if not isinstance(saved.get(key), str if key in texts else Mapping):
            raise SparringError(f"{path} is damaged: '{key}' is missing or of the wrong kind; put it back from a copy")


def spread_optim(settings: Settings, players: Mapping[str, Any]) -> Settings:
    """Write ``optim.lr`` as ``optim.G.lr`` and ``optim.D.lr``, as a kept recipe says it."""
    given = settings.get("optim", {})
    common = {key: value for key, value in given.items() if not isinstance(value, Mapping)}
    if any(name in players for name in common):
        return settings  # a player's name for a setting: `players_optim` refuses it
    spread = {name: merge(common, given.get(name, {})) for name in players}
    own = {key: value for key, value in given.items() if key not in common}
    return merge(settings, {"optim": None}, {"optim": merge(spread, own)}) if given else settings


def refuse_changes(name: str, before: Any, asked: Any, folder: RunFolder) -> None:
    """Raise `SparringError` when something else is asked for than the run was started with."""
    if asked != before:
        raise SparringError(
            f"{folder.root} was started with {name} {before}; {asked} was asked for now. "
            "Leave it as it was, or train into another --run"
        )


def duration(seconds: float) -> str:
    """``40 s``, ``2 min``, ``3.4 h``."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
