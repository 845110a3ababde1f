"""Real sets, read from the folder that SPARRING_TEST_DATA names; skipped without it."""

import os
from pathlib import Path

import pytest
import torch

from sparring.core.config import Data
from sparring.data import DataSet, make_dealer, open_data
from sparring.tools.inspect import inspect


def real(relative: str) -> str:
    root = os.environ.get("SPARRING_TEST_DATA")
    if not root:
        pytest.skip("SPARRING_TEST_DATA names no folder of real data")
    path = Path(root, relative)
    if not path.exists():
        pytest.skip(f"SPARRING_TEST_DATA holds no {relative}")
    return str(path)


def mean(data: DataSet) -> float:
    return float(data.get(range(len(data)))[0].float().mean()) / 255


def test_fashion_mnist_folder() -> None:
    data = open_data(real("fashion_mnist"))
    assert (data.spec.shape, len(data), set(data.spec.class_counts)) == ((1, 28, 28), 60000, {6000})
    assert mean(data) == pytest.approx(0.2860, abs=1e-4)  # as published


def test_cats_zip_in_memory_and_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path))
    path = real("cats64/cats64_2500.zip")
    data, streamed = open_data(path), open_data(path, Data(store="stream"))
    assert (data.name, data.spec.shape, len(data), data.labels) == ("cats64_2500", (3, 64, 64), 2500, None)
    assert data.fingerprint == streamed.fingerprint
    cpu = torch.device("cpu")
    one, other = (make_dealer(d, seed=0, stride=64, device=cpu, workers=1) for d in (data, streamed))
    for first in (0, 64, 2470):
        assert torch.equal(one.deal(first, 64)[0], other.deal(first, 64)[0])
    other.close()  # type: ignore[attr-defined]


def test_cifar10_npz_and_zip() -> None:
    part = open_data(real("cifar10/cifar10_lossless_part.npz"))
    assert (part.spec.shape, len(part)) == ((3, 32, 32), 4660)
    assert part.spec.classes[:2] == ("airplane", "automobile")
    folders = open_data(real("cifar10/cifar10_jpeg_test10k_train10k.zip"))
    assert (len(folders), set(folders.spec.class_counts)) == (10000, {1000})
    assert folders.spec.classes == part.spec.classes
    assert "train/" in folders.notes[0]


def test_emoji_keep_their_transparency() -> None:
    report = inspect(real("emoji_text/emojitwo_64_captions.zip"))
    assert (report.shape, report.usable, report.others) == ((4, 64, 64), 2008, 1)
    assert dict(report.modes)["P"] > 0
    assert any("exact copies" in line for line in report.warnings)
