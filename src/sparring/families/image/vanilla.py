"""The original GAN on multi-layer perceptrons (Goodfellow et al. 2014).

Paper: Generative Adversarial Networks, arXiv 1406.2661.
Command: ``sparring train digits --family vanilla``

The two losses of the paper are both here: ``--game.loss minimax`` is equation 1, whose generator gradient dies while D
is winning; ``non_saturating`` (the default) is what section 3 advises instead.

Departures: leaky ReLU networks and Adam in place of maxout and SGD with momentum, tanh outputs for data in [-1, 1].
"""

import math
from dataclasses import dataclass

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Settings, setting
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.together import judge_together
from sparring.objectives.adversarial import choose

REFUSED = [("wasserstein", "it needs a critic of bounded slope; --family wgan_gp has one")]


@dataclass(frozen=True)
class Config:
    """Settings of `Vanilla`."""

    z_dim: int = setting(64, "size of the latent")
    width: int = setting(256, "units of a hidden layer")
    loss: str = setting("non_saturating", "adversarial loss; minimax is the paper's equation 1; any but wasserstein")


class Vanilla(Game):
    """Two perceptrons, one game. Paper and command: see the module."""

    modalities = ("image", "points")
    config_class = Config

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        size, width = math.prod(spec.shape), config.width
        self.loss = choose(config.loss, REFUSED)
        self.G = nn.Sequential(
            nn.Linear(config.z_dim, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, size),
            nn.Tanh(),
            nn.Unflatten(1, spec.shape),
        )
        self.D = nn.Sequential(
            nn.Flatten(),
            nn.Linear(size, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, 1),
        )

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(self.config.z_dim))

    def discriminator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        real_logits, fake_logits = judge_together(self.D, [batch.real, fake], apart=self.reference)
        loss = self.loss.discriminator(real_logits, fake_logits)
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def generator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        fake_logits = self.D(fake)
        real_logits = self.D(batch.real) if self.loss.relativistic else None
        loss = self.loss.generator(fake_logits, real_logits)
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        if spec.modality == "points":
            return {"train": {"kimg": 1280.0, "batch": 128}, "game": {"z_dim": 2, "width": 64}}
        return {"train": {"kimg": 400}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        return DataSpec("image", (1, 8, 8), count=64), Config(z_dim=4, width=16)
