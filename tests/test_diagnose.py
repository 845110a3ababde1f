"""``sparring diagnose`` as seen from outside: a dead run and a perfect one, old logs, broken folders, JSON."""

import json
import math
import re
from pathlib import Path

import sparring as package
from sparring.core.folder import RunFolder
from sparring.core.observer import Tick
from sparring.tools.diagnose import context_of, diagnose
from sparring.watch.findings import standing
from sparring.watch.records import Records
from sparring.watch.report import write_report

TICKS, TOTAL = 50, 200_000

PERFECT = {
    "probe/auc": 0.52,
    "probe/fake_gradient": 0.7,
    "probe/diversity": 0.995,
    "probe/diversity_raw": 0.99,
    "probe/coverage": 0.95,
    "probe/modes_missing": 0.0,
    "probe/modes_kl": 0.002,
    "probe/distance": 0.003,
}
# What a generator read on the ring that outran a D without a penalty: 0 of 8 modes.
DEAD = {
    "probe/auc": 0.5,
    "probe/fake_gradient": 0.003,
    "probe/diversity": 0.011,
    "probe/diversity_raw": 0.012,
    "probe/coverage": 0.0,
    "probe/modes_missing": 8.0,
    "probe/modes_kl": 2.0,
    "probe/distance": 1.0,
}


