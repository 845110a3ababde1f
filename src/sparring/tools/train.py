"""``sparring train``: from data to a trained, watched, resumable GAN. The same call again resumes."""

import contextlib
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from sparring.core.batch import Batch
from sparring.core.cluster import Cluster
from sparring.core.config import Settings
from sparring.core.errors import SparringError
from sparring.core.files import write_json
from sparring.core.folder import RunFolder
from sparring.core.observer import Watcher
from sparring.core.recipe import GROUPS, Recipe
from sparring.core.seeds import draw_labels
from sparring.data import make_dealer
from sparring.diagnostics.diversity import Diversity
from sparring.engine.guard import NonFinite
from sparring.engine.loop import Engine
from sparring.engine.precision import choose_device
from sparring.engine.training import Ending, Training
from sparring.tools.model import load_model, publish
from sparring.tools.plan import Plan, make_plan, resume_plan
from sparring.tools.run import Run
from sparring.tools.sample import save_grid
from sparring.tools.verdict import Verdict, judge, some_reals
from sparring.watch.crowd import Crowd
from sparring.watch.pictures import Timelapse, grid_path
from sparring.watch.records import Records
from sparring.watch.report import Report, write_report
from sparring.watch.terminal import Terminal
from sparring.watch.trackers import make_tracker

SHOWN = 64  # samples in a grid


def train(
    data: str | Path = "",
    *,
    family: str = "",
    run: str | Path | None = None,
    recipe: Recipe | None = None,
    quiet: bool = True,
    **settings: Any,
) -> Run:
    """Train, or go on training, and return the run.

    Args:
        data: a folder, file or built-in name; may be left out when ``run`` exists.
        family: a family's name; left out, the data decides.
        run: the run folder; left out, ``runs/<data>-<family>``.
        recipe: where to start from; ``data``, ``family`` and settings go over it.
        quiet: print nothing.
        **settings: ``train={"batch": 32}``, ``game={"width": 32}``, ``optim={...}``, ``data_settings={...}``, or any
            setting of the ``train`` group by its bare name: ``kimg=60``.

    Raises:
        SparringError: for anything a person can mend, and when training had to stop.
    """
    groups: Settings = {"data": settings.pop("data_settings", {})}
    groups |= {group: settings.pop(group) for group in GROUPS if group in settings}
    groups["train"] = {**groups.get("train", {}), **settings}
    recipe = recipe or Recipe("")
    recipe = Recipe(str(data) or recipe.source, family or recipe.family, recipe.settings)
    session = open_session(recipe, groups, run)
    session.play(quiet=quiet)
    return Run(session.folder.root, family=recipe.family or None)


