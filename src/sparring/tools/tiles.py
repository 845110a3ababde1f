"""A picture of any size through a network, in tiles that overlap and are blended, so that no seam shows.

Each tile is responsible for a square of the picture and sees ``overlap`` pixels more on every side. Around each border
between two of them the result goes over from one to the other along ``overlap`` pixels, so what is used of a tile lies
``overlap / 2`` or more from the edges that the whole picture does not have: a network of convolutions that sees no
further than that gives what it gives of the whole, but for rounding. The shares of the tiles at any pixel add up to 1.

The result comes strip by strip from the top: memory holds one row of tiles, however high the picture.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.core.errors import SparringError

LEAST = 32  # pixels a side of a tile
STEP = 16  # by which a tile moves to see more: networks that halve their pictures find the same pixels together

Read = Callable[[slice, slice], Tensor]  # rows, columns: float (c, h, w) in [-1, 1]
Make = Callable[[Tensor], Tensor]  # (n, c, h, w) to (n, c', scale * h, scale * w)


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut.

    Attributes:
        tile: side of what the network sees, in pixels; 0: all pictures whole.
        overlap: how much further than its own square a tile sees, in pixels.
        batch: tiles that go through the network together.
    """

    tile: int = 256
    overlap: int = 32
    batch: int = 1

    def __post_init__(self) -> None:
        if self.tile < 0 or self.overlap < 0 or self.batch < 1:
            raise SparringError("--tile and --overlap are 0 or more, --batch 1 or more")
        if self.tile and self.tile < max(LEAST, 3 * self.overlap):
            raise SparringError(
                f"--tile {self.tile} is too small for --overlap {self.overlap}: a tile is {LEAST} pixels or more, and "
                "three times the overlap, of which it sees one on each side of its own square"
            )

    def cut(self, side: int) -> list["Piece"]:
        """The pieces along a side of so many pixels, in order."""
        if not self.tile or side <= self.tile:
            return [Piece(0, side, 0, side, 0)]
        own, half = self.tile - 2 * self.overlap, self.overlap // 2
        pieces = []
        for start in range(0, side, own):
            stop = min(side, start + own)
            first, last = max(0, start - self.overlap), min(side, stop + self.overlap)
            missing = self.tile // 2 - (last - first)  # what is left at the end may be narrow
            first = max(0, first - max(0, -(-missing // STEP)) * STEP)
            pieces.append(
                Piece(
                    *(first, last),
                    *(max(0, start - half) if start else 0, min(side, stop + half)),
                    2 * half,
                    start,
                    stop if stop < side else 0,
                )
            )
        return pieces

    def count(self, height: int, width: int) -> int:
        """How many tiles there are."""
        return len(self.cut(height)) * len(self.cut(width))


@dataclass(frozen=True)
class Piece:
    """One stretch of a side, in pixels.

    Attributes:
        first, last: what the network sees.
        begin, end: what is used of the result.
        blend: along how many pixels it goes over into its neighbours.
        before, after: the borders to its neighbours; 0 where it has none.
    """

    first: int
    last: int
    begin: int
    end: int
    blend: int
    before: int = 0
    after: int = 0

    def share(self, scale: int) -> Tensor:
        """Its share of each pixel of the result from ``begin`` to ``end``, float64 ``(scale * (end - begin),)``."""
        places = (torch.arange(scale * (self.end - self.begin), dtype=torch.float64) + 0.5) / scale + self.begin
        share = torch.ones_like(places)
        for border, sign in ((self.before, 1), (self.after, -1)):
            if border:
                rising = (places - border) / self.blend + 0.5 if self.blend else (places >= border).double()
                share *= rising.clamp(0, 1) if sign > 0 else 1 - rising.clamp(0, 1)
        return share


def strips(
    read: Read,
    make: Make,
    size: tuple[int, int],
    scale: int,
    tiling: Tiling,
    tell: Callable[[int], None] = lambda done: None,
) -> Iterator[Tensor]:
    """The result, float32 ``(c', rows, scale * width)`` at a time, from the top down.

    Args:
        read: gives a part of the picture.
        make: the network.
        size: height and width of the picture.
        scale: how many times larger the result is, a side.
        tell: called with how many tiles are done.
    """
    down, across = tiling.cut(size[0]), tiling.cut(size[1])
    done, carried = 0, None
    for row, below in zip(down, [*down[1:], None], strict=True):
        strip: Tensor | None = None
        for pieces in _alike(across, tiling.batch):
            tiles = torch.stack([read(slice(row.first, row.last), slice(p.first, p.last)) for p in pieces])
            made = make(tiles)
            top = scale * (row.begin - row.first)
            for piece, tile in zip(pieces, made.float().cpu(), strict=True):
                left = scale * (piece.begin - piece.first)
                height, width = scale * (row.end - row.begin), scale * (piece.end - piece.begin)
                if strip is None:
                    strip = torch.zeros(len(tile), height, scale * size[1])
                weight = (row.share(scale)[:, None] * piece.share(scale)).float()
                part = tile[:, top : top + height, left : left + width]
                strip[:, :, scale * piece.begin : scale * piece.end] += part * weight
            done += len(pieces)
            tell(done)
        assert strip is not None
        if carried is not None:
            strip[:, : carried.shape[1]] += carried
        ready = scale * ((row.end if below is None else below.begin) - row.begin)
        carried = strip[:, ready:].clone()
        yield strip[:, :ready]


def _alike(pieces: list[Piece], batch: int) -> Iterator[list[Piece]]:
    """Neighbours that see as many pixels, ``batch`` at a time."""
    group: list[Piece] = []
    for piece in pieces:
        if group and (len(group) == batch or piece.last - piece.first != group[0].last - group[0].first):
            yield group
            group = []
        group.append(piece)
    yield group
