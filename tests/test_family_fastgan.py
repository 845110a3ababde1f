"""FastGAN: the paper's layout at its sizes, excitation, quadrants, margins, and reconstruction."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sparring.core.batch import Batch
from sparring.core.errors import SparringError
from sparring.core.registry import load_family
from sparring.core.seeds import PositionNoise
from sparring.core.spec import DataSpec
from sparring.nn.fastgan import Excitation, FastDiscriminator, FastGenerator, Noise, quadrant, small_size
from sparring.objectives.adversarial import hinge_discriminator
from sparring.objectives.reconstruction import pooled_l1
from sparring.testing import conformance

FAMILY = load_family("fastgan")
SPEC, TINY = FAMILY.tiny()


@pytest.mark.parametrize(
    ("shape", "small"),
    [
        ((1, 8, 8), (4, 4)),
        ((2, 28, 28), (14, 14)),
        ((3, 32, 32), (16, 16)),
        ((4, 31, 45), (16, 23)),
        ((3, 64, 48), (32, 24)),
        ((3, 100, 20), (50, 10)),
        ((3, 128, 128), (64, 64)),
    ],
)
def test_any_shape(shape, small):
    torch.manual_seed(0)
    G, D = FastGenerator(shape, 5, 4), FastDiscriminator(shape, 4)
    fakes = G(torch.randn(2, 5), [torch.randn(2, *noise) for noise in G.noise_shapes])
    assert [tuple(x.shape[1:]) for x in fakes] == [shape, (shape[0], *small)]
    assert small_size(*shape[1:]) == small
    assert max(x.abs().max().item() for x in fakes) <= 1
    features = D.features(*fakes)
    assert D(*fakes).shape == D.score(*features).shape
    for made, wanted in D.rebuild(fakes[0], features, torch.tensor([0, 3])):
        assert made.shape == wanted.shape
        assert min(made.shape[2:]) >= 6


def test_at_256_and_1024_the_layout_is_the_papers():
    with torch.device("meta"):
        G, D = FastGenerator((3, 256, 256), 256, 64), FastDiscriminator((3, 256, 256), 64)
        large_G, large_D = FastGenerator((3, 1024, 1024), 256, 64), FastDiscriminator((3, 1024, 1024), 64)
        assert D(torch.empty(2, 3, 256, 256), torch.empty(2, 3, 128, 128)).shape == (2, 25 + 25)
        assert large_D(torch.empty(2, 3, 1024, 1024), torch.empty(2, 3, 128, 128)).shape == (2, 25 + 25)

    def ends(network):
        """Channels that leave each block, by its last normalisation (a gate halves them)."""
        norms = [[m for m in block.modules() if isinstance(m, nn.BatchNorm2d)][-1] for block in network.blocks]
        return [norm.num_features for norm in norms]

    assert [n // 2 for n in ends(large_G)] == [512, 256, 128, 128, 64, 32, 16, 8]
    assert [len(block.noises) for block in large_G.blocks] == [2, 0, 2, 0, 2, 0, 2, 0]
    assert list(G.links) == ["4", "5", "6"]  # 4 -> 64, 8 -> 128, 16 -> 256
    assert list(large_G.links) == ["4", "5", "6", "7"]  # and 32 -> 512
    assert G.reach == large_G.reach == 4
    assert ends(D) == ends(large_D) == [32, 64, 128, 256, 512]
    assert list(D.links) == ["3", "4", "5"]
    assert small_size(256, 256) == small_size(512, 512) == small_size(1024, 1024) == (128, 128)
    assert large_G.to_small.in_channels == 64


def test_excitation_gates_channels_between_0_and_1():
    torch.manual_seed(0)
    link = Excitation(6, 5)
    fine = torch.ones(2, 5, 9, 7)
    gated = link(5 * torch.randn(2, 6, 4, 4), fine)
    assert gated.shape == fine.shape
    assert 0 < gated.min() < gated.max() < 1
    assert torch.equal(gated, gated[:, :, :1, :1].expand_as(gated))  # one number a channel
    assert link(torch.randn(2, 6, 2, 3), fine).shape == fine.shape  # coarser than the 4x4 it looks at


def test_noise_is_silent_at_first():
    x = torch.randn(2, 3, 4, 4)
    noise = Noise()
    assert torch.equal(noise(x, torch.randn(2, 1, 4, 4)), x)
    nn.init.ones_(noise.weight)
    assert torch.equal(noise(x, torch.full((2, 1, 4, 4), 0.5)), x + 0.5)


def test_quadrants_by_hand():
    x = torch.arange(16.0).reshape(1, 1, 4, 4).expand(4, -1, -1, -1)
    assert quadrant(x, torch.arange(4)).flatten(1).tolist() == [
        [0, 1, 4, 5],
        [2, 3, 6, 7],
        [8, 9, 12, 13],
        [10, 11, 14, 15],
    ]


def test_the_quadrant_of_the_features_is_the_quadrant_of_the_picture():
    """A picture bright in one quarter: its pooled features are bright in that same quarter."""
    picture = torch.zeros(4, 1, 16, 16)
    for n, (top, left) in enumerate([(0, 0), (0, 8), (8, 0), (8, 8)]):
        picture[n, :, top : top + 8, left : left + 8] = 1
    features = nn.functional.avg_pool2d(picture, 4)
    assert quadrant(features, torch.arange(4)).mean() == quadrant(picture, torch.arange(4)).mean() == 1


def test_pooled_l1_by_hand():
    made = torch.tensor([[1.0, -1], [1, 3]]).reshape(1, 1, 2, 2)
    assert pooled_l1(made, torch.zeros(1, 1, 2, 2)).item() == pytest.approx((1.5 + 1) / 2)  # too small for a third
    assert pooled_l1(made, torch.zeros(1, 1, 2, 2), levels=1).item() == pytest.approx(1.5)
    noise = torch.tensor([1.0, -1]).repeat(8).reshape(1, 1, 4, 4)
    assert pooled_l1(noise, torch.zeros_like(noise)).item() == pytest.approx(1 / 3)  # pooling hears no noise
    assert pooled_l1(torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)).item() == 1
    with pytest.raises(ValueError, match="differ in shape"):
        pooled_l1(made, noise)


def test_hinge_with_margins_by_hand():
    r, f = torch.tensor([[0.5], [2.0]]), torch.tensor([[-0.7], [0.1]])
    loss = hinge_discriminator(r, f, torch.tensor([[0.8], [0.9]]), torch.tensor([[0.9], [0.8]]))
    assert loss.item() == pytest.approx((0.3 + 0) / 2 + (0.2 + 0.9) / 2)
    assert hinge_discriminator(r, f).item() == pytest.approx((0.5 + 0) / 2 + (0.3 + 1.1) / 2)


# ---------------------------------------------------------------------- the game


def make_game(**settings):
    torch.manual_seed(0)
    return FAMILY(SPEC, replace(TINY, **settings))


def make_batch(n=8):
    return Batch(conformance.RandomDealer(SPEC).deal(0, n)[0], None, 0, PositionNoise(n, 3, torch.device("cpu")))


def test_margins_are_drawn_from_08_to_1():
    """Of a D that says 0 to all, the hinge is E margin + E margin = 1.8, and never one of the ends."""
    game = make_game(rebuild=0.0)
    zero = torch.zeros(8, 500)
    game.D.score = lambda *features: zero
    game.D.forward = lambda *images: zero
    assert game.discriminator(make_batch()).loss.item() == pytest.approx(1.8, abs=0.01)


def test_gs_loss_is_minus_the_mean_logit_of_both_pictures():
    game = make_game()
    outcome = game.generator(make_batch())
    assert outcome.fake_logits.shape[1] > 1
    torch.testing.assert_close(outcome.loss, -outcome.fake_logits.mean())
    assert outcome.fake.shape == (8, *SPEC.shape)


def test_what_is_shared_comes_apart_as_it_was():
    from sparring.families.image.fastgan import pack, unpack

    whole, small = torch.randn(3, 2, 5, 4), torch.randn(3, 2, 3, 2)
    back = unpack(pack(whole, small), (2, 5, 4), (3, 2))
    assert torch.equal(back[0], whole)
    assert torch.equal(back[1], small)


def test_the_decoders_learn_to_draw_the_reals():
    torch.manual_seed(0)
    shape = (1, 16, 16)
    D = FastDiscriminator(shape, 4)
    line = torch.linspace(-1, 1, 16)
    images = torch.stack([line.expand(1, 16, 16), -line[:, None].expand(1, 16, 16)] * 4)
    small = nn.functional.avg_pool2d(images, 2)
    optimiser = torch.optim.Adam(D.parameters(), 2e-3)
    losses = []
    for step in range(60):
        which = torch.full((8,), step % 4)
        loss = sum(pooled_l1(a, b) for a, b in D.rebuild(images, D.features(images, small), which))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-4:]) < 0.4 * sum(losses[:4])


def test_reals_and_fakes_are_augmented_alike():
    game = make_game()
    seen = []
    game.augment.register_forward_hook(lambda _, inputs, out: seen.append(tuple(out.shape[1:])))
    game.discriminator(make_batch())
    assert seen == [SPEC.shape, SPEC.shape, (3, *game.G.small)]
    seen.clear()
    game.generator(make_batch())
    assert seen == [SPEC.shape, (3, *game.G.small)]


def test_mistakes_are_refused():
    with pytest.raises(SparringError, match=r"game\.policy has no 'colour'"):
        make_game(policy="colour")


def test_without_a_policy_D_sees_pictures_as_they_are():
    pictures = torch.rand(2, 3, 8, 8)
    assert torch.equal(make_game(policy="none").augment(pictures), pictures)
    assert not torch.equal(make_game().augment(pictures), pictures)
    with pytest.raises(SparringError, match=r"--data\.size 8"):
        FAMILY(DataSpec("image", (1, 6, 9)), TINY)
