"""Feature networks: structure, weights that are refused, and what they know on real data."""

import json
import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sparring.core.errors import SparringError
from sparring.core.files import sha256, sha256_file
from sparring.core.weights import WeightsFile, check_digest, fill, find, read_tensors
from sparring.metrics import cache, cifar_resnet, classifier, foundation, inception, squeezenet
from sparring.metrics.extractors import EXTRACTORS, FITTED, make_extractor
from sparring.metrics.features import Extractor, Features, FitData, extract
from sparring.metrics.network import NetworkExtractor, exact
from sparring.metrics.pixels import PixelExtractor

CPU = torch.device("cpu")


def images(n: int, channels: int = 3, side: int = 32, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, side, side), generator=generator).to(torch.uint8)


def striped(n: int, side: int = 12, channels: int = 1) -> tuple[Tensor, Tensor]:
    """Two classes that a network must tell at once: horizontal and vertical stripes, with noise."""
    labels = torch.arange(n) % 2
    stripes = (torch.arange(side) // 2 % 2 * 200).expand(side, side)
    pictures = torch.where(labels[:, None, None].bool(), stripes, stripes.T)[:, None].expand(-1, channels, -1, -1)
    return (pictures + images(n, channels, side) // 5).to(torch.uint8), labels


@pytest.fixture(scope="session")
def data() -> Path:
    folder = os.environ.get("SPARRING_TEST_DATA")
    if not folder:
        pytest.skip("SPARRING_TEST_DATA does not name the folder of test data")
    return Path(folder)


@pytest.fixture(scope="module")
def random_inception() -> NetworkExtractor:
    return inception.random_inception(seed=3)


# ---------------------------------------------------------------------- the interface


class Mean(Extractor):
    """The mean colour, with two logits."""

    name, digest, preprocessing, layer, dim = "mean", "0" * 64, "none", "pixels", 3
    calls = 0

    def features(self, images: Tensor) -> Tensor:
        self.calls += len(images)
        return images.float().mean((2, 3))

    def logits(self, images: Tensor) -> Tensor:
        return images.float().mean((1, 2, 3))[:, None].expand(-1, 2).clone()


def test_extract_joins_batches_and_tells() -> None:
    told: list[int] = []
    found = extract(images(10).split(4), Mean(), told.append)
    assert torch.equal(found.features, images(10).float().mean((2, 3)))
    assert found.logits is not None
    assert found.logits.shape == (10, 2)
    assert told == [4, 8, 10]
    with pytest.raises(ValueError, match="no images"):
        extract([], Mean())


def test_exact_ignores_what_a_training_chose() -> None:
    before = torch.get_float32_matmul_precision()
    x = torch.randn(8, 300, generator=torch.Generator().manual_seed(0))
    expected = x @ x.T
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert (x @ x.T).dtype == torch.bfloat16
            with exact(CPU):
                assert torch.get_float32_matmul_precision() == "highest"
                assert torch.equal(x @ x.T, expected)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


# ---------------------------------------------------------------------- Inception


def test_inception_has_the_known_files_keys_and_numbers(random_inception: NetworkExtractor) -> None:
    state = {k: v for k, v in random_inception.net.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert len(state) == 472
    assert sum(tensor.numel() for tensor in state.values()) == 23_885_392
    assert sum(key.endswith(".conv.weight") for key in state) == 94
    assert state["Mixed_6c.branch7x7dbl_5.conv.weight"].shape == (192, 160, 1, 7)
    assert state["Mixed_7c.branch3x3dbl_3b.bn.running_var"].shape == (384,)
    assert state["fc.weight"].shape == (1008, 2048)


def test_inception_looks(random_inception: NetworkExtractor) -> None:
    """Features are means of a ReLU; logits are theirs without the bias; no generator moves, no gradient is kept."""
    random_inception.chunk = 1
    before = torch.random.get_rng_state()
    found = random_inception.both(images(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert found.features.shape == (2, random_inception.dim)
    assert not found.features.requires_grad
    assert found.features.min() >= 0
    assert found.logits is not None
    weight = random_inception.net.fc.weight
    assert torch.allclose(found.logits, found.features @ weight.T, atol=1e-4)
    assert (found.features[0] - found.features[1]).abs().mean() > 0.01


def test_the_last_pool_is_a_maximum_and_the_others_leave_padding_out() -> None:
    """A constant picture stays constant through the average; the two kinds of block E differ in their pool alone."""
    assert torch.equal(inception.average_pool(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        last, other = inception.MixedE(16, last=True).eval(), inception.MixedE(16, last=False).eval()
        other.load_state_dict(last.state_dict())
        x = torch.rand(1, 16, 8, 8)
    with torch.no_grad():
        most, mean = last(x), other(x)
    assert torch.equal(most[:, :-192], mean[:, :-192])
    assert not torch.allclose(most[:, -192:], mean[:, -192:])


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_inception: NetworkExtractor) -> Path:
    """A ``.pth`` like the known one: no counters, but with the version notes that a state dict brings along."""
    state = random_inception.net.state_dict()
    kept = OrderedDict((key, value) for key, value in state.items() if not key.endswith("num_batches_tracked"))
    kept._metadata = state._metadata  # type: ignore[attr-defined]
    path = tmp_path / inception.WEIGHTS.name
    torch.save(kept, path)
    monkeypatch.setattr(inception, "WEIGHTS", WeightsFile(path.name, sha256_file(path), "somewhere"))
    return path


def test_inception_reads_its_file(known: Path, random_inception: NetworkExtractor) -> None:
    before = torch.random.get_rng_state()
    found = make_extractor("inception-2015-12-05", weights=known)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (found.name, found.preprocessing, found.layer) == ("inception-2015-12-05", "tf1-bilinear-299", "pool3-2048")
    assert found.digest == sha256_file(known)
    assert torch.equal(found.features(images(1)), random_inception.features(images(1)))
    assert random_inception.name != found.name


def test_inception_refuses_another_file(known: Path) -> None:
    content = bytearray(known.read_bytes())
    content[5000] ^= 1
    known.write_bytes(content)
    with pytest.raises(SparringError, match=r"wrong SHA-256 of .*get it again"):
        make_extractor("inception-2015-12-05", weights=known)


def test_inception_as_safetensors_has_its_own_digest(tmp_path: Path, random_inception: NetworkExtractor) -> None:
    path = tmp_path / "mine.safetensors"
    save_file(random_inception.net.state_dict(), path)
    found = inception.load_inception(path, "clean-bicubic-299")
    assert found.digest == sha256_file(path)
    assert found.preprocessing == "clean-bicubic-299"


def test_missing_weights_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARRING_WEIGHTS", str(tmp_path / "mine"))
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SparringError) as caught:
        make_extractor("inception-2015-12-05")
    for part in ("pt_inception-2015-12-05-6726825d.pth", "6726825d", "mine", "pytorch-fid", "--weights"):
        assert part in str(caught.value)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / inception.WEIGHTS.other_names[0]).write_bytes(b"no weights")
    assert find(inception.WEIGHTS, None).parent == tmp_path / "mine"
    with pytest.raises(SparringError, match="wrong SHA-256"):
        make_extractor("inception-2015-12-05")


# ---------------------------------------------------------------------- weights


def test_fill_checks_everything(tmp_path: Path) -> None:
    with torch.device("meta"):
        net = classifier.SmallCNN(1, 2)
    good = {k: v for k, v in classifier.SmallCNN(1, 2).state_dict().items() if "num_batches" not in k}
    path = tmp_path / "file"
    assert not fill(net, good, path).training
    assert not any(parameter.requires_grad for parameter in net.parameters())
    bias = "classes.bias"
    for tensors, said in (
        ({k: v for k, v in good.items() if k != bias}, "it lacks classes.bias"),
        ({**good, "more": torch.zeros(1)}, "it has more"),
        ({**good, bias: torch.zeros(3)}, r"classes.bias is float32 \(3,\), not float32 \(2,\)"),
        ({**good, bias: torch.zeros(2).half()}, "float16"),
        ({**good, bias: torch.tensor([0, float("nan")])}, "not finite"),
    ):
        with pytest.raises(SparringError, match=said):
            fill(net, tensors, path)


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "evil"),)

    torch.save({"a": Evil()}, tmp_path / "evil.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"a": torch.zeros(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    (tmp_path / "other.pkl").write_bytes(b"x")
    for name in ("evil.pth", "list.pth", "old.pth", "cut.safetensors", "other.pkl"):
        with pytest.raises(SparringError, match=name):
            read_tensors(tmp_path / name)
    assert not (tmp_path / "evil").exists()
    with pytest.raises(SparringError, match="wrong SHA-256"):
        check_digest(tmp_path / "other.pkl", WeightsFile("other.pkl", "0" * 64, "nowhere"))


# ---------------------------------------------------------------------- by name


def test_names(tmp_path: Path) -> None:
    with pytest.raises(SparringError, match="did you mean 'pixels-pca'"):
        make_extractor("pixel-pca")
    with pytest.raises(SparringError, match="a rule of its own"):
        make_extractor("squeezenet1_0", resize="clean-bicubic-299")
    with pytest.raises(SparringError, match="choose one of tf1-bilinear-299"):
        make_extractor("inception-2015-12-05", resize="bilinear")
    fit = FitData(*striped(100), "f")
    for name in FITTED:
        with pytest.raises(ValueError, match="is fitted on real data"):
            make_extractor(name)
        with pytest.raises(SparringError, match="takes no weights"):
            make_extractor(name, weights=tmp_path, fit=fit)
    for name in EXTRACTORS.keys() - FITTED:
        with pytest.raises(SparringError):
            make_extractor(name, weights=tmp_path)


# ---------------------------------------------------------------------- pixels


def test_pixels_find_the_directions_of_the_data() -> None:
    """Pictures on one line through pixel space: one direction holds everything, and distances are kept."""
    shade = torch.arange(0, 250, 25, dtype=torch.uint8)
    fit = FitData(shade[:, None, None, None].expand(-1, 1, 8, 8), None, "shades")
    extractor = PixelExtractor(fit)
    found = extractor.features(fit.images)
    assert extractor.layer == f"pca-{extractor.dim}" == "pca-10"
    expected = (shade.double() - shade.double().mean()) / 255 * 8  # 64 equal pixels: a direction of 64 times 1/8
    assert torch.allclose(found[:, 0].double(), expected, atol=1e-6)
    assert found[:, 1:].abs().max() < 1e-6
    assert extractor.logits(fit.images) is None


def test_pixels_keep_distances_and_signs() -> None:
    fit = FitData(images(200, 1, 8), None, "noise")
    found = PixelExtractor(fit).features(fit.images).double()
    flat = fit.images.flatten(1).double() / 255
    assert torch.allclose(torch.pdist(found), torch.pdist(flat), atol=1e-5)  # 64 pixels, 64 directions: a rotation
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    again = PixelExtractor(FitData(fit.images[order], None, "noise"))
    assert torch.allclose(again.features(fit.images).double(), found, atol=1e-5)
    assert again.digest == PixelExtractor(fit).digest != PixelExtractor(FitData(fit.images, None, "other")).digest
    with pytest.raises(SparringError, match="at least two"):
        PixelExtractor(FitData(fit.images[:1], None, "one"))


# ---------------------------------------------------------------------- the classifier


@pytest.mark.parametrize(("channels", "side", "rounds"), [(1, 8, 20), (3, 13, 20), (4, 40, 40)])
def test_classifier_of_any_size(
    channels: int, side: int, rounds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "MOST_ROUNDS", rounds)
    pictures, labels = striped(300, side, channels)
    found = classifier.load_classifier(FitData(pictures, labels, "stripes"), folder=tmp_path)
    assert found.trained.accuracy > 0.9
    assert found.trained.held_out == 30
    assert found.preprocessing == ("area-32x32" if side > 32 else "none")
    both = found.both(pictures[:10])
    assert both.features.shape == (10, found.dim)
    assert both.logits is not None
    assert (both.logits.argmax(1) == labels[:10]).float().mean() > 0.8


def test_classifier_is_kept_and_made_again_when_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "MOST_ROUNDS", 8)
    fit = FitData(*striped(120, 8), "stripes")
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    steps: list[int] = []
    first = classifier.load_classifier(fit, folder=tmp_path, progress=lambda _, done, __: steps.append(done))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert steps == list(range(1, 9))  # 108 images: one batch a round
    path = next(tmp_path.glob("*.safetensors"))
    content = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(classifier, "train", None)  # what lies there is not trained again
        assert classifier.load_classifier(fit, folder=tmp_path).digest == first.digest == sha256(content)
    path.write_bytes(content[:-9])
    again = classifier.load_classifier(fit, folder=tmp_path)
    assert again.trained == first.trained
    assert path.read_bytes() == content  # the same data, the same network
    other = classifier.load_classifier(FitData(fit.images, 1 - fit.labels, "other"), folder=tmp_path)  # type: ignore[operator]
    assert other.digest != first.digest


def test_classifier_refuses() -> None:
    pictures, labels = striped(120, 8)
    for fit in (
        FitData(pictures, None, ""),
        FitData(pictures, labels * 0, ""),
        FitData(pictures[:50], labels[:50], ""),
        FitData(pictures[:, :, :4], labels, ""),
    ):
        with pytest.raises(SparringError, match="the classifier needs"):
            classifier.train(fit)


# ---------------------------------------------------------------------- networks with weights of their own


@pytest.mark.parametrize(("depth", "expected"), [(20, 0.917), (56, 0.933)])
def test_cifar_resnet_on_real_pictures(depth: int, expected: float, data: Path) -> None:
    with np.load(data / "cifar10" / "cifar10_lossless_part.npz", allow_pickle=False) as file:
        pictures, labels = torch.from_numpy(file["x_test"]).permute(0, 3, 1, 2), torch.from_numpy(file["y_test"])
    some = 200 if depth == 56 else len(labels)
    found = make_extractor(f"cifar10-resnet{depth}", weights=data / "weights").both(pictures[:some])
    assert found.features.shape == (some, 64)
    assert found.logits is not None
    right = (found.logits.argmax(1) == labels[:some]).double().mean().item()
    assert right == pytest.approx(expected, abs=0.0006 if some == len(labels) else 0.03)


def test_cifar_resnet_has_as_many_parameters_as_the_paper_says() -> None:
    """Table 6: 0.27 million at 20 layers, 0.85 at 56."""
    with torch.device("meta"):
        counts = [sum(p.numel() for p in cifar_resnet.CifarResNet(depth).parameters()) for depth in (20, 56)]
    assert counts == [269_722, 853_018]


def test_squeezenet_knows_zebras(data: Path) -> None:
    """ImageNet class 340 on photos of zebras, which have 128 pixels a side here: most of them, and no horse."""
    import io
    import zipfile

    from PIL import Image

    extractor = make_extractor("squeezenet1_0", weights=data / "weights")
    with zipfile.ZipFile(data / "horse2zebra" / "horse2zebra_128.zip") as file:

        def read(part: str) -> Tensor:
            names = sorted(name for name in file.namelist() if part in name and name.endswith(".jpg"))[:24]
            pictures = [np.asarray(Image.open(io.BytesIO(file.read(name))).convert("RGB")) for name in names]
            return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)

        zebras, horses = (extractor.logits(read(part)) for part in ("testB", "testA"))
    assert zebras is not None
    assert horses is not None
    assert (zebras.argmax(1) == 340).double().mean() > 0.7
    assert (horses.argmax(1) == 340).double().mean() < 0.1


def test_squeezenet_taps() -> None:
    net = squeezenet.SqueezeNet().eval()
    with torch.no_grad():
        taps = net.taps(squeezenet.squeezenet_input(images(1)))
    assert [tuple(tap.shape[1:]) for tap in taps] == [
        (96, 111, 111),
        (128, 55, 55),
        (256, 27, 27),
        (384, 27, 27),
        (384, 27, 27),
        (512, 27, 27),
        (512, 13, 13),
    ]
    assert sum(p.numel() for p in net.parameters()) == 1_248_424


def test_squeezenet_input_is_caffes() -> None:
    red = torch.tensor([200, 30, 0], dtype=torch.uint8)[None, :, None, None].expand(-1, -1, 227, 227)
    assert squeezenet.squeezenet_input(red)[0, :, 5, 5].tolist() == [0 - 104, 30 - 117, 200 - 123]


# ---------------------------------------------------------------------- foundation models


def test_foundation_models_are_the_persons_to_bring(tmp_path: Path) -> None:
    with pytest.raises(SparringError, match="nothing is downloaded"):
        make_extractor("dinov2-vitl14")
    with pytest.raises(SparringError, match=r"there is no config\.json"):
        make_extractor("dinov2-vitl14", weights=tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    config = {"hidden_size": 384, "patch_size": 14, "num_hidden_layers": 12}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(SparringError, match="another network than dinov2-vitl14: hidden_size is 384, not 1024"):
        make_extractor("dinov2-vitl14", weights=tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(SparringError, match="cannot read"):
        make_extractor("clip-vitl14-336", weights=tmp_path)


def test_foundation_models_need_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text(json.dumps(foundation.KINDS["dinov2-vitl14"].expected))
    with pytest.raises(SparringError, match=r"pip install 'sparring\[foundation\]'"):
        make_extractor("dinov2-vitl14", weights=tmp_path)


def test_foundation_models_small(tmp_path: Path) -> None:
    """Tiny random networks of both kinds, written and read back."""
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 14, "image_size": 28}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        dino = transformers.Dinov2Model(transformers.Dinov2Config(**sizes))
        clip = transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**sizes, projection_dim=8))
    dino.save_pretrained(tmp_path / "dino")
    clip.save_pretrained(tmp_path / "clip")
    dino = foundation.DinoV2(foundation.read_model(transformers.Dinov2Model, tmp_path / "dino"))
    clip = foundation.Clip(foundation.read_model(transformers.CLIPVisionModelWithProjection, tmp_path / "clip"))
    assert dino(foundation.dino_input(images(2), 28))[0].shape == (2, 16)
    embeds, logits = clip(foundation.clip_input(images(2), 28))
    assert logits is None
    assert torch.allclose(embeds.norm(dim=1), torch.ones(2))
    (tmp_path / "dino" / "model.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(SparringError, match="cannot read the weights"):
        foundation.read_model(transformers.Dinov2Model, tmp_path / "dino")


# ---------------------------------------------------------------------- the cache


def stream(pictures: Tensor, starts: list[int] | None = None) -> cache.Callable[[int], Iterator[Tensor]]:
    """Batches of three from an image on, noting where each pass began."""

    def batches(start: int) -> Iterator[Tensor]:
        if starts is not None:
            starts.append(start)
        yield from pictures[start:].split(3)

    return batches


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SHARD", 4)


@pytest.mark.usefixtures("small_shards")
def test_cache_looks_once(tmp_path: Path) -> None:
    pictures, extractor, told = images(10), Mean(), list[int]()
    expected = extract([pictures], Mean())

    def same(found: Features) -> None:
        assert torch.equal(found.features, expected.features)
        assert found.logits is not None
        assert torch.equal(found.logits, expected.logits)  # type: ignore[arg-type]

    same(cache.extract_cached(stream(pictures), 10, "f", extractor, tmp_path, told.append))
    assert extractor.calls == 10
    assert told == sorted(told)
    assert told[-1] == 10
    same(cache.extract_cached(stream(pictures), 10, "f", extractor, tmp_path))
    assert extractor.calls == 10
    cache.extract_cached(stream(pictures), 10, "other", extractor, tmp_path)
    assert extractor.calls == 20


@pytest.mark.usefixtures("small_shards")
def test_cache_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    pictures, extractor = images(10), Mean()

    def breaks(start: int) -> Iterator[Tensor]:
        for batch in stream(pictures)(start):
            if extractor.calls >= 6:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        cache.extract_cached(breaks, 10, "f", extractor, tmp_path)
    extractor, starts = Mean(), list[int]()
    found = cache.extract_cached(stream(pictures, starts), 10, "f", extractor, tmp_path)
    assert starts == [4, 8]
    assert extractor.calls == 6
    assert torch.equal(found.features, extract([pictures], Mean()).features)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "other"])
