"""The command line as people meet it, and the Python API beside it."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import TINY, contents, outcome, states
from sparring.core.config import Data, Eval, Optim, Train
from sparring.core.errors import SparringError
from sparring.core.registry import families, load_family

SURFACE = Path(__file__).parent / "cli_surface.txt"


# ---------------------------------------------------------------------- speed


def seconds(code):
    """The least processor time of three fresh interpreters that run ``code``: what a clock shows on an idle machine."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


@pytest.mark.parametrize("command", ["--help", "families", "train --help", "settings"])
def test_help_and_listings_answer_at_once(command):
    run = f"import sys; from sparring.cli import main; sys.argv[1:] = {command.split()}; "
    assert seconds(run + "main()") < 0.5


@pytest.mark.parametrize("command", ["--help", "families", "train --help", "settings", "--version"])
def test_help_and_listings_import_nothing_heavy(command):
    code = (
        f"import sys; from sparring.cli import main\ntry: main({command.split()})\nexcept SystemExit as left: pass\n"
        "print(sorted({'torch', 'numpy', 'sklearn', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_import_sparring_costs_next_to_nothing():
    code = "import sys, sparring; assert 'torch' not in sys.modules and 'numpy' not in sys.modules; sparring.__all__"
    assert seconds(code) - seconds("pass") < 0.3


# ---------------------------------------------------------------------- the surface is a promise


def surface():
    """Every command with its options, and every setting's name and default."""
    from sparring.cli import app

    lines = []
    for name in sorted(command for command in app if not command.startswith("-")):
        arguments = app[name].assemble_argument_collection()
        options = [
            (
                "/".join(argument.names)
                if argument.field_info.kind.name == "KEYWORD_ONLY"
                else argument.names[0].lstrip("-").upper()
            )
            for argument in arguments
        ]
        lines.append(f"{name} {' '.join(options)}".strip())
    groups = {"data": Data, "optim": Optim, "train": Train, "eval": Eval}
    built_in = {name: family for name, family in families().items() if family.kind != "plug-in"}
    groups |= {f"game of {name}": load_family(name).config_class for name in sorted(built_in)}
    for group, cls in groups.items():
        lines += ["", f"[{group}]", *(f"{field.name} = {field.default!r}" for field in fields(cls))]
    return "\n".join(lines) + "\n"


def test_the_surface_is_frozen():
    """People's scripts rest on these names. To change them: SPARRING_FREEZE=1 pytest tests/test_cli.py -k frozen."""
    now = surface()
    if os.environ.get("SPARRING_FREEZE"):
        SURFACE.write_text(now, encoding="utf-8")
    frozen = SURFACE.read_text(encoding="utf-8") if SURFACE.exists() else ""
    assert now.splitlines() == frozen.splitlines(), (
        "commands, options or settings differ from tests/cli_surface.txt, on which people's scripts rest. If that is "
        "meant, say so in CHANGELOG.md and run: SPARRING_FREEZE=1 pytest tests/test_cli.py -k frozen"
    )


def test_every_setting_says_what_it_is(sparring):
    for family in families():
        out = sparring("settings", family).out
        for cls in (Data, Train, Optim, load_family(family).config_class):
            for field in fields(cls):
                assert field.metadata.get("help"), f"{cls.__name__}.{field.name} has no help"
                assert f".{field.name.replace('_', '-')}" in out


# ---------------------------------------------------------------------- what was misspelt


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("trian digits", 'Did you mean "train"'),
        ("train digits --famly vanilla", "Did you mean --family"),
        ("train digits --family vanila", "did you mean 'vanilla'"),
        ("train digts", "did you mean 'digits'"),
        ("train digits --trian.kimg 3", "did you mean 'train'"),
        ("train digits --train.kimgs 3", "unknown setting 'train.kimgs'; did you mean 'kimg'"),
        ("train digits --family vanilla --game.widht 3", "unknown setting 'game.widht'; did you mean 'width'"),
        ("train digits --optim.lrr 3", "did you mean 'lr'"),
        ("train digits --optim.X.lr 3", "there is no player 'X'"),
        ("train digits --data.sizes 3", "did you mean 'size'"),
        ("train digits --recipe digit", "did you mean 'digits'"),
        ("train digits --train.guard rolback", "one of stop, skip, rollback"),
        ("train digits --train.device cudda", "try auto or cpu"),
        ("train digits --train.track tensorbord", "tensorbord"),
        ("train digits --family nowhere:GAN", "does not import"),
        ("train digits --family os:system", "is not one subclass"),
        ("train digits --config nowhere.toml", "there is no settings file nowhere.toml"),
        ("train", "say what to train on"),
        ("inspect digits --train.kimg 3", "--data settings only"),
        ("inspect digits --data.fitt crop", "did you mean 'fit'"),
        ("settings vanila", "did you mean 'vanilla'"),
        ("sample nowhere", "neither a run folder"),
        ("sample", "requires an argument"),
        ("families x", "x"),
        ("push nowhere a/b", "neither a run folder"),
    ],
)
def test_a_slip_is_one_line_that_helps(refused, tmp_path, monkeypatch, line, says):
    monkeypatch.chdir(tmp_path)
    assert says in refused(*line.split())
    assert not list(tmp_path.glob("runs/*/recipe.json")), "a run was begun"


