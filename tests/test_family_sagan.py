"""SAGAN: attention in both networks, spectral norm in both, and fakes that survive being made twice."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sparring.core.errors import SparringError
from sparring.core.observer import Probe
from sparring.core.spec import DataSpec
from sparring.families.image.sagan import SAGAN, Config
from sparring.testing.conformance import TRAIN, make_engine


@pytest.mark.parametrize(("side", "sides"), [(32, 16), (64, 32), (128, 32)])
def test_attention_sits_at_32_pixels_or_at_half_a_small_picture(side, sides):
    seen = []
    game = SAGAN(DataSpec("image", (3, side, side), count=64), Config(z_dim=4, width=1, conditional=False))
    for net in (game.G, game.D):
        net.attention.register_forward_hook(lambda module, inputs, out: seen.append(tuple(out.shape[2:])))
    with torch.no_grad():
        game.D(game.G(torch.randn(2, 4)))
    assert seen == [(sides, sides)] * 2


def test_every_map_of_both_networks_is_normalised_but_no_table_of_g():
    game = SAGAN(*SAGAN.tiny())
    for layer in game.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert hasattr(layer, "parametrizations")
    assert hasattr(game.D.embed, "parametrizations")
    assert not hasattr(game.G.blocks[0].norm1.gain, "parametrizations")


def test_d_learns_four_times_as_fast():
    optim = SAGAN(*SAGAN.tiny()).optimisers()
    assert optim["D"].lr == 4 * optim["G"].lr == 4e-4
    assert optim["G"].betas == optim["D"].betas == (0.0, 0.9)


@pytest.mark.parametrize("microbatches", [1, 2])
def test_the_fakes_that_d_judges_are_those_that_g_learns_from(microbatches):
    """With several microbatches G makes its fakes a second time; its spectral norms must not have moved between."""
    fakes = {"D": [], "G": []}

    class Keep(Probe):
        def see(self, turn, batch, outcome):
            fakes[turn.players].append(outcome.fake.detach())

        def report(self):
            return {}

    engine = make_engine(SAGAN, replace(TRAIN, microbatches=microbatches), probes=(Keep(),))
    with torch.no_grad():
        for name, buffer in engine.game.G.named_buffers():
            if name.endswith(("_u", "_v")):  # far from converged: a power iteration shows
                buffer.copy_(nn.functional.normalize(torch.ones_like(buffer), dim=0))
    engine.step()
    assert len(fakes["D"]) == len(fakes["G"]) == microbatches
    for judged, learnt in zip(fakes["D"], fakes["G"], strict=True):
        torch.testing.assert_close(judged, learnt, rtol=0, atol=1e-6)  # kernels with a graph may round otherwise


def test_without_classes_it_plays_without_them():
    bare = DataSpec("image", (3, 12, 9), count=64)
    with pytest.raises(SparringError, match="at least two classes"):
        SAGAN(bare, Config(width=2))
    assert SAGAN.defaults(bare) == {"game": {"conditional": False}}
    assert SAGAN.defaults(SAGAN.tiny()[0]) == {}
    game = SAGAN(bare, Config(width=2, conditional=False))
    assert game.D.embed is None
    with pytest.raises(ValueError, match="side of a map"):
        Config(attention=-1)
