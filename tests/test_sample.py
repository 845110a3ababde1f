"""Sampling many, and sampling alike."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.core.errors import SparringError
from sparring.core.game import Game
from sparring.core.registry import families, load_family
from sparring.core.seeds import SeedNoise, draw_labels, seed_of
from sparring.core.spec import DataSpec
from sparring.tools.sample import class_shares, draw, parse_seeds, sample_to

STATM = Path("/proc/self/statm")


@pytest.fixture
def game():
    torch.manual_seed(0)
    vanilla = load_family("vanilla")
    return vanilla(DataSpec("image", (1, 8, 8), count=10), vanilla.config_class(z_dim=4, width=8)).eval()


def test_seeds_are_read():
    assert list(parse_seeds("7")) == [7]
    assert list(parse_seeds("1, 5,10-12")) == [1, 5, 10, 11, 12]
    assert parse_seeds("0-999999999") == range(1_000_000_000)  # a range stays a range
    for wrong in ("", "a", "3-", "5-2", "-1", "1,,2", "1.5"):
        with pytest.raises(SparringError, match="no seeds"):
            parse_seeds(wrong)


@pytest.mark.parametrize("family", ["vanilla", "dcgan"])
def test_a_seed_is_the_same_sample_to_the_bit_in_any_company(family):
    cls = load_family(family)
    game = cls(DataSpec("image", (3, 28, 20), count=10), cls.config_class(width=16)).eval()
    (alone,) = draw(game, [7])
    several = torch.cat(list(draw(game, range(0, 150))))
    odd = torch.cat(list(draw(game, [99, 7, 3])))
    assert torch.equal(several[7], alone[0])
    assert torch.equal(odd[1], alone[0])


@pytest.mark.parametrize("shape", [(1,), (2,), (15,), (16,), (17,), (100,), (128,), (3, 5, 7), (1, 64, 4, 4)])
def test_the_noise_of_a_seed_is_a_generator_of_its_own_from_first_draw_to_last(shape):
    noise = SeedNoise(range(5, 9), torch.device("cpu"))
    drawn = [noise.normal(*shape), noise.uniform(*shape), noise.normal(*shape)]
    for place, seed in enumerate(range(5, 9)):
        generator = torch.Generator().manual_seed(seed_of("sample", seed))
        alone = [make(*shape, generator=generator) for make in (torch.randn, torch.rand, torch.randn)]
        assert all(torch.equal(own[place], expected) for own, expected in zip(drawn, alone, strict=True))


def test_the_class_of_a_seed_is_drawn_from_a_generator_of_its_own():
    shares = (3.0, 1.0, 0.0, 6.0)
    ends = torch.tensor(shares).double().cumsum(0) / 10
    uniform = [torch.rand(1, generator=torch.Generator().manual_seed(seed_of("label", k))).double() for k in range(50)]
    assert draw_labels(range(50), shares).tolist() == [int((x >= ends).sum()) for x in uniform]


@pytest.mark.skipif(not STATM.exists(), reason="resident memory is read from Linux's /proc")
def test_memory_does_not_grow_with_the_number_of_samples(game):
    def most_resident(count):
        return max(int(STATM.read_text().split()[1]) for _ in draw(game, range(count)))

    before = most_resident(64 * 20)
    pages = most_resident(64 * 400) - before  # kept, these samples would take 6.5 MB
    assert pages * 4096 < 2e6


def test_a_thousand_go_into_one_npz_in_order(game, tmp_path):
    done = list(sample_to(game, range(1000), tmp_path, "npz"))
    assert done[-1] == 1000
    with np.load(tmp_path / "samples.npz", allow_pickle=False) as archive:
        images, seeds = archive["images"], archive["seeds"]
    assert images.shape == (1000, 8, 8, 1)
    assert images.dtype == np.uint8
    assert seeds.tolist() == list(range(1000))
    (alone,) = draw(game, [321])
    assert (alone[0, 0].mul(127.5).add(127.5).round().numpy() == images[321, :, :, 0]).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["samples.npz"]


def test_a_grid_too_large_to_be_seen_is_refused(game, tmp_path):
    with pytest.raises(SparringError, match="would not be seen"):
        list(sample_to(game, range(2000), tmp_path, "grid"))


def by_class(family: str, spec: DataSpec) -> Game:
    """A game of ``family`` trained by class, in eval mode; its weights are those it begins with."""
    cls = load_family(family)
    config = cls.tiny()[1]
    if hasattr(config, "conditional"):
        config = replace(config, conditional=True)
    torch.manual_seed(0)
    return cls(spec, config).eval()


CATS = DataSpec("image", (3, 16, 16), ("cat", "dog", "owl"), (90, 9, 1), 100)
CONDITIONAL = sorted(
    name
    for name, family in families().items()
    if family.kind != "plug-in" and "conditional" in vars(load_family(name))
    if "image" in load_family(name).modalities
)


def test_these_families_are_trained_by_class():
    papers = {"acgan", "biggan", "cgan", "dcgan", "lapgan", "projection", "r3gan", "sagan", "stylegan2", "stylegan3"}
    assert papers <= set(CONDITIONAL)


@pytest.mark.parametrize("family", CONDITIONAL)
def test_every_such_family_draws_the_class_that_is_asked_for_by_name_or_number(family):
    game = by_class(family, CATS)
    with torch.no_grad():  # some begin without regard to the class, or without any picture
        for parameter in game.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    seen = []
    sample = game.sample
    game.sample = lambda batch: (seen.append(batch.labels), sample(batch))[1]
    (owl,), (dog,) = draw(game, range(3), "owl"), draw(game, range(3), "1")
    assert [labels.unique().tolist() for labels in seen] == [[2], [1]]
    assert owl.shape == dog.shape == (3, 3, 16, 16)
    assert bool((dog != owl).flatten(1).any(1).all())
    with pytest.raises(SparringError, match="no class 'cow'"):
        next(draw(game, [0], "cow"))


def test_shares_of_classes_are_read():
    game = by_class("dcgan", CATS)
    assert class_shares(game, "as-data") == (90, 9, 1)
    assert class_shares(game, "balanced") == (1, 1, 1)
    assert class_shares(game, "owl:3, cat:1") == (1, 0, 3)
    assert class_shares(game, "1:0.5,cat:0.5") == (0.5, 0.5, 0)
    for wrong in ("", "cat", "cat:", "cat:-1", "cat:nan", "cat:1,", "cat:1e9"):
        with pytest.raises(SparringError, match="are no shares of classes"):
            class_shares(game, wrong)
    with pytest.raises(SparringError, match="no class 'cow'"):
        class_shares(game, "cow:1")
    with pytest.raises(SparringError, match="leaves no class"):
        class_shares(game, "cat:0")
    with pytest.raises(SparringError, match="ask for one of them"):
        next(draw(game, [0], "cat", labels="balanced"))


def test_classes_are_drawn_as_in_the_data_or_as_asked():
    game = by_class("dcgan", CATS)
    seen = []
    game.sample = lambda batch: (seen.append(batch.labels), batch.noise(1))[1]

    def shares(**asked):
        seen.clear()
        assert sum(len(part) for part in draw(game, range(3200), **asked)) == 3200
        return (torch.cat(seen).bincount(minlength=3) / 3200).tolist()

    assert shares() == pytest.approx([0.9, 0.09, 0.01], abs=0.02)
    assert shares(labels="balanced") == pytest.approx([1 / 3] * 3, abs=0.03)
    assert shares(labels="owl:3,dog:1") == pytest.approx([0, 0.25, 0.75], abs=0.03)
    assert shares(labels="dog:7") == [0, 1, 0]


def test_shares_belong_to_seeds():
    game = by_class("dcgan", CATS)
    several = torch.cat(list(draw(game, range(100), labels="balanced")))
    (alone,) = draw(game, [77], labels="balanced")
    assert torch.equal(several[77], alone[0])


def test_a_run_without_classes_has_no_shares(game):
    for asked in ({"labels": "balanced"}, {"labels": "cat:1"}, {"wanted": 0}):
        with pytest.raises(SparringError, match="not trained by class"):
            next(draw(game, [0], **asked))


def test_an_imbalanced_folder_is_trained_in_balance_and_sampled_as_asked(sparring, tmp_path):
    for name, count in (("cat", 40), ("dog", 6), ("owl", 2)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for index in range(count):
            pixels = np.random.default_rng([len(name), ord(name[0]), index]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{index}.png")
    run = tmp_path / "run"
    few = ("--game.width", "8", "--train.kimg", "0.1", "--train.batch", "24", "--train.picture-kimg", "9")
    command = ("train", tmp_path / "pets", "--run", run, "--game.conditional", "--data.balance", *few)
    assert sparring(*command).code == 0
    assert json.loads((run / "recipe.json").read_text())["data"]["balance"] is True
    answer = sparring("train", "--run", run, "--data.balance", "no")
    assert answer.code == 2
    assert "data.balance True" in answer.err
    assert sparring("sample", run, "--labels", "balanced", "--out", tmp_path / "out").code == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 16
    for name in ("owl", "2"):
        assert sparring("sample", run, "--label", name, "--seeds", "0-1", "--out", tmp_path / name).code == 0
    assert (tmp_path / "owl" / "seed00000001.png").read_bytes() == (tmp_path / "2" / "seed00000001.png").read_bytes()
    refused = sparring("sample", run, "--labels", "owl", "--out", tmp_path / "out")
    assert (refused.code, "are no shares" in refused.err) == (2, True)
    refused = sparring(
        "train", tmp_path / "pets", "--run", tmp_path / "other", "--data.balance", "--data.labels", "none"
    )
    assert (refused.code, "has no classes" in refused.err) == (2, True)
    assert not (tmp_path / "other").exists()
