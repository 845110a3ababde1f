"""The projection discriminator: an inner product of class and features, and nothing else, tells the classes apart."""

import pytest
import torch
from torch import nn

from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.families.image.projection import Config, Projection
from sparring.nn.resnet import ResDiscriminator

CIFAR = DataSpec("image", (3, 32, 32), tuple("0123456789"), (5000,) * 10, 50_000)


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture
def game():
    torch.manual_seed(0)
    return Projection(*Projection.tiny()).eval()


def test_at_32_pixels_d_is_the_papers_and_g_has_tables_in_place_of_scales():
    with torch.device("meta"):
        game = Projection(CIFAR, Config())
    assert count(game.D) == 1_053_824 + 1_280
    # six batch norms of 256 features: a scale and a shift for each of 10 classes in place of one of each
    assert count(game.G) == 4_276_739 + 6 * 2 * 256 * 9


def test_classes_differ_by_their_inner_product_with_the_features(game):
    x = torch.randn(5, 3, 12, 9)
    first, second = (game.D(x, torch.full((5,), y)) for y in (0, 1))
    v = game.D.embed.weight
    torch.testing.assert_close(first - second, game.D.features(x) @ (v[0] - v[1])[:, None], rtol=1e-4, atol=1e-5)


def test_without_an_embedding_d_is_deaf_to_classes():
    torch.manual_seed(0)
    d, x = ResDiscriminator((3, 8, 8), [4] * 4, 1, classes=2), torch.randn(3, 3, 8, 8)
    nn.init.zeros_(d.embed.weight)
    for y in (0, 1):
        assert torch.equal(d(x, torch.full((3,), y)), d.head(d.features(x)))


def test_a_class_that_is_absent_learns_nothing():
    torch.manual_seed(0)
    d = ResDiscriminator((3, 8, 8), [4] * 4, 1, classes=3)
    d(torch.randn(4, 3, 8, 8), torch.tensor([0, 2, 0, 2])).sum().backward()
    assert d.embed.weight.grad[1].abs().sum() == 0
    assert d.embed.weight.grad[[0, 2]].abs().sum(1).min() > 0


def test_features_are_summed_over_the_grid():
    torch.manual_seed(0)
    d = ResDiscriminator((1, 8, 8), [4] * 4, 1).eval()
    mean = ResDiscriminator((1, 8, 8), [4] * 4, 1, mean=True)
    mean.load_state_dict(d.state_dict())
    x = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(d.features(x), 16 * mean.features(x))  # a grid of 4x4


def test_the_class_changes_what_g_makes_once_its_tables_have_learnt(game):
    z = torch.randn(1, 4)
    assert torch.equal(game.G(z, torch.tensor([0])), game.G(z, torch.tensor([1])))  # they start as plain batch norm
    nn.init.normal_(game.G.blocks[0].norm1.gain.weight, 1, 0.5)
    assert not torch.equal(game.G(z, torch.tensor([0])), game.G(z, torch.tensor([1])))


def test_data_without_classes_is_refused_with_the_way_out():
    with pytest.raises(SparringError, match="--family sngan"):
        Projection(DataSpec("image", (3, 12, 9), count=64), Config())