def a_run(root: Path, readings: dict[str, float], events: bool = True) -> RunFolder:
    """A run whose losses are the textbook's equilibrium from beginning to end, with these readings at each look."""
    folder = RunFolder(root)
    folder.create()
    folder.write_recipe(
        {
            "source": "ring",
            "family": "dcgan",
            "spec": {"modality": "points", "shape": [2], "classes": [], "count": 100_000},
            "game": {"loss": "non_saturating"},
            "train": {"kimg": TOTAL / 1000, "batch": 64},
        }
    )
    records = Records(folder)
    records.start(0, TOTAL)
    for index in range(1, TICKS + 1):
        terms = {
            "D.discriminator/loss": 2 * math.log(2),
            "D.discriminator/fake_logits": 0.0,
            "G.generator/loss": math.log(2),
            "G.generator/fake_logits": 0.0,
            **(readings if index % 2 == 0 else {}),
        }
        records.tick(Tick(TOTAL * index // TICKS, TOTAL, 1.0, 1000.0, 100.0, terms))
    if events:  # as training tells them
        for finding in diagnose(root).findings:
            records.event("finding", f"{finding.title}: {finding.evidence}", **vars(finding))
    return folder


def test_a_dead_run_and_a_perfect_one_with_the_same_losses_are_told_apart(tmp_path):
    dead, perfect = a_run(tmp_path / "dead", DEAD), a_run(tmp_path / "perfect", PERFECT)
    bad, good = diagnose(dead.root), diagnose(perfect.root)
    assert bad.losses == good.losses
    assert "D cannot tell reals from fakes" in bad.losses[0]
    assert (bad.severity, bad.healthy) == ("critical", False)
    assert (good.severity, good.healthy) == ("good", True)
    assert bad.headline.startswith("Failing: mode collapse since 64 kimg")
    assert good.headline.startswith("Healthy, and done")
    pages = {}
    for folder in (dead, perfect):
        pages[folder] = write_report(folder, running=False).read_text(encoding="utf-8")
    assert '<div class="verdict critical"><b>Failing: mode collapse' in pages[dead]
    assert '<span class="tag critical">critical</span> Mode collapse' in pages[dead]
    assert "--game.r1-gamma" in pages[dead]
    assert "critical</span>" not in pages[perfect]
    assert '<span class="tag good">good</span> Converged' in pages[perfect]
    # the curve of the reading that decided stands beside the finding
    section = pages[dead].partition("<h2>Referee</h2>")[2].partition("<h2>")[0]
    assert re.search(r"<h3>diversity ?<", section)


def test_the_command_says_what_why_since_when_and_what_to_do(sparring, tmp_path):
    folder = a_run(tmp_path / "dead", DEAD)
    write_report(folder, running=False)
    answer = sparring("diagnose", folder.root)
    assert answer.code == 0  # it could say what it was asked
    lines = answer.out.splitlines()
    assert lines[0].startswith("Failing: mode collapse since 64 kimg, and")
    assert "critical  Mode collapse" in lines
    assert "Samples of different seeds differ 1.1% as much as real ones do" in answer.out
    assert "since 64 kimg, 100% of the latest looks agree" in answer.out
    assert "Try: Go back to a state from before it" in answer.out
    assert "Losses say nothing of how good samples are" in answer.out
    assert re.search(r"^diversity +0\.011 ", answer.out, re.M)
    assert "Not in the log: real_sign," in answer.out
    assert str(folder.report) in answer.out.replace("\n", "")
    assert sparring("diagnose", a_run(tmp_path / "perfect", PERFECT).root).out.startswith("Healthy")


def test_json_has_everything(sparring, tmp_path):
    answer = sparring("diagnose", a_run(tmp_path / "dead", DEAD).root, "--json")
    said = json.loads(answer.out)
    assert answer.code == 0
    assert said["severity"] == "critical"
    assert {
        "name",
        "title",
        "severity",
        "reading",
        "value",
        "threshold",
        "evidence",
        "since",
        "nimg",
        "confidence",
        "remedy",
    } <= said["findings"][0].keys()
    assert {reading["name"]: reading["value"] for reading in said["readings"]}["diversity"] == 0.011


def test_in_python(tmp_path):
    folder = a_run(tmp_path / "dead", DEAD)
    assert package.diagnose(folder.root) == package.diagnose(str(folder.root))
    assert package.diagnose(folder.root).findings[0].name == "collapse"


def test_an_old_log_without_looks_gets_no_verdict(sparring, tmp_path):
    answer = sparring("diagnose", a_run(tmp_path / "old", {}).root)
    assert answer.code == 0
    assert answer.out.startswith("No verdict: the log has no readings of samples")
    assert "Not in the log: auc," in answer.out


def test_an_old_log_with_diversity_alone_is_judged_by_it(tmp_path):
    found = diagnose(a_run(tmp_path / "old", {"probe/diversity": 0.01}).root)
    assert found.headline.startswith("Failing: mode collapse")
    assert "coverage" in found.missing


def test_an_empty_log_and_no_run(sparring, refused, tmp_path):
    folder = a_run(tmp_path / "run", {})
    folder.log.unlink()
    assert sparring("diagnose", folder.root).out.startswith("Nothing to judge")
    assert "not a run folder" in refused("diagnose", tmp_path / "nowhere")
    folder.write_recipe({"family": "dcgan"})
    assert "recipe.json lacks or garbles 'game'" in refused("diagnose", folder.root)


def test_a_run_that_ended_in_numbers_that_are_not_finite(tmp_path):
    folder = a_run(tmp_path / "run", PERFECT)
    records = Records(folder)
    records.event("not finite", "G.generator: the gradient of 0.weight is nan; guard: stop", nimg=TOTAL)
    found = diagnose(folder.root)
    assert (found.severity, found.findings[0].name) == ("critical", "non_finite")
    assert found.findings[0].evidence == "it ended there: G.generator: the gradient of 0.weight is nan"
    records.event("rolled back", "to 190 kimg", nimg=190_000)
    assert diagnose(folder.root).severity == "good"


def test_the_closing_verdict_is_not_contradicted(tmp_path):
    folder = a_run(tmp_path / "run", PERFECT)
    records = Records(folder)
    records.event("verdict", "Little variety: samples differ 60% as much as real ones do.", severity="warn", nimg=TOTAL)
    found = diagnose(folder.root)
    assert (found.severity, found.healthy) == ("warn", False)
    assert found.headline == "Little variety: samples differ 60% as much as real ones do."


def test_context_of_a_recipe():
    recipe = {"family": "wgan", "game": {}, "train": {"kimg": 2.5, "batch": 8}, "spec": {"count": 7, "classes": ["a"]}}
    context = context_of(recipe)
    assert (context.total_nimg, context.batch, context.loss, context.count) == (2500, 8, "wasserstein", 7)
    assert context_of({**recipe, "family": "my.module:GAN"}).loss == ""  # not imported for it
    assert not context.conditional
    assert context_of({**recipe, "family": "sngan", "game": {"loss": "wasserstein"}}).loss == "wasserstein"
    assert context_of({**recipe, "family": "cgan"}).conditional


def test_the_log_of_a_real_run_gives_the_findings_that_it_told(sparring, tmp_path, monkeypatch):
    """A D that hardly moves, on the ring: the live referee and the replay agree, and the closing verdict with both."""
    monkeypatch.setattr("sparring.tools.refereeing.STEPS", 0)
    monkeypatch.setattr("sparring.tools.refereeing.LOOKS", 1000)
    run = tmp_path / "run"
    line = ("train", "ring", "--family", "dcgan", "--game.width", "16", "--train.batch", "128", "--train.kimg", "20")
    rates = ("--optim.lr", "1e-3", "--optim.D.lr", "1e-6", "--train.tick-kimg", "2", "--train.picture-kimg", "9")
    answer = sparring(*line, *rates, "--run", run)
    assert answer.code == 0, answer
    folder = RunFolder(run)
    events = [json.loads(text) for text in folder.events.read_text(encoding="utf-8").splitlines()]
    told = {(event["name"], event["severity"], event["since"]) for event in standing(events)}
    found = diagnose(run)
    assert told
    assert {(finding.name, finding.severity, finding.since) for finding in found.findings} == told
    assert package.load(run).diagnose() == found
    verdict = next(event for event in events if event["kind"] == "verdict")
    assert verdict["severity"] == found.severity == "critical"
