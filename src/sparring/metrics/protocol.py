"""What a number was measured with. Two numbers are comparable when their protocols are the same, and not otherwise.

A protocol names everything that moves a score besides the samples themselves: feature network and its digest, how
pictures were prepared for it, counts, split, seeds, parameters, code. Its `Protocol.id` stands beside every number.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sparring.core.errors import SparringError

VERSION = 1
INCEPTION = "inception-2015-12-05"
INCEPTION_DIGEST = "6726825d"  # first 8 hex digits of the SHA-256 of the converted weights, as their file is called
POOL = "pool3-2048"
# The ways to bring a picture to 299x299 that published numbers were made with (Parmar et al. 2022, section 3).
NAMED_PREPROCESSING = frozenset({"tf1-bilinear-299", "pytorch-bilinear-299", "clean-bicubic-299"})
# What a metric is called in published tables, where only the Inception network and a named preprocessing are meant.
PUBLISHED = {"FD": "FID", "FD-infinity": "FID-infinity", "KD": "KID", "IS": "IS"}

CLIP, CLIP_LAYER = "clip-vitl14-336", "image-embedding-768"

Better = Literal["lower", "higher", "nearer"]  # nearer: to what real data scores
Plain = str | int | float | bool | None


@dataclass(frozen=True)
class Protocol:
    """How one number came about.

    Attributes:
        metric: short name, such as ``FD`` or ``precision``.
        data: what reals and fakes were compared on: the fingerprint of the reference set, as hex.
        reals, fakes: how many of each.
        split: where the reference comes from, in words: ``held-out``, ``test files``, ``training data``.
        extractor, digest, preprocessing, layer: the feature network, the full SHA-256 of its weights (or of what it was
            fitted on), how pictures were brought to its input, and where features were read; empty for a metric that
            looks at pixels.
        seeds: of the samples, such as ``0-9999``; ``files`` where pictures were given.
        seed: of the metric's own random choices.
        parameters: what else the metric takes, such as ``(("neighbours", 3),)``.
        code: version of this package.
    """

    metric: str
    data: str
    reals: int
    fakes: int
    split: str
    extractor: str = ""
    digest: str = ""
    preprocessing: str = ""
    layer: str = ""
    seeds: str = ""
    seed: int = 0
    parameters: tuple[tuple[str, Plain], ...] = ()
    code: str = ""

    @property
    def id(self) -> str:
        """Ten hex digits of the SHA-256 over everything above: equal ids, comparable numbers."""
        text = json.dumps([VERSION, dataclasses.asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def published(self) -> bool:
        """Whether this is what published tables mean by FID, KID or IS: that network, that layer, a named resize."""
        return (
            self.metric in PUBLISHED
            and self.extractor == INCEPTION
            and self.digest.startswith(INCEPTION_DIGEST)
            and self.layer == POOL
            and self.preprocessing in NAMED_PREPROCESSING
        )

    @property
    def label(self) -> str:
        """``FID`` for the known Inception weights alone, else ``FD``; ``CMMD`` for CLIP's embeddings, else ``MMD``."""
        if self.metric == "MMD" and (self.extractor, self.layer) == (CLIP, CLIP_LAYER):
            return "CMMD"
        return PUBLISHED[self.metric] if self.published else self.metric

    @property
    def space(self) -> str:
        """``classifier:1a2b3c4d|none|penultimate-64|N=1000/500``; empty for a metric of pixels."""
        if not self.extractor:
            return ""
        counts = f"N={self.fakes}/{self.reals}"
        return f"{self.extractor}:{self.digest[:8]}|{self.preprocessing}|{self.layer}|{counts}"

    @property
    def name(self) -> str:
        """The label alone for what is published; any other with its space: ``FD[pixels-pca:1a2b3c4d|...]``.

        Metrics of pixels have no brackets: nothing in their name could be mistaken for a published number.
        """
        return self.label if self.published or not self.space else f"{self.label}[{self.space}]"

    def plain(self) -> dict[str, Any]:
        """The JSON form, its id among it."""
        return {**dataclasses.asdict(self), "parameters": dict(self.parameters), "id": self.id}

    @staticmethod
    def of(value: Mapping[str, Any]) -> "Protocol":
        """Read back what `plain` wrote. Raises `SparringError` when something is missing, unknown or altered."""
        values = {key: item for key, item in value.items() if key != "id"}
        try:
            values["parameters"] = tuple(dict(values["parameters"]).items())
            protocol = Protocol(**values)
            same = protocol.id == value["id"]
        except (KeyError, TypeError, ValueError) as error:
            raise SparringError(f"this is no protocol of a score: {error}; measure again") from None
        if not same:
            raise SparringError(
                f"the protocol {value['id']} of {protocol.metric} does not add up: a value in it was changed; measure "
                "again"
            )
        return protocol


