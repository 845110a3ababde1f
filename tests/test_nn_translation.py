"""Networks from pictures to pictures: counts of their papers, sizes, receptive fields, pools, panels."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from sparring.nn.panels import in_channels, panels
from sparring.nn.patch_discriminator import MultiScaleDiscriminator, PatchDiscriminator, layers_for
from sparring.nn.patch_features import PatchSampler
from sparring.nn.pool import ImagePool
from sparring.nn.translator import Blur, Translator
from sparring.nn.unet import UNet, levels_for


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def meta(make):
    with torch.device("meta"):
        return make()


# ---------------------------------------------------------------------- as large as in the papers


def test_the_u_net_is_the_papers():
    assert count(meta(lambda: UNet(3, 3, 64, 8, "batch"))) == 54_413_955
    assert count(meta(lambda: UNet(3, 3, 64, 7, "batch"))) == 41_828_995
    assert [levels_for(*size) for size in ((256, 256), (64, 64), (128, 512), (9, 12), (1, 5))] == [8, 6, 7, 3, 1]


def test_the_critic_of_patches_is_the_papers():
    assert count(meta(lambda: PatchDiscriminator(6, 64, 3, "batch"))) == 2_768_705
    # CycleGAN's release keeps 128 + 256 + 512 biases that InstanceNorm cancels; ours does not.
    assert count(meta(lambda: PatchDiscriminator(3, 64, 3, "instance"))) == 2_764_737 - (128 + 256 + 512)
    assert meta(lambda: PatchDiscriminator(3, 64, 3, "none"))(torch.empty(1, 3, 256, 256, device="meta")).shape[2:] == (
        30,
        30,
    )
    assert [layers_for(side, side) for side in (256, 128, 64, 32, 16, 8)] == [3, 3, 2, 1, 1, 1]


@pytest.mark.parametrize(("blocks", "published"), [(9, 11_378_179), (6, 7_837_699)])
def test_the_residual_translator_is_cyclegans(blocks, published):
    cancelled = 64 + 128 + 256 + 2 * blocks * 256 + 128 + 64  # biases before InstanceNorm
    assert count(meta(lambda: Translator(3, 3, 64, blocks))) == published - cancelled


# ---------------------------------------------------------------------- what they see


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_a_logit_sees_its_patch_and_nothing_else(layers, field):
    torch.manual_seed(0)
    critic = PatchDiscriminator(1, 2, layers, "none").double()
    image = torch.rand(1, 1, 160, 160, dtype=torch.float64, requires_grad=True)
    logits = critic(image)
    middle = logits.shape[2] // 2
    (slope,) = torch.autograd.grad(logits[0, 0, middle, middle], image)
    rows, columns = slope[0, 0].nonzero().unbind(1)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (field, field)


@pytest.mark.parametrize("size", [(8, 8), (33, 20), (5, 70), (1, 1)])
@pytest.mark.parametrize(
    "network",
    [lambda: UNet(2, 3, 2, 3, "instance"), lambda: Translator(2, 3, 2, 1), lambda: Translator(2, 3, 2, 1, smooth=True)],
    ids=["unet", "translator", "smooth"],
)
def test_any_size_comes_back(size, network):
    made = network()(torch.rand(2, 2, *size))
    assert made.shape == (2, 3, *size)
    assert bool(made.isfinite().all())


def test_the_padding_is_cut_off_where_it_was_put():
    from sparring.nn.padding import whole_multiple

    image = torch.rand(1, 1, 5, 7)
    assert torch.equal(whole_multiple(lambda x: x, image, 4), image)
    doubled = whole_multiple(lambda x: x.repeat_interleave(2, 2).repeat_interleave(2, 3), image, 4, scale=2)
    assert torch.equal(doubled, image.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_a_translator_that_changes_begins_as_nearly_the_picture_itself():
    network, image = Translator(3, 3, 4, 2, change=True), torch.rand(1, 3, 9, 14) * 2 - 1
    bias = network.finish[-1].bias.detach()[:, None, None]
    assert bias.abs().max() < 0.1
    torch.testing.assert_close(network(image), torch.tanh(torch.atanh(0.97 * image) + bias))
    with pytest.raises(ValueError, match="3 channels cannot be changed into 1"):
        Translator(3, 1, 4, 2, change=True)


def test_features_are_those_of_the_way_through():
    torch.manual_seed(0)
    network, image = Translator(3, 3, 4, 2).eval(), torch.rand(1, 3, 16, 16)
    found = network.features(image, (0, 1, 2, 4))
    assert torch.equal(found[0], image)
    assert [f.shape[1] for f in found] == [network.channels[tap] for tap in (0, 1, 2, 4)]
    assert torch.equal(network.finish(found[-1]).tanh(), network(image))


def test_blur_keeps_what_is_flat_and_half_of_the_pixels():
    assert torch.equal(Blur()(torch.full((1, 2, 8, 6), 0.5)), torch.full((1, 2, 4, 3), 0.5))
    stripes = torch.tensor([[[[1.0, -1.0] * 4] * 8]])
    assert Blur()(stripes)[..., 1:].abs().max() == 0  # the finest stripes are gone, not turned into a grey level


def test_critics_at_two_scales_give_both_their_logits():
    critic = MultiScaleDiscriminator(4, 2, 1, "none", 2)
    image, other = torch.rand(2, 3, 16, 16), torch.rand(2, 1, 16, 16)
    features = critic.features(image, other)
    assert [each[-1].shape for each in features] == [(2, 1, 6, 6), (2, 1, 2, 2)]
    assert all(torch.equal(a, b) for a, b in zip(critic(image, other), critic.logits(features), strict=True))


def test_what_patches_are_made_of_tells_them_apart_from_the_start():
    torch.manual_seed(0)
    sampler, image = PatchSampler([3], 16), torch.rand(1, 3, 8, 8)
    (features,) = sampler([image], [torch.arange(64)[None]])
    alike = cosine_similarity(features[0, :32], features[0, 32:])
    assert alike.mean() < 0.99
    (doubled,) = sampler([2 * image], [torch.arange(64)[None]])
    torch.testing.assert_close(doubled, 2 * features)  # nothing is added to what a patch says


# ---------------------------------------------------------------------- the pool


def play_pool(pool, steps, coins=None):
    draw = torch.Generator().manual_seed(0)
    given, seen = [], 0
    for step in range(steps):
        fresh = torch.full((2, 1, 1, 1), float(step))
        coin = torch.rand(2, generator=draw) if coins is None else coins
        given.append(pool.exchange(fresh, coin, torch.rand(2, generator=draw), seen))
        seen += 2
    return torch.cat(given).flatten()


def test_a_pool_gives_back_half_of_what_is_older():
    pool = ImagePool(50, (1, 1, 1))
    given = play_pool(pool, 2000)
    fresh = torch.arange(2000.0).repeat_interleave(2)
    assert torch.equal(given[:50], fresh[:50])  # until it is full, what comes goes
    assert 0.45 < (given[50:] != fresh[50:]).double().mean() < 0.55
    assert pool.pictures.shape == (50, 1, 1, 1)
    age = (fresh - given)[1000:]
    assert 40 < age[age > 0].mean() < 60  # replaced with probability 1 / 100 for each picture that comes: 100 pictures


def test_a_pool_exchanges_and_never_loses():
    pool = ImagePool(3, (1, 1, 1))
    given = play_pool(pool, 20, coins=torch.ones(2))  # always exchange once it is full
    everything = torch.cat([given[3:], pool.pictures.flatten()]).sort().values
    assert torch.equal(everything, torch.arange(20.0).repeat_interleave(2))
    fresh = torch.rand(2, 1, 1, 1)
    assert ImagePool(0, (1, 1, 1)).exchange(fresh, fresh[:, 0, 0, 0], fresh[:, 0, 0, 0], 9) is fresh


# ---------------------------------------------------------------------- for a person


def test_panels_stand_side_by_side():
    small, made, truth = torch.zeros(2, 1, 4, 3), torch.ones(2, 3, 8, 6), -torch.ones(2, 3, 8, 6)
    shown = panels(small, made, truth)
    assert shown.shape == (2, 3, 8, 18)
    assert [part.unique().tolist() for part in shown.chunk(3, 3)] == [[0.0], [1.0], [-1.0]]
    assert panels(small, made, torch.empty(2, 0)).shape == (2, 3, 8, 12)


def test_channels_are_made_alike():
    grey = torch.full((1, 1, 2, 2), 0.5)
    assert torch.equal(in_channels(grey, 3), torch.full((1, 3, 2, 2), 0.5))
    assert in_channels(grey, 4)[0, :, 0, 0].tolist() == [0.5, 0.5, 0.5, 1.0]
    assert in_channels(torch.cat([grey, -torch.ones_like(grey)], 1), 1).unique().tolist() == [0.0]  # transparent
    labels = torch.eye(6)[torch.tensor([[0, 3]])].movedim(2, 0)[None]  # one-hot, 6 classes, two pixels
    colours = in_channels(labels, 3)[0, :, 0]
    assert colours.shape == (3, 2)
    assert not torch.equal(colours[:, 0], colours[:, 1])