class Session:
    """One sitting at a run: a plan and its folder."""

    def __init__(self, plan: Plan, folder: RunFolder, cluster: Cluster, changes: Sequence[str]):
        self.plan, self.folder, self.cluster, self.changes = plan, folder, cluster, changes
        self.device = choose_device(plan.train.device)

    def play(self, quiet: bool = False) -> tuple[Ending, Verdict | None]:
        """Train to the recipe's end, or until a signal. Raises `SparringError` when the run cannot go on."""
        if self.cluster.leads:
            self.folder.create()
        self.cluster.barrier()
        with self._holding_the_folder(), torch.random.fork_rng(), _deterministic():
            if self.cluster.leads and not self.folder.exists:
                self.folder.write_recipe(self.plan.record())
            self.cluster.barrier()
            crowd = Crowd(self._watchers(quiet) if self.cluster.leads else [])
            dealer = make_dealer(
                self.plan.dataset,
                seed=self.plan.train.seed,
                stride=self.plan.train.batch,
                device=self.device,
                workers=self.plan.data.workers,
            )
            try:
                engine = Engine(
                    self.plan.make_game(),
                    dealer,
                    self.plan.train,
                    self.plan.optim,
                    self.device,
                    self.cluster,
                    probes=[Diversity()],
                )
                training = Training(engine, self.folder, crowd, self._draw, self._publish)
                return self._run(training, crowd)
            finally:
                dealer.close()

    def _run(self, training: Training, crowd: Crowd) -> tuple[Ending, Verdict | None]:
        engine = training.engine
        resumed = training.resume()
        write_environment(self.folder, self.plan, self.device, self.cluster)
        if resumed:
            training.event("resumed", f"at {engine.nimg / 1000:.3f} kimg")
        for change in self.changes:
            training.event("setting changed", change)
        try:
            ending = training.run()
        except NonFinite as failure:
            write_report(self.folder, running=False)
            raise SparringError(
                f"{failure}; the states before it are kept in {self.folder.state}. Lower --optim.lr, clip with "
                "--train.clip-norm 1, or let it --train.guard rollback"
            ) from None
        verdict = None
        if self.cluster.leads:
            if ending == "finished":
                verdict = judge(self._published_game(), self.plan.dataset)
                crowd.event("verdict", verdict.message, severity=verdict.severity, nimg=engine.nimg)
            write_report(self.folder, running=False)
        return ending, verdict

    def _watchers(self, quiet: bool) -> list[Watcher]:
        record = self.plan.record()
        watchers: list[Watcher] = [Records(self.folder), Timelapse(self.folder), Report(self.folder)]
        watchers += [make_tracker(name, self.folder, record) for name in self.plan.train.track]
        if not quiet:
            watchers.append(Terminal(title=f"{self.plan.family} on {self.plan.dataset.name}"))
        return watchers

    def _draw(self, engine: Engine) -> Path:
        """Fixed-seed samples by the averaged weights as a grid, shown to the probes too."""
        game, spec = engine.game, self.plan.dataset.spec
        labels = None
        if game.conditional(game.config):
            labels = draw_labels(range(SHOWN), spec.class_counts).sort().values
        modes = [(module, module.training) for module in game.modules()]
        with torch.no_grad(), engine.average.applied():
            game.eval()
            samples = game.show(Batch.of_seeds(range(SHOWN), labels, engine.device)).float().cpu()
        for module, mode in modes:
            module.training = mode
        reals, _ = some_reals(self.plan.dataset, min(SHOWN, len(self.plan.dataset)))
        for probe in engine.probes:
            probe.see_samples(samples, reals)
        path = grid_path(self.folder, engine.nimg)
        save_grid(samples, path, spec.modality)
        return path

    def _publish(self, engine: Engine) -> None:
        publish(engine, self.plan, self.folder.model)

    def _published_game(self) -> Any:
        family = self.plan.family if ":" in self.plan.family else None
        return load_model(self.folder.model, family)[0].to(self.device)

    def _holding_the_folder(self) -> contextlib.AbstractContextManager[None]:
        return self.folder.locked() if self.cluster.leads else contextlib.nullcontext()


def open_session(
    recipe: Recipe,
    settings: Settings,
    run: str | Path | None = None,
    progress: Any = None,
    cluster: Cluster | None = None,
) -> Session:
    """Plan a new run, or the rest of one whose folder exists. Raises `SparringError` for anything a person can mend."""
    cluster = cluster or Cluster.from_environment(choose_device("auto").type)
    asked = Recipe(recipe.source, recipe.family, settings)  # on resume only what was said now counts
    full = recipe.with_settings(settings)
    if run is not None and RunFolder(run).exists:
        return _resume(RunFolder(run), asked, progress, cluster)
    if not recipe.source:
        raise SparringError("say what to train on: a folder, a file, or a built-in name such as digits")
    plan = make_plan(full, progress, cluster)
    folder = RunFolder(run or Path("runs") / f"{plan.dataset.name}-{plan.family.rpartition(':')[2]}")
    if folder.exists:
        return _resume(folder, asked, progress, cluster)
    return Session(plan, folder, cluster, [])


def _resume(folder: RunFolder, asked: Recipe, progress: Any, cluster: Cluster) -> Session:
    plan, changes = resume_plan(folder, asked, progress)
    return Session(plan, folder, cluster, changes)


def write_environment(folder: RunFolder, plan: Plan, device: torch.device, cluster: Cluster) -> None:
    """Keep what the numbers were made with."""
    import sparring

    if cluster.leads:
        versions = {"sparring": sparring.__version__, "torch": torch.__version__, "python": platform.python_version()}
        write_json(
            folder.root / "env.json",
            {
                **versions,
                "platform": platform.platform(),
                "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
                "threads": torch.get_num_threads(),
                "processes": cluster.size,
                "seed": plan.train.seed,
            },
        )


@contextlib.contextmanager
def _deterministic() -> Iterator[None]:
    """Kernels that give the same result twice, where the device has them, as resuming bit for bit asks."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before
