"""What models learn from samples: train on synthetic, test on real (TSTR), and the other way round (TRTS)."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.core.columns import Column
from sparring.core.rows import Rows, Values
from sparring.metrics.tables.matrix import design

LEARNERS = ("boosting", "forest", "logistic", "tree")
MOST = 30_000  # rows to learn from


def learner(name: str, seed: int, rarest: int = 2) -> Any:
    """A scikit-learn classifier by name; ``rarest`` is how many rows the rarest class has."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    if name == "boosting":
        # Of many rows it keeps a share apart to know when to stop, which has to have a row of each class.
        return HistGradientBoostingClassifier(early_stopping="auto" if rarest > 1 else False, random_state=seed)
    if name == "forest":
        return RandomForestClassifier(100, min_samples_leaf=5, random_state=seed)
    if name == "logistic":
        return LogisticRegression(max_iter=200)
    return DecisionTreeClassifier(max_depth=10, random_state=seed)


def target_of(rows: Rows) -> Column | None:
    """The column that models are to predict."""
    return next((column for column in rows.columns if column.target), None)


def classes_of(column: Column, values: Values) -> NDArray[np.int64]:
    """The class of each row; -1 where it is missing."""
    if not column.numeric:
        return values.astype(np.int64)
    points = np.array(sorted(column.points))
    near = np.abs(np.where(np.isnan(values), np.inf, values)[:, None] - points).argmin(1)
    return np.where(np.isnan(values), -1, near)


def teach(name: str, lesson: Rows, exam: Rows, seed: int) -> float:
    """Area under the ROC curve on ``exam`` of a classifier taught by ``lesson``; of several classes the mean of one
    class against the rest, over those that the exam has. 0.5 where the lesson has one class only.

    Everything that rows are scaled by comes from the lesson.
    """
    from sklearn.metrics import roc_auc_score

    column = _target(lesson)
    truth = classes_of(column, exam[column.name])
    exam, truth = exam.take(truth >= 0), truth[truth >= 0]
    model, reference = _taught(name, lesson, column, seed)
    if model is None:
        return 0.5
    scores = model.predict_proba(design(exam, reference, (column.name,)))
    known = {int(label): place for place, label in enumerate(model.classes_)}
    areas = []
    present = np.unique(truth)
    for label in present[1:] if len(present) == 2 else present:
        hits = truth == label
        if hits.any() and not hits.all():
            areas.append(roc_auc_score(hits, scores[:, known[int(label)]]) if int(label) in known else 0.5)
    if not areas:
        raise ValueError(f"the rows to test on have one value of '{column.name}' only")
    return float(np.mean(areas))


def predict(name: str, lesson: Rows, exam: Rows, seed: int) -> NDArray[np.int64]:
    """The class ``(n,)`` that a classifier taught by ``lesson`` finds likeliest for each row of ``exam``; the one that
    there is where the lesson has one class only."""
    column = _target(lesson)
    model, reference = _taught(name, lesson, column, seed)
    if model is None:
        return np.full(len(exam), classes_of(column, reference[column.name]).max())
    guesses: NDArray[np.int64] = model.predict(design(exam, reference, (column.name,)))
    return guesses


def _target(rows: Rows) -> Column:
    column = target_of(rows)
    if column is None:
        raise ValueError("no column is the target")
    return column


def _taught(name: str, lesson: Rows, column: Column, seed: int) -> tuple[Any, Rows]:
    """A fitted classifier, or None where there is one class only; and the rows that it learnt from."""
    from sklearn.exceptions import ConvergenceWarning

    y = classes_of(column, lesson[column.name])
    lesson, y = _some(lesson.take(y >= 0), y[y >= 0], seed)
    counts = np.unique(y, return_counts=True)[1]
    if len(counts) < 2:
        return None, lesson
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return learner(name, seed, counts.min()).fit(design(lesson, lesson, (column.name,)), y), lesson


def _some(rows: Rows, y: NDArray[np.int64], seed: int) -> tuple[Rows, NDArray[np.int64]]:
    if len(rows) <= MOST:
        return rows, y
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MOST])
    return rows.take(chosen), y[chosen]


def detection(real: Rows, fake: Rows, name: str, seed: int, folds: int = 3) -> float:
    """Area under the ROC curve of a classifier that tells real from fake rows, cross-validated; 0.5 where it cannot."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    count = min(len(real), len(fake))
    sides = [side.take(np.random.default_rng(seed).permutation(len(side))[:count]) for side in (real, fake)]
    x = np.concatenate([design(side, sides[0]) for side in sides])
    y = np.repeat([1, 0], count)
    scores = np.zeros(len(y))
    for learn, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, y):
        model = learner(name, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x[learn], y[learn])
        scores[test] = model.predict_proba(x[test])[:, 1]
    return float(roc_auc_score(y, scores))
