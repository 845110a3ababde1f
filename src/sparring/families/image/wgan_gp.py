"""Wasserstein GAN with a gradient penalty on its critic (Gulrajani et al. 2017).

Paper: Improved Training of Wasserstein GANs, arXiv 1704.00028.
Command: ``sparring train photos/ --family wgan_gp``

At 32x32 the networks are the residual ones of the authors' code (1,204,483 and 1,053,825 parameters). D is a critic: no
normalisation in it, since the penalty is a matter of each sample by itself. Minus its loss, without the penalty,
estimates the Wasserstein distance, which falls as samples get better.

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
from sparring.nn.perceptron import PointDiscriminator, PointGenerator
from sparring.nn.resnet import ResDiscriminator, ResGenerator, discriminator_widths, generator_widths
from sparring.nn.together import judge_together
from sparring.objectives import penalties
from sparring.objectives.adversarial import choose

NO_PENALTY = [("wasserstein", "without --game.gp_weight above 0 nothing bounds the critic's slope")]


@dataclass(frozen=True)
class Config:
    """Settings of `WGANGP`."""

    z_dim: int = setting(128, "size of the latent")
    width: int = setting(64, "channels of the finest block; below 64 pixels every block has twice as many")
    loss: str = setting("wasserstein", "adversarial loss; any, the penalty goes with all of them")
    gp_weight: float = setting(10.0, "weight of the penalty (||grad D|| - 1)^2 between reals and fakes")
    d_steps: int = setting(5, "turns of D, each on fresh data, for one of G")
    dequantise: bool = setting(True, "blur the 256 levels of real pixels with uniform noise of one level")

    def __post_init__(self) -> None:
        if self.d_steps < 1:
            raise ValueError(f"d_steps must be 1 or more, got {self.d_steps}")
        if self.gp_weight < 0:
            raise ValueError(f"gp_weight cannot be negative, got {self.gp_weight}")


class WGANGP(Game):
    """A critic of slope 1. Paper and command: see the module."""

    modalities = ("image", "points")
    config_class = Config
    not_accumulable = "BatchNorm in G: statistics are per microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        self.loss = choose(config.loss, [] if config.gp_weight > 0 else NO_PENALTY)
        if spec.modality == "points":
            self.G: nn.Module = PointGenerator(spec.shape, config.z_dim, config.width)
            self.D: nn.Module = PointDiscriminator(spec.shape, config.width)
            return
        self.G = ResGenerator(spec.shape, config.z_dim, generator_widths(spec.shape, config.width, 2), BatchNorm)
        widths, downs = discriminator_widths(spec.shape, config.width, 2)
        self.D = ResDiscriminator(spec.shape, widths, downs, mean=True, bias=True)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.critic, times=self.config.d_steps), Turn("G", self.generator)]

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

    def critic(self, batch: Batch) -> Outcome:
        real, fake = self.reals(batch), self.judged(batch)
        real_logits, fake_logits = judge_together(self.D, [real, fake], apart=self.reference)
        loss = self.loss.discriminator(real_logits, fake_logits)
        # Algorithm 1, lines 4 to 7: a point on the line between a real and a fake, one number per pair.
        mix = batch.uniform(*[1] * len(self.spec.shape))
        penalty = penalties.wgan_gp(self.D, real, fake, mix, self.config.gp_weight)  # eq. 3
        terms = {"penalty": penalty}
        return Outcome(loss + penalty, terms, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def generator(self, batch: Batch) -> Outcome:
        fake = self.judged(batch)
        fake_logits = self.D(fake)
        real_logits = self.D(self.reals(batch)) if self.loss.relativistic else None
        loss = self.loss.generator(fake_logits, real_logits)
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
        if spec.modality == "points":
            return {
                "train": {"kimg": 2048.0, "batch": 128, "ema_kimg": 128.0},
                "game": {"z_dim": 2, "width": 64, "gp_weight": 0.1, "d_steps": 1, "dequantise": False},
                "optim": {"lr": 2e-3, "betas": (0.0, 0.99), "schedule": "cosine"},
            }
        # The paper's 50,000 steps of G are 16,000 kimg; for less data than CIFAR-10, as many passes over it.
        return {"train": {"kimg": float(min(max(round(spec.count * 0.32), 1000), 16000))}}
