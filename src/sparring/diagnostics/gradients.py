"""The gradient at the fakes, read in some steps: what the generator is told, whatever the losses say."""

from sparring.core.batch import Batch, Outcome
from sparring.core.game import Game, Turn
from sparring.core.means import Means
from sparring.core.observer import Probe
from sparring.core.readings import PREFIX
from sparring.diagnostics.logits import Pace


class FakeGradient(Probe):
    """Reads ``fake_gradient``: mean over fakes x of ||d(loss of x)/dx||, in turns where no judge moves.

    The loss is a mean over the batch and was divided by the microbatches; both are undone. It takes no pass of its own.

    Args:
        game: whose judges move in turns that it leaves out.
        pace: which steps it reads.
        microbatches: of this process.
    """

    needs_fake_gradient = True

    def __init__(self, game: Game, pace: Pace, microbatches: int = 1):
        self.judges, self.pace, self.microbatches = set(game.judges()), pace, microbatches
        self.means = Means()

    def see(self, turn: Turn, batch: Batch, outcome: Outcome) -> None:
        if outcome.fake is None or self.judges & set(turn.movers) or not self.pace.due(batch.nimg):
            return
        gradient = outcome.fake.grad
        if gradient is not None:
            lengths = gradient.float().flatten(1).norm(dim=1)
            self.means.add("fake_gradient", len(gradient) * self.microbatches * lengths.mean())

    def report(self) -> dict[str, float]:
        return {PREFIX + name: value for name, value in self.means.read().items()}
