"""An augmentation study for people: one page of Markdown, and its short form on a screen."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sparring.metrics.study import LEVEL, Mean, mean_of, verdict
from sparring.tools.augmenting import Arm, Score, Study, points

SHOWN = 12  # classes whose recall is shown, the rarest first
HEAD = ("arm", "lesson", "balanced accuracy", "macro F1", "AUROC", "against real only", "so it")


def rows(study: Study) -> list[tuple[str, ...]]:
    """The lines of the main table, a line an arm, in the order of `HEAD`."""
    found = []
    chosen = {id(study.best("with")), id(study.best("without"))}
    for arm in study.arms:
        gain = study.gain(arm)
        against = ("", "") if arm.kind == "base" else (points(gain), verdict(gain))
        scores = (_score(arm, name) for name in ("balanced_accuracy", "macro_f1", "auroc"))
        found.append((f"{arm.name} *" if id(arm) in chosen else arm.name, f"{arm.lesson:,}", *scores, *against))
    return found


def _score(arm: Arm, name: Score) -> str:
    mean = mean_of(arm.values(name))
    return "" if math.isnan(mean.value) else share(mean)


def share(mean: Mean) -> str:
    """``91.2 % [90.1, 92.3]``, within 0 and 100."""
    return f"{100 * mean.value:.1f} % [{100 * max(mean.low, 0.0):.1f}, {100 * min(mean.high, 1.0):.1f}]"


def recalls(study: Study) -> tuple[list[str], list[tuple[str, ...]]]:
    """Heading and lines of the table of recalls, rarest classes first, `SHOWN` of them at most."""
    order = sorted(range(len(study.classes)), key=lambda label: study.counts[label])[:SHOWN]
    head = ["arm", *(f"{study.classes[label]} ({study.counts[label]:,})" for label in order)]
    return head, [(arm.name, *(_percent(arm.recall(label)) for label in order)) for arm in study.arms]


def _percent(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.1f} %"


def remarks(study: Study) -> list[str]:
    """How to read the tables, and what was noted, a sentence each."""
    found = study.leak
    seeds = len(study.arms[0].test)
    return [
        f"{study.test:,} test samples, {study.validation:,} for validation, {sum(study.counts):,} real ones to learn "
        f"from; {seeds} seeds an arm, {study.updates:,} {study.unit} each.",
        f"Intervals are {LEVEL:.0%} (Student t) over seeds of classifier and samples; they cover neither another "
        "generator nor another test set. * was chosen on validation.",
        f"Of {found.samples:,} samples {found.nearer:.1%} are nearer to {found.reals:,} test samples than to as many "
        f"training ones (samples that know neither: 50 % ± {100 * found.chance:.1f}, one standard deviation); median "
        f"distances {found.to_test:.4f} and {found.to_train:.4f}; {found.equal:.1%} equal a test sample. "
        f"{'Something may have leaked.' if found.suspicious else 'No sign of a leak.'}",
        *(f"{note[0].upper()}{note[1:]}." for note in study.notes),
    ]


def markdown(study: Study) -> str:
    """Verdict, both tables and remarks."""
    head, lines = recalls(study)
    parts = [
        f"**{study.verdict()[1]}**",
        _pipes(HEAD, rows(study)),
        "Recall by class (training samples in brackets):",
        _pipes(head, lines),
        "\n".join(f"* {remark}" for remark in remarks(study)),
    ]
    return "\n\n".join(parts) + "\n"


def _pipes(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in (head, rule, *lines))


def render(study: Study, console: Console) -> None:
    """On a screen: balanced accuracy and the rarest class; `markdown` has the rest."""
    rarest = min(range(len(study.classes)), key=lambda label: study.counts[label])
    table = Table("arm", "balanced", f"recall {study.classes[rarest]}", "against real only", "so it", box=None)
    for arm, line in zip(study.arms, rows(study), strict=True):
        cells = (line[0], line[2].partition(" [")[0], _percent(arm.recall(rarest)), *line[-2:])
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    console.print(f"\n{study.verdict()[1]}\n", markup=False)
    for remark in remarks(study):
        console.print(f"  {remark}", style="dim", markup=False)
