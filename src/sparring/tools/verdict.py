"""What a person is told at the end of a run: is it any good, and what shows it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.core.game import Game
from sparring.data import DataSet
from sparring.diagnostics.finding import Finding, Level
from sparring.diagnostics.space import diversity_ratio
from sparring.metrics.classes import ClassCheck, check_classes
from sparring.metrics.tables.marginals import column_shapes, pair_trends
from sparring.modalities import modality
from sparring.modalities.table import values
from sparring.tools.sample import CHUNK, batch_of_reals, draw

SAMPLES = 1000
MOST_VALUES = 5000 * 1024  # of reals that the classifier is fitted on: seconds, not minutes


@dataclass(frozen=True)
class Verdict:
    """Severity and sentences, evidence included."""

    severity: Level
    message: str
    diversity: float
    classes: ClassCheck | None = None


def judge(game: Game, data: DataSet, findings: Sequence[Finding] = ()) -> Verdict:
    """Look at 1,000 samples of ``game`` (eval mode) beside as many reals.

    ``findings`` are those of the referee that stand: the verdict is never better than they are, and names them first.
    """
    reals, _ = some_reals(data, min(SAMPLES, len(data)))
    samples = torch.cat([part.cpu() for part in samples_of(game, data, reals)])
    diversity = diversity_ratio(samples, reals)
    check = look_at_classes(samples, data) if len(data.spec.classes) > 1 else None
    severity: Level = "good"
    if not diversity >= 0.3:
        severity, message = "critical", f"Collapsed: samples differ {diversity:.0%} as much as real ones do."
    elif diversity < 0.75:
        severity, message = "warn", f"Little variety: samples differ {diversity:.0%} as much as real ones do."
    else:
        message = f"Healthy: samples are as varied as the data ({diversity:.0%})."
    if check is not None:
        rarest = int(check.shares.argmin())
        name = data.spec.classes[rarest]
        fair = data.spec.class_counts[rarest] / max(sum(data.spec.class_counts), 1)
        if check.shares[rarest] < 0.25 * fair:
            severity = "warn" if severity == "good" else severity
            message += f" Class '{name}' is nearly missing: {check.shares[rarest]:.1%} of samples."
        else:
            message += f" All {len(check.shares)} classes appear, the rarest ('{name}') in {check.shares[rarest]:.1%}."
        message += (
            f" A classifier that is right on {check.accuracy:.1%} of held-out reals is {check.sure_of_samples:.0%} "
            f"sure of the samples, {check.sure_of_reals:.0%} of the reals."
        )
    if data.spec.columns:
        severity, message = look_at_rows(samples, data, severity, message)
    return Verdict(*combined(severity, message, findings), diversity, check)


def look_at_rows(samples: Tensor, data: DataSet, severity: Level, message: str) -> tuple[Level, str]:
    """How alike the columns of a table are, and pairs of them, beside as many real rows; a warning far below those."""
    reals, _ = some_reals(data, min(2 * SAMPLES, len(data)))
    ours, one, other = (values(side, data.spec) for side in (samples, reals[::2], reals[1::2]))
    shapes, null = (mean(column_shapes(one, side).values()) for side in (ours, other))
    message += f" Columns are {shapes:.0%} alike (real rows: {null:.0%})"
    pairs = pair_trends(one, ours)
    if pairs:
        message += f", pairs of them {mean(pairs.values()):.0%} ({mean(pair_trends(one, other).values()):.0%})"
    if shapes < null - 0.2 and severity == "good":
        severity, message = "warn", message.replace("Healthy: samples", "Samples", 1)
    return severity, f"{message}."


def combined(severity: Level, message: str, findings: Sequence[Finding]) -> tuple[Level, str]:
    """The worst severity of all, and what stands before what was seen just now."""
    standing = [finding for finding in findings if finding.severity != "good"]
    if not standing:
        return severity, message
    worst: Level = "critical" if "critical" in (severity, *(f.severity for f in standing)) else "warn"
    found = "; ".join(f"{f.title.lower()} ({f.severity}, since {f.since / 1000:g} kimg)" for f in standing)
    return worst, f"Not healthy: the referee stands by {found}. At the end: {message.removeprefix('Healthy: ')}"


def samples_of(game: Game, data: DataSet, reals: Tensor) -> Iterator[Tensor]:
    """Samples from seeds, or made from what ``reals`` are made from where the game asks for that."""
    if not game.gives:
        yield from draw(game, range(SAMPLES))
        return
    given = some_given(data, len(reals))
    device = next(game.parameters()).device
    for start in range(0, len(reals), CHUNK):
        part = slice(start, start + CHUNK)
        with torch.inference_mode():
            yield game.sample(batch_of_reals(game, reals[part], None, None if given is None else given[part], device))


def look_at_classes(samples: Tensor, data: DataSet) -> ClassCheck | None:
    """The class check, where the data is small enough and a simple classifier can tell its classes apart."""
    per_sample = int(np.prod(data.spec.shape))
    count = min(len(data), MOST_VALUES // per_sample)
    if per_sample > 4096 or count < 20 * len(data.spec.classes):
        return None
    reals, labels = some_reals(data, count)
    if labels is None or len(labels.unique()) < len(data.spec.classes):
        return None
    check = check_classes(flat(reals), labels.numpy(), flat(samples), len(data.spec.classes))
    return check if check.accuracy >= 0.8 else None


def some_reals(data: DataSet, count: int) -> tuple[Tensor, Tensor | None]:
    """Reals spread evenly over the data set, in [-1, 1]."""
    kept, labels = data.get(torch.linspace(0, len(data) - 1, count).long())
    return modality(data.spec.modality).decode(kept.cpu(), spec=data.spec), None if labels is None else labels.cpu()


def some_given(data: DataSet, count: int) -> Tensor | None:
    """What `some_reals` of so many are made from, in [-1, 1]; None where there is nothing of the kind."""
    kept = data.get_given(torch.linspace(0, len(data) - 1, count).long())
    return None if kept is None else modality(data.spec.modality).decode(kept.cpu(), spec=data.spec)


def flat(images: Tensor) -> NDArray[np.float32]:
    """``(n, d)`` float32 for scikit-learn."""
    return images.flatten(1).numpy().astype(np.float32)
