"""``sparring compare``: the scores of runs side by side, where they can stand there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sparring.core.errors import SparringError
from sparring.core.folder import RunFolder, read_lines
from sparring.metrics.protocol import Score, differences
from sparring.tools.evaluate import title
from sparring.watch.words import number


@dataclass(frozen=True)
class Row:
    """One metric over all runs.

    Attributes:
        scores: one for each run, of one protocol.
        best: the number of the run that is better than all others by more than chance, or None.
        words: the judgement.
    """

    scores: tuple[Score, ...]
    best: int | None
    words: str


@dataclass(frozen=True)
class Comparison:
    """The runs' names and a row for each metric that all of them have."""

    runs: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def compare(runs: Sequence[str | Path]) -> Comparison:
    """The latest score of each metric, for every run.

    Raises:
        SparringError: for fewer than two runs, a run that was never evaluated, no metric in common, or protocols that
            differ; the sentence says in what.
    """
    if len(runs) < 2:
        raise SparringError("compare takes two run folders or more")
    latest = [read_scores(RunFolder(run)) for run in runs]
    common = [metric for metric in latest[0] if all(metric in scores for scores in latest[1:])]
    if not common:
        raise SparringError("these runs have no metric in common; run `sparring evaluate` on each, with equal options")
    for run, scores in zip(runs[1:], latest[1:], strict=True):
        for metric in common:
            unlike = differences(latest[0][metric].protocol, scores[metric].protocol)
            if unlike:
                raise SparringError(
                    f"{metric} of {runs[0]} and {run} cannot be compared: {', '.join(unlike)} differ; evaluate both "
                    "the same way"
                )
    alone = sorted({metric for scores in latest for metric in scores} - set(common))
    notes = (f"not measured for every run, so left out: {', '.join(alone)}",) if alone else ()
    rows = tuple(judged(tuple(scores[metric] for scores in latest)) for metric in common)
    return Comparison(tuple(str(run) for run in runs), rows, notes)


def read_scores(folder: RunFolder) -> dict[str, Score]:
    """The latest score of each metric in ``metrics.jsonl``; one of ``sparring evaluate`` before one while training.

    Raises:
        SparringError: where there is none, or a line is damaged.
    """
    found: dict[str, Score] = {}
    lines = list(read_lines(folder.metrics))
    for line in sorted(lines, key=lambda line: line.get("source") == "evaluate"):
        for plain in line.get("scores", ()):
            score = Score.of(plain)
            found[score.protocol.metric] = score
    if not found:
        raise SparringError(f"{folder.root} has no scores; run `sparring evaluate {folder.root}` first")
    return found


def judged(scores: tuple[Score, ...]) -> Row:
    """Which of them is better, if that can be told.

    Two intervals that overlap, or a difference below the bias, tell nothing. Scores without an interval are not judged.
    """
    order = sorted(range(len(scores)), key=lambda run: rank(scores[run]))
    first, second = scores[order[0]], scores[order[1]]
    if first.interval is None or second.interval is None:
        return Row(scores, None, "no interval: not judged")
    if first.better == "nearer" and first.real_vs_real is None:
        return Row(scores, None, "nothing to be near to: not judged")
    if first.interval[0] <= second.interval[1] and second.interval[0] <= first.interval[1]:
        return Row(scores, None, "cannot tell apart: the intervals overlap")
    if abs(first.value - second.value) < max(first.bias, second.bias):
        return Row(scores, None, "cannot tell apart: they differ by less than the bias")
    return Row(scores, order[0], "")


def rank(score: Score) -> float:
    """Smaller is better."""
    if score.better == "nearer":
        return abs(score.value - (score.real_vs_real or 0.0))
    return score.value if score.better == "lower" else -score.value


def render(comparison: Comparison, console: Console) -> None:
    """One table."""
    names = [Path(run).name for run in comparison.runs]
    names = names if len(set(names)) == len(names) else list(comparison.runs)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("metric", no_wrap=True)
    for name in names:
        table.add_column(Text(name), justify="right", overflow="fold")
    table.add_column("real vs real", justify="right")
    table.add_column("better")
    table.add_column("protocol", no_wrap=True)
    for row in comparison.rows:
        cells = [cell(score, index == row.best) for index, score in enumerate(row.scores)]
        words = names[row.best] if row.best is not None else row.words
        first = row.scores[0]
        table.add_row(first.protocol.label, *cells, number(first.real_vs_real), Text(words), first.protocol.id)
    for space in dict.fromkeys(row.scores[0].protocol.space for row in comparison.rows):
        console.print(title(space), style="dim", markup=False, soft_wrap=True)
    console.print(table)
    for note in comparison.notes:
        console.print(f"  {note}", style="dim", markup=False, soft_wrap=True)


def cell(score: Score, best: bool) -> Text:
    """``1.23 (1.1 to 1.4)``, bold for the one that is better."""
    interval = "" if score.interval is None else f" ({number(score.interval[0])} to {number(score.interval[1])})"
    return Text(f"{number(score.value)}{interval}", "bold" if best else "")
