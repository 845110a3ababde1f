"""Films through ``apply``: every frame, shown when it was, with the sound; what is no film has its sentence."""

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.core.errors import SparringError
from sparring.core.game import Game
from sparring.data import films
from sparring.data.decode import BadPictureError
from sparring.tools.apply import Applier, apply_to
from sparring.tools.applying import Applied, apply_files
from sparring.tools.tiles import Tiling
from translators import Enlarge, Retouch, Same

av = pytest.importorskip("av")
RATE, COUNT, SOUND = 10, 12, 48_000


def pictures(height: int, width: int, count: int = COUNT) -> list[np.ndarray]:
    """A slope of colours that gets brighter from frame to frame."""
    across, down = np.linspace(0, 180, width), np.linspace(0, 180, height)[:, None]
    slope = np.stack(np.broadcast_arrays(across, down, 90.0), -1)
    return [np.clip(slope + 5 * number, 0, 255).astype(np.uint8) for number in range(count)]


def film(path: Path, height: int = 32, width: int = 48, codec: str = "libx264", sound: str = "") -> Path:
    """A film; its frames are shown at tenths of a second, but for the last, which comes half a second late."""
    with av.open(str(path), "w") as reel:
        video = reel.add_stream(codec, rate=RATE)
        video.height, video.width = height, width
        video.pix_fmt = "yuv420p" if height % 2 == width % 2 == 0 else "yuv444p"
        audio = reel.add_stream(sound, rate=SOUND) if sound else None
        for number, pixels in enumerate(pictures(height, width)):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = number + (5 if number == COUNT - 1 else 0), Fraction(1, RATE)
            reel.mux(video.encode(frame))
        reel.mux(video.encode())
        if audio:
            wave = (9000 * np.sin(np.arange(SOUND) / 9)).astype(np.int16)
            for first in range(0, SOUND, 960):
                part = av.AudioFrame.from_ndarray(wave[None, first : first + 960], "s16", "mono")
                part.rate, part.pts = SOUND, first
                reel.mux(audio.encode(part))
            reel.mux(audio.encode())
    return path


def played(path: Path) -> tuple[list[np.ndarray], list[float], str, list[bytes]]:
    """Frames, the times at which they are shown, the sound's codec, and its packets."""
    with av.open(str(path)) as reel:
        frames = list(reel.decode(video=0))
        shown = [frame.to_ndarray(format="rgb24") for frame in frames], [round(frame.time, 3) for frame in frames]
        codec = reel.streams.audio[0].codec_context.name if reel.streams.audio else ""
    with av.open(str(path)) as reel:
        heard = [bytes(packet) for packet in reel.demux(audio=0) if packet.size] if codec else []
    return *shown, codec, heard


def applier(cls: type[Game]) -> Applier:
    torch.manual_seed(0)
    return Applier(cls(cls.tiny()[0], None).eval().requires_grad_(False), Tiling(48, 8, 2))


def through(network: Applier, path: Path, out: Path, **options: Any) -> Path:
    done = apply_files(network, [path], out, **options)
    assert not done.failed, done.failed
    (target,) = done.written
    return target


def test_frames_times_and_sound_come_through(tmp_path: Path) -> None:
    before = played(film(tmp_path / "clip.mp4", sound="aac"))
    told: list[tuple[str, int, int]] = []
    target = through(applier(Same), tmp_path / "clip.mp4", tmp_path / "out", progress=lambda *at: told.append(at))
    after = played(target)
    assert target.name == "clip.mp4"
    assert after[1:] == before[1:]
    assert len(after[3]) > 3
    assert after[1][-2:] == [1.0, 1.6]
    assert np.abs(np.stack(after[0]).astype(int) - np.stack(before[0])).max() <= 6  # coded twice
    assert told[-1] == ("tiles", COUNT, COUNT)
    assert [at for _, at, _ in told] == sorted(at for _, at, _ in told)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("size", [(32, 48), (33, 47)])
def test_frames_are_made_as_pictures_are(tmp_path: Path, size: tuple[int, int]) -> None:
    network = applier(Enlarge)
    source = film(tmp_path / "clip.mov", *size)
    target = through(network, source, tmp_path / "out")
    scale = network.game.scale
    frames = played(target)[0]
    assert len(frames) == COUNT
    assert frames[0].shape == (size[0] * scale, size[1] * scale, 3)
    for made, given in zip(frames, played(source)[0], strict=True):
        assert np.abs(made.astype(float) - apply_to(network, given)).mean() < 3


@pytest.mark.parametrize(
    ("name", "codec", "sound", "made"),
    [("a.mkv", "libx264", "pcm_s16le", "a.mkv"), ("a.webm", "libvpx", "libopus", "a.mp4")],
)
def test_the_kind_of_file_follows_the_sound(tmp_path: Path, name: str, codec: str, sound: str, made: str) -> None:
    source = film(tmp_path / name, codec=codec, sound=sound)
    target = through(applier(Same), source, tmp_path / "out")
    assert target.name == made
    assert played(target)[2:] == played(source)[2:]
    assert len(played(target)[3]) > 3


def test_a_folder_of_pictures_and_films(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    film(folder / "deep" / "clip.mp4")
    Image.fromarray(pictures(20, 20, 1)[0]).save(folder / "still.png")
    (folder / "broken.mp4").write_bytes(b"\0" * 4000)
    (folder / "text.avi").write_text("no film")
    done = apply_files(applier(Retouch), [folder], tmp_path / "out")
    assert isinstance(done, Applied)
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in done.written) == [
        "deep/clip.mp4",
        "still.png",
    ]
    assert sorted(path.name for path, _ in done.failed) == ["broken.mp4", "text.avi"]
    assert all(why.startswith("this film cannot be read: ") for _, why in done.failed)


def test_a_film_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    source = film(tmp_path / "clip.mkv")
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    done = apply_files(applier(Same), [source], tmp_path / "out")
    assert not list((tmp_path / "out").glob(".*")), "no half file is left behind"
    assert done.written or done.failed[0][1].startswith("this film cannot be read")


def test_without_pyav_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = film(tmp_path / "clip.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(BadPictureError, match=r"pip install 'sparring\[video\]'"):
        films.look(source)
    done = apply_files(applier(Same), [source], tmp_path / "out")
    assert not done.written
    assert "sparring[video]" in done.failed[0][1]


def test_it_is_not_written_over_itself(tmp_path: Path) -> None:
    with pytest.raises(SparringError, match="would be written over"):
        apply_files(applier(Same), [film(tmp_path / "clip.mp4")], tmp_path)