def test_cache_makes_damaged_shards_again(tmp_path: Path, harm: str) -> None:
    pictures = images(10)
    expected = cache.extract_cached(stream(pictures), 10, "f", Mean(), tmp_path).features
    path = sorted(tmp_path.glob("*/*.safetensors"))[1]
    content = bytearray(path.read_bytes())
    content[-3] ^= 64
    if harm == "other":
        save_file({"features": load_file(path)["features"] + 1}, path)
    else:
        path.write_bytes({"flip": bytes(content), "cut": content[:-1], "empty": b""}[harm])
    starts: list[int] = []
    found = cache.extract_cached(stream(pictures, starts), 10, "f", Mean(), tmp_path)
    assert starts == [4]
    assert torch.equal(found.features, expected)


def test_cache_key_depends_on_everything() -> None:
    extractor = Mean()
    keys = {cache.key("f", extractor, 10), cache.key("g", extractor, 10), cache.key("f", extractor, 11)}
    for attribute in ("name", "digest", "preprocessing", "layer"):
        other = Mean()
        setattr(other, attribute, "x")
        keys.add(cache.key("f", other, 10))
    assert len(keys) == 7


def test_cache_without_room_and_with_too_few_images(tmp_path: Path, fill: "cache.Callable[[Path], object]") -> None:
    with pytest.raises(ValueError, match="ended 2 early"):
        cache.extract_cached(stream(images(8)), 10, "f", Mean(), tmp_path)
    fill(tmp_path)
    with pytest.raises(SparringError, match="make room or set SPARRING_CACHE"):
        cache.extract_cached(stream(images(8)), 8, "f", Mean(), tmp_path / "full")
