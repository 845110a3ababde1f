"""Numbers while training: a cheap subset, the best model kept by it, and advice when nothing is gained any more.

It draws from generators of its own and gives everything back as it was: a run is bit-identical with and without it.
"""

from collections.abc import Sequence

import torch

from sparring.core.config import Eval
from sparring.core.errors import SparringError
from sparring.core.folder import RunFolder, read_lines
from sparring.core.observer import Probe, Watcher
from sparring.engine.loop import Engine
from sparring.metrics.protocol import Score
from sparring.tools.evaluate import record, title
from sparring.tools.examiner import Examiner
from sparring.tools.model import publish
from sparring.tools.plain_examiner import PlainExaminer
from sparring.tools.plan import Plan
from sparring.tools.reals import reals_of_training
from sparring.tools.series_examiner import SeriesExaminer
from sparring.tools.table_examiner import TableExaminer
from sparring.watch.records import Lines
from sparring.watch.words import number

SOURCE = "train"  # what a line of metrics.jsonl says of where it comes from
# By what the best model is chosen, and which way is good.
BETTER = {"FD": "lower", "quality": "higher", "series distance": "lower"}
ADVISE_AFTER = 5  # evaluations without gain


class Evaluating(Probe):
    """Evaluates a run's averaged generator now and then.

    Args:
        plan, folder: of the run.
        watcher: who is told.
        device: where the feature network runs.

    Raises:
        SparringError: when the data or the feature network do not allow it; said before training begins.
    """

    def __init__(self, plan: Plan, folder: RunFolder, watcher: Watcher, device: torch.device):
        self.plan, self.folder, self.watcher = plan, folder, watcher
        settings: Eval = plan.eval
        self.settings = settings
        with torch.random.fork_rng():
            reals = reals_of_training(plan.dataset, plan.source, plan.data)
            self.examiner: Examiner | PlainExaminer
            if plan.dataset.spec.series:
                self.examiner = SeriesExaminer(reals, settings.samples, plan.train.seed)
            elif plan.dataset.spec.columns:
                self.examiner = TableExaminer(reals, settings.samples, plan.train.seed)
            else:
                self.examiner = Examiner(
                    reals, settings.extractor, most=settings.samples, seed=plan.train.seed, device=device
                )
        self.best_by: str = self.examiner.set.BEST_BY
        self.terms: dict[str, float] = {}

    def report(self) -> dict[str, float]:
        """The numbers of the last evaluation, once."""
        terms, self.terms = self.terms, {}
        return terms

    def __call__(self, engine: Engine) -> bool:
        """Measure; keep the model if it is the best so far. Returns whether a person's patience is at its end."""
        try:
            scores = self._measure(engine)
        except SparringError as error:  # such as samples that are all alike: worth telling, no reason to stop
            self.watcher.event("evaluation failed", str(error), severity="warn", nimg=engine.nimg)
            return False
        self.terms = {f"eval/{score.protocol.metric}": score.value for score in scores}
        try:
            Lines(self.folder.metrics).keep_until(engine.nimg - 1)  # a run that was set back lost what came after
            record(self.folder, engine.nimg, SOURCE, scores)
        except SparringError as error:
            self.watcher.event("evaluation failed", str(error), severity="warn", nimg=engine.nimg)
            return False
        self.watcher.event("evaluation", said(scores), nimg=engine.nimg)
        return self._judge(engine, history(self.folder, self.best_by))

    def _measure(self, engine: Engine) -> list[Score]:
        game = engine.game
        modes = [(module, module.training) for module in game.modules()]
        try:
            with torch.random.fork_rng(), torch.no_grad(), engine.average.applied():
                game.eval()
                fakes = self.examiner.draw(game, range(self.settings.samples))
                scores, _ = self.examiner.examine(fakes, f"0-{self.settings.samples - 1}", self.examiner.set.CHEAP)
        finally:
            for module, mode in modes:
                module.training = mode
        return scores

    def _judge(self, engine: Engine, past: Sequence[tuple[int, float]]) -> bool:
        sign = -1 if BETTER[self.best_by] == "higher" else 1
        best_nimg, best = min(past, key=lambda pair: sign * pair[1])
        if best_nimg == engine.nimg:
            try:
                self.folder.best.mkdir(exist_ok=True)
                publish(engine, self.plan, self.folder.best)
            except OSError as error:
                self.watcher.event("best not kept", f"{self.folder.best}: {error.strerror or error}", nimg=engine.nimg)
            return False
        without = sum(nimg > best_nimg for nimg, _ in past)
        since = f"no gain for {without} evaluations: the best {self.best_by} was {number(best)}"
        since += f" at {best_nimg / 1000:g} kimg"
        if self.settings.patience and without >= self.settings.patience:
            self.watcher.event("stopped early", f"{since}; that model is in best/", nimg=engine.nimg)
            return True
        if without == ADVISE_AFTER:
            advice = f"{since}; that model is in best/, and going on may not pay (--eval.patience stops by itself)"
            self.watcher.event("advice", advice, severity="warn", nimg=engine.nimg)
        return False


def history(folder: RunFolder, best_by: str = "FD") -> list[tuple[int, float]]:
    """``(nimg, value)`` of every evaluation while training that is comparable with the last, oldest first."""
    found = []
    for line in read_lines(folder.metrics):
        if line.get("source") == SOURCE:
            for plain in line["scores"]:
                if plain["protocol"]["metric"] == best_by:
                    found.append((int(line["nimg"]), float(plain["value"]), plain["protocol"]["id"]))
    return [(nimg, value) for nimg, value, protocol in found if protocol == found[-1][2]]


def said(scores: Sequence[Score]) -> str:
    """``FD 1.234 (about 0.2 of it is bias of so few samples), KD 0.01 [pixels-pca:1a2b3c4d|...]``."""
    words = []
    for score in scores:
        bias = f" (about {number(score.bias)} of it is bias of so few samples)" if score.bias else ""
        words.append(f"{score.protocol.label} {number(score.value)}{bias}")
    return f"{', '.join(words)} {title(scores[0].protocol.space)}"
