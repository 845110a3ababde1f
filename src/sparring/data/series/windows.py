"""From recordings to samples: what is held out, gaps filled, windows cut. In this order: nothing crosses a split."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sparring.core.errors import SparringError
from sparring.data.series.recordings import Recording

BLOCKS = 10  # periods of one long series, each of which gives the held-out side its end
MOST_MISSING = 0.5  # of a channel, above which a series is refused
MOST_VALUES = 1 << 28  # numbers of all windows, at most


@dataclass(frozen=True)
class Sides:
    """Recordings to train on, and those held out; ``how`` says in words how they were told apart."""

    ours: list[Recording]
    theirs: list[Recording]
    how: str = ""


def divide(recordings: Sequence[Recording], share: float, window: int) -> Sides:
    """Hold out about ``share``: blocks of time of one recording, whole ones of several.

    Raises:
        SparringError: where one recording is too short for it.
    """
    if not share:
        return Sides(list(recordings), [])
    if len(recordings) > 1:
        chances = [_chance(recording) for recording in recordings]
        limit = sorted(chances)[max(round(share * len(chances)), 1) - 1]  # copies stay on one side
        ours = [own for own, chance in zip(recordings, chances, strict=True) if chance > limit]
        theirs = [own for own, chance in zip(recordings, chances, strict=True) if chance <= limit]
        return Sides(ours, theirs, f"{len(theirs):,} whole series of {len(recordings):,}")
    (recording,) = recordings
    blocks = time_blocks(recording.steps, share, window)
    parts = [(replace(recording, values=recording.values[:, first:last]), held) for first, last, held in blocks]
    ours, theirs = ([part for part, held in parts if held == side] for side in (False, True))
    return Sides(ours, theirs, f"{len(theirs)} block{'s' * (len(theirs) != 1)} of time, before windows are cut")


def time_blocks(steps: int, share: float, window: int) -> list[tuple[int, int, bool]]:
    """Blocks ``(first, last, held out)`` of a series: it is cut into equal periods, and the end of each is held out.

    Ten periods, or fewer where the blocks held out would not have room for two windows; so both sides see all of the
    time. Raises `SparringError` where a side would have no room for a window.
    """
    periods = max(1, min(BLOCKS, int(steps * share) // (2 * window)))
    ends = np.linspace(0, steps, periods + 1).round().astype(int)
    blocks: list[tuple[int, int, bool]] = []
    for first, last in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        middle = last - round((last - first) * share)
        blocks += [(first, middle, False), (middle, last, True)]
    if any(last - first < window for first, last, _ in blocks):
        raise SparringError(
            f"--data.held-out {share:g} of {steps:,} steps leaves a side shorter than a window of {window}; "
            "hold out another share, or take a shorter --data.window"
        )
    return blocks


def _chance(recording: Recording) -> int:
    """A number that depends on a recording's values alone."""
    digest = hashlib.blake2b(recording.values.tobytes(), digest_size=8, person=b"held out").digest()
    return int.from_bytes(digest, "little")


def fill(recordings: Sequence[Recording], channels: Sequence[str], notes: list[str]) -> list[Recording]:
    """Gaps filled by straight lines between their neighbours, at the ends by the nearest value.

    Series in which a channel is missing throughout are left out. Raises `SparringError` where a channel is missing for
    the most part.
    """
    gaps = np.zeros(len(channels), np.int64)
    whole, steps = [], 0
    for recording in recordings:
        missing = np.isnan(recording.values)
        gaps, steps = gaps + missing.sum(1), steps + recording.steps
        if not missing.all(1).any():
            whole.append(replace(recording, values=_filled(recording.values)) if missing.any() else recording)
    for name, count in zip(channels, gaps.tolist(), strict=True):
        if count > MOST_MISSING * steps:
            raise SparringError(
                f"channel '{name}' is missing at {count / steps:.0%} of the steps; leave it out with a schema "
                "([columns] NAME = 'drop'), or fill it by other means"
            )
        if count:
            notes.append(
                f"channel '{name}' is missing at {count:,} of {steps:,} steps: straight lines between its neighbours "
                "fill the gaps"
            )
    if len(whole) < len(recordings):
        notes.append(f"{len(recordings) - len(whole):,} series are left out: a channel is missing throughout")
    return whole


def _filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.arange(values.shape[1])
    made = values.copy()
    for line in made:
        gone = np.isnan(line)
        line[gone] = np.interp(steps[gone], steps[~gone], line[~gone])
    return made


def stride_for(recordings: Sequence[Recording], window: int) -> int:
    """Steps from one window to the next: 1, or more where that would make too many windows."""
    values = sum(max(own.steps - window + 1, 0) * own.values.shape[0] * window for own in recordings)
    return max(1, -(-values // MOST_VALUES))


def cut(
    recordings: Sequence[Recording], window: int, stride: int
) -> tuple[NDArray[np.float64], list[tuple[str, ...]], int]:
    """All windows ``(n, channels, window)`` in the order of time, their attributes, and how many recordings were too
    short for one.
    """
    parts, attributes, short = [np.zeros((0, 0, window))], list[tuple[str, ...]](), 0
    for recording in recordings:
        if recording.steps < window:
            short += 1
            continue
        found = np.lib.stride_tricks.sliding_window_view(recording.values, window, axis=1)[:, ::stride]
        parts.append(found.transpose(1, 0, 2))
        attributes += [recording.attributes] * len(parts[-1])
    return np.concatenate(parts[1:] or parts), attributes, short


def padded(recordings: Sequence[Recording], length: int) -> NDArray[np.float64]:
    """Whole recordings ``(n, channels, length)``, NaN after the end."""
    values = np.full((len(recordings), len(recordings[0].values) if recordings else 0, length), np.nan)
    for own, recording in zip(values, recordings, strict=True):
        own[:, : recording.steps] = recording.values
    return values
