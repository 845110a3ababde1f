"""Which classes appear among samples, by a classifier fitted on the real data set itself."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassCheck:
    """What a classifier sees.

    Attributes:
        accuracy: on held-out reals, 0..1: how far to trust the rest.
        shares: of each class among the samples, ``(classes,)``, summing to 1.
        sure_of_samples: its mean top probability on samples, 0..1.
        sure_of_reals: the same on held-out reals: what good samples would reach.
    """

    accuracy: float
    shares: NDArray[np.float64]
    sure_of_samples: float
    sure_of_reals: float


def check_classes(
    reals: NDArray[np.float32], labels: NDArray[np.int64], samples: NDArray[np.float32], classes: int, seed: int = 0
) -> ClassCheck:
    """Fit a small perceptron on three quarters of ``reals`` ``(n, d)`` in [-1, 1]; look at ``samples`` ``(m, d)``."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    order = np.random.default_rng(seed).permutation(len(reals))
    cut = len(order) * 3 // 4
    fit, held_out = order[:cut], order[cut:]
    classifier = MLPClassifier((128,), alpha=0.1, max_iter=60, early_stopping=False, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the held-out accuracy says whether it was enough
        classifier.fit(reals[fit], labels[fit])
    on_reals, on_samples = classifier.predict_proba(reals[held_out]), classifier.predict_proba(samples)
    seen = classifier.classes_[on_samples.argmax(1)]
    return ClassCheck(
        accuracy=float((classifier.classes_[on_reals.argmax(1)] == labels[held_out]).mean()),
        shares=np.bincount(seen, minlength=classes) / len(samples),
        sure_of_samples=float(on_samples.max(1).mean()),
        sure_of_reals=float(on_reals.max(1).mean()),
    )
