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
from sparring.data.dataset import DataSet, Reader
from sparring.data.order import BalancedOrder, Order
from sparring.data.parallel import cpus
from sparring.data.table.dealer import TableDealer
from sparring.modalities import modality
from sparring.modalities.image import from_uint8


def make_dealer(
    data: DataSet,
    *,
    seed: int,
    stride: int,
    device: torch.device,
    workers: int = 0,
    flip: bool = False,
    balance: bool = False,
    asks: bool = False,
) -> Dealer:
    """Deal ``data`` on ``device``.

    Args:
        seed: of the shuffling.
        stride: how far ``first`` advances from one call of ``deal`` to the next, for reading ahead. Any other ``first``
            is served as well; reading ahead then starts over from there.
        workers: reading processes when the set is streamed; 0 reads when asked.
        flip: mirror each picture left to right in half of its showings.
        balance: show each class equally often.
        asks: deal rows of a table with a condition that they meet.

    The dealer of a streamed set has ``close()``, which ends its workers; so does the end of the process.
    """
    if asks and data.spec.columns:
        return TableDealer(data, seed, device)
    order = Order(len(data), seed)
    if balance:
        if data.labels is None:
            raise ValueError("only a DataSet with labels can be balanced")
        order = BalancedOrder(data.labels, seed)
    dealer: Dealer
    if data.pixels is not None:
        decode = partial(modality(data.spec.modality).decode, spec=data.spec)
        dealer = MemoryDealer(data.pixels, data.labels, order, device, decode)
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
    return FlippingDealer(dealer, order) if flip else dealer


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


class FlippingDealer:
    """Mirrors what another deals where the coin of its position says so."""

    def __init__(self, dealer: Dealer, order: Order):
        self.dealer, self.order = dealer, order

    def deal(self, first: int, count: int) -> Deal:
        """As the other deals, half of the pictures mirrored left to right, and what is given with them."""
        real, labels, given = self.dealer.deal(first, count)
        coins = self.order.coins(first, count).to(real.device)[:, None, None, None]
        given = None if given is None else torch.where(coins, given.flip(3), given)
        return Deal(torch.where(coins, real.flip(3), real), labels, given)

    def close(self) -> None:
        """Close the other."""
        self.dealer.close()


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
            pixels = pixels.to(device)
        self.pixels, self.labels = pixels, labels
        self.order, self.device, self.decode = order, device, decode

    def deal(self, first: int, count: int) -> Deal:
        """Samples ``first`` to ``first + count`` in [-1, 1] and their labels, on the device."""
        places = self.order.indices(first, count)
        pixels = self.pixels.index_select(0, places.to(self.pixels.device)).to(self.device)
        labels = None if self.labels is None else self.labels.index_select(0, places).to(self.device)
        return Deal(self.decode(pixels), labels)

    def close(self) -> None:
        """Nothing to end."""


class StreamDealer:
    """Reads samples as they are asked for, ahead of time in ``workers`` processes."""

    def __init__(
        self, reader: Reader, labels: Tensor | None, order: Order, *, stride: int, device: torch.device, workers: int
    ):
        self.reader, self.labels, self.order, self.device = reader, labels, order, device
        self.stride, self.workers = stride, min(workers, cpus())  # more than processors makes torch warn, rightly
        self._ahead: _Ahead | None = None
        self._loader: DataLoader[Any] | None = None
        self._pieces: Iterator[np.ndarray | str] | None = None

    def deal(self, first: int, count: int) -> Deal:
        """Samples ``first`` to ``first + count`` in [-1, 1] and their labels, on the device."""
        places = self.order.indices(first, count)
        pixels = self._next(first, count) if self.workers > 0 else self.reader.read_many(places.tolist())
        labels = None if self.labels is None else self.labels.index_select(0, places).to(self.device)
        return Deal(from_uint8(torch.from_numpy(pixels).to(self.device)), labels)

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


class _Ahead:
    """The batches to read from a position on, without end."""

    def __init__(self, order: Order, stride: int):
        self.order, self.stride = order, stride
        self.first = self.expected = self.count = 0

    def __iter__(self) -> Iterator[list[int]]:
        position, count = self.first, self.count
        while True:
            yield self.order.indices(position, count).tolist()
            position += self.stride


class _Pieces(Dataset[Any]):
    """Whole batches by sample numbers, or what went wrong as text: torch would add a traceback to an exception."""

    def __init__(self, reader: Reader):
        self.reader = reader

    def __getitem__(self, indices: list[int]) -> np.ndarray | str:
        try:
            return np.stack([self.reader.read(index) for index in indices])
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
