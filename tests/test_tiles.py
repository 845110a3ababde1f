"""Tiles: together they are the whole picture, whatever its size, and they are as many as they say."""

import itertools

import pytest
import torch
from torch import nn

from sparring.core.errors import SparringError
from sparring.tools.tiles import Tiling, strips

SIZES = [(1, 1), (1, 500), (40, 3), (64, 64), (65, 64), (129, 97), (100, 200)]
TILINGS = [Tiling(64, 16, 3), Tiling(48, 10, 1), Tiling(32, 8, 2), Tiling(64, 0, 2), Tiling(0)]


def network(scale: int = 1) -> nn.Module:
    """Sees 4 pixels far."""
    torch.manual_seed(0)
    last = nn.Conv2d(8, 3 * scale**2, 5, padding=2)
    return nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.Tanh(), last, nn.PixelShuffle(scale)).requires_grad_(False)


@pytest.mark.parametrize("tiling", TILINGS)
def test_shares_add_up_to_one_and_every_pixel_is_seen(tiling: Tiling) -> None:
    for side, scale in itertools.product((1, 17, 32, 33, 64, 65, 191, 256), (1, 3)):
        total = torch.zeros(side * scale, dtype=torch.float64)
        pieces = tiling.cut(side)
        for piece in pieces:
            assert 0 <= piece.first <= piece.begin < piece.end <= piece.last <= side
            assert piece.last - piece.first <= (tiling.tile or side)
            # Half of the overlap at least lies between what is used and an edge that the whole does not have.
            assert piece.first == 0 or piece.begin - piece.first >= tiling.overlap // 2
            assert piece.last == side or piece.last - piece.end >= tiling.overlap // 2
            total[piece.begin * scale : piece.end * scale] += piece.share(scale)
        torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [1, 2])
def test_tiles_and_whole_agree(size: tuple[int, int], scale: int) -> None:
    """Everywhere, borders too: the network sees 4 pixels far, and half of the overlap is 4 or more."""
    net = network(scale)
    picture = torch.rand(3, *size) * 2 - 1
    whole = net(picture[None])[0]
    for tiling in TILINGS[:3]:
        told: list[int] = []
        parts = list(strips(lambda r, c: picture[:, r, c], net, size, scale, tiling, told.append))
        torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-6)
        assert told[-1] == tiling.count(*size)
        assert told == sorted(told)


def test_without_overlap_there_are_seams_and_the_test_above_sees_them() -> None:
    net, picture = network(), torch.rand(3, 100, 100) * 2 - 1
    apart = torch.cat(list(strips(lambda r, c: picture[:, r, c], net, (100, 100), 1, Tiling(50, 0))), 1)
    assert (apart - net(picture[None])[0]).abs().max() > 0.01


def test_a_seam_between_tiles_that_disagree_is_a_slope() -> None:
    """Tiles that give their own number: from one to the next in equal steps along the overlap."""
    seen = itertools.count()

    def make(tiles: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.full_like(tile, float(next(seen))) for tile in tiles])

    (row,) = strips(lambda r, c: torch.zeros(1, 1, c.stop - c.start), make, (1, 96), 1, Tiling(64, 16))
    values = row[0, 0]
    assert values[:24].eq(0).all()
    torch.testing.assert_close(values[24:40], (torch.arange(16) + 0.5) / 16)
    assert values[40:56].eq(1).all()


def test_a_strip_is_no_larger_than_a_row_of_tiles() -> None:
    tiling = Tiling(64, 16)
    heights = [
        part.shape[1]
        for part in strips(lambda r, c: torch.zeros(3, r.stop - r.start, 64), nn.Identity(), (1000, 64), 1, tiling)
    ]
    assert sum(heights) == 1000
    assert max(heights) <= 64


@pytest.mark.parametrize("wrong", [(31, 0, 1), (64, 32, 1), (-1, 0, 1), (64, -1, 1), (64, 16, 0)])
def test_tilings_that_cannot_be(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(SparringError, match="--tile"):
        Tiling(*wrong)
