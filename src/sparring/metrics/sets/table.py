"""What is measured of tables: columns, pairs, what models learn from samples, and whether samples give rows away.

`by_column` adds what is measured of one column that a person names, because it says who people are.
"""

from contextlib import suppress
from functools import partial

import numpy as np

from sparring.core.columns import Layout
from sparring.core.rows import Rows, decode
from sparring.metrics.suite import Measured, Metric, Need, Sample, Sides
from sparring.metrics.tables import efficacy, fairness, inference, privacy
from sparring.metrics.tables.copies import find_copies
from sparring.metrics.tables.marginals import column_shapes, independent, pair_trends, resampled

MOST_PRIVATE = 3000  # rows on each side of what looks at all pairs
PIECE = 50_000  # rows learnt from that are decoded at once, when all of them are gone through


def rows_of(side: Sample, sides: Sides) -> Rows:
    """The rows of one side; of samples and reals, compact rows are kept."""
    assert sides.spec is not None
    return decode(side.images, Layout(sides.spec.columns))


def some(rows: Rows, count: int, seed: int) -> Rows:
    """At most ``count`` rows, drawn by ``seed``."""
    return rows if len(rows) <= count else rows.take(np.random.default_rng(seed).permutation(len(rows))[:count])


def likeness(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Column shapes, pair trends and their mean; beside each what independent columns reach, and a bootstrap."""
    ours, reals = rows_of(fakes, sides), rows_of(sides.reals, sides)
    base = reals if sides.train is None else rows_of(sides.train, sides)
    rivals = [independent(base, sides.seed), resampled(base, len(ours), sides.seed)]
    shapes = [column_shapes(reals, rows) for rows in (ours, *rivals)]
    trends = [pair_trends(reals, rows) for rows in (ours, *rivals)]
    means = [[float(np.mean(list(part.values()))) for part in found] for found in (shapes, trends)]
    worst = min(shapes[0], key=lambda name: shapes[0][name])
    said = [f"{b:.3f} of columns drawn independently, {c:.3f} of rows drawn from the data" for _, b, c in means]
    found = {
        "column shapes": Measured(means[0][0], note=f"{said[0]}; the worst is {worst}, {shapes[0][worst]:.3f}"),
    }
    if trends[0]:
        pair = min(trends[0], key=lambda key: trends[0][key])
        note = f"{said[1]}; the worst is {pair[0]} with {pair[1]}, {trends[0][pair]:.3f}"
        found["pair trends"] = Measured(means[1][0], note=note)
        found["quality"] = Measured((means[0][0] + means[1][0]) / 2)
    else:
        found["quality"] = Measured(means[0][0])
    return found


def teaching(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Beside each the same classifier taught by the rows that were learnt from."""
    assert sides.train is not None
    ours, train, exam = (rows_of(side, sides) for side in (fakes, sides.train, sides.reals))
    column = efficacy.target_of(train)
    if column is None:
        raise ValueError("no column is the target; name one in a schema (target = NAME)")
    words = f"taught by {min(len(train), efficacy.MOST):,} real rows, tested on {len(exam):,} held out"
    found = {}
    for name in efficacy.LEARNERS:
        of_reals = efficacy.teach(name, train, exam, sides.seed)
        found[f"TSTR {name}"] = Measured(
            efficacy.teach(name, ours, exam, sides.seed),
            note=f"predicts {column.name}",
            real_vs_real=of_reals,
            null=words,
        )
    with suppress(ValueError):  # samples of one class are no exam; what they teach can be said all the same
        found["TRTS boosting"] = Measured(
            efficacy.teach("boosting", train, ours, sides.seed),
            note=f"predicts {column.name} of samples, taught by real rows",
            real_vs_real=found["TSTR boosting"].real_vs_real,
            null=words,
        )
    return found


def told_apart(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """By a linear classifier and by boosted trees."""
    ours, reals = rows_of(fakes, sides), rows_of(sides.reals, sides)
    return {
        f"detection {name}": Measured(efficacy.detection(reals, ours, name, sides.seed))
        for name in ("logistic", "boosting")
    }


def copying(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Beside each what held-out rows score: they coincide with rows that were learnt from, too."""
    assert sides.train is not None
    ours, train, held_out = (rows_of(side, sides) for side in (fakes, sides.train, sides.reals))
    learnt = (sides.learnt or sides.train).images.split(PIECE)
    copies = find_copies(ours, (rows_of(Sample(piece), sides) for piece in learnt), held_out)
    found = privacy.distances(
        some(ours, MOST_PRIVATE, sides.seed), train, some(held_out, MOST_PRIVATE, sides.seed), sides.seed
    )
    return {
        "exact copies": Measured(copies.exact / len(ours), note=copies.sentence),
        "near copies": Measured(copies.near / len(ours)),
        "nearer to training": Measured(found.closer, note="0.5 of samples that know no row"),
        "DCR 5%": Measured(found.record),
        "NNDR 5%": Measured(found.ratio),
    }


def membership(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Two attacks, each with the share of members that it finds at one false accusation in a hundred."""
    assert sides.train is not None
    ours = rows_of(fakes, sides)
    count = min(MOST_PRIVATE, len(sides.train), len(sides.reals))
    members, others = (some(rows_of(side, sides), count, sides.seed) for side in (sides.train, sides.reals))
    found = {
        "distance": privacy.attack_by_distance(members, others, some(ours, 4 * MOST_PRIVATE, sides.seed)),
        "classifier": privacy.attack_by_classifier(members, others, ours, sides.seed),
    }
    return {
        f"membership by {name}": Measured(
            attack.area, note=f"{attack.sure:.1%} of members found at 1% false; 0.5 and 1% are guessing"
        )
        for name, attack in found.items()
    }


def attributes(fakes: Sample, sides: Sides, name: str = "") -> dict[str, Measured]:
    """How often attackers infer a column, the target if none is named, of rows that were learnt from."""
    assert sides.train is not None
    ours, train, held_out = (rows_of(side, sides) for side in (fakes, sides.train, sides.reals))
    column = next((column for column in train.columns if (column.name == name if name else column.target)), None)
    if column is None:
        raise ValueError("no column is the target; name one in a schema (target = NAME)")
    found = inference.infer(column, ours, train, held_out, sides.seed)
    said = f"{column.name}: {100 * found.gain:+.1f}% ± {100 * found.error:.1f}% beyond what anybody could infer"
    return {
        f"attribute inference{f' of {name}' if name else ''}": Measured(
            found.from_samples,
            note=f"{said}: {'a leak' if found.leaks else 'no leak seen'}",
            real_vs_real=found.from_reals,
            null="attributes inferred from as many held-out rows",
        )
    }


def fair(fakes: Sample, sides: Sides, name: str) -> dict[str, Measured]:
    """Groups by a column, their outcomes, and what models do to them; beside each the same of real rows."""
    assert sides.train is not None
    ours, train, exam = (rows_of(side, sides) for side in (fakes, sides.train, sides.reals))
    groups = fairness.groups_by(name, train)
    mine, real = (fairness.audit(rows, groups, exam, sides.seed) for rows in (ours, train))
    shares = 1 - float(np.abs(mine.shares - real.shares).sum()) / 2
    found = {
        f"groups by {name}": Measured(
            shares, note=fairness.words(groups, mine.shares.tolist(), real.shares.tolist()), real_vs_real=1.0
        )
    }
    pairs = (
        {}
        if mine.data is None or mine.taught is None or real.data is None or real.taught is None
        else {
            f"outcome gap by {name}": (mine.data.gap, real.data.gap),
            f"parity gap by {name}": (mine.taught.gap, real.taught.gap),
            f"odds gap by {name}": (mine.taught.odds, real.taught.odds),
        }
    )
    for key, (value, beside) in pairs.items():
        if np.isfinite(value) and np.isfinite(beside):
            found[key] = Measured(
                value, real_vs_real=beside, null="gaps of real rows learnt from, and of models of them"
            )
    return found


def by_column(name: str) -> tuple[Metric, ...]:
    """What is measured of a column that says who people are, or that they would not tell."""
    needs: frozenset[Need] = frozenset({"train", "held-out"})
    gaps = {f"{gap} by {name}": "nearer" for gap in ("outcome gap", "parity gap", "odds gap")}
    return (
        Metric(
            "fairness",
            {f"groups by {name}": "higher", **gaps},  # type: ignore[dict-item]
            partial(fair, name=name),
            needs,
            looks="pixels",
            parameters={"by": name, "least": fairness.LEAST},
            null="own",
        ),
        Metric(
            "attributes",
            {f"attribute inference of {name}": "nearer"},
            partial(attributes, name=name),
            needs,
            looks="pixels",
            parameters={"by": name, "rows": inference.MOST},
            null="own",
        ),
    )


LIKENESS = {"column shapes": "higher", "pair trends": "higher", "quality": "higher"}
METRICS: tuple[Metric, ...] = (
    Metric("quality", LIKENESS, likeness, looks="pixels", parameters={"bins": 10}),  # type: ignore[arg-type]
    Metric(
        "tstr",
        {**{f"TSTR {name}": "higher" for name in efficacy.LEARNERS}, "TRTS boosting": "higher"},
        teaching,
        frozenset({"train", "held-out"}),
        looks="pixels",
        parameters={"score": "AUROC", "rows": efficacy.MOST},
        null="own",
    ),
    Metric(
        "detection",
        {"detection logistic": "nearer", "detection boosting": "nearer"},
        told_apart,
        looks="pixels",
        parameters={"score": "AUROC", "folds": 3},
    ),
    Metric(
        "copies",
        {
            "exact copies": "nearer",
            "near copies": "nearer",
            "nearer to training": "nearer",
            "DCR 5%": "nearer",
            "NNDR 5%": "nearer",
        },
        copying,
        frozenset({"train", "held-out"}),
        looks="pixels",
        parameters={"rows": MOST_PRIVATE},
        null="held-out",
    ),
    Metric(
        "membership",
        {"membership by distance": "nearer", "membership by classifier": "nearer"},
        membership,
        frozenset({"train", "held-out"}),
        looks="pixels",
        parameters={"rows": MOST_PRIVATE},
        null="own",
    ),
    Metric(
        "attributes",
        {"attribute inference": "nearer"},
        attributes,
        frozenset({"train", "held-out"}),
        looks="pixels",
        parameters={"rows": inference.MOST},
        null="own",
    ),
)
CHEAP = ("quality",)
BEST_BY = "quality"
