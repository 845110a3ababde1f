"""Our metrics against other people's code, or against the formula written down once more, on the same features.

    pip install prdc && pip install --no-deps torch-fidelity tqdm
    python benchmarks/parity.py [--extra FOLDER]

Rows whose package is missing are left out, and the result says so. ``--extra`` is a folder of packages installed by
``pip install --target FOLDER --no-deps prdc torch-fidelity tqdm``, for who would not mix them with their own. Of
torch-fidelity only arithmetic is used; it imports torchvision at the top, and where that is missing or broken an empty
stand-in takes its place. Bar: relative difference at most 1e-3 in every row. Ends with 1 if one is missed.
"""

import argparse
import importlib
import platform
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import date
from io import StringIO
from pathlib import Path
from unittest.mock import MagicMock

import formulas
import numpy as np
import torch

from sparring.metrics.bins import jensen_shannon
from sparring.metrics.frechet import Gaussian, frechet_distance
from sparring.metrics.inception_score import inception_score
from sparring.metrics.kid import kernel_distance
from sparring.metrics.manifold import manifold
from sparring.metrics.memorisation import authenticity, rank_z
from sparring.metrics.mind import mind
from sparring.metrics.mmd import cmmd
from sparring.metrics.vendi import vendi

RESULT = Path(__file__).parent.parent / "docs" / "results" / "parity.md"
BAR = 1e-3


@dataclass(frozen=True)
class Check:
    """One row: ``ours()`` and ``theirs()`` on the same numbers. ``theirs`` raises `Missing` where it cannot be had."""

    metric: str
    on: str
    against: str
    ours: Callable[[], float]
    theirs: Callable[[], float]


class Missing(Exception):
    """What is not installed, and how to have it."""


def package(name, install):
    """A module by name.

    Raises:
        Missing: it does not import.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:  # a broken torchvision raises RuntimeError, an absent one ImportError
        raise Missing(f"{name.partition('.')[0]} does not import ({type(error).__name__}): `{install}`") from error


def fidelity(part):
    """A module of torch-fidelity, with a stand-in for torchvision where there is none."""
    try:
        importlib.import_module("torchvision")
    except Exception:  # as above
        for name in ("", ".datasets", ".models", ".transforms", ".transforms.functional"):
            sys.modules["torchvision" + name] = MagicMock()
    return package(f"torch_fidelity.{part}", "pip install --no-deps torch-fidelity tqdm")


# ---------------------------------------------------------------------- features


def features(count, dim, seed, shift=0.0):
    """Rectified correlated normal numbers, float64: as unlike a Gaussian as those of a network."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((count, dim)) @ (np.eye(dim) + np.random.default_rng(7).standard_normal((dim, dim)) / 8)
    return np.maximum(mixed + shift, 0)


FAKES, REALS = features(1500, 128, 1, shift=0.1), features(1200, 128, 2)
FEW_FAKES, FEW_REALS = FAKES[:100], REALS[:90]
LOGITS = 3 * np.random.default_rng(3).standard_normal((2000, 1008))
T_FAKES, T_REALS, T_FEW_FAKES, T_FEW_REALS, T_LOGITS = map(
    torch.from_numpy, (FAKES, REALS, FEW_FAKES, FEW_REALS, LOGITS)
)


# ---------------------------------------------------------------------- theirs


def frechet_of_fidelity(x, y):
    module = fidelity("metric_fid")
    statistics = [module.fid_features_to_statistics(torch.from_numpy(rows)) for rows in (x, y)]
    return module.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


def of_prdc(name):
    module = package("prdc.prdc", "pip install prdc")
    with redirect_stdout(StringIO()):  # it prints the counts
        return float(module.compute_prdc(REALS, FAKES, nearest_k=5)[name])


def of_fidelity_prc(name):
    found = fidelity("metric_prc").prc_features_to_metric(
        T_FAKES, T_REALS, prc_neighborhood=3, prc_batch_size=10000, save_cpu_ram=False, verbose=False
    )
    return found[name]


def kernel_of_fidelity():
    module = fidelity("metric_kid")
    settings = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None}
    return float(module.kernel_mmd(FAKES[:1200], REALS, kid_kernel_poly_coef0=1, **settings))


def score_of_fidelity(name):
    found = fidelity("metric_isc").isc_features_to_metric(T_LOGITS, splits=10, shuffle=False)
    return found[f"inception_score_{name}"]


# ---------------------------------------------------------------------- the rows

MANY, FEW = "1500 against 1200, d = 128", "100 against 90, d = 128"
SHARES = np.random.default_rng(4).dirichlet(np.ones(50), 2)


def of_moments(x, y):
    return frechet_distance(Gaussian.of(x), Gaussian.of(y))


