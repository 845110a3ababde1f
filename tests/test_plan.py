"""What is chosen when nobody says, and what wins over what."""

import pytest

from sparring.core.config import Optim, build, flatten, merge, unflatten
from sparring.core.errors import SparringError
from sparring.core.recipe import Recipe
from sparring.core.spec import DataSpec
from sparring.recipes import load_recipe, recipes
from sparring.tools.choose import default_kimg, shape_of
from sparring.tools.plan import duration, make_plan, players_optim, spread_optim

PAPER = {"G": Optim(lr=1e-4), "D": Optim(lr=4e-4)}


def test_a_player_s_own_setting_wins_over_all_players_and_that_over_the_paper():
    optim = players_optim(PAPER, {"lr": "0.5", "D": {"betas": "0,0.9"}})
    assert optim["G"] == Optim(lr=0.5)
    assert optim["D"] == Optim(lr=0.5, betas=(0.0, 0.9))
    assert players_optim(PAPER, {}) == PAPER
    assert players_optim(PAPER, {"G": {"lr": 1.0}})["D"].lr == 4e-4


def test_a_player_who_does_not_play_is_refused():
    with pytest.raises(SparringError, match="no player 'Q'"):
        players_optim(PAPER, {"Q": {"lr": 1}})
    with pytest.raises(SparringError, match=r"optim.G.lrr'; did you mean 'lr'"):
        players_optim(PAPER, {"lrr": 1})


def test_settings_for_all_players_are_spread_as_a_kept_recipe_says_them():
    spread = spread_optim({"optim": {"lr": 1.0, "D": {"lr": 2.0}}, "train": {}}, PAPER)
    assert spread["optim"] == {"G": {"lr": 1.0}, "D": {"lr": 2.0}}
    assert spread_optim({"train": {"kimg": 1}}, PAPER) == {"train": {"kimg": 1}}


def test_length_follows_the_data():
    assert default_kimg(DataSpec("image", (1, 8, 8), count=100)) == 200
    assert default_kimg(DataSpec("image", (1, 8, 8), count=1797)) == 310
    assert default_kimg(DataSpec("image", (1, 8, 8), count=10**7)) == 5000


def test_defaults_family_recipe_and_person_in_that_order():
    plan = make_plan(Recipe("digits", "vanilla", {"train": {"batch": 32}}))
    assert (plan.train.batch, plan.train.kimg) == (32, 400.0)
    assert any("train.kimg 400" in reason for reason in plan.reasons)
    plan = make_plan(Recipe("digits", "vanilla", {"train": {"kimg": 7}}))
    assert plan.train.kimg == 7
    assert not any("train.kimg" in reason for reason in plan.reasons)


def test_a_plan_records_every_setting_and_can_be_made_from_its_record():
    plan = make_plan(Recipe("digits", "", {"game": {"width": 8}, "optim": {"lr": 1e-3}}))
    record = plan.record()
    again = make_plan(
        Recipe(record["source"], record["family"], {k: record[k] for k in ("data", "game", "optim", "train")})
    )
    assert again.record() == record


def test_every_recipe_is_understood():
    for name in recipes():
        recipe = load_recipe(name)
        assert recipe.family, f"{name} names no family"
        assert recipes()[name].__doc__, f"{name} says nothing of itself"
        from sparring.core.registry import load_family

        build(load_family(recipe.family).config_class, recipe.part("game"), "game")
    with pytest.raises(SparringError, match="no recipe"):
        load_recipe("nothing-of-the-kind")


@pytest.mark.parametrize("family", ["pix2pix", "spade", "inpaint", "colorize", "srgan"])
def test_recipes_for_few_pictures_show_each_mirrored_too(family):
    assert load_recipe(f"{family}_cpu").part("data")["flip"]


def test_words_for_people():
    assert shape_of(DataSpec("image", (4, 32, 64))) == "64x32 RGBA"
    assert [duration(s) for s in (40, 120, 7200, 3 * 86400)] == ["40 s", "2.0 min", "2.0 h", "3.0 days"]


def test_settings_fold_and_unfold():
    flat = {"train.kimg": 1, "optim.D.lr": 2}
    assert flatten(unflatten(flat)) == flat
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"d": 4}) == {"a": {"b": 3, "c": 2}, "d": 4}
    with pytest.raises(SparringError, match="both a setting and a group"):
        unflatten({"train.kimg": 1, "train.kimg.x": 2})
