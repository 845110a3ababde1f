"""Which pictures are made from which: two folders, or two pictures side by side in one file.

Two folders are told by their names (`COUPLES`), with the part of the set before or around them: ``trainA/ trainB/``,
``train/input/ train/target/``, ``A/train/ B/train/``. Pictures of the same path in both belong together; where
``trainA/`` and ``trainB/`` have no path in common they are two sets of their own, as CycleGAN's are. Side by side are
pictures that are all twice as wide as high, with a seam down the middle.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

import numpy as np

from sparring.core.errors import SparringError
from sparring.data.decode import BadPictureError, Look, decode, look
from sparring.data.files import Files
from sparring.data.geometry import Geometry, Part
from sparring.data.labels import natural
from sparring.data.layout import SPLITS, TESTS, Layout

# What is given, what is made of it.
COUPLES = (
    *(("a", "b"), ("input", "target"), ("inputs", "targets"), ("source", "target"), ("labels", "images")),
    *(("masks", "images"), ("sketches", "photos"), ("lr", "hr"), ("noisy", "clean"), ("blur", "sharp")),
)
SIDES = frozenset(name for couple in COUPLES for name in couple)
LOOKED_AT = 32  # pictures that say whether there is a seam, and which half has less in it
SEAM = 2.5  # times the step between other neighbouring columns; 1.0 within a photograph, 6.4 on facades
_NAME = re.compile(r"(?:(train|test|val|valid|validation)[_-]?)?([a-z]*)")
_OWN = re.compile(r"[_-]?(?:a|b|inputs?|targets?|lr|hr|x\d|labels?|masks?)$")  # what a name says of its side


@dataclass(frozen=True)
class Pairing:
    """What the pictures of a `Layout` are made from.

    Attributes:
        given: the pictures that are given; in the order of those that are made, where ``paired``.
        paired: whether each belongs to one that is made.
        parts: what of each file is the picture that is made, and the one that is given.
        alone: pictures without a partner, which are left out.
        why: what was found, for people.
    """

    given: Layout
    paired: bool
    parts: tuple[Part, Part]
    alone: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class _Place:
    """What the folders of a path say: part of the set, side, and the rest of the path."""

    split: str
    side: str
    rest: str


def two_folders(
    files: Files, pictures: Sequence[int], pairs: str, wanted: Sequence[str] = ("train",)
) -> tuple[Layout, Pairing] | None:
    """What is made and what it is made from, where that lies in two folders; else None.

    Args:
        files, pictures: all files, and the numbers of those that are pictures.
        pairs: what a person says of them.
        wanted: parts of the set, best first; the first that there is, is taken.
    """
    if pairs in ("none", "left-to-right", "right-to-left") or not pictures:  # `arrange` has words for none
        return None
    names = [files.names[index] for index in pictures]
    root = _root(names)
    places = [_place(name[len(root) :], asked=pairs != "auto") for name in names]
    sides = {place.side for place in places}
    couple = next((couple for couple in COUPLES if sides == set(couple)), None)
    unmistakable = couple is not None and all(re.match(r"[a-z]+[_-]?[AB]/", name[len(root) :]) for name in names)
    if couple is None:
        tops = {name[len(root) :].partition("/")[0] for name in names if "/" in name[len(root) :]}
        if pairs == "auto" or len(tops) != 2 or any("/" not in name[len(root) :] for name in names):
            return None
        first, second = sorted(tops, key=natural)
        couple = (first, second)
        places = [_Place("", *name[len(root) :].split("/", 1)) for name in names]
    splits = {place.split for place in places}
    split = next((part for part in wanted if part in splits), "")
    if split not in splits:
        return None
    first, second = reversed(couple) if pairs.endswith("b-to-a") else couple
    given, made = (
        {
            place.rest: index
            for place, index in zip(places, pictures, strict=True)
            if place == _Place(split, side, place.rest)
        }
        for side in (first, second)
    )
    if not given or not made:
        return None
    left_out = len(names) - len(given) - len(made)
    also = f"; {left_out:,} pictures of other parts are left out" if left_out else ""
    if pairs.startswith("unpaired"):
        return _unpaired(files, given, made, f"{first} to {second}, unpaired as asked for{also}")
    given, made = _keys(given, made)
    both = sorted(given.keys() & made.keys())
    if not both:
        if pairs == "auto" and not unmistakable:
            return None
        return _unpaired(files, given, made, f"{first} to {second}, no name is in both: two sets without pairs{also}")
    alone = [files.names[side[key]] for side in (given, made) for key in sorted(side.keys() - set(both))]
    why = f"{first} to {second}, {len(both):,} pairs matched by name{also}"
    pairing = Pairing(_layout(files, [given[key] for key in both]), True, ("whole", "whole"), tuple(alone), why)
    return _layout(files, [made[key] for key in both]), pairing


def side_by_side(files: Files, layout: Layout, pairs: str) -> Pairing | None:
    """The halves of pictures that are two side by side: as a person says, else where they show it.

    Raises `SparringError` where a person says so and the pictures are not even two pixels wide.
    """
    if pairs == "auto":
        halves = _seen_halves(files, layout)
        if halves is None:
            return None
        left_is_given = halves[0] < halves[1]
        direction = "left-to-right" if left_is_given else "right-to-left"
        why = (
            f"two pictures side by side in each file: {direction}, because the {direction.partition('-')[0]} half has "
            f"less in it; --data.pairs {'right-to-left' if left_is_given else 'left-to-right'} turns it round, "
            "--data.pairs none takes them whole"
        )
    elif pairs in ("left-to-right", "right-to-left"):
        left_is_given = pairs == "left-to-right"
        why = f"two pictures side by side in each file, {pairs}, as asked for"
    else:
        return None
    parts: tuple[Part, Part] = ("right", "left") if left_is_given else ("left", "right")
    return Pairing(layout, True, parts, (), why)


def check_alone(pairing: Pairing, made: int, most: float) -> None:
    """Raise `SparringError` where more than the share ``most`` of the pictures has no partner."""
    share = len(pairing.alone) / (len(pairing.alone) + made)
    if share > most:
        names = ", ".join(pairing.alone[:3]) + (", ..." if len(pairing.alone) > 3 else "")
        raise SparringError(
            f"{len(pairing.alone):,} pictures have no partner of the same name in the other folder, {made:,} pairs "
            f"have: {names}; add or remove them, raise --data.max-bad, or say --data.pairs unpaired if they are two "
            "sets of their own"
        )


def has_test_part(names: Sequence[str]) -> bool:
    """Whether folders say of some files that they are for training, and of others that they are not."""
    root = _root(names)
    splits = {_place(name[len(root) :], asked=True).split for name in names}
    return "train" in splits and not splits.isdisjoint(TESTS)


def _root(names: Sequence[str]) -> str:
    """Folders that wrap everything and say nothing."""
    root = ""
    while True:
        tops = {name[len(root) :].partition("/") for name in names}
        top, slash = next(iter(tops))[:2]
        if len({(one, mark) for one, mark, _ in tops}) > 1 or not slash or top.lower() in SPLITS | SIDES:
            return root
        root += f"{top}/"


def _place(path: str, asked: bool) -> _Place:
    """Of ``trainA/cat/1.png``: train, a, cat/1.png. A lone ``a`` is a side in capitals, or where it was ``asked``."""
    split = side = ""
    parts = list(PurePosixPath(path).parts)
    while len(parts) > 1 and not side:
        part = parts[0].lower()
        match = _NAME.fullmatch(part)
        if part in SPLITS and not split:
            split = part
        elif part in SIDES and (asked or part not in ("a", "b") or parts[0].isupper()):
            side = part
        elif match and match[1] and match[2] in SIDES and not split:
            split, side = match[1], match[2]
        else:
            break
        parts.pop(0)
    if side and not split and len(parts) > 1 and parts[0].lower() in SPLITS:
        split = parts.pop(0).lower()
    return _Place(split, side, "/".join(parts))


def _keys(given: dict[str, int], made: dict[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Paths without suffixes; without what a name says of its own side, where nothing matches before."""

    def plain(side: dict[str, int], own: bool) -> dict[str, int]:
        stems = {str(PurePosixPath(path).with_suffix("")).lower(): index for path, index in side.items()}
        found = {_OWN.sub("", stem): index for stem, index in stems.items()} if own else stems
        return found if len(found) == len(side) else {path.lower(): index for path, index in side.items()}

    first, second = plain(given, False), plain(made, False)
    if first.keys() & second.keys():
        return first, second
    return plain(given, True), plain(made, True)


