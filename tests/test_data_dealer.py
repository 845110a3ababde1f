"""Dealing: an endless shuffled stream that is a function of position, however it is read."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.data import DataSet, dealer, make_dealer, open_data
from sparring.data.dealer import StreamDealer
from sparring.data.order import BalancedOrder, Order

CPU = torch.device("cpu")
COUNT = 23


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(dealer, "cpus", lambda: 2)
    for index in range(COUNT):
        folder = tmp_path / "photos" / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return tmp_path / "photos"


def pair(photos: Path) -> tuple[DataSet, DataSet]:
    return open_data(str(photos), Data(store="memory")), open_data(str(photos), Data(store="stream"))


def test_every_epoch_holds_every_sample_once_in_another_order() -> None:
    order = Order(COUNT, seed=5)
    epochs = [order.indices(epoch * COUNT, COUNT).tolist() for epoch in range(4)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(COUNT))
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert Order(COUNT, seed=6).indices(0, COUNT).tolist() != epochs[0]


def test_order_depends_on_position_alone() -> None:
    whole = Order(COUNT, seed=5).indices(0, 500)
    scattered = Order(COUNT, seed=5)
    for first, count in ((400, 100), (0, 7), (22, 2), (60, 200), (499, 1), (0, 500)):
        assert torch.equal(scattered.indices(first, count), whole[first : first + count])
    assert len(scattered._epochs) <= 2
    for first, count in ((-1, 4), (0, 0)):
        with pytest.raises(ValueError, match="cannot deal"):
            scattered.indices(first, count)


def test_dealt_samples_are_the_data_in_minus_one_to_one(photos: Path) -> None:
    data, _ = pair(photos)
    images, labels, _ = make_dealer(data, seed=1, stride=8, device=CPU).deal(40, 8)
    pixels, expected = data.get(Order(COUNT, 1).indices(40, 8))
    assert images.dtype == torch.float32
    assert images.shape == (8, 3, 8, 8)
    torch.testing.assert_close(images, pixels.float() / 127.5 - 1)
    assert labels is not None
    assert expected is not None
    assert torch.equal(labels, expected)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_streaming_deals_what_memory_deals_across_jumps(photos: Path, workers: int) -> None:
    data, streamed = pair(photos)
    memory = make_dealer(data, seed=1, stride=10, device=CPU)
    stream = make_dealer(streamed, seed=1, stride=10, device=CPU, workers=workers)
    assert isinstance(stream, StreamDealer)
    before = torch.random.get_rng_state()
    asked = [(0, 5), (10, 5), (20, 5), (5, 5), (15, 5), (3, 4), (13, 4), (1000, 40), (1010, 40), (0, 5)]
    for first, count in asked:
        for one, other in zip(memory.deal(first, count)[:2], stream.deal(first, count)[:2], strict=True):
            assert one is not None
            assert other is not None
            assert torch.equal(one, other)
    assert torch.equal(before, torch.random.get_rng_state())  # training's own generator is left alone
    children = multiprocessing.active_children()
    assert len(children) == workers
    stream.close()
    assert not multiprocessing.active_children()
    assert torch.equal(stream.deal(7, 3)[0], memory.deal(7, 3)[0])  # begins again
    stream.close()
    stream.close()


def test_two_processes_share_the_stream_of_one(photos: Path) -> None:
    _, streamed = pair(photos)
    whole = make_dealer(streamed, seed=1, stride=8, device=CPU)
    halves = [make_dealer(streamed, seed=1, stride=8, device=CPU, workers=1) for _ in range(2)]
    for first in (0, 8, 16, 24):
        parts = [half.deal(first + 4 * rank, 4)[0] for rank, half in enumerate(halves)]
        assert torch.equal(torch.cat(parts), whole.deal(first, 8)[0])
    for half in halves:
        assert isinstance(half, StreamDealer)
        half.close()


def test_reading_ahead_is_not_begun_anew_at_every_step(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, streamed = pair(photos)
    stream = make_dealer(streamed, seed=1, stride=4, device=CPU, workers=1)
    assert isinstance(stream, StreamDealer)
    starts: list[int] = []
    start = stream._start
    monkeypatch.setattr(stream, "_start", lambda first, count: (starts.append(first), start(first, count))[1])
    for first in (0, 4, 8, 12, 100, 104, 108):
        stream.deal(first, 4)
    stream.close()
    assert starts == [0, 100]


def test_zip_is_reopened_in_workers(photos: Path, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as file:
        for path in photos.rglob("*.png"):
            file.write(path, path.relative_to(photos).as_posix())
    data = open_data(str(tmp_path / "photos.zip"), Data(store="stream"))
    alone = make_dealer(data, seed=1, stride=8, device=CPU)
    ahead = make_dealer(data, seed=1, stride=8, device=CPU, workers=2)
    assert isinstance(ahead, StreamDealer)
    for first in range(0, 80, 8):
        assert torch.equal(alone.deal(first, 8)[0], ahead.deal(first, 8)[0])
    ahead.close()


def test_a_picture_that_vanishes_is_one_sentence(photos: Path) -> None:
    _, streamed = pair(photos)
    for path in photos.rglob("*.png"):
        path.unlink()
    stream = make_dealer(streamed, seed=1, stride=8, device=CPU, workers=1)
    with pytest.raises(SparringError, match="could be read before and cannot be now") as caught:
        stream.deal(0, 4)
    assert "\n" not in str(caught.value)
    assert not multiprocessing.active_children()


def test_a_killed_worker_is_one_sentence(photos: Path) -> None:
    _, streamed = pair(photos)
    stream = make_dealer(streamed, seed=1, stride=8, device=CPU, workers=1)
    stream.deal(0, 4)
    (child,) = multiprocessing.active_children()
    child.kill()
    child.join()

    def go_on() -> None:
        for first in range(8, 800, 8):
            stream.deal(first, 4)

    with pytest.raises(SparringError, match="a reading process died"):
        go_on()
    assert not multiprocessing.active_children()


def test_labels_may_be_missing(photos: Path) -> None:
    data = open_data(str(photos), Data(labels="none"))
    assert make_dealer(data, seed=1, stride=8, device=CPU).deal(0, 4)[1] is None


@pytest.mark.skipif(os.name != "posix", reason="looks for processes by group")
def test_leaving_without_close_leaves_no_process(photos: Path) -> None:
    program = """
