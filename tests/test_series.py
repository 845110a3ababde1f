"""Series: what is read, how it is split and cut, how it lies in a tensor, the family, metrics on known cases."""

import csv
import gzip
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sparring.core.batch import Batch
from sparring.core.columns import Column
from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.core.recipe import Recipe
from sparring.core.registry import load_family
from sparring.core.series import Channel, Series
from sparring.core.spec import DataSpec
from sparring.core.steps import decode, encode, join, split
from sparring.data import open_data
from sparring.data.series import open_series
from sparring.data.series.recordings import Recording, numbers_of
from sparring.data.series.windows import cut, divide, fill, time_blocks
from sparring.metrics.series import judges, statistics
from sparring.metrics.sets import series as measured
from sparring.metrics.suite import LEAST, Sample, Sides
from sparring.modalities import series as room
from sparring.nn.series import StepGenerator, series_critic
from sparring.objectives.penalties import wgan_gp
from sparring.tools.plan import make_plan
from sparring.tools.reals import reals_of_training
from sparring.tools.run import load
from sparring.tools.series_examiner import SeriesExaminer, sides_in_time, thinned
from sparring.tools.train import train

KIND = Column("kind", "categorical", (3, 1), ("a", "b"))
SERIES = Series((Channel("x", 0.0, 10.0, 1), Channel("y", 5.0, 5.0, 0)), (KIND,), flags=True)
SPEC = DataSpec("series", (SERIES.rows, 4), count=4, series=SERIES)


def sines(count: int, length: int, seed: int = 0, frequency: float = 1.0) -> np.ndarray:
    """Waves of random phase and a little noise, ``(count, 1, length)`` within [-1, 1]."""
    draw = np.random.default_rng(seed)
    phase = draw.uniform(0, 2 * np.pi, (count, 1))
    steps = 2 * np.pi * frequency * np.arange(length) / length
    waves = 0.8 * np.sin(steps + phase) + draw.normal(0, 0.05, (count, length))
    return waves[:, None].clip(-1, 1)


def table(path: Path, columns: dict[str, list]) -> str:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return str(path)


def walk(tmp_path: Path, steps: int = 400) -> str:
    """One long series of two channels, by month."""
    draw = np.random.default_rng(0)
    months = [f"{1900 + k // 12}-{k % 12 + 1:02d}" for k in range(steps)]
    level = np.sin(np.arange(steps) / 5) * 10 + 50
    other = level / 2 + draw.normal(0, 1, steps)
    cells = [[f"{value:.2f}" for value in line] for line in (level, other)]
    return table(tmp_path / "walk.csv", {"Month": months, "level": cells[0], "other": cells[1]})


def shops(tmp_path: Path, count: int = 12) -> tuple[str, Data]:
    """Series of unlike lengths with an attribute, rows out of order, and the schema that says so."""
    draw = np.random.default_rng(1)
    rows = []
    for shop in range(count):
        kind = "big" if shop % 3 else "small"
        size = 100 if shop % 3 else 1
        rows += [(f"s{shop}", day, kind, f"{size * draw.uniform(1, 2):.3f}") for day in range(4 + shop % 5)]
    order = draw.permutation(len(rows))
    columns = zip(*(rows[place] for place in order), strict=True)
    source = table(tmp_path / "shops.csv", dict(zip(("shop", "day", "kind", "sales"), map(list, columns), strict=True)))
    schema = tmp_path / "shops.toml"
    schema.write_text('[series]\nid = "shop"\ntime = "day"\nattributes = ["kind"]\n')
    return source, Data(schema=str(schema))


# ---------------------------------------------------------------------- one tensor


def test_a_sample_by_hand():
    values = np.array([[[0.0, 5.0, 10.0, 2.5], [5.0] * 4], [[10.0, 7.5, np.nan, np.nan], [5, 5, np.nan, np.nan]]])
    encoded = encode(values, torch.tensor([[0.0], [1.0]]), SERIES)
    expected = torch.tensor(
        [
            [[-1, 0, 1, -0.5], [0, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]],
            [[1, 0.5, 0, 0], [0, 0, 0, 0], [1, 1, -1, -1], [0, 0, 0, 0], [1, 1, 1, 1]],
        ]
    )
    assert torch.equal(encoded, expected.float())
    back = decode(encoded, SERIES)
    np.testing.assert_array_equal(back.values, values)
    assert back.lengths.tolist() == [4, 2]
    assert back.attributes["kind"].tolist() == [0, 1]


