"""``sparring augment``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sparring.cli.shell import Bars, app, console
from sparring.core.errors import SparringError

if TYPE_CHECKING:
    from sparring.tools.run import Run


@app.command
def augment(
    run: Path,
    data: str | None = None,
    *,
    out: Path | None = None,
    count: int | None = None,
    ratio: float | None = None,
    balance: Annotated[bool, Parameter(negative=())] = False,
    synthetic_only: Annotated[bool, Parameter(negative=())] = False,
    mark: bool = True,
    seed: int = 0,
    study: Annotated[bool, Parameter(negative=())] = False,
    validation: str | None = None,
    test: str | None = None,
    seeds: int = 5,
    updates: int | None = None,
    family: str | None = None,
    device: str = "auto",
) -> int:
    """Write real data and samples as one training set; or --study whether that helps a classifier.

    Pictures get a folder for each class and a manifest.csv, tables one table.csv.

    Parameters
    ----------
    run
        A run folder (without --study also a model/ folder): by class on pictures, or on a table.
    data
        The real data to write; left out, what the run was trained on.
    out
        A new folder to write to. With --study, for study.md and study.json; it may be left out.
    count
        How many samples, classes as often as in the data.
    ratio
        How many for each real one; 1 where nothing is said.
    balance
        Fill each class up to the size of the largest.
    synthetic_only
        Leave the real data out.
    mark
        Add a column `synthetic` to a table: 1 of samples, 0 of reals.
    seed
        The first seed of the samples.
    study
        Teach classifiers with and without samples and test them on data that the generator never saw.
    validation
        Of a study, real data to choose on; left out, what was held out or half of it, else half of the test data.
    test
        Of a study, real data to test on; left out, the data's test files, else half of what was held out.
    seeds
        Of a study, classifiers in each arm.
    updates
        Of a study, steps of each picture classifier (400), or rounds of boosting on a table (100); 10 or more.
    family
        Needed only for code outside the registry: my.module:MyGAN.
    device
        auto, cpu, cuda, mps: where samples are made; classifiers run on the CPU.
    """
    from sparring.tools.run import load

    if study:
        if data is not None or count or ratio or balance or synthetic_only or not mark:
            raise SparringError(
                "--study uses the run's own data in every ratio; name other data to test on with --test"
            )
        return _study(load(run, family, device), out, validation, test, seeds, updates)
    from sparring.tools.augmented import Wanted, write_set

    if out is None:
        raise SparringError("name a new folder to write to with --out, or ask --study whether samples help")
    if validation is not None or test is not None:
        raise SparringError("--validation and --test are for a --study; real data to write is named after the run")
    wanted = Wanted(count, ratio, balance)
    with Bars() as progress:
        written = write_set(load(run, family, device), out, wanted, data, synthetic_only, mark, seed, progress)
    console.print(f"{written.reals:,} real and {written.fakes:,} synthetic in {out}")
    filled = [f"{name} +{more:,}" for name, more in written.by_class.items() if more]
    if balance:
        console.print(f"  {', '.join(filled) or 'all classes are equally common already'}", style="dim", markup=False)
    return 0


def _study(
    run: "Run", out: Path | None, validation: str | None, test: str | None, seeds: int, updates: int | None
) -> int:
    from sparring.core.files import write_atomic, write_json
    from sparring.tools.augmenting import study
    from sparring.tools.study_report import markdown, render

    with Bars() as progress:
        found = study(run, validation, test, seeds, updates, progress)
    render(found, console)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(out / "study.md", f"# Does synthetic data help?\n\n{markdown(found)}".encode())
        write_json(out / "study.json", found.plain())
        console.print(f"\nStudy     {out / 'study.md'}")
    return 0
