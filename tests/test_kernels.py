"""Every rewriting beside the formula as it is written: value, gradient and double gradient, and state dicts."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d
from torch.utils._python_dispatch import TorchDispatchMode

from sparring.core.rewritten import set_reference
from sparring.core.second_order import current_pass, differentiated_twice
from sparring.nn.alias_free import AliasFreeLayer, bands
from sparring.nn.conditional import BatchNorm
from sparring.nn.convolution import Conv2d, UpConv2d, convolve_transposed, twice
from sparring.nn.dropout import Dropout
from sparring.nn.equalised import EqualisedConv
from sparring.nn.fir import Blur
from sparring.nn.stddev import MinibatchStddev
from sparring.nn.style import StyledLayer, ToRGB
from sparring.nn.style_critic import HalvingBlock
from sparring.nn.together import BatchNorm2d, judge_together
from sparring.objectives.penalties import r1
from sparring.testing.conformance import default_dtype


def everything(layer, *inputs):
    """The value, and gradients of first and second order with respect to the first input and all weights."""
    with differentiated_twice() as playing:
        x = inputs[0].clone().requires_grad_(True)
        y = layer(x, *inputs[1:])
        slopes = playing.slopes(y.tanh().sum(), x)
    total = slopes.square().sum() + y.square().sum()
    return [y, slopes, *torch.autograd.grad(total, [x, *layer.parameters()], allow_unused=True)]


LAYERS = {
    "conv": (lambda: Conv2d(4, 6, 3, padding=1), [(2, 4, 5, 6)]),
    "strided": (lambda: Conv2d(3, 4, 4, 2, 1), [(2, 3, 7, 6)]),
    "grouped": (lambda: Conv2d(8, 12, 3, 2, 1, groups=4), [(2, 8, 6, 5)]),
    "depthwise": (lambda: Conv2d(5, 5, (2, 3), groups=5, bias=False), [(2, 5, 2, 3)]),
    "to few": (lambda: Conv2d(32, 3, 3, padding=1), [(2, 32, 4, 5)]),
    "to few without bias": (lambda: Conv2d(32, 1, 3, padding=1, bias=False), [(1, 32, 1, 2)]),
    "up": (lambda: UpConv2d(3, 4), [(2, 3, 5, 4)]),
    "up without bias": (lambda: UpConv2d(3, 4, bias=False), [(2, 3, 1, 2)]),
    "equalised": (lambda: EqualisedConv(3, 4, 3, stride=2, gain=1.5), [(2, 3, 6, 5)]),
    "equalised up": (lambda: EqualisedConv(3, 4, 3, up=True), [(2, 3, 3, 5)]),
    "styled": (lambda: Still(StyledLayer(3, 4, 5, (6, 7))), [(2, 3, 6, 7), (2, 5)]),
    "styled up": (lambda: Still(StyledLayer(3, 4, 5, (6, 8), up=True)), [(2, 3, 3, 4), (2, 5)]),
    "rgb": (lambda: ToRGB(4, 3, 5), [(2, 4, 3, 3), (2, 5)]),
    "residual": (lambda: HalvingBlock(3, 4, residual=True), [(2, 3, 7, 8)]),
    "plain": (lambda: HalvingBlock(3, 4, residual=False), [(2, 3, 6, 6)]),
    "alias-free": (lambda: Still(alias_free(1)), [(1, 3, 36, 36), (1, 4)]),
    "blur down": (lambda: Method(Blur(), "down"), [(2, 3, 7, 8)]),
    "blur up": (lambda: Method(Blur(), "up"), [(2, 3, 4, 3)]),
}


class Still(nn.Module):
    """A layer that takes noise, or observes, without."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, w):
        return self.layer(x, w, False)


class Method(nn.Module):
    def __init__(self, layer, name):
        super().__init__()
        self.layer, self.name = layer, name

    def forward(self, x):
        return getattr(self.layer, self.name)(x)


def alias_free(index):
    plan = bands(16, 4, 64, 3, 3)
    return AliasFreeLayer(plan[index - 1], plan[index], 4, 3, critical=False, rgb=False, radial=True)


def both_ways(name, dtype):
    make, shapes = LAYERS[name]
    with default_dtype(dtype):
        torch.manual_seed(0)
        layer = make()
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
        inputs = [torch.randn(shape) for shape in shapes]
        fast = everything(layer, *inputs)
        set_reference(layer.modules(), True)
        return fast, everything(layer, *inputs)


