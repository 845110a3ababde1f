"""What really happened in a run: measured from its weights and the known data, never from the referee's readings.

Modes of mixtures are known; classes of digits are told by a classifier fitted on the real ones; copies are looked for
among the training rows; D's and the gradients' state is computed from the newest saved state, paths from all of them.
"""

import json
import math
import shutil
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparring.core.batch import Batch
from sparring.core.config import Data
from sparring.core.folder import RunFolder
from sparring.core.recipe import Recipe
from sparring.core.seeds import draw_labels
from sparring.data import DataSet, open_data
from sparring.data.mixtures import MIXTURES
from sparring.diagnostics.statistics import mean_pairwise_distance
from sparring.engine import checkpoint
from sparring.engine.loop import Engine
from sparring.metrics.modes import check_modes
from sparring.modalities import modality
from sparring.tools.plan import resume_plan
from zoo.truth import Features, Truth, auc, copied, net_over_path, top_singular, weights_of

SAMPLES = 1000
TRACKED = 256  # samples of fixed seeds that are followed through all states
MOST_ROWS = 5000  # of training data among which copies are looked for


class Classifier:
    """A perceptron fitted on all of a real labelled set, for what samples are recognised as."""

    def __init__(self, data: DataSet):
        from sklearn.neural_network import MLPClassifier

        reals, labels = rows_of(data, 6000)
        if labels is None:
            raise ValueError("a classifier needs labels")
        self.net = MLPClassifier((128,), alpha=0.1, max_iter=40, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.net.fit(reals.flatten(1).numpy(), labels.numpy())
        self.sure = float(self.net.predict_proba(reals[:1000].flatten(1).numpy()).max(1).mean())
        self.spread = {k: mean_pairwise_distance(reals[labels == k][:200]) for k in range(len(data.spec.classes))}

    def look(self, samples: Tensor) -> tuple[np.ndarray, float]:
        """Classes ``(n,)``, and the mean of their probabilities over that of reals."""
        chances = self.net.predict_proba(samples.flatten(1).numpy())
        return self.net.classes_[chances.argmax(1)], float(chances.max(1).mean()) / self.sure


@cache
def classifier_of(source: str, size: str) -> Classifier:
    """One for each data set, fitted once."""
    return Classifier(open_data(source, Data(size=size)))


def rows_of(data: DataSet, count: int) -> tuple[Tensor, Tensor | None]:
    """Reals in [-1, 1], spread evenly over the set, and labels."""
    kept, labels = data.get(torch.linspace(0, len(data) - 1, min(count, len(data))).long())
    return modality(data.spec.modality).decode(kept), labels


class NoDealer:
    """Deals nothing: an engine is built to be looked at."""

    def deal(self, first: int, count: int) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        pass


class Look:
    """A run's game with the weights of its saved states."""

    def __init__(self, folder: Path):
        self.folder = RunFolder(folder)
        self.plan, _ = resume_plan(self.folder, Recipe(""))
        self.engine = Engine(self.plan.make_game(), NoDealer(), self.plan.train, self.plan.optim)
        self.game, spec = self.engine.game, self.plan.dataset.spec
        self.conditional = self.game.conditional(self.game.config)
        self.labels = draw_labels(range(SAMPLES), spec.class_counts) if self.conditional else None
        self.states = sorted(path for path in self.folder.state.glob("[0-9]*") if path.is_dir())

    def load(self, state: Path) -> Mapping[str, Tensor]:
        """Take the weights of a state; returns those of the game."""
        tensors, position = checkpoint.read(state)
        self.engine.load(tensors, position)
        return tensors["game"]

    @torch.no_grad()
    def samples(self, count: int, live: bool = False) -> Tensor:
        """Of seeds 0 to ``count - 1``, by averaged or live weights, ``(n, ...)``."""
        labels = None if self.labels is None else self.labels[:count]
        self.game.eval()
        if live:
            return self.game.sample(Batch.of_seeds(range(count), labels, self.engine.device)).float()
        with self.engine.average.applied():
            return self.game.sample(Batch.of_seeds(range(count), labels, self.engine.device)).float()

    def scores(self, rows: Tensor, labels: Tensor | None) -> Tensor:
        """D's logits; of a class asked for where the game is conditional."""
        self.game.eval()
        with torch.no_grad():
            judge = getattr(self.game, self.game.judges()[0])
            try:
                made = judge(rows, labels)
            except TypeError:  # a family without classes gives D pictures alone
                made = judge(rows)
            return (made[0] if isinstance(made, tuple) else made).flatten()

    def gradient(self, reals: Tensor, labels: Tensor | None) -> float:
        """Of G's loss at its samples: the mean length times their number."""
        turn = next(t for t in self.game.turns(self.engine.nimg) if "G" in t.movers)
        batch = Batch.of_seeds(range(len(reals)), labels, self.engine.device)
        batch.real, batch.nimg = reals, self.engine.nimg
        self.game.train().requires_grad_(True)
        outcome = turn.loss(batch)
        if outcome.fake is None or not outcome.fake.requires_grad:
            return math.nan
        (slope,) = torch.autograd.grad(outcome.loss, outcome.fake)
        return float(slope.flatten(1).norm(dim=1).sum())


def measure(folder: Path) -> Truth:
    """What is so, of the run in ``folder``, which has one saved state at least."""
    look = Look(folder)
    data, train = look.plan.dataset, look.plan.train
    reals, labels = rows_of(data, 2 * SAMPLES)
    events = [json.loads(line) for line in look.folder.events.read_text().splitlines()]
    first = look.load(look.states[0])
    features = Features(reals)
    singular = top_singular(first)
    judge = f"{look.game.judges()[0]}."
    before = weights_of(first, judge)
    path = []
    for state in look.states:
        last = look.load(state)
        path.append(look.samples(TRACKED, live=True).flatten(1))
    after = weights_of(last, judge)
    places = torch.stack(path[len(path) // 2 :])
    among = mean_pairwise_distance(reals[:500])
    samples, live = look.samples(SAMPLES), look.samples(SAMPLES, live=True)
    kinds = kinds_of(samples, look, data)
    some = None if labels is None else labels[: len(live)]
    of_reals = look.scores(reals[:SAMPLES], None if labels is None else labels[:SAMPLES])
    of_fakes = look.scores(live, look.labels if look.labels is not None else some)
    held = data.held_out
    unseen = look.scores(*rows_of(held, SAMPLES)) if held is not None else None
    spread = torch.randperm(len(reals), generator=torch.Generator().manual_seed(0))[:128]
    return Truth(
        nimg=look.engine.nimg,
        finished=look.engine.nimg >= train.nimg,
        troubles=sum(event["kind"] in ("not finite", "skipped") for event in events),
        diversity=mean_pairwise_distance(samples[:500]) / among,
        copies=copied(samples, rows_of(data, MOST_ROWS)[0]) if len(data) <= MOST_ROWS else math.nan,
        distance=features.distance(samples),
        auc=auc(of_reals, of_fakes),
        train_auc=math.nan if unseen is None else auc(look.scores(*rows_of(data, SAMPLES)), unseen),
        gradient=look.gradient(reals[spread], None if labels is None else labels[spread]),
        loudest=float(torch.cat([of_reals, of_fakes]).abs().max()),
        net_path=net_over_path(places),
        stride=float((places[1:] - places[:-1]).norm(dim=2).mean()) / among,
        growth=max(value / max(singular[name], 1e-6) for name, value in top_singular(last).items()),
        moved=float((after - before).norm() / before.norm().clamp_min(1e-12)),
        **kinds,
    )


def kinds_of(samples: Tensor, look: Look, data: DataSet) -> dict[str, Any]:
    """What is missing, how clean the rest is, how varied each class, how often the class asked for is seen."""
    source = look.plan.source
    if source in MIXTURES:
        mixture = MIXTURES[source]
        check = check_modes(samples, torch.tensor(mixture.centres), mixture.sigma)
        of = len(mixture.centres)
        return {"missing": of - check.covered, "of": of, "clean": check.clean, "within": math.nan, "hit": math.nan}
    judge = classifier_of(source, look.plan.data.size)
    seen, sure = judge.look(samples)
    of = len(data.spec.classes)
    shares, fair = np.bincount(seen, minlength=of) / len(seen), np.array(data.spec.class_counts) / len(data)
    by = seen if look.labels is None else look.labels.numpy()
    ratios = [mean_pairwise_distance(samples[by == k]) / judge.spread[k] for k in range(of) if (by == k).sum() > 4]
    return {
        "missing": int((shares < 0.25 * fair).sum()),
        "of": of,
        "clean": sure,
        "within": float(np.mean(ratios)),
        "hit": math.nan if look.labels is None else float((seen == by).mean()),
    }


def prune(folder: Path) -> None:
    """Delete all states but the newest: a truth that is kept needs them no more."""
    for state in sorted(path for path in RunFolder(folder).state.glob("[0-9]*") if path.is_dir())[:-1]:
        shutil.rmtree(state)
