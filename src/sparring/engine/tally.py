"""Running means of everything a turn reports, kept on the device until a tick reads them all at once."""

import torch
from torch import Tensor

from sparring.core.batch import Outcome
from sparring.core.game import Turn


class Tally:
    """Sums and counts by name, such as ``D.discriminator/loss``."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def see(self, turn: Turn, outcome: Outcome) -> None:
        """Add one microbatch."""
        self.add(f"{turn.name}/loss", outcome.loss)
        for name, value in outcome.terms.items():
            self.add(f"{turn.name}/{name}", value)
        if outcome.real_logits is not None:
            self.add(f"{turn.name}/real_logits", outcome.real_logits.mean())
        if outcome.fake_logits is not None:
            self.add(f"{turn.name}/fake_logits", outcome.fake_logits.mean())

    def add(self, name: str, value: Tensor) -> None:
        """Add one value; it is detached, and not read."""
        value = value.detach().float()
        self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.counts[name] = self.counts.get(name, 0) + 1

    def read(self) -> dict[str, float]:
        """The means since the last read, in one transfer; begins anew."""
        if not self.sums:
            return {}
        values = torch.stack(list(self.sums.values())).tolist()
        means = {name: value / self.counts[name] for name, value in zip(self.sums, values, strict=True)}
        self.sums, self.counts = {}, {}
        return means
