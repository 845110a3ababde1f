"""What samples are compared with at every look: the same measures of the real data, taken once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.core.look import Look, View
from sparring.diagnostics import statistics
from sparring.diagnostics.space import Clusters

DIRECTIONS = 12  # of the Fréchet distance: of few samples, more would measure their number
PAIRED = 256  # samples whose distances to each other are measured
APART = 256  # reals that pass for samples
TELLING = 0.8  # share of reals whose class their neighbours must know for classes to count as clusters


@dataclass(frozen=True)
class Norms:
    """Of the reals of a run's looks.

    Attributes:
        clusters, of_reals: cells of the data, and the one that each real lies in.
        radii, own: distance of each real to its fifth nearest other, and to its nearest.
        radius: distance below which two samples count as one: one real in a hundred has another so near.
        apart, paired: mean distance between two reals, of so many.
        usual_copies: share of reals that pass for copies of others.
        class_hit: share of reals whose class their neighbours know; 0 without classes.
        bias: Fréchet distance that so many reals have to all of them, by their number.
    """

    clusters: Clusters
    of_reals: Tensor
    radii: Tensor
    own: Tensor
    radius: float
    apart: float
    paired: int
    usual_copies: float
    class_hit: float
    bias: dict[int, float]

    @classmethod
    def of(cls, look: Look, seed: int) -> "Norms":
        """Of any look: its reals are the same, and as many samples as there will be."""
        features, labels = look.reals.features, look.reals.labels
        draw = torch.Generator().manual_seed(seed)
        clusters = Clusters.of(features, len(look.averaged), seed)
        between = statistics.others(features)
        nearest = between.topk(min(statistics.NEIGHBOURS, len(features) - 1), dim=1, largest=False).values
        order = torch.randperm(len(features), generator=draw)
        apart = min(APART, len(features) // 4)  # they pass for samples, the rest for what was trained on
        rest = between[order[apart:]][:, order[apart:]].amin(1)
        usual = statistics.copies(between[order[:apart]][:, order[apart:]], rest) if apart else 0.0
        hit = 0.0
        if labels is not None:
            hit = float((statistics.votes(between, labels) == labels).float().mean())
        pixels = spaced(look.reals.pixels, PAIRED)
        return cls(
            clusters=clusters,
            of_reals=clusters.assign(features),
            radii=nearest[:, -1],
            own=nearest[:, 0],
            radius=float(nearest[:, 0].quantile(0.01)),
            apart=statistics.mean_pairwise_distance(pixels),
            paired=PAIRED,
            usual_copies=min(usual, 0.9),
            class_hit=hit,
            bias={len(view): bias(features, len(view), draw) for view in (look.averaged, look.live)},
        )

    def distance(self, samples: View, reals: View) -> float:
        """Fréchet distance in a few directions, less what as many reals have."""
        found = statistics.frechet_distance(samples.features[:, :DIRECTIONS], reals.features[:, :DIRECTIONS])
        return max(0.0, found - self.bias.get(len(samples), 0.0))


def bias(features: Tensor, count: int, draw: torch.Generator, times: int = 8) -> float:
    """Mean Fréchet distance of ``count`` drawn reals to all; drawn with replacement, as a generator draws."""
    features = features[:, :DIRECTIONS]
    some = [features[torch.randint(len(features), (count,), generator=draw)] for _ in range(times)]
    return sum(statistics.frechet_distance(rows, features) for rows in some) / times


def spaced(rows: Tensor, count: int) -> Tensor:
    """At most ``count`` evenly spaced rows."""
    return rows[torch.linspace(0, len(rows) - 1, min(count, len(rows))).long()]
