"""Deep convolutional GAN, for any picture of 8 pixels or more a side (Radford, Metz, Chintala 2015).

Paper: Unsupervised Representation Learning with Deep Convolutional GANs, arXiv 1511.06434.
Command: ``sparring train photos/ --family dcgan``

Departures from the paper, each undone by a setting: D carries no BatchNorm but a lazy R1 penalty (Mescheder et al.
2018; every 16 steps as in Karras et al. 2020), because BatchNorm lets D tell batches apart instead of pictures;
``--game.discriminator_norm batch --game.r1_gamma 0`` is the paper's D. Samples are drawn with averaged weights
(``--train.ema_kimg 0`` for the live ones). With labels, ``--game.conditional`` embeds the class beside z in G and
scores it by projection in D (Miyato and Koyama 2018). For few pictures there are, off unless said, DRAGAN's penalty
(Kodali et al. 2017, arXiv 1705.07215) and balanced consistency (Zhao et al. 2020, arXiv 2002.04724; of its changes the
shift alone, by up to an eighth of a side).
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.augment import diff_translation
from sparring.nn.dcgan import DCDiscriminator, DCGenerator
from sparring.nn.perceptron import PointDiscriminator, PointGenerator
from sparring.nn.together import judge_together
from sparring.objectives.adversarial import choose
from sparring.objectives.penalties import consistency, dragan, r1

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
    dragan: float = setting(0.0, "weight of DRAGAN's penalty on D's slope near reals; the paper has 10; 0: none")
    consistency: float = setting(0.0, "weight of D's change when pictures are shifted (bCR); the paper has 10; 0: none")


class DCGAN(Game):
    """Strided convolutions all the way down and up. Paper and command: see the module."""

    modalities = ("image", "points")
    config_class = Config
    fitted = True
    not_accumulable = "BatchNorm in G: statistics are per microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if config.conditional and len(spec.classes) < 2:
            raise SparringError("game.conditional needs data with at least two classes, and this data has none")
        classes = len(spec.classes) if config.conditional else 0
        self.loss = choose(config.loss, REFUSED)
        if spec.modality == "points":
            if config.consistency > 0:
                raise SparringError("game.consistency shifts pictures, and these are points; leave it out")
            self.G: nn.Module = PointGenerator(spec.shape, config.z_dim, config.width)
            self.D: nn.Module = PointDiscriminator(spec.shape, config.width)
            return
        self.G = DCGenerator(spec.shape, config.z_dim, config.width, classes, config.embed_dim)
        self.D = DCDiscriminator(spec.shape, config.width, config.discriminator_norm, classes)

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
        real_logits, fake_logits = judge_together(self.D, [batch.real, fake], batch.labels, apart=self.reference)
        loss, terms = self.loss.discriminator(real_logits, fake_logits), {}
        if self.config.dragan > 0:
            noise, mix = batch.uniform(*self.spec.shape), batch.uniform(*[1] * len(self.spec.shape))
            terms["dragan"] = dragan(lambda x: self.D(x, batch.labels), batch.real, noise, mix, self.config.dragan)
        if self.config.consistency > 0:  # of reals and of fakes; in D's turn only
            pairs = ((real_logits, batch.real), (fake_logits, fake))
            off = [consistency(logits, self.D(diff_translation(x), batch.labels)) for logits, x in pairs]
            terms["consistency"] = self.config.consistency * (off[0] + off[1])
        return Outcome(sum(terms.values(), loss), terms, real_logits, fake_logits, fake)

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

    @classmethod
    def conditional(cls, config: Config) -> bool:
        return config.conditional

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 12, 9), classes=("a", "b"), class_counts=(40, 24), count=64)
        return spec, Config(z_dim=4, width=4, conditional=True, r1_every=2)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        if spec.modality == "points":
            return {
                "train": {"kimg": 4096.0, "batch": 128, "ema_kimg": 64.0},
                "game": {"z_dim": 2, "width": 64, "r1_gamma": 0.2, "r1_every": 4},
                "optim": {"lr": 2e-3, "betas": (0.0, 0.99), "schedule": "cosine"},
            }
        # Weights of narrow networks are larger, and Adam moves each by the rate: they stand, and need, a higher one.
        return {"game": {"width": 32}, "optim": {"lr": 5e-4}} if min(spec.shape[1:]) < 16 else {}

    @classmethod
    def narrow(cls, spec: DataSpec) -> Settings:
        return {"game": {"width": 32}} if min(spec.shape[1:]) >= 64 else {}
