"""Which of many files are the pictures to train on, and of which class each is."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from sparring.core.errors import SparringError
from sparring.data.decode import SUFFIXES, BadPictureError, is_picture
from sparring.data.files import Files
from sparring.data.labels import numbered

TESTS = ("test", "val", "valid", "validation")  # the first that there is
SPLITS = frozenset(("train", *TESTS))
CSV, JSON = "labels.csv", "dataset.json"


@dataclass(frozen=True)
class Layout:
    """The pictures among `Files`.

    Attributes:
        chosen: their numbers.
        names: what to call them.
        labels: int64 ``(n,)`` or None.
        classes: class names.
        notes: what was decided.
        others: names of files that are no pictures.
    """

    chosen: tuple[int, ...]
    names: tuple[str, ...]
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    others: tuple[str, ...] = field(default=(), repr=False)


def arrange(files: Files, use_labels: bool = True, wanted: Sequence[str] = ("train",)) -> Layout:
    """Find the pictures and their classes.

    Classes come from ``labels.csv``, else ``dataset.json``, else the first level of sub-folders. Folders that wrap
    everything are looked through, and of ``train/ test/ val/`` the first ``wanted`` is taken.

    Raises `SparringError` when there is no picture, or a list of labels does not fit.
    """
    pictures = pictures_among(files)
    chosen = set(pictures)
    others = tuple(name for index, name in enumerate(files.names) if index not in chosen)
    if not pictures:
        raise SparringError(_nothing(files, others))
    notes: list[str] = []
    lists = {name: index for index, name in enumerate(files.names) if PurePosixPath(name).name in (CSV, JSON)}
    root, pictures = _descend(files.names, pictures, lists if use_labels else {}, notes, wanted)
    if use_labels:
        for name, parse in ((CSV, _parse_csv), (JSON, _parse_json)):
            if root + name in lists:
                return _listed(files, pictures, root, place=lists[root + name], parse=parse, notes=notes, others=others)
    labels, classes = _from_folders(files.names, pictures, root, notes) if use_labels else (None, ())
    return Layout(
        tuple(pictures), tuple(files.names[index] for index in pictures), labels, classes, tuple(notes), others
    )


def pictures_among(files: Files) -> list[int]:
    """The numbers of the files that are pictures; arrays are, one in each ``.npy``, where there is nothing else."""
    found = [index for index in range(len(files.names)) if _is_picture(files, index)]
    arrays = [index for index, name in enumerate(files.names) if name.lower().endswith(".npy")]
    return arrays if not found and len(arrays) > 1 else found


def _is_picture(files: Files, index: int) -> bool:
    """By name, else by the first bytes: a picture without a suffix is one, and a damaged ``.png`` counts as one."""
    if PurePosixPath(files.names[index]).suffix.lower() in SUFFIXES:
        return True
    try:
        with files.open(index) as file:
            return is_picture(file.read(16))
    except (OSError, ValueError, NotImplementedError, BadPictureError):
        return False


def _nothing(files: Files, others: Sequence[str]) -> str:
    if not others:
        return f"{files.where} is empty; give a folder or .zip of pictures"
    return f"{files.where} has no pictures, only {len(others)} other file{'s' * (len(others) > 1)} such as {others[0]}"


def _descend(
    names: Sequence[str], pictures: list[int], lists: dict[str, int], notes: list[str], wanted: Sequence[str]
) -> tuple[str, list[int]]:
    """Look through folders that wrap everything, and take the part that is wanted."""
    root = ""
    while root + CSV not in lists and root + JSON not in lists:
        tops = {names[index][len(root) :].partition("/")[0] for index in pictures}
        if any("/" not in names[index][len(root) :] for index in pictures):
            break
        if len(tops) == 1:
            root += f"{tops.pop()}/"
        elif {top.lower() for top in tops} <= SPLITS and any(top.lower() == "train" for top in tops):
            by_name = {top.lower(): top for top in sorted(tops)}
            part = next((by_name[name] for name in wanted if name in by_name), by_name["train"])
            kept = [index for index in pictures if names[index].startswith(f"{root}{part}/")]
            rest = ", ".join(sorted(tops - {part}))
            notes.append(
                f"only the {len(kept):,} pictures of {root}{part}/ are used; "
                f"{rest} ({len(pictures) - len(kept):,} pictures) is left out"
            )
            root, pictures = f"{root}{part}/", kept
        else:
            break
    return root, pictures


def _from_folders(
    names: Sequence[str], pictures: Sequence[int], root: str, notes: list[str]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    tops = [names[index][len(root) :].partition("/") for index in pictures]
    folders = {top for top, slash, _ in tops if slash}
    if len(folders) < 2 or {folder.lower() for folder in folders} <= SPLITS:
        return None, ()
    outside = sum(not slash for _, slash, _ in tops)
    if outside:
        notes.append(f"folders are not taken as classes: {outside:,} of the pictures lie outside of them")
        return None, ()
    return numbered([top for top, _, _ in tops])


def _listed(
    files: Files,
    pictures: Sequence[int],
    root: str,
    *,
    place: int,
    parse: Callable[[str, str], dict[str, str] | None],
    notes: list[str],
    others: tuple[str, ...],
) -> Layout:
    """Classes from a list that lies beside the pictures."""
    where = f"{files.where}/{files.names[place]}"
    try:
        listed = parse(files.read(place).decode("utf-8-sig"), where)
    except (OSError, UnicodeDecodeError, BadPictureError) as error:
        raise SparringError(f"cannot read {where}: {error}") from None
    if listed is None:
        notes.append(f"{files.names[place]} names no labels")
        return Layout(tuple(pictures), tuple(files.names[index] for index in pictures), None, (), tuple(notes), others)
    index_of = {files.names[index][len(root) :]: index for index in pictures}
    missing = [name for name in listed if name not in index_of]
    if missing:
        raise SparringError(
            f"{where} names {len(missing):,} of {len(listed):,} pictures that are not there, such as '{missing[0]}'; "
            "put them back, or take them off the list"
        )
    kept = sorted(index_of[name] for name in listed)
    if len(kept) < len(pictures):
        notes.append(f"{len(pictures) - len(kept):,} pictures are left out: {files.names[place]} does not name them")
    labels, classes = numbered([listed[files.names[index][len(root) :]] for index in kept])
    return Layout(tuple(kept), tuple(files.names[i] for i in kept), labels, classes, tuple(notes), others)


def _parse_csv(text: str, where: str) -> dict[str, str]:
    """``file,label`` lines, with or without that header; other columns need the header."""
    rows = [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    titled = "file" in header and "label" in header
    file_column, label_column = (header.index("file"), header.index("label")) if titled else (0, 1)
    width = len(header) if titled else 2
    listed: dict[str, str] = {}
    for row in rows[1:] if titled else rows:
        if len(row) != width:
            raise SparringError(f"{where}: expected the columns file,label, got '{','.join(row)[:80]}'")
        listed[_tidy(row[file_column])] = row[label_column].strip()
    if not listed:
        raise SparringError(f"{where} is empty; expected lines file,label")
    return listed


def _parse_json(text: str, where: str) -> dict[str, str] | None:
    """StyleGAN's ``{"labels": [["path", 3], ...]}``, or ``"labels": null``."""
    try:
        pairs = json.loads(text)["labels"]
        if pairs is None:
            return None
        return {_tidy(str(name)): str(int(label)) for name, label in pairs} or None
    except (ValueError, TypeError, KeyError) as error:
        raise SparringError(
            f'{where}: expected {{"labels": [["path", 0], ...]}} with whole numbers ({type(error).__name__}: {error})'
        ) from None


def _tidy(name: str) -> str:
    return str(PurePosixPath(name.strip().replace("\\", "/")))
