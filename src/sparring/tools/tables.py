"""Tables in a notebook: ``Synthesizer("ctgan").fit(frame).sample(1000)``, a thin layer over `train` and `sample`."""

import csv
import io
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.core.cells import is_number
from sparring.core.errors import SparringError
from sparring.core.files import write_atomic
from sparring.core.texts import typed
from sparring.data.table.read import as_text
from sparring.modalities import table
from sparring.tools.run import Run
from sparring.tools.train import train
from sparring.tools.where import draw_where


class Synthesizer:
    """Learns a table and makes rows like its own.

    Args:
        family: ``ctgan`` or ``tvae``.
        run: the run folder, where all is kept; left out, a temporary one that goes with this object.
        schema: a schema file.
        **settings: as for `sparring.train`: ``kimg=500``, ``game={"width": 128}``.

    After `fit`, ``run`` is the trained `Run`.
    """

    def __init__(self, family: str = "ctgan", run: str | Path | None = None, schema: str | Path = "", **settings: Any):
        self.family, self.schema, self.settings = family, str(schema), settings
        if run is None:
            temporary = tempfile.mkdtemp(prefix="sparring-")
            weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)
            run = Path(temporary) / "run"
        self._folder = Path(run)
        self._pandas = False
        self._run: Run | None = None

    @property
    def run(self) -> Run:
        """The trained run. Raises `SparringError` before `fit`."""
        if self._run is None:
            raise SparringError("this synthesizer has learnt nothing yet: call fit first")
        return self._run

    def fit(self, data: Any) -> "Synthesizer":
        """Train on a pandas data frame, an Arrow table, a mapping of names to columns, or the name of a file.

        What is no file is written to ``data.csv`` beside the run, so that training can be resumed and evaluated.

        Raises:
            SparringError: for anything a person can mend.
        """
        source = data
        if not isinstance(data, str | Path):
            columns = columns_of(data)
            self._pandas = hasattr(data, "iloc")
            source = self._folder.parent / f"{self._folder.name}-data.csv"
            source.parent.mkdir(parents=True, exist_ok=True)
            write_columns(columns, source)
        given = {"schema": self.schema, **self.settings.get("data_settings", {})}
        settings = {**self.settings, "data_settings": {key: value for key, value in given.items() if value != ""}}
        self._run = train(source, family=self.family, run=self._folder, **settings)
        return self

    def sample(self, count: int, where: str = "", seed: int = 0) -> Any:
        """``count`` rows, of seeds ``seed`` on, that all meet ``where`` (``"income=>50K,age>=30"``).

        They come as a pandas data frame if it was fitted on one, else as a dictionary of lists, with None where
        values are missing.
        """
        if count < 1:
            raise SparringError(f"a sample has 1 row or more; got {count}")
        columns = typed(table.values(self._rows(count, where, seed), self.run.game.spec))
        if not self._pandas:
            return columns
        import pandas

        return pandas.DataFrame(columns)

    def _rows(self, count: int, where: str, seed: int) -> Tensor:
        if not where:
            return self.run.sample(count, seed)
        return torch.cat([part.cpu() for part in draw_where(self.run.game, where, count, seed)])


def columns_of(data: Any) -> dict[str, Sequence[Any]]:
    """Columns by name of a data frame, an Arrow table or a mapping, duck-typed; a column 7 is called ``column 7``.

    Raises `SparringError` for what is no table.
    """
    if hasattr(data, "to_pydict"):
        found = dict(data.to_pydict())
    elif hasattr(data, "iloc") and hasattr(data, "columns"):
        names = [str(name) for name in data.columns]
        found = {name: data.iloc[:, place].tolist() for place, name in enumerate(names)}
        if len(found) < len(names):
            raise SparringError("two columns of the data frame have the same name; rename one")
    elif isinstance(data, Mapping):
        found = {str(name): list(column) for name, column in data.items()}
    else:
        raise SparringError(
            f"a {type(data).__name__} is no table; give a data frame, an Arrow table, a mapping of columns, or a file"
        )
    found = {f"column {name}" if is_number(name) else name: column for name, column in found.items()}
    if len({len(column) for column in found.values()}) != 1:
        raise SparringError("a table needs columns, all of one length")
    return found


def write_columns(columns: Mapping[str, Sequence[Any]], path: Path) -> None:
    """Columns as CSV, atomically."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*([as_text(cell) for cell in column] for column in columns.values()), strict=True))
    write_atomic(path, text.getvalue().encode())
