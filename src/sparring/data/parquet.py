"""Parquet files of pictures, as the Hugging Face hub keeps them."""

from pathlib import Path
from typing import Any

from sparring.core.errors import SparringError

IMAGES = ("image", "img", "images", "picture", "photo", "bytes", "data", "content", "jpg", "png")
LABELS = ("label", "labels", "class", "target", "fine_label", "coarse_label", "y", "category")


def read_parquet(path: Path) -> tuple[Any, list[str] | None]:
    """The cells of the image column (each ``.as_py()`` gives bytes or None) and the labels as text.

    Args:
        path: one file, or a folder of which the files that say train (or else all) are taken in order of their names.

    Raises `SparringError` when pyarrow is missing, the file is damaged or has no such column.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise SparringError("reading parquet needs pyarrow: pip install 'sparring[parquet]'") from None
    paths = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    paths = [part for part in paths if "train" in part.name] or paths
    try:
        schema = pq.read_schema(paths[0])
        column = _image_column(pa, schema, paths[0])
        labels = next((name for name in LABELS if name in schema.names and name != column), None)
        wanted = [column, labels] if labels else [column]
        table = pa.concat_tables([pq.read_table(part, columns=wanted) for part in paths])
    except (pa.ArrowException, OSError) as error:
        raise SparringError(f"cannot read {path} as parquet: {' '.join(str(error).split())[:200]}") from None
    cells = table[column]
    if pa.types.is_struct(cells.type):
        cells = pa.chunked_array([chunk.field("bytes") for chunk in cells.chunks], type=cells.type.field("bytes").type)
    if labels is None:
        return cells, None
    values = table[labels].to_pylist()
    if None in values:
        raise SparringError(
            f"{path}: row {values.index(None)} has no {labels}; give every row one, or --data.labels none"
        )
    names = _class_names(schema, labels)
    return cells, [names[value] if names and isinstance(value, int) else str(value) for value in values]


def _image_column(pa: Any, schema: Any, path: Path) -> str:
    """The column of bytes, or of the hub's ``{bytes, path}``; well-known names first."""

    def holds_bytes(kind: Any) -> bool:
        if pa.types.is_struct(kind):
            return any(field.name == "bytes" and holds_bytes(field.type) for field in kind)
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    fitting = [field.name for field in schema if holds_bytes(field.type)]
    if not fitting:
        columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise SparringError(f"{path} has no column of encoded pictures (bytes); its columns are {columns}")
    return next((name for name in IMAGES if name in fitting), fitting[0])


def _class_names(schema: Any, column: str) -> list[str]:
    """The hub writes class names into the schema's metadata."""
    import json

    try:
        info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return [str(name) for name in info["info"]["features"][column]["names"]]
    except (KeyError, TypeError, ValueError):
        return []