def test_a_series_ends_once_and_has_a_step():
    samples = torch.zeros(2, SERIES.rows, 4)
    samples[0, 2] = torch.tensor([1.0, -0.1, 1.0, 1.0])
    samples[1, 2] = -1
    there = split(samples, SERIES)[1]
    assert there.tolist() == [[True, False, False, False], [True, False, False, False]]


def test_join_undoes_split():
    draw = torch.Generator().manual_seed(0)
    samples = encode(np.full((3, 2, 4), 5.0), torch.tensor([[0.0], [1.0], [0.0]]), SERIES)
    assert torch.equal(join(*split(samples, SERIES), SERIES), samples)
    soft = torch.rand(3, SERIES.rows, 4, generator=draw) * 2 - 1
    assert torch.equal(split(join(*split(soft, SERIES), SERIES), SERIES)[1], split(soft, SERIES)[1])


def test_values_beyond_the_range_are_cut_off():
    values = np.array([[[-3.0, 12.0, 5.0, 0.0], [5.0] * 4]])
    assert decode(encode(values, torch.zeros(1, 1), SERIES), SERIES).values[0, 0].tolist() == [0, 10, 5, 0]


def test_a_spec_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="not of shape"):
        DataSpec("series", (2, 4), series=SERIES)


# ---------------------------------------------------------------------- reading


def test_numbers_of_cells():
    numbers, strays, decimals = numbers_of(["1,5", "2", "", "oops", "inf", "-9"], frozenset({"-9"}))
    assert (strays, decimals) == (1, 1)
    np.testing.assert_array_equal(numbers, [1.5, 2, np.nan, np.nan, np.nan, np.nan])


def test_a_long_table_in_windows(tmp_path):
    data = open_data(walk(tmp_path), Data(window=24))
    assert data.spec.shape == (2, 24)
    assert len(data) == 400 - 24 + 1
    assert [channel.name for channel in data.spec.series.channels] == ["level", "other"]
    assert torch.equal(data.pixels[1, :, :-1], data.pixels[0, :, 1:])
    assert any("'Month' tells the time" in note for note in data.notes)
    assert data.spec.series.overlap(24) == 23


def test_rows_are_sorted_by_time_and_that_is_said(tmp_path):
    source = walk(tmp_path)
    text = Path(source).read_text().splitlines()
    (tmp_path / "mixed.csv").write_text("\n".join([text[0], *reversed(text[1:])]) + "\n")
    mixed = open_data(str(tmp_path / "mixed.csv"), Data(window=24))
    assert torch.equal(mixed.pixels, open_data(source, Data(window=24)).pixels)
    assert any("were sorted" in note for note in mixed.notes)


def test_gaps_are_filled_by_straight_lines():
    notes: list[str] = []
    (whole,) = fill([Recording("", np.array([[np.nan, 1.0, np.nan, 3.0, 5.0, np.nan]]))], ("x",), notes)
    assert whole.values.tolist() == [[1, 1, 2, 3, 5, 5]]
    assert "3 of 6 steps" in notes[0]
    with pytest.raises(SparringError, match="missing at 67%"):
        fill([Recording("", np.array([[np.nan, 1.0, np.nan]]))], ("x",), [])


def test_series_by_an_id_with_attributes_and_lengths(tmp_path):
    source, settings = shops(tmp_path)
    data = open_data(source, settings)
    assert data.spec.shape == (1 + 1 + 2, 8)  # sales, flag, two states; days 4 to 8
    back = decode(data.pixels, data.spec.series)
    assert sorted(back.lengths.tolist()) == sorted(4 + shop % 5 for shop in range(12))
    small = back.attributes["kind"] == data.spec.series.attributes[0].categories.index("small")
    assert np.nanmax(back.values[small]) <= 2
    assert np.nanmin(back.values[~small]) >= 100
    assert data.spec.series.stride == 0


def test_an_attribute_that_changes_is_refused(tmp_path):
    source = table(tmp_path / "t.csv", {"id": ["a", "a", "b", "b"], "v": [1, 2, 3, 4], "k": ["x", "y", "x", "x"]})
    (tmp_path / "s.toml").write_text('[series]\nid = "id"\nattributes = ["k"]\n')
    with pytest.raises(SparringError, match="'k' of series 'a' is not the same"):
        open_data(source, Data(schema=str(tmp_path / "s.toml")))


