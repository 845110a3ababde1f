"""``sparring evaluate``, ``compare``, ``score``, ``diagnose`` and ``inspect``."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sparring.cli.shell import MISTAKE, Bars, app, console, escape, said
from sparring.core.config import Data, build
from sparring.core.errors import SparringError


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
    by: str = "",
    seed: int = 0,
    device: str = "auto",
) -> int:
    """Measure a run's samples, or one set of pictures against another; each number with its protocol.

    Under torchrun the processes divide the work.

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
    by
        Columns of a table that say who people are, such as sex,race: fairness and attribute inference of each.
    seed
        Of the metrics' own random choices.
    device
        auto, cpu, cuda, mps.
    """
    from sparring.core.cluster import Cluster
    from sparring.tools.evaluate import evaluate as measure
    from sparring.tools.evaluate import render

    cluster = Cluster.from_environment()  # what is exchanged lies on the CPU, wherever networks run
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
            by=[name.strip() for name in by.split(",") if name.strip()],
            seed=seed,
            device=device,
            progress=progress if cluster.leads else None,
            cluster=cluster,
        )
    cluster.close()
    if not cluster.leads:
        return 0
    render(found, console)
    if run is not None and found.picture is not None:
        console.print(f"\nScores    {run / 'metrics.jsonl'}\nNearest   {found.picture}")
    for head, path in zip(("Columns", "Pairs"), found.charts, strict=False):
        console.print(f"{head:9} {path}", markup=False, soft_wrap=True)
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
def score(
    run: Path,
    data: str,
    *,
    out: Path,
    normal: str = "",
    labels: str = "",
    pictures: int = 16,
    seed: int = 0,
    family: str | None = None,
    device: str = "auto",
) -> int:
    """Say how abnormal each picture or row is, by a run that was trained on normal ones alone.

    Parameters
    ----------
    run
        A run folder, of a family that scores, such as fanogan.
    data
        Pictures or a table, as for train.
    out
        The folder for scores.csv and for pictures of the most abnormal ones.
    normal
        The class that is normal, where data has classes; prints how well scores tell the others from it.
    labels
        The column of a table that says the class.
    pictures
        How many of the most abnormal pictures to draw, each beside what the run makes of it and where they differ.
    seed
        Of the intervals' random choices.
    family
        Needed only for code outside the registry: my.module:MyGAN.
    device
        auto, cpu, cuda, mps.
    """
    from sparring.tools.run import load
    from sparring.tools.score import score as measure
    from sparring.tools.score_files import draw_heat, render, write_scores

    if pictures < 0:
        raise SparringError(f"--pictures is 0 or more; got {pictures}")
    trained = load(run, family, device)
    with Bars() as progress:
        found = measure(trained, data, normal, labels, seed, progress)
    path = write_scores(found, out)
    drawn = draw_heat(trained.game, found, out, pictures)
    render(found, console)
    console.print(f"\nScores    {escape(str(path))}", soft_wrap=True)
    if drawn:
        console.print(
            f"Pictures  {len(drawn)} of the most abnormal, beside it: as it is, as made again, difference",
            soft_wrap=True,
        )
    return 0


@app.command
def diagnose(run: Path, *, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> int:
    """Say whether a run is healthy, and if not, why, since when, what shows it, and what to try.

    Reads the run folder alone. The exit code is 0 whatever the verdict; --json has its severity.

    Parameters
    ----------
    run
        A run folder, of a run that goes on or has ended.
    as_json
        Print all of it as JSON.
    """
    from sparring.tools.diagnose import diagnose as judge
    from sparring.tools.diagnose import render

    found = judge(run)
    if as_json:
        print(json.dumps(found.plain(), indent=2))
    else:
        render(found, console)
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