def _unpaired(files: Files, given: dict[str, int], made: dict[str, int], why: str) -> tuple[Layout, Pairing]:
    pairing = Pairing(_layout(files, sorted(given.values())), False, ("whole", "whole"), (), why)
    return _layout(files, sorted(made.values())), pairing


def _layout(files: Files, chosen: Sequence[int]) -> Layout:
    return Layout(tuple(chosen), tuple(files.names[index] for index in chosen))


def _seen_halves(files: Files, layout: Layout) -> tuple[float, float] | None:
    """How much is in the left and in the right half of pictures side by side; None where they are one picture each.

    Measured in compressed bytes of the upper 5 bits: outlines and label maps have less in them than photographs.
    """
    places = np.linspace(0, len(layout.chosen) - 1, min(LOOKED_AT, len(layout.chosen))).astype(int)
    seams, steps, detail = [], [], []
    for place in places:
        index = layout.chosen[place]
        try:
            seen: Look = look(partial(files.open, index))
            height, width = seen.size
            if width != 2 * height or height < 8:
                return None
            pixels = decode(files.read(index), Geometry(seen.size, "stretch", "")).pixels
        except (BadPictureError, OSError):
            continue
        across = np.abs(np.diff(pixels.astype(np.int16).mean(-1), axis=1)).mean(0)
        middle = width // 2 - 1
        seams.append(across[middle])
        steps.append(np.delete(across, middle).mean())
        detail.append([len(zlib.compress((side >> 3).tobytes())) for side in np.array_split(pixels, 2, axis=1)])
    if len(seams) < 2 or np.mean(seams) <= SEAM * np.mean(steps):
        return None
    left, right = np.mean(detail, axis=0)
    return float(left), float(right)
