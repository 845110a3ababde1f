"""The blocks of residual GANs: spectral norm, conditional batch norm, attention, truncation, pictures of any size."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from sparring.nn.attention import SelfAttention
from sparring.nn.conditional import BatchNorm, ClassBatchNorm, CodeBatchNorm
from sparring.nn.latent import truncate
from sparring.nn.resnet import (
    DownBlock,
    ResDiscriminator,
    ResGenerator,
    UpBlock,
    discriminator_widths,
    generator_widths,
    half,
    orthogonalise,
    twice,
)
from sparring.nn.spectral import WEIGHTS, SpectralNorm, raw_weights, resting, spectral
from sparring.objectives.penalties import orthogonal, r1


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def largest(weight: torch.Tensor) -> float:
    return float(torch.linalg.matrix_norm(weight.detach().flatten(1), 2))


# ---------------------------------------------------------------------- spectral norm


def test_spectral_norm_makes_the_largest_singular_value_1():
    d = spectral(ResDiscriminator((3, 16, 16), [24] * 4, 2, classes=5))
    for _ in range(20):
        d(torch.zeros(2, 3, 16, 16), torch.zeros(2, dtype=torch.int64))
    layers = [m for m in d.eval().modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(layers) == 12  # 8 convolutions, 2 shortcuts, the head, the embedding
    for layer in layers:
        assert largest(layer.weight) == pytest.approx(1, rel=0.02)


def test_the_scale_of_weights_does_not_matter():
    d, x = spectral(ResDiscriminator((1, 8, 8), [8] * 4, 1)).eval(), torch.randn(3, 1, 8, 8)
    before = d(x)
    with torch.no_grad():
        for weight in raw_weights(d):
            weight.mul_(100)
    torch.testing.assert_close(d(x), before)


def test_one_iteration_a_training_pass_and_none_in_eval_or_at_rest():
    layer = spectral(nn.Linear(6, 5))
    norm = layer.parametrizations.weight[0]
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(torch.randn(5, 6))  # the vectors are no longer its own
    w = layer.parametrizations.weight.original.detach()
    u = norm._u.clone()

    layer.eval()(torch.zeros(1, 6))
    with resting(layer.train()):
        layer(torch.zeros(1, 6))
    assert torch.equal(norm._u, u)

    expected = nn.functional.normalize(w @ norm._v, dim=0)
    layer(torch.zeros(1, 6))
    torch.testing.assert_close(norm._u, expected)
    assert norm.n_power_iterations == 1


def test_gradients_flow_through_sigma():
    # sigma = u^T W v with u, v constant: d/dW of sum(W / sigma) is 1 / sigma - sum(W) / sigma^2 u v^T.
    layer = spectral(nn.Linear(4, 3, bias=False)).eval()
    norm, raw = layer.parametrizations.weight[0], layer.parametrizations.weight.original
    layer.weight.sum().backward()
    w = raw.detach()
    sigma = norm._u @ w @ norm._v
    torch.testing.assert_close(raw.grad, 1 / sigma - w.sum() / sigma**2 * torch.outer(norm._u, norm._v))


def test_two_passes_of_one_backward():
    d, x = spectral(ResDiscriminator((1, 8, 8), [4] * 4, 1)), torch.randn(2, 1, 8, 8)
    (d(x).mean() - d(-x).mean()).backward()
    assert all(bool(p.grad.isfinite().all()) for p in d.parameters())


def test_spectral_norm_keeps_its_precision_under_autocast():
    layer = spectral(nn.Linear(4, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer.weight.dtype == torch.float32
        assert layer(torch.zeros(1, 4)).dtype == torch.bfloat16


def test_only_the_kinds_asked_for_are_normalised():
    norm = spectral(ClassBatchNorm(3, 2), WEIGHTS)
    assert not [m for m in norm.modules() if isinstance(m, SpectralNorm)]
    net = spectral(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(3, 2)), WEIGHTS)
    assert [w.shape for w in raw_weights(net)] == [(2, 1, 3, 3), (2, 3)]


# ---------------------------------------------------------------------- conditional batch norm


def test_batch_norm_by_class_starts_as_plain_batch_norm():
    x, labels = torch.randn(6, 4, 3, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    torch.testing.assert_close(ClassBatchNorm(4, 3)(x, labels), nn.BatchNorm2d(4)(x))
    torch.testing.assert_close(BatchNorm(4)(x, labels), nn.BatchNorm2d(4)(x))


def test_batch_norm_by_class_scales_and_shifts_by_class():
    norm, x, labels = ClassBatchNorm(2, 3), torch.randn(4, 2, 3, 3), torch.tensor([2, 0, 2, 1])
    nn.init.normal_(norm.gain.weight)
    nn.init.normal_(norm.bias.weight)
    plain, got = nn.BatchNorm2d(2, affine=False)(x), norm(x, labels)
    for i, y in enumerate(labels):
        expected = norm.gain.weight[y][:, None, None] * plain[i] + norm.bias.weight[y][:, None, None]
        torch.testing.assert_close(got[i], expected)


def test_batch_norm_by_code_without_weights_is_plain_batch_norm():
    norm, x, code = CodeBatchNorm(4, 5), torch.randn(6, 4, 3, 3), torch.randn(6, 5)
    assert not torch.allclose(norm(x, code), nn.BatchNorm2d(4)(x), atol=0.01)
    nn.init.zeros_(norm.gain.weight)
    nn.init.zeros_(norm.bias.weight)
    torch.testing.assert_close(norm(x, code), nn.BatchNorm2d(4)(x))


# ---------------------------------------------------------------------- attention


@pytest.fixture
def opened():
    """Attention whose gamma is no longer 0."""
    attention = SelfAttention(16, pool=False)
    nn.init.constant_(attention.gamma, 0.7)
    return attention


def test_attention_starts_as_the_identity_and_learns_to_open():
    attention, x = SelfAttention(16), torch.randn(2, 16, 6, 5)
    assert torch.equal(attention(x), x)
    attention(x).square().sum().backward()
    assert attention.gamma.grad.item() != 0


@pytest.mark.parametrize(("pool", "keys"), [(True, 3 * 3), (False, 6 * 5)])
def test_attention_is_a_mean_over_keys(pool, keys):
    weights = SelfAttention(16, pool).weights(torch.randn(2, 16, 6, 5))
    assert weights.shape == (2, 30, keys)
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 30))


def test_attention_does_not_know_where_a_position_is(opened):
    x, order = torch.randn(2, 16, 4, 4), torch.randperm(16)
    shuffled = x.flatten(2)[:, :, order].unflatten(2, (4, 4))
    expected = opened(x).flatten(2)[:, :, order].unflatten(2, (4, 4))
    torch.testing.assert_close(opened(shuffled), expected, rtol=1e-4, atol=1e-5)


def test_attention_is_that_of_pytorch_without_its_scale(opened):
    x = torch.randn(2, 16, 3, 5)
    q, k, v = (f(x).flatten(2).transpose(1, 2) for f in (opened.query, opened.key, opened.value))
    gathered = nn.functional.scaled_dot_product_attention(q, k, v, scale=1.0).transpose(1, 2).unflatten(2, (3, 5))
    torch.testing.assert_close(opened(x), x + 0.7 * opened.out(gathered), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pool", [True, False])
def test_attention_is_twice_differentiable(pool):
    attention = SelfAttention(4, pool).double()
    nn.init.constant_(attention.gamma, 0.7)
    x = torch.randn(1, 4, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(attention, (x,))


# ---------------------------------------------------------------------- blocks and networks


def test_halving_sees_every_pixel():
    x = torch.arange(15.0).reshape(1, 1, 3, 5)
    expected = torch.tensor([[(0 + 1 + 5 + 6) / 4, (2 + 3 + 7 + 8) / 4, (4 + 9) / 2], [10.5, 12.5, 14.0]])
    torch.testing.assert_close(half(x)[0, 0], expected)


def test_cheap_shortcuts_are_the_papers():
    x = torch.randn(2, 3, 5, 7)
    sc = nn.Conv2d(3, 4, 1)
    torch.testing.assert_close(twice(sc(x)), sc(twice(x)))
    torch.testing.assert_close(sc(half(x)), half(sc(x)))


def test_an_up_block_is_the_papers():
    block, x = UpBlock(3, 5, BatchNorm), torch.randn(2, 3, 4, 4)
    bn1, bn2 = nn.BatchNorm2d(3), nn.BatchNorm2d(5)
    h = conv2d(twice(bn1(x).relu()), block.conv1.weight, block.conv1.bias, padding=1)
    expected = block.conv2(bn2(h).relu()) + block.shortcut(twice(x))
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(("first", "wide", "inner"), [(True, False, 5), (False, False, 3), (False, True, 5)])
def test_a_down_block_is_the_papers(first, wide, inner):
    block, x = DownBlock(3, 5, down=True, first=first, wide=wide), torch.randn(2, 3, 4, 4)
    assert block.conv1.out_channels == inner
    h = block.conv2(block.conv1(x if first else x.relu()).relu())
    torch.testing.assert_close(block(x), half(h) + half(block.shortcut(x)))


def test_a_block_that_keeps_its_shape_has_an_identity_beside_it():
    block, x = DownBlock(3, 3, down=False), torch.randn(2, 3, 4, 4)
    nn.init.zeros_(block.conv2.weight)
    nn.init.zeros_(block.conv2.bias)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(
    ("side", "of_g", "of_d", "downs"),
    [
        (8, [4] * 2, [4] * 4, 1),
        (28, [4] * 3, [4] * 4, 2),
        (32, [4] * 4, [4] * 4, 2),
        (64, [16, 8, 4, 2, 1], [1, 2, 4, 8, 16], 4),
        (128, [16, 16, 8, 4, 2, 1], [1, 2, 4, 8, 16, 16], 5),
    ],
)
def test_widths(side, of_g, of_d, downs):
    assert generator_widths((3, side, side), 1, 4) == of_g
    assert discriminator_widths((3, side, side), 1, 4) == (of_d, downs)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 23), (4, 28, 28), (2, 40, 17), (3, 64, 96)])
@pytest.mark.parametrize("attention", [0, 16])
def test_pictures_of_any_shape(shape, attention):
    g = ResGenerator(shape, 5, generator_widths(shape, 1, 2), BatchNorm, attention)
    d = ResDiscriminator(shape, *discriminator_widths(shape, 1, 2), attention=attention)
    for net in (g, d):
        if attention:
            nn.init.constant_(net.attention.gamma, 1.0)
    x = g(torch.randn(3, 5))
    assert x.shape == (3, *shape)
    assert d(x).shape == (3, 1)


@pytest.mark.parametrize(("side", "asked", "found"), [(128, 32, 32), (128, 64, 64), (32, 32, 16), (32, 8, 8)])
def test_attention_sits_where_it_is_asked_for(side, asked, found):
    shape, seen = (1, side, side), []
    g = ResGenerator(shape, 4, generator_widths(shape, 1, 1), BatchNorm, asked)
    d = ResDiscriminator(shape, *discriminator_widths(shape, 1, 1), attention=asked)
    for net in (g, d):
        net.attention.register_forward_hook(lambda module, inputs, out: seen.append(tuple(out.shape[2:])))
    d(g(torch.randn(2, 4)))
    assert seen == [(found, found)] * 2


def test_the_critic_with_attention_takes_a_gradient_penalty():
    d = spectral(ResDiscriminator((1, 16, 16), [16] * 4, 2, attention=8))
    nn.init.constant_(d.attention.gamma, 0.5)
    r1(d, torch.randn(2, 1, 16, 16), 1.0).backward()
    assert float(d.attention.gamma.grad.abs()) > 0


def test_conditions_are_one_for_all_blocks_or_one_for_each():
    g = ResGenerator((1, 16, 16), 4, [4, 4, 4], lambda features: CodeBatchNorm(features, 3)).eval()
    z, code = torch.randn(2, 4), torch.randn(2, 3)
    assert torch.equal(g(z, code), g(z, [code, code]))
    assert not torch.equal(g(z, code), g(z, [code, -code]))


# ---------------------------------------------------------------------- orthogonality and truncation


def test_orthogonal_networks_pay_no_orthogonal_penalty():
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Linear(9, 4)).apply(orthogonalise)
    assert orthogonal([net[0].weight, net[1].weight]).item() == pytest.approx(0, abs=1e-9)


def test_the_orthogonal_penalty_of_a_tall_weight_is_that_of_its_definition():
    tall = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    gram = tall @ tall.T
    expected = (gram - gram.diagonal().diag()).square().sum()
    torch.testing.assert_close(orthogonal([tall]), expected)
    (a,), (b,) = torch.autograd.grad(orthogonal([tall]), tall), torch.autograd.grad(expected, tall)
    torch.testing.assert_close(a, b)


def test_truncated_latents_stay_inside_and_are_distributed_as_if_drawn_anew():
    z = torch.randn(200_000, generator=torch.Generator().manual_seed(3))
    for t in (0.1, 0.5, 2.0):
        cut, kept = truncate(z, t), z[z.abs() <= t]
        assert float(cut.abs().max()) <= t
        # The variance of a normal cut at t is 1 - 2 t phi(t) / (2 F(t) - 1).
        phi, mass = math.exp(-t * t / 2) / math.sqrt(2 * math.pi), math.erf(t / math.sqrt(2))
        assert cut.var().item() == pytest.approx(1 - 2 * t * phi / mass, rel=0.02)
        assert cut.var().item() == pytest.approx(kept.var().item(), rel=0.05)
        quantiles = torch.tensor([0.1, 0.3, 0.7, 0.9])
        torch.testing.assert_close(
            cut[:100_000].quantile(quantiles), kept[:100_000].quantile(quantiles), atol=0.02 * t + 0.005, rtol=0
        )


def test_truncation_keeps_order_and_sign_and_without_a_threshold_the_latent():
    z = torch.tensor([-8.0, -3.0, -1e-6, 0.0, 1e-6, 3.0, 8.0])
    torch.testing.assert_close(truncate(z, math.inf), z)
    cut = truncate(z, 0.5)
    assert bool((cut.diff() > 0).all())
    torch.testing.assert_close(cut, -truncate(-z, 0.5))
    with pytest.raises(ValueError, match="above 0"):
        truncate(z, 0.0)
