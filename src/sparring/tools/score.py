"""``sparring score``: how abnormal each sample of some data is, by a run that was trained on normal data alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.core.anomaly import Scores
from sparring.core.config import Data, build
from sparring.core.errors import SparringError
from sparring.data import DataSet
from sparring.data.builtin import FILES
from sparring.data.parallel import Progress
from sparring.data.table.strange import Strangers, read_strangers
from sparring.data.tars import expand
from sparring.metrics.anomaly import Separation
from sparring.tools.plan import check_record
from sparring.tools.reals import training_data
from sparring.tools.run import Run
from sparring.tools.score_inputs import Samples, abnormal_of, open_samples
from sparring.tools.scoring import baselines, percentiles_of, score_all, separation_of

RANGES = "ranges"  # the method without a network: what lies beyond the ranges of the data, or in none of its values


@dataclass(frozen=True)
class Scored:
    """What came of it.

    Attributes:
        samples: what was scored.
        scores: float64 ``(n,)``, infinite where a row holds a value that training never saw.
        percentiles: share of normal scores below each, in percent ``(n,)``; None where no normal data is at hand.
        parts: of a table what each column adds to the score ``(n, columns)``, the rest is D's features; else None.
        separations: with labels how well scores tell abnormal samples from normal ones, by method: of a table also the
            family's own scores without strangeness, and strangeness alone.
        notes: what was decided, as sentences.
    """

    samples: Samples
    scores: NDArray[np.float64]
    percentiles: NDArray[np.float64] | None
    parts: NDArray[np.float64] | None
    separations: dict[str, Separation]
    notes: tuple[str, ...]

    def most(self, count: int) -> list[int]:
        """The numbers of the most abnormal samples, the most abnormal first."""
        return np.argsort(-self.scores, kind="stable")[:count].tolist()


def score(
    run: Run, data: str | Path, normal: str = "", labels: str = "", seed: int = 0, progress: Progress | None = None
) -> Scored:
    """Score every sample of ``data``.

    Args:
        run: trained on normal data alone, with a family that gives scores.
        data: as for training; pictures are brought to the run's size as training did it.
        normal: with labels: the class that is normal.
        labels: the column of a table that says the class.
        seed: of the bootstrap.

    Raises:
        SparringError: for whatever a person can put right.
    """
    game, spec = run.game, run.game.spec
    if not isinstance(game, Scores):
        raise SparringError(
            f"family '{run.card['family']}' gives no scores of single samples; train one that does, such as fanogan"
        )
    saved: dict[str, Any] = run.folder.read_recipe() if run.folder.exists else {}
    if saved:
        check_record(saved, run.folder)
    settings = build(Data, saved.get("data", {}), "data")
    samples = open_samples(str(data), spec, settings, labels, progress)
    abnormal = abnormal_of(samples, normal, str(data))
    family = run.card["family"]
    scores, parts = score_all(game, samples.read, len(samples), progress, "score")
    methods = {family: scores}
    if isinstance(samples.source, Strangers):
        assert parts is not None
        strangeness = samples.source.strangeness
        methods = {family: scores + strangeness.sum(1), f"{family} without {RANGES}": scores}
        methods[RANGES] = strangeness.sum(1)
        scores, parts = methods[family], parts + strangeness
    notes, percentiles, separations = [*samples.notes], None, dict[str, Separation]()
    if abnormal is not None:
        sides = torch.from_numpy(abnormal)
        separations = {method: separation_of(own, sides, seed) for method, own in methods.items()}
    train, why = _learnt(run, saved, progress)
    if train is None:
        notes.append(f"{why}: there are no percentiles, and no baselines")
    else:
        reference: DataSet | Strangers = train.held_out or train
        if spec.columns and train.held_out:  # a data set has no rows that its columns cannot hold
            rows = saved["source"], spec.columns, settings.schema
            reference = read_strangers(*rows, progress=progress, held_out=settings.held_out)
        percentiles, note = percentiles_of(game, reference, scores, train.held_out is not None, progress)
        notes.append(note)
        if abnormal is not None:
            found, note = baselines(train, samples, sides, seed, progress)
            separations |= found
            notes.append(note)
    if samples.labels is not None and not normal:
        known = ", ".join(sorted(set(samples.labels))[:8])
        notes.append(f"there are labels ({known}): --normal NAME says which is normal, and measures the scores by them")
    return Scored(samples, scores, percentiles, parts, separations, tuple(notes))


def _learnt(run: Run, saved: dict[str, Any], progress: Progress | None) -> tuple[DataSet | None, str]:
    """What the run learnt from, or None and why."""
    source = saved.get("source", "")
    if not saved or not (source in FILES or Path(expand(source)[0]).expanduser().exists()):
        return None, "the training data is not at hand"
    try:
        return training_data(run.folder, saved, progress), ""
    except SparringError as error:
        return None, str(error).partition(";")[0]  # then comes what to do about it in other tools
