"""Building blocks: sizes, counts, and what the paper's numbers say."""

import pytest
import torch
from torch import nn

from sparring.nn.dcgan import DCDiscriminator, DCGenerator, stages


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_dcgan_has_the_published_number_of_parameters():
    assert count(DCGenerator((3, 64, 64), z_dim=100, width=64)) == 3_576_704
    assert count(DCDiscriminator((3, 64, 64), width=64, norm="batch")) == 2_765_568


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 28, 28), (3, 64, 48), (4, 31, 45), (3, 100, 20)])
def test_dcgan_makes_and_judges_any_shape(shape):
    fakes = DCGenerator(shape, 5, 4, classes=3)(torch.randn(2, 5), torch.tensor([0, 2]))
    assert fakes.shape == (2, *shape)
    assert DCDiscriminator(shape, 4, classes=3)(fakes, torch.tensor([0, 2])).shape == (2, 1)


def test_stages():
    assert [stages(side, side) for side in (8, 16, 28, 32, 64, 100, 256)] == [2, 2, 2, 3, 4, 4, 6]


def test_weights_begin_as_the_paper_says():
    torch.manual_seed(0)
    G = DCGenerator((3, 64, 64), 100, 32)
    convolutions = [m for m in G.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert all(m.weight.std().item() == pytest.approx(0.02, rel=0.1) for m in convolutions)
    norm = next(m for m in G.modules() if isinstance(m, nn.BatchNorm2d))
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.01)


def test_without_batchnorm_d_keeps_the_scale_of_what_it_sees():
    torch.manual_seed(0)
    features = DCDiscriminator((3, 64, 64), 32).trunk(torch.randn(8, 3, 64, 64))
    assert 0.3 < features.std().item() < 3


def test_the_projection_is_an_inner_product():
    torch.manual_seed(0)
    D = DCDiscriminator((1, 8, 8), 4, classes=3)
    x = torch.randn(2, 1, 8, 8)
    phi = D.trunk(x).sum((2, 3))
    difference = D(x, torch.tensor([0, 0])) - D(x, torch.tensor([2, 2]))
    expected = phi @ (D.embed.weight[0] - D.embed.weight[2])
    torch.testing.assert_close(difference.squeeze(1), expected, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        D.embed.weight.zero_()
    assert torch.equal(D(x, torch.tensor([0, 1])), D(x, torch.tensor([2, 2])))