@pytest.mark.parametrize("name", LAYERS)
def test_a_kernel_equals_its_formula_in_value_gradient_and_double_gradient(name):
    for fast, plain in zip(*both_ways(name, torch.float64), strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", LAYERS)
def test_in_single_precision_it_differs_by_rounding(name):
    """1e-6 of the value and the slopes; of what is differentiated twice, where sums cancel, 1e-5."""
    for order, (fast, plain) in enumerate(zip(*both_ways(name, torch.float32), strict=True)):
        if plain is not None:
            assert (fast - plain).norm() <= (1e-6 if order < 2 else 1e-5) * plain.norm() + 1e-7


def test_the_doubled_kernel_is_the_one_worked_by_hand():
    layer = UpConv2d(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2, 3], [0, 0, 0], [0, 0, 0]]))
        made = layer(torch.tensor([[[[5.0, 7.0]]]]))
    # Above the one row of pixels lies padding, so that only the lower of its two copies is seen from below.
    assert made.tolist() == [[[[0, 0, 0, 0], [25, 5 + 10 + 21, 5 + 14 + 21, 7 + 14]]]]


def test_layers_have_the_names_numbers_and_first_weights_of_torchs():
    for ours, torchs in [
        (lambda: UpConv2d(3, 4), lambda: nn.Conv2d(3, 4, 3, padding=1)),
        (lambda: Conv2d(4, 6, 3, groups=2), lambda: nn.Conv2d(4, 6, 3, groups=2)),
        (lambda: BatchNorm2d(3), lambda: nn.BatchNorm2d(3)),
    ]:
        torch.manual_seed(0)
        one = ours().state_dict()
        torch.manual_seed(0)
        two = torchs().state_dict()
        assert list(one) == list(two)
        assert all(torch.equal(one[name], two[name]) for name in two)


def test_outside_of_a_penalty_convolutions_are_torchs_to_the_bit():
    layer, x = Conv2d(4, 6, 3, padding=1, groups=2), torch.randn(2, 4, 5, 5)
    assert torch.equal(layer(x), conv2d(x, layer.weight, layer.bias, padding=1, groups=2))
    assert "Convolution" in layer(x).grad_fn.name()


def test_few_outputs_take_the_product_of_matrices_and_others_do_not():
    few = {layer: layer.to_few for layer in (Conv2d(32, 4, 3, padding=1), Conv2d(32, 5, 3, padding=1))}
    assert list(few.values()) == [True, False]
    assert not any(
        layer.to_few
        for layer in (
            Conv2d(16, 3, 3, padding=1),
            Conv2d(32, 3, 3),
            Conv2d(32, 3, 3, 2, 1),
            Conv2d(32, 3, 5, padding=1),
        )
    )


@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("low", [False, True])
@torch.no_grad()
def test_few_outputs_in_any_layout_and_in_bf16(form, low):
    torch.manual_seed(0)
    layer, x = Conv2d(32, 3, 3, padding=1), torch.randn(2, 32, 6, 5).contiguous(memory_format=form)
    expected = conv2d(x, layer.weight, layer.bias, padding=1)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
        made = layer(x)
    assert made.dtype == torch.float32  # what is summed over the taps is no longer rounded
    assert float((made - expected).norm() / expected.norm()) < (4e-3 if low else 1e-6)


def test_transposed_convolutions_are_differentiated_twice_alike():
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 4, 5).double(), torch.randn(3, 2, 3, 3).double().requires_grad_(True)
    found = []
    for transposed in (convolve_transposed, conv_transpose2d):
        with differentiated_twice() as playing:
            points = x.clone().requires_grad_(True)
            y = transposed(points, weight, stride=(2, 2))
            slopes = playing.slopes(y.pow(3).sum(), points)
        found.append([y, slopes, *torch.autograd.grad(slopes.square().sum(), [points, weight])])
    for ours, torchs in zip(*found, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-10, atol=1e-10)


