"""The data doctor: what is there, what is wrong with it, and what would be made of it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.data.dataset import DataSet
from sparring.data.geometry import show
from sparring.data.labels import labels_warning
from sparring.data.mixtures import is_mixture, open_mixture
from sparring.data.opened import Opened, check, finish
from sparring.data.opening import DEFAULT, read_through
from sparring.data.parallel import Progress
from sparring.data.pixels import describe
from sparring.data.series import is_series, open_series
from sparring.data.sources import locate
from sparring.data.survey import Record
from sparring.data.table import is_table, open_table
from sparring.data.two_sides import Sides, check_sides, finish_sides, read_sides

MOST_NAMED = 8


@dataclass(frozen=True)
class Report:
    """What an examination found.

    Attributes:
        source, name: as asked for, and short.
        count, usable: pictures, and those that can be read.
        others: files that are no pictures.
        sizes: ``((height, width), pictures)``, most common first.
        modes: Pillow's mode (or an array's kind) and pictures, most common first.
        channels: fewest channels that hold a picture (1 grey, 2 with alpha, 3 RGB, 4 RGBA), and pictures.
        classes: class name and pictures.
        corrupt: file and reason.
        duplicates: groups of pictures that are the same, pixel by pixel, as they would be trained on.
        constant: pictures that are nearly one plain colour.
        shape: ``(channels, height, width)`` that would be trained on; empty when nothing can be.
        why: why that size, and why those channels.
        pairs: how pictures belong together, where some are made from others.
        in_memory: whether it would be kept in memory.
        fingerprint: of the data set, empty when it cannot be trained on.
        notes: what was decided about the data.
        warnings: what a person should look at.
        refused: why training is refused; empty when it is not.
        would: what would be trained, filled in by the tool that knows families.
        columns: of a table or of series, the name of each column and what it is.
        data: the data set itself, where it can be trained on.
    """

    source: str
    name: str
    count: int
    usable: int
    others: int
    sizes: tuple[tuple[tuple[int, int], int], ...]
    modes: tuple[tuple[str, int], ...]
    channels: tuple[tuple[int, int], ...]
    classes: tuple[tuple[str, int], ...]
    corrupt: tuple[tuple[str, str], ...]
    duplicates: tuple[tuple[str, ...], ...]
    constant: tuple[str, ...]
    shape: tuple[int, ...]
    why: tuple[str, ...]
    in_memory: bool
    fingerprint: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    refused: str = ""
    pairs: tuple[str, ...] = ()
    would: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    data: DataSet | None = None


def examine(source: str, settings: Data = DEFAULT, progress: Progress | None = None) -> Report:
    """Read every sample of ``source`` and report.

    Unreadable pictures are reported, however many; `SparringError` is raised only where there is nothing to report on.
    """
    if is_mixture(source):
        return _report_points(source, open_mixture(source, settings))
    if is_series(source, settings):
        return _report_series(source, open_series(source, settings))
    if is_table(source):
        return _report_table(source, open_table(source, settings, progress))
    found = locate(source, settings, progress)
    if found.pairing is not None:
        return _report_sides(source, read_sides(found, settings, progress, remember=False), settings)
    opened = read_through(found, settings, progress, remember=False)
    refused = ""
    try:
        check(opened, source, settings)
    except SparringError as error:
        refused = str(error)
    good = any(not record.problem for record in opened.records)
    return _report(source, opened, finish(opened, settings) if good else None, refused)


def _report_sides(source: str, sides: Sides, settings: Data) -> Report:
    data, refused = None, ""
    try:
        check_sides(sides, source, settings)
        data = finish_sides(sides, settings)
    except SparringError as error:
        refused = str(error)
    report = _report(source, sides.made, data, refused)
    given, pairing = sides.given.scan, sides.pairing
    lines = [pairing.why]
    if pairing.alone:
        lines.append(f"without a partner ({len(pairing.alone):,}): {', '.join(pairing.alone[:MOST_NAMED])}")
    usable = given.count - len(given.bad)
    sizes = ", ".join(f"{show(size)} ({count:,})" for size, count in given.sizes[:MOST_NAMED])
    lines.append(f"what is given: {usable:,} of {given.count:,} can be read, {sizes or 'no size'} (height x width)")
    if data is not None:
        lines.append(
            f"{' x '.join(map(str, data.spec.given))} is given, {' x '.join(map(str, data.spec.shape))} is made"
        )
    theirs = () if pairing.paired else tuple(given.bad.items())
    notes = tuple(note for note in report.notes if note != pairing.why)
    return replace(report, pairs=tuple(lines), notes=notes, corrupt=(*report.corrupt, *theirs))


def _report_table(source: str, data: DataSet) -> Report:
    columns = tuple((column.name, column.label) for column in data.spec.columns)
    count = len(data) + (len(data.held_out) if data.held_out else 0)
    return replace(_report_points(source, data), count=count, usable=count, columns=columns)


def _report_series(source: str, data: DataSet) -> Report:
    series = data.spec.series
    assert series is not None
    columns = tuple((channel.name, channel.label) for channel in series.channels)
    columns += tuple((column.name, column.label) for column in series.attributes)
    count = len(data) + (len(data.held_out) if data.held_out else 0)
    return replace(_report_points(source, data), count=count, usable=count, columns=columns)


def _report_points(source: str, data: DataSet) -> Report:
    return Report(
        source=source,
        name=data.name,
        count=len(data),
        usable=len(data),
        others=0,
        sizes=(),
        modes=(),
        channels=(),
        classes=(),
        corrupt=(),
        duplicates=(),
        constant=(),
        shape=data.spec.shape,
        why=(),
        in_memory=data.in_memory,
        fingerprint=data.fingerprint,
        notes=data.notes,
        warnings=(),
        data=data,
    )


def _report(source: str, opened: Opened, data: DataSet | None, refused: str) -> Report:
    scan, layout = opened.scan, opened.source.layout
    good = [record for record in opened.records if not record.problem]
    duplicates = _duplicates(good)
    constant = tuple(record.name for record in good if record.constant)
    warnings = list(_warnings(duplicates, constant, len(good)))
    if data and (warning := labels_warning(data.spec)):
        warnings.insert(0, warning)
    why: tuple[str, ...] = ()
    if data:
        why = (
            f"size {scan.size[0]}x{scan.size[1]}: {scan.reason}",
            f"channels {scan.channels} ({describe(scan.channels)}): {scan.channels_reason}",
        )
    return Report(
        source=source,
        name=opened.source.name,
        count=scan.count,
        usable=len(good),
        others=len(layout.others) if layout else 0,
        sizes=scan.sizes,
        modes=tuple(Counter(record.mode for record in good).most_common()),
        channels=tuple(sorted(scan.natural.items())),
        classes=tuple(zip(data.spec.classes, data.spec.class_counts, strict=True)) if data else (),
        corrupt=tuple(scan.bad.items()),
        duplicates=duplicates,
        constant=constant,
        shape=data.spec.shape if data else (),
        why=why,
        in_memory=bool(data and data.in_memory),
        fingerprint=data.fingerprint if data and not refused else "",
        notes=tuple(note for note in data.notes if note not in warnings) if data else (),
        warnings=tuple(warnings),
        refused=refused,
        data=None if refused else data,
    )


def _duplicates(records: Sequence[Record]) -> tuple[tuple[str, ...], ...]:
    groups: dict[bytes, list[str]] = defaultdict(list)
    for record in records:
        groups[record.digest].append(record.name)
    found = [tuple(names) for names in groups.values() if len(names) > 1]
    return tuple(sorted(found, key=len, reverse=True))


def _warnings(duplicates: Sequence[Sequence[str]], constant: Sequence[str], good: int) -> list[str]:
    warnings = []
    extra = sum(len(group) - 1 for group in duplicates)
    if extra:
        warnings.append(
            f"{extra:,} of {good:,} pictures are exact copies of others, which are soon known by heart; remove them"
        )
    if constant:
        warnings.append(
            f"{len(constant):,} of {good:,} pictures are nearly one plain colour, such as {constant[0]}; "
            "see whether they belong here"
        )
    if 2 <= good < 500:
        warnings.append(
            f"{good:,} pictures are few: a discriminator soon knows them by heart; expect copies without augmentation"
        )
    return warnings
