"""Consistency of enlarged pictures and overlap of label maps, by known answers."""

import math

import pytest
import torch

from sparring.core.errors import SparringError
from sparring.metrics.consistency import consistency
from sparring.metrics.overlap import overlap


def test_what_is_enlarged_is_consistent_and_what_is_changed_is_not():
    small = (torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(0)) * 100 + 50).round().to(torch.uint8)
    flat = torch.full((2, 3, 8, 6), 90, dtype=torch.uint8)
    assert consistency(flat.repeat_interleave(4, 2).repeat_interleave(4, 3), flat).tolist() == [math.inf, math.inf]
    lighter = (flat + 1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert consistency(lighter, flat).tolist() == pytest.approx([48.1308] * 2, abs=1e-4)  # 20 log10 255
    assert consistency(small, small).tolist() == [math.inf, math.inf]


@pytest.mark.parametrize(
    ("made", "given"),
    [
        ((1, 3, 9, 8), (1, 3, 4, 4)),
        ((1, 3, 8, 8), (1, 1, 4, 4)),
        ((1, 3, 8, 16), (1, 3, 4, 4)),
        ((1, 3, 2, 2), (1, 3, 4, 4)),
    ],
)
def test_what_cannot_be_compared_is_refused(made, given):
    with pytest.raises(SparringError):
        consistency(torch.zeros(made, dtype=torch.uint8), torch.zeros(given, dtype=torch.uint8))
    with pytest.raises(SparringError, match="uint8"):
        consistency(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 2, 2))


def test_overlap_by_hand():
    wanted = torch.tensor([[0, 0, 1, 1], [2, 2, 2, 9]])
    found = torch.tensor([[0, 1, 1, 1], [2, 2, 0, 0]])
    result = overlap(found, wanted, 4, ignored=9)
    assert result.per_class[:3] == pytest.approx((1 / 3, 2 / 3, 2 / 3))
    assert math.isnan(result.per_class[3])  # neither found nor wanted
    assert result.mean == pytest.approx((1 / 3 + 2 / 3 + 2 / 3) / 3)
    assert result.accuracy == pytest.approx(5 / 7)
    assert result.confusion.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]


def test_label_maps_that_do_not_fit_are_refused():
    good = torch.zeros(2, 2, dtype=torch.int64)
    with pytest.raises(SparringError, match="shape"):
        overlap(good, good[0], 2)
    with pytest.raises(SparringError, match="from 0 to 0"):
        overlap(good + 1, good, 1)
    with pytest.raises(SparringError, match="counts"):
        overlap(good, good, 2, ignored=0)
