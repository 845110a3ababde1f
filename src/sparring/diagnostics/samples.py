"""What samples of fixed seeds show beside real data: variety, coverage, distance, copies, movement."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sparring.core.look import Look, View
from sparring.core.observer import Probe
from sparring.core.readings import PREFIX
from sparring.diagnostics import statistics
from sparring.diagnostics.norms import TELLING, Norms, spaced

LOOKS = 8  # over which travel is measured
FOLLOWED = 64  # samples whose ways are followed


class Samples(Probe):
    """Reads what ``sparring.core.readings.SAMPLES`` lists.

    Args:
        copies: whether a sample near a training sample is a copy; not where samples are made from what these are.
        seed: of what is drawn from the reals.
    """

    def __init__(self, copies: bool = True, seed: int = 0):
        self.copies, self.seed = copies, seed
        self.norms: Norms | None = None
        self.places = torch.zeros(0)
        self.readings: dict[str, float] = {}

    def look(self, look: Look) -> None:
        if not bool(look.averaged.features.isfinite().all() and look.live.features.isfinite().all()):
            return
        if self.norms is None:
            self.norms = Norms.of(look, self.seed)
        to_reals = statistics.distances(look.averaged.features, look.reals.features)
        self.readings = {
            **variety(look, self.norms),
            **coverage(look, to_reals, self.norms),
            **distance(look, self.norms),
            **self.movement(look.live),
        }
        if look.reals.labels is not None:
            seen = statistics.votes(to_reals, look.reals.labels)
            self.readings |= classes(look, seen, self.norms, self.readings["modes_missing"])
        if self.copies:
            self.readings |= copying(look, to_reals, self.norms)

    def report(self) -> dict[str, float]:
        readings, self.readings = self.readings, {}
        return {PREFIX + name: value for name, value in readings.items()}

    def state(self) -> dict[str, Tensor]:
        return {"places": self.places} if len(self.places) else {}

    def load(self, state: Mapping[str, Tensor]) -> None:
        self.places = state.get("places", torch.zeros(0))

    def movement(self, live: View) -> dict[str, float]:
        """How the same seeds' samples moved."""
        place = live.features[None, :FOLLOWED]
        before = self.places if self.places.shape[1:] == place.shape[1:] else place[:0]
        self.places = torch.cat([before, place])[-LOOKS:].clone()
        if len(self.places) < 2:
            return {}
        step = (self.places[-1] - self.places[-2]).norm(dim=1).mean()
        found = {"step_size": float(step) / max(statistics.mean_pairwise_distance(place[0]), 1e-12)}
        if len(self.places) == LOOKS:
            found["travel"] = statistics.travel(self.places)
        return found


def variety(look: Look, norms: Norms) -> dict[str, float]:
    """How different samples are; duplicates among them."""
    found = {"duplicates": statistics.duplicates(look.averaged.features, norms.radius)}
    if norms.apart > 0:
        for name, view in (("diversity", look.averaged), ("diversity_raw", look.live)):
            found[name] = statistics.mean_pairwise_distance(spaced(view.pixels, norms.paired)) / norms.apart
    return found


def coverage(look: Look, to_reals: Tensor, norms: Norms) -> dict[str, float]:
    """Which of the data samples reach."""
    clusters = norms.clusters
    covered = statistics.covered(to_reals, norms.radii)
    expected = statistics.expected_coverage(*to_reals.shape)
    counts = clusters.count(look.averaged.features)
    return {
        "coverage": float(covered.float().mean()) / expected,
        "coverage_worst": statistics.cluster_shares(covered, norms.of_reals, len(clusters)) / expected,
        "modes_kl": statistics.excess_divergence(counts, clusters.counts),
        "modes_missing": float(statistics.missing(counts, clusters.counts).sum()),
    }


def distance(look: Look, norms: Norms) -> dict[str, float]:
    """How far the distributions lie apart."""
    found = {
        "distance": norms.distance(look.averaged, look.reals),
        "distance_raw": norms.distance(look.live, look.reals),
    }
    if look.averaged.pixels.dim() == 4:
        found["colour_drift"] = statistics.colour_drift(look.averaged.pixels, look.reals.pixels)
    return found


def classes(look: Look, seen: Tensor, norms: Norms, missing: float) -> dict[str, float]:
    """Which classes samples look like, ``seen`` ``(n,)``: whether more are missing than clusters of the data, whether
    they are those asked for.
    """
    found, labels = {}, look.reals.labels
    assert labels is not None
    if norms.class_hit >= TELLING:
        count = int(labels.max()) + 1
        own, wanted = (torch.bincount(of, minlength=count) for of in (seen, labels))
        gone = float(statistics.missing(own, wanted).sum())
        found["modes_missing"] = max(gone, missing)
    if look.averaged.labels is not None and norms.class_hit > 0:
        found["class_hit"] = float((seen == look.averaged.labels).float().mean()) / norms.class_hit
    return found


def copying(look: Look, to_reals: Tensor, norms: Norms) -> dict[str, float]:
    """Whether samples are nearer to what was trained on than fresh data is."""
    share = statistics.copies(to_reals, norms.own)
    found = {"copies": max(0.0, (share - norms.usual_copies) / (1 - norms.usual_copies))}
    if look.held_out is not None:
        count = min(len(look.reals), len(look.held_out))
        unseen = statistics.distances(look.averaged.features, spaced(look.held_out.features, count)).amin(1).median()
        found["nearest_ratio"] = float(spaced(to_reals.T, count).T.amin(1).median() / unseen)
    return found
