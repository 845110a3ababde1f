"""Mode-specific normalisation: a column of numbers as a mixture of Gaussians (Xu et al. 2019, section 4.2).

The mixture is fitted by variational inference with a Dirichlet-process prior, which leaves modes that are not needed
without weight.
"""

import warnings

import numpy as np
from numpy.typing import NDArray

from sparring.core.rows import place_in_modes

MODES = 10
PRIOR = 0.001  # weight concentration: the smaller, the fewer modes
LEAST_WEIGHT = 0.005
FITTED_ON = 5000  # numbers
DEVIATIONS = 4  # standard deviations that a scalar of 1 is away from the centre


def fit_modes(numbers: NDArray[np.float64], seed: int = 0) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Centres and reaches of the modes of ``numbers``.

    A reach is four standard deviations, or more where numbers would not be reached by any mode otherwise.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import BayesianGaussianMixture

    middle, scale = numbers.mean(), max(numbers.std(), 1e-9 * np.abs(numbers).max(), 1e-30)
    values = np.unique(numbers)
    centres, deviations = np.array([middle]), np.array([scale])
    if len(values) > 1:
        chosen = numbers
        if len(numbers) > FITTED_ON:
            chosen = np.random.default_rng(seed).choice(numbers, FITTED_ON, replace=False)
        mixture = BayesianGaussianMixture(
            n_components=min(MODES, len(np.unique(chosen))),
            weight_concentration_prior_type="dirichlet_process",
            weight_concentration_prior=PRIOR,
            max_iter=100,
            n_init=1,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(((chosen - middle) / scale)[:, None])
        kept = mixture.weights_ > LEAST_WEIGHT
        centres = mixture.means_[kept, 0] * scale + middle
        deviations = np.sqrt(mixture.covariances_[kept, 0, 0]) * scale
    reaches = DEVIATIONS * deviations
    while True:  # each round at least one mode grows to reach what was out of reach; two rounds are usual
        z = np.abs(values[:, None] - centres) / reaches
        out = z.min(1) > 1
        if not out.any():
            break
        for mode, value in zip(z[out].argmin(1), values[out], strict=True):
            reaches[mode] = max(reaches[mode], abs(value - centres[mode]) * (1 + 1e-9))
    used = np.unique(place_in_modes(values, centres, reaches)[0])
    order = used[centres[used].argsort()]
    return tuple(centres[order].tolist()), tuple(reaches[order].tolist())
