"""The conditional GAN: the class enters every layer, and the release's networks come out at 28x28."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sparring.core.batch import Batch
from sparring.core.config import Train
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.engine.loop import Engine
from sparring.families.image.cgan import CGAN, Config, join
from sparring.testing.conformance import CPU, RandomDealer

MNIST = DataSpec("image", (1, 28, 28), tuple("0123456789"), (6000,) * 10, 60000)


def weights(module: nn.Module) -> list[tuple[int, ...]]:
    """Shapes of what multiplies: of linear layers and convolutions."""
    kinds = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    return [tuple(m.weight.shape) for m in module.modules() if isinstance(m, kinds)]


def test_at_28x28_the_layers_are_those_of_the_release():
    game = CGAN(MNIST, Config(width=64, hidden=1024))
    # inputs: 100 + 10, 1024 + 10, 128 + 10, 64 + 10: y anew at every layer; 6272 = 128 * 7 * 7
    assert weights(game.G) == [(1024, 110), (6272, 1034), (138, 64, 5, 5), (74, 1, 5, 5)]
    assert weights(game.D) == [(64, 11, 5, 5), (128, 74, 5, 5), (1024, 6282), (1, 1034)]


def test_join_puts_the_class_behind_the_channels():
    y = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert join(torch.full((2, 1), 5.0), y).tolist() == [[5, 0, 1], [5, 1, 0]]
    planes = join(torch.zeros(2, 3, 2, 2), y)
    assert planes.shape == (2, 5, 2, 2)
    assert (planes[0, 4] == 1).all()
    assert (planes[0, 3] == 0).all()


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 28, 28), (3, 32, 20), (4, 31, 45)])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_any_shape(shape, norm):
    game = CGAN(DataSpec("image", shape, ("a", "b"), (3, 3), 6), Config(z_dim=3, width=2, hidden=4))
    labels = torch.tensor([0, 1])
    fakes = game.G(torch.randn(2, 3), labels)
    assert fakes.shape == (2, *shape)
    assert game.D(fakes, labels).shape == (2, 1)


def test_every_layer_alone_tells_the_classes_apart():
    """Blind all layers but one to y: the class still changes what comes out."""
    family, (spec, config) = CGAN, CGAN.tiny()
    labels = torch.tensor([0, 1, 2])
    torch.manual_seed(0)
    x = torch.randn(1, *spec.shape).expand(3, -1, -1, -1)
    z = torch.randn(1, config.z_dim).expand(3, -1)
    for name, inputs in (("G", (z,)), ("D", (x,))):
        torch.manual_seed(0)
        player = getattr(family(spec, config), name).eval()
        layers = [m for m in player.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
        saved = [layer.weight.detach().clone() for layer in layers]
        for sees in range(len(layers)):
            with torch.no_grad():
                for index, layer in enumerate(layers):
                    layer.weight.copy_(saved[index])
                    part = layer.weight if isinstance(layer, nn.ConvTranspose2d) else layer.weight.transpose(0, 1)
                    if index != sees:
                        part[-3:] = 0
                out = player(*inputs, labels)
            assert (out[0] - out[1]).abs().max() > 0, f"{name}: layer {sees} does not see the class"
        with torch.no_grad():
            for layer in layers:
                (layer.weight if isinstance(layer, nn.ConvTranspose2d) else layer.weight.transpose(0, 1))[-3:] = 0
            out = player(*inputs, labels)
        assert torch.equal(out[0], out[1]), f"{name} learns the class by another way"


def test_it_learns_which_class_is_dark():
    """Two classes, one dark and one light, 40 steps: G makes each of them when asked."""
    spec = DataSpec("image", (1, 8, 8), ("dark", "light"), (50, 50), 100)

    class Two(RandomDealer):
        def __init__(self):
            super().__init__(spec)
            self.real = (self.labels * 1.6 - 0.8).reshape(-1, 1, 1, 1) + 0.1 * self.real

    torch.manual_seed(0)
    game = CGAN(spec, Config(z_dim=4, width=4, hidden=16, discriminator_norm="none", r1_gamma=0.5))
    fast = {name: replace(optim, lr=3e-3) for name, optim in game.optimisers().items()}
    engine = Engine(game, Two(), Train(kimg=1, batch=16, ema_kimg=0), fast)
    for _ in range(40):
        engine.step()
    labels = torch.tensor([0, 1]).repeat(16)
    with torch.no_grad():
        made = game.eval().sample(Batch.of_seeds(range(32), labels, CPU)).mean((1, 2, 3))
    assert made[labels == 0].max() < -0.3
    assert made[labels == 1].min() > 0.3


def test_data_without_classes_is_refused():
    with pytest.raises(SparringError, match="at least two classes"):
        CGAN(DataSpec("image", (1, 8, 8), count=4), Config())
    with pytest.raises(SparringError, match="family wgan"):
        CGAN(MNIST, Config(loss="wasserstein"))
