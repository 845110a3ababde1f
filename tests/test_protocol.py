"""Protocols and scores: names that cannot mislead, ids, JSON there and back, what differs in words."""

import dataclasses
import json
import math

import pytest
import torch

from sparring.core.errors import SparringError
from sparring.metrics.protocol import Protocol, Score, differences
from sparring.metrics.suite import Measured, Metric, Sample, Sides, check, choose, halves, measure

FID = Protocol(
    metric="FD",
    data="ab" * 32,
    reals=5000,
    fakes=10_000,
    split="test files",
    extractor="inception-2015-12-05",
    digest="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    preprocessing="tf1-bilinear-299",
    layer="pool3-2048",
    seeds="0-9999",
    parameters=(("rows", "all"),),
    code="0.1.0",
)
MINE = dataclasses.replace(FID, extractor="classifier", digest="1a2b3c4d" * 8, preprocessing="none", layer="p-64")


@pytest.mark.parametrize("preprocessing", ["tf1-bilinear-299", "pytorch-bilinear-299", "clean-bicubic-299"])
def test_the_known_inception_weights_with_a_named_resize_are_called_fid(preprocessing: str) -> None:
    assert dataclasses.replace(FID, preprocessing=preprocessing).name == "FID"
    assert dataclasses.replace(FID, metric="KD").name == "KID"


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "6726825e" + "0" * 56},
        {"extractor": "classifier"},
        {"preprocessing": "area-32"},
        {"layer": "pool3-2048>pca-64"},
    ],
)
def test_whatever_else_is_not(change: dict[str, str]) -> None:
    protocol = dataclasses.replace(FID, **change)
    assert protocol.name.startswith("FD[")
    assert "FID" not in protocol.name
    assert "FID" not in protocol.label


def test_a_name_says_network_preprocessing_layer_and_counts() -> None:
    assert MINE.name == "FD[classifier:1a2b3c4d|none|p-64|N=10000/5000]"
    pixels = dataclasses.replace(MINE, metric="SWD x1000", extractor="", digest="", preprocessing="", layer="")
    assert pixels.name == "SWD x1000"


@pytest.mark.parametrize("item", [field.name for field in dataclasses.fields(Protocol)])
def test_every_part_moves_the_id_and_is_named_when_it_differs(item: str) -> None:
    value = getattr(MINE, item)
    other = dataclasses.replace(MINE, **{item: (("rows", 7),) if item == "parameters" else value * 2 + type(value)(1)})
    assert other.id != MINE.id
    assert len(differences(MINE, other)) == 1
    assert differences(MINE, MINE) == []


def test_differences_are_words_with_both_values() -> None:
    other = dataclasses.replace(MINE, fakes=500, parameters=(("rows", 7),))
    assert differences(MINE, other) == ["the number of samples (10000 / 500)", "rows (all / 7)"]


def test_json_there_and_back() -> None:
    score = Score(1.5, MINE, "lower", (1.25, 1.75), 0.5, "two halves", 0.125, "note")
    back = Score.of(json.loads(json.dumps(score.plain())))
    assert back == score
    assert back.protocol.id == MINE.id
    bare = Score(1.5, MINE, "higher")
    assert Score.of(json.loads(json.dumps(bare.plain()))) == bare


def test_an_altered_protocol_is_refused() -> None:
    plain = MINE.plain()
    with pytest.raises(SparringError, match="does not add up"):
        Protocol.of({**plain, "fakes": 50_000})
    with pytest.raises(SparringError, match="no protocol"):
        Protocol.of({key: value for key, value in plain.items() if key != "id"})
    with pytest.raises(SparringError, match="no score"):
        Score.of({"value": 1.0})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_is_finite(value: float) -> None:
    with pytest.raises(SparringError, match="not finite"):
        Score(value, MINE, "lower")


# ---------------------------------------------------------------------- the suite


def noise(n: int, seed: int = 0, dim: int = 4) -> Sample:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 1, 4, 4), generator=generator, dtype=torch.uint8)
    return Sample(images, torch.randn(n, dim, generator=generator))


def mean_gap(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    return {"gap": Measured(float((fakes.seen.mean(0) - sides.reals.seen.mean(0)).norm()))}


GAP = Metric("gap", {"gap": "lower"}, mean_gap, frozenset({"features"}), parameters={"norm": 2})


def sides_of(reals: Sample) -> Sides:
    return Sides(reals, halves(reals, 0), "two halves", None, False)


def test_each_number_stands_beside_that_of_the_reals() -> None:
    reals = noise(200)
    one, other = halves(reals, 0)
    assert sorted([*one.images.flatten(1).tolist(), *other.images.flatten(1).tolist()]) == sorted(
        reals.images.flatten(1).tolist()
    )
    ((score,), _) = measure([GAP], noise(100, 1), sides_of(reals), MINE)
    assert score.real_vs_real == pytest.approx(float((one.seen.mean(0) - other.seen.mean(0)).norm()))
    assert score.null == "two halves"
    assert score.protocol.parameters == (("norm", 2),)


def test_what_cannot_be_measured_is_refused() -> None:
    reals = noise(50)
    with pytest.raises(SparringError, match="too few"):
        check(noise(5), "samples")
    with pytest.raises(SparringError, match="one and the same"):
        measure([GAP], Sample(reals.images[:1].expand(50, -1, -1, -1), reals.features), sides_of(reals), MINE)
    broken = noise(50, 2)
    broken.seen[3, 1] = math.nan
    with pytest.raises(SparringError, match="features of 1 of 50 samples are not finite"):
        measure([GAP], broken, sides_of(reals), MINE)


def test_a_metric_that_cannot_be_measured_is_left_out_unless_it_was_asked_for() -> None:
    def fail(fakes: Sample, sides: Sides) -> dict[str, Measured]:
        raise ValueError("no cell holds enough")

    failing = Metric("copying", {"C_T": "nearer"}, fail)
    scores, left_out = measure([failing, GAP], noise(50, 1), sides_of(noise(50)), MINE, strict=False)
    assert [score.protocol.metric for score in scores] == ["gap"]
    assert left_out == ["C_T: left out, no cell holds enough"]
    with pytest.raises(SparringError, match="'copying' cannot be measured here: no cell holds enough"):
        measure([failing, GAP], noise(50, 1), sides_of(noise(50)), MINE)


def test_metrics_are_chosen_by_name_and_by_what_there_is() -> None:
    needs = Metric("z", {"C_T": "nearer"}, mean_gap, frozenset({"held-out"}))
    chosen, left_out = choose([GAP, needs], [], {"features"})
    assert chosen == [GAP]
    assert left_out[0].startswith("C_T: left out, needs real data that training never saw")
    with pytest.raises(SparringError, match="'z' needs real data that training never saw"):
        choose([GAP, needs], ["z"], {"features"})
    with pytest.raises(SparringError, match="did you mean 'gap'"):
        choose([GAP, needs], ["gapp"], {"features"})
