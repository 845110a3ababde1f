"""Running means of everything a turn reports, kept on the device until a tick reads them all at once."""

from sparring.core.batch import Outcome
from sparring.core.game import Turn
from sparring.core.means import Means


class Tally(Means):
    """Means by name, such as ``D.discriminator/loss``."""

    def see(self, turn: Turn, outcome: Outcome) -> None:
        """Add one microbatch."""
        self.add(f"{turn.name}/loss", outcome.loss)
        for name, value in outcome.terms.items():
            self.add(f"{turn.name}/{name}", value)
        if outcome.real_logits is not None:
            self.add(f"{turn.name}/real_logits", outcome.real_logits.mean())
        if outcome.fake_logits is not None:
            self.add(f"{turn.name}/fake_logits", outcome.fake_logits.mean())
