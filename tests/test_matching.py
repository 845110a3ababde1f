"""Losses that match pictures and features, worked by hand."""

import math

import pytest
import torch

from sparring.objectives import matching


def test_pixels_by_hand():
    made, wanted = torch.tensor([[[[0.0, 1.0], [0.5, -1.0]]]]), torch.tensor([[[[0.0, 0.0], [1.0, 1.0]]]])
    assert matching.l1(made, wanted).item() == pytest.approx((0 + 1 + 0.5 + 2) / 4)
    assert matching.squared(made, wanted).item() == pytest.approx((0 + 1 + 0.25 + 4) / 4)
    expected = sum(math.sqrt(d * d + 1e-6) for d in (0, 1, 0.5, 2)) / 4
    assert matching.charbonnier(made, wanted).item() == pytest.approx(expected)
    with pytest.raises(ValueError, match="differ in shape"):
        matching.l1(made, wanted[..., :1])


def test_slopes_by_hand():
    step = torch.tensor([[[[0.0, 0.0, 1.0, 1.0]] * 2]])
    ramp = torch.tensor([[[[0.0, 1 / 3, 2 / 3, 1.0]] * 2]])
    # Along rows |0 - 1/3|, |1 - 1/3|, |0 - 1/3|; along columns nothing.
    assert matching.gradient_difference(step, ramp).item() == pytest.approx((1 / 3 + 2 / 3 + 1 / 3) / 3)
    assert matching.gradient_difference(step, 1 - step).item() == 0.0  # a slope's sign is not looked at


def test_features_are_summed_over_layers_and_wanted_ones_are_constants():
    made = [torch.ones(1, 2, requires_grad=True), torch.zeros(1, 3)]
    wanted = [torch.full((1, 2), 3.0, requires_grad=True), torch.full((1, 3), -0.5)]
    loss = matching.feature_matching(made, wanted)
    assert loss.item() == pytest.approx(2 + 0.5)
    loss.backward()
    assert made[0].grad is not None
    assert wanted[0].grad is None
    with pytest.raises(ValueError, match="layers"):
        matching.feature_matching(made, wanted[:1])


def test_a_perceptual_loss_is_that_of_its_features():
    def features(images):
        return [images.mean((2, 3)), 2 * images]

    made, wanted = torch.zeros(1, 1, 2, 2, requires_grad=True), torch.ones(1, 1, 2, 2, requires_grad=True)
    loss = matching.perceptual(features, made, wanted)
    assert loss.item() == pytest.approx(1 + 2)
    loss.backward()
    assert wanted.grad is None


def test_statistics_by_hand_and_wherever_a_texture_lies():
    made, wanted = torch.tensor([[[[0.0, 2.0]]]]), torch.tensor([[[[5.0, 5.0, 5.0, 5.0]]]])
    # Means 1 and 5; deviations 1 and 0, but for 1e-5 under the root.
    expected = 16 + (math.sqrt(1 + 1e-5) - math.sqrt(1e-5)) ** 2
    assert matching.statistics_matching([made], [wanted]).item() == pytest.approx(expected, rel=1e-5)
    texture = torch.rand(1, 3, 6, 6)
    assert matching.statistics_matching([texture], [texture.roll((2, 3), (2, 3))]).item() < 1e-10


@pytest.mark.parametrize(("places", "expected"), [(256, math.log(256)), (2, math.log(2))])
def test_patches_that_are_all_alike_cannot_be_told_apart(places, expected):
    same = torch.ones(3, places, 4)
    assert matching.patch_nce(same, same).item() == pytest.approx(expected, rel=1e-5)


def test_patches_that_are_all_different_are_told_apart():
    features = torch.eye(256, dtype=torch.float64)[None] * 7  # lengths do not matter
    assert matching.patch_nce(features, features).item() == pytest.approx(
        math.log1p(255 * math.exp(-1 / 0.07)), rel=1e-6
    )
    warm = matching.patch_nce(features, features, temperature=1.0).item()
    assert warm == pytest.approx(math.log1p(255 * math.exp(-1)))


def test_keys_learn_nothing_and_pictures_are_no_negatives_of_each_other():
    torch.manual_seed(0)
    queries, keys = torch.randn(2, 5, 3, requires_grad=True), torch.randn(2, 5, 3, requires_grad=True)
    both = matching.patch_nce(queries, keys)
    both.backward()
    assert queries.grad is not None
    assert keys.grad is None
    apart = [matching.patch_nce(queries[i : i + 1], keys[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(both, sum(apart) / 2)
    with pytest.raises(ValueError, match="both alike"):
        matching.patch_nce(queries, keys[:, :4])