def test_a_penalty_is_differentiable_a_third_time():
    torch.manual_seed(0)
    with default_dtype(torch.float64):
        layer, x = Conv2d(4, 4, 3, groups=2), torch.randn(2, 4, 4, 4)
        critic = nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(16, 1))
        found = []
        for reference in (False, True):
            layer.reference = reference
            (first,) = torch.autograd.grad(r1(critic, x, 1.0), layer.weight, create_graph=True)
            found.append(torch.autograd.grad(first.square().sum(), layer.weight)[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-12)


class Masks(TorchDispatchMode):
    """Which gradients convolutions are asked for."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.convolution_backward.default:
            self.seen.append(args[-1][:2])
        return func(*args, **(kwargs or {}))


def test_slopes_cost_no_gradients_of_weights():
    layers = nn.Sequential(Conv2d(2, 2, 3), nn.Tanh(), Conv2d(2, 1, 3))
    with Masks() as masks, differentiated_twice() as playing:
        x = torch.randn(1, 2, 6, 6, requires_grad=True)
        slopes = playing.slopes(layers(x).sum(), x)
        assert masks.seen == [[True, False]] * 2
        slopes.square().sum().backward()
    # Of the slopes: each weight's gradient. Of the values behind tanh: the first convolution's, and the picture's.
    assert sorted(masks.seen[2:]) == [[False, True], [False, True], [True, True]]


def test_the_pass_ends_with_its_block():
    assert current_pass() is None
    with differentiated_twice() as outer:
        with differentiated_twice() as inner:
            assert current_pass() is inner
        assert current_pass() is outer
    assert current_pass() is None


# ---------------------------------------------------------------------- dropout


@pytest.mark.parametrize("p", [0.25, 0.5, 1 / 256])
def test_bytes_drop_with_probability_p(p):
    torch.manual_seed(0)
    kept = Dropout(p)(torch.ones(1 << 20))
    assert sorted(set(kept.tolist())) == pytest.approx([0, 1 / (1 - p)])
    deviation = (p * (1 - p) / 2**20) ** 0.5
    assert (kept == 0).double().mean().item() == pytest.approx(p, abs=4 * deviation)


def test_all_bytes_of_a_word_are_uniform_and_apart():
    torch.manual_seed(0)
    dropped = (Dropout(0.5)(torch.ones(1 << 17, 8)) == 0).double()
    assert (dropped.mean(0) - 0.5).abs().max() < 4 * 0.5 / 2**8.5
    assert (torch.corrcoef(dropped.T) - torch.eye(8)).abs().max() < 5 / 2**8.5


def test_dropout_is_torchs_where_bytes_cannot_say_p_or_nothing_is_dropped():
    x = torch.randn(3, 5)
    for layer in (Dropout(0.3), Dropout(0.0)):
        torch.manual_seed(1)
        ours = layer(x)
        torch.manual_seed(1)
        assert torch.equal(ours, nn.Dropout(layer.p)(x))
    assert torch.equal(Dropout(0.5).eval()(x), x)


def test_the_gradient_has_the_mask_of_the_value():
    x = torch.randn(33, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert torch.equal(y, x * x.grad)


# ---------------------------------------------------------------------- in one call


def test_batchnorm_in_parts_is_batchnorm_on_each():
    torch.manual_seed(0)
    real, fake = torch.randn(4, 3, 5, 5).double(), 3 + 2 * torch.randn(4, 3, 5, 5).double()
    one, two = BatchNorm2d(3, momentum=0.7).double(), nn.BatchNorm2d(3, momentum=0.7).double()
    for ours, torchs in zip(judge_together(one, [real, fake]), (two(real), two(fake)), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-12)
    for ours, torchs in zip(one.buffers(), two.buffers(), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-12)
    assert one.parts == 1


def test_the_deviation_in_parts_is_that_of_each():
    torch.manual_seed(0)
    layer, parts = MinibatchStddev(2), [torch.randn(4, 3, 2, 2), 5 * torch.randn(4, 3, 2, 2)]
    for ours, alone in zip(judge_together(layer, parts), map(layer, parts), strict=True):
        assert torch.equal(ours, alone)


def test_what_would_mix_the_parts_is_refused():
    parts = [torch.zeros(2, 3, 1, 1)] * 2
    for norm in (nn.BatchNorm2d(3), BatchNorm(3), nn.SyncBatchNorm(3)):
        with pytest.raises(ValueError, match="mix"):
            judge_together(nn.Sequential(norm), parts)


def test_labels_go_to_each_part():
    class Sum(nn.Module):
        def forward(self, x, labels):
            return x[:, 0] + labels

    labels = torch.tensor([1.0, 2.0])
    parts = [torch.tensor([[10.0], [20.0]]), torch.tensor([[30.0], [40.0]])]
    for apart in (False, True):
        assert [s.tolist() for s in judge_together(Sum(), parts, labels, apart)] == [[11, 22], [31, 42]]


def test_twice_repeats_pixels():
    assert twice(torch.tensor([[[[1.0, 2.0]]]])).tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2]]]]