@pytest.mark.parametrize(
    ("columns", "settings", "said"),
    [
        ({"v": [1, 2, 3]}, {"window": 5}, "take a shorter --data.window"),
        ({"v": [1, 1, 1, 1]}, {"window": 2}, "each channel is constant"),
        ({"v": ["a", "b", "c"]}, {"window": 2}, "no column of numbers"),
        ({"date": ["2020-01-01"] * 2 + ["2020-01-02"], "v": [1, 2, 3]}, {"window": 2}, "the same 'date'"),
        ({"v": list(range(40))}, {"window": 10, "held_out": 0.1}, "shorter than a window of 10"),
        ({"v": list(range(40))}, {"window": 10, "size": "32"}, "data.size is for pictures"),
        ({"v": list(range(40))}, {"window": 10, "schema": '[series]\ntime = "w"\n'}, "no column 'w'"),
        ({"v": list(range(40))}, {"schema": '[series]\ntime = "v"\n'}, "no column of numbers besides"),
        ({"v": list(range(40)), "u": list(range(40))}, {"schema": '[series]\ntime = "v"\n'}, "one long series"),
        ({"v": list(range(40))}, {"schema": "[series]\nwindows = 3\n"}, "unknown setting"),
        ({"v": list(range(40))}, {"schema": "[series]\nwindow = -5\n"}, "window is 2 steps to 2^20"),
        ({"v": list(range(40))}, {"schema": "[series]\nwindow = 1\n"}, "window is 2 steps to 2^20"),
        ({"v": list(range(40))}, {"window": 4, "schema": '[columns]\nvv = "drop"\n'}, "'vv' that there is not"),
        ({"v": list(range(40))}, {"window": 4, "schema": '[series]\nattributes = ["v"]\n'}, "say id = NAME"),
    ],
)
def test_refusals_say_what_to_do(tmp_path, columns, settings, said):
    source = table(tmp_path / "t.csv", columns)
    if "schema" in settings:
        (tmp_path / "s.toml").write_text(settings["schema"])
        settings = {**settings, "schema": str(tmp_path / "s.toml")}
    with pytest.raises(SparringError, match=said.replace("[", r"\[").replace("^", r"\^")):
        open_data(source, Data(**settings))


@pytest.mark.parametrize("cells", [["a", "b"] * 100, [""] * 200], ids=["text", "empty"])
@pytest.mark.parametrize("channels", ["xy", "xyz"])
def test_other_data_needs_numbers_in_each_channel(tmp_path, cells, channels):
    """What is left of them would be taken for all of them."""
    columns = {name: np.random.default_rng(0).normal(size=200).round(3).tolist() for name in channels}
    known = open_data(table(tmp_path / "t.csv", columns), Data(window=10)).spec
    other = table(tmp_path / "other.csv", columns | {"y": cells})
    with pytest.raises(SparringError, match=r"other.csv has no numbers in 'y', and the series before have"):
        open_series(other, Data(window=10), known.series, 10)


def test_a_channel_is_no_time_in_other_data(tmp_path):
    """It falls once in what was learnt from, and grows throughout elsewhere."""
    steps = list(range(60))
    known = open_data(table(tmp_path / "t.csv", {"step": steps[::-1], "v": steps}), Data(window=10)).spec
    assert [channel.name for channel in known.series.channels] == ["step", "v"]
    other = open_series(table(tmp_path / "o.csv", {"step": steps, "v": steps}), Data(window=10), known.series, 10)
    assert torch.equal(other.pixels[:, 0], other.pixels[:, 1])


def test_arrays_of_whole_series_and_of_long_ones(tmp_path):
    values = np.random.default_rng(0).normal(size=(6, 10, 3))
    values[2, 7:] = np.nan
    np.save(tmp_path / "a.npy", values)
    whole = open_data(str(tmp_path / "a.npy"), Data(window=10))
    assert whole.spec.shape == (4, 10)
    back = decode(whole.pixels, whole.spec.series)
    np.testing.assert_allclose(back.values.transpose(0, 2, 1), values, atol=1e-6)
    assert back.lengths.tolist() == [10, 10, 7, 10, 10, 10]
    windows = open_data(str(tmp_path / "a.npy"), Data(window=4))
    assert len(windows) == 5 * 7 + 4
    np.save(tmp_path / "flat.npy", values[0])
    with pytest.raises(SparringError, match=r"\(n, length, channels\)"):
        open_data(str(tmp_path / "flat.npy"), Data(window=4))


# ---------------------------------------------------------------------- nothing leaks


