"""Films frame by frame, by PyAV (``sparring[video]``): looked at, and made anew with each frame's time and the sound.

A film is written as H.264 in a Matroska or MP4 file, 8 bits a channel. A file appears when it is whole.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sparring.data.decode import BadPictureError

FILMS = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"})
IN_MP4 = frozenset({"aac", "mp3", "ac3", "opus", "alac", "flac"})  # sound that goes into an MP4 as it is
QUALITY = {"crf": "14"}  # of x264: no difference to be seen
EVEN, ODD = "yuv420p", "yuv444p"  # every player knows the first, which needs even sides


@dataclass(frozen=True)
class Film:
    """What is known of a film before it is played.

    Attributes:
        size: height and width, as a person sees it.
        frames: how many, as the file says or by its length; 1 at least.
        sound: the name of its codec, or empty.
    """

    size: tuple[int, int]
    frames: int
    sound: str

    @property
    def suffix(self) -> str:
        """Of the film made from it: ``.mp4`` unless the sound does not fit into one."""
        return ".mp4" if not self.sound or self.sound in IN_MP4 else ".mkv"


def is_film(path: Path) -> bool:
    """By its name."""
    return path.suffix.lower() in FILMS


def look(path: Path) -> Film:
    """Open a film and look at its first frame. Raises `BadPictureError`."""
    av = _library()
    with _bad(av), av.open(str(path)) as film:
        video = _video(film)
        size = _upright(next(film.decode(video))).shape[:2]
        length = video.frames or (film.duration or 0) / av.time_base * (video.average_rate or 0)
        sound = film.streams.audio[0].codec_context.name if film.streams.audio else ""
    return Film((size[0], size[1]), max(1, round(length)), sound)


def remake(source: Path, target: Path, size: tuple[int, int], make: Callable[[np.ndarray], np.ndarray]) -> None:
    """Write ``target`` from the frames of ``source``, each shown when it was, with the first track of its sound.

    Args:
        source, target: films.
        size: height and width of what is made.
        make: a frame ``(h, w, 3)`` uint8, upright, to ``(*size, 1 or 3)`` uint8; called in their order.

    Raises:
        BadPictureError: where the source cannot be read.
        OSError: where the target cannot be written.
    """
    av = _library()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    container = "mp4" if target.suffix == ".mp4" else "matroska"
    try:
        with _bad(av):
            film = av.open(str(source))
        with film, av.open(str(temporary), "w", format=container) as reel:
            video, sound = _video(film), film.streams.audio[0] if film.streams.audio else None
            out = reel.add_stream("libx264", rate=video.average_rate or 25, options=QUALITY)
            out.height, out.width = size
            out.pix_fmt = EVEN if size[0] % 2 == size[1] % 2 == 0 else ODD
            out.codec_context.time_base = video.time_base
            track = reel.add_stream_from_template(sound) if sound else None
            for packet, frames in _played(av, film, video, sound):
                if packet is not None:
                    packet.stream = track
                    reel.mux(packet)
                for frame in frames:
                    made = make(_upright(frame))
                    new = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.broadcast_to(made, (*size, 3))), "rgb24")
                    new.pts, new.time_base = frame.pts, frame.time_base
                    reel.mux(out.encode(new))
            reel.mux(out.encode())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _played(av: ModuleType, film: Any, video: Any, sound: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Packets of sound, or frames, as they lie in the file."""
    packets = film.demux([stream for stream in (video, sound) if stream is not None])
    while True:
        with _bad(av):
            packet = next(packets, None)
            if packet is None:
                return
            heard = packet.stream is sound
            frames = [] if heard else packet.decode()
        if not heard or packet.dts is not None:  # the last packet of sound is an empty one
            yield (packet if heard else None), frames


def _upright(frame: Any) -> np.ndarray:
    """A frame as a person sees it, ``(h, w, 3)`` uint8."""
    pixels: np.ndarray = frame.to_ndarray(format="rgb24")
    return np.rot90(pixels, round(frame.rotation / 90))


def _video(film: Any) -> Any:
    if not film.streams.video:
        raise BadPictureError("there is no picture in this film")
    return film.streams.video[0]


def _library() -> ModuleType:
    try:
        import av
    except ImportError:
        raise BadPictureError("films need PyAV: pip install 'sparring[video]'") from None
    return av


@contextmanager
def _bad(av: ModuleType) -> Iterator[None]:
    """Whatever a film's decoder meets is said in a few words."""
    try:
        yield
    except (av.FFmpegError, StopIteration) as error:
        why = getattr(error, "strerror", "") or "it has no frame"
        raise BadPictureError(f"this film cannot be read: {why}") from None
