"""``sparring evaluate``, and evaluation while training, from outside: digits and a run of seconds."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sparring as package
from conftest import TINY, Answer, Sparring, _play, changed, events, outcome, told
from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.core.folder import RunFolder, read_lines
from sparring.core.spec import DataSpec
from sparring.data import hold_out, open_data, open_test
from sparring.metrics import lpips
from sparring.metrics.path_length import PIXELS, path_length
from sparring.metrics.protocol import Score
from sparring.metrics.sets import image
from sparring.metrics.sets.features import narrowed
from sparring.metrics.suite import Sample, Sides, halves, measure
from sparring.tools.evaluating import history
from sparring.tools.examiner import choose_extractor
from sparring.tools.reals import reals_of_run
from test_protocol import MINE

HELD_OUT = ("--data.held-out", "0.2")
CHEAP = ("--samples", "126", "--metrics", "fd,kid,copying")


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run with held-out data that was evaluated twice while training. Copy it before writing there."""
    run = tmp_path_factory.mktemp("runs") / "measured"
    assert _play(*TINY, *HELD_OUT, "--eval.every", "1", "--eval.samples", "100", "--run", run) == 0
    return run


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, never evaluated."""
    run = tmp_path_factory.mktemp("runs") / "plain"
    assert _play(*TINY, *HELD_OUT, "--run", run) == 0
    return run


# ---------------------------------------------------------------------- held-out data


def test_held_out_samples_are_chosen_by_content() -> None:
    data = open_data("digits", Data())
    parts = hold_out(data, 0.2)
    assert parts.held_out is not None
    assert len(parts) + len(parts.held_out) == len(data)
    assert 0.15 < len(parts.held_out) / len(data) < 0.25
    assert parts.pixels is not None
    assert parts.held_out.pixels is not None
    trained = {bytes(picture.numpy()) for picture in parts.pixels}
    assert not trained & {bytes(picture.numpy()) for picture in parts.held_out.pixels}, "copies stay on one side"
    assert sum(parts.spec.class_counts) == len(parts)
    shuffled = data.subset(np.random.default_rng(0).permutation(len(data)))
    again = hold_out(shuffled, 0.2)
    assert again.pixels is not None
    assert {bytes(picture.numpy()) for picture in again.pixels} == trained, "whatever the order"
    with pytest.raises(SparringError, match="each side needs two"):
        hold_out(data, 1e-9)


def test_the_test_part_beside_the_training_part_is_found(tmp_path: Path) -> None:
    for split, classes in (("train", "abc"), ("test", "ca")):
        for place, name in enumerate(classes):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number in range(2):
                pixels = np.full((8, 8), 20 * place + number, np.uint8)
                pixels[number, place] = 255
                Image.fromarray(pixels).save(folder / f"{number}.png")
    train = open_data(str(tmp_path), Data())
    test = open_test(str(tmp_path), Data(), train.spec)
    assert test is not None
    assert test.spec.classes == ("a", "b", "c")
    assert test.spec.class_counts == (2, 0, 2)
    assert open_test(str(tmp_path / "train"), Data(), train.spec) is None


# ---------------------------------------------------------------------- the command


def test_every_number_has_its_protocol_and_is_kept(measured: Path, sparring: Sparring) -> None:
    answer: Answer = sparring("evaluate", measured, *CHEAP, "--extractor", "pixels-pca")
    assert answer.code == 0, answer.err
    lines = [line for line in read_lines(measured / "metrics.jsonl") if line["source"] == "evaluate"]
    scores = {score["protocol"]["metric"]: score for score in lines[-1]["scores"]}
    assert set(scores) == {"FD", "KD", "NN ratio", "C_T"}
    for metric, score in scores.items():
        assert score["protocol"]["id"] in answer.out
        assert score["protocol"]["split"] == "held-out share 0.2"
        assert score["name"].startswith(f"{metric}[pixels-pca:")
        assert score["real_vs_real"] is not None
    assert "FID" not in answer.out
    assert ">pca-" in scores["FD"]["protocol"]["layer"], "64 features of 126 samples: fewer are used, and it says so"
    assert scores["FD"]["value"] > scores["FD"]["real_vs_real"], "2 kimg make no digits"
    assert (measured / "samples" / "nearest.png").is_file()


def test_python_says_the_same_as_the_command(measured: Path, sparring: Sparring) -> None:
    found = package.load(measured).evaluate(samples=120, metrics=["kid"], extractor="pixels-pca")
    assert sparring("evaluate", measured, "--samples", "120", "--metrics", "kid", "--extractor", "pixels-pca").code == 0
    kept = list(read_lines(measured / "metrics.jsonl"))[-1]["scores"][0]
    assert kept["value"] == found["KD"].value
    with pytest.raises(KeyError):
        found["FD"]


def test_two_sets_of_pictures(tmp_path: Path, sparring: Sparring) -> None:
    generator = np.random.default_rng(0)
    np.save(tmp_path / "real.npy", generator.integers(0, 256, (60, 8, 8), np.uint8))
    np.save(tmp_path / "same.npy", generator.integers(0, 256, (60, 8, 8), np.uint8))
    np.save(tmp_path / "dark.npy", generator.integers(0, 100, (60, 16, 16), np.uint8))

    def fd(fake: str) -> tuple[float, str]:
        found = package.evaluate(real=tmp_path / "real.npy", fake=tmp_path / fake, metrics=["fd"])
        return found["FD"].value, " ".join(found.notes)

    same, notes = fd("same.npy")
    dark, resized = fd("dark.npy")
    assert dark > 3 * same
    assert "brought to the reals'" in resized
    assert "brought to" not in notes
    answer = sparring("evaluate", "--real", tmp_path / "real.npy", "--fake", tmp_path / "same.npy", "--metrics", "fd")
    assert "FD" in answer.out


def test_mistakes_are_one_line(measured: Path, tmp_path: Path, refused: "object") -> None:
    from collections.abc import Callable
    from typing import cast

    say = cast(Callable[..., str], refused)
    assert "say what to evaluate" in say("evaluate")
    assert "no metric 'fid'" in say("evaluate", measured, "--metrics", "fid")
    assert "--samples" in say("evaluate", measured, "--samples", "0")
    assert "too few" in say("evaluate", measured, "--samples", "5", "--extractor", "pixels-pca")
    assert "pt_inception-2015-12-05-6726825d.pth" in say("evaluate", measured, "--extractor", "inception-2015-12-05")
    wrong = tmp_path / "weights.pth"
    wrong.write_bytes(b"not these")
    assert "SHA-256" in say("evaluate", measured, "--extractor", "inception-2015-12-05", "--weights", wrong)
    assert "no extractor 'resnet'" in say("evaluate", measured, "--extractor", "resnet")
    assert "the metric 'swd' needs pictures of 16 pixels" in say(
        "evaluate", measured, "--metrics", "swd", "--extractor", "pixels-pca"
    )
    assert "name real data with --data" in say("evaluate", measured / "model")
    plain = np.zeros((20, 8, 8), np.uint8)
    np.save(tmp_path / "plain.npy", plain)
    np.save(tmp_path / "real.npy", np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8))
    assert "one and the same" in say("evaluate", "--real", tmp_path / "real.npy", "--fake", tmp_path / "plain.npy")


def test_an_extractor_is_chosen_by_the_data() -> None:
    labelled = DataSpec("image", (3, 32, 32), ("a", "b"), (100, 100), 200)
    assert choose_extractor(labelled)[0] == "classifier"
    assert choose_extractor(DataSpec("image", (3, 128, 128), ("a", "b"), (100, 100), 200))[0] == "pixels-pca"
    assert choose_extractor(DataSpec("image", (3, 32, 32), count=200))[0] == "pixels-pca"
    assert choose_extractor(labelled, Path("somewhere.pth"))[0] == "inception-2015-12-05"


def test_with_too_few_samples_fewer_features_are_used() -> None:
    def noise(n: int, seed: int) -> Sample:
        features = torch.randn(n, 16, generator=torch.Generator().manual_seed(seed)) * torch.arange(1, 17).flip(0)
        return Sample(torch.zeros(n, 1), features)

    reals = noise(60, 0)
    few = Sides(reals, halves(reals, 0), "", None, False)
    ours, theirs, layer = narrowed(noise(60, 1).seen, few)
    assert layer == ">pca-4"  # a quarter of the 30 in each half, down to a power of two
    assert ours.shape == theirs.shape == (60, 4)
    assert float(theirs.var(0)[0]) > float(theirs.var(0)[-1])
    enough = Sides(reals, (reals, reals), "", None, False)
    assert narrowed(noise(60, 1).seen, enough)[2] == ""


# ---------------------------------------------------------------------- what is measured only when named


@pytest.fixture(scope="session")
def by_class(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run by class, hardly trained."""
    run = tmp_path_factory.mktemp("runs") / "by_class"
    line = ("train", "digits", "--family", "dcgan", "--game.conditional", "--game.width", "4", "--game.z-dim", "8")
    assert _play(*line, "--train.kimg", "0.2", *HELD_OUT, "--run", run) == 0
    return run


