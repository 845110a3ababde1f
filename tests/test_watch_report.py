"""The report: made from files alone, self-contained, escaped; and the curves in it."""

import json
import math
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits

from sparring.core.errors import SparringError
from sparring.core.files import write_json
from sparring.core.folder import RunFolder
from sparring.core.observer import Tick
from sparring.modalities import image
from sparring.watch.charts import charts
from sparring.watch.curves import Chart, Curve, Scale, draw, scale_of, thin
from sparring.watch.pictures import Timelapse, grid_path
from sparring.watch.records import Records
from sparring.watch.report import Report, write_report


def fake_run(root: Path, ticks: int = 100, pictures: int = 12, kimg: int = 60, until: float = 1.0) -> RunFolder:
    """A run folder as training leaves it: numbers that look like a GAN's, and digits that emerge from noise."""
    folder = RunFolder(root)
    folder.create()
    folder.write_recipe(
        {
            "source": "photos/handwritten digits",
            "family": "dcgan",
            "fingerprint": "0123456789abcdef",
            "data": {"size": "auto", "fit": "crop", "max_bad": 0.01},
            "spec": {"modality": "image", "shape": [1, 8, 8], "classes": [str(d) for d in range(10)], "count": 1797},
            "game": {"z_dim": 64, "width": 32, "loss": "nonsaturating"},
            "optim": {"G": {"name": "adam", "lr": 2e-4, "betas": [0.0, 0.99]}, "D": {"name": "adam", "lr": 2e-4}},
            "train": {"kimg": kimg, "batch": 64, "seed": 0, "precision": "fp32", "ema_kimg": 10.0},
        }
    )
    write_json(root / "env.json", {"python": "3.12.1", "torch": "2.13.0", "device": {"type": "cpu", "threads": 2}})
    records, total = Records(folder), kimg * 1000
    records.start(0, total)
    random = torch.Generator().manual_seed(0)
    reals = image.from_uint8(torch.tensor(load_digits().images[:36] * 255 / 16).byte()[:, None])
    noise = torch.randn(reals.shape, generator=random)
    for index in range(1, round(ticks * until) + 1):
        t, wobble = index / ticks, torch.randn(8, generator=random).tolist()
        nimg = round(total * t)
        terms = {
            "D.discriminator/loss": 1.386 - 0.7 * t + 0.05 * wobble[0],
            "D.discriminator/real_logits": 1.5 * t + 0.1 * wobble[1],
            "D.discriminator/fake_logits": -1.2 * t + 0.1 * wobble[2],
            "D.discriminator/gradient_norm": 2 * math.exp(-t + 0.3 * wobble[3]) * (40 if index == ticks // 2 else 1),
            "G.generator/loss": 0.69 + t + 0.08 * wobble[4],
            "G.generator/fake_logits": -t + 0.1 * wobble[5],
            "G.generator/gradient_norm": math.nan if index == 7 else 0.4 * math.exp(0.3 * wobble[6]),
            "probe/diversity": 0.9 * (1 - math.exp(-4 * t)) + 0.01 * wobble[7],
        }
        records.tick(Tick(nimg, total, 1.2, 512 + 20 * wobble[7], 812, terms))
        if index % max(1, ticks // pictures) == 0:
            shown = image.grid(((1 - t) ** 2 * noise + (1 - (1 - t) ** 2) * reals).clamp(-1, 1))
            shown.save(grid_path(folder, nimg))
    records.event("resumed", "training goes on at 30 kimg", nimg=total // 2)
    records.event(
        "verdict",
        "G & D are in balance: the samples vary as much as the data.",
        severity="good",
        nimg=round(total * until),
    )
    return folder


class Page(HTMLParser):
    """Collects the tags of a page, and checks that they nest."""

    VOID = ("meta", "link", "img", "br", "path")

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def test_a_whole_run_on_one_page(tmp_path: Path) -> None:
    text = write_report(fake_run(tmp_path), running=False).read_text(encoding="utf-8")
    page = Page(text)
    assert not page.open
    assert "dcgan <small>on handwritten digits</small>" in text
    assert "<b>finished</b> · 100% · 60 of 60 kimg" in text
    assert "<span>time trained</span><b>2m 00s</b>" in text  # the sum over the ticks
    assert '<div class="verdict good"><b>G &amp; D are in balance' in text
    titles = [title.strip() for title in re.findall(r"<h3>([^<]+)", text)]
    assert {"Losses", "Scores", "Gradient norms", "diversity", "Speed", "Latest samples"} <= set(titles)
    assert len(page.all("img")) == 1 + 9
    assert "not finite at 1 of 100 ticks" in text
    assert "log scale" in text  # of the gradient norms, because of the spike
    assert "torch" in text
    assert "optim" in titles


def test_nothing_is_fetched(tmp_path: Path) -> None:
    text = write_report(fake_run(tmp_path), running=True).read_text(encoding="utf-8")
    page = Page(text)
    targets = [attrs.get(key) for _, attrs in page.tags for key in ("src", "href", "action", "srcset") if key in attrs]
    assert targets
    assert all(target is not None and target.startswith("data:") for target in targets)
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_reloads_itself_only_while_training(tmp_path: Path) -> None:
    folder = fake_run(tmp_path, until=0.4)
    refreshing = [{"http-equiv": "refresh", "content": "30"}]

    def refresh() -> list[dict[str, str | None]]:
        metas = Page(folder.report.read_text(encoding="utf-8")).all("meta")
        return [meta for meta in metas if meta.get("http-equiv") == "refresh"]

    report = Report(folder)
    report.start(24_000, 60_000)
    assert refresh() == refreshing
    assert "<b>training</b> · 40% · 24 of 60 kimg" in folder.report.read_text(encoding="utf-8")
    report.finish()
    assert refresh() == []
    assert "<b>stopped</b> · 40%" in folder.report.read_text(encoding="utf-8")


def test_is_written_at_pictures_and_now_and_then_at_ticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bool] = []
    clock = [100.0]
    monkeypatch.setattr("sparring.watch.report.write_report", lambda folder, running, title: written.append(running))
    monkeypatch.setattr("sparring.watch.report.time.monotonic", lambda: clock[0])
    report = Report(RunFolder(tmp_path))
    report.start(0, 1000)
    for clock[0] in (110.0, 119.9, 120.1, 139.0):
        report.tick(Tick(1, 1000, 1, 1, 1))
    assert written == [True, True]
    report.picture(tmp_path / "x.png", 2)
    report.finish()
    assert written == [True, True, True, False]


def test_is_not_written_more_often_than_it_is_worth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, written = [0.0], []

    def write(folder: RunFolder, running: bool, title: str) -> None:
        clock[0] += 1.0
        written.append(clock[0])

    monkeypatch.setattr("sparring.watch.report.write_report", write)
    monkeypatch.setattr("sparring.watch.report.time.monotonic", lambda: clock[0])
    report = Report(RunFolder(tmp_path))
    report.start(0, 1000)
    for clock[0] in (3.0, 5.0, 7.0):
        report.picture(tmp_path / "x.png", 1)
    for clock[0] in (20.9, 21.0, 40.0):
        report.tick(Tick(1, 1000, 1, 1, 1))
    assert written == [1.0, 22.0]  # a second's work waits for 20


def test_strangers_words_are_escaped(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>\"'&"
    folder = fake_run(tmp_path, ticks=3, pictures=1)
    recipe = folder.read_recipe()
    folder.write_recipe({**recipe, "family": bad, "source": bad, bad: {bad: bad}})
    write_json(tmp_path / "env.json", {bad: bad})
    records = Records(folder)
    records.event("verdict", bad, severity=bad)
    records.event(bad, bad)
    records.tick(Tick(60_000, 60_000, 1, 1, 1, {f"{bad}.x/loss": 1.0, f"{bad}x": 1.0, f"D.d/{bad}": 2.0}))
    page = Page(write_report(folder, running=True).read_text(encoding="utf-8"))
    assert len(page.all("script")) == 1
    assert not page.open


def test_an_empty_run_has_a_page_and_no_run_has_none(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    with pytest.raises(SparringError, match="not a run folder"):
        write_report(folder, running=True)
    folder.write_recipe({"family": "dcgan", "source": "digits"})
    (folder.root / "env.json").write_text("{half")
    text = write_report(folder, running=True).read_text(encoding="utf-8")
    assert "No verdict yet" in text
    assert "dcgan <small>on digits</small>" in text


def test_a_strange_log_does_not_break_the_page(tmp_path: Path) -> None:
    folder = fake_run(tmp_path, ticks=2, pictures=1)
    lines = [{"nimg": "x"}, {"terms": 3}, {"nimg": 5, "terms": {"D.d/loss": "high", "p": True}}, {"nimg": 6}]
    folder.log.write_text("".join(json.dumps(line) + "\n" for line in lines) + "[1]\n7\n{half")
    folder.events.write_text('{"kind": "verdict"}\n{"nimg": null}\n"word"\n')
    (folder.samples / "000059.000k.png").write_bytes(b"\x89PNG\r\n\x1a\n not really")
    assert Page(write_report(folder, running=False).read_text(encoding="utf-8")).open == []


# ---------------------------------------------------------------------- curves


def test_thinning_keeps_ends_order_and_spikes() -> None:
    points = [(float(k), math.sin(k / 50)) for k in range(10_000)]
    points[4321] = (4321.0, 99.0)
    points[8000] = (8000.0, -99.0)
    thinned = thin(points)
    assert len(thinned) <= 500
    assert [x for x, _ in thinned] == sorted({x for x, _ in thinned})
    assert (4321.0, 99.0) in thinned
    assert (8000.0, -99.0) in thinned
    assert thin(points[:500]) == points[:500]


def test_thinning_keeps_gaps() -> None:
    points = [(float(k), None if 400 <= k < 600 else 1.0) for k in range(1000)]
    thinned = thin(points, 100)
    assert sum(y is None for _, y in thinned) >= 10
    assert all((y is None) == (400 <= x < 600) for x, y in thinned)


def test_scale_ignores_a_spike_and_marks_round_values() -> None:
    scale = scale_of([*(k / 100 for k in range(100)), 1e6])
    assert scale.low < 0
    assert 0.99 < scale.high < 2
    assert Scale(0, 1).marks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert Scale(-3, 17).marks() == pytest.approx([0, 5, 10, 15])
    flat = scale_of([5.0, 5.0])
    assert flat.low < 5 < flat.high


def test_logarithmic_scale_only_where_it_helps() -> None:
    assert not scale_of([1.0, 2.0, 20.0], logarithmic=True).logarithmic
    scale = scale_of([0.001, 1.0, 1000.0], logarithmic=True)
    assert scale.logarithmic
    assert scale.place(1.0) == pytest.approx(0.5)
    assert math.isnan(scale.place(0.0))
    assert not scale_of([0.0, -1.0, 1000.0], logarithmic=True).logarithmic


def test_a_line_breaks_where_there_is_no_value() -> None:
    curve = Curve("D", ((0.0, 0.0), (1.0, 1.0), (2.0, None), (3.0, 1.0), (4.0, 0.0)))
    line = re.search(r'<path class="line c0" d="([^"]+)"', draw(Chart("Losses", "why", (curve,))))
    assert line is not None
    assert line[1].count("M") == 2
    assert line[1].count("L") == 2
    assert line[1].startswith("M0.0 ")
    assert "nan" not in line[1]


def test_charts_of_terms() -> None:
    terms = {
        "D.discriminator/loss": 1.0,
        "D.discriminator/real_logits": 2.0,
        "D.discriminator/fake_logits": -2.0,
        "G.generator/loss": 3.0,
        "G.generator/fake_logits": -1.0,
        "D.r1/penalty": 0.5,
        "ada/p": 0.1,
    }
    made = {chart.title: chart for chart in charts([{"nimg": 1000, "terms": terms}])}
    assert set(made) == {"Losses", "Scores", "ada/p", "penalty", "Speed"}
    assert [curve.name for curve in made["Losses"].curves] == ["D.discriminator", "G.generator"]
    assert [curve.points for curve in made["Scores"].curves] == [((1.0, 2.0),), ((1.0, -2.0),)]
    assert made["penalty"].curves[0].colour == 2  # a turn has one colour everywhere


if __name__ == "__main__":  # python tests/test_watch_report.py FOLDER [SHARE]: a report to look at
    shown = fake_run(Path(sys.argv[1]), until=float(sys.argv[2]) if len(sys.argv) > 2 else 1.0)
    Timelapse(shown).start(10**9, 10**9)
    print(write_report(shown, running=len(sys.argv) > 2))
