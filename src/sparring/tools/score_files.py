"""What ``sparring score`` writes and shows: a CSV file of all samples, pictures of the most abnormal, tables."""

import csv
import io
import re
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

from sparring.core.errors import SparringError
from sparring.core.files import write_atomic
from sparring.core.game import Game
from sparring.core.texts import guarded
from sparring.data.table.strange import Strangers
from sparring.metrics.bootstrap import Interval
from sparring.modalities.image import grid
from sparring.tools.score import Scored
from sparring.tools.scoring import look
from sparring.watch.words import number, printable

CSV = "scores.csv"
SHOWN, NAMED = 10, 3  # samples that are shown, and columns named of each
# Nothing, a little, much, all: black, red, yellow, white.
RAMP = torch.tensor([[-1.0, -1.0, -1.0], [0.8, -1.0, -1.0], [1.0, 0.8, -1.0], [1.0, 1.0, 1.0]])


def write_scores(scored: Scored, out: Path) -> Path:
    """All samples in the order of their source, atomically; returns the file.

    Columns: ``file`` or ``row``, ``score``, ``percentile`` and ``label`` where they are known; of a table ``unknown``,
    the columns with a value that training never saw, ``features``, and what each column adds to the score.

    Raises `SparringError` when it cannot be written.
    """
    samples, source = scored.samples, scored.samples.source
    cells: dict[str, list[str]] = {samples.unit: [guarded(name) for name in samples.names]}
    cells["score"] = [f"{value:.6g}" for value in scored.scores]
    if scored.percentiles is not None:
        cells["percentile"] = [f"{value:.2f}" for value in scored.percentiles]
    if samples.labels is not None:
        cells["label"] = [guarded(label) for label in samples.labels]
    if isinstance(source, Strangers) and scored.parts is not None:
        columns = [column.name for column in samples.spec.columns]
        cells["unknown"] = [guarded("; ".join(np.array(columns)[row])) for row in source.unknown]
        finite = np.isfinite(scored.scores)
        features = np.subtract(scored.scores, scored.parts.sum(1), out=np.full(len(samples), np.nan), where=finite)
        cells["features"] = ["" if np.isnan(value) else f"{value:.6g}" for value in features]
        for place, column in enumerate(samples.spec.columns):
            if column.learnt:
                cells[guarded(f"part of {column.name}")] = [f"{value:.6g}" for value in scored.parts[:, place]]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(cells)
    writer.writerows(zip(*cells.values(), strict=True))
    path = out / CSV
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.getvalue().encode())
    except OSError as error:
        raise SparringError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def draw_heat(game: Game, scored: Scored, out: Path, count: int) -> list[Path]:
    """Of the ``count`` most abnormal pictures the picture, what the game makes of it, and where the two differ.

    One file each, the most abnormal first; the brightest pixel of the third is the largest difference in all of them.

    Raises `SparringError` when they cannot be written.
    """
    most = scored.most(count) if scored.parts is None else []
    seen = [(place, sample, look(game, sample)) for place in most for sample in [scored.samples.read([place])]]
    heats = [found.map.mean(1, keepdim=True) for _, _, found in seen]
    top = max((float(heat.max()) for heat in heats), default=1.0)
    paths = []
    try:
        for rank, ((place, sample, found), heat) in enumerate(zip(seen, heats, strict=True), 1):
            panels = torch.cat([_coloured(sample), _coloured(found.again), _ramp(heat / max(top, 1e-12))])
            stem = re.sub(r"[^A-Za-z0-9._-]+", "-", str(PurePosixPath(scored.samples.names[place]).with_suffix("")))
            path = out / f"{rank:03d}-{stem[-80:]}.png"
            buffer = io.BytesIO()
            grid(panels, columns=3).save(buffer, "PNG")
            write_atomic(path, buffer.getvalue())
            paths.append(path)
    except OSError as error:
        raise SparringError(f"cannot write under {out}: {error.strerror or error}") from None
    return paths


def _coloured(pictures: Tensor) -> Tensor:
    """``(n, 1 to 4, h, w)`` as RGB, without what is transparent in them."""
    return pictures[:, :1].expand(-1, 3, -1, -1) if pictures.shape[1] < 3 else pictures[:, :3]


def _ramp(heat: Tensor) -> Tensor:
    """Heat ``(n, 1, h, w)`` in [0, 1] as colours ``(n, 3, h, w)`` in [-1, 1]."""
    place = heat[:, 0].clamp(0, 1) * (len(RAMP) - 1)
    below = place.long().clamp(max=len(RAMP) - 2)
    return torch.lerp(RAMP[below], RAMP[below + 1], (place - below)[..., None]).permute(0, 3, 1, 2)


# ---------------------------------------------------------------------- on the screen


def render(scored: Scored, console: Console) -> None:
    """The most abnormal samples, how well scores tell where there are labels, and what to know of them."""
    console.print(f"\nThe most abnormal of {len(scored.samples):,}", style="bold", markup=False)
    console.print(_most(scored))
    if scored.separations:
        console.print("\nAbnormal told from normal", style="bold")
        console.print(_separations(scored))
    for note in scored.notes:
        console.print(f"  {note}", style="dim", markup=False, soft_wrap=True)


def _most(scored: Scored) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(scored.samples.unit)
    table.add_column("score", justify="right")
    for head, there in (("percentile", scored.percentiles), ("label", scored.samples.labels), ("mostly", scored.parts)):
        if there is not None:
            table.add_column(head, justify="right" if head == "percentile" else "left")
    for place in scored.most(SHOWN):
        cells = [scored.samples.names[place], number(float(scored.scores[place]))]
        cells += [] if scored.percentiles is None else [f"{scored.percentiles[place]:.1f} %"]
        cells += [] if scored.samples.labels is None else [scored.samples.labels[place]]
        if scored.parts is not None:
            largest = np.argsort(-scored.parts[place], kind="stable")[:NAMED]
            cells.append(", ".join(scored.samples.spec.columns[column].name for column in largest))
        table.add_row(*(printable(cell).replace("[", r"\[") for cell in cells))
    return table


def _separations(scored: Scored) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("method", no_wrap=True)
    for head in ("AUROC", "95 %", "AUPRC", "95 %"):
        table.add_column(head, justify="right")
    for method, found in scored.separations.items():
        table.add_row(method, *_area(found.auroc), *_area(found.auprc))
    return table


def _area(interval: Interval) -> tuple[str, str]:
    return f"{interval.value:.3f}", f"{interval.low:.3f} to {interval.high:.3f}"
