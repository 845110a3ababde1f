"""The Laplacian pyramid is exact, and its levels never meet while training."""

import pytest
import torch

from sparring.core.batch import Batch
from sparring.core.errors import SparringError
from sparring.core.spec import DataSpec
from sparring.families.image.lapgan import LAPGAN, Config
from sparring.nn.laplacian import down, laplacian, reconstruct, sizes, up
from sparring.testing.conformance import CPU, RandomDealer, seeds_batch

SMALL = {"z_dim": 4, "width": 4, "hidden": 8}


def game_of(shape: tuple[int, ...], **settings) -> LAPGAN:
    torch.manual_seed(0)
    return LAPGAN(DataSpec("image", shape, count=16), Config(**{**SMALL, **settings}))


# ---------------------------------------------------------------------- the pyramid


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (32, 32), (31, 45), (17, 9), (96, 64), (5, 2)])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_picture_survives_its_pyramid(size, levels):
    image = torch.rand(2, 3, *size) * 2 - 1
    bands = laplacian(image, levels)
    assert [tuple(band.shape[2:]) for band in bands] == sizes(*size, levels)
    assert (reconstruct(bands) - image).abs().max().item() < 1e-6


def test_a_flat_picture_has_no_details():
    *details, coarsest = laplacian(torch.full((1, 1, 28, 20), 0.3), 3)
    assert max(band.abs().max().item() for band in details) < 1e-6
    torch.testing.assert_close(coarsest, torch.full((1, 1, 4, 3), 0.3))


def test_down_is_the_mean_of_four():
    image = torch.tensor([[[[1.0, 3.0, 5.0, 5.0], [5.0, 7.0, 5.0, 5.0]]]])
    assert down(image).tolist() == [[[[4.0, 5.0]]]]
    # an odd side: the middle column belongs to both halves
    assert down(torch.tensor([[[[1.0, 3.0, 5.0]]]])).tolist() == [[[[2.0, 4.0]]]]


def test_up_is_linear_between_pixels():
    # pixel centres of the larger picture lie at -1/4, 1/4, 3/4, 5/4 of the smaller one's; outside, the edge goes on
    assert up(torch.tensor([[[[0.0, 4.0]]]]), (1, 4)).tolist() == [[[[0.0, 1.0, 3.0, 4.0]]]]


# ---------------------------------------------------------------------- the game


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 8, 8), [(8, 8), (4, 4)]),
        ((1, 28, 28), [(28, 28), (14, 14), (7, 7)]),
        ((3, 32, 32), [(32, 32), (16, 16), (8, 8)]),
        ((3, 64, 48), [(64, 48), (32, 24), (16, 12)]),
        ((4, 31, 45), [(31, 45), (16, 23), (8, 12)]),
    ],
)
def test_the_levels_of_a_size(shape, expected):
    game = game_of(shape)
    assert game.sizes == expected
    assert list(game.players()) == [f"{role}{k}" for k in range(len(expected)) for role in "GD"]
    assert game.eval().sample(Batch.of_seeds([0, 1], None, CPU)).shape == (2, *shape)


def test_the_layers_are_the_releases():
    game = game_of((3, 32, 32), width=64, hidden=1200, z_dim=100)
    count = {name: sum(p.numel() for p in player.parameters()) for name, player in game.players().items()}
    detail = 49 * 4 * 64 + 64 + 49 * 64 * 64 + 64 + 25 * 64 * 3 + 3  # noise plane and RGB; 7x7, 7x7, 5x5
    assert count["G0"] == count["G1"] == detail
    convolutions = 25 * 3 * 64 + 64 + 25 * 64 * 64 + 64
    assert count["D0"] == convolutions + 64 * 16 * 16 + 1
    assert count["D1"] == convolutions + 64 * 8 * 8 + 1
    assert count["G2"] == 100 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 192 + 192
    assert count["D2"] == 192 * 600 + 600 + 600 * 600 + 600 + 600 + 1


def test_without_details_a_sample_is_the_coarsest_picture_enlarged():
    game = game_of((3, 32, 32)).eval()
    with torch.no_grad():
        for k in range(game.top):
            for parameter in game.get_submodule(f"G{k}").parameters():
                parameter.zero_()
        sample = game.sample(Batch.of_seeds([3], None, CPU))
        coarsest = game.make(2, Batch.of_seeds([3], None, CPU), None)
    torch.testing.assert_close(sample, up(up(coarsest, (16, 16)), (32, 32)))


def test_each_level_adds_to_what_the_level_below_made():
    """The chain of section 3.1: z_K, then z_k level by level, from the same seed."""
    game, batch = game_of((1, 28, 28)).eval(), Batch.of_seeds([5], None, CPU)
    with torch.no_grad():
        image = game.G2(batch.uniform(4) * 2 - 1, None)
        for k, size in ((1, (14, 14)), (0, (28, 28))):
            low_pass = up(image, size)
            image = low_pass + game.get_submodule(f"G{k}")(batch.uniform(1, *size) * 2 - 1, low_pass, None)
        expected = image.clamp(-1, 1)
        torch.testing.assert_close(game.sample(Batch.of_seeds([5], None, CPU)), expected, rtol=0, atol=0)


def test_a_level_is_trained_on_real_pictures_and_its_own_weights_alone():
    game = game_of((1, 28, 28))
    batch = seeds_batch(game, list(range(4)))
    batch.real, batch.labels, _ = RandomDealer(game.spec).deal(0, 4)
    for k in range(3):
        for turn in game.level(k):
            game.zero_grad(set_to_none=True)
            turn.loss(batch).loss.backward()
            touched = {name.split(".")[0] for name, p in game.named_parameters() if p.grad is not None}
            assert touched <= {f"G{k}", f"D{k}"}, f"{turn.name} reaches {touched}"
            assert set(turn.movers) <= touched


def test_d_judges_the_sum_which_is_the_picture_itself():
    game = game_of((1, 28, 28))
    batch = seeds_batch(game, [0, 1])
    batch.real, batch.labels, _ = RandomDealer(game.spec).deal(0, 2)
    bands = laplacian(batch.real, 2)
    for k in range(2):
        low_pass = up(down(game.real(k, batch)), game.sizes[k])
        torch.testing.assert_close(game.real(k, batch), low_pass + bands[k])


def test_the_class_reaches_every_level():
    spec = DataSpec("image", (1, 28, 28), ("a", "b"), (8, 8), 16)
    torch.manual_seed(0)
    game = LAPGAN(spec, Config(**SMALL, conditional=True)).eval()
    a, b = torch.tensor([0]), torch.tensor([1])
    noise = [torch.rand(1, 1, 28, 28), torch.rand(1, 1, 14, 14), torch.rand(1, 4)]
    pictures = [torch.rand(1, 1, *size) for size in game.sizes]
    with torch.no_grad():
        for k in range(3):
            G, D = game.get_submodule(f"G{k}"), game.get_submodule(f"D{k}")
            inputs = (noise[k],) if k == 2 else (noise[k], pictures[k])
            assert not torch.equal(G(*inputs, a), G(*inputs, b))
            assert not torch.equal(D(pictures[k], a), D(pictures[k], b))


def test_senseless_settings_are_refused():
    with pytest.raises(SparringError, match="take fewer"):
        game_of((1, 8, 8), levels=3)
    with pytest.raises(SparringError, match="at least two classes"):
        game_of((1, 8, 8), conditional=True)