def test_accuracy_of_a_classifier_that_learnt_from_samples(by_class: Path) -> None:
    found = package.evaluate(by_class, samples=200, metrics=["cas"], extractor="pixels-pca")["CAS"]
    assert found.name == "CAS"
    assert found.real_vs_real is not None
    assert found.interval is not None
    assert found.interval[0] <= found.value <= found.interval[1]
    assert found.value < 0.4, "noise teaches no digits"
    assert found.real_vs_real > 0.6, "200 digits do"
    assert found.null.startswith("a classifier taught by 200 reals, tested on ")


def test_accuracy_needs_classes_and_held_out_data(measured: Path, by_class: Path, refused: Callable[..., str]) -> None:
    cheap = ("--samples", "60", "--metrics", "cas", "--extractor", "pixels-pca")
    assert "'cas' needs samples made by class" in refused("evaluate", measured, *cheap)
    assert "to know the training data" in refused("evaluate", by_class / "model", "--data", "digits", *cheap)


def test_path_length_by_pixels_says_so(measured: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    def walk() -> Score:
        return package.evaluate(measured, samples=60, metrics=["ppl"], extractor="pixels-pca")["PPL of pixels"]

    score = walk()
    assert score == walk()
    assert score.value > 0
    assert score.protocol.extractor == ""
    assert dict(score.protocol.parameters)["epsilon"] == 1e-4
    game = package.load(measured).game
    by_hand = path_length(game.sample, PIXELS, range(60))
    assert score.value == by_hand.value
    pictures = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
    np.save(tmp_path / "real.npy", pictures)
    sets = ("--real", tmp_path / "real.npy", "--fake", tmp_path / "real.npy")
    assert "'ppl' needs a run" in refused("evaluate", *sets, "--metrics", "ppl")


def test_path_length_by_lpips_is_named_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save_file

    from sparring.core.registry import load_family

    kind = lpips.KINDS["squeeze"]
    torch.manual_seed(0)
    monkeypatch.setenv("SPARRING_WEIGHTS", str(tmp_path))
    assert lpips.find_lpips((1, 32, 32)) is None
    heads = {f"lin{n}.model.1.weight": torch.rand(1, c, 1, 1) for n, c in enumerate(kind.channels)}
    save_file(heads, tmp_path / "lpips_v0.1_squeeze_heads.safetensors")
    assert lpips.find_lpips((1, 32, 32)) is None, "heads alone are no LPIPS"
    trunk = {f"features.{key}": value for key, value in kind.layers().state_dict().items()}
    torch.save(trunk, tmp_path / kind.file.name)
    assert lpips.find_lpips((1, 8, 8)) is None, "too small for it"
    assert lpips.find_lpips((4, 32, 32)) is None, "it knows no alpha"
    family = load_family("vanilla")
    spec = DataSpec("image", (1, 32, 32), count=64)
    game = family(spec, family.config_class(z_dim=4, width=8)).eval()
    images = torch.randint(0, 256, (20, 1, 32, 32), dtype=torch.uint8)
    reals = Sample(images)
    sides = Sides(reals, halves(reals, 0), "", None, False)
    metric = next(metric for metric in image.METRICS if metric.key == "ppl")
    ((score,), _) = measure([metric], Sample(images, game=game), sides, MINE)
    assert score.name.startswith("PPL[LPIPS-like-squeeze")
    assert score.name != "PPL"
    assert score.value > 0


def test_cmmd_is_called_so_for_clip_alone(measured: Path) -> None:
    found = package.evaluate(measured, samples=60, metrics=["cmmd"], extractor="pixels-pca")["MMD"]
    assert found.name.startswith("MMD[pixels-pca:")
    assert found.real_vs_real is not None
    assert found.value > found.real_vs_real
    clip = replace(found.protocol, extractor="clip-vitl14-336", layer="image-embedding-768")
    assert clip.name.startswith("CMMD[clip-vitl14-336:")


def test_other_reals_are_numbered_as_the_run_numbers_its_classes(by_class: Path, tmp_path: Path) -> None:
    digits = open_data("digits", Data())
    assert digits.pixels is not None
    assert digits.labels is not None
    for name in "93":
        (tmp_path / "some" / name).mkdir(parents=True)
        for place, picture in enumerate(digits.pixels[digits.labels == int(name)][:3]):
            Image.fromarray(picture[0].numpy()).save(tmp_path / "some" / name / f"{place}.png")
    run = package.load(by_class)
    reals = reals_of_run(run.folder, run.game.spec, tmp_path / "some")
    assert reals.reference.labels is not None
    assert set(reals.reference.labels.tolist()) == {3, 9}
    (tmp_path / "some" / "9").rename(tmp_path / "some" / "cat")
    other = reals_of_run(run.folder, run.game.spec, tmp_path / "some")
    assert other.reference.labels is None
    assert "other classes than the run" in other.notes[0]


# ---------------------------------------------------------------------- while training


def test_evaluation_moves_no_bit_of_training(measured: Path, plain: Path) -> None:
    assert outcome(measured) == outcome(plain)


def test_evaluations_are_logged_and_the_best_model_is_kept(measured: Path) -> None:
    past = history(RunFolder(measured))
    assert [nimg for nimg, _ in past] == [1024, 2048]
    assert any("eval/FD" in line["terms"] for line in read_lines(measured / "log.jsonl"))
    best = min(past, key=lambda pair: pair[1])[0]
    assert package.load(measured / "best").card["nimg"] == best
    assert "bias of so few samples" in " ".join(told(measured, "evaluation"))
    lines = [line for line in read_lines(measured / "metrics.jsonl") if line["source"] == "train"]
    assert len({score["protocol"]["id"] for line in lines for score in line["scores"]}) == len(lines[0]["scores"])


def test_patience_stops_and_advice_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sparring.tools import evaluating

    monkeypatch.setattr(evaluating, "ADVISE_AFTER", 1)
    monkeypatch.setattr(evaluating.Evaluating, "_measure", lambda self, engine: rising(engine.nimg))
    line = changed([*TINY, *HELD_OUT], ("--eval.every", "0.5"), ("--eval.samples", "60"))
    assert _play(*line, "--run", tmp_path / "advised") == 0
    assert len(told(tmp_path / "advised", "advice")) == 1
    assert len(history(RunFolder(tmp_path / "advised"))) == 4
    assert _play(*line, "--eval.patience", "2", "--run", tmp_path / "stopped") == 0
    assert len(history(RunFolder(tmp_path / "stopped"))) == 3
    assert told(tmp_path / "stopped", "stopped early")[0].startswith("no gain for 2 evaluations")
    assert package.load(tmp_path / "stopped").card["nimg"] < 2048


def rising(nimg: int) -> list[object]:
    from sparring.metrics.protocol import Score
    from test_protocol import MINE

    return [Score(float(nimg), MINE, "lower")]


def test_a_set_back_run_forgets_the_evaluations_it_lost(measured: Path, tmp_path: Path) -> None:
    import shutil

    from conftest import states

    run = tmp_path / "back"
    shutil.copytree(measured, run)
    before = [line for line in read_lines(run / "metrics.jsonl") if line["source"] == "train"]
    for state in states(run)[1:]:
        shutil.rmtree(state)
    assert _play("train", "--run", run) == 0
    after = [line for line in read_lines(run / "metrics.jsonl") if line["source"] == "train"]
    for old, new in zip(before, after, strict=True):
        assert json.dumps(old["scores"]) == json.dumps(new["scores"]), "the same numbers, once each"
    assert events(run)[-1]["kind"] == "verdict"