@dataclass(frozen=True)
class Score:
    """A number that can be trusted as far as it says.

    Attributes:
        value: what was measured.
        protocol: with what.
        better: which way is good; ``nearer`` to `real_vs_real`.
        interval: 95 % bounds from resampling, where the metric has them.
        real_vs_real: the same metric between reals and other reals: what a perfect generator would reach.
        null: which reals those were, in words.
        bias: how far above its true value finite samples alone lift it, in its own units; 0 for an unbiased metric.
        note: what to know before believing it.
    """

    value: float
    protocol: Protocol
    better: Better
    interval: tuple[float, float] | None = None
    real_vs_real: float | None = None
    null: str = ""
    bias: float = 0.0
    note: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise SparringError(
                f"{self.protocol.metric} came out as {self.value}: features or samples are not finite; look at the "
                "samples with `sparring sample`"
            )

    @property
    def name(self) -> str:
        return self.protocol.name

    def plain(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.name,
            "value": self.value,
            "interval": None if self.interval is None else list(self.interval),
            "real_vs_real": self.real_vs_real,
            "null": self.null,
            "better": self.better,
            "bias": self.bias,
            "note": self.note,
            "protocol": self.protocol.plain(),
        }

    @staticmethod
    def of(value: Mapping[str, Any]) -> "Score":
        """Read back what `plain` wrote. Raises `SparringError` when it is not that."""
        try:
            interval = value["interval"]
            return Score(
                value=float(value["value"]),
                protocol=Protocol.of(value["protocol"]),
                better=value["better"],
                interval=None if interval is None else (float(interval[0]), float(interval[1])),
                real_vs_real=value["real_vs_real"],
                null=str(value["null"]),
                bias=float(value["bias"]),
                note=str(value["note"]),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise SparringError(f"this is no score: {type(error).__name__} {error}; measure again") from None


WORDS = {
    "data": "the reference data",
    "reals": "the number of reals",
    "fakes": "the number of samples",
    "split": "the reference split",
    "extractor": "the feature network",
    "digest": "the weights of the feature network",
    "seed": "the seed of the metric",
    "seeds": "the seeds of the samples",
    "code": "the version of sparring",
}


def differences(a: Protocol, b: Protocol) -> list[str]:
    """What two protocols do not share, one phrase each: ``the number of samples (1000 / 5000)``. Empty: comparable."""
    found = []
    for item in dataclasses.fields(Protocol):
        mine, other = getattr(a, item.name), getattr(b, item.name)
        if mine == other:
            continue
        if item.name == "parameters":
            both = {**dict(mine), **dict(other)}
            keys = [key for key in both if dict(mine).get(key) != dict(other).get(key)]
            found += [f"{key} ({dict(mine).get(key)} / {dict(other).get(key)})" for key in keys]
        else:
            word = WORDS.get(item.name, f"the {item.name}")
            short = 8 if item.name in ("data", "digest") else None
            found.append(f"{word} ({str(mine)[:short] or 'none'} / {str(other)[:short] or 'none'})")
    return found
