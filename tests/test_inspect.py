"""The data doctor: what it finds, and how it looks."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.data.doctor import Report
from sparring.tools.inspect import inspect, render


def shown(report: Report) -> str:
    console = Console(file=io.StringIO(), width=200, color_system=None)
    render(report, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """Two classes, a copy, a plain picture, a damaged one, and a text."""
    rng = np.random.default_rng(0)
    for index in range(6):
        path = tmp_path / "sick" / "ab"[index % 2] / f"{index} [red].png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16 + 4 * (index == 5), 3), dtype=np.uint8)).save(path)
    root = tmp_path / "sick"
    (root / "b/copy.png").write_bytes((root / "a/0 [red].png").read_bytes())
    Image.new("L", (16, 16), 100).save(root / "a/plain.png")
    (root / "a/broken.png").write_bytes(b"\x89PNG")
    (root / "read me.txt").write_text("hello")
    return root


def test_what_the_doctor_finds(sick: Path) -> None:
    report = inspect(str(sick))
    assert (report.count, report.usable, report.others) == (9, 8, 1)
    assert report.sizes == (((16, 16), 7), ((16, 20), 1))
    assert dict(report.modes) == {"RGB": 7, "L": 1}
    assert dict(report.channels) == {1: 1, 3: 7}
    assert report.classes == (("a", 4), ("b", 4))
    assert [name for name, _ in report.corrupt] == ["a/broken.png"]
    assert report.duplicates == (("a/0 [red].png", "b/copy.png"),)
    assert report.constant == ("a/plain.png",)
    assert report.shape == (3, 16, 16)
    assert "1 of 9 pictures" in report.refused  # 11 % are bad
    assert not report.fingerprint
    healthy = inspect(str(sick), Data(max_bad=0.5))
    assert not healthy.refused
    assert healthy.fingerprint


def test_how_it_looks(sick: Path) -> None:
    text = shown(inspect(str(sick)))
    for words in (
        "8 of 9 can be read",
        "16x16 (7), 16x20 (1)",
        "a (4), b (4)",
        "a/broken.png: ",
        "a/0 [red].png = b/copy.png",  # never read as markup
        "nearly one plain colour",
        "training is refused",
        "exact copies",
    ):
        assert words in text


def test_would_is_printed() -> None:
    from dataclasses import replace

    report = replace(inspect("digits"), would=("would train dcgan [for 2 minutes]",))
    assert "would train dcgan [for 2 minutes]" in shown(report)
    assert report.shape == (1, 8, 8)
    assert not report.duplicates
    assert report.in_memory


def test_nothing_readable_is_still_reported(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no")
    report = inspect(str(tmp_path))
    assert (report.count, report.usable, report.shape) == (2, 0, ())
    assert "none of the 2 pictures" in report.refused
    assert "a.png: not a PNG" in shown(report)


def test_seventy_single_image_classes(tmp_path: Path) -> None:
    for index in range(70):
        (tmp_path / f"person{index}").mkdir()
        Image.new("L", (8, 8), index * 3).save(tmp_path / f"person{index}" / "1.png")
    report = inspect(str(tmp_path))
    assert len(report.classes) == 70
    assert any("labels cannot be learnt: most classes have a single image" in line for line in report.warnings)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SparringError, match="is empty"):
        inspect(str(tmp_path))
