"""Classes of pictures in tar shards as WebDataset keeps them: ``KEY.jpg`` beside ``KEY.cls`` or ``KEY.json``.

A key is a name up to the first dot of its last part; what follows is the kind of the member.
"""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NoReturn

from sparring.core.errors import SparringError
from sparring.data.decode import SUFFIXES, BadPictureError
from sparring.data.labels import numbered
from sparring.data.layout import Layout
from sparring.data.parquet import LABELS
from sparring.data.tars import TarFiles


def split(name: str) -> tuple[str, str]:
    """``("a/0001", "seg.png")`` of ``a/0001.seg.png``."""
    path = PurePosixPath(name)
    key, _, kind = path.name.partition(".")
    return str(path.with_name(key)) if key else name, kind.lower()


def arrange_shards(files: TarFiles, use_labels: bool = True) -> Layout | None:
    """The pictures of some shards and their classes; None for a lone tar without ``.cls`` and ``.json``: as a zip.

    Raises `SparringError` when there is no picture, or a class cannot be read.
    """
    parts = [split(name) for name in files.names]
    pictures = [index for index, (_, kind) in enumerate(parts) if f".{kind}" in SUFFIXES]
    further = [
        index
        for index, (_, kind) in enumerate(parts)
        if "." in kind and PurePosixPath(files.names[index]).suffix.lower() in SUFFIXES
    ]
    keys = {parts[index][0] for index in pictures or further}
    of_kind = {
        wanted: {key: index for index, (key, kind) in enumerate(parts) if kind == wanted and key in keys}
        for wanted in ("cls", "json")
    }
    if len(files.paths) == 1 and not any(of_kind.values()):
        return None
    notes = [f"{len(files.paths):,} tar shards"] if len(files.paths) > 1 else []
    if pictures and further:  # KEY.seg.png beside KEY.jpg
        first = files.names[further[0]]
        notes.append(f"{len(further):,} pictures of a second kind are left out, first {first}")
    chosen = pictures or further
    if not chosen:
        such = f", only {len(parts):,} other members such as {files.names[0]}" if parts else ""
        raise SparringError(f"{files.where} has no pictures{such}; a shard has members KEY.jpg or KEY.png")
    given = (_of_cls(files, of_kind["cls"]) or _of_json(files, of_kind["json"])) if use_labels else {}
    labelled = [index for index in chosen if parts[index][0] in given]
    used = set(chosen).union(*(kind.values() for kind in of_kind.values()))
    others = tuple(name for index, name in enumerate(files.names) if index not in used)
    if not labelled:
        return Layout(tuple(chosen), tuple(files.names[i] for i in chosen), None, (), tuple(notes), others)
    if len(labelled) < len(chosen):
        notes.append(f"{len(chosen) - len(labelled):,} pictures are left out: no .cls or .json says their class")
    labels, classes = numbered([given[parts[index][0]] for index in labelled])
    return Layout(tuple(labelled), tuple(files.names[i] for i in labelled), labels, classes, tuple(notes), others)


def _of_cls(files: TarFiles, members: Mapping[str, int]) -> dict[str, str]:
    return {key: _text(files, index).strip() or _refuse(files, index, "is empty") for key, index in members.items()}


def _of_json(files: TarFiles, members: Mapping[str, int]) -> dict[str, str]:
    """By the field that the first one has; most such members hold a caption and no class, and are not read further."""
    found: dict[str, str] = {}
    field = None
    for key, index in members.items():
        try:
            held = json.loads(_text(files, index))
        except ValueError as error:
            _refuse(files, index, f"is not JSON ({error})")
        if not isinstance(held, dict):
            _refuse(files, index, "is not an object")
        if field is None:
            field = next((name for name in ("cls", *LABELS) if name in held), None)
            if field is None:
                return {}
        value = held.get(field)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | str) or str(value).strip() == "":
            _refuse(files, index, f"has the {field} {str(value)[:80]!r}")
        found[key] = str(value).strip()
    return found


def _text(files: TarFiles, index: int) -> str:
    try:
        return files.read(index).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, BadPictureError) as error:
        _refuse(files, index, f"cannot be read ({error})")


def _refuse(files: TarFiles, index: int, why: str) -> NoReturn:
    raise SparringError(
        f"{files.where}/{files.names[index]} {why}; it says the class of a picture, as a whole number or a name"
    )
