"""The coach: goes back to a state from before a failure and changes one thing, in bounds, told, and resumable."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file

import sparring
from sparring.core.errors import SparringError
from sparring.core.folder import RunFolder, read_lines
from sparring.core.recipe import Recipe
from sparring.diagnostics import referee
from sparring.diagnostics.finding import Finding, Rule, Sign
from sparring.engine import checkpoint
from sparring.tools.coach import CURES, MOST, Coach
from sparring.tools.moves import Move, moves_of, plain_moves, without_what_moved
from sparring.tools.plan import make_plan, resume_plan

BOTH = ("optim.G.lr", "optim.D.lr")


def found(name="divergence", well=500, nimg=900):
    return Finding(name, name, "critical", "diversity", 9.0, 2.0, "evidence", 600, nimg, 1.0, "remedy", well=well)


def plan_of(family="dcgan", **settings):
    width = {"width": 4} if family == "dcgan" else {}
    return make_plan(Recipe("digits", family, {"game": {**width, **settings.pop("game", {})}, **settings}))


@pytest.fixture
def states(tmp_path) -> Path:
    for nimg in (0, 200, 400, 600, 800):
        (tmp_path / f"{nimg:012d}").mkdir()
        (tmp_path / f"{nimg:012d}" / "position.json").write_text(json.dumps({"nimg": nimg, "salt": 0}))
    return tmp_path


# ---------------------------------------------------------------------- what it decides


def test_goes_back_to_where_all_was_well_and_changes_one_thing(states):
    plan = plan_of(optim={"lr": 0.1})
    changed, move = Coach(plan, states, ()).answer(found())
    assert move.back_to == 400
    assert move.after == dict.fromkeys(BOTH, 5e-4)
    assert move.before == dict.fromkeys(BOTH, 0.1)
    assert {optim.lr for optim in changed.optim.values()} == {5e-4}
    assert changed.game == plan.game
    assert changed.dataset is plan.dataset


def test_the_same_finding_again_gets_the_next_cure_from_further_back(states):
    plan, first = Coach(plan_of(optim={"lr": 0.1}), states, ()).answer(found())
    plan, second = Coach(plan, states, (first,)).answer(found(well=450))
    assert (second.back_to, second.salt > first.salt) == (200, True)
    assert second.after == dict.fromkeys(BOTH, 5e-5)
    _, third = Coach(plan, states, (first, second)).answer(found(well=450))
    assert third.back_to == 0
    assert third.after == dict.fromkeys(BOTH, 5e-6)  # its penalty was never off


def test_without_a_state_that_was_well_it_begins_anew(states, tmp_path):
    for folder, well in ((states, 0), (tmp_path / "none", 500)):
        _, move = Coach(plan_of(), folder, ()).answer(found(well=well))
        assert move.back_to == 0


def test_stops_after_so_many_moves_and_knows_what_it_cannot_mend(states):
    moves = [Move("collapse", 1, 0, 1)] * MOST
    assert Coach(plan_of(), states, moves).answer(found()) is None
    assert Coach(plan_of(), states, ()).answer(found("class_confusion")) is None


@pytest.mark.parametrize(
    ("finding", "family", "settings", "after"),
    [
        ("vanishing_gradient", "dcgan", {"game": {"loss": "minimax"}}, {"game.loss": "non_saturating"}),
        ("strong_discriminator", "sngan", {}, {"game.d_steps": 2}),
        ("collapse", "dcgan", {"optim": {"G": {"lr": 1e-2}, "D": {"lr": 1e-4}}}, dict.fromkeys(BOTH, 5e-4)),
        ("collapse", "dcgan", {"game": {"r1_gamma": 0.0}}, {"game.r1_gamma": 0.5}),
        ("dead_discriminator", "dcgan", {"optim": {"D": {"lr": 1e-6}}}, {"optim.D.lr": 5e-4}),
        ("discriminator_overfitting", "dcgan", {}, {"train.augment": "diff"}),
        ("oscillation", "dcgan", {"game": {"r1_gamma": 0.0}}, {"game.r1_gamma": 0.5}),
    ],
)
def test_the_first_cure_that_there_is(finding, family, settings, after, states):
    _, move = Coach(plan_of(family, **settings), states, ()).answer(found(finding))
    assert move.after == after


def test_a_cure_that_the_family_refuses_is_passed_over(states):
    _, move = Coach(plan_of("tutorial", data={"size": "32", "channels": "3"}), states, ()).answer(found("memorisation"))
    assert "train.augment" in move.after or "optim" in next(iter(move.after))


def test_cures_are_for_rules_that_there_are():
    rules, _ = referee.find_rules()
    assert set(CURES) <= {rule.name for rule in rules}


# ---------------------------------------------------------------------- what is kept


def test_moves_survive_the_recipe():
    moves = (Move("collapse", 900, 400, 1000, {"optim.G.lr": 0.1}, {"optim.G.lr": 0.05}),)
    assert moves_of(json.loads(json.dumps(plain_moves(moves)))) == moves
    assert plain_moves(()) == {}
    with pytest.raises(SparringError, match="coach"):
        moves_of({"coach": [{"what": 1}]})


@pytest.mark.parametrize("typed", ["2e-4", 2e-4, "0.0002"])
def test_what_was_typed_at_the_beginning_may_be_typed_again(typed):
    moves = [
        Move("a", 1, 0, 1, {"optim.G.lr": 2e-4, "optim.G.betas": [0.5, 0.9]}, {"optim.G.lr": 1e-4}),
        Move("a", 1, 0, 2, {"optim.G.lr": 1e-4}, {"optim.G.lr": 5e-5}),
    ]
    asked = {"optim": {"G": {"lr": typed, "betas": "0.5,0.9"}}, "train": {"kimg": 3}}
    assert without_what_moved(asked, moves) == {"train": {"kimg": 3}}
    other = {"optim": {"G": {"lr": 3e-4}}}
    assert without_what_moved(other, moves) == other


def test_states_of_a_future_given_up_are_dropped(states):
    (states / "000000000600" / "position.json").write_text(json.dumps({"nimg": 600, "salt": 1000}))
    checkpoint.drop_after(states, 300, 1000)
    assert checkpoint.positions(states) == [600, 200, 0]


# ---------------------------------------------------------------------- from outside


class Alarm(Rule):
    """Critical at the ticks from 0.3 kimg on, for as long as `left` lasts."""

    name, title, remedy = "divergence", "Divergence", "none"
    left = 0

    def look(self, history):
        alarmed = history.nimg >= 300 and Alarm.left > 0
        Alarm.left -= alarmed
        return Sign("critical" if alarmed else "good", "auc", 1.0, 0.5, "an alarm", sure=True)


@pytest.fixture
def alarm(monkeypatch):
    monkeypatch.setattr(referee, "find_rules", lambda: ([Alarm()], []))
    Alarm.left = 2


def train(run, kimg=0.8, **more):
    return sparring.train(
        "digits",
        family="vanilla",
        run=run,
        train={"kimg": kimg, "batch": 20, "save_kimg": 0.1, "tick_kimg": 0.1, "picture_kimg": 1, "coach": True, **more},
        game={"width": 8},
        optim={"lr": 1e-3},
    )


def weights(run):
    return load_file(Path(run) / "model" / "generator.safetensors")


def test_a_run_taken_back_goes_on_changed_and_resumes_as_if_never_cut(alarm, tmp_path):
    train(tmp_path / "whole")
    events = [event for event in read_lines(tmp_path / "whole" / "events.jsonl") if event["kind"] == "coach"]
    assert [event["finding"] for event in events] == ["divergence"]
    recipe = RunFolder(tmp_path / "whole").read_recipe()
    (move,) = moves_of(recipe)
    assert move.back_to == 200
    assert recipe["optim"]["G"]["lr"] == 2e-4
    log = [line["nimg"] for line in read_lines(tmp_path / "whole" / "log.jsonl")]
    assert log == sorted(set(log))  # nothing of the future that was given up

    Alarm.left = 2
    train(tmp_path / "cut", kimg=0.5)  # taken back at 0.4
    train(tmp_path / "cut", kimg=0.8)  # the same command, longer
    assert len(moves_of(RunFolder(tmp_path / "cut").read_recipe())) == 1
    for name, expected in weights(tmp_path / "whole").items():
        assert expected.equal(weights(tmp_path / "cut")[name]), name


def test_a_crash_after_the_decision_loses_nothing(alarm, tmp_path):
    train(tmp_path / "whole")
    Alarm.left = 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "drop_after", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "crashed")
    assert 400 in checkpoint.positions(RunFolder(tmp_path / "crashed").state) or 300 in checkpoint.positions(
        RunFolder(tmp_path / "crashed").state
    )
    train(tmp_path / "crashed")
    for name, expected in weights(tmp_path / "whole").items():
        assert expected.equal(weights(tmp_path / "crashed")[name]), name


def test_without_the_coach_nothing_is_taken_back(alarm, tmp_path):
    train(tmp_path / "run", coach=False)
    assert not [event for event in read_lines(tmp_path / "run" / "events.jsonl") if event["kind"] == "coach"]
    assert "coach" not in RunFolder(tmp_path / "run").read_recipe()


def test_other_settings_than_the_run_began_with_are_refused_as_ever(alarm, tmp_path):
    train(tmp_path / "run")
    asked = Recipe("", "", {"optim": {"lr": 5e-4}})
    with pytest.raises(SparringError, match="was started with"):
        resume_plan(RunFolder(tmp_path / "run"), asked)


def test_needs_the_referee_and_one_process(tmp_path):
    with pytest.raises(SparringError, match="referee"):
        plan_of(train={"coach": True, "referee": False})
    from sparring.tools.train import Session

    with pytest.raises(SparringError, match="one process"):
        Session(
            plan_of(train={"coach": True, "microbatches": 2}), RunFolder(tmp_path), SimpleNamespace(size=2, leads=1)
        )
