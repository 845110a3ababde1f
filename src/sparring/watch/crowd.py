"""All who watch a run, as one watcher."""

import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sparring.core.observer import Tick, Watcher
from sparring.watch.words import printable


class Crowd(Watcher):
    """Passes every call on, in order. A watcher that raises is reported to the others and left out.

    One that could not write (`OSError`: a full disk) is reported once too, but stays: disks are emptied.
    """

    def __init__(self, watchers: Sequence[Watcher]):
        self.watchers = list(watchers)
        self.unable: list[Watcher] = []

    def start(self, nimg: int, total_nimg: int) -> None:
        self._tell(lambda watcher: watcher.start(nimg, total_nimg))

    def tick(self, tick: Tick) -> None:
        self._tell(lambda watcher: watcher.tick(tick))

    def event(self, kind: str, message: str, **details: Any) -> None:
        self._tell(lambda watcher: watcher.event(kind, message, **details))

    def picture(self, path: Path, nimg: int) -> None:
        self._tell(lambda watcher: watcher.picture(path, nimg))

    def finish(self) -> None:
        self._tell(lambda watcher: watcher.finish())

    def _tell(self, call: Callable[[Watcher], None]) -> None:
        for watcher in list(self.watchers):
            if watcher not in self.watchers:
                continue  # it failed meanwhile, while it was told of another's failure
            try:
                call(watcher)
            except OSError as error:
                self._excuse(watcher, error)
            except Exception as error:  # whatever a watcher raises, the run goes on
                self._leave_out(watcher, error)

    def _excuse(self, watcher: Watcher, error: OSError) -> None:
        if all(other is not watcher for other in self.unable):
            self.unable.append(watcher)
            name = type(watcher).__name__
            message = printable(f"{name} could not write: {error.strerror or error}")
            self.event("watcher failed", message, watcher=name)

    def _leave_out(self, watcher: Watcher, error: Exception) -> None:
        self.watchers = [other for other in self.watchers if other is not watcher]
        with contextlib.suppress(Exception):
            watcher.finish()  # the terminal's cursor comes back even if its table failed
        name = type(watcher).__name__
        message = printable(f"{name} failed and is left out: {type(error).__name__}: {error}")
        if self.watchers:
            self.event("watcher failed", message, watcher=name)
        else:
            print(message, file=sys.stderr)
