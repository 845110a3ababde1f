"""``sparring train`` and ``sparring sample``."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from sparring.cli.shell import STOPPED, Bars, app, console, escape, said
from sparring.core.config import merge
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.recipe import GROUPS
from sparring.core.settings_file import read_file

OF_A_RUN = ("version", "source", "family", "fingerprint", "spec", "coach")  # what recipe.json says beside settings


@app.command
def train(
    data: str = "",
    *,
    family: str = "",
    run: Path | None = None,
    recipe: str = "",
    config: Path | None = None,
    start_from: Annotated[Path | None, Parameter(name="--from")] = None,
    coach: Annotated[bool, Parameter(negative=())] = False,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Train a generator, or go on with one: the same line again resumes.

    Any setting is --GROUP.NAME VALUE; `sparring settings [FAMILY]` lists them.

    Parameters
    ----------
    data
        A folder, zip, tar, idx, npz or Parquet file of pictures, or: digits, mnist, fashion-mnist, cifar10, ring, grid.
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
    coach
        Let the coach mend a run that fails: back to a state from before it, one setting changed. --train.coach true.
    dry_run
        Print the plan and the schedule, train nothing.
    """
    from sparring.core.recipe import Recipe
    from sparring.recipes import load_recipe
    from sparring.tools.train import open_session

    base = load_recipe(recipe) if recipe else Recipe("")
    settings = merge(read_file(config) if config else {}, {"train": {"coach": True}} if coach else {}, said)
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
    made_from = session.plan.family_class.gives
    use = f"apply {root} PICTURES" if made_from else f"sample {root} --seeds 0-63"
    console.print(f"Next      sparring {use} --out out/")
    return 0


@app.command
def sample(
    run: Path,
    *,
    seeds: str = "0-15",
    out: Path = Path("out"),
    label: Annotated[str | None, Parameter(name=["--class", "--label"])] = None,
    labels: str = "as-data",
    where: str = "",
    rows: int | None = None,
    kind: Annotated[Literal["files", "grid", "npz", "parquet", "shards", "tar"], Parameter(name="--as")] = "files",
    shard: int = 10_240,
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
    where
        Of a table, what rows must be like: income=>50K,sex=Female,age>=30. All of them are.
    rows
        How many, in place of seeds: seeds from 0 on.
    kind
        One PNG per seed (points and tables: one CSV for all), one grid, one npz; of a table also parquet. For millions:
        shards of .npy, or of pictures in .tar as WebDataset reads them; divided over processes under torchrun.
    shard
        Samples in a shard.
    truncation
        How close to the typical to stay, such as 0.7: less varied, fewer failures. For families that truncate.
    family
        Needed only for code outside the registry: my.module:MyGAN.
    device
        auto, cpu, cuda, mps.
    """
    from sparring.core.cluster import Cluster
    from sparring.tools.run import load
    from sparring.tools.sample import parse_seeds, sample_to
    from sparring.tools.shards import Shards
    from sparring.tools.where import draw_where

    if rows is not None and rows < 1:
        raise SparringError(f"--rows is 1 or more; got {rows}")
    chosen = parse_seeds(seeds) if rows is None else range(rows)
    cluster = Cluster.apart()
    if kind == "shards" or kind == "tar":  # noqa: PLR1714 (for mypy, which reads it so)
        if where:
            raise SparringError(
                "--where tries many rows for each that it keeps, which no shard can count on; leave it out"
            )
        game = load(run, family, device).game
        shards = Shards(game, chosen, out, kind, shard, label, truncation, labels, cluster)
        total = shards.total
        with Bars() as progress:
            for done in shards.write():
                if cluster.leads:
                    progress("samples", done, total)
        if cluster.leads:
            of = f" of {len(chosen):,}, this process's," if cluster.size > 1 else ""
            console.print(f"{total:,}{of} samples in {out}")
        return 0
    if not cluster.leads:  # one writer
        return 0
    loaded = load(run, family, device)
    drawn = draw_where(loaded.game, where, len(chosen), chosen[0]) if where else None
    with Bars() as progress:
        for done in sample_to(loaded.game, chosen, out, kind, label, truncation, labels, drawn):
            progress("samples", done, len(chosen))
    console.print(f"{len(chosen):,} samples in {out}")
    return 0
