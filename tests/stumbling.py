"""A toy game whose gradients stop being finite, for the tests of the guard. ``--family stumbling:NaNGAN``.

Source: written for the tests. Command: none.
"""

import math
import time
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import setting
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.objectives.adversarial import non_saturating


@dataclass(frozen=True)
class Config:
    """Settings of `NaNGAN`."""

    at: int = setting(10**9, "images shown from which D's gradient is not finite")
    times: int = setting(10**9, "how often, in this process")
    seconds: float = setting(0.0, "that a step takes longer")


class NaNGAN(Game):
    """A tiny perceptron against another, with a weak heart."""

    config_class = Config
    stumbled: ClassVar[int] = 0  # in this process: so that a rollback, which forgets all else, can be seen to pass

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        self.G = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Unflatten(1, spec.shape))
        self.D = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(4))

    def discriminator(self, batch: Batch) -> Outcome:
        time.sleep(self.config.seconds)
        loss = non_saturating.discriminator(self.D(batch.real), self.D(batch.share("G", self.fakes)))
        if batch.nimg >= self.config.at and NaNGAN.stumbled < self.config.times:
            NaNGAN.stumbled += 1
            loss = loss * math.nan
        return Outcome(loss)

    def generator(self, batch: Batch) -> Outcome:
        return Outcome(non_saturating.generator(self.D(batch.share("G", self.fakes))))

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch)
