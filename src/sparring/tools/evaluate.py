"""``sparring evaluate``: numbers for a run, or for two sets of pictures, each with what it was measured with."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from sparring.core.cluster import Cluster
from sparring.core.errors import SparringError
from sparring.core.files import write_atomic
from sparring.core.folder import RunFolder
from sparring.engine.precision import choose_device
from sparring.metrics.memorisation import nearest
from sparring.metrics.protocol import Score
from sparring.metrics.suite import Sample, metric_set
from sparring.modalities import modality
from sparring.modalities.image import from_uint8
from sparring.tools.examiner import Examiner, Progress
from sparring.tools.plain_examiner import PlainExaminer
from sparring.tools.reals import reals_of_run, two_sources
from sparring.tools.run import Run
from sparring.tools.series_examiner import SeriesExaminer
from sparring.tools.table_charts import write_charts
from sparring.tools.table_examiner import TableExaminer, protected
from sparring.watch.records import Lines
from sparring.watch.words import now, number

PAIRS, NEIGHBOURS = 10, 5  # rows and columns of the picture of nearest neighbours
PICTURE = "nearest.png"


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        scores: with their protocols.
        notes: what was decided, and what was left out and why.
        picture: the samples nearest to the training data beside it, where that is known.
        charts: of a table, pictures of its columns and of pairs of them, real beside synthetic.
    """

    scores: tuple[Score, ...]
    notes: tuple[str, ...]
    picture: Path | None = None
    charts: tuple[Path, ...] = ()

    def __getitem__(self, metric: str) -> Score:
        """The score of a metric by its short name: ``evaluation["FD"].value``."""
        for score in self.scores:
            if score.protocol.metric == metric:
                return score
        raise KeyError(metric)


def evaluate(
    run: str | Path | Run | None = None,
    *,
    real: str | Path | None = None,
    fake: str | Path | None = None,
    data: str | Path | None = None,
    extractor: str = "auto",
    weights: str | Path | None = None,
    resize: str | None = None,
    samples: int = 10_000,
    metrics: Sequence[str] = (),
    by: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    cluster: Cluster | None = None,
) -> Evaluation:
    """Measure a run's samples, or the pictures ``fake`` against the pictures ``real``.

    Args:
        run: a run, its folder, or a bare ``model/`` folder with ``data``. Scores are kept in its ``metrics.jsonl``.
        real, fake: two sources of pictures, instead of a run.
        data: other real data to compare the run with; left out, what it held out, or its data's test files.
        extractor: the feature network; ``auto`` chooses by the data.
        weights: the file of its weights, for a network that needs one.
        resize: how pictures are brought to Inception's size, such as ``clean-bicubic-299``.
        samples: of the run (seeds from 0 on), and pictures of each real set at most.
        metrics: keys such as ``fd``; none: all that can be measured.
        by: columns of a table that say who people are, for fairness and attribute inference; none: those that its
            schema calls protected.
        seed: of the metrics' own random choices.
        cluster: the processes that divide the work, each called alike; the leader measures and writes, the others come
            back with no score.

    Raises:
        SparringError: for whatever a person can put right.
    """
    if samples < 1:
        raise SparringError(f"--samples is 1 or more; got {samples}")
    where = choose_device(device)
    path = None if weights is None else Path(weights)
    if run is None:
        if real is None or fake is None:
            raise SparringError("say what to evaluate: a run folder, or --real PICTURES --fake PICTURES")
        if data is not None:
            raise SparringError("--data is real data for a run; with --real and --fake leave it out")
        check_keys(metrics, "image")
        reals, own, notes = two_sources(str(real), str(fake), progress)
        pictures = Examiner(reals, extractor, path, resize, samples, seed, where, progress, cluster)
        images, _ = pictures.read(own, "read fakes")
        seen = pictures.look(images, None, "look at fakes")
        if cluster and not cluster.leads:
            return Evaluation((), ())
        scores, left_out = pictures.examine(seen, f"files {own.name}", metrics)
        return Evaluation(tuple(scores), (*notes, *pictures.notes, *left_out))
    if real is not None or fake is not None:
        raise SparringError("give a run, or --real and --fake, not both")
    loaded = run if isinstance(run, Run) else Run(run, device=device)
    check_keys(metrics, loaded.game.spec.modality)
    if by and not loaded.game.spec.columns:
        raise SparringError("--by names columns of a table, and this run makes other things; leave it out")
    reals = reals_of_run(loaded.folder, loaded.game.spec, data, progress)
    examiner: Examiner | PlainExaminer
    if loaded.game.spec.series:
        examiner = SeriesExaminer(reals, samples, seed, progress, cluster)
    elif loaded.game.spec.columns:
        examiner = TableExaminer(reals, samples, seed, progress, cluster, by or protected(loaded.folder, reals))
    else:
        examiner = Examiner(reals, extractor, path, resize, samples, seed, where, progress, cluster)
    fakes = examiner.draw(loaded.game, range(samples))
    if cluster and not cluster.leads:
        return Evaluation((), ())
    scores, left_out = examiner.examine(fakes, f"0-{samples - 1}", metrics)
    picture: Path | None = None
    drawn: tuple[Path, ...] = ()
    if loaded.folder.exists:
        record(loaded.folder, loaded.card["nimg"], "evaluate", scores)
        picture = draw_nearest(examiner, fakes, loaded.folder) if isinstance(examiner, Examiner) else None
        drawn = write_charts(*examiner.rows(fakes), loaded.folder) if isinstance(examiner, TableExaminer) else ()
    return Evaluation(tuple(scores), (*examiner.notes, *left_out), picture, drawn)


