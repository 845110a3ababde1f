"""R3GAN, a modern baseline: a loss that provably converges, on networks without tricks (Huang et al. 2024).

Paper: The GAN is dead; long live the GAN! A Modern Baseline GAN, arXiv 2501.05441.
Command: ``sparring train photos/ --family r3gan``

Departures from the authors' code: the networks are small unless said otherwise (128 wide, one block a stage, of their
768 and two), and narrow ones learn at a higher rate; gamma, unless given, follows the size of the pictures; G learns
from the fakes that D judged, beside the same reals; the half-life of averaged weights grows along a line instead of a
cosine; augmentation, if asked for, is DiffAugment or those of ADA's changes that need no interpolation; penalties, and
so D's whole turn, run in float32.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.observer import Controller
from sparring.core.schedule import burn_in
from sparring.core.spec import DataSpec
from sparring.nn.adaptive import ScheduledProbability
from sparring.nn.augment import adapts, augment_terms, augmented
from sparring.nn.r3gan import R3Discriminator, R3Generator, stage_widths
from sparring.objectives.adversarial import pairing_discriminator, pairing_generator
from sparring.objectives.penalties import judge

PAPER_WIDTH = 768


@dataclass(frozen=True)
class Config:
    """Settings of `R3GAN`."""

    z_dim: int = setting(64, "size of the latent, and of a class embedding beside it")
    width: int = setting(128, "channels up to 32 pixels or so, halved with each finer stage; the paper has 768")
    blocks: int = setting(1, "residual blocks in each stage; the paper has 2")
    gamma: float = setting(0.0, "strength of R1 and of R2 at first; 0: height * width / 1024, but 1 at least")
    burn_in_kimg: float = setting(200.0, "kimg over which gamma falls to a tenth, and the rates to their end")
    conditional: bool = setting(False, "make pictures by class; needs labels")
    augment: str = setting("none", "what D sees changed: none, diff, ada, or some changes, diff:color,translation")
    augment_p: float = setting(0.3, "probability of each change of ada after the burn-in, 0 at first")

    def __post_init__(self) -> None:
        if self.gamma < 0 or self.burn_in_kimg < 0:
            raise ValueError("gamma and burn_in_kimg cannot be negative")
        if not 0 <= self.augment_p < 1:
            raise ValueError(f"augment_p is at least 0 and below 1, got {self.augment_p}")


class R3GAN(Game):
    """A relativistic pairing loss with both zero-centred gradient penalties. Paper and command: see the module."""

    config_class = Config

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if config.conditional and len(spec.classes) < 2:
            raise SparringError("game.conditional needs data with at least two classes, and this data has none")
        height, width = spec.shape[1:]
        classes = len(spec.classes) if config.conditional else 0
        widths = stage_widths(height, width, config.width)
        # In proportion to the area, as in StyleGAN2-ADA's code; the usual batch of 64 is in the number.
        self.gamma = config.gamma or max(1.0, height * width / 1024)
        self.G = R3Generator(spec.shape, config.z_dim, widths, config.blocks, classes)
        self.D = augmented(R3Discriminator(spec.shape, widths, config.blocks, classes), config.augment)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(self.config.z_dim), batch.labels)

    def discriminator(self, batch: Batch) -> Outcome:
        # Eq. 2 with R1 (eq. 3) and R2 (eq. 4), at every step. Each real is paired with a fake of its own class.
        fake = batch.share("G", self.fakes)
        real_logits, real_slopes = judge(lambda x: self.D(x, batch.labels), batch.real)
        fake_logits, fake_slopes = judge(lambda x: self.D(x, batch.labels), fake)
        gamma = burn_in(self.gamma, self.gamma / 10, batch.nimg, self.config.burn_in_kimg)
        r1, r2 = gamma / 2 * real_slopes.mean(), gamma / 2 * fake_slopes.mean()
        terms = {"r1": r1, "r2": r2, **augment_terms(self.D)}
        return Outcome(pairing_discriminator(real_logits, fake_logits) + r1 + r2, terms, real_logits, fake_logits, fake)

    def generator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        real_logits, fake_logits = self.D(batch.real, batch.labels), self.D(fake, batch.labels)
        return Outcome(pairing_generator(fake_logits, real_logits), {}, real_logits, fake_logits, fake)

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch).clamp(-1, 1)

    def optimisers(self) -> dict[str, Optim]:
        # Adam moves every weight by the rate; where fewer meet, weights are larger, and need a higher one.
        lr = 2e-4 * min(max(PAPER_WIDTH / self.config.width, 1.0), 10.0)
        rates = Optim(lr=lr, betas=(0.0, 0.9), end_lr=lr / 4, end_beta2=0.99, burn_in_kimg=self.config.burn_in_kimg)
        return dict.fromkeys(self.players(), rates)

    def controllers(self) -> list[Controller]:
        # ADA's own rule asks how sure D is of a real by itself, which D never learns under a relativistic loss.
        return [ScheduledProbability(self.config.augment_p, self.config.burn_in_kimg)] if adapts(self.D) else []

    @classmethod
    def conditional(cls, config: Config) -> bool:
        return config.conditional

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 12, 9), classes=("a", "b"), class_counts=(40, 24), count=64)
        return spec, Config(z_dim=4, width=8, conditional=True, burn_in_kimg=0.05)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        train = {"train": {"ema_kimg": 20.0}}
        if spec.shape[1] * spec.shape[2] <= 64 * 64:
            return train
        return {**train, "game": {"width": 256, "blocks": 2, "burn_in_kimg": 1000.0}}  # for a GPU
