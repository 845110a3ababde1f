"""``sparring train``: from data to a trained, watched, resumable GAN. The same call again resumes."""

import contextlib
import json
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sparring.core.batch import Batch, Dealer
from sparring.core.cluster import Cluster
from sparring.core.config import Settings
from sparring.core.errors import SparringError
from sparring.core.files import write_json
from sparring.core.folder import RunFolder
from sparring.core.observer import Probe, Watcher
from sparring.core.recipe import GROUPS, Recipe
from sparring.core.seeds import draw_labels
from sparring.data import make_dealer
from sparring.engine import checkpoint
from sparring.engine.allocator import keep_memory
from sparring.engine.compiled import compile_networks
from sparring.engine.guard import NonFinite
from sparring.engine.loop import Engine
from sparring.engine.precision import choose_device, deterministic, products
from sparring.engine.training import Ending, Training
from sparring.modalities import modality
from sparring.tools.coach import Coach
from sparring.tools.evaluating import Evaluating
from sparring.tools.model import load_model, publish
from sparring.tools.moves import moves_of, plain_moves
from sparring.tools.plan import Plan, make_plan, resume_plan
from sparring.tools.refereeing import Refereeing
from sparring.tools.run import Run
from sparring.tools.sample import batch_of_reals, save_grid
from sparring.tools.transfer import adopt
from sparring.tools.verdict import judge, some_given, some_reals
from sparring.tools.ways import with_fastest_way
from sparring.watch.crowd import Crowd
from sparring.watch.pictures import Timelapse, grid_path
from sparring.watch.records import Records
from sparring.watch.report import Report
from sparring.watch.terminal import Terminal
from sparring.watch.trackers import make_tracker


def train(
    data: str | Path = "",
    *,
    family: str = "",
    run: str | Path | None = None,
    recipe: Recipe | None = None,
    start_from: str | Path | None = None,
    quiet: bool = True,
    **settings: Any,
) -> Run:
    """Train, or go on training, and return the run.

    Args:
        data: a folder, file or built-in name; may be left out when ``run`` exists.
        family: a family's name; left out, the data decides.
        run: the run folder; left out, ``runs/<data>-<family>``.
        recipe: where to start from; ``data``, ``family`` and settings go over it.
        start_from: another run whose weights a new run begins with, where they fit.
        quiet: print nothing.
        **settings: ``train={"batch": 32}``, ``game={"width": 32}``, ``optim={...}``, ``data_settings={...}``, or any
            setting of the ``train`` group by its bare name: ``kimg=60``.

    Raises:
        SparringError: for anything a person can mend, and when training had to stop.
    """
    groups: Settings = {"data": settings.pop("data_settings", {})}
    groups |= {group: settings.pop(group) for group in GROUPS if group in settings}
    if settings and isinstance(groups.get("train", {}), dict):
        groups["train"] = {**groups.get("train", {}), **settings}
    recipe = recipe or Recipe("")
    recipe = Recipe(str(data) or recipe.source, family or recipe.family, recipe.settings)
    session = open_session(recipe, groups, run, start_from=start_from)
    session.play(quiet=quiet)
    return Run(session.folder.root, family=recipe.family or None)


