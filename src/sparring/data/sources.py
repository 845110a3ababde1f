"""What a person means by a source: a built-in name, a folder, a zip, tar shards, an array file, a parquet."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sparring.core.config import Data
from sparring.core.errors import SparringError, did_you_mean
from sparring.data.arrays import Arrays, idx_labels_of, read_cifar10, read_idx, read_npy, read_npz
from sparring.data.builtin import FILES, read_builtin
from sparring.data.decode import SUFFIXES
from sparring.data.files import Files, FolderFiles, ParquetFiles, ZipFiles
from sparring.data.labels import numbered
from sparring.data.layout import Layout, arrange, pictures_among
from sparring.data.mixtures import MIXTURES
from sparring.data.pairs import Pairing, side_by_side, two_folders
from sparring.data.parallel import Progress
from sparring.data.tars import TarFiles, expand
from sparring.data.webdataset import arrange_shards

PICKLED = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".p")
PACKED = (".gz", ".zip", ".npz", ".npy", ".parquet", ".tar", ".csv", ".tsv", ".tab", ".txt")
READS = "a folder, .zip or .tar of pictures, .npz, .npy, idx, .parquet"


@dataclass(frozen=True)
class Source:
    """A source, found: files to decode with their layout, or arrays that are decoded; what pictures are made from."""

    name: str
    files: Files | None = None
    layout: Layout | None = None
    arrays: Arrays | None = None
    pairing: Pairing | None = None


def locate(source: str, settings: Data, progress: Progress | None = None) -> Source:
    """Find out what ``source`` is, and read what is decoded already.

    Raises `SparringError` when there is no such thing, or it is of a kind that is not read.
    """
    if source in FILES and not Path(source).exists():
        found = Source(source, arrays=read_builtin(source, progress))
    else:
        path = Path(source).expanduser()
        shards = [Path(shard).expanduser() for shard in expand(source)]
        if not path.exists() and shards == [path]:
            close = did_you_mean(source, [*FILES, *MIXTURES]) if not re.search(r"[/\\.]", source) else ""
            raise SparringError(f"there is no file or folder '{source}', nor a built-in set of that name{close}")
        if not path.exists():
            found = _pattern(source, shards, settings)
        else:
            found = _folder(path, settings) if path.is_dir() else _file(path, settings)
    if settings.pairs not in ("auto", "none") and found.pairing is None:
        raise SparringError(f"data.pairs {settings.pairs} is for folders and zips of pictures; {source} is none")
    if settings.palette and found.pairing is None:
        raise SparringError(f"data.palette is for label maps that pictures are made from, and {source} has no pairs")
    if settings.labels == "none" and found.arrays:
        return replace(found, arrays=replace(found.arrays, labels=None, classes=()))
    return found


def of_files(name: str, files: Files, settings: Data, wanted: Sequence[str] = ("train",)) -> Source:
    """Pictures among files, and what they are made from; of a set in parts the first that is ``wanted``.

    Raises `SparringError` where a person says that there are pairs, and there are none.
    """
    found = two_folders(files, pictures_among(files), settings.pairs, wanted)
    if found is not None:
        return Source(name, files, found[0], pairing=found[1])
    layout = arrange(files, settings.labels != "none", wanted)
    pairing = side_by_side(files, layout, settings.pairs)
    if pairing is None and settings.pairs not in ("auto", "none"):
        raise SparringError(
            f"{files.where} is not two folders of pictures, as --data.pairs {settings.pairs} asks for; it needs two "
            "folders and no picture outside of them"
        )
    return Source(name, files, layout, pairing=pairing)


def short_name(path: Path) -> str:
    """A name for run folders: ``cats64_2500`` of ``/data/cats64_2500.zip``."""
    name = path.resolve().name
    while Path(name).suffix.lower() in PACKED and Path(name).stem:
        name = Path(name).stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "data"


def _folder(path: Path, settings: Data) -> Source:
    name = short_name(path)
    files = FolderFiles(path)
    pairs = sorted(path / file for file in files.names if re.search(r"images[-.]idx3[-.]ubyte(\.gz)?$", file))
    if pairs:
        train = next((pair for pair in pairs if "train" in pair.name), pairs[0])
        arrays = read_idx(train, idx_labels_of(train))
        if len(pairs) > 1:
            arrays = replace(arrays, notes=(*arrays.notes, f"of {len(pairs)} sets in the folder, {train.name} is used"))
        return Source(name, arrays=arrays)
    suffixes = {Path(file).suffix.lower() for file in files.names}
    if ".tar" in suffixes and not suffixes & SUFFIXES:
        shards = [path / file for file in files.names if file.lower().endswith(".tar")]
        chosen = [shard for shard in shards if "train" in shard.name] or shards
        note = f"of {len(shards):,} tar files in the folder the {len(chosen):,} called train are read"
        return _tars(name, chosen, settings, (note,) if len(chosen) < len(shards) else ())
    if ".parquet" in suffixes and not suffixes & SUFFIXES:
        return _parquet(path, settings)
    try:
        return of_files(name, files, settings)
    except SparringError as error:
        inside = [file for file in files.names if Path(file).suffix.lower() in (".zip", ".npz", ".npy")]
        if inside and "no pictures" in str(error):
            raise SparringError(f"{path} has no pictures, but it holds {path / inside[0]}: give that file") from None
        raise


def _file(path: Path, settings: Data) -> Source:
    name, suffix = short_name(path), path.suffix.lower()
    if suffix in PICKLED:
        raise SparringError(
            f"{path} is a pickle, which can run any code when it is opened, and sparring never unpickles; "
            f"save the pictures as {READS}"
        )
    if suffix == ".zip":
        return of_files(name, ZipFiles(path), settings)
    if suffix == ".tar":
        return _tars(name, [path], settings)
    if suffix == ".parquet":
        return _parquet(path, settings)
    readers: dict[str, Callable[[Path, Data], Arrays]] = {".npz": read_npz, ".npy": read_npy}
    if suffix in readers:
        return Source(name, arrays=readers[suffix](path, settings))
    if "idx3" in path.name or "idx1" in path.name:
        return Source(name, arrays=read_idx(path, idx_labels_of(path)))
    if path.name.startswith("cifar-10-binary"):
        return Source("cifar10", arrays=read_cifar10(path))
    if suffix in SUFFIXES:
        raise SparringError(f"{path} is a single picture; give {READS}")
    packed = ".tar" in path.name or suffix in (".tgz", ".rar")
    hint = "; unpack it to a .tar or a folder, or make it a .zip" if packed else ""
    raise SparringError(f"{path} is of a kind that is not read{hint}; sparring reads {READS}")


def _pattern(source: str, shards: list[Path], settings: Data) -> Source:
    missing = [shard for shard in shards if not shard.is_file()]
    if missing:
        raise SparringError(
            f"{len(missing):,} of the {len(shards):,} shards {source} are not there, first {missing[0]}; put them back"
        )
    return _tars(short_name(Path(re.sub(r"\{.*?\}", "", source))), shards, settings)


def _tars(name: str, paths: Sequence[Path], settings: Data, notes: tuple[str, ...] = ()) -> Source:
    files = TarFiles(*paths)
    layout = arrange_shards(files, settings.labels != "none")
    if layout is None:
        return of_files(name, files, settings)
    return Source(name, files, replace(layout, notes=(*notes, *layout.notes)))


def _parquet(path: Path, settings: Data) -> Source:
    files = ParquetFiles(path)
    numbers, classes = numbered(files.labels) if files.labels and settings.labels != "none" else (None, ())
    if not files.names:
        raise SparringError(f"{path} is empty; it has no row")
    return Source(short_name(path), files, Layout(tuple(range(len(files.names))), files.names, numbers, classes))
