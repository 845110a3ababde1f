"""Pictures of how alike samples and real rows of a table are: a chart for each column, and a matrix of all pairs."""

import io
from collections.abc import Mapping
from pathlib import Path
from statistics import mean

import numpy as np
from PIL import Image, ImageDraw

from sparring.core.columns import Column, extent
from sparring.core.errors import SparringError
from sparring.core.files import write_atomic
from sparring.core.folder import RunFolder
from sparring.core.rows import Rows
from sparring.metrics.tables.marginals import column_shapes, learnt, pair_trends
from sparring.modalities.table import bars_of
from sparring.watch.report import COLUMNS, PAIRS, write_report

CELL, GAP, ACROSS, HEAD, LEGEND = (208, 120), 12, 5, 16, 24
MOST_CHARTS, MOST_PAIRED = 60, 40  # columns in either picture, at most; of more, those that are least alike
REAL, FAKE, INK, FRAME = (158, 158, 158), (31, 78, 121), (60, 60, 60), (176, 176, 176)
SQUARE, LABEL = 30, 110  # sides of a cell of the matrix, and room for the name of a column
WORST = 0.5  # the score from which a cell is as dark as can be


def draw_columns(real: Rows, fake: Rows) -> Image.Image:
    """For each column what real rows (grey) and samples (blue) hold, side by side, with its score.

    Categories stand in the order of their frequency in the data, numbers in equal ranges of the data's.
    """
    scores = column_shapes(real, fake)
    chosen = _least_alike(list(scores), scores, MOST_CHARTS)
    charts = [column for column, _ in learnt(real) if column.name in chosen]
    across = min(ACROSS, max(1, len(charts)))
    down = -(-len(charts) // across)
    sheet = Image.new("RGB", (across * (CELL[0] + GAP) + GAP, LEGEND + down * (CELL[1] + GAP) + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for left, colour, word in ((GAP, REAL, "real"), (GAP + 60, FAKE, "samples")):
        pen.rectangle((left, 10, left + 9, 19), fill=colour)
        pen.text((left + 14, 8), word, fill=INK)
    for place, column in enumerate(charts):
        corner = (GAP + place % across * (CELL[0] + GAP), LEGEND + GAP + place // across * (CELL[1] + GAP))
        _chart(pen, corner, column, real, fake, scores[column.name])
    return sheet


def _chart(
    pen: ImageDraw.ImageDraw, corner: tuple[int, int], column: Column, real: Rows, fake: Rows, score: float
) -> None:
    left, top = corner
    width, height = CELL
    floor = top + height
    pen.text((left, top), _short(column.name, 24), fill=INK)
    pen.text((left + width - 30, top), f"{score:.3f}", fill=INK)
    pen.line((left, floor, left + width, floor), fill=FRAME)
    ends = extent(column, real.columns)
    pairs = np.stack([bars_of(column, rows[column.name], ends) for rows in (real, fake)], axis=1)
    if not pairs.size or pairs.max() <= 0:
        return
    step = width / len(pairs)
    bar = max((step - 2) / 2, 1)
    for place, shares in enumerate(pairs / pairs.max()):
        for side, (share, colour) in enumerate(zip(shares, (REAL, FAKE), strict=True)):
            if share > 0:
                x = left + place * step + side * bar
                pen.rectangle((x, floor - max(1.0, share * (height - HEAD)), x + bar - 1, floor), fill=colour)


def draw_pairs(scores: Mapping[tuple[str, str], float]) -> Image.Image:
    """A matrix of pair trends: white is 1, as in the data, and the darkest red `WORST` or less."""
    means = {name: mean(scores[pair] for pair in scores if name in pair) for found in scores for name in found}
    names = _least_alike(list(means), means, MOST_PAIRED)
    side = LABEL + len(names) * SQUARE + GAP
    sheet = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(sheet)
    for row, name in enumerate(names):
        at = LABEL + row * SQUARE
        pen.text((4, at + SQUARE // 2 - 6), _short(name, 17), fill=INK)
        upright = Image.new("RGB", (LABEL - 4, 12), "white")
        ImageDraw.Draw(upright).text((0, 0), _short(name, 17), fill=INK)
        sheet.paste(upright.rotate(90, expand=True), (at + SQUARE // 2 - 6, 0))
        for place, other in enumerate(names):
            score = scores.get((name, other), scores.get((other, name)))
            box = (LABEL + place * SQUARE, at, LABEL + (place + 1) * SQUARE - 2, at + SQUARE - 2)
            if score is None:
                pen.rectangle(box, fill=(238, 238, 238))
                continue
            badness = float(np.clip((1 - score) / (1 - WORST), 0, 1))
            pen.rectangle(box, fill=(255 - round(75 * badness), 255 - round(215 * badness), 255 - round(215 * badness)))
            pen.text((box[0] + 6, box[1] + 8), f"{100 * score:.0f}", fill="white" if badness > 0.6 else INK)
    return sheet


def _least_alike(names: list[str], scores: Mapping[str, float], most: int) -> list[str]:
    """At most so many names, those with the lowest scores, in the order that they were in."""
    kept = set(sorted(names, key=lambda name: scores[name])[:most])
    return [name for name in names if name in kept]


def _short(name: str, most: int) -> str:
    """A name that the built-in font can write, and that fits."""
    plain = name.encode("latin-1", "replace").decode("latin-1")
    return plain if len(plain) <= most else f"{plain[: most - 1]}~"


def write_charts(real: Rows, fake: Rows, folder: RunFolder) -> tuple[Path, ...]:
    """Both pictures into ``samples/`` of a run, the matrix only where there are pairs, and its report with them.

    Raises:
        SparringError: when they cannot be written.
    """
    drawn = {COLUMNS: draw_columns(real, fake)}
    if scores := pair_trends(real, fake):
        drawn[PAIRS] = draw_pairs(scores)
    written = []
    for name, picture in drawn.items():
        file, path = io.BytesIO(), folder.samples / name
        picture.save(file, "PNG")
        try:
            write_atomic(path, file.getvalue())
        except OSError as error:
            raise SparringError(f"cannot write {path}: {error.strerror or error}") from None
        written.append(path)
    try:
        write_report(folder, running=False)
    except OSError as error:
        raise SparringError(f"cannot write {folder.report}: {error.strerror or error}") from None
    return tuple(written)