def test_blocks_of_time_by_hand():
    assert time_blocks(100, 0.2, 10) == [(0, 80, False), (80, 100, True)]
    blocks = time_blocks(1000, 0.2, 10)
    assert blocks[:2] == [(0, 80, False), (80, 100, True)]
    assert len(blocks) == 20
    assert [b[0] for b in blocks[1:]] == [b[1] for b in blocks[:-1]]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.4])
def test_no_window_straddles_the_split(tmp_path, share):
    """Each step has a value of its own, so windows say which steps they hold."""
    source = table(tmp_path / "t.csv", {"v": list(range(500))})
    data = open_data(source, Data(window=12, held_out=share))
    assert data.held_out is not None
    ours = {round(v) for v in decode(data.pixels, data.spec.series).values.ravel().tolist()}
    recordings = [Recording("", np.arange(500.0)[None])]
    sides = divide(recordings, share, 12)
    theirs = {round(v) for window in cut(sides.theirs, 12, 1)[0] for v in window.ravel().tolist()}
    assert not ours & theirs
    assert len(ours | theirs) == 500
    assert len(theirs) == pytest.approx(500 * share, abs=5)
    assert len(data.held_out) == len(cut(sides.theirs, 12, 1)[0])


def test_a_gap_is_not_filled_across_the_split(tmp_path):
    cells: list = [float(k) for k in range(100)]
    cells[79:81] = ["", ""]  # the last step to train on, and the first held out
    source = table(tmp_path / "t.csv", {"step": list(range(100)), "v": cells})
    data = open_data(source, Data(window=10, held_out=0.2))
    assert decode(data.pixels[-1:], data.spec.series).values[0, 0, -1] == 78
    assert data.held_out is not None
    assert data.spec.series.channels[0].maximum == 78  # scaled by the training side alone
    assert bool((data.held_out.pixels[:, 0] == 1).all())


def test_whole_series_are_held_out_and_copies_stay_together():
    draw = np.random.default_rng(0)
    values = [draw.normal(size=(1, 5)) for _ in range(20)]
    recordings = [Recording(str(k), values[k % 20]) for k in range(40)]  # each twice
    sides = divide(recordings, 0.25, 2)
    ours, theirs = ({recording.values.tobytes() for recording in side} for side in (sides.ours, sides.theirs))
    assert not ours & theirs
    assert len(sides.theirs) == 10


def test_tested_series_share_no_step_with_those_learnt_from():
    lesson, exam = judges.exam_places(300, overlap=23)
    assert np.abs(lesson[:, None] - exam).min() == 24
    assert len(exam) == 60
    with pytest.raises(ValueError, match="share no step"):
        judges.exam_places(60, overlap=23)


@pytest.mark.parametrize(("overlap", "blocks"), [(5, 10), (40, 2), (0, 10)])
def test_control_sides_share_no_step(overlap, blocks):
    one, other, made = sides_in_time(Sample(torch.arange(200.0)[:, None, None]), overlap)
    apart = (one.images.flatten()[:, None] - other.images.flatten()).abs()
    assert float(apart.min()) == overlap + 1
    assert made == blocks


def test_fewer_windows_overlap_with_fewer():
    assert thinned(199, 2000, 2000) == 199
    assert thinned(199, 1000, 2621) == 76  # 75.9: every 2.6th of them stays
    assert thinned(0, 10, 1000) == 0