@pytest.mark.parametrize(
    "setting",
    [
        *(
            "--train.kimg nan",
            "--train.kimg inf",
            "--train.kimg -1",
            "--train.kimg 0",
            "--train.kimg",
            "--train.kimg x",
        ),
        *("--train.batch 0", "--train.batch 1.5", "--train.batch 1e15", "--train.microbatches 5", "--train.keep 1"),
        *(
            "--train.tick-kimg -1",
            "--train.save-kimg -1",
            "--train.seed -1",
            "--train.seed 1e30",
            "--train.ema-kimg -1",
        ),
        *(
            "--optim.lr 0",
            "--optim.lr nan",
            "--optim.betas 0.5",
            "--optim.G 3",
            "--optim.G.lr.x 3",
            "--train.precision fp16",
        ),
        *("--game.width -1", "--game.width 0", "--game.width 1e12", "--game.width", "--data.size 3", "--data.size 5x"),
        *("--train.", "--.kimg 3", "--train.kimg.x 3"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(refused, tmp_path, setting):
    message = refused("train", "digits", "--family", "vanilla", "--run", tmp_path / "run", *setting.split())
    named = setting.split()[0].strip("-").replace("-", "_")  # "train.save_kimg"
    assert named.split(".")[1] in message or "--game settings" in message
    assert not (tmp_path / "run").exists()


def test_a_run_shorter_than_a_step_ends_well(sparring, tmp_path):
    line = [*TINY, "--run", tmp_path]
    for option, value in (("--train.kimg", "0.01"), ("--train.save-kimg", "0.0001"), ("--train.tick-kimg", "0.0001")):
        line[line.index(option) + 1] = value
    assert sparring(*line).code == 0
    assert [state.name for state in states(tmp_path)] == ["000000000064"]


def test_what_is_said_is_never_read_as_markup(refused):
    assert "[red]x[/]:smile:" in refused("train", "[red]x[/]:smile:")


# ---------------------------------------------------------------------- settings from files


def test_dry_run_prints_the_schedule_and_makes_nothing(sparring, tmp_path):
    answer = sparring("train", "digits", "--dry-run", "--run", tmp_path / "run")
    assert answer.code == 0
    for said in ("schedule", "D.discriminator", "G.generator", "16 steps", "players", "adam", "samples/s", "8x8 grey"):
        assert said in answer.out
    assert not (tmp_path / "run").exists()


FILES = {
    "s.toml": "[train]\nkimg = 3\nbatch = 32\n[game]\nwidth = 8\n[optim.D]\nlr = 0.125\nbetas = [0.5, 0.75]\n",
    "s.json": '{"train": {"kimg": 3, "batch": 32}, "game": {"width": 8},'
    '"optim": {"D": {"lr": 0.125, "betas": [0.5, 0.75]}}}',
    "s.yaml": "train: {kimg: 3, batch: 32}\ngame:\n  width: 8\noptim:\n  D: {lr: 0.125, betas: [0.5, 0.75]}\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_settings_file_and_options_that_win_over_it(sparring, tmp_path, name):
    if name.endswith("yaml"):
        pytest.importorskip("yaml", reason="reading YAML needs PyYAML")
    (tmp_path / name).write_text(FILES[name])
    line = (
        "train",
        "digits",
        "--family",
        "vanilla",
        "--config",
        tmp_path / name,
        "--train.kimg",
        "0.1",
        "--game.z-dim=8",
    )
    assert sparring(*line, "--run", tmp_path / "run").code == 0
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert recipe["train"]["kimg"] == 0.1
    assert recipe["train"]["batch"] == 32
    assert recipe["game"]["width"] == 8
    assert recipe["game"]["z_dim"] == 8
    assert recipe["optim"]["D"]["lr"] == 0.125
    assert recipe["optim"]["D"]["betas"] == [0.5, 0.75]
    assert recipe["optim"]["G"]["lr"] == Optim().lr


def test_the_recipe_of_a_run_makes_the_same_run(sparring, finished, tmp_path):
    answer = sparring("train", "--config", finished / "recipe.json", "--run", tmp_path)
    assert answer.code == 0, answer
    assert outcome(tmp_path) == outcome(finished)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.toml", b"[train\n"),
        ("b.toml", b"train = 3"),
        ("c.toml", b"\xff\xfe\x00"),
        ("d.json", b"{"),
        ("e.json", b"[1]"),
        ("f.json", b'{"trian": {}}'),
        ("g.json", b'{"train": {"kimgs": 1}}'),
        ("h.json", b'{"optim": {"G": 3}}'),
        ("i.json", b'{"train": {"kimg": null}}'),
        ("j.json", b'{"train": {"kimg": true}}'),
        ("k.json", b'{"source": 3}'),
        ("l.yaml", b"train: [\n"),
        ("m.ini", b"x"),
    ],
)
def test_a_settings_file_that_makes_no_sense_is_refused(refused, tmp_path, name, content):
    if name.endswith("yaml"):
        pytest.importorskip("yaml", reason="reading YAML needs PyYAML")
    (tmp_path / name).write_bytes(content)
    line = ("train", "digits", "--family", "vanilla", "--config", tmp_path / name, "--run", tmp_path / "run")
    if name == "k.json":
        line = (line[0], *line[2:])
    assert refused(*line)
    assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------------- sampling


def test_a_seed_is_the_same_picture_in_any_batch(sparring, finished, tmp_path):
    for seeds in ("7", "0-15", "5-100"):
        answer = sparring("sample", finished, "--seeds", seeds, "--out", tmp_path / seeds)
        assert answer.code == 0
        assert str(tmp_path / seeds) in "".join(answer.out.split("\n"))
    assert [path.name for path in (tmp_path / "7").iterdir()] == ["seed00000007.png"]
    assert len(list((tmp_path / "0-15").iterdir())) == 16
    assert len(list((tmp_path / "5-100").iterdir())) == 96
    one, few, many = ((tmp_path / seeds / "seed00000007.png").read_bytes() for seeds in ("7", "0-15", "5-100"))
    assert one == few == many
    assert (tmp_path / "0-15" / "seed00000008.png").read_bytes() != one


def test_files_grid_and_npz_hold_the_same_pictures(sparring, finished, tmp_path):
    for kind in ("files", "grid", "npz"):
        assert sparring("sample", finished, "--seeds", "3,9-10", "--as", kind, "--out", tmp_path).code == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["grid.png", "samples.npz", "seed00000003.png", "seed00000009.png", "seed00000010.png"]
    with np.load(tmp_path / "samples.npz", allow_pickle=False) as held:
        images, seeds = held["images"], held["seeds"]
    assert images.shape == (3, 8, 8, 1)
    assert images.dtype == np.uint8
    assert seeds.tolist() == [3, 9, 10]
    for seed, image in zip(seeds, images, strict=True):
        with Image.open(tmp_path / f"seed{seed:08d}.png") as picture:
            assert np.array_equal(np.asarray(picture), image[..., 0])
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.width >= 3 * 8 or picture.height >= 3 * 8


def test_a_model_folder_alone_is_enough(sparring, finished, tmp_path):
    for place, source in enumerate((finished, finished / "model")):
        assert sparring("sample", source, "--seeds", "0-3", "--out", tmp_path / str(place)).code == 0
    assert contents(tmp_path / "0") == contents(tmp_path / "1")


@pytest.mark.parametrize("seeds", ["x", "", "5-3", "-1", "1-", "1,,2", "1.5", "²", "9" * 20, "0-9-9"])
def test_seeds_that_are_none(refused, finished, tmp_path, seeds):
    message = refused("sample", finished, f"--seeds={seeds}", "--out", tmp_path / "out")
    assert "are no seeds; write 7, or 0-63, or 1,5,10-12" in message
    assert not (tmp_path / "out").exists()


def test_a_grid_nobody_could_see_is_refused(refused, finished, tmp_path):
    assert "at most 1,024" in refused("sample", finished, "--as", "grid", "--seeds", "0-1024", "--out", tmp_path)


def test_a_class_of_a_run_without_classes_is_refused(refused, finished, tmp_path):
    message = refused("sample", finished, "--class", "3", "--out", tmp_path / "out")
    assert "train with --game.conditional" in message
    assert not list(tmp_path.rglob("*.png"))


@pytest.fixture(scope="module")
def by_class(tmp_path_factory):
    """A run that makes digits by class."""
    import sparring

    run = tmp_path_factory.mktemp("runs") / "by-class"
    game = {"width": 4, "conditional": True}
    sparring.train("digits", family="dcgan", run=run, game=game, optim={"lr": 0.02}, kimg=1, picture_kimg=9)
    return run


def test_a_class_by_name(sparring, refused, by_class, tmp_path):
    for label in ("3", "8"):
        assert sparring("sample", by_class, "--class", label, "--seeds", "5", "--out", tmp_path / label).code == 0
    three, eight = (contents(tmp_path / label)["seed00000005.png"] for label in ("3", "8"))
    assert three != eight
    assert "there is no class 'seven'; there is: 0, 1" in refused("sample", by_class, "--class", "seven")
    assert "there is no class '10'" in refused("sample", by_class, "--class", "10")


# ---------------------------------------------------------------------- Python


def test_train_and_sample_in_python(tmp_path, capsys):
    import sparring

    run = sparring.train("digits", family="vanilla", kimg=1, run=tmp_path / "run", game={"width": 16})
    assert capsys.readouterr() == ("", "")
    images = run.sample(16, seed=7)
    assert images.shape == (16, 1, 8, 8)
    assert images.dtype == torch.float32
    assert images.device.type == "cpu"
    assert float(images.abs().max()) <= 1
    assert not images.requires_grad
    assert torch.equal(run.sample(1, seed=9)[0], images[2])
    for path in (tmp_path / "run", tmp_path / "run" / "model", str(tmp_path / "run")):
        again = sparring.load(path)
        assert torch.equal(again.sample(16, seed=7), images)
        assert again.card["nimg"] == 1024
    with pytest.raises(SparringError, match="was not trained by class"):
        run.sample(1, label="3")
    assert sparring.train(run=tmp_path / "run").card["nimg"] == 1024
    assert torch.equal(run.sample_seeds([9, 7]), images[[2, 0]])


def test_a_slip_in_python_is_a_sparring_error(tmp_path):
    import sparring

    with pytest.raises(SparringError, match="did you mean 'kimg'"):
        sparring.train("digits", family="vanilla", kimgg=1, run=tmp_path / "run")
    with pytest.raises(SparringError, match="did you mean 'width'"):
        sparring.train("digits", family="vanilla", game={"widht": 1}, run=tmp_path / "run")
    with pytest.raises(SparringError, match="is a group of settings"):
        sparring.train("digits", family="vanilla", train=3, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_training_leaves_the_caller_s_randomness_alone(tmp_path):
    import sparring

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    sparring.train("digits", family="vanilla", kimg=0.1, run=tmp_path / "run", game={"width": 8})
    assert torch.equal(torch.rand(3), expected)
