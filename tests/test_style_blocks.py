"""The blocks of style-based and progressive networks, each against a closed form or a second way to compute it."""

import math

import pytest
import torch
from torch.nn.functional import conv2d, conv_transpose2d, one_hot

from sparring.nn.equalised import EqualisedConv, EqualisedLinear, leaky, pixel_norm
from sparring.nn.fir import Blur, filter_down, filter_up, outer
from sparring.nn.levels import channels_at, halvings
from sparring.nn.stddev import MinibatchStddev
from sparring.nn.style import Mapping, ModulatedConv, Synthesis, ToRGB
from sparring.objectives.path_length import path_lengths, path_penalty


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


# ---------------------------------------------------------------------- FIR


def test_outer_is_separable_and_sums_to_one():
    kernel = outer([1, 3, 3, 1])
    assert torch.allclose(kernel, torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64)
    assert kernel.sum().item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("down", "padding", "size"), [((1, 1), (2, 2), (7, 8)), ((2, 2), (1, 1), (9, 6)), ((2, 1), (0, 1), (8, 8))]
)
def test_filters_equal_depthwise_convolutions_in_value_gradient_and_double_gradient(down, padding, size):
    kernel = torch.rand(4, 3, dtype=torch.float64)
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    weight = kernel.expand(3, 1, 4, 3)

    def plain_down(x):
        return conv2d(x, weight, stride=down, padding=padding, groups=3)

    def plain_up(x):
        return conv_transpose2d(x, weight, stride=down, padding=padding, groups=3)

    for ours, plain in (
        (lambda x: filter_down(x, kernel, down, padding), plain_down),
        (lambda x: filter_up(x, kernel, down, padding), plain_up),
    ):
        results = []
        for function in (ours, plain):
            y = function(x)
            (first,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
            (second,) = torch.autograd.grad(first.square().sum(), x)
            results.append((y, first, second))
            with torch.no_grad():
                assert torch.allclose(function(x), y)
        for a, b in zip(*results, strict=True):
            assert torch.allclose(a, b, rtol=1e-10)
    assert torch.autograd.gradgradcheck(lambda x: filter_down(x, kernel, down, padding), x)


def test_blur_keeps_a_constant_picture_in_the_interior():
    blur, x = Blur(), torch.ones(1, 2, 8, 8)
    assert torch.allclose(blur(x, 2)[:, :, 2:-2, 2:-2], torch.ones(1, 2, 5, 5))
    assert torch.allclose(blur.up(x)[:, :, 2:-2, 2:-2], torch.ones(1, 2, 12, 12))
    assert torch.allclose(blur.down(x)[:, :, 1:-1, 1:-1], torch.ones(1, 2, 2, 2))
    assert blur.down(torch.ones(1, 1, 9, 7)).shape == (1, 1, 4, 3)


def test_filters_keep_the_precision_of_what_they_filter():
    x = torch.randn(1, 2, 8, 8, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = Blur().up(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == torch.float32


# ---------------------------------------------------------------------- equalised learning rate, pixel norm, stddev


def test_equalised_layers_keep_the_variance():
    x = torch.randn(4096, 64)
    assert EqualisedLinear(64, 256)(x).var().item() == pytest.approx(1, rel=0.05)
    assert EqualisedLinear(64, 256, gain=math.sqrt(2))(x).var().item() == pytest.approx(2, rel=0.05)
    assert EqualisedLinear(64, 256, lr_multiplier=0.01)(x).var().item() == pytest.approx(1, rel=0.05)
    pictures = torch.randn(64, 16, 12, 12)
    assert EqualisedConv(16, 64, 3, padding=0)(pictures).var().item() == pytest.approx(1, rel=0.1)


def test_a_slow_layer_moves_less():
    """One step of Adam moves each stored weight by lr; what a layer computes moves by its multiplier times that."""
    moves = []
    for multiplier in (1.0, 0.01):
        layer = EqualisedLinear(8, 8, bias=0.0, lr_multiplier=multiplier)
        before = (layer.weight * layer.scale).detach().clone()
        adam = torch.optim.Adam(layer.parameters(), lr=1e-3)
        layer(torch.randn(16, 8)).sum().backward()
        adam.step()
        moves.append((layer.weight * layer.scale - before).abs().mean().item())
    assert moves[1] == pytest.approx(0.01 * moves[0], rel=1e-2)


def test_biases_begin_where_they_are_said_to():
    layer = EqualisedLinear(4, 3, bias=1.0, lr_multiplier=0.5)
    assert torch.allclose(layer(torch.zeros(1, 4)), torch.ones(1, 3))
    assert EqualisedLinear(4, 3, bias=None).bias is None


def test_pixel_norm_gives_mean_square_one():
    x = pixel_norm(5 * torch.randn(2, 16, 3, 3))
    assert torch.allclose(x.square().mean(1), torch.ones(2, 3, 3), atol=1e-6)


def test_leaky_keeps_the_mean_square():
    assert leaky(torch.randn(100_000)).square().mean().item() == pytest.approx(1.04, rel=0.02)  # 2 (1 + 0.2^2) / 2


def test_stddev_by_hand():
    # groups of 2 of 4 samples: 0 with 2, 1 with 3; deviations 1 and 3 at every value
    x = torch.tensor([1.0, 0, 3, 6]).reshape(4, 1, 1, 1).expand(4, 2, 3, 3)
    planes = MinibatchStddev(2)(x)[:, 2]
    assert torch.allclose(planes, torch.tensor([1.0, 3, 1, 3]).reshape(4, 1, 1).expand(4, 3, 3), atol=1e-4)


def test_stddev_of_one_picture_repeated_is_the_root_of_its_epsilon():
    x = torch.randn(1, 4, 3, 3).expand(8, 4, 3, 3)
    assert torch.allclose(MinibatchStddev(4)(x)[:, 4], torch.full((8, 3, 3), 1e-4))


@pytest.mark.parametrize(("n", "group"), [(6, 4), (5, 4), (1, 4), (8, 4)])
def test_stddev_takes_any_batch(n, group):
    x = torch.randn(n, 4, 2, 2, requires_grad=True)
    y = MinibatchStddev(group, features=2)(x)
    assert y.shape == (n, 6, 2, 2)
    y.square().sum().backward()
    assert bool(x.grad.isfinite().all())


# ---------------------------------------------------------------------- modulation


def grouped(conv, x, w):
    """Karras et al. 2020, eq. 1 and 3, as written: a kernel per sample, run as groups."""
    n, (o, i, k, _) = len(x), conv.weight.shape
    kernels = conv.weight[None] * conv.affine(w)[:, None, :, None, None]
    if conv.demodulate:
        kernels = kernels / (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    else:
        kernels = kernels / math.sqrt(i * k * k)
    x = x.reshape(1, n * i, *x.shape[2:])
    if conv.blur is None:
        y = conv2d(x, kernels.reshape(n * o, i, k, k), padding=k // 2, groups=n)
        return y.reshape(n, o, *y.shape[2:])
    y = conv_transpose2d(x, kernels.transpose(1, 2).reshape(n * i, o, k, k), stride=2, groups=n)
    taps = torch.tensor([1.0, 3, 3, 1], dtype=x.dtype) / 4
    weight = torch.outer(taps, taps).expand(n * o, 1, 4, 4)
    y = conv2d(y, weight, padding=1, groups=n * o)
    return y.reshape(n, o, *y.shape[2:])


@pytest.mark.parametrize(("kernel", "demodulate", "up"), [(3, True, False), (3, True, True), (1, False, False)])
def test_modulation_by_scaling_equals_kernels_by_sample(kernel, demodulate, up):
    conv = ModulatedConv(6, 5, kernel, 4, demodulate, up).double()
    x, w = torch.randn(3, 6, 7, 5, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    ours, theirs = conv(x, w), grouped(conv, x, w)
    assert ours.shape == theirs.shape == (3, 5, *(2 * s if up else s for s in (7, 5)))
    assert torch.allclose(ours, theirs, rtol=1e-6, atol=1e-8)
    for parameter in conv.parameters():
        a, b = (torch.autograd.grad(y.square().sum(), parameter, retain_graph=True)[0] for y in (ours, theirs))
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-6)


def test_demodulation_gives_unit_variance_and_forgets_the_scale_of_styles():
    conv = ModulatedConv(16, 8, 3, 4)
    x, w = torch.randn(64, 16, 18, 18), torch.randn(1, 4).expand(64, 4)
    y = conv(x, w)[:, :, 1:-1, 1:-1]
    assert torch.allclose(y.var((0, 2, 3)), torch.ones(8), rtol=0.1)
    before = conv(x, w)
    with torch.no_grad():  # every style times 3
        conv.affine.weight.mul_(3)
        conv.affine.bias.mul_(3)
    assert torch.allclose(conv(x, w), before, atol=1e-4)


def test_rgb_is_not_demodulated():
    layer = ToRGB(8, 3, 4)
    x, w = torch.randn(2, 8, 4, 4), torch.randn(2, 4)
    before = layer(x, w)
    with torch.no_grad():
        layer.conv.affine.weight.mul_(3)
        layer.conv.affine.bias.mul_(3)
    assert torch.allclose(layer(x, w), 3 * before, atol=1e-5)


# ---------------------------------------------------------------------- mapping and truncation


def test_mapping_forgets_the_length_of_z():
    mapping, z = Mapping(16, 8, 2), torch.randn(4, 16)
    assert torch.allclose(mapping(z), mapping(7 * z), atol=1e-5)


def test_truncation_is_a_line_to_the_mean():
    mapping, z = Mapping(16, 8, 2), torch.randn(4, 16)
    mapping.w_mean.normal_()
    w, mean = mapping(z), mapping.w_mean
    assert torch.equal(mapping(z, psi=1), w)
    assert torch.allclose(mapping(z, psi=0), mean.expand(4, 8))
    assert torch.allclose(mapping(z, psi=0.25), mean + 0.25 * (w - mean), atol=1e-6)


def test_the_mean_style_tracks_the_mean_of_each_class():
    mapping = Mapping(16, 8, 1, classes=3, decay=0.9)
    for _ in range(300):
        mapping.observe(torch.randn(64, 16), torch.randint(2, (64,)))
    z = torch.randn(4096, 16)
    for label in range(2):
        expected = mapping(z, torch.full((4096,), label)).mean(0)
        assert torch.allclose(mapping.w_mean[label], expected, atol=0.1)
    assert mapping.w_mean[2].abs().max() == 0  # never seen
    assert torch.equal(mapping.centre(torch.tensor([1, 0])), mapping.w_mean[[1, 0]])


def test_observing_by_hand():
    mapping = Mapping(4, 2, 1, decay=0.75)
    z = torch.randn(6, 4)
    mapping.observe(z)
    assert torch.allclose(mapping.w_mean[0], 0.25 * mapping(z).mean(0), atol=1e-6)


def test_a_class_enters_beside_z():
    mapping = Mapping(4, 8, 1, classes=3)
    z, labels = torch.randn(2, 4), torch.tensor([2, 0])
    embedded = pixel_norm(mapping.embed(one_hot(labels, 3).float()))
    x = torch.cat([pixel_norm(z), embedded], 1)
    assert torch.allclose(mapping(z, labels), leaky(mapping.layers[0](x)))


# ---------------------------------------------------------------------- synthesis


@pytest.mark.parametrize(
    ("shape", "times", "styles"), [((3, 8, 8), 1, 4), ((1, 28, 28), 2, 6), ((3, 64, 64), 4, 10), ((2, 9, 21), 1, 4)]
)
def test_sizes_and_styles(shape, times, styles):
    assert halvings(shape) == times
    synthesis = Synthesis(shape, 8, 64, 8)
    assert synthesis.styles == styles
    assert synthesis(torch.randn(2, styles, 8), fresh=True).shape == (2, *shape)


def test_channels():
    assert [channels_at(level, 16384, 512) for level in range(9)] == [512] * 4 + [256, 128, 64, 32, 16]
    with pytest.raises(ValueError, match="raise it"):
        channels_at(4, 32, 8)


def test_noise_is_still_at_first_and_each_layers_own_when_asked():
    synthesis, w = Synthesis((3, 16, 16), 8, 64, 8), torch.randn(2, 6, 8)
    assert torch.equal(synthesis(w, fresh=True), synthesis(w, fresh=True))  # every strength begins at 0
    with torch.no_grad():
        for layer in synthesis.layers:
            layer.strength.fill_(0.5)
    assert torch.equal(synthesis(w, fresh=False), synthesis(w, fresh=False))
    assert not torch.equal(synthesis(w, fresh=True), synthesis(w, fresh=True))


def test_styles_act_on_their_own_sizes():
    """The last style is that of the last RGB layer: it changes the picture, but no feature."""
    synthesis, w = Synthesis((3, 16, 16), 8, 64, 8), torch.randn(1, 6, 8)
    other = w.clone()
    other[:, -1] = torch.randn(1, 8)
    seen = []
    synthesis.layers[-1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    a, b = synthesis(w, fresh=False), synthesis(other, fresh=False)
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(a, b)


# ---------------------------------------------------------------------- path lengths


def test_path_length_of_a_linear_map_is_known():
    """Pictures A w: E length^2 = ||A||_F^2 / (h w layers), each layer's gradient being its block of A^T y."""
    layers, size, (c, h, w) = 3, 4, (2, 4, 4)
    A = torch.randn(c * h * w, layers * size, dtype=torch.float64)
    styles = torch.randn(4000, layers, size, dtype=torch.float64)
    noise = torch.randn(4000, c, h, w, dtype=torch.float64)
    lengths = path_lengths(lambda s: (s.flatten(1) @ A.T).reshape(-1, c, h, w), styles, noise)
    expected = A.square().sum() / (h * w * layers)
    assert lengths.square().mean().item() == pytest.approx(expected.item(), rel=0.03)
    one = (noise[:1].flatten(1) @ A / math.sqrt(h * w)).reshape(layers, size)
    assert lengths[0].item() == pytest.approx(one.square().sum(1).mean().sqrt().item(), rel=1e-9)


def test_path_penalty_by_hand():
    value, mean = path_penalty(torch.tensor([1.0, 3.0]), torch.tensor(1.0), decay=0.5)
    assert (value.item(), mean.item()) == (pytest.approx(1.25), pytest.approx(1.5))  # (0.25 + 2.25) / 2 around 1.5


def test_path_penalty_reaches_the_weights():
    weight = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    noise = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    lengths = path_lengths(
        lambda s: (weight * s[:, 0]).reshape(1, 1, 1, 1), torch.ones(1, 1, 1, dtype=torch.float64), noise
    )
    value, _ = path_penalty(lengths, torch.zeros((), dtype=torch.float64), decay=0.0)
    value.backward()
    assert weight.grad.item() == pytest.approx(4)  # length = weight, penalty weight^2


def test_path_lengths_refuse_noise_of_another_shape():
    with pytest.raises(ValueError, match="differ in shape"):
        path_lengths(lambda s: s[:, :, None], torch.ones(1, 1, 1), torch.ones(1, 1, 2))
