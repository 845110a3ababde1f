"""Deep convolutional GAN, for any picture of 8 pixels or more a side (Radford, Metz, Chintala 2015).

Paper: Unsupervised Representation Learning with Deep Convolutional GANs, arXiv 1511.06434.
Command: ``sparring train photos/ --family dcgan``

Departures from the paper, each undone by a setting: D carries no BatchNorm but a lazy R1 penalty (Mescheder et al.
2018; every 16 steps as in Karras et al. 2020), because BatchNorm lets D tell batches apart instead of pictures;
``--game.discriminator_norm batch --game.r1_gamma 0`` is the paper's D. Samples are drawn with averaged weights
(``--train.ema_kimg 0`` for the live ones). With labels, ``--game.conditional`` embeds the class beside z in G and
scores it by projection in D (Miyato and Koyama 2018).
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.observer import Controller
from sparring.core.spec import DataSpec
from sparring.nn.adaptive import AdaptiveProbability
from sparring.nn.augment import adapts, augment_terms, augmented
from sparring.nn.dcgan import DCDiscriminator, DCGenerator
from sparring.objectives.adversarial import choose
from sparring.objectives.penalties import r1

REFUSED = [("wasserstein", "it needs a critic of bounded slope; --family wgan_gp has one")]


@dataclass(frozen=True)
class Config:
    """Settings of `DCGAN`."""

    z_dim: int = setting(100, "size of the latent")
    width: int = setting(64, "channels of the finest hidden layer; doubled with each coarser one")
    loss: str = setting("non_saturating", "adversarial loss; any but wasserstein")
    r1_gamma: float = setting(0.5, "strength of the R1 penalty, gamma/2 ||grad D(x)||^2; 0: none")
    r1_every: int = setting(16, "steps from one R1 turn to the next; each counts so many times")
    discriminator_norm: Literal["none", "batch"] = setting("none", "normalisation in D; the paper has batch")
    conditional: bool = setting(False, "make pictures by class; needs labels")
    embed_dim: int = setting(16, "size of a class embedding in G")
    augment: str = setting("none", "what D sees changed: none, diff, ada, or some changes, diff:color,translation")


class DCGAN(Game):
    """Strided convolutions all the way down and up. Paper and command: see the module."""

    config_class = Config
    not_accumulable = "BatchNorm in G: statistics are per microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if config.conditional and len(spec.classes) < 2:
            raise SparringError("game.conditional needs data with at least two classes, and this data has none")
        classes = len(spec.classes) if config.conditional else 0
        self.loss = choose(config.loss, REFUSED)
        self.G = DCGenerator(spec.shape, config.z_dim, config.width, classes, config.embed_dim)
        D = DCDiscriminator(spec.shape, config.width, config.discriminator_norm, classes)
        self.D = augmented(D, config.augment)
        if adapts(self.D) and self.loss.boundary is None:
            raise SparringError(f"game.augment ada cannot tell with game.loss {config.loss} how sure D is; take diff")

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        main = [Turn("D", self.discriminator), Turn("G", self.generator)]
        if self.config.r1_gamma > 0:
            main.insert(1, Turn("D", self.penalty, every=self.config.r1_every))
        return main

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(self.config.z_dim), batch.labels)

    def discriminator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        real_logits, fake_logits = self.D(batch.real, batch.labels), self.D(fake, batch.labels)
        loss = self.loss.discriminator(real_logits, fake_logits)
        return Outcome(loss, augment_terms(self.D), real_logits, fake_logits, fake)

    def penalty(self, batch: Batch) -> Outcome:
        # Lazy regularisation: played every r1_every steps, so many times as strong (Karras et al. 2020, sec. 3.1).
        value = r1(lambda x: self.D(x, batch.labels), batch.real, self.config.r1_gamma)
        return Outcome(self.config.r1_every * value, terms={"r1": value})

    def generator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        fake_logits = self.D(fake, batch.labels)
        real_logits = self.D(batch.real, batch.labels) if self.loss.relativistic else None
        loss = self.loss.generator(fake_logits, real_logits)
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch)

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=2e-4, betas=(0.5, 0.999)) for name in self.players()}

    def controllers(self) -> list[Controller]:
        return [AdaptiveProbability("D", self.loss.boundary or 0.0)] if adapts(self.D) else []

    @classmethod
    def conditional(cls, config: Config) -> bool:
        return config.conditional

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 12, 9), classes=("a", "b"), class_counts=(40, 24), count=64)
        return spec, Config(z_dim=4, width=4, conditional=True, r1_every=2)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        # Weights of narrow networks are larger, and Adam moves each by the rate: they stand, and need, a higher one.
        return {"game": {"width": 32}, "optim": {"lr": 5e-4}} if min(spec.shape[1:]) < 16 else {}
