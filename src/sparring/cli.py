"""``sparring``: argv to one tool. Settings (``--train.kimg 60``) are read here; the rest is cyclopts' business.

Nothing heavy is imported until a command needs it: help and listings answer at once.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sparring.core.config import Data, Eval, Optim, Settings, Train, build, describe, merge, read_file, unflatten
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.recipe import GROUPS

STOPPED = 75  # a signal ended the run early; its state is saved, and the same command goes on (EX_TEMPFAIL)
MISTAKE = 2
OF_A_RUN = ("version", "source", "family", "fingerprint", "spec")  # what recipe.json says beside settings
TAKES_SETTINGS = ("train", "inspect")

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
app = App(name="sparring", help="Train, watch, evaluate and use generative adversarial networks.")
said: Settings = {}  # the dotted settings of this command line


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command. A person's mistake is one line on standard error and exit code 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        said.clear()
        if arguments and arguments[0] in TAKES_SETTINGS:
            arguments, flat = split_settings(arguments)
            said.update(unflatten(flat))
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except SparringError as error:
        code = complain(str(error))
    except CycloptsError as error:
        code = complain(" ".join(str(error).split()))
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        code = 0
    except OSError as error:  # of a disk, a mount, a permission
        code = complain(f"{error.filename or 'the system says'}: {error.strerror or error}")
    sys.exit(code if isinstance(code, int) else 0)


def complain(message: str) -> int:
    """One line, in red where there is colour."""
    errors.print(Text.assemble(("sparring:", "bold red"), " ", " ".join(message.split())), soft_wrap=True)
    return MISTAKE


def escape(text: str) -> str:
    """Text that rich does not read as markup."""
    return text.replace("[", r"\[")


def split_settings(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Take ``--group.name value``, ``--group.name=value`` and lone ``--group.name`` (true) out of the arguments."""
    rest: list[str] = []
    flat: dict[str, str] = {}
    queue = list(arguments)
    while queue:
        token = queue.pop(0)
        dotted, equals, value = token[2:].partition("=")
        if not (token.startswith("--") and "." in dotted):
            rest.append(token)
            continue
        group = dotted.partition(".")[0]
        if group not in GROUPS:
            raise SparringError(f"unknown option --{dotted}{did_you_mean(group, GROUPS)}")
        if not equals:
            value = queue.pop(0) if queue and not _is_option(queue[0]) else "true"
        flat[dotted.replace("-", "_")] = value
    return rest, flat


def _is_option(token: str) -> bool:
    return token.startswith("-") and not token[1:2].isdigit() and token[1:2] != "."


# ---------------------------------------------------------------------- commands


