"""Blocks for restoration: colour by known values, JPEG beside Pillow's, kernels, holes, networks of their papers."""

import io
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sparring.core.errors import SparringError
from sparring.nn import colour, degrade, holes, perceptual
from sparring.nn import jpeg as jpeg_room
from sparring.nn.gated import GatedConv, GlobalPatchDiscriminator, Inpainter
from sparring.nn.resample import enlarge, shrink
from sparring.nn.super_resolution import (
    NETWORKS,
    PaperSRResNet,
    RRDBNet,
    SRResNet,
    UNetDiscriminator,
    VGGDiscriminator,
    steps_of,
)


def count(make):
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in make().parameters())


# ---------------------------------------------------------------------- super-resolution


@pytest.mark.parametrize(
    ("make", "published"),
    [
        (lambda: SRResNet(3, 64, 16, 4), 1_517_571),
        (lambda: PaperSRResNet(3, 64, 16, 4), 1_549_462),
        (lambda: RRDBNet(3, 64, 23, 4), 16_697_987),
        (lambda: RRDBNet(3, 64, 6, 4), 4_467_779),
        (lambda: UNetDiscriminator(3, 64), 4_376_897),
    ],
    ids=["MSRResNet", "SRResNet", "RRDB-23", "RRDB-6", "U-Net D"],
)
def test_networks_are_as_large_as_published(make, published):
    assert count(make) == published


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_every_scale_and_size(kind, scale):
    torch.manual_seed(0)
    network = NETWORKS[kind](2, 4, 1, scale).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 2, 5, 1)).shape == (1, 2, 5 * scale, scale)


@pytest.mark.parametrize("kind", ["srresnet", "rrdb"])
def test_learning_begins_with_bicubic(kind):
    small = torch.rand(1, 3, 6, 5) * 2 - 1
    torch.testing.assert_close(NETWORKS[kind](3, 4, 1, 4)(small), enlarge(small, 4))


def test_without_its_last_convolutions_the_dense_trunk_changes_nothing():
    trunk = RRDBNet(3, 8, 2, 2).body
    for block in trunk:
        for dense in block.blocks:
            nn.init.zeros_(dense.convs[-1].weight)
            nn.init.zeros_(dense.convs[-1].bias)
    x = torch.randn(1, 8, 4, 4)
    torch.testing.assert_close(trunk(x), x + 0.2 * x + 0.2 * (1.2 * x))  # x + .2 x each time: the blocks return x
    with pytest.raises(ValueError, match="scale is one of"):
        steps_of(5)


def test_critics_of_large_pictures():
    assert VGGDiscriminator((3, 96, 96), 4, True)(torch.rand(2, 3, 96, 96)).shape == (2, 1)
    assert VGGDiscriminator((3, 12, 17), 4, False)(torch.rand(2, 3, 12, 17)).shape == (2, 1)
    assert UNetDiscriminator(3, 4)(torch.rand(2, 3, 13, 18)).shape == (2, 1, 13, 18)


# ---------------------------------------------------------------------- colour


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((1, 1, 1), (100.0, 0.0, 0.0)),
        ((-1, -1, -1), (0.0, 0.0, 0.0)),
        ((1, -1, -1), (53.24, 80.09, 67.20)),
        ((-1, 1, -1), (87.73, -86.18, 83.18)),
        ((-1, -1, 1), (32.30, 79.19, -107.86)),
        ((0, 0, 0), (53.39, 0.0, 0.0)),
    ],
)
def test_lab_of_known_colours(rgb, lab):
    picture = torch.tensor(rgb, dtype=torch.float64).reshape(1, 3, 1, 1)
    assert colour.to_lab(picture).flatten().tolist() == pytest.approx(lab, abs=0.02)


def test_colours_survive_there_and_back():
    pictures = torch.rand(4, 3, 16, 16) * 2 - 1
    assert (colour.from_lab(colour.to_lab(pictures)) - pictures).abs().max() < 1e-3
    light = colour.lightness(pictures)
    torch.testing.assert_close(light, colour.to_lab(pictures)[:, :1])
    grey = colour.grey(light)
    torch.testing.assert_close(colour.lightness(grey), light, atol=1e-3, rtol=1e-4)
    plain = colour.from_lab(torch.cat([light, torch.zeros(4, 2, 16, 16)], 1))
    torch.testing.assert_close(plain, grey.expand(-1, 3, -1, -1), atol=1e-4, rtol=1e-3)


# ---------------------------------------------------------------------- JPEG


