"""What all commands share: the app, the two streams, exit codes, bars."""

from collections.abc import Callable
from typing import Any

from cyclopts import App
from rich.console import Console
from rich.text import Text

from sparring.core.config import Settings

STOPPED = 75  # a signal ended the run early; its state is saved, and the same command goes on (EX_TEMPFAIL)
MISTAKE = 2

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
app = App(name="sparring", help="Train, watch, evaluate and use generative adversarial networks.")
said: Settings = {}  # the dotted settings of this command line


def complain(message: str) -> int:
    """One line, in red where there is colour."""
    errors.print(Text.assemble(("sparring:", "bold red"), " ", " ".join(message.split())), soft_wrap=True)
    return MISTAKE


def escape(text: str) -> str:
    """Text that rich does not read as markup."""
    return text.replace("[", r"\[")


class Bars:
    """``progress(stage, done, total)`` as bars with time left, on a terminal and only past the first half second."""

    def __enter__(self) -> Callable[[str, int, int], None]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bars = Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)
        self.tasks: dict[str, Any] = {}
        self.bars.start()
        return self.show

    def show(self, stage: str, done: int, total: int) -> None:
        if stage not in self.tasks:
            self.tasks[stage] = self.bars.add_task(stage, total=total)
        self.bars.update(self.tasks[stage], completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self.bars.stop()
