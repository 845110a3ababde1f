"""Sampling many, and sampling alike."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sparring.core.errors import SparringError
from sparring.core.registry import load_family
from sparring.core.spec import DataSpec
from sparring.tools.sample import draw, parse_seeds, sample_to

STATM = Path("/proc/self/statm")


@pytest.fixture
def game():
    torch.manual_seed(0)
    vanilla = load_family("vanilla")
    return vanilla(DataSpec("image", (1, 8, 8), count=10), vanilla.config_class(z_dim=4, width=8)).eval()


def test_seeds_are_read():
    assert list(parse_seeds("7")) == [7]
    assert list(parse_seeds("1, 5,10-12")) == [1, 5, 10, 11, 12]
    assert parse_seeds("0-999999999") == range(1_000_000_000)  # a range stays a range
    for wrong in ("", "a", "3-", "5-2", "-1", "1,,2", "1.5"):
        with pytest.raises(SparringError, match="no seeds"):
            parse_seeds(wrong)


@pytest.mark.parametrize("family", ["vanilla", "dcgan"])
def test_a_seed_is_the_same_sample_to_the_bit_in_any_company(family):
    cls = load_family(family)
    game = cls(DataSpec("image", (3, 28, 20), count=10), cls.config_class(width=16)).eval()
    (alone,) = draw(game, [7])
    several = torch.cat(list(draw(game, range(0, 150))))
    odd = torch.cat(list(draw(game, [99, 7, 3])))
    assert torch.equal(several[7], alone[0])
    assert torch.equal(odd[1], alone[0])


@pytest.mark.skipif(not STATM.exists(), reason="resident memory is read from Linux's /proc")
def test_memory_does_not_grow_with_the_number_of_samples(game):
    def most_resident(count):
        return max(int(STATM.read_text().split()[1]) for _ in draw(game, range(count)))

    before = most_resident(64 * 20)
    pages = most_resident(64 * 400) - before  # kept, these samples would take 6.5 MB
    assert pages * 4096 < 2e6


def test_a_thousand_go_into_one_npz_in_order(game, tmp_path):
    done = list(sample_to(game, range(1000), tmp_path, "npz"))
    assert done[-1] == 1000
    with np.load(tmp_path / "samples.npz", allow_pickle=False) as archive:
        images, seeds = archive["images"], archive["seeds"]
    assert images.shape == (1000, 8, 8, 1)
    assert images.dtype == np.uint8
    assert seeds.tolist() == list(range(1000))
    (alone,) = draw(game, [321])
    assert (alone[0, 0].mul(127.5).add(127.5).round().numpy() == images[321, :, :, 0]).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["samples.npz"]


def test_a_grid_too_large_to_be_seen_is_refused(game, tmp_path):
    with pytest.raises(SparringError, match="would not be seen"):
        list(sample_to(game, range(2000), tmp_path, "grid"))
