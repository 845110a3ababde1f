"""``sparring push`` and ``sparring pull``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sparring.cli.shell import app, console


@app.command
def push(run: Path, repository: str, *, private: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Put a run's model on a model hub.

    Parameters
    ----------
    run
        A run folder.
    repository
        OWNER/NAME on the hub.
    private
        Keep it to yourself.
    """
    from sparring.tools.hub import push as send

    console.print(f"Pushed to {send(run, repository, private=private)}")
    return 0


@app.command
def pull(repository: str, *, out: Path | None = None) -> int:
    """Fetch a model from a model hub; nothing in it is run or unpickled.

    Parameters
    ----------
    repository
        OWNER/NAME on the hub.
    out
        Where to put it; left out, the last part of its name.
    """
    from sparring.tools.hub import pull as fetch

    console.print(f"Model in {fetch(repository, out)}")
    return 0
