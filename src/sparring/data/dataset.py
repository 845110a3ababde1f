"""Real data, opened."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np
import torch
from torch import Tensor

from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.data.crops import MIDDLE, At, Wholes, cut
from sparring.data.decode import BadPictureError
from sparring.data.deep import decode_any
from sparring.data.files import Files
from sparring.data.geometry import Geometry
from sparring.data.parallel import spread
from sparring.data.pixels import to_channels
from sparring.data.survey import read_picture


@dataclass(frozen=True)
class Reader:
    """Reads single pictures of a streamed set. Picklable, so that worker processes may have it.

    Attributes:
        files: where they lie.
        chosen: the number in ``files`` of each sample.
        geometry, channels: what they are brought to.
    """

    files: Files
    chosen: tuple[int, ...]
    geometry: Geometry
    channels: int

    def __len__(self) -> int:
        return len(self.chosen)

    def read(self, index: int, at: At = MIDDLE) -> np.ndarray:
        """Sample ``index`` as ``(channels, h, w)``, uint8 or float32 in [-1, 1]; where it is cut, what lies ``at``.

        Raises `SparringError` when it could be read as the set was opened, and cannot be now.
        """
        place = self.chosen[index]
        try:
            pixels = decode_any(read_picture(self.files, place), self.geometry).pixels
        except BadPictureError as error:
            name = PurePosixPath(self.files.where, self.files.names[place])
            raise SparringError(f"{name} could be read before and cannot be now: {error}; put it back") from None
        picture = to_channels(pixels, self.channels).transpose(2, 0, 1)
        return np.ascontiguousarray(cut(picture, self.geometry, at) if self.geometry.whole else picture)

    def subset(self, indices: np.ndarray) -> "Reader":
        """A reader of those samples."""
        return replace(self, chosen=tuple(self.chosen[index] for index in indices))

    def read_many(self, indices: Sequence[int], at: Sequence[At] | None = None) -> np.ndarray:
        """Samples ``(n, channels, h, w)``, over a few threads."""
        dtype = np.float32 if self.geometry.deep else np.uint8
        pixels = np.empty((len(indices), self.channels, *self.geometry.size), dtype)
        asked = zip(indices, at or [MIDDLE] * len(indices), strict=True)
        for place, picture in enumerate(spread(lambda ask: self.read(*ask), asked)):
            pixels[place] = picture
        return pixels


@dataclass
class DataSet:
    """Real data, opened: what networks are built from, and the samples in a fixed order.

    Attributes:
        name: short, fit for a folder's name.
        spec: what networks are built from.
        fingerprint: hex SHA-256 of all samples as they are trained on, with labels; the same in memory and streamed.
        notes: what was decided about the data, as sentences for people.
        labels: int64 ``(n,)``, or None.
        pixels: ``(n, c, h, w)`` when the set is in memory, uint8, or float32 in [-1, 1] where pictures have more than
            8 bits; of points their values, float32 ``(n, d)``.
        reader: reads samples when it is streamed, or crops of them when these are dealt.
        given: what samples are made from, as `pixels` keeps samples: in their order where ``spec.paired``, else a set
            of its own; None where there is nothing of the kind.
        given_reader: reads them when the set is streamed.
        held_out: what `hold_out` kept from training.
    """

    name: str
    spec: DataSpec
    fingerprint: str
    notes: tuple[str, ...]
    labels: Tensor | None = field(default=None, repr=False)
    pixels: Tensor | None = field(default=None, repr=False)
    reader: Reader | Wholes | None = field(default=None, repr=False)
    given: Tensor | None = field(default=None, repr=False)
    given_reader: Reader | Wholes | None = field(default=None, repr=False)
    held_out: "DataSet | None" = field(default=None, repr=False)

    def __len__(self) -> int:
        return self.spec.count

    @property
    def in_memory(self) -> bool:
        """Whether decoded pixels are kept."""
        return self.pixels is not None or isinstance(self.reader, Wholes)

    def get(self, indices: Sequence[int] | Tensor) -> tuple[Tensor, Tensor | None]:
        """Samples by number, as they are kept (see `pixels`), the middle of those that crops are dealt of; and int64
        ``(n,)`` or None.
        """
        places = torch.as_tensor(indices, dtype=torch.int64)
        labels = None if self.labels is None else self.labels[places]
        if self.pixels is not None:
            return self.pixels[places], labels
        if self.reader is None:
            raise ValueError("a DataSet has pixels or a reader")
        return torch.from_numpy(self.reader.read_many(places.tolist())), labels

    def get_given(self, indices: Sequence[int] | Tensor) -> Tensor | None:
        """What the samples of those numbers are made from, as it is kept; unpaired, it starts again after its last."""
        if not self.given_count:
            return None
        places = torch.as_tensor(indices, dtype=torch.int64) % self.given_count
        if self.given is not None:
            return self.given[places]
        assert self.given_reader is not None
        return torch.from_numpy(self.given_reader.read_many(places.tolist()))

    @property
    def given_count(self) -> int:
        """How many there are to make samples from; 0 where there is nothing of the kind."""
        if self.given is not None:
            return len(self.given)
        return len(self.given_reader) if self.given_reader is not None else 0

    def subset(self, indices: np.ndarray, given: np.ndarray | None = None) -> "DataSet":
        """The samples of those numbers, in that order, as a set of its own with the same classes.

        What they are made from goes with them where it is paired; else it stays, or is that of the numbers ``given``.
        """
        places = torch.from_numpy(indices)
        labels = None if self.labels is None else self.labels[places]
        counts = () if labels is None else tuple(torch.bincount(labels, minlength=len(self.spec.classes)).tolist())
        digest = hashlib.sha256(self.fingerprint.encode() + indices.astype("<i8").tobytes()).hexdigest()
        reader = self.reader
        if reader is not None:
            reader = reader.subset(indices)
        if self.spec.paired:
            given = indices
        elif given is not None:
            digest = hashlib.sha256(digest.encode() + given.astype("<i8").tobytes()).hexdigest()
        of_given, given_reader = self.given, self.given_reader
        if given is not None:
            of_given = None if of_given is None else of_given[torch.from_numpy(given)]
            given_reader = None if given_reader is None else given_reader.subset(given)
        return DataSet(
            self.name,
            replace(self.spec, count=len(indices), class_counts=counts),
            digest,
            self.notes,
            labels,
            None if self.pixels is None else self.pixels[places],
            reader,
            of_given,
            given_reader,
        )
