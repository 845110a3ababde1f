"""Asking for truncated samples: passed on to families that have a centre, refused by the others with a reason."""

import math

import pytest
import torch

from sparring.core.batch import Batch
from sparring.core.errors import SparringError
from sparring.families.image.stylegan2 import StyleGAN2
from sparring.families.image.vanilla import Vanilla
from sparring.testing.conformance import make_game
from sparring.tools.sample import draw, sample_to


def test_the_number_reaches_the_family():
    game = make_game(StyleGAN2).eval()
    given = []
    original = game.sample

    def sample(batch: Batch):
        given.append(batch.truncation)
        return original(batch)

    game.sample = sample
    for truncation in (None, 0.5):
        list(draw(game, [1], None, truncation))
    assert given == [None, 0.5]


@pytest.mark.parametrize("kind", ["files", "grid", "npz"])
def test_every_way_of_writing_heeds_it(tmp_path, kind):
    game = make_game(StyleGAN2).eval()
    for folder, truncation in (("whole", None), ("again", 1.0), ("mean", 0.0)):
        assert list(sample_to(game, [1, 2], tmp_path / folder, kind, truncation=truncation))[-1] == 2
    whole, again, mean = (
        [path.read_bytes() for path in sorted((tmp_path / folder).iterdir())] for folder in ("whole", "again", "mean")
    )
    if kind != "npz":  # an archive carries the time of day
        assert whole == again
    assert whole != mean


def test_a_family_without_a_centre_refuses(tmp_path):
    game = make_game(Vanilla).eval()
    with pytest.raises(SparringError, match="says no way"):
        list(draw(game, [1], truncation=0.7))
    with pytest.raises(SparringError, match="says no way"):
        list(sample_to(game, [1], tmp_path / "out", truncation=0.7))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("truncation", [-0.1, math.nan, math.inf])
def test_what_is_no_truncation_is_refused(truncation):
    with pytest.raises(SparringError, match="number from 0"):
        list(draw(make_game(StyleGAN2).eval(), [1], truncation=truncation))


def test_training_never_truncates():
    assert Batch.of_seeds([1], None, torch.device("cpu")).truncation is None