@pytest.mark.parametrize("steps", [3000, 1500])
def test_long_windows_are_measured(tmp_path, quick, monkeypatch, steps):
    """Windows of 200 overlap with 199 that follow; of 1,301 ten blocks would leave one of each."""
    monkeypatch.setattr(judges, "ITERATIONS", 1)
    source = table(tmp_path / "t.csv", {"v": np.random.default_rng(0).normal(size=steps).round(3).tolist()})
    data = open_data(source, Data(window=200))
    examiner = SeriesExaminer(reals_of_training(data, source, Data(window=200)), 1000, 0)
    assert examiner.sides.overlap == -(-199 * 1000 // len(data))
    one, other = (side.images[:, 0].flatten().unique().numpy() for side in examiner.sides.null)
    assert len(np.intersect1d(one, other)) < 0.5 * len(one)  # numbers of three digits, some of them twice
    assert min(map(len, examiner.sides.null)) >= LEAST
    judged = measured.told_apart(Sample(data.pixels[:1000]), examiner.sides)
    assert set(judged) == {"discriminative score", "discriminative score of trees"}


# ---------------------------------------------------------------------- the family


def family():
    cls = load_family("doppelganger")
    torch.manual_seed(0)
    return cls(*cls.tiny())


def test_auto_normalisation_by_hand():
    game = family()
    x = torch.tensor([[0.0, 0.5, 0.25, 0.0], [0.2, 0.2, 0.2, 0.2]])
    series = game.series
    there = torch.tensor([[True, True, True, False]])
    sample = join(x[None], there, torch.tensor([[1.0, 0.0, 0.3]]), series)
    game.length = 4
    flat = game.normalised(sample)[0]
    about, ranges, flags, values = flat.split([3, 4, 4, 8])
    torch.testing.assert_close(about, torch.tensor([1.0, 0.0, 0.3]))
    torch.testing.assert_close(ranges, torch.tensor([0.25, 0.2, 2 * 0.25 - 1, -1.0]))  # middles, then halves
    torch.testing.assert_close(flags, torch.tensor([1.0, 1.0, 1.0, -1.0]))
    torch.testing.assert_close(values, torch.tensor([-1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]))


def test_samples_lie_in_their_ranges_and_end_once():
    game = family().eval()
    with torch.no_grad():
        samples = game.sample(Batch.of_seeds(range(64), None, torch.device("cpu")))
    back = decode(samples, game.series)
    flags = samples[:, 2]
    assert bool(((flags == 1) | (flags == -1)).all())
    assert bool((flags.diff(dim=1) <= 0).all())
    states = samples[:, 3:5, 0]
    assert torch.equal(states.sum(1), torch.ones(64))
    assert bool(((states == 0) | (states == 1)).all())
    low, high = (back.values[:, 1][~np.isnan(back.values[:, 1])].min(), np.nanmax(back.values[:, 1]))
    assert -5 <= low <= high <= 5


def test_the_lstm_emits_its_steps_in_order_and_cuts_what_is_over():
    torch.manual_seed(0)
    network = StepGenerator(about=1, z_dim=2, width=4, outputs=3, length=7, together=3)
    assert network.steps == 3
    noise, about, begin = torch.randn(2, 3, 2), torch.randn(2, 1), torch.randn(2, 8)
    made = network(noise, about, begin)
    assert made.shape == (2, 3, 7)
    later = noise.clone()
    later[:, 2] += 1
    changed = (network(later, about, begin) - made).abs().amax((0, 1)) > 0
    assert changed.tolist() == [False] * 6 + [True]


def test_the_critics_penalty_is_differentiated_twice():
    """Against finite differences of the penalty in a weight; G's LSTM is not in its graph."""
    torch.manual_seed(0)
    critic = series_critic(4, 8, 2).double()
    real, fake, mix = (torch.rand(6, width, dtype=torch.float64) for width in (4, 4, 1))
    weight = critic[0].weight
    (slope,) = torch.autograd.grad(wgan_gp(critic, real, fake, mix), weight)
    place, found = int(slope.abs().argmax()), []
    assert float(slope.abs().max()) > 1e-3
    for step in (1e-6, -2e-6):
        with torch.no_grad():
            weight.view(-1)[place] += step
        found.append(float(wgan_gp(critic, real, fake, mix).detach()))
    assert float(slope.view(-1)[place]) == pytest.approx((found[0] - found[1]) / 2e-6, rel=1e-4)
    game = family()
    batch = Batch.of_seeds(range(8), None, torch.device("cpu"))
    batch.real = torch.rand(8, *game.spec.shape) * 2 - 1
    fakes = game.fakes(batch)
    assert fakes.requires_grad
    penalty = wgan_gp(game.D, game.normalised(batch.real), fakes, batch.uniform(1))
    assert not any(torch.autograd.grad(penalty, list(game.G.parameters()), allow_unused=True))


class Line(nn.Module):
    """A critic of one slope, along the first number that it sees."""

    def __init__(self, slope: float):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.slope * x[:, :1]


def test_the_critic_of_attributes_finds_the_way_back_from_the_wrong_sign():
    """Half a unit apart, and a slope that says the contrary: only without a penalty below 1 does descent turn it."""
    game = family()
    batch = Batch.of_seeds(range(64), None, torch.device("cpu"))
    batch.real = torch.rand(64, *game.spec.shape) * 2 - 1
    apart = torch.zeros(64, game.G.about + game.G.ranges + (game.G.channels + game.G.flags) * game.length)
    apart[:, 0] = 0.5
    game.normalised, game.fakes = lambda real: apart, lambda batch: torch.zeros_like(apart)
    game.D, game.D_attributes = Line(0.0), Line(-0.5)
    optimiser = torch.optim.SGD(game.D_attributes.parameters(), lr=0.02)
    for _ in range(400):
        outcome = game.critics(batch)
        optimiser.zero_grad()
        outcome.loss.backward()
        optimiser.step()
    # 0.5 s less 10 (s - 1)^2 is greatest at s = 1 + 0.5 / 20.
    assert float(game.D_attributes.slope.detach()) == pytest.approx(1.025, abs=1e-3)
    assert float(outcome.terms["penalty"].detach()) == pytest.approx(10, rel=1e-4)  # of all of it both sides count


@pytest.mark.parametrize("kind", ["numeric", "few"])
def test_attributes_may_all_be_numbers(kind):
    """With a mode and no choice, or with a choice among a few numbers and no scalar."""
    told = {"numeric": {"centres": (0.0,), "reaches": (1.0,)}, "few": {"points": (1.0, 2.0)}}[kind]
    series = Series((Channel("x", 0.0, 1.0),), (Column("size", "continuous", **told),))
    cls = load_family("doppelganger")
    game = cls(DataSpec("series", (series.rows, 8), count=9, series=series), cls.config_class(width=8)).eval()
    samples = game.sample(Batch.of_seeds(range(3), None, torch.device("cpu")))
    assert samples.shape == (3, series.rows, 8)
    assert bool(samples.isfinite().all())


def test_samples_end_where_critics_see_them_end():
    """Each step goes on by 0.7, so half of the series is gone from the third step on."""
    game = family()
    with torch.no_grad():
        game.G.series.heads.weight.zero_()
        game.G.series.heads.bias.fill_(math.log(0.7 / 0.3))
        batch = Batch.of_seeds(range(4), None, torch.device("cpu"))
        soft, hard = (game.fakes(batch, hard)[:, game.told : game.told + game.length] for hard in (False, True))
    torch.testing.assert_close((soft[0] + 1) / 2, 0.7 ** torch.arange(8.0))
    assert ((hard + 1) / 2).tolist() == [[1.0] * 2 + [0.0] * 6] * 4


def test_before_anything_is_learnt_series_go_on():
    cls = load_family("doppelganger")
    spec, config = cls.tiny()
    torch.manual_seed(0)
    with torch.no_grad():
        samples = cls(spec, config).eval().sample(Batch.of_seeds(range(64), None, torch.device("cpu")))
    assert float(decode(samples, spec.series).lengths.mean()) > 6  # of 8; by halves it would be 1


def test_without_ranges_and_attributes_one_critic_is_left():
    cls = load_family("doppelganger")
    series = Series((Channel("x", 0.0, 1.0),))
    game = cls(DataSpec("series", (1, 8), count=9, series=series), cls.config_class(auto_normalise=False, width=8))
    assert set(game.players()) == {"G", "D"}
    batch = Batch.of_seeds(range(3), None, torch.device("cpu"))
    assert game.sample(batch).shape == (3, 1, 8)
    assert torch.equal(game.normalised(torch.full((2, 1, 8), 0.3)), torch.full((2, 8), 0.3))


# ---------------------------------------------------------------------- metrics


def test_distances_by_hand():
    up, down = np.array([[[0.0, 1.0, 2.0, 3.0]]]), np.array([[[3.0, 2.0, 1.0, 0.0]]])
    # Around the mean -1.5, -0.5, 0.5, 1.5: squares sum to 5, products at lag 1 to 0.75 - 0.25 + 0.75.
    np.testing.assert_allclose(statistics.autocorrelation(up, 2), [[1.25 / 5, (-0.75 - 0.75) / 5]])
    assert statistics.autocorrelation_distance(up, down) == 0
    np.testing.assert_allclose(statistics.correlation(np.concatenate([up, down], axis=1)), [[1, -1], [-1, 1]])
    both = np.concatenate([up, up], axis=1), np.concatenate([up, down], axis=1)
    assert statistics.correlation_distance(*both) == pytest.approx(2)
    assert statistics.marginal_ks(up, down).tolist() == [0]
    assert statistics.marginal_ks(up, up + 2).tolist() == [0.5]
    assert statistics.length_ks(np.array([[[1.0, 1, 1]]]), np.array([[[1.0, np.nan, np.nan]]])) == 1
    with pytest.raises(ValueError, match="one channel"):
        statistics.correlation_distance(up, down)


def test_what_lies_after_the_end_counts_for_nothing():
    short = np.array([[[0.0, 1.0, 2.0, 3.0]]])
    long = np.concatenate([short, np.full((1, 1, 3), np.nan)], axis=2)
    np.testing.assert_allclose(statistics.autocorrelation(short, 3), statistics.autocorrelation(long, 3))
    np.testing.assert_allclose(statistics.summaries(short), statistics.summaries(long))


def test_order_in_time_is_seen_by_the_autocorrelation_alone():
    one, other = sines(400, 24), sines(400, 24, seed=1)
    shuffled = np.random.default_rng(0).permuted(other, axis=2)
    assert statistics.autocorrelation_distance(one, other) < 0.02
    assert statistics.autocorrelation_distance(one, shuffled) > 0.2
    assert statistics.marginal_ks(one, shuffled)[0] == pytest.approx(statistics.marginal_ks(one, other)[0])


def test_baselines_keep_what_they_say():
    draw = np.random.default_rng(0)
    values = np.zeros((500, 1, 30))
    values[:, 0, 0] = draw.normal(size=500) / np.sqrt(1 - 0.81)
    for step in range(1, 30):
        values[:, 0, step] = 0.9 * values[:, 0, step - 1] + draw.normal(size=500)
    made = statistics.autoregressive(values, 500, 1)
    assert statistics.autocorrelation_distance(values, made) < 0.02
    assert made.std() == pytest.approx(values.std(), rel=0.1)
    blocks = statistics.resampled_blocks(values, 500, 10, 1)
    assert blocks.shape == values.shape
    steps = {round(step, 9) for step in np.diff(values, axis=2).ravel().tolist()} | {0.0}
    assert {round(step, 9) for step in np.diff(blocks, axis=2).ravel().tolist()} <= steps  # no step but the data's


def sides_of(real: np.ndarray, train_on: np.ndarray | None = None) -> Sides:
    series = Series((Channel("x", -1.0, 1.0),))
    spec = DataSpec("series", (1, real.shape[2]), count=len(real), series=series)
    reals = Sample(torch.from_numpy(real).float())
    lesson = None if train_on is None else Sample(torch.from_numpy(train_on).float())
    return Sides(reals, (reals, reals), "", lesson, train_on is not None, spec=spec)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(judges, "ITERATIONS", 100)
    monkeypatch.setattr(judges, "RATE", 1e-2)
    monkeypatch.setattr(judges, "RUNS", 1)


def test_judges_know_other_waves_and_not_the_same_ones(quick):
    sides = sides_of(sines(200, 12))
    alike = measured.told_apart(Sample(torch.from_numpy(sines(200, 12, seed=1)).float()), sides)
    unlike = measured.told_apart(Sample(torch.from_numpy(sines(200, 12, seed=1, frequency=3)).float()), sides)
    for name in alike:
        assert alike[name].value < 0.2
        assert unlike[name].value > 0.4


def test_what_is_learnt_of_other_waves_predicts_worse(quick):
    sides = sides_of(sines(200, 12), sines(200, 12, seed=2))
    good, bad = (
        measured.teaching(Sample(torch.from_numpy(sines(200, 12, seed=1, frequency=f)).float()), sides)[
            "predictive score"
        ]
        for f in (1.0, 3.0)
    )
    of_reals = measured.teaching(sides.train, sides)["predictive score"]
    assert good.value == pytest.approx(of_reals.value, rel=0.3)
    assert bad.value > 1.5 * good.value


def test_persistence_by_hand():
    exam = torch.tensor([[[0.0, 1.0, 0.0, 0.0]]])
    there = torch.tensor([[True, True, True, False]])
    assert judges.persistence(exam, 1, there) == pytest.approx(0.5)  # two steps of 1 in a range of 2


def test_copies_are_seen():
    train_on, held_out = sines(100, 12, seed=2), sines(100, 12)
    sides = sides_of(held_out, train_on)
    copied = measured.copying(Sample(torch.from_numpy(train_on + 1e-3).float()), sides)
    fresh = measured.copying(Sample(torch.from_numpy(sines(300, 12, seed=3)).float()), sides)
    assert copied["NN ratio"].value < 0.05
    assert fresh["NN ratio"].value == pytest.approx(1, abs=0.15)
    with pytest.raises(ValueError, match="most held-out series equal"):
        measured.copying(sides.reals, sides_of(train_on, train_on))


# ---------------------------------------------------------------------- pictures and files


def test_files_hold_each_step_there_is(tmp_path):
    values = np.array([[[0.0, 5.0, 10.0, 2.5], [5.0] * 4], [[10.0, 7.5, np.nan, np.nan], [5, 5, np.nan, np.nan]]])
    samples = encode(values, torch.tensor([[0.0], [1.0]]), SERIES)
    assert list(room.write_files([((3, 9), samples)], tmp_path, spec=SPEC)) == [2]
    lines = (tmp_path / "series.csv").read_text().splitlines()
    assert lines[:2] == ["series,step,kind,x,y", "3,0,a,0.0,5"]
    assert lines[-1] == "9,1,b,7.5,5"
    assert len(lines) == 1 + 4 + 2
    assert room.array(samples, spec=SPEC)[1, :, 0].tolist()[:2] == [10, 7.5]
    assert np.isnan(room.array(samples, spec=SPEC)[1, 2:]).all()


def test_a_panel_a_series():
    picture = room.grid(encode(np.full((5, 2, 4), 5.0) * [[0.2], [1]], torch.zeros(5, 1), SERIES), spec=SPEC)
    assert picture.size == (3 * 188 + 8, 2 * 104 + 8)
    assert (31, 78, 121) in {colour for _, colour in picture.getcolors(1 << 20)}


# ---------------------------------------------------------------------- from end to end

TINY = {
    "data_settings": {"held_out": 0.3},
    "game": {"width": 8, "critic_width": 8, "critic_depth": 1},
    "train": {"batch": 16, "referee": False, "picture_kimg": 9.0},
}


def test_the_family_alone_makes_a_table_series(tmp_path):
    plan = make_plan(Recipe(walk(tmp_path), "doppelganger", {}))
    assert plan.data.window == 24
    assert plan.dataset.spec.modality == "series"
    assert any(reason.startswith("data.window 24") for reason in plan.reasons)
    other = make_plan(Recipe(walk(tmp_path), "", {"data": {"window": 12}}))
    assert (other.family, other.dataset.spec.shape) == ("doppelganger", (2, 12))


def test_train_sample_evaluate_inspect(tmp_path, sparring, quick):
    source, run = walk(tmp_path, 600), tmp_path / "run"
    told = (*("--data.held-out", "0.3", "--game.width", "8", "--game.critic-width", "8"), *("--train.batch", "16"))
    line = ("train", source, "--family", "doppelganger", "--run", run, "--train.kimg", "0.2", *told)
    assert sparring(*line, "--eval.every", "0.1").code == 0
    recipe = json.loads((run / "recipe.json").read_text())
    assert recipe["data"]["window"] == 24
    assert sparring(*line[:-6], *told, "--train.kimg", "0.2").code == 0  # resumed, and done already
    assert sparring("sample", run, "--seeds", "0-4", "--out", tmp_path / "out").code == 0
    with open(tmp_path / "out" / "series.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 24
    assert set(rows[0]) == {"series", "step", "level", "other"}
    answer = sparring("evaluate", run, "--samples", "150")
    assert answer.code == 0
    for name in ("series distance", "discriminative score", "predictive score", "NN ratio"):
        assert name in answer.out
    other = sparring("evaluate", run, "--samples", "100", "--data", source, "--metrics", "likeness")
    assert other.code == 0
    shown = sparring("inspect", source, "--data.window", "24")
    assert "channel, 40 to 60" in shown.out
    assert "would train doppelganger" in " ".join(shown.out.split())
    assert load(run).sample(2).shape == (2, 2, 24)


def test_series_with_attributes_from_end_to_end(tmp_path):
    source, settings = shops(tmp_path, 24)
    told = {**TINY, "data_settings": {"schema": settings.schema}}
    run = train(source, family="doppelganger", run=tmp_path / "run", kimg=0.1, **told)
    back = decode(run.sample(20), run.game.spec.series)
    assert 1 <= back.lengths.min() <= back.lengths.max() <= 8
    assert set(back.attributes["kind"].tolist()) <= {0, 1}


@pytest.mark.skipif("SPARRING_TEST_DATA" not in os.environ, reason="SPARRING_TEST_DATA names no folder of real data")
def test_real_series():
    folder = Path(os.environ["SPARRING_TEST_DATA"]) / "timeseries"
    with gzip.open(folder / "google_stock.csv.gz", "rt") as file:
        rows = sum(1 for _ in file) - 1
    data = open_data(str(folder / "google_stock.csv.gz"), Data(window=24, held_out=0.2))
    assert data.held_out is not None
    assert len(data) + len(data.held_out) == rows - 20 * 23 + 0  # ten blocks a side, each too short by 23 windows
    assert data.spec.shape == (6, 24)
    spots = open_data(str(folder / "monthly-sunspots.csv.gz"), Data(window=24))
    assert len(spots) == 2820 - 23
