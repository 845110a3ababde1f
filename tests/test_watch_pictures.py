"""Grids in time's order, and the film of them: small, whole, cheap."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparring.core.folder import RunFolder
from sparring.core.observer import Tick
from sparring.watch import pictures
from sparring.watch.pictures import Timelapse, grid_path, grids, make_timelapse, opaque, pick


def run(root: Path, count: int, side: int = 32, mode: str = "L") -> RunFolder:
    folder = RunFolder(root)
    folder.create()
    for index in range(count):
        Image.new(mode, (side, side), index * 3 if mode == "L" else (index, 0, 0, 255)).save(
            grid_path(folder, index * 100)
        )
    return folder


def test_names_sort_as_time_does(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert grid_path(folder, 12_345).name == "000012.345k.png"
    positions = [0, 7, 999, 1000, 64_000, 25_000_000]
    names = [grid_path(folder, nimg).name for nimg in positions]
    assert names == sorted(names)
    assert grids(folder) == []
    folder.create()
    for nimg in reversed(positions):
        grid_path(folder, nimg).touch()
    (folder.samples / "reals.png").touch()
    (folder.samples / "000001.5k.png").touch()
    assert [nimg for nimg, _ in grids(folder)] == positions


def test_pick_keeps_the_ends() -> None:
    assert pick(range(5), 9) == [0, 1, 2, 3, 4]
    chosen = pick(range(1000), 60)
    assert len(chosen) == 60
    assert (chosen[0], chosen[-1]) == (0, 999)
    assert set(np.diff(chosen)) <= {16, 17}


def test_film(tmp_path: Path) -> None:
    folder = run(tmp_path, 70)
    path = make_timelapse(folder)
    assert path == folder.samples / "timelapse.gif"
    with Image.open(path) as film:
        assert film.n_frames == 60
        assert film.size == (32, 32)
        shades = []
        for index in (0, 59):
            film.seek(index)
            shades.append(np.asarray(film.convert("L")).mean())
    assert shades == pytest.approx([0, 207], abs=3)
    assert list(folder.samples.glob(".*")) == []


def test_film_is_small_even_of_noise(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.create()
    random = np.random.default_rng(0)
    for index in range(8):
        Image.fromarray(random.integers(0, 256, (200, 300, 3), np.uint8)).save(grid_path(folder, index))
    path = make_timelapse(folder, most_bytes=100_000)
    assert path is not None
    assert 40_000 < path.stat().st_size <= 100_000
    with Image.open(path) as film:
        assert film.n_frames == 8
        assert film.width / film.height == pytest.approx(1.5, abs=0.05)


def test_damaged_and_missing_grids(tmp_path: Path) -> None:
    folder = run(tmp_path, 2)
    grid_path(folder, 50).write_bytes(grid_path(folder, 100).read_bytes()[:40])
    grid_path(folder, 60).write_bytes(b"")
    path = make_timelapse(folder)
    assert path is not None
    with Image.open(path) as film:
        assert film.n_frames == 2
    assert make_timelapse(run(tmp_path / "one", 1)) is None


def test_what_is_transparent_shows_a_checkerboard() -> None:
    image = Image.new("RGBA", (16, 16), (0, 0, 255, 0))
    assert set(opaque(image).get_flattened_data()) == {(255,) * 3, (204,) * 3}
    assert set(opaque(Image.new("RGBA", (4, 4), (0, 0, 255, 255))).get_flattened_data()) == {(0, 0, 255)}
    assert opaque(Image.new("LA", (4, 4), (7, 255))).getpixel((0, 0)) == (7, 7, 7)


def test_is_made_now_and_then_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, made = [0.0], []

    def make(folder: RunFolder) -> None:
        made.append(clock[0])
        clock[0] += 1.0

    monkeypatch.setattr(pictures, "make_timelapse", make)
    monkeypatch.setattr(pictures.time, "monotonic", lambda: clock[0])
    film = Timelapse(RunFolder(tmp_path), every=5)
    film.start(0, 1000)
    for index in range(60):
        film.picture(tmp_path / "x.png", index)
        film.tick(Tick(index, 1000, 1, 1, 1))
        clock[0] += 1.0
    assert made == [4.0, 55.0]  # a second's work waits for 50 seconds of training
    film.finish()
    assert len(made) == 3
    film.finish()
    assert len(made) == 3  # nothing new


def test_resume_drops_grids_of_the_lost_future(tmp_path: Path) -> None:
    folder = run(tmp_path, 5)
    (folder.samples / "mine.png").touch()
    film = Timelapse(folder)
    film.start(200, 1000)
    assert [nimg for nimg, _ in grids(folder)] == [0, 100, 200]
    film.picture(grid_path(folder, 100), 100)  # after a rollback
    assert [nimg for nimg, _ in grids(folder)] == [0, 100]
    assert (folder.samples / "mine.png").exists()
