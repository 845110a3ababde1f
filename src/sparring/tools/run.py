"""A trained run in Python: reads the run folder and nothing else."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sparring.core.errors import SparringError
from sparring.core.folder import RunFolder
from sparring.core.game import Game
from sparring.engine.precision import choose_device
from sparring.tools.apply import Applier, Kind, apply_to, tiling_for
from sparring.tools.model import CARD, load_model
from sparring.tools.sample import draw

if TYPE_CHECKING:
    from sparring.tools.diagnose import Diagnosis
    from sparring.tools.evaluate import Evaluation


class Run:
    """A run folder, or a bare ``model/`` folder.

    Args:
        path: where it lies.
        family: names the family yourself; needed only for code outside the registry (``my.module:MyGAN``).
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.

    Raises:
        SparringError: when there is no trained model there, or it is damaged.
    """

    def __init__(self, path: str | Path, family: str | None = None, device: str = "auto"):
        self.folder = RunFolder(path)
        if Path(path).is_file():
            raise SparringError(
                f"{path} is a file; sparring loads a run folder or a model/ folder (safetensors + JSON) "
                "and never unpickles a .pt or .pkl"
            )
        self._model = self.folder.root if (self.folder.root / CARD).is_file() else self.folder.model
        if not (self._model / CARD).is_file():
            raise SparringError(f"{path} is neither a run folder with a trained model nor a model/ folder")
        self._family, self._device = family, device

    @cached_property
    def _loaded(self) -> tuple[Game, dict[str, Any]]:
        game, card = load_model(self._model, self._family)
        return game.to(choose_device(self._device)), card

    @property
    def game(self) -> Game:
        """The networks with averaged weights, in eval mode."""
        return self._loaded[0]

    @property
    def card(self) -> dict[str, Any]:
        """``model.json``, and the position ``nimg``."""
        return self._loaded[1]

    def sample(
        self,
        n: int = 1,
        seed: int = 0,
        label: str | int | None = None,
        truncation: float | None = None,
        labels: str = "as-data",
    ) -> Tensor:
        """Samples of seeds ``seed`` to ``seed + n - 1``: float tensor ``(n, *shape)`` in [-1, 1], on the CPU.

        Args:
            n: how many.
            seed: the first seed, from 0.
            label: a class by name or number, for a run trained by class.
            truncation: how close to the typical to stay, such as 0.7, where the family truncates.
            labels: without a ``label``, how often each class is drawn: ``"as-data"``, ``"balanced"`` or
                ``"cat:3,dog:1"``.
        """
        return self.sample_seeds(range(seed, seed + n), label, truncation, labels)

    def sample_seeds(
        self,
        seeds: Sequence[int],
        label: str | int | None = None,
        truncation: float | None = None,
        labels: str = "as-data",
    ) -> Tensor:
        """Samples of any seeds, in their order."""
        return torch.cat([part.cpu() for part in draw(self.game, seeds, label, truncation, labels)])

    def apply(
        self,
        image: Kind,
        *,
        tile: int | None = None,
        overlap: int = 32,
        batch: int = 1,
        seed: int = 0,
        value_range: tuple[float, float] | None = None,
    ) -> Kind:
        """What a run that makes pictures from pictures makes of ``image``, as the same kind of thing.

        Args:
            image: a PIL image; an array ``(h, w)``, ``(h, w, c)`` or ``(c, h, w)`` of 8 or 16 bits or floating point; a
                tensor ``(c, h, w)`` or ``(n, c, h, w)``, floating point in [-1, 1] or uint8.
            tile: side in pixels of what the network sees at once; None: 256, or 1024 for networks that normalise over
                the picture; 0: the whole picture.
            overlap: how much further than its own square a tile sees.
            batch: tiles at a time.
            seed: of the noise, where the family has any.
            value_range: the values of an array that are black and white, where its type does not say.
        """
        return apply_to(Applier(self.game, tiling_for(self.game, tile, overlap, batch), seed), image, value_range)

    def evaluate(self, **options: Any) -> "Evaluation":
        """Measure the samples; `sparring.evaluate` says which options there are."""
        from sparring.tools.evaluate import evaluate

        return evaluate(self, **options)

    def diagnose(self) -> "Diagnosis":
        """What the referee makes of the run's log. Raises `SparringError` where only a ``model/`` folder is open."""
        from sparring.tools.diagnose import diagnose

        return diagnose(self)

    def __repr__(self) -> str:
        return f"Run({str(self.folder.root)!r})"


def load(path: str | Path, family: str | None = None, device: str = "auto") -> Run:
    """Open a run folder or a ``model/`` folder, nothing unpickled; damage is reported here, not at the first sample."""
    run = Run(path, family, device)
    _ = run.game
    return run