def photograph(height, width, channels=3):
    """Smooth colours and some edges."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    planes = [
        torch.sin(6 * x + k) * torch.cos(5 * y * (k + 1)) + 0.5 * ((x + y * (k + 1)) % 0.5 > 0.25)
        for k in range(channels)
    ]
    return torch.stack(planes)[None].clamp(-1, 1)


def through_pillow(images, quality):
    levels = ((images + 1) * 127.5).round().to(torch.uint8)[0].movedim(0, -1).numpy()
    buffer = io.BytesIO()
    Image.fromarray(levels.squeeze()).save(buffer, "JPEG", quality=quality, subsampling=2)
    read = np.asarray(Image.open(buffer))
    return torch.from_numpy(read.copy()).reshape(levels.shape).movedim(-1, 0)[None].float() / 127.5 - 1


@pytest.mark.parametrize("quality", [30, 50, 75, 95])
@pytest.mark.parametrize(("channels", "size"), [(1, (40, 33)), (3, (48, 64))])
def test_jpeg_is_pillows(quality, channels, size):
    picture = photograph(*size, channels)
    ours, theirs = jpeg_room.jpeg(picture, quality), through_pillow(picture, quality)
    assert ours.shape == picture.shape
    between, damage = (ours - theirs).square().mean(), (theirs - picture).square().mean()
    assert between < 0.05 * damage + (1 / 127.5) ** 2  # and what rounding to levels makes


def test_jpegs_tables_follow_quality():
    assert torch.equal(jpeg_room.table(jpeg_room.LUMA, 50).flatten(), torch.tensor(jpeg_room.LUMA, dtype=torch.float64))
    assert jpeg_room.table(jpeg_room.LUMA, 100).unique().tolist() == [1.0]
    assert jpeg_room.table(jpeg_room.LUMA, 25)[0, 0].item() == 32
    flat = torch.full((1, 1, 9, 9), 0.5)
    assert (jpeg_room.jpeg(flat, 90) - flat).abs().max() < 1.5 / 127.5


# ---------------------------------------------------------------------- damage


def test_kernels_sum_to_one_and_are_symmetric():
    draw = torch.Generator().manual_seed(0)
    for row in torch.rand(200, degrade.BLUR_NUMBERS, generator=draw).tolist():
        kernel = degrade.blur_kernel(row, (0.2, 3.0))
        assert kernel.sum().item() == pytest.approx(1.0)
        torch.testing.assert_close(kernel, kernel.flip(0, 1))
        size = 7 + 2 * int(row[0] * 8)
        assert kernel[: (21 - size) // 2].abs().sum() == 0
    ringing = degrade.sinc_kernel(math.pi / 3)
    assert ringing.sum().item() == pytest.approx(1.0)
    assert ringing.min() < 0
    torch.testing.assert_close(ringing, ringing.T)


def test_a_plain_blur_is_gaussian():
    kernel = degrade.blur_kernel([0.99, 0.5, 0, 0.1, 0.5, 0, 0, 0], (1.0, 2.0))  # 21 taps, isotropic, sigma 1.5
    place = torch.arange(21, dtype=torch.float64) - 10
    line = torch.exp(-place.square() / (2 * 1.5**2))
    torch.testing.assert_close(kernel, torch.outer(line, line) / line.sum() ** 2)


def test_damage_is_a_matter_of_the_seed_alone_and_fades():
    torch.manual_seed(0)
    pictures = torch.cat([photograph(32, 48), photograph(32, 48).flip(3)])
    numbers, noise = torch.rand(2, degrade.NUMBERS), torch.randn(2, 6, 32, 48)
    both = degrade.degrade(pictures, numbers, noise, 2)
    assert both.shape == (2, 3, 16, 24)
    assert both.abs().max() <= 1
    torch.testing.assert_close(both[1:], degrade.degrade(pictures[1:], numbers[1:], noise[1:], 2))
    clean = shrink(pictures, 2)
    off = [
        (degrade.degrade(pictures, numbers, noise, 2, strength) - clean).abs().mean() for strength in (0.0, 0.3, 1.0)
    ]
    assert off[0] < 0.03 < off[2]
    assert off[0] < off[1] < off[2]


# ---------------------------------------------------------------------- holes


def test_holes_are_boxes_and_strokes():
    torch.manual_seed(0)
    numbers = torch.rand(64, holes.NUMBERS)
    box, brush, both = (holes.random_holes(numbers, 32, 48, kind) for kind in ("box", "stroke", "both"))
    for hole in (box, brush, both):
        assert hole.shape == (64, 1, 32, 48)
        assert hole.unique().tolist() == [0.0, 1.0]
    torch.testing.assert_close(both, torch.maximum(box, brush))
    heights = (box.amax(3) > 0).sum(2)
    assert 8 <= heights.min() <= heights.max() <= 17
    torch.testing.assert_close(box, box.amax(3, keepdim=True) * box.amax(2, keepdim=True))  # a box is a product
    assert 0.03 < brush.mean() < 0.35
    assert 0.1 < both.mean() < 0.5


def test_a_stroke_is_as_thick_as_it_says():
    numbers = torch.zeros(1, 1, 4 + 2 * holes.VERTICES)
    numbers[0, 0, 1], numbers[0, 0, 2:4] = 0.5, 0.5  # 0.1 of the side thick, from the middle
    numbers[0, 0, 4::2], numbers[0, 0, 5::2] = 0.5, 1.0
    numbers[0, 0, 4] = 0.0  # to the right, straight on
    hole = holes.strokes(numbers, 100, 100)[0, 0]
    assert hole[:, 60].sum() == 10
    assert hole[:, 30].sum() == 0


# ---------------------------------------------------------------------- gated convolutions


def test_an_open_gate_leaves_the_features_alone():
    layer, x = GatedConv(2, 3), torch.randn(1, 2, 5, 5)
    nn.init.zeros_(layer.conv.weight[3:])
    nn.init.constant_(layer.conv.bias[3:], 40.0)
    torch.testing.assert_close(layer(x), nn.functional.elu(layer.conv(x)[:, :3]))
    nn.init.constant_(layer.conv.bias[3:], -200.0)
    assert layer(x).abs().max() == 0


def test_what_is_in_a_hole_is_not_looked_at():
    torch.manual_seed(0)
    network, hole = Inpainter(3, 4), torch.zeros(1, 1, 10, 13)
    hole[:, :, 2:6, 3:9] = 1
    image = torch.rand(1, 3, 10, 13)
    other = torch.where(hole > 0, torch.rand(1, 3, 10, 13), image)
    assert torch.equal(network(image, hole), network(other, hole))
    assert network(image, hole).shape == (1, 6, 10, 13)


@pytest.mark.parametrize("norm", ["spectral", "instance"])
def test_the_critic_of_holes_judges_patches_and_the_whole(norm):
    critic = GlobalPatchDiscriminator(4, 8, 3, norm)
    pictures, holes = torch.rand(2, 3, 16, 16), torch.rand(2, 1, 16, 16)
    patches, whole = critic(pictures, holes)
    assert (patches.shape, whole.shape) == ((2, 2 * 2 * 32), (2, 1))
    means = [features.mean((2, 3)).abs().max() > 1e-5 for features in critic.features(pictures, holes)]
    assert means == [True, norm == "spectral", True]  # neither the first layer's nor the last's is centred


def test_a_critic_with_instance_norm_looks_at_single_places_too():
    features = GlobalPatchDiscriminator(1, 4, 3, "instance").features(torch.rand(2, 1, 2, 2))
    assert [found.shape[2:].numel() for found in features] == [1, 1, 1]
    assert all(found.abs().max() > 0 for found in features)


# ---------------------------------------------------------------------- networks that somebody else trained


def test_a_feature_network_without_its_weights_is_refused_in_words(monkeypatch, tmp_path):
    monkeypatch.setenv("SPARRING_WEIGHTS", str(tmp_path))
    for kind in ("squeezenet", "vgg19"):
        with pytest.raises(SparringError, match="put them there"):
            perceptual.check_weights(kind)
        with pytest.raises(SparringError, match=perceptual.KINDS[kind].file.name[:5]):
            perceptual.FeatureNetwork(kind)(torch.zeros(1, 3, 64, 64))
    (tmp_path / perceptual.VGG19.name).write_bytes(b"something else")
    with pytest.raises(SparringError, match="wrong SHA-256"):
        perceptual.FeatureNetwork("vgg19")(torch.zeros(1, 3, 64, 64))


def test_squeezenets_features_come_from_its_file(monkeypatch):
    folder = os.environ.get("SPARRING_TEST_DATA")
    if not folder:
        pytest.skip("SPARRING_TEST_DATA names no folder with weights/squeezenet1_0_imagenet.safetensors")
    monkeypatch.setenv("SPARRING_WEIGHTS", str(Path(folder) / "weights"))
    features, picture = perceptual.FeatureNetwork("squeezenet"), photograph(48, 48).requires_grad_()
    found = features(picture)
    assert [tap.shape[1] for tap in found] == [96, 128, 256, 384, 384, 512, 512]
    lengths = torch.cat([tap.square().mean(1).flatten() for tap in found])
    assert ((lengths - 1).abs() < 1e-3).double().mean() > 0.99  # where anything fires, the mean square is 1
    found[-1].sum().backward()
    assert picture.grad.abs().sum() > 0
    torch.testing.assert_close(features(picture[:, :1])[0], features(picture[:, :1].expand(-1, 3, -1, -1))[0])


def test_vgg19_has_its_layers_and_taps():
    with torch.device("meta"):
        network = perceptual.VGG19Taps()
        taps = network(torch.empty(1, 3, 64, 64))
    assert [tuple(tap.shape[1:]) for tap in taps] == [
        (64, 64, 64),
        (128, 32, 32),
        (256, 16, 16),
        (512, 8, 8),
        (512, 4, 4),
    ]
    assert count(perceptual.VGG19Taps) == 20_024_384  # torchvision's features
    assert all(isinstance(network.features[place], nn.Conv2d) for place in perceptual.VGG19_TAPS)
