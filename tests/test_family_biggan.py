"""BigGAN: the published counts of parameters, latents by block, the shared embedding, the orthogonal penalty."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from sparring.core.batch import Batch
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.families.image.biggan import BigGAN, Config, Hierarchical
from sparring.nn.latent import truncate
from sparring.testing.conformance import CPU

IMAGENET = DataSpec("image", (3, 128, 128), tuple(map(str, range(1000))), (1281,) * 1000, 1_281_167)


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture
def game():
    torch.manual_seed(0)
    return BigGAN(*BigGAN.tiny()).eval()


def test_at_128_pixels_the_networks_have_the_published_parameters():
    with torch.device("meta"):
        game = BigGAN(IMAGENET, Config(width=96))
    assert game.G.z_dim == 120
    assert (count(game.G), count(game.D)) == (70_433_988, 87_982_370)


def test_every_chunk_of_z_and_the_class_reach_the_picture_through_their_own_block(game):
    z, label = torch.randn(1, game.G.z_dim), torch.tensor([0])
    seen = {}
    for place, block in enumerate(game.G.body.blocks):
        block.register_forward_pre_hook(lambda module, inputs, place=place: seen.update({place: inputs[1]}))
    game.G(z, label)
    shared = game.G.embed.weight[label]
    assert len(seen) + 1 == game.G.z_dim // 4
    for place, code in seen.items():
        assert torch.equal(code, torch.cat([shared, z[:, 4 * (place + 1) : 4 * (place + 2)]], 1))
    assert not torch.equal(game.G(z, label), game.G(z, torch.tensor([1])))


def test_the_shared_embedding_learns_from_every_block():
    torch.manual_seed(0)
    g = Hierarchical((1, 16, 16), 3, [4, 4, 4], classes=2, shared=5, attention=0)
    z, labels = torch.randn(4, 9), torch.tensor([0, 1, 0, 1])
    g(z, labels).square().sum().backward()
    whole = g.embed.weight.grad.clone()
    parts = []
    for alone in range(2):  # detach the embedding from all blocks but one
        g.zero_grad()
        shared, (first, *codes) = g.embed(labels), z.split(3, 1)
        cut = [shared if place == alone else shared.detach() for place in range(2)]
        g.body(first, [torch.cat(pair, 1) for pair in zip(cut, codes, strict=True)]).square().sum().backward()
        parts.append(g.embed.weight.grad.clone())
    assert all(float(part.abs().sum()) > 0 for part in parts)
    torch.testing.assert_close(sum(parts), whole, rtol=1e-3, atol=1e-4)


def test_networks_start_orthogonal_and_then_pay_no_penalty(game):
    batch = Batch.of_seeds(range(4), torch.tensor([0, 1, 0, 1]), CPU)
    with torch.no_grad():
        wide = [p for p in game.G.body.parameters() if p.ndim > 1 and len(p) <= p[0].numel()]
        for weight in wide:
            gram = weight.flatten(1) @ weight.flatten(1).T
            torch.testing.assert_close(gram, torch.eye(len(weight)), atol=1e-5, rtol=0)
        first = game.generator(batch).terms["orthogonal"]
        for weight in wide:
            weight[0] += 1.0
        assert game.generator(batch).terms["orthogonal"] > first
    without = BigGAN(game.spec, Config(z_chunk=4, width=1, shared_dim=4, ortho=0.0))
    assert not without.generator(batch).terms


def test_the_class_embedding_of_g_is_not_normalised_but_all_else_is(game):
    layers = {name: m for name, m in game.named_modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)}
    assert [name for name, layer in layers.items() if not is_parametrized(layer, "weight")] == ["G.embed"]


def test_truncated_latents_make_less_varied_samples():
    torch.manual_seed(0)
    game = BigGAN(BigGAN.tiny()[0], Config(z_chunk=8, width=8)).train()
    with torch.no_grad():
        game.G(torch.randn(64, game.G.z_dim), torch.zeros(64, dtype=torch.int64))
        game.eval()
        z, labels = torch.randn(32, game.G.z_dim), torch.zeros(32, dtype=torch.int64)
        spreads = [float(game.G(truncate(z, t), labels).std(0).mean()) for t in (0.1, 0.7, 10.0)]
    assert spreads == sorted(spreads)
    assert spreads[0] < 0.3 * spreads[2]


@pytest.mark.parametrize(("side", "lr", "defaults"), [(32, 2e-4, {"d_steps": 4, "attention": 0}), (64, 5e-5, {})])
def test_settings_follow_the_size(side, lr, defaults):
    spec = DataSpec("image", (3, side, side), ("a", "b"), (5, 5), 10)
    assert BigGAN.defaults(spec)["game"] == defaults
    with torch.device("meta"):
        assert BigGAN(spec, Config()).optimisers()["G"].lr == lr
    with pytest.raises(SparringError, match="at least two classes"):
        BigGAN(DataSpec("image", (3, side, side), count=10), Config())


def test_sampling_heeds_truncation():
    game = BigGAN(*BigGAN.tiny()).eval()
    labels = torch.zeros(3, dtype=torch.int64)
    batches = [Batch.of_seeds([1, 2, 3], labels, torch.device("cpu"), psi) for psi in (None, 0.3, 0.0)]
    noise = [Batch.of_seeds([1, 2, 3], labels, torch.device("cpu")).noise(game.G.z_dim) for _ in batches]
    with torch.no_grad():
        whole, typical, centre = (game.sample(batch) for batch in batches)
        torch.testing.assert_close(whole, game.G(noise[0], labels))
        torch.testing.assert_close(typical, game.G(truncate(noise[1], 0.3), labels))
    assert float(centre.std(0).max()) < 1e-4  # one class, no noise to speak of: one picture
