"""Dealing: an endless shuffled stream that can be entered anywhere.

What is dealt is a function of position (`Order`), however many processes and workers there are.
"""

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sparring.core.batch import Deal, Dealer
from sparring.core.errors import SparringError
from sparring.core.seeds import seed_of
from sparring.data.crops import At, Wholes
from sparring.data.dataset import DataSet, Reader
from sparring.data.moving import to_device
from sparring.data.order import BalancedOrder, Order
from sparring.data.parallel import cpus
from sparring.data.subsets import Subsets
from sparring.data.table.dealer import TableDealer
from sparring.data.turning import FlippingDealer, RotatingDealer
from sparring.modalities import modality
from sparring.modalities.image import decode


def make_dealer(
    data: DataSet,
    *,
    seed: int,
    stride: int,
    device: torch.device,
    workers: int = 0,
    flip: bool = False,
    rotate: bool = False,
    balance: bool = False,
    asks: bool = False,
    private: bool = False,
) -> Dealer:
    """Deal ``data`` on ``device``.

    Args:
        seed: of the shuffling.
        stride: how far ``first`` advances from one call of ``deal`` to the next, for reading ahead. Any other ``first``
            is served as well; reading ahead then starts over from there.
        workers: reading processes when the set is streamed; 0 reads when asked.
        flip: mirror each picture left to right in half of its showings.
        rotate: turn each picture by so many quarters in a fourth of its showings; they are squares.
        balance: show each class equally often.
        asks: deal rows of a table with a condition that they meet.
        private: deal a subset drawn anew, uniformly, at every ``stride`` positions, and nothing by what is rare.

    The dealer of a streamed set has ``close()``, which ends its workers; so does the end of the process.
    """
    if asks and data.spec.columns and not private:
        return TableDealer(data, seed, device)
    order = Subsets(len(data), stride, seed) if private else Order(len(data), seed)
    if balance:
        if data.labels is None:
            raise ValueError("only a DataSet with labels can be balanced")
        order = BalancedOrder(data.labels, seed)
    dealer: Dealer
    if data.pixels is not None:
        own = partial(modality(data.spec.modality).decode, spec=data.spec)
        dealer = MemoryDealer(data.pixels, data.labels, order, device, own)
    elif data.reader is not None:
        dealer = StreamDealer(data.reader, data.labels, order, stride=stride, device=device, workers=workers)
    else:
        raise ValueError("a DataSet has pixels or a reader")
    if data.given_count:
        others = order if data.spec.paired else Order(data.given_count, seed_of(seed, "given"))
        given: Dealer
        if data.given is not None:
            given = MemoryDealer(data.given, None, others, device, modality(data.spec.modality).decode)
        else:
            assert data.given_reader is not None
            given = StreamDealer(data.given_reader, None, others, stride=stride, device=device, workers=workers)
        dealer = GivingDealer(dealer, given)
    if flip:
        dealer = FlippingDealer(dealer, order)
    return RotatingDealer(dealer, order) if rotate else dealer


class GivingDealer:
    """Deals samples with what they are made from: of the same places of a set, or of another's."""

    def __init__(self, samples: Dealer, given: Dealer):
        self.samples, self.given = samples, given

    def deal(self, first: int, count: int) -> Deal:
        """As the two deal."""
        return self.samples.deal(first, count)._replace(given=self.given.deal(first, count).real)

    def close(self) -> None:
        """Close both."""
        self.samples.close()
        self.given.close()


class MemoryDealer:
    """Deals what is kept in memory, which lies on the device where that is a GPU with room for it.

    ``decode`` takes samples as they are kept to [-1, 1].
    """

    def __init__(
        self,
        pixels: Tensor,
        labels: Tensor | None,
        order: Order,
        device: torch.device,
        decode: Callable[[Tensor], Tensor],
    ):
        if device.type == "cuda" and pixels.nbytes < torch.cuda.mem_get_info(device)[0] // 4:
            pixels, labels = pixels.to(device), None if labels is None else labels.to(device)
        self.pixels, self.labels = pixels, labels
        self.order, self.device, self.decode = order, device, decode

    def deal(self, first: int, count: int) -> Deal:
        """Samples ``first`` to ``first + count`` in [-1, 1] and their labels, on the device."""
        places = to_device(self.order.indices(first, count), self.pixels.device)
        pixels = to_device(self.pixels.index_select(0, places), self.device)
        labels = None if self.labels is None else to_device(self.labels.index_select(0, places), self.device)
        return Deal(self.decode(pixels), labels)

    def close(self) -> None:
        """Nothing to end."""


