"""What is measured of pictures: all that features tell, what pixels tell, and what takes networks of its own."""

import math
from dataclasses import replace
from functools import partial

import torch

from sparring.core.files import sha256
from sparring.metrics.classification_accuracy import classification_accuracy
from sparring.metrics.lpips import PerceptualDistance, find_lpips
from sparring.metrics.ms_ssim import alikeness
from sparring.metrics.path_length import PIXELS, path_length
from sparring.metrics.sets import features, pairs
from sparring.metrics.sets.features import NORMAL
from sparring.metrics.sliced_wasserstein import pyramid_distance
from sparring.metrics.suite import Look, Measured, Metric, Sample, Sides

PARTS, PICTURES, PATCHES, DIRECTIONS, PAIRS = 4, 128, 64, 128, 200
T_OF_3 = 3.18  # Student's t at 95 % with PARTS - 1 degrees of freedom
EPSILON = 1e-4  # of a path, the paper's


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


def teaching(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Beside it the same classifier taught by as many reals."""
    train, held_out = sides.train, sides.reals
    assert train is not None
    assert fakes.labels is not None
    assert train.labels is not None
    assert held_out.labels is not None
    found = classification_accuracy(
        *(fakes.images, fakes.labels, train.images, train.labels, held_out.images, held_out.labels),
        classes=1 + max(int(labels.max()) for labels in (fakes.labels, train.labels, held_out.labels)),
        seed=sides.seed,
    )
    hits = found.from_fakes
    reach = NORMAL * (hits * (1 - hits) / found.tested_on) ** 0.5
    by_class = {label: share for label, share in enumerate(found.by_class) if not math.isnan(share)}
    worst = min(by_class, key=lambda label: by_class[label])
    return {
        "CAS": Measured(
            hits,
            (max(0.0, hits - reach), min(1.0, hits + reach)),
            note=f"{by_class[worst]:.3f} for class number {worst}, the worst",
            real_vs_real=found.from_reals,
            null=f"a classifier taught by {found.trained_on:,} reals, tested on {found.tested_on:,} held out",
        )
    }


def smoothness(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """Two neighbouring seeds, from 0 on, are the ends of a path; without LPIPS it goes under another name."""
    game = fakes.game
    assert game is not None
    device = next(game.parameters()).device
    distance = find_lpips(game.spec.shape, device)
    seeds = range(len(fakes) // 2 * 2)
    labels = None if fakes.labels is None else fakes.labels[seeds.start : seeds.stop : 2]
    found = path_length(game.sample, distance or PIXELS, seeds, labels, device, EPSILON)
    reach = NORMAL * found.error
    measured = Measured(found.value, (max(0.0, found.value - reach), found.value + reach))
    if distance is None:
        note = "the squared distance of pixels, as no weights of LPIPS were found for such pictures"
        return {"PPL of pixels": replace(measured, note=note)}
    return {"PPL": replace(measured, look=look_of(distance))}


def look_of(distance: PerceptualDistance) -> Look:
    """What a protocol says of LPIPS."""
    return Look(distance.name, sha256(" ".join(distance.digests).encode()), "none", "taps")


METRICS: tuple[Metric, ...] = (
    *features.METRICS,
    *pairs.METRICS,
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
    Metric(
        "cas",
        {"CAS": "higher"},
        teaching,
        frozenset({"asked", "train", "held-out"}),
        looks="pixels",
        parameters={"classifier": "small"},
        null="own",
        slow=True,
    ),
    Metric(
        "ppl",
        {"PPL": "lower", "PPL of pixels": "lower"},
        smoothness,
        frozenset({"game"}),
        looks="pixels",
        parameters={"space": "z", "path": "slerp", "where": "full", "epsilon": EPSILON, "kept": "1-99 %"},
        null="own",
        slow=True,
    ),
)
CHEAP = ("fd", "kid", "density")
BEST_BY = "FD"