import sys, torch, multiprocessing
from sparring.core.config import Data
from sparring.data import open_data, make_dealer
from sparring.data import dealer
dealer.cpus = lambda: 2
data = open_data(sys.argv[1], Data(store="stream"))
deal = make_dealer(data, seed=1, stride=4, device=torch.device("cpu"), workers=2)
deal.deal(0, 4)
print(*[child.pid for child in multiprocessing.active_children()], flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(photos)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert not done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    for _ in range(50):
        alive = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        if not alive:
            break
        time.sleep(0.1)
    assert not alive


def test_batches_are_copies(photos: Path) -> None:
    data, _ = pair(photos)
    deal = make_dealer(data, seed=1, stride=8, device=CPU)
    before = data.get([0])[0].clone()
    deal.deal(0, 8)[0].zero_()  # what a trainer does to its batch does not reach the data
    assert torch.equal(data.get([0])[0], before)


def test_flips_are_a_function_of_position_and_mirror_half(photos: Path) -> None:
    data = open_data(str(photos))
    plain, flipped = (
        make_dealer(data, seed=1, stride=8, device=torch.device("cpu"), flip=flip) for flip in (False, True)
    )
    real = plain.deal(0, 200).real
    mirrored = flipped.deal(0, 200).real
    same = (real == mirrored).flatten(1).all(1)
    turned = (real.flip(3) == mirrored).flatten(1).all(1)
    assert bool((same | turned).all())
    assert 60 < int(turned.sum()) < 140
    again = flipped.deal(64, 8).real
    assert torch.equal(again, mirrored[64:72])


def imbalanced(tmp_path: Path) -> Path:
    """Folders a, b, c of 20, 7 and 2 pictures, of each a colour of its own."""
    for name, count in (("a", 20), ("b", 7), ("c", 2)):
        (tmp_path / "uneven" / name).mkdir(parents=True)
        for index in range(count):
            pixels = np.random.default_rng([ord(name), index]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "uneven" / name / f"{index}.png")
    return tmp_path / "uneven"


def test_balanced_every_class_has_one_place_in_each_round_and_every_sample_its_turn(photos: Path) -> None:
    labels = torch.tensor([0] * 20 + [1] * 7 + [2] * 2)
    order = BalancedOrder(labels, seed=5).indices(0, 3 * 140)
    rounds = labels[order].reshape(-1, 3)
    assert torch.equal(rounds.sort(1).values, torch.tensor([[0, 1, 2]]).expand(140, 3))
    assert len({tuple(row) for row in rounds.tolist()}) == 6  # in every order
    for label, members in ((0, range(20)), (1, range(20, 27)), (2, range(27, 29))):
        stream = order[labels[order] == label]
        for start in range(0, 140, len(members)):
            assert sorted(stream[start : start + len(members)].tolist()) == list(members)


def test_balanced_order_depends_on_position_alone() -> None:
    labels = torch.tensor([2, 0, 0, 5, 0, 0, 0, 5])  # a class without samples has no place
    whole = BalancedOrder(labels, seed=5).indices(0, 200)
    scattered = BalancedOrder(labels, seed=5)
    for first, count in ((150, 50), (0, 7), (2, 2), (60, 100), (199, 1), (0, 200)):
        assert torch.equal(scattered.indices(first, count), whole[first : first + count])
    assert not torch.equal(BalancedOrder(labels, seed=6).indices(0, 200), whole)
    assert torch.equal(scattered.coins(9, 50), Order(8, seed=5).coins(9, 50))
    with pytest.raises(ValueError, match="cannot deal"):
        scattered.indices(-1, 4)


@pytest.mark.parametrize("workers", [0, 1])
def test_balanced_is_dealt_alike_in_memory_streamed_and_shared(photos: Path, tmp_path: Path, workers: int) -> None:
    folder = imbalanced(tmp_path)
    data, streamed = pair(folder)
    assert data.spec.class_counts == (20, 7, 2)
    memory = make_dealer(data, seed=1, stride=8, device=CPU, balance=True)
    halves = [make_dealer(streamed, seed=1, stride=8, device=CPU, workers=workers, balance=True) for _ in range(2)]
    seen = []
    for first in range(0, 48, 8):
        images, labels, _ = memory.deal(first, 8)
        assert labels is not None
        parts = [half.deal(first + 4 * rank, 4) for rank, half in enumerate(halves)]
        assert torch.equal(torch.cat([part.real for part in parts]), images)
        seen.append(labels)
    assert torch.cat(seen).bincount().tolist() == [16, 16, 16]
    for half in halves:
        half.close()


def test_what_has_no_classes_cannot_be_balanced(photos: Path) -> None:
    with pytest.raises(ValueError, match="labels"):
        make_dealer(open_data(str(photos), Data(labels="none")), seed=1, stride=8, device=CPU, balance=True)