class StreamDealer:
    """Reads samples as they are asked for, ahead of time in ``workers`` processes unless they lie in memory."""

    def __init__(
        self,
        reader: Reader | Wholes,
        labels: Tensor | None,
        order: Order,
        *,
        stride: int,
        device: torch.device,
        workers: int,
    ):
        self.reader, self.labels, self.order, self.device = reader, labels, order, device
        self.stride = stride
        # More workers than processors make torch warn, rightly.
        self.workers = 0 if isinstance(reader, Wholes) else min(workers, cpus())
        self._ahead: _Ahead | None = None
        self._loader: DataLoader[Any] | None = None
        self._pieces: Iterator[np.ndarray | str] | None = None

    def deal(self, first: int, count: int) -> Deal:
        """Samples ``first`` to ``first + count`` in [-1, 1] and their labels, on the device."""
        if self.workers > 0:
            pixels = self._next(first, count)
        else:
            pixels = self.reader.read_many(*zip(*asks_of(self.order, first, count), strict=True))
        labels = self.labels
        if labels is not None:
            labels = to_device(labels.index_select(0, self.order.indices(first, count)), self.device)
        return Deal(decode(to_device(torch.from_numpy(pixels), self.device)), labels)

    def close(self) -> None:
        """End the workers. Dealing again starts new ones."""
        self._pieces = self._ahead = None
        iterator = getattr(self._loader, "_iterator", None)
        self._loader = None
        if iterator is not None:
            iterator._shutdown_workers()

    def _next(self, first: int, count: int) -> np.ndarray:
        if self._ahead is None or self._pieces is None or (first, count) != (self._ahead.expected, self._ahead.count):
            self._pieces = self._start(first, count)
        ahead = cast(_Ahead, self._ahead)
        ahead.expected += self.stride
        try:
            piece = next(self._pieces)
        except RuntimeError as error:  # torch's word for a worker that died
            self.close()
            raise SparringError(
                f"a reading process died ({' '.join(str(error).split())[:120]}); memory may be short: "
                "try fewer --data.workers, 0 reads in this process"
            ) from None
        if isinstance(piece, str):
            self.close()
            raise SparringError(piece)
        return piece

    def _start(self, first: int, count: int) -> Iterator[np.ndarray | str]:
        """Begin to read ahead from ``first``; workers that are there already are kept."""
        if self._loader is None or self._ahead is None:
            self._ahead = _Ahead(self.order, self.stride)
            self._loader = DataLoader(
                _Pieces(self.reader),
                batch_size=None,  # the sampler says whole batches
                sampler=self._ahead,
                num_workers=self.workers,
                collate_fn=_as_it_is,
                worker_init_fn=_begin_worker,
                persistent_workers=True,
                generator=torch.Generator(),  # else torch would draw from the generator that training draws from
            )
        self._ahead.first = self._ahead.expected = first
        self._ahead.count = count
        with warnings.catch_warnings():
            # Python 3.12 warns of forking a process with threads; workers only decode, and start no torch threads.
            warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
            return iter(self._loader)


def asks_of(order: Order, first: int, count: int) -> list[tuple[int, At]]:
    """Sample numbers at positions ``first`` to ``first + count``, and where a crop of each lies."""
    places = (tuple(place) for place in order.places(first, count).tolist())
    return list(zip(order.indices(first, count).tolist(), places, strict=True))


class _Ahead:
    """The batches to read from a position on, without end."""

    def __init__(self, order: Order, stride: int):
        self.order, self.stride = order, stride
        self.first = self.expected = self.count = 0

    def __iter__(self) -> Iterator[list[tuple[int, At]]]:
        position, count = self.first, self.count
        while True:
            yield asks_of(self.order, position, count)
            position += self.stride


class _Pieces(Dataset[Any]):
    """Whole batches by sample numbers, or what went wrong as text: torch would add a traceback to an exception."""

    def __init__(self, reader: Reader | Wholes):
        self.reader = reader

    def __getitem__(self, asks: list[tuple[int, At]]) -> np.ndarray | str:
        try:
            return np.stack([self.reader.read(index, at) for index, at in asks])
        except SparringError as error:
            return str(error)


def _as_it_is(piece: Any) -> Any:
    """Numpy arrays travel through a pipe. Tensors would use shared memory, of which containers have little."""
    return piece


def _begin_worker(_: int) -> None:
    """Ctrl-C, or a polite kill of the whole group, is for the trainer, which ends its workers after saving.

    So they leave its group. A kill sent by the trainer itself must go on working: its exit waits for them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setsid"):
        os.setsid()
    warnings.simplefilter("ignore")  # decoders' warnings; every picture was looked at before
