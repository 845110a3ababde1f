"""WGAN-GP: the authors' networks, and a critic whose loss is worked by hand."""

import pytest
import torch
from torch import nn

from sparring.core.batch import Batch
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.families.image.wgan_gp import WGANGP, Config
from sparring.testing.conformance import CPU, RandomDealer

CIFAR = DataSpec("image", (3, 32, 32), count=50_000)
TINY = Config(z_dim=4, width=2, dequantise=False)


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture
def dealt():
    torch.manual_seed(0)
    game = WGANGP(WGANGP.tiny()[0], TINY)
    batch = Batch.of_seeds(range(8), None, CPU)
    batch.real = RandomDealer(game.spec).deal(0, 8)[0]
    return game, batch


class Linear(nn.Module):
    """D(x) = <w, x>: its gradient is w wherever one looks."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x, labels=None):
        return (self.weight * x).flatten(1).sum(1, keepdim=True)


def test_at_32_pixels_the_networks_have_the_parameters_of_the_authors_code():
    with torch.device("meta"):
        game = WGANGP(CIFAR, Config())
    assert (count(game.G), count(game.D)) == (1_204_483, 1_053_825)


@pytest.mark.parametrize("norm", [0.0, 0.5, 3.0])
def test_a_linear_critic_pays_10_times_its_slope_less_1_squared(dealt, norm):
    game, batch = dealt
    game.D = Linear(nn.functional.normalize(torch.randn(3, 12, 9).flatten(), dim=0).reshape(3, 12, 9) * norm)
    outcome = game.critic(batch)
    assert outcome.terms["penalty"].item() == pytest.approx(10 * (norm - 1) ** 2, abs=1e-4)
    distance = outcome.real_logits.mean() - outcome.fake_logits.mean()
    assert outcome.loss.item() == pytest.approx((outcome.terms["penalty"] - distance).item(), abs=1e-5)


def test_no_sample_of_the_critics_batch_bears_on_another(dealt):
    game, _ = dealt
    x = torch.randn(4, 3, 12, 9)
    torch.testing.assert_close(game.D(x)[:1], game.D(x[:1]), rtol=1e-4, atol=1e-6)
    assert not [m for m in game.D.modules() if isinstance(m, nn.BatchNorm2d)]


def test_the_penalty_reaches_every_weight_of_the_critic_but_not_the_generator(dealt):
    game, batch = dealt
    game.G.requires_grad_(False)  # as the engine does in D's turn
    game.critic(batch).terms["penalty"].backward()
    reached = {name for name, p in game.D.named_parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)}
    assert {name for name, _ in game.D.named_parameters() if name.endswith("weight")} <= reached
    assert "head.bias" not in reached  # a constant added to D has no gradient


def test_without_a_penalty_there_is_no_wasserstein_critic():
    spec, _ = WGANGP.tiny()
    with pytest.raises(SparringError, match="nothing bounds the critic's slope"):
        WGANGP(spec, Config(z_dim=4, width=2, gp_weight=0.0))
    WGANGP(spec, Config(z_dim=4, width=2, gp_weight=0.0, loss="hinge"))