class Session:
    """One sitting at a run: a plan and its folder."""

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        cluster: Cluster,
        changes: Sequence[str] = (),
        start_from: str | Path | None = None,
    ):
        self.plan, self.folder, self.cluster, self.changes = plan, folder, cluster, changes
        self.start_from = None if start_from is None else RunFolder(start_from)
        if plan.train.microbatches % cluster.size:
            raise SparringError(
                f"{plan.train.microbatches} microbatches cannot be dealt evenly to {cluster.size} processes; start as "
                "many processes as divide them, or train into another --run with other --train.microbatches"
            )
        if plan.train.freeze_d and start_from is None and not any(folder.state.glob("[0-9]*")):
            raise SparringError("train.freeze_d keeps what D's layers have learnt elsewhere; say where: --from RUN")
        self.begins = not folder.exists
        self.moves = () if self.begins else moves_of(folder.read_recipe())
        if plan.train.coach and cluster.size > 1:
            raise SparringError("train.coach works in one process; leave it out, or start one")
        self.device = choose_device(plan.train.device)
        if not cluster.agree(json.dumps(plan.record() | {"source": ""}, sort_keys=True), self.device):
            raise SparringError(
                "the processes do not agree on this run: its data, or settings chosen by the machine, differ between "
                "machines; give all of them the same data, and say the settings (sparring train --dry-run shows them)"
            )
        self.shown = modality(plan.dataset.spec.modality).SHOWN
        self.reals, _ = some_reals(plan.dataset, min(self.shown, len(plan.dataset)))
        self.given = some_given(plan.dataset, len(self.reals))

    def play(self, quiet: bool = False) -> Ending:
        """Train to the recipe's end, or until a signal. Raises `SparringError` when the run cannot go on."""
        plan = self.plan
        if self.cluster.leads:
            self.folder.create()
        self.cluster.barrier()
        with (
            products(plan.train.precision, self.device),
            self._holding_the_folder(),
            torch.random.fork_rng(),
            deterministic(),
            _troubles_named(self.folder),
        ):
            if self.cluster.leads and self.begins and self.folder.exists:
                raise SparringError(f"{self.folder.root} was begun by another process meanwhile; say it again to go on")
            self.watcher = Crowd(self._watchers(quiet) if self.cluster.leads else [])
            if self.cluster.leads and (self.changes or self.begins):
                self._write_recipe()
            self.cluster.barrier()
            if plan.train.allocator == "keep":
                keep_memory()
            dealer = make_dealer(
                plan.dataset,
                seed=plan.train.seed,
                stride=plan.train.batch,
                device=self.device,
                workers=plan.data.workers,
                flip=plan.data.flip,
                rotate=plan.data.rotate,
                balance=plan.data.balance,
                asks=plan.family_class.asks,
                private=plan.family_class.private(plan.game) is not None,
            )
            try:
                while (ending := self._play(dealer)) == "taken back":
                    pass
                return ending
            finally:
                dealer.close()

    def _write_recipe(self) -> None:
        self.folder.write_recipe({**self.plan.record(), **plain_moves(self.moves)})

    def _play(self, dealer: Dealer) -> Ending:
        plan = self.plan
        game = plan.make_game()
        probes: list[Probe] = []
        evaluating, refereeing = None, None
        if plan.train.referee and self.cluster.leads:
            coach = Coach(plan, self.folder.state, self.moves) if plan.train.coach else None
            refereeing = Refereeing(plan, self.folder, game, self.watcher, self.cluster, coach)
            probes.append(refereeing)
        if plan.eval.every and self.cluster.leads:
            evaluating = Evaluating(plan, self.folder, self.watcher, self.device)
            probes.append(evaluating)
        engine = Engine(game, dealer, plan.train, plan.optim, self.device, self.cluster, probes)
        not_compiled = compile_networks(engine) if plan.train.compile == "on" else ""
        training = Training(
            engine,
            self.folder,
            self.watcher,
            self._draw,
            self._publish,
            partial(self._judge, refereeing),
            evaluating,
            plan.eval.every,
            refereeing,
        )
        resumed = self._go_back_as_moved(training)
        if resumed and refereeing is not None:
            refereeing.recall(engine.nimg)
        if self.cluster.leads:
            write_environment(self.folder, plan, self.device, self.cluster)
            save_grid(self.reals, self.folder.samples / "reals.png", plan.dataset.spec)
        if resumed and engine.nimg >= plan.train.nimg:
            training.event("finished already", f"at {engine.nimg / 1000:.3f} kimg; to go on, raise --train.kimg")
        elif resumed:
            training.event("resumed", f"at {engine.nimg / 1000:.3f} kimg")
        elif self.start_from is not None:
            training.event("transferred", adopt(engine, self.start_from))
            training.save()
        if not resumed and self.cluster.leads:  # a person was told already; the record says it too
            for reason in plan.reasons:
                Records(self.folder).event("plan", reason, nimg=0)
        for change in self.changes:
            training.event("setting changed", change)
        if not_compiled:
            training.event("not compiled", f"networks are played as they are written: {not_compiled}")
        for note in evaluating.examiner.notes if evaluating else ():
            training.event("evaluation", note)
        try:
            ending = training.run()
            if refereeing is not None and refereeing.answer is not None:
                self.plan, move = refereeing.answer
                self.moves = (*self.moves, move)
                self._write_recipe()
                self.watcher.event("coach", str(move), severity="warn", **asdict(move))
            return ending
        except NonFinite as failure:
            raise SparringError(
                f"{failure}; the states before it are kept in {self.folder.state}. Lower --optim.lr, clip with "
                "--train.clip-norm 1, or let it --train.guard rollback"
            ) from None

    def _go_back_as_moved(self, training: Training) -> bool:
        """Load the newest state, but none of a future that the coach gave up; from there on other noise is drawn."""
        if self.moves and self.cluster.leads:
            checkpoint.drop_after(self.folder.state, self.moves[-1].back_to, self.moves[-1].salt)
        resumed = training.resume()
        if self.moves:
            training.engine.salt = max(training.engine.salt, self.moves[-1].salt)
        return resumed

    def _watchers(self, quiet: bool) -> list[Watcher]:
        record = self.plan.record()
        watchers: list[Watcher] = [Records(self.folder), Timelapse(self.folder), Report(self.folder)]
        watchers += [make_tracker(name, self.folder, record) for name in self.plan.train.track]
        if not quiet:
            watchers.append(Terminal(title=f"{self.plan.family} on {self.plan.dataset.name}"))
        return watchers

    def _draw(self, engine: Engine) -> Path:
        """Fixed-seed samples by the averaged weights as a grid."""
        game, spec = engine.game, self.plan.dataset.spec
        labels = None
        if game.conditional(game.config):
            labels = draw_labels(range(self.shown), spec.class_counts).sort().values
        modes = [(module, module.training) for module in game.modules()]
        with torch.no_grad(), engine.average.applied():
            game.eval()
            batch = Batch.of_seeds(range(self.shown), labels, engine.device)
            if game.gives:
                batch = batch_of_reals(game, self.reals, labels, self.given, engine.device)
            samples = game.show(batch).float().cpu()
        for module, mode in modes:
            module.training = mode
        path = grid_path(self.folder, engine.nimg)
        save_grid(samples, path, spec)
        return path

    def _publish(self, engine: Engine) -> None:
        publish(engine, self.plan, self.folder.model)

    def _judge(self, refereeing: Refereeing | None, engine: Engine) -> None:
        """The closing verdict, on the model as everybody will load it, beside what the referee stands by."""
        family = self.plan.family if ":" in self.plan.family else None
        game, _ = load_model(self.folder.model, family)
        findings = () if refereeing is None else refereeing.referee.findings
        verdict = judge(game.to(self.device), self.plan.dataset, findings)
        self.watcher.event("verdict", verdict.message, severity=verdict.severity, nimg=engine.nimg)

    def _holding_the_folder(self) -> contextlib.AbstractContextManager[None]:
        return self.folder.locked() if self.cluster.leads else contextlib.nullcontext()