CHECKS = [
    Check(
        "FD",
        MANY,
        "SciPy's sqrtm",
        lambda: of_moments(T_FAKES, T_REALS),
        lambda: formulas.frechet_by_sqrtm(FAKES, REALS),
    ),
    Check(
        "FD", MANY, "torch-fidelity", lambda: of_moments(T_FAKES, T_REALS), lambda: frechet_of_fidelity(FAKES, REALS)
    ),
    Check(
        "FD, rank deficient",
        FEW,
        "torch-fidelity",
        lambda: of_moments(T_FEW_FAKES, T_FEW_REALS),
        lambda: frechet_of_fidelity(FEW_FAKES, FEW_REALS),
    ),
    *(
        Check(f"{name}, k = 5", MANY, "prdc", *pair)
        for name in ("precision", "recall", "density", "coverage")
        for pair in [(lambda n=name: getattr(manifold(T_FAKES, T_REALS), n), lambda n=name: of_prdc(n))]
    ),
    *(
        Check(f"{name}, k = 3, closed", MANY, "torch-fidelity", *pair)
        for name in ("precision", "recall")
        for pair in [
            (lambda n=name: getattr(manifold(T_FAKES, T_REALS, 3, closed=True), n), lambda n=name: of_fidelity_prc(n))
        ]
    ),
    Check(
        "KID, all rows",
        "1200 against 1200, d = 128",
        "torch-fidelity",
        lambda: kernel_distance(T_FAKES[:1200], T_REALS),
        kernel_of_fidelity,
    ),
    Check(
        "KID, all rows",
        FEW,
        "pair by pair",
        lambda: kernel_distance(T_FEW_FAKES, T_FEW_REALS),
        lambda: formulas.kernel_by_sums(FEW_FAKES, FEW_REALS),
    ),
    *(
        Check(f"IS, {name} of 10 splits in order", "2000 rows of 1008 logits", "torch-fidelity", *pair)
        for name, ours in (("mean", "value"), ("std", "deviation"))
        for pair in [
            (lambda o=ours: getattr(inception_score(T_LOGITS, seed=None), o), lambda n=name: score_of_fidelity(n))
        ]
    ),
    Check(
        "CMMD",
        FEW,
        "NumPy, by differences",
        lambda: cmmd(T_FEW_FAKES, T_FEW_REALS),
        lambda: formulas.cmmd_by_sums(FEW_FAKES, FEW_REALS),
    ),
    Check(
        "Vendi",
        "1500, d = 128",
        "NumPy, by all cosines",
        lambda: vendi(T_FAKES),
        lambda: formulas.vendi_by_cosines(FAKES),
    ),
    Check(
        "MIND",
        "1200 against 1200, d = 128",
        "NumPy, by direction",
        lambda: mind(T_FAKES[:1200], T_REALS),
        lambda: formulas.mind_by_sorting(FAKES[:1200], REALS),
    ),
    Check(
        "authenticity",
        FEW,
        "NumPy, by differences",
        lambda: authenticity(T_FEW_FAKES, T_FEW_REALS),
        lambda: formulas.authenticity_by_hand(FEW_FAKES, FEW_REALS),
    ),
    Check(
        "z-score of C_T",
        "1500 against 1200 numbers",
        "SciPy's mannwhitneyu",
        lambda: rank_z(T_FAKES[:, 0], T_REALS[:, 0]),
        lambda: formulas.rank_z_of_scipy(FAKES[:, 0], REALS[:, 0]),
    ),
    Check(
        "JS of bins",
        "50 bins",
        "SciPy's jensenshannon",
        lambda: jensen_shannon(*torch.from_numpy(SHARES)),
        lambda: formulas.jensen_shannon_of_scipy(*SHARES),
    ),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extra", help="a folder of packages to import from, after all others")
    options = parser.parse_args()
    if options.extra:
        sys.path.append(options.extra)
    rows, missing, worst = [], [], 0.0
    for check in CHECKS:
        try:
            theirs = check.theirs()
        except Missing as lack:
            missing.append(f"* {check.metric} against {check.against}: {lack}")
            continue
        ours = check.ours()
        difference = abs(ours - theirs) / max(abs(theirs), 1e-12)
        worst = max(worst, difference)
        rows.append(
            f"| {check.metric} | {check.on} | {check.against} | {ours:.10g} | {theirs:.10g} | {difference:.1e} |"
        )
        print(rows[-1])
    verdict = "All hold" if worst <= BAR else "NOT all hold"
    lines = [
        "# Our metrics against other people's code",
        "",
        f"**{len(rows)} of {len(CHECKS)} rows compared; the worst relative difference is {worst:.1e}** (bar: {BAR:g}). "
        f"{verdict}.",
        "",
        f"`python benchmarks/parity.py`, {date.today()}, {platform.machine()}, torch {torch.__version__}, NumPy",
        f"{np.__version__}. Both sides get the same features: rectified correlated normal numbers, seeded, float64.",
        "",
        "The other code is `prdc` (`pip install prdc`), `torch-fidelity` (`pip install --no-deps torch-fidelity tqdm`;",
        "only its arithmetic runs here: no network, no torchvision), SciPy, or the formula written down once more,",
        "slowly, in `benchmarks/formulas.py`.",
        "",
        "| metric | on | against | ours | theirs | relative difference |",
        "|---|---|---|---:|---:|---:|",
        *rows,
        "",
        *(["Left out:", "", *missing, ""] if missing else []),
    ]
    RESULT.write_text("\n".join(lines))
    print("\n".join(missing))
    sys.exit(worst > BAR)


if __name__ == "__main__":
    main()
