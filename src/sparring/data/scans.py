"""What reading through a set found, in sum; remembered for streamed sets, so that a resumed run starts at once."""

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import reduce

from sparring.core.config import Data
from sparring.core.files import cache_folder, write_json
from sparring.data.geometry import Geometry, Size
from sparring.data.pixels import together
from sparring.data.survey import Record

VERSION = 2  # of decoding: raise it when the same file would give other pixels


@dataclass(frozen=True)
class Scan:
    """The sum of all records.

    Attributes:
        count: pictures there are, good and bad.
        bad: why each bad one cannot be used.
        size, reason: the size chosen and why.
        channels, channels_reason: the channels chosen and why.
        sizes: how many good pictures of each size, most common first.
        natural: how many good pictures need so many channels at least.
        policies: what was decided, and about how many pictures.
        digest: of the pixels of all good ones in order.
        whole, step, deep: see `Geometry`.
    """

    count: int
    bad: dict[str, str]
    size: Size
    reason: str
    channels: int
    channels_reason: str
    sizes: tuple[tuple[Size, int], ...]
    natural: dict[int, int]
    policies: dict[str, int]
    digest: str
    whole: Size | None = None
    step: int = 1
    deep: bool = False


def summary(records: Sequence[Record], geometry: Geometry, settings: Data) -> Scan:
    """Add up ``records``, and choose the channels."""
    good = [record for record in records if not record.problem]
    natural = Counter(record.channels for record in good)
    least = reduce(together, natural, 1)
    if settings.channels == "auto":
        colour, alpha = sum(natural[c] for c in (3, 4)), sum(natural[c] for c in (2, 4))
        why = [f"{number:,} have {what}" for number, what in ((colour, "colour"), (alpha, "transparency")) if number]
        channels, channels_reason = least, " and ".join(why) or "none has colour or transparency"
    else:
        channels, channels_reason = int(settings.channels), "asked for"
    return Scan(
        len(records),
        {record.name: record.problem for record in records if record.problem},
        geometry.size,
        geometry.reason,
        channels,
        channels_reason,
        tuple(Counter(record.size for record in good).most_common()),
        dict(natural),
        dict(Counter(policy for record in good for policy in record.policies)),
        hashlib.sha256(b"".join(record.digest for record in good)).hexdigest(),
        geometry.whole,
        geometry.step,
        geometry.deep,
    )


def key(stamp: str, names: Sequence[str], settings: Data) -> str:
    """What a remembered scan depends on."""
    sizes = (settings.size, settings.fit, settings.crop)
    parts = (VERSION, stamp, names, *sizes, settings.channels, settings.depth, settings.range, settings.store)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def recall(key: str) -> Scan | None:
    """The scan of that key, if there is one and it can be read."""
    path = cache_folder() / "scans" / f"{key}.json"
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        height, width = held["size"]
        held["size"] = (height, width)
        held["whole"] = None if held["whole"] is None else tuple(held["whole"])
        held["sizes"] = tuple(((h, w), number) for (h, w), number in held["sizes"])
        held["natural"] = {int(channels): number for channels, number in held["natural"].items()}
        return Scan(**held)
    except (OSError, ValueError, TypeError, KeyError):
        return None  # it is read again


def store(key: str, scan: Scan) -> None:
    """Remember a scan; where that is not possible, the set is read again next time."""
    path = cache_folder() / "scans" / f"{key}.json"
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asdict(scan))
