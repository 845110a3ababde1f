"""What is measured of pictures: all that features tell, and what pixels tell without any network."""

from functools import partial

import torch

from sparring.metrics.ms_ssim import alikeness
from sparring.metrics.sets import features
from sparring.metrics.sets.features import NORMAL
from sparring.metrics.sliced_wasserstein import pyramid_distance
from sparring.metrics.suite import Measured, Metric, Sample, Sides

PARTS, PICTURES, PATCHES, DIRECTIONS, PAIRS = 4, 128, 64, 128, 200
T_OF_3 = 3.18  # Student's t at 95 % with PARTS - 1 degrees of freedom


def swd(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Over disjoint parts, whose spread gives the interval."""
    count = min(PICTURES, len(fakes) // PARTS, sides.least // PARTS)
    distance = partial(pyramid_distance, patches=PATCHES, directions=DIRECTIONS, seed=sides.seed)
    ours, reals = (
        side.images[torch.randperm(len(side), generator=torch.Generator().manual_seed(sides.seed))]
        for side in (fakes, sides.reals)
    )
    cuts = [slice(part * count, (part + 1) * count) for part in range(PARTS)]
    values = torch.tensor([distance(ours[cut], reals[cut]).mean for cut in cuts], dtype=torch.float64)
    mean, reach = float(values.mean()), T_OF_3 * float(values.std()) / PARTS**0.5
    return {"SWD x1000": Measured(mean, (max(0.0, mean - reach), mean + reach))}


def likeness(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Within classes where samples are made by class, else over all."""
    labels = fakes.labels if sides.reals.labels is not None else None
    found = alikeness(fakes.images, labels, PAIRS, sides.seed)
    reach = NORMAL * found.error
    return {"MS-SSIM of pairs": Measured(found.mean, (found.mean - reach, found.mean + reach))}


METRICS: tuple[Metric, ...] = (
    *features.METRICS,
    Metric(
        "swd",
        {"SWD x1000": "lower"},
        swd,
        frozenset({"16 pixels"}),
        looks="pixels",
        parameters={"pictures": PARTS * PICTURES, "patches": PATCHES, "directions": DIRECTIONS},
    ),
    Metric(
        "ms-ssim",
        {"MS-SSIM of pairs": "nearer"},
        likeness,
        frozenset({"16 pixels"}),
        looks="pixels",
        parameters={"pairs": PAIRS},
    ),
)
CHEAP = ("fd", "kid", "density")
