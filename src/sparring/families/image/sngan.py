"""Residual GAN with a spectrally normalised discriminator and hinge loss (Miyato et al. 2018).

Paper: Spectral Normalization for Generative Adversarial Networks, arXiv 1802.05957.
Command: ``sparring train photos/ --family sngan``

At 32x32 the networks are the paper's (4,276,739 and 1,053,824 parameters). Every weight matrix of D is divided by its
largest singular value, found by one power iteration per pass, so D's slope is bounded and any loss can be played.

Departures: G's turn uses a batch of D's size, not twice that; samples are drawn with averaged weights
(``--train.ema_kimg 0`` for the live ones). A picture smaller than 32 pixels is halved less often.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, setting
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.conditional import BatchNorm
from sparring.nn.resnet import ResDiscriminator, ResGenerator, discriminator_widths, generator_widths
from sparring.nn.spectral import spectral
from sparring.objectives.adversarial import choose


@dataclass(frozen=True)
class Config:
    """Settings of `SNGAN`."""

    z_dim: int = setting(128, "size of the latent")
    width: int = setting(
        64, "channels of the finest block; below 64 pixels all of G has 4 and all of D 2 times as many"
    )
    loss: str = setting("hinge", "adversarial loss; any")
    d_steps: int = setting(5, "turns of D, each on fresh data, for one of G")
    dequantise: bool = setting(True, "blur the 256 levels of real pixels with uniform noise of one level")

    def __post_init__(self) -> None:
        if self.d_steps < 1:
            raise ValueError(f"d_steps must be 1 or more, got {self.d_steps}")


class SNGAN(Game):
    """Residual blocks, D of bounded slope. Paper and command: see the module."""

    config_class = Config
    not_accumulable = "BatchNorm in G: statistics are per microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        self.loss = choose(config.loss)
        self.G = ResGenerator(spec.shape, config.z_dim, generator_widths(spec.shape, config.width, 4), BatchNorm)
        self.D = spectral(ResDiscriminator(spec.shape, *discriminator_widths(spec.shape, config.width, 2)))

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.discriminator, times=self.config.d_steps), Turn("G", self.generator)]

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(self.config.z_dim))

    def judged(self, batch: Batch) -> Tensor:
        """Fresh fakes for every turn, as in the paper; played one to one, the turns share them."""
        return batch.share("G", self.fakes) if self.config.d_steps == 1 else self.fakes(batch)

    def reals(self, batch: Batch) -> Tensor:
        """Reals, their levels, 2/255 apart, blurred into one another."""
        if not self.config.dequantise:
            return batch.real
        return batch.real + (batch.uniform(*self.spec.shape) - 0.5) * (2 / 255)

    def discriminator(self, batch: Batch) -> Outcome:
        fake = self.judged(batch)
        real_logits, fake_logits = self.D(self.reals(batch)), self.D(fake)
        loss = self.loss.discriminator(real_logits, fake_logits)  # eq. 16
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def generator(self, batch: Batch) -> Outcome:
        fake = self.judged(batch)
        fake_logits = self.D(fake)
        real_logits = self.D(self.reals(batch)) if self.loss.relativistic else None
        loss = self.loss.generator(fake_logits, real_logits)  # eq. 17
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch)

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=2e-4, betas=(0.0, 0.9), schedule="linear") for name in self.players()}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        return DataSpec("image", (3, 12, 9), count=64), Config(z_dim=4, width=2, d_steps=2)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        # The paper's 50,000 steps of G are 16,000 kimg; for less data than CIFAR-10, as many passes over it.
        return {"train": {"kimg": float(min(max(round(spec.count * 0.32), 1000), 16000))}}