def check_keys(keys: Sequence[str], kind: str) -> None:
    """Raise `SparringError` for metrics that there are not, before any work is done."""
    known = {metric.key for metric in metric_set(kind).METRICS}
    for key in keys:
        if key not in known:
            raise SparringError(f"there is no metric '{key}'; there is: {', '.join(sorted(known))}")


def record(folder: RunFolder, nimg: int, source: str, scores: Sequence[Score]) -> None:
    """Add a line to ``metrics.jsonl``. Raises `SparringError` when it cannot be written."""
    line = {"nimg": nimg, "source": source, "time": now(), "scores": [score.plain() for score in scores]}
    try:
        Lines(folder.metrics).append(line)
    except OSError as error:
        raise SparringError(f"cannot write {folder.metrics}: {error.strerror or error}") from None


def draw_nearest(examiner: Examiner, fakes: Sample, folder: RunFolder) -> Path | None:
    """The samples closest to the training data, each in front of its nearest training pictures, as a picture."""
    train = examiner.sides.train
    if train is None or len(train) < NEIGHBOURS:
        return None
    found = nearest(fakes.seen, train.seen, NEIGHBOURS)
    rows = [
        torch.cat([fakes.images[index][None], train.images[found.indices[index]]])
        for index in found.closest(PAIRS).tolist()
    ]
    path = folder.samples / PICTURE
    buffer = io.BytesIO()
    kind = examiner.reals.reference.spec.modality
    modality(kind).grid(from_uint8(torch.cat(rows)), columns=1 + NEIGHBOURS).save(buffer, "PNG")
    try:
        write_atomic(path, buffer.getvalue())
    except OSError as error:
        raise SparringError(f"cannot write {path}: {error.strerror or error}") from None
    return path


WAYS = {"lower": "lower", "higher": "higher", "nearer": "as real"}


def render(evaluation: Evaluation, console: Console) -> None:
    """The scores as a table for each feature space, and what to know of them."""
    for space in dict.fromkeys(score.protocol.space for score in evaluation.scores):
        console.print(f"\n{title(space)}", style="bold", markup=False, soft_wrap=True)
        console.print(_table([score for score in evaluation.scores if score.protocol.space == space]))
    nulls = dict.fromkeys(score.null for score in evaluation.scores if score.null)
    notes = [f"real vs real: {words}" for words in nulls]
    notes += [f"{score.protocol.label}: {score.note}" for score in evaluation.scores if score.note]
    for note in (*notes, *evaluation.notes):
        console.print(f"  {note}", style="dim", markup=False, soft_wrap=True)


def title(space: str) -> str:
    """``[classifier:1a2b3c4d|none|penultimate-64|N=1000/500]``, as the full name of each metric under it has it."""
    return f"[{space}]" if space else "no feature network"


def _table(scores: Sequence[Score]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("metric", no_wrap=True)
    for head in ("value", "95 %", "bias", "real vs real"):
        table.add_column(head, justify="right")
    table.add_column("better")
    table.add_column("protocol", no_wrap=True)
    for score in scores:
        table.add_row(
            score.protocol.label,
            number(score.value),
            "" if score.interval is None else f"{number(score.interval[0])} to {number(score.interval[1])}",
            number(score.bias) if score.bias else "",
            number(score.real_vs_real),
            WAYS[score.better],
            score.protocol.id,
        )
    return table