def open_session(
    recipe: Recipe,
    settings: Settings,
    run: str | Path | None = None,
    progress: Any = None,
    cluster: Cluster | None = None,
    start_from: str | Path | None = None,
) -> Session:
    """Plan a new run, or the rest of one whose folder exists. Raises `SparringError` for anything a person can mend."""
    cluster = cluster or Cluster.from_environment(choose_device("auto").type)
    asked = Recipe(recipe.source, recipe.family, settings)  # on resume only what was said now counts
    full = recipe.with_settings(settings)
    if run is not None and RunFolder(run).exists:
        return _resume(RunFolder(run), asked, progress, cluster, start_from)
    if not recipe.source:
        raise SparringError("say what to train on: a folder, a file, or a built-in name such as digits")
    plan = make_plan(full, progress, cluster)
    folder = RunFolder(run or Path("runs") / f"{plan.dataset.name}-{plan.family.rpartition(':')[2]}")
    if folder.exists:
        return _resume(folder, asked, progress, cluster, start_from)
    plan = with_fastest_way(plan, choose_device(plan.train.device), cluster)
    return Session(plan, folder, cluster, start_from=start_from)


def _resume(
    folder: RunFolder, asked: Recipe, progress: Any, cluster: Cluster, start_from: str | Path | None
) -> Session:
    plan, changes = resume_plan(folder, asked, progress)
    return Session(plan, folder, cluster, changes, start_from)  # heeded only where no state was saved yet


def write_environment(folder: RunFolder, plan: Plan, device: torch.device, cluster: Cluster) -> None:
    """Keep what the numbers were made with."""
    import sparring

    environment = {
        "sparring": sparring.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "allocator": "keep" if plan.train.allocator == "keep" and keep_memory() else "default",
        "processes": cluster.size,
        "seed": plan.train.seed,
    }
    write_json(folder.root / "env.json", environment)


@contextlib.contextmanager
def _troubles_named(folder: RunFolder) -> Iterator[None]:
    """Running out of memory or disk is a person's to mend: raises `SparringError` in place of what is raised then."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        raise SparringError(
            f"{folder.root} cannot go on: {what}{error.strerror or error}; what was saved before stands, and the same "
            "command goes on from it once that is mended"
        ) from None
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError; the CPU's is nothing else
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise SparringError(
                f"memory ran out ({str(error).splitlines()[0] if str(error) else 'MemoryError'}); begin another --run "
                "with a smaller --train.batch, more --train.microbatches or a smaller network"
            ) from None
        raise