@app.command
def train(
    data: str = "",
    *,
    family: str = "",
    run: Path | None = None,
    recipe: str = "",
    config: Path | None = None,
    start_from: Annotated[Path | None, Parameter(name="--from")] = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Train a generator, or go on with one: the same line again resumes.

    Any setting is --GROUP.NAME VALUE; `sparring settings [FAMILY]` lists them.

    Parameters
    ----------
    data
        A folder, zip, idx, npz or Parquet file of pictures, or: digits, mnist, fashion-mnist, cifar10, ring, grid.
    family
        What to train (see `sparring families`); left out, the data decides. Also my.module:MyGAN.
    run
        The run folder; left out, runs/DATA-FAMILY.
    recipe
        Begin from a recipe (see `sparring recipes`).
    config
        A settings file (TOML, JSON or YAML), or a run's recipe.json; options win over it.
    start_from
        Another run whose weights a new run begins with, where they fit.
    dry_run
        Print the plan and the schedule, train nothing.
    """
    from sparring.core.recipe import Recipe
    from sparring.recipes import load_recipe
    from sparring.tools.train import open_session

    base = load_recipe(recipe) if recipe else Recipe("")
    settings = merge(read_file(config) if config else {}, said)
    own = {key: settings.pop(key, "") for key in OF_A_RUN}  # so that a run's recipe.json can be given
    for key in ("source", "family"):
        if not isinstance(own[key], str):
            raise SparringError(f"{config}: '{key}' is a name; got {own[key]!r}")
    for group in settings:
        if group not in GROUPS:
            raise SparringError(f"{config}: unknown group '{group}'{did_you_mean(group, GROUPS)}")
    chosen = Recipe(data or own["source"] or base.source, family or own["family"] or base.family, base.settings)
    with Bars() as progress:
        session = open_session(chosen, settings, run, progress, start_from=start_from)
    if dry_run:
        from sparring.tools.dryrun import render

        render(session, console)
        return 0
    if session.cluster.leads:
        for reason in session.plan.reasons:
            console.print(f"  {escape(reason)}", style="dim")
    ending = session.play()
    root = session.folder.root
    if not session.cluster.leads:
        return 0 if ending == "finished" else STOPPED
    if ending == "stopped":
        console.print(f"Stopped and saved. The same command goes on from here. Run folder: {root}")
        return STOPPED
    console.print(f"\nPictures  {root / 'samples'}\nReport    {root / 'report.html'}\nModel     {root / 'model'}")
    console.print(f"Next      sparring sample {root} --seeds 0-63 --out out/")
    return 0


@app.command
def sample(
    run: Path,
    *,
    seeds: str = "0-15",
    out: Path = Path("out"),
    label: Annotated[str | None, Parameter(name=["--class", "--label"])] = None,
    labels: str = "as-data",
    kind: Annotated[Literal["files", "grid", "npz"], Parameter(name="--as")] = "files",
    truncation: float | None = None,
    family: str | None = None,
    device: str = "auto",
) -> int:
    """Draw samples from a trained run with its averaged weights.

    Parameters
    ----------
    run
        A run folder, or a model/ folder.
    seeds
        7, or 0-63, or 1,5,10-12. A seed is the same picture in any batch.
    out
        Where to write.
    label
        A class by name or number, for a run trained by class.
    labels
        How often each class is drawn, for such a run: as-data, balanced, or shares such as cat:3,dog:1.
    kind
        One PNG per seed (points: one CSV for all), one grid, or one npz.
    truncation
        How close to the typical to stay, such as 0.7: less varied, fewer failures. For families that truncate.
    family
        Needed only for code outside the registry: my.module:MyGAN.
    device
        auto, cpu, cuda, mps.
    """
    from sparring.tools.run import load
    from sparring.tools.sample import parse_seeds, sample_to

    chosen = parse_seeds(seeds)
    loaded = load(run, family, device)
    with Bars() as progress:
        for done in sample_to(loaded.game, chosen, out, kind, label, truncation, labels):
            progress("samples", done, len(chosen))
    console.print(f"{len(chosen):,} samples in {out}")
    return 0


@app.command
def evaluate(
    run: Path | None = None,
    *,
    real: str | None = None,
    fake: str | None = None,
    data: str | None = None,
    extractor: str = "auto",
    weights: Path | None = None,
    resize: str | None = None,
    samples: int = 10_000,
    metrics: str = "",
    seed: int = 0,
    device: str = "auto",
) -> int:
    """Measure a run's samples, or one set of pictures against another; each number with its protocol.

    Parameters
    ----------
    run
        A run folder, or a model/ folder with --data. Scores are kept in its metrics.jsonl.
    real
        Instead of a run: real pictures, as for train.
    fake
        And pictures to measure against them.
    data
        Other real data to compare a run with; left out, what it held out, else its data's test files.
    extractor
        The feature network: auto, pixels-pca, classifier, inception-2015-12-05, ...
    weights
        The file of its weights.
    resize
        How pictures are brought to Inception's size: tf1-bilinear-299, pytorch-bilinear-299, clean-bicubic-299.
    samples
        How many to draw, and how many reals to use at most.
    metrics
        Which, separated by commas, such as fd,kid; left out, all that can be measured.
    seed
        Of the metrics' own random choices.
    device
        auto, cpu, cuda, mps.
    """
    from sparring.tools.evaluate import evaluate as measure
    from sparring.tools.evaluate import render

    asked = [key.strip() for key in metrics.split(",") if key.strip()]
    with Bars() as progress:
        found = measure(
            run,
            real=real,
            fake=fake,
            data=data,
            extractor=extractor,
            weights=weights,
            resize=resize,
            samples=samples,
            metrics=asked,
            seed=seed,
            device=device,
            progress=progress,
        )
    render(found, console)
    if run is not None and found.picture is not None:
        console.print(f"\nScores    {run / 'metrics.jsonl'}\nNearest   {found.picture}")
    return 0


@app.command
def compare(*runs: Path) -> int:
    """Put the latest scores of runs side by side. Scores of unlike protocols are refused, with what differs.

    Parameters
    ----------
    runs
        Two run folders or more, each evaluated before.
    """
    from sparring.tools.compare import compare as put_together
    from sparring.tools.compare import render

    render(put_together(runs), console)
    return 0


@app.command
def inspect(data: str) -> int:
    """The data doctor: what is there, what is wrong with it, what would be trained and how long it would take.

    Parameters
    ----------
    data
        As for train; --data.NAME VALUE settings apply.
    """
    from sparring.tools.inspect import inspect as examine
    from sparring.tools.inspect import render

    for group in set(said) - {"data"}:
        raise SparringError(f"inspect takes --data settings only, not --{group}")
    with Bars() as progress:
        report = examine(data, build(Data, said.get("data", {}), "data"), progress)
    render(report, console)
    return MISTAKE if report.refused else 0


@app.command
def families() -> int:
    """List the families, one line each."""
    from sparring.core.registry import families as find

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, family in sorted(find().items(), key=lambda item: (item[1].kind, item[0])):
        summary = f"[red]{escape(family.broken)}[/]" if family.broken else escape(family.summary)
        table.add_row(name, f"[dim]{family.kind}[/]", summary)
    console.print(table)
    return 0


@app.command
def recipes() -> int:
    """List the recipes: command, hardware, time, what to expect."""
    from sparring.recipes import recipes as find

    for name, function in sorted(find().items()):
        console.print(f"[bold]{name}[/]  {escape(' '.join((function.__doc__ or '').split()))}\n")
    return 0


@app.command
def settings(family: str = "") -> int:
    """List every setting with its default, and a family's own.

    Parameters
    ----------
    family
        A family's name.
    """
    groups: list[tuple[str, Any]] = [("data", Data), ("train", Train), ("optim", Optim), ("eval", Eval)]
    if family:
        from sparring.core.registry import load_family

        groups.insert(0, ("game", load_family(family).config_class))
    for group, cls in groups:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for name, default, help_line in describe(cls):
            table.add_row(f"--{group}.{name.replace('_', '-')}", f"[cyan]{escape(default)}[/]", escape(help_line))
        console.print(table)
    console.print("[dim]--optim.lr sets every player, --optim.D.lr one. Name a family to see its --game settings.[/]")
    return 0


@app.command
def push(run: Path, repository: str, *, private: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Put a run's model on a model hub.

    Parameters
    ----------
    run
        A run folder.
    repository
        OWNER/NAME on the hub.
    private
        Keep it to yourself.
    """
    from sparring.tools.hub import push as send

    console.print(f"Pushed to {send(run, repository, private=private)}")
    return 0


@app.command
def pull(repository: str, *, out: Path | None = None) -> int:
    """Fetch a model from a model hub; nothing in it is run or unpickled.

    Parameters
    ----------
    repository
        OWNER/NAME on the hub.
    out
        Where to put it; left out, the last part of its name.
    """
    from sparring.tools.hub import pull as fetch

    console.print(f"Model in {fetch(repository, out)}")
    return 0


class Bars:
    """``progress(stage, done, total)`` as bars with time left, on a terminal and only past the first half second."""

    def __enter__(self) -> Callable[[str, int, int], None]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bars = Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)
        self.tasks: dict[str, Any] = {}
        self.bars.start()
        return self.show

    def show(self, stage: str, done: int, total: int) -> None:
        if stage not in self.tasks:
            self.tasks[stage] = self.bars.add_task(stage, total=total)
        self.bars.update(self.tasks[stage], completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self.bars.stop()
