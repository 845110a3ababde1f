"""The run around the step: cadence, pictures, states, signals, rollback. Only the leading process writes."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from sparring.core.errors import SparringError
from sparring.core.folder import RunFolder
from sparring.core.observer import Tick, Watcher
from sparring.engine import checkpoint
from sparring.engine.guard import NonFinite
from sparring.engine.loop import Engine

Ending = Literal["finished", "stopped", "taken back"]
Draw = Callable[[Engine], Path]  # draws the fixed-seed samples, returns where the picture lies
Publish = Callable[[Engine], None]  # writes the model for use after training
Conclude = Callable[[Engine], None]  # judges a finished run while everybody still watches
Evaluate = Callable[[Engine], bool]  # measures the samples; True: nothing was gained for so long that it is enough


class Referee(Protocol):
    """Looks at samples now and then, and says what the readings mean."""

    def watch(self, engine: Engine) -> None:
        """Called before each tick of the schedule, and before the last."""

    def judge(self, tick: Tick) -> bool:
        """Called after each tick. True: the run is to be taken back, and goes on with something changed."""

    def failed(self, failure: NonFinite) -> bool:
        """Called when a gradient was not finite. True as above; False leaves it to the guard."""


class Training:
    """Runs an engine to the end of its recipe inside a run folder."""

    def __init__(
        self,
        engine: Engine,
        folder: RunFolder,
        watcher: Watcher,
        draw: Draw,
        publish: Publish,
        conclude: Conclude,
        evaluate: Evaluate | None = None,
        eval_kimg: float = 0.0,
        referee: Referee | None = None,
    ):
        self.engine, self.folder, self.watcher = engine, folder, watcher
        self.draw, self.publish, self.conclude, self.evaluate = draw, publish, conclude, evaluate
        self.referee = referee
        train = engine.train
        self.tick_nimg = max(1, round(1000 * (train.tick_kimg or train.kimg / 100)))
        self.picture_nimg = max(1, round(1000 * (train.picture_kimg or train.kimg / 20)))
        self.save_nimg = max(1, round(1000 * (train.save_kimg or train.kimg / 10)))
        self.eval_nimg = round(1000 * eval_kimg)
        self.rollbacks = 0
        self.taken_back = False  # the referee wants the run set back, and its settings changed
        self.enough = False  # evaluations gained nothing for as long as a person's patience lasts

    # ------------------------------------------------------------------ start, run, end

    def resume(self) -> bool:
        """Load the newest whole state; say what was damaged. False when there is none."""
        if self.leads:
            for place in (self.folder.root, self.folder.model, self.folder.samples, self.folder.state):
                checkpoint.clear_leftovers(place)
        with self.engine.cluster.leader_first():  # it sets damaged states aside
            states = list(checkpoint.load_newest(self.folder.state))
        for found in states:
            if isinstance(found, str):
                self.event("damaged state", found)
            else:
                self._load(*found)
        resumed = any(not isinstance(found, str) for found in states)
        if not self.engine.cluster.agree(f"{resumed} {self.engine.nimg} {self.engine.salt}", self.engine.device):
            raise SparringError(
                f"the processes found different states in {self.folder.state}; the run folder must lie where every "
                "machine sees the same files"
            )
        return resumed

    def _load(self, tensors: checkpoint.Tensors, position: dict[str, Any]) -> None:
        try:
            self.engine.load(tensors, position)
        except (RuntimeError, KeyError, AttributeError, ValueError) as error:
            first = str(error).strip().splitlines()[0]
            raise SparringError(
                f"the state in {self.folder.state} does not fit these networks ({type(error).__name__}: {first}); "
                "it was written by another version of the family. Train into another --run"
            ) from None

    def run(self) -> Ending:
        """Train until the recipe's length, a signal, or enough evaluations without gain; the state is saved either way.
        A run that is taken back ends without: its next state is one that it had before.

        Raises `NonFinite` when the guard stops the run, and `SparringError` when the last state could not be saved; the
        states before stand.
        """
        engine, total = self.engine, self.engine.train.nimg
        with stop_signals() as stop:
            self.watcher.start(engine.nimg, total)
            try:
                self.mark = self.saved = (time.monotonic(), engine.nimg)
                if engine.nimg == 0:
                    self._picture()
                    if engine.train.guard == "rollback":
                        self.save()  # something to return to from the first step on
                while (
                    engine.nimg < total
                    and not (self.enough or self.taken_back)
                    and not engine.cluster.any(stop.is_set())
                ):
                    before = engine.nimg
                    try:
                        engine.step()
                        self._after_step(before)
                    except NonFinite as failure:
                        self.taken_back = self.referee is not None and self.referee.failed(failure)
                        if not self.taken_back:
                            self._roll_back(failure)
                finished = engine.nimg >= total or self.enough
                if engine.nimg > self.mark[1] and not self.taken_back:
                    if finished:
                        self._watch()
                    self._tick()
                if self.taken_back:
                    return "taken back"
                trouble = self.save()
                if trouble:
                    raise SparringError(
                        f"the state at {engine.nimg / 1000:.3f} kimg was not saved: {trouble}; "
                        f"the states before it stand in {self.folder.state}, and the same command goes on from them"
                    )
                if finished and self.leads:
                    self._picture()
                    self.conclude(engine)
                return "finished" if finished else "stopped"
            finally:
                if not self.taken_back:
                    self.watcher.finish()

    def _after_step(self, before: int) -> None:
        def due(every: int) -> bool:
            return self.engine.nimg // every > before // every

        last = self.engine.nimg >= self.engine.train.nimg
        if last or any(map(due, (self.eval_nimg or self.tick_nimg, self.tick_nimg, self.picture_nimg, self.save_nimg))):
            self.engine.guard.settle()
        if self.eval_nimg and (last or due(self.eval_nimg)):
            enough = self.evaluate is not None and self.evaluate(self.engine)
            self.enough = self.engine.cluster.any(enough)
        if last or self.enough:
            return  # the end has its own tick, picture and save
        if due(self.tick_nimg):
            self._watch()
            self._tick()
        if self.taken_back:
            return
        if due(self.picture_nimg):
            self._picture()
        if due(self.save_nimg) or self._overdue():
            self.save()

    def _overdue(self) -> bool:
        late = time.monotonic() - self.saved[0] > 60 * self.engine.train.save_minutes
        return self.engine.cluster.any(late)

    # ------------------------------------------------------------------ what happens now and then

    @property
    def leads(self) -> bool:
        return self.engine.cluster.leads

    def event(self, kind: str, message: str) -> None:
        """Tell the watchers, with the position."""
        self.watcher.event(kind, message, nimg=self.engine.nimg)

    def _watch(self) -> None:
        """Not where a signal cut the run: what is looked at must not depend on where that was."""
        if self.referee is not None:
            self.referee.watch(self.engine)

    def _tick(self) -> None:
        now = time.monotonic()
        seconds = now - self.mark[0]
        terms = self.engine.tally.read()
        for probe in self.engine.probes:
            terms.update(probe.report())
        stumbles, self.engine.guard.stumbles = self.engine.guard.stumbles, []
        if stumbles:
            self.event(
                "skipped", f"{len(stumbles)} turns since the last tick were skipped, the last because {stumbles[-1]}"
            )
        tick = Tick(
            nimg=self.engine.nimg,
            total_nimg=self.engine.train.nimg,
            seconds=seconds,
            images_per_second=(self.engine.nimg - self.mark[1]) / max(seconds, 1e-9),
            memory_mb=memory_mb(self.engine.device),
            terms=terms,
        )
        self.watcher.tick(tick)
        if self.referee is not None:
            self.taken_back = self.referee.judge(tick)
        self.mark = (now, self.engine.nimg)

    def _picture(self) -> None:
        if self.leads:
            try:
                self.watcher.picture(self.draw(self.engine), self.engine.nimg)
            except OSError as error:
                self.event("picture failed", f"no picture was written: {error.strerror or error}")

    def save(self) -> str:
        """Save the state and the model, or return why not. A full disk costs this save, not the run: the states before
        stand.
        """
        engine = self.engine
        self.saved = (time.monotonic(), engine.nimg)
        tensors, position = engine.state()  # everybody's: it may be shared out
        if not self.leads:
            return ""
        if not all(bool(t.isfinite().all()) for t in floats(tensors)):
            self.event("not saved", "weights are not finite; the last good state is kept")
            return "its weights are not finite"
        try:
            checkpoint.save(self.folder.state, tensors, position, engine.train.keep)
            self.publish(engine)
        except OSError as error:
            self.event("not saved", f"the state could not be written ({error.strerror}); the states before it stand")
            return error.strerror or str(error)
        self.rollbacks = 0  # the guard's patience is for rollbacks in a row
        return ""

    def _roll_back(self, failure: NonFinite) -> None:
        """Return to the last state with other noise, where the guard says so and its patience lasts."""
        self.event("not finite", f"{failure}; guard: {self.engine.train.guard}")
        self.rollbacks += 1
        if self.engine.train.guard != "rollback" or self.rollbacks > self.engine.train.guard_limit:
            raise failure
        salt = self.engine.salt + 1
        if not self.resume():
            raise failure
        self.engine.salt = salt
        self.mark = (time.monotonic(), self.engine.nimg)
        self.event("rolled back", f"to {self.engine.nimg / 1000:.3f} kimg, with other noise from here on")


def floats(tensors: checkpoint.Tensors) -> Iterator[Tensor]:
    """The floating-point tensors of a state."""
    for group in tensors.values():
        yield from (tensor for tensor in group.values() if tensor.is_floating_point())


def memory_mb(device: torch.device) -> float:
    """Peak memory: of the device on CUDA, else of this process, in MB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    if os.name != "posix":
        return 0.0
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)  # bytes on macOS, kilobytes elsewhere


@contextlib.contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """SIGTERM or Ctrl-C asks to stop after this step; a second one leaves at once, touching no file."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
