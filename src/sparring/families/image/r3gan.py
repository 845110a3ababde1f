"""R3GAN, a modern baseline: a loss that provably converges, on networks without tricks (Huang et al. 2024).

Paper: The GAN is dead; long live the GAN! A Modern Baseline GAN, arXiv 2501.05441.
Command: ``sparring train photos/ --family r3gan``

Departures from the authors' code: the networks are small unless said otherwise (128 wide, one block a stage, of their
768 and two), and narrow ones learn at a higher rate; gamma, unless given, follows the pictures and the batch; G learns
from the fakes that D judged, beside the same reals; the half-life of averaged weights grows along a line instead of a
cosine; augmentation, if asked for, is DiffAugment or those of ADA's changes that need no interpolation; penalties, and
so D's whole turn, run in float32.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, Train, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.schedule import burn_in
from sparring.core.spec import DataSpec
from sparring.nn.perceptron import PointDiscriminator, PointGenerator
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
    gamma: float = setting(0.0, "strength of R1 and of R2 at first; 0: what suits batches of 64")
    burn_in_kimg: float = setting(200.0, "kimg over which gamma falls to a tenth, and the rates to their end")
    conditional: bool = setting(False, "make pictures by class; needs labels")

    def __post_init__(self) -> None:
        if self.gamma < 0 or self.burn_in_kimg < 0:
            raise ValueError("gamma and burn_in_kimg cannot be negative")


class R3GAN(Game):
    """A relativistic pairing loss with both zero-centred gradient penalties. Paper and command: see the module."""

    modalities = ("image", "points")
    config_class = Config
    plays = "relativistic_pairing"
    fitted = True

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if config.conditional and len(spec.classes) < 2:
            raise SparringError("game.conditional needs data with at least two classes, and this data has none")
        self.gamma = config.gamma or gamma_for(spec, 64)
        if spec.modality == "points":
            self.G: nn.Module = PointGenerator(spec.shape, config.z_dim, config.width)
            self.D: nn.Module = PointDiscriminator(spec.shape, config.width)
            return
        height, width = spec.shape[1:]
        classes = len(spec.classes) if config.conditional else 0
        widths = stage_widths(height, width, config.width)
        self.G = R3Generator(spec.shape, config.z_dim, widths, config.blocks, classes)
        self.D = R3Discriminator(spec.shape, widths, config.blocks, classes)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(self.config.z_dim), batch.labels)

    def discriminator(self, batch: Batch) -> Outcome:
        # Eq. 2 with R1 (eq. 3) and R2 (eq. 4), at every step. Each real is paired with a fake of its own class.
        fake = batch.share("G", self.fakes)
        (real_logits, real_slopes), (fake_logits, fake_slopes) = self.judged(batch.real, fake, batch.labels)
        gamma = burn_in(self.gamma, self.gamma / 10, batch.nimg, self.config.burn_in_kimg)
        r1, r2 = gamma / 2 * real_slopes.mean(), gamma / 2 * fake_slopes.mean()
        terms = {"r1": r1, "r2": r2}
        return Outcome(pairing_discriminator(real_logits, fake_logits) + r1 + r2, terms, real_logits, fake_logits, fake)

    def judged(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> list[tuple[Tensor, Tensor]]:
        """Logits and squared slopes of reals, and of fakes; in one pass, for nothing in D looks across the batch."""
        if self.reference:
            return [judge(lambda x: self.D(x, labels), part) for part in (real, fake)]
        both = None if labels is None else labels.repeat(2)
        logits, slopes = judge(lambda x: self.D(x, both), torch.cat([real, fake]))
        return list(zip(logits.chunk(2), slopes.chunk(2), strict=True))

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

    @classmethod
    def conditional(cls, config: Config) -> bool:
        return config.conditional

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 12, 9), classes=("a", "b"), class_counts=(40, 24), count=64)
        return spec, Config(z_dim=4, width=8, conditional=True, burn_in_kimg=0.05)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        if spec.modality == "points":
            return {
                "train": {"kimg": 1024.0, "batch": 128, "ema_kimg": 64.0},
                "game": {"z_dim": 2, "width": 64, "burn_in_kimg": 512.0},
                "optim": {"schedule": "cosine", "end_lr": 0.0},
            }
        train = {"train": {"ema_kimg": 20.0}}
        if spec.shape[1] * spec.shape[2] <= 64 * 64:
            return train
        return {**train, "game": {"width": 256, "blocks": 2, "burn_in_kimg": 1000.0}}  # for a GPU

    @classmethod
    def narrow(cls, spec: DataSpec) -> Settings:
        return {"game": {"width": 64, "blocks": 1, "burn_in_kimg": 200.0}} if min(spec.shape[1:]) >= 64 else {}

    @classmethod
    def wide(cls, spec: DataSpec) -> Settings:
        return {"game": {"width": 256}} if min(spec.shape[1:]) <= 64 else {}

    @classmethod
    def scaled(cls, spec: DataSpec, train: Train) -> Settings:
        return {"game": {"gamma": round(gamma_for(spec, train.batch), 5)}} if spec.modality == "image" else {}


def gamma_for(spec: DataSpec, batch: int) -> float:
    """In proportion to the area and against the batch, as in StyleGAN2-ADA's code: 1 for 32x32 in batches of 64.

    Points need a D that is steep beside narrow modes, whatever the batch.
    """
    if spec.modality == "points":
        return 0.1
    return max(1.0, spec.shape[1] * spec.shape[2] / 1024) * 64 / batch
