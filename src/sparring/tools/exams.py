"""The three sides of an augmentation study: what the generator learnt from, what decides, what is tested on.

The generator and the classifiers are trained on the very same samples; neither ever saw one of the other two sides, and
the test side decides nothing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.core.config import Data, build
from sparring.core.errors import SparringError
from sparring.data import DataSet, open_test
from sparring.data.parallel import Progress
from sparring.tools.lessons import CHUNK, Material, Part, Pictures, Table, refuse_without_classes
from sparring.tools.reals import reals_of_run
from sparring.tools.run import Run
from sparring.tools.sample import refuse_what_gives

FEWEST = 10  # of a class in an exam, below which a note warns of its recall
MOST_NEAR = 1000  # samples whose distances are looked at


@dataclass(frozen=True)
class Sides:
    """Real data, with its classes.

    Attributes:
        material: of what kind it is.
        train, validation, test: the three sides.
        notes: where they come from, and what a person should know of them.
    """

    material: Material
    train: Part
    validation: Part
    test: Part
    notes: tuple[str, ...]


def sides_of(
    run: Run,
    validation: str | None = None,
    test: str | None = None,
    updates: int | None = None,
    progress: Progress | None = None,
) -> Sides:
    """What ``run`` learnt from, and two sides that it never saw.

    Test side: what ``test`` names, else the test files that came with the data, else what the run held out: all of it
    where ``validation`` names another side, else half.
    Validation: what ``validation`` names, else what the run held out: all of it where there is another test side, else
    the other half; and half of the test side where nothing was held out.
    Of samples that are the same on two sides only the one stays that comes first: training, validation, test.

    Raises:
        SparringError: for a run that makes nothing by class, that does not know its data any more, or that kept nothing
            apart where none is named either.
    """
    game = run.game
    refuse_what_gives(game)
    if not game.spec.columns:
        refuse_without_classes(game)
    if not run.folder.exists:
        raise SparringError(f"{run.folder.root} does not say what it was trained on, and a study must know; name a run")
    settings = build(Data, run.folder.read_recipe()["data"], "data")
    known = reals_of_run(run.folder, game.spec, None, progress).train
    assert known is not None
    if test is None:
        given = open_test(run.folder.read_recipe()["source"], settings, known.spec, progress)
    else:
        given = reals_of_run(run.folder, game.spec, test, progress).reference
    material: Material = Table(game, known, updates) if game.spec.columns else Pictures(game, updates, settings.flip)
    if len(material.classes) < 2:
        raise SparringError("a study needs two classes or more")
    held_out = known.held_out
    if validation is not None:
        given = held_out if given is None else given
        held_out = reals_of_run(run.folder, game.spec, validation, progress).reference
    choice, exam, where = _two(material, held_out, given)
    train, notes = material.read(known), [where]
    choice = _apart(material, "validation", choice, train.x, notes)
    exam = _apart(material, "test", exam, torch.cat([train.x, choice.x]), notes)
    return Sides(material, train, choice, exam, tuple(notes))


def _apart(material: Material, name: str, side: Part, others: Tensor, notes: list[str]) -> Part:
    """A side without what equals one of the others; refused where it says nothing, noted where it says little."""
    known = set(map(bytes, others.flatten(1).numpy()))
    copies = torch.tensor([bytes(row) in known for row in side.x.flatten(1).numpy()], dtype=torch.bool)
    if bool(copies.any()):
        notes.append(
            f"{int(copies.sum()):,} {name} samples are to a classifier the same as one of another side and left out"
        )
    side = side.take(~copies)
    counts = material.counts(side)
    if sum(count > 0 for count in counts) < 2:
        raise SparringError(
            f"the {name} side has {len(side):,} samples, of fewer than two classes, that the run never saw; hold more "
            "out with --data.held-out, or name other real data with --test"
        )
    least = min(range(len(counts)), key=lambda label: counts[label])
    if counts[least] < FEWEST:
        notes.append(f"{name} has {counts[least]} of class {material.classes[least]}: its recall says little")
    return side


def _two(material: Material, held_out: DataSet | None, given: DataSet | None) -> tuple[Part, Part, str]:
    """Validation and test, and where they come from."""
    if held_out is not None and given is not None:
        words = f"validation: {len(held_out):,} of {held_out.name}; test: {len(given):,} of {given.name}"
        return material.read(held_out), material.read(given), words
    only = held_out or given
    if only is None:
        raise SparringError(
            "nothing was kept from this run's generator to test on; train with --data.held-out 0.2, or name real data "
            "that it never saw with --test"
        )
    whole = material.read(only)
    second = second_half(whole)
    words = f"validation and test: a half each of {len(whole):,} that the run never saw, of {only.name}"
    return whole.take(~second), whole.take(second), words


def second_half(part: Part) -> Tensor:
    """Every other sample of each class in a seeded order, bool ``(n,)``."""
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))
    chosen = torch.zeros(len(part), dtype=torch.bool)
    for label in part.y.unique():
        chosen[order[part.y[order] == label][1::2]] = True
    return chosen


@dataclass(frozen=True)
class Leak:
    """Whether samples know the test side.

    Attributes:
        to_test, to_train: median distance of a sample to the nearest test one, and to the nearest of as many training
            ones, as `Material.places` measures it.
        nearer: share of samples whose nearest is a test one; 0.5 of samples that know neither side.
        chance: standard deviation of `nearer` if it were drawn by lot which of the reals are the test side.
        equal: share of samples that equal a test one.
        samples, reals: how many were looked at, reals of each side.
    """

    to_test: float
    to_train: float
    nearer: float
    chance: float
    equal: float
    samples: int
    reals: int

    @property
    def suspicious(self) -> bool:
        """Whether samples are nearer to the test side than three standard deviations of chance allow."""
        return self.nearer > 0.5 + 3 * self.chance


def leak(sides: Sides, made: Part) -> Leak:
    """Distances of samples to the test side and to as many training samples: the larger side would be the nearer."""
    draw = torch.Generator().manual_seed(0)
    count = min(len(sides.test), len(sides.train), MOST_NEAR)
    wanted = ((made, MOST_NEAR), (sides.test, count), (sides.train, count))
    some = [part.take(torch.randperm(len(part), generator=draw)[:most]) for part, most in wanted]
    samples, test, train = (torch.from_numpy(sides.material.places(part)) for part in some)
    return nearness(samples, test, train)


def nearness(samples: Tensor, test: Tensor, train: Tensor) -> Leak:
    """By L1 between rows ``(n, d)``; ``test`` and ``train`` are equally many.

    If it is drawn by lot which half of all 2 m reals is the test side, the share of samples that are nearest to it has
    the mean 1/2 and, w_j being the share that real j is nearest to, the variance (sum w_j^2 - 1/2m) 2m / (2m - 1) / 4.
    """
    mixed = torch.randperm(2 * len(test), generator=torch.Generator().manual_seed(0))  # ties fall to either side
    reals = torch.cat([test, train])[mixed]
    distances = torch.cat([torch.cdist(part, reals, p=1) for part in samples.split(CHUNK)])
    of_test = mixed < len(test)
    nearest = distances.argmin(1)
    shares = torch.bincount(nearest, minlength=len(reals)).double() / len(samples)
    spread = (float(shares.square().sum()) - 1 / len(reals)) * len(reals) / (len(reals) - 1) / 4
    to_test, to_train = (distances[:, side].min(1).values for side in (of_test, ~of_test))
    return Leak(
        to_test=float(to_test.median()),
        to_train=float(to_train.median()),
        nearer=float(of_test[nearest].double().mean()),
        chance=max(spread, 0.0) ** 0.5,
        equal=float((to_test == 0).double().mean()),
        samples=len(samples),
        reals=len(test),
    )
