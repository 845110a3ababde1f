"""Which real data a generator is compared with, and whether training saw it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparring.core.config import Data, build
from sparring.core.errors import SparringError
from sparring.core.folder import RunFolder
from sparring.core.spec import DataSpec
from sparring.data import DataSet, hold_out, open_data, open_test, with_classes
from sparring.data.parallel import Progress
from sparring.data.series import open_series
from sparring.data.table import open_table
from sparring.data.table.noisy import told_by
from sparring.data.tars import expand
from sparring.data.two_sides import open_test_sides
from sparring.tools.plan import check_record


@dataclass(frozen=True)
class Reals:
    """Real data, on the side of training and on the other.

    Attributes:
        reference: what samples are compared with.
        split: where it comes from, for the protocol.
        train: what the generator learnt from, or None where nobody knows.
        held_out: whether training never saw ``reference``, as far as can be known.
        notes: what a person should know of this choice.
    """

    reference: DataSet
    split: str
    train: DataSet | None = None
    held_out: bool = False
    notes: tuple[str, ...] = ()


def reals_of_training(train: DataSet, source: str, settings: Data, progress: Progress | None = None) -> Reals:
    """For data that a run trains on: its held-out share, else the test part that came with it, else itself."""
    if train.held_out is not None:
        return Reals(train.held_out, f"held-out share {settings.held_out:g}", train, True)
    test = open_test(source, settings, train.spec, progress)
    if test is not None:
        return Reals(test, "test files", train, True, (f"compared with {len(test):,} pictures of {test.name}",))
    note = (
        "compared with the data that it was trained on: a generator that copies looks perfect here. Train with "
        "--data.held-out 0.1 to keep some apart, or name other real data with --data"
    )
    return Reals(train, "training data", train, False, (note,))


def reals_of_run(
    folder: RunFolder, spec: DataSpec, other: str | Path | None, progress: Progress | None = None
) -> Reals:
    """For a trained run, or a bare ``model/`` folder with ``other`` data.

    Raises:
        SparringError: when the run's data is not what it was, or ``other`` is of another kind.
    """
    train, source, settings = None, "", Data()
    if folder.exists:
        saved = folder.read_recipe()
        check_record(saved, folder)
        source, settings = saved["source"], build(Data, saved["data"], "data")
        if other is None or Path(expand(source)[0]).exists():
            train = training_data(folder, saved, progress)
    elif other is None:
        raise SparringError(f"{folder.root} does not say what it was trained on; name real data with --data")
    if other is None:
        assert train is not None
        return reals_of_training(train, source, settings, progress)
    reference = open_alike(str(other), spec, settings, progress)
    same = bool(source) and _path(source) == _path(str(other))
    known = train is not None and not same and train.fingerprint != reference.fingerprint
    notes: tuple[str, ...] = reference.notes if spec.columns or spec.series else ()
    if same:
        notes = (
            *notes,
            f"{other} is what the run was trained on: nothing here counts as held out; leave --data out to compare "
            "with the share that was held out, if there is one",
        )
    if set(reference.spec.classes) <= set(spec.classes):
        reference = with_classes(reference, spec)
    elif spec.classes:
        reference = with_classes(reference, replace(spec, classes=(), class_counts=()))
        notes = (*notes, f"{other} has other classes than the run: what needs them is left out")
    return Reals(reference, "given with --data", train, known, notes)


def _path(source: str) -> Path:
    return Path(source).expanduser().resolve()


def training_data(folder: RunFolder, saved: Mapping[str, Any], progress: Progress | None = None) -> DataSet:
    """What a run was trained on, as ``saved``, its recipe, says, with its held-out share apart.

    Raises `SparringError` when the data cannot be read, or is not what it was.
    """
    source, settings = saved["source"], build(Data, saved["data"], "data")
    train = open_data(source, settings, progress)
    if settings.held_out and train.held_out is None:
        train = hold_out(train, settings.held_out, progress)
    if train.fingerprint != saved["fingerprint"]:
        raise SparringError(
            f"the data in {source} has changed since {folder.root} was trained; give it back its files, or "
            "name real data with --data"
        )
    if train.spec.columns:  # those of a private run have other counts than the data
        train = told_by(train, build(DataSpec, saved["spec"], "spec").columns)
    return train


def open_alike(source: str, spec: DataSpec, settings: Data | None = None, progress: Progress | None = None) -> DataSet:
    """Real data brought to the shape of ``spec``, with what it is made from where ``spec`` has that."""
    base = settings or Data()
    if spec.columns:
        return open_table(source, replace(base, held_out=0.0), progress, spec.columns)
    if spec.series:
        return open_series(source, base, spec.series, spec.shape[1])
    if spec.given:
        found = open_test_sides(source, base, spec, progress, whole=True)
        assert found is not None
        return found
    channels, height, width = spec.shape
    size = base.size if base.crop else f"{height}x{width}"
    alike = replace(base, size=size, pairs="none", channels=str(channels), held_out=0.0)  # type: ignore[arg-type]
    return open_data(source, alike, progress)


def two_sources(real: str, fake: str, progress: Progress | None = None) -> tuple[Reals, DataSet, tuple[str, ...]]:
    """Two folders or files of pictures; the fakes are brought to the reals' size and channels, and a note says so."""
    reference = open_data(real, Data(pairs="none"), progress)
    own = open_data(fake, Data(pairs="none"), progress)
    if own.spec.modality != reference.spec.modality:
        raise SparringError(f"{real} is {reference.spec.modality} data and {fake} is {own.spec.modality} data")
    if reference.spec.modality != "image":
        raise SparringError(
            f"{real} is {reference.spec.modality} data; two sources are compared where both are pictures"
        )
    notes: tuple[str, ...] = ()
    if own.spec.shape != reference.spec.shape:
        notes = (
            f"the fakes of {' x '.join(map(str, own.spec.shape))} were brought to the reals' "
            f"{' x '.join(map(str, reference.spec.shape))}: that alone moves every number",
        )
        own = open_alike(fake, reference.spec, progress=progress)
    return Reals(reference, "given reals"), own, notes
