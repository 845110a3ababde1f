"""Opening pictures that are made from pictures: both sides read once, brought to matching sizes, and kept together."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.data import scans
from sparring.data.crops import Wholes, with_room
from sparring.data.dataset import DataSet
from sparring.data.decode import Look
from sparring.data.files import FolderFiles, ZipFiles
from sparring.data.geometry import Part, show
from sparring.data.layout import TESTS, Layout
from sparring.data.opened import Opened, check, finish, keep_pixels
from sparring.data.pairs import Pairing, check_alone, has_test_part
from sparring.data.palette import Palette
from sparring.data.parallel import Progress
from sparring.data.pixels import together
from sparring.data.sizing import Looks, geometries_of
from sparring.data.sources import Source, locate, of_files, short_name
from sparring.data.survey import Record, decode_all, look_at_all


@dataclass
class Sides:
    """Both sides, read through.

    Attributes:
        made, given: the pictures that are made, and those that they are made from.
        pairing: how they belong together.
    """

    made: Opened
    given: Opened
    pairing: Pairing


def read_sides(
    found: Source,
    settings: Data,
    progress: Progress | None = None,
    remember: bool = True,
    like: DataSpec | None = None,
) -> Sides:
    """Read every picture of both sides once.

    Args:
        found: files with their layout and pairing.
        settings: as for any set.
        remember: whether what was seen of a streamed set before need not be seen again.
        like: sizes to bring both sides to, instead of those that suit them.
    """
    files, layout, pairing = found.files, found.layout, found.pairing
    if files is None or layout is None or pairing is None:
        raise ValueError("two sides are files with a layout and a pairing")
    sources = (replace(found, pairing=None), Source(found.name, files, replace(pairing.given, labels=None, classes=())))
    names = (*pairing.parts, str(pairing.paired), *layout.names, "given", *pairing.given.names)
    keys = [scans.key(files.stamp(), (side, *names), settings) for side in ("made", "given")]
    known = [
        scans.recall(key) if remember and settings.store != "memory" and not settings.palette else None for key in keys
    ]
    if known[0] is not None and known[1] is not None:
        return Sides(
            Opened(sources[0], known[0], [], None, pairing.parts[0]),
            Opened(sources[1], known[1], [], None, pairing.parts[1]),
            pairing,
        )
    made = look_at_all(files, layout.chosen, progress)
    given = made if pairing.given is layout else look_at_all(files, pairing.given.chosen, progress)
    made, given = (_halved(looks, part) for looks, part in zip((made, given), pairing.parts, strict=True))
    made = with_room(made, settings.crop, settings)
    if pairing.paired:
        made, given = _agreeing(made, given, layout, pairing.given)
    else:
        given = with_room(given, settings.crop, settings)
    geometries = geometries_of(made, given, pairing, settings, like)
    in_memory = bool(settings.palette) or keep_pixels([*made, *given], geometries[0], settings)
    read = [
        decode_all(files, source.layout.chosen, looks, geometry, keep=in_memory, progress=progress)  # type: ignore[union-attr]
        for source, looks, geometry in zip(sources, (made, given), geometries, strict=True)
    ]
    if pairing.paired:
        read = _both_good(read[0], read[1])
    opened = []
    for source, (records, pixels), geometry, key in zip(sources, read, geometries, keys, strict=True):
        scan = scans.summary(records, geometry, settings)
        if not in_memory and remember:
            scans.store(key, scan)
        opened.append(Opened(source, scan, records, pixels if in_memory else None, geometry.part))
    return Sides(opened[0], opened[1], pairing)


def check_sides(sides: Sides, source: str, settings: Data) -> None:
    """Raise `SparringError` when too few pictures are good, or too many bad or without a partner."""
    check_alone(sides.pairing, sides.made.scan.count, settings.max_bad)
    check(sides.made, source, settings)
    check(sides.given, source, settings)


def finish_sides(sides: Sides, settings: Data, like: DataSpec | None = None) -> DataSet:
    """Bring both sides to their final form. Raises `SparringError` for label maps that do not fit the palette."""
    pairing = sides.pairing
    if like is not None:
        sides.made.scan = replace(sides.made.scan, channels=like.shape[0])
        sides.given.scan = replace(sides.given.scan, channels=3 if like.palette else like.given[0])
    elif not pairing.paired:  # two domains: what reads the one may have to read the other
        channels = together(sides.made.scan.channels, sides.given.scan.channels)
        for side in (sides.made, sides.given):
            side.scan = replace(side.scan, channels=channels)
    elif settings.palette:
        sides.given.scan = replace(sides.given.scan, channels=3)
    made, given = finish(sides.made, settings), finish(sides.given, settings)
    notes, pixels, palette = [pairing.why], given.pixels, None
    if settings.palette and isinstance(given.reader, Wholes):
        raise SparringError("data.crop does not cut label maps of a palette; leave one of the two out")
    if settings.palette and pixels is not None:
        palette = _palette(settings, like, pixels)
        bad = sides.given.scan.bad
        names = [name for name in pairing.given.names if name not in bad]
        pixels = palette.one_hot(pixels, names)
        count = len(palette.colours)
        notes.append(f"what is given are label maps of {count} colours, a channel each: {', '.join(palette.colours)}")
    if pairing.alone:
        notes.append(f"{len(pairing.alone):,} pictures without a partner are left out, such as {pairing.alone[0]}")
    notes += [*made.notes, *(f"of what is given, {note}" for note in given.notes if note not in made.notes)]
    shape = given.spec.shape if palette is None else (len(palette.colours), *given.spec.shape[1:])
    digest = hashlib.sha256(
        f"{made.fingerprint} {given.fingerprint} {pairing.paired} {palette.colours if palette else ()}".encode()
    )
    return replace(
        made,
        spec=replace(made.spec, given=shape, paired=pairing.paired, palette=palette.colours if palette else ()),
        fingerprint=digest.hexdigest(),
        notes=tuple(notes),
        given=pixels,
        given_reader=given.reader,
    )


def open_test_sides(
    source: str, settings: Data, spec: DataSpec, progress: Progress | None = None, whole: bool = False
) -> DataSet | None:
    """The test part of a set of two sides, brought to ``spec``; None where there is none.

    Args:
        whole: take the set itself, not its test part.

    Raises:
        SparringError: as for any set, and where ``source`` does not hold both sides.
    """
    path = Path(source).expanduser()
    if whole:
        found = locate(source, settings, progress)
        if found.pairing is None:
            raise SparringError(f"{source} has no pictures to begin with beside those to compare with; give both")
    else:
        files = ZipFiles(path) if path.suffix.lower() == ".zip" else FolderFiles(path)
        if not has_test_part(files.names):
            return None
        found = of_files(f"{short_name(path)}-test", files, settings, TESTS)
        if found.pairing is None:
            return None
    sides = read_sides(found, settings, progress, remember=False, like=spec)
    check_sides(sides, source, settings)
    return finish_sides(sides, settings, spec)


def _palette(settings: Data, like: DataSpec | None, pixels: Tensor) -> Palette:
    if like is not None:
        return Palette(like.palette)
    return Palette.find(pixels) if settings.palette == "auto" else Palette.read(settings.palette)


def _halved(looks: Looks, part: Part) -> Looks:
    """The sizes of one half of each picture."""
    if part == "whole":
        return looks
    halves: Looks = []
    for seen in looks:
        if isinstance(seen, Look):
            height, width = seen.size
            halves.append(replace(seen, size=(height, width // 2)) if width > 1 else "too narrow to hold two pictures")
        else:
            halves.append(seen)
    return halves


def _agreeing(made: Looks, given: Looks, layout: Layout, others: Layout) -> tuple[Looks, Looks]:
    """What is wrong with one of a pair is wrong with both, and so is a shape that the two do not share."""
    ours, theirs = list(made), list(given)
    for index, (one, other) in enumerate(zip(made, given, strict=True)):
        if isinstance(one, str) or isinstance(other, str):
            ours[index] = one if isinstance(one, str) else _of_partner(others.names[index], str(other))
            theirs[index] = other if isinstance(other, str) else _of_partner(layout.names[index], str(one))
            continue
        (height, width), (high, wide) = one.size, other.size
        if abs(width * high - height * wide) > max(height, width, high, wide):  # beyond a pixel's rounding
            ours[index] = f"it is {show(one.size)} and its partner {others.names[index]} {show(other.size)}"
            theirs[index] = _of_partner(layout.names[index], f"it is {show(one.size)}, this one {show(other.size)}")
    return ours, theirs


def _of_partner(name: str, why: str) -> str:
    return f"its partner {name}: {why}"


Read = tuple[list[Record], list[np.ndarray]]


def _both_good(made: Read, given: Read) -> list[Read]:
    """Both sides without the pairs of which one picture turned out to be damaged."""
    marked: list[Read] = []
    for (records, pixels), (others, _) in ((made, given), (given, made)):
        kept = iter(pixels)
        good: list[np.ndarray] = []
        for record, other in zip(records, others, strict=True):
            picture = None if record.problem or not pixels else next(kept)
            if picture is not None and not other.problem:
                good.append(picture)
        spoilt = [
            replace(record, problem=_of_partner(other.name, other.problem))
            if other.problem and not record.problem
            else record
            for record, other in zip(records, others, strict=True)
        ]
        marked.append((spoilt, good))
    return marked
