"""LPIPS, path length and classification accuracy, against answers worked by hand or in closed form."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sparring.core.batch import Batch
from sparring.core.errors import SparringError
from sparring.core.game import Game
from sparring.core.seeds import SeedNoise
from sparring.families.image.dcgan import DCGAN
from sparring.families.image.lapgan import LAPGAN
from sparring.families.image.stylegan2 import StyleGAN2
from sparring.metrics import lpips as lpips_module
from sparring.metrics.classification_accuracy import classification_accuracy
from sparring.metrics.fidelity import blur, gaussian
from sparring.metrics.lpips import PerceptualDistance, load_lpips, load_squeezenet_taps
from sparring.metrics.lpips_trunks import KINDS, Trunk
from sparring.metrics.path_length import PIXELS, PathNoise, SquaredL2, path_length, slerp
from sparring.testing.conformance import make_game

CPU = torch.device("cpu")
HEADS = "weights/lpips_v0.1_squeeze_heads.safetensors"


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------------- LPIPS


class Twofold(nn.Module):
    """Taps that can be followed by hand: the first two channels, and twice the first alone."""

    def forward(self, images: Tensor) -> list[Tensor]:
        return [images[:, :2], 2 * images[:, :1]]


def test_the_perceptual_distance_by_hand():
    x, y = torch.zeros(1, 3, 1, 2), torch.zeros(1, 3, 1, 2)
    x[0, :2, 0, 0], y[0, :2, 0, 0] = torch.tensor([0.3, 0.4]), torch.tensor([0.4, 0.3])
    x[0, :2, 0, 1], y[0, :2, 0, 1] = torch.tensor([0.5, 0.0]), torch.tensor([-0.2, 0.0])
    # unit features: (.6, .8) and (.8, .6); (1, 0) and (-1, 0). Squares: (.04, .04); (4, 0). Second tap: 1, 1; 1, -1
    heads = [torch.tensor([1.0, 10.0]), torch.tensor([0.5])]
    first, second = (0.04 + 0.4 + 4) / 2, 0.5 * 4 / 2
    assert PerceptualDistance(Twofold(), heads, "x")(x, y).item() == pytest.approx(first + second)
    assert PerceptualDistance(Twofold(), None, "x")(x, y).item() == pytest.approx((0.08 + 4) / 2 + 4 / 2)


def squeeze(tmp_path: Path, negative: bool = False) -> tuple[Path, Path]:
    """A trunk of random weights and heads of random weights, in files."""
    torch.manual_seed(0)
    trunk, heads = tmp_path / "trunk.safetensors", tmp_path / "heads.safetensors"
    classifier = {"classifier.1.weight": torch.zeros(2)}  # torchvision's files go on to the classes
    save_file({**Trunk(KINDS["squeeze"]).state_dict(), **classifier}, trunk)
    sign = -1 if negative else 1
    save_file(
        {f"lin{i}.model.1.weight": sign * torch.rand(1, c, 1, 1) for i, c in enumerate(KINDS["squeeze"].channels)},
        heads,
    )
    return trunk, heads


def test_lpips_from_files_is_a_distance_and_is_not_called_the_published_one(tmp_path):
    trunk, heads = squeeze(tmp_path)
    lpips = load_lpips("squeeze", heads, trunk)
    x, y = (torch.rand(2, 3, 32, 32, generator=torch.manual_seed(seed)) * 2 - 1 for seed in (1, 2))
    assert lpips(x, x).tolist() == [0, 0]
    assert (lpips(x, y) > 0).all()
    torch.testing.assert_close(lpips(x, y), lpips(y, x))
    torch.testing.assert_close(lpips(x, y)[:1], lpips(x[:1], y[:1]))  # pair by pair
    assert lpips.name.startswith("LPIPS-like-squeeze[trunk ")
    assert all(len(digest) == 64 for digest in lpips.digests)
    grey = x[:, :1]
    torch.testing.assert_close(lpips(grey, y[:, :1]), lpips(grey.repeat(1, 3, 1, 1), y[:, :1].repeat(1, 3, 1, 1)))


def test_lpips_of_the_published_bytes_bears_its_name(tmp_path, monkeypatch):
    trunk, heads = squeeze(tmp_path)
    state = Trunk(KINDS["squeeze"]).state_dict()
    older = tmp_path / "older.pth"
    torch.save(state, older, _use_new_zipfile_serialization=False)  # as VGG's file is
    with pytest.raises(SparringError, match="safely"):
        load_lpips("squeeze", heads, older)
    digests = load_lpips("squeeze", heads, trunk).digests
    monkeypatch.setitem(lpips_module.HEADS, "squeeze", digests[1])
    monkeypatch.setattr("sparring.metrics.lpips.sha256_file", lambda path: KINDS["squeeze"].file.sha256)
    lpips = load_lpips("squeeze", heads, older)
    assert lpips.name == "LPIPS-v0.1-squeeze"
    torch.testing.assert_close(lpips.trunk.state_dict(), state)


@pytest.mark.parametrize("kind", KINDS)
def test_trunks_have_the_taps_that_the_heads_are_for(kind):
    wanted = KINDS[kind]
    trunk = Trunk(wanted)
    assert tuple(tap.shape[1] for tap in trunk(torch.zeros(1, 3, wanted.smallest, wanted.smallest))) == wanted.channels
    with pytest.raises(RuntimeError):
        trunk(torch.zeros(1, 3, wanted.smallest - 1, wanted.smallest - 1))
    # Parameters of torchvision's networks less their classifiers: 61,100,840 - 58,631,144 for AlexNet,
    # 138,357,544 - 123,642,856 for VGG-16, 1,235,496 - 513,000 for SqueezeNet 1.1.
    count = sum(weight.numel() for weight in trunk.parameters())
    assert count == {"alex": 2_469_696, "vgg": 14_714_688, "squeeze": 722_496}[kind]


def test_the_trunk_scales_its_input_as_version_0_1_does():
    given: list[Tensor] = []
    trunk = Trunk(KINDS["squeeze"])
    trunk.features = nn.Sequential(nn.Identity())
    trunk.features[0].register_forward_hook(lambda layer, inputs, output: given.append(output))
    trunk(torch.tensor([0.428, 0.36, 0.262])[None, :, None, None])
    torch.testing.assert_close(given[0].flatten(), torch.ones(3))


def test_files_and_pictures_that_do_not_fit_lpips_are_refused(tmp_path):
    trunk, heads = squeeze(tmp_path)
    lpips = load_lpips("squeeze", heads, trunk)
    for images, message in (
        (torch.zeros(1, 3, 16, 16), "17 pixels"),
        (torch.zeros(1, 4, 32, 32), "grey or colour"),
        (noise(1, 3, 32, 32), "from -1 to 1"),
    ):
        with pytest.raises(SparringError, match=message):
            lpips(images, images)
    with pytest.raises(SparringError, match="did you mean 'squeeze'"):
        load_lpips("sqeeze", heads, trunk)
    with pytest.raises(SparringError, match=r"heads\.safetensors does not fit"):
        load_lpips("alex", heads, trunk_of("alex", tmp_path))
    with pytest.raises(SparringError, match=r"trunk\.safetensors does not fit"):
        load_lpips("vgg", heads, trunk)
    negative = tmp_path / "negative"
    negative.mkdir()
    with pytest.raises(SparringError, match="below 0"):
        load_lpips("squeeze", squeeze(negative, negative=True)[1], trunk)


def trunk_of(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.safetensors"
    save_file(Trunk(KINDS[kind]).state_dict(), path)
    return path


def data(relative: str) -> Path:
    root = os.environ.get("SPARRING_TEST_DATA")
    if not root or not (Path(root) / relative).is_file():
        pytest.skip(f"SPARRING_TEST_DATA names no folder with {relative}")
    return Path(root) / relative


def test_the_published_heads_are_known(tmp_path):
    lpips = load_lpips("squeeze", data(HEADS), squeeze(tmp_path)[0])
    assert lpips.digests[1] == lpips_module.HEADS["squeeze"]
    assert lpips.name.startswith("LPIPS-like")  # the trunk is random


def test_real_photos_blurred_more_are_further_away():
    taps = load_squeezenet_taps(data("weights/squeezenet1_0_imagenet.safetensors"))
    pixels = np.load(data("cifar10/cifar10_lossless_part.npz"), allow_pickle=False)
    name = next(key for key in pixels.files if pixels[key].ndim == 4)
    photos = torch.from_numpy(pixels[name][:24])
    photos = (photos if photos.shape[1] == 3 else photos.permute(0, 3, 1, 2)).float() / 127.5 - 1
    means = []
    for sigma in (0.4, 0.8, 1.6):
        padded = nn.functional.pad(photos, (5, 5, 5, 5), mode="reflect")
        means.append(taps(photos, blur(padded, gaussian(11, sigma).float())).mean().item())
    assert 0 < means[0] < means[1] < means[2]
    assert taps(photos, photos).abs().max().item() == 0
    assert means[2] < taps(photos, photos.roll(1, 0)).mean().item()  # another photo is further than a blurred one
    assert taps.name == "taps-squeezenet1_0[4e3ce763]"


# ---------------------------------------------------------------------- path length


MATRIX = torch.randn(12, 5, generator=torch.manual_seed(4), dtype=torch.float64)
SQUARED = MATRIX.square().sum().item()


def linear(batch: Batch) -> Tensor:
    return (batch.noise(5).double() @ MATRIX.T).reshape(-1, 3, 2, 2)


def test_path_length_of_a_linear_generator():
    found = path_length(linear, PIXELS, range(4000), path="lerp", epsilon=0.1)
    # E |A (b - a)|^2 = 2 |A|_F^2; it is the mean of all, and trimming takes away more above than below
    every = found.lengths
    assert every.mean() == pytest.approx(2 * SQUARED, abs=4 * every.std() / len(every) ** 0.5)
    low, high = np.quantile(every, [0.01], method="lower"), np.quantile(every, [0.99], method="higher")
    assert found.value == pytest.approx(every[(every >= low) & (every <= high)].mean())
    assert found.value < every.mean()
    assert found.protocol == "PPL[squared-L2-pixels], Z, lerp, full, eps 0.1, 2000 paths, percentiles 1-99, float"


def test_path_length_does_not_hang_on_the_step_or_on_how_it_is_cut():
    large = path_length(linear, PIXELS, range(200), path="lerp", epsilon=1e-1)
    small = path_length(linear, PIXELS, range(200), path="lerp", epsilon=1e-4, batch=7)
    assert small.value == pytest.approx(large.value, rel=1e-3)  # float32 latents: a step of 1e-4 is known to 1e-3


def test_along_the_great_circle_the_speed_is_even():
    a, b = torch.tensor([[3.0, 0.0]], dtype=torch.float64), torch.tensor([[0.0, 5.0]], dtype=torch.float64)
    third = slerp(a, b, torch.tensor([[1 / 3]], dtype=torch.float64))
    length = 3 + 2 / 3
    expected = [length * math.cos(math.pi / 6), length * math.sin(math.pi / 6)]
    assert third.flatten().tolist() == pytest.approx(expected)
    for place, end in ((0.0, a), (1.0, b)):
        torch.testing.assert_close(slerp(a, b, torch.tensor([[place]], dtype=torch.float64)), end)
    middle = slerp(a, -2 * a, torch.full((1, 1), 0.5, dtype=torch.float64))  # on one line: no circle
    assert middle.flatten().tolist() == pytest.approx([-1.5, 0])


def test_vectors_move_and_other_noise_stays():
    def at(place: float) -> PathNoise:
        places = torch.full((3,), place, dtype=torch.float64)
        return PathNoise(SeedNoise([1, 2, 3], CPU), SeedNoise([7, 8, 9], CPU), places)

    for place, seeds in ((0.0, [1, 2, 3]), (1.0, [7, 8, 9])):
        torch.testing.assert_close(at(place).normal(16), SeedNoise(seeds, CPU).normal(16))
    start, moved = SeedNoise([1, 2, 3], CPU), at(0.4)
    moved.normal(16)
    start.normal(16)
    assert torch.equal(moved.normal(1, 4, 4), start.normal(1, 4, 4))
    assert torch.equal(moved.uniform(5), start.uniform(5))


def test_a_latent_along_the_path_is_as_long_as_one_drawn():
    places = torch.full((200,), 0.5, dtype=torch.float64)
    ends = SeedNoise(range(200), CPU), SeedNoise(range(200, 400), CPU)
    assert PathNoise(*ends, places).normal(64).square().mean().item() == pytest.approx(1, abs=0.05)
    ends = SeedNoise(range(200), CPU), SeedNoise(range(200, 400), CPU)
    assert PathNoise(*ends, places, "lerp").normal(64).square().mean().item() == pytest.approx(0.5, abs=0.05)


def test_path_length_at_the_end_and_with_a_named_distance():
    half = SquaredL2("half", lambda images: images / 2)
    whole, quarter = (path_length(linear, d, range(100), where="end", epsilon=1e-2) for d in (PIXELS, half))
    assert quarter.value == pytest.approx(whole.value / 4)
    assert quarter.protocol.startswith("PPL[half], Z, slerp, end, eps 0.01, 50 paths")


def test_both_ends_of_a_path_have_one_label():
    seen = []

    def sample(batch: Batch) -> Tensor:
        seen.append(batch.labels.tolist())
        return batch.noise(4).reshape(-1, 1, 2, 2)

    path_length(sample, PIXELS, range(6), labels=torch.tensor([4, 5, 6]), batch=2)
    assert seen == [[4, 5], [4, 5], [6], [6]]


def test_path_lengths_that_cannot_be_measured_are_refused():
    with pytest.raises(SparringError, match="two seeds"):
        path_length(linear, PIXELS, range(3))
    with pytest.raises(SparringError, match="step"):
        path_length(linear, PIXELS, range(4), epsilon=0)
    with pytest.raises(SparringError, match="draws none"):
        path_length(lambda batch: batch.noise(1, 4, 4), PIXELS, range(4))


@pytest.mark.parametrize("family", [DCGAN, StyleGAN2])
def test_a_game_is_measured_from_its_seeds(family: type[Game]):
    game = make_game(family).eval()
    labels = torch.arange(8) % 2 if game.spec.classes else None
    found, again = (path_length(game.sample, PIXELS, range(16), labels, batch=8) for _ in range(2))
    assert found.value > 0
    assert np.array_equal(found.lengths, again.lengths)
    shorter = path_length(game.sample, PIXELS, range(16), labels, epsilon=5e-5)
    assert shorter.value == pytest.approx(found.value, rel=0.1)  # it is about the slope, not the step


def test_a_game_without_latent_vectors_says_so():
    game = make_game(LAPGAN).eval()
    with pytest.raises(SparringError, match="draws none"):
        path_length(game.sample, PIXELS, range(4), torch.zeros(2, dtype=torch.int64))


# ---------------------------------------------------------------------- CAS


def striped(count: int, seed: int, angle: int = 0) -> tuple[Tensor, Tensor]:
    """Noise with a bright half: left of class 0, right of class 1; ``angle`` swaps them."""
    labels = torch.arange(count) % 2
    images = noise(count, 1, 8, 8, seed=seed) // 2
    for index, label in enumerate(labels.tolist()):
        side = (label + angle) % 2
        images[index, :, :, 4 * side : 4 * side + 4] += 120
    return images, labels


def nearest_mean(images: Tensor, labels: Tensor):
    """A classifier whose mistakes can be foreseen."""
    means = torch.stack([images[labels == index].double().mean(0) for index in range(2)])
    return lambda pictures: -(pictures.double()[:, None] - means).square().sum((2, 3, 4))


def test_cas_of_good_fakes_is_that_of_reals_and_of_swapped_labels_is_nought():
    reals, test = striped(40, seed=1), striped(30, seed=2)
    good = classification_accuracy(*striped(60, seed=3), *reals, *test, classes=2, fit=nearest_mean)
    assert (good.from_fakes, good.from_reals, good.trained_on, good.tested_on) == (1, 1, 40, 30)
    swapped = classification_accuracy(*striped(60, seed=3, angle=1), *reals, *test, classes=2, fit=nearest_mean)
    assert (swapped.from_fakes, swapped.from_reals) == (0, 1)
    assert swapped.by_class == (0, 0)


def test_cas_names_the_class_that_fails():
    fakes, asked = striped(60, seed=3)
    fakes[asked == 1] = fakes[0].clone()  # class 1 looks like class 0
    test, labels = striped(30, seed=2)
    test, labels = test[labels == 1], labels[labels == 1]
    found = classification_accuracy(fakes, asked, *striped(60, seed=1), test, labels, classes=2, fit=nearest_mean)
    assert math.isnan(found.by_class[0])  # no held-out real of it
    assert found.by_class[1] == found.from_fakes < 0.5
    assert found.by_class_from_reals[1] == 1


def test_cas_with_the_small_classifier():
    reals, test = striped(120, seed=1), striped(60, seed=2)
    found = classification_accuracy(*striped(120, seed=3), *reals, *test, classes=2)
    assert found.from_fakes > 0.95
    assert found.from_reals > 0.95


def test_cas_without_a_label_for_each_picture_is_refused():
    reals, test = striped(40, seed=1), striped(30, seed=2)
    with pytest.raises(SparringError, match="label for each"):
        classification_accuracy(noise(4, 1, 8, 8), torch.zeros(3).long(), *reals, *test, classes=2, fit=nearest_mean)
    with pytest.raises(SparringError, match="one shape"):
        classification_accuracy(noise(4, 3, 8, 8), torch.zeros(4).long(), *reals, *test, classes=2, fit=nearest_mean)
    with pytest.raises(SparringError, match="two classes"):
        classification_accuracy(*reals, *reals, *test, classes=1, fit=nearest_mean)
