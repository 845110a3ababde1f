"""StyleGAN3: filters against their specification, equivariance measured, layers against a plain computation."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, leaky_relu

from sparring.core.batch import Batch
from sparring.core.config import Optim, Train
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.families.image.stylegan3 import Config, StyleGAN3, blurred
from sparring.nn.alias_free import MARGIN, AliasFreeLayer, AliasFreeSynthesis, Band, FourierInput, bands
from sparring.nn.low_pass import attenuation, kaiser_beta, low_pass, radial_low_pass
from sparring.testing.conformance import make_engine, make_game


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def response(line, frequencies, rate):
    """Amplitude of a filter at frequencies, in the same units as the rate."""
    place = torch.arange(len(line), dtype=torch.float64) - (len(line) - 1) / 2
    return (line.double() * torch.cos(2 * math.pi * frequencies[:, None] / rate * place)).sum(1).abs()


# ---------------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("taps", "cutoff", "half_width", "rate"), [(24, 3.0, 3.0, 32), (47, 4.0, 1.0, 32), (64, 2, 1, 32)]
)
def test_low_pass_keeps_its_specification(taps, cutoff, half_width, rate):
    line = low_pass(taps, cutoff, half_width, rate)
    assert torch.allclose(line, line.flip(0))
    assert line.sum().item() == pytest.approx(1)
    promised = attenuation(taps, 2 * half_width / (rate / 2))
    ripple = 10 ** (-(promised - 3) / 20)  # Kaiser fitted his formula: good to 3 dB
    stop = response(line, torch.linspace(cutoff + half_width, rate / 2, 200, dtype=torch.float64), rate)
    passed = response(line, torch.linspace(0, cutoff - half_width, 200, dtype=torch.float64), rate)
    assert promised > 20
    assert stop.max() < ripple
    assert (passed - 1).abs().max() < ripple
    assert response(line, torch.tensor([float(cutoff)], dtype=torch.float64), rate).item() == pytest.approx(
        0.5, abs=0.05
    )


def test_low_pass_equals_a_known_design():
    signal = pytest.importorskip("scipy.signal")
    for taps, cutoff, half_width, rate in ((12, 2.0, 6.0, 32), (24, 3.0, 3.0, 64), (13, 4.0, 1.0, 32)):
        expected = signal.firwin(taps, cutoff, width=2 * half_width, fs=rate)
        assert np.allclose(low_pass(taps, cutoff, half_width, rate).numpy(), expected, atol=1e-6)


def test_kaisers_formulas_by_hand():
    assert attenuation(25, 0.25) == pytest.approx(2.285 * 24 * math.pi * 0.25 + 7.95)
    assert kaiser_beta(60) == pytest.approx(0.1102 * 51.3)
    assert kaiser_beta(21) == 0
    assert kaiser_beta(30) == pytest.approx(0.5842 * 9**0.4 + 0.07886 * 9)


@pytest.mark.parametrize("taps", [24, 25])
def test_a_radial_filter_is_alike_in_all_directions(taps):
    plane = radial_low_pass(taps, 4.0, 3.0, 32).double()
    assert plane.sum().item() == pytest.approx(1)
    assert torch.allclose(plane, plane.rot90(1, (0, 1)))
    place = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    for frequency, tolerance in ((2.0, 0.02), (4.0, 0.02), (8.0, 0.005)):
        found = [
            (plane * torch.cos(2 * math.pi * frequency / 32 * (x * place[None, :] + y * place[:, None]))).sum().item()
            for x, y in ((1.0, 0.0), (math.sqrt(0.5), math.sqrt(0.5)), (math.cos(0.4), math.sin(0.4)))
        ]
        assert max(found) - min(found) < tolerance
    straight = torch.outer(low_pass(taps, 4.0, 3.0, 32), low_pass(taps, 4.0, 3.0, 32)).double()
    diagonal = torch.cos(2 * math.pi * 4 / 32 * math.sqrt(0.5) * (place[None, :] + place[:, None]))
    assert abs((straight * diagonal).sum().item() - 0.5) > 0.1  # which a separable one is not


# ---------------------------------------------------------------------- bands


def test_bands_are_the_papers_at_1024_pixels():
    plan = bands(1024, 14, 32768, 512, 3)
    # as the layers of the authors' published networks are called: L0_36_512, ... L7_276_323, ... L14_1024_3
    sizes = [36, 36, 52, 52, 84, 148, 148, 276, 276, 532, 1044, 1044, 1044, 1024, 1024]
    assert [band.size for band in plan] == sizes
    assert [band.channels for band in plan] == [512] * 7 + [323, 203, 128, 81, 51, 32, 32, 3]
    assert [band.rate for band in plan[:13]] == [size - 2 * MARGIN for size in sizes[:13]]
    assert (plan[0].cutoff, plan[-1].cutoff, plan[0].stop) == (2, 512, pytest.approx(2**2.1))
    assert plan[12].stop == pytest.approx(512 * 2**0.3)
    assert plan[12].cutoff == plan[12].rate / 2  # critically sampled from here


# ---------------------------------------------------------------------- layers


def plain(layer, before, band, x, w):
    """The layer by zero insertion and dense convolutions, one channel at a time."""
    style = layer.affine(w)
    kernels = layer.weight[None] * style[:, None, :, None, None]
    kernels = kernels / (kernels.square().sum((2, 3, 4), keepdim=True)).sqrt()
    size = layer.weight.shape[-1] - 1
    y = torch.cat(
        [conv2d(one[None], k, padding=size) for one, k in zip(x / layer.magnitude.sqrt(), kernels, strict=True)]
    )
    y = y + layer.bias[:, None, None]
    wide = torch.zeros(*y.shape[:2], *(layer.up * s for s in y.shape[2:]), dtype=x.dtype)
    wide[:, :, :: layer.up, :: layer.up] = y
    taps, fewer = len(layer.up_kernel), layer.down_kernel.shape[-1]
    total = (band.size - 1) * layer.down + 1 - wide.shape[-1] + taps + fewer - 2
    low = (total + layer.up) // 2
    wide = torch.nn.functional.pad(wide, (low, total - low, low, total - low))
    each = wide.flatten(0, 1)[:, None]
    each = leaky_relu(conv2d(each, torch.outer(layer.up_kernel, layer.up_kernel)[None, None]), 0.2) * math.sqrt(2)
    down = layer.down_kernel if layer.down_kernel.dim() == 2 else torch.outer(layer.down_kernel, layer.down_kernel)
    each = conv2d(each, down[None, None])[:, :, :: layer.down, :: layer.down]
    return each.reshape(len(x), -1, band.size, band.size)


@pytest.mark.parametrize("radial", [False, True])
@pytest.mark.parametrize("rates", [(16, 16), (16, 32)])
def test_a_layer_equals_its_plain_computation(radial, rates):
    before, band = (Band(2.0 * r / 16, 4.3 * r / 16, r, r + 20, 3) for r in rates)
    layer = AliasFreeLayer(before, band, 4, 3, critical=False, rgb=False, radial=radial).double()
    torch.nn.init.normal_(layer.bias)
    layer.magnitude.fill_(2.5)
    x, w = torch.randn(2, 3, before.size, before.size, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    y = layer(x, w, observe=False)
    assert y.shape == (2, 3, band.size, band.size)
    assert torch.allclose(y, plain(layer, before, band, x, w), rtol=1e-5, atol=1e-6)


def test_magnitudes_move_only_when_observed():
    before = band = Band(2.0, 4.3, 16, 36, 3)
    layer = AliasFreeLayer(before, band, 4, 3, critical=False, rgb=False, radial=False)
    x, w = 3 * torch.randn(4, 3, 36, 36), torch.randn(4, 4)
    layer(x, w, observe=False)
    assert layer.magnitude.item() == 1
    layer(x, w, observe=True)
    assert layer.magnitude.item() == pytest.approx(0.999 + 0.001 * x.square().mean().item())


def test_waves_keep_to_their_disc_and_move_as_they_are_told():
    waves = FourierInput(Band(2.0, 4.3, 16, 36, 64), 4)
    radius = waves.frequencies.norm(dim=1)
    assert radius.max() <= 2.0
    assert radius.square().mean().item() == pytest.approx(2.0, rel=0.2)  # uniform in a disc of radius 2: R^2 / 2
    w = torch.randn(1, 4)
    still = waves(w)
    waves.transform[0, 2] = -3 / 16  # three samples to the right
    assert torch.allclose(waves(w)[..., 3:], still[..., :-3], atol=1e-4)


# ---------------------------------------------------------------------- equivariance


def decibels(a, b):
    """PSNR over a range of 2, of pictures of deviation 1."""
    return 10 * math.log10(4 / (a - b).square().mean().item())


def moved(synthesis, w, matrix):
    synthesis.input.transform.copy_(torch.tensor(matrix, dtype=torch.float32))
    picture = synthesis(w)
    synthesis.input.transform.copy_(torch.eye(3))
    return picture


@torch.no_grad()
def equivariance(rotation, pixels):
    """EQ-T for a shift by so many pixels of 32, and the like for a quarter turn."""
    synthesis = AliasFreeSynthesis((3, 32, 32), 8, 6, 256, 16, rotation)
    w = torch.randn(2, synthesis.styles, 8)
    still = synthesis(w)
    scale = still.std()
    shifted = moved(synthesis, w, [[1, 0, -pixels / 32], [0, 1, 0], [0, 0, 1]])
    turned = moved(synthesis, w, [[0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    inside = decibels(shifted[..., pixels + 2 : -2] / scale, still[..., 2 : -2 - pixels] / scale)
    return inside, decibels(turned / scale, still.rot90(3, (2, 3)) / scale)


@pytest.mark.parametrize("pixels", [1, 3])
def test_pictures_move_with_their_waves_and_turn_only_in_configuration_r(pixels):
    """One pixel of the picture is half a sample of the coarser layers: without their filters this would fail."""
    t_shift, t_turn = equivariance(False, pixels)
    r_shift, r_turn = equivariance(True, pixels)
    assert t_shift > 60
    assert r_shift > 60
    assert r_turn > 60
    assert t_turn < 25


@torch.no_grad()
def test_with_crude_filters_nothing_moves_with_its_waves():
    """The measure can fail: with repeated pixels going up and averages going down, it does."""
    synthesis = AliasFreeSynthesis((3, 32, 32), 8, 6, 256, 16, False)
    for layer in synthesis.layers:
        if not layer.rgb:
            for kernel, step in ((layer.up_kernel, layer.up), (layer.down_kernel, layer.down)):
                first, total = (len(kernel) - step) // 2, kernel.sum().item()
                kernel.zero_()
                kernel[first : first + step] = total / step
    w = torch.randn(2, synthesis.styles, 8)
    still = synthesis(w)
    shifted = moved(synthesis, w, [[1, 0, -1 / 32], [0, 1, 0], [0, 0, 1]])
    assert decibels(shifted[..., 3:-2] / still.std(), still[..., 2:-3] / still.std()) < 30


# ---------------------------------------------------------------------- the game


def test_the_schedule_and_its_optimisers():
    game = make_game(StyleGAN3)
    assert [(t.name, t.every) for t in game.turns(0)] == [("D.discriminator", 1), ("D.penalty", 16), ("G.generator", 1)]
    assert game.optimisers()["G"] == Optim(lr=0.0025, betas=(0.0, 0.99))
    assert game.optimisers()["D"].lr == pytest.approx(0.002 * 16 / 17, abs=1e-6)


def test_running_averages_move_once_a_step():
    engine = make_engine(StyleGAN3)
    layer = engine.game.G.synthesis.layers[1]
    calls = []
    layer.register_forward_pre_hook(lambda module, inputs: calls.append(inputs[2]))
    engine.step()
    assert calls == [True, False]  # D's fakes, then G's
    assert layer.magnitude.item() != 1
    assert bool((engine.game.G.mapping.w_mean != 0).any())


def test_truncation_to_nothing_gives_one_picture():
    game = make_game(StyleGAN3).eval()
    batch = Batch.of_seeds([1, 2], torch.zeros(2, dtype=torch.int64), torch.device("cpu"), 0.0)
    a, b = game.sample(batch)
    assert torch.allclose(a, b, atol=1e-6)


def test_blur_by_hand_and_its_fade():
    x = torch.zeros(1, 1, 9, 9)
    x[0, 0, 4, 4] = 1
    y = blurred(x, 1.0)
    line = torch.tensor([2.0**-9, 2.0**-4, 0.5, 1, 0.5, 2.0**-4, 2.0**-9])
    line = line / line.sum()
    assert torch.allclose(y[0, 0, 1:8, 1:8], torch.outer(line, line), atol=1e-6)
    assert blurred(x, 0.0) is x
    spec, _ = StyleGAN3.tiny()
    game = StyleGAN3(spec, Config(8, 8, 1, 3, 64, 4, rotation=True, blur_sigma=2.0, blur_kimg=1.0)).eval()
    seen = []
    game.D.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    images = torch.randn(4, *spec.shape)
    for nimg in (0, 500, 1000):
        game.judge(images, Batch(images, None, nimg, None))
    assert torch.equal(seen[0], blurred(images, 2.0))
    assert torch.equal(seen[1], blurred(images, 1.0))
    assert torch.equal(seen[2], images)


def test_r1_by_size_is_the_authors():
    def gamma(side, batch=32):
        return StyleGAN3.scaled(DataSpec("image", (3, side, side), count=9), Train(batch=batch))["game"]["r1_gamma"]

    assert (gamma(1024), gamma(512), gamma(256)) == (32.8, 8.2, 2.05)
    assert gamma(1024, 16) == 65.6


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 21), (4, 8, 8)])
def test_any_size(shape):
    synthesis = AliasFreeSynthesis(shape, 8, 3, 32, 4, False)
    assert synthesis(torch.randn(2, synthesis.styles, 8)).shape == (2, *shape)


def test_what_cannot_be_built_is_refused():
    with pytest.raises(SparringError, match="8 pixels"):
        StyleGAN3(DataSpec("image", (3, 7, 9), count=4), Config())
    with pytest.raises(SparringError, match="two classes"):
        StyleGAN3(DataSpec("image", (3, 8, 8), count=4), Config(conditional=True))
    with pytest.raises(ValueError, match="3 layers"):
        AliasFreeSynthesis((3, 8, 8), 8, 2, 32, 4, False)
