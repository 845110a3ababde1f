"""The referee's eyes and voice while training: readings go into the log, findings to whoever watches.

Neither shapes the run: it is bit-identical without them (``--train.referee false``).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from sparring.core.batch import Batch, Outcome
from sparring.core.cluster import Cluster
from sparring.core.errors import SparringError
from sparring.core.folder import RunFolder
from sparring.core.game import Game, Turn
from sparring.core.observer import Probe, Tick, Watcher
from sparring.diagnostics.finding import Finding
from sparring.diagnostics.history import ticks_of
from sparring.diagnostics.logits import Pace
from sparring.diagnostics.probes import find_probes
from sparring.diagnostics.referee import Referee
from sparring.engine.guard import NonFinite
from sparring.engine.loop import Engine
from sparring.tools.coach import Coach
from sparring.tools.diagnose import context_of
from sparring.tools.looking import Looking
from sparring.tools.moves import Move
from sparring.tools.plan import Plan

# Steps from one look to the next at the least, for each batch of samples that it draws: benchmarks/referee_overhead.py.
STEPS = 40
LOOKS = 50  # in a run at the most


class Refereeing(Probe):
    """Every probe, and the referee who reads them; for the leading process.

    Args:
        plan, folder: of the run.
        game: the networks that are trained.
        watcher: who is told.
        cluster: the processes that train.
        coach: who answers critical findings, if anybody does.
    """

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        game: Game,
        watcher: Watcher,
        cluster: Cluster,
        coach: Coach | None = None,
    ):
        self.watcher, self.folder, self.coach = watcher, folder, coach
        self.answer: tuple[Plan, Move] | None = None  # how the run is to go on, once it was taken back
        train = plan.train
        pace = Pace.of(game, train.batch, 1000 * (train.tick_kimg or train.kimg / 100))
        self.probes, self.troubles = find_probes(game, pace, train.microbatches // cluster.size, train.seed)
        self.needs_fake_gradient = any(probe.needs_fake_gradient for probe in self.probes.values())
        self.looking = Looking(plan.dataset, train.seed)
        batches = (self.looking.count + self.looking.live) / train.batch
        shown = train.batch * max(turn.times for turn in game.turns(0))  # in one step
        self.every = max(math.ceil(STEPS * max(batches, 1)), train.nimg // shown // LOOKS)
        self.looked = 0  # steps at the last look
        self.referee = Referee(context_of(plan.record()))
        self.told = 0  # of what the referee calls broken

    # ------------------------------------------------------------------ probes

    def see(self, turn: Turn, batch: Batch, outcome: Outcome) -> None:
        for name, probe in list(self.probes.items()):
            self._ask(name, probe.see, turn, batch, outcome)

    def watch(self, engine: Engine) -> None:
        """Look, if the last look is long enough ago."""
        if engine.steps - self.looked < self.every and engine.nimg < engine.train.nimg:
            return
        self.looked = engine.steps
        try:
            with self.looking.at(engine) as look:
                for name, probe in list(self.probes.items()):
                    self._ask(name, probe.look, look)
        except SparringError as error:  # such as a file of the data that is gone
            self.troubles.append(f"nothing was looked at: {error}")

    def report(self) -> dict[str, float]:
        """The readings that are finite."""
        readings: dict[str, float] = {}
        for name, probe in list(self.probes.items()):
            readings |= self._ask(name, probe.report) or {}
        return {name: value for name, value in readings.items() if math.isfinite(value)}

    def state(self) -> dict[str, Tensor]:
        state = {"looked": torch.tensor(self.looked)}
        for name, probe in list(self.probes.items()):
            state |= {f"{name}.{key}": value for key, value in (self._ask(name, probe.state) or {}).items()}
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        self.looked = int(state.get("looked", 0))
        for name, probe in list(self.probes.items()):
            own = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
            self._ask(name, probe.load, own)

    def _ask(self, name: str, call: Callable[..., Any], *arguments: Any) -> Any:
        """What the probe answers. One that fails is named and left out: watching never stops a run."""
        try:
            return call(*arguments)
        except Exception as error:  # whatever a stranger's probe raises is told, not thrown
            del self.probes[name]
            self.troubles.append(f"the probe '{name}' is left out: {type(error).__name__}: {error}")
            return None

    # ------------------------------------------------------------------ the referee

    def recall(self, nimg: int) -> None:
        """Let the referee see what the log says of a run that goes on at ``nimg``."""
        for seen, terms in ticks_of(self.folder.read_log()):
            if seen <= nimg:
                self.referee.see(seen, terms)

    def judge(self, tick: Tick) -> bool:
        """Tell what the referee finds new, or over, after this tick. Whether the coach takes the run back."""
        for finding in self.referee.see(tick.nimg, tick.terms):
            details = asdict(finding)
            self.watcher.event("finding", f"{finding.title}: {finding.evidence}", **details)
        broken = self.troubles + self.referee.broken[self.told :]
        self.troubles, self.told = [], len(self.referee.broken)
        for trouble in broken:
            self.watcher.event("referee", trouble, severity="warn", nimg=tick.nimg)
        return any(self._answered(finding) for finding in self.referee.findings if finding.severity == "critical")

    def failed(self, failure: NonFinite) -> bool:
        """Whether the coach takes back a run whose gradients are not finite."""
        nimg = failure.nimg
        return self._answered(
            Finding("non_finite", "Not finite", "critical", "", math.nan, 0.0, str(failure), nimg, nimg, 1.0, "")
        )

    def _answered(self, finding: Finding) -> bool:
        self.answer = None if self.coach is None else self.coach.answer(finding)
        return self.answer is not None
