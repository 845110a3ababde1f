"""Self-attention GAN: distant parts of a picture agree; both networks spectrally normalised (Zhang et al. 2019).

Paper: Self-Attention Generative Adversarial Networks, arXiv 1805.08318.
Command: ``sparring train photos/ --family sagan``

Attention sits at 32x32, in G and in D, with keys and values max-pooled as in the authors' code. One turn of D for one
of G, but D learns four times as fast. Where the data has classes, by class as in the paper: batch norm by class in G,
projection in D.

Departures: fakes are made and judged with the labels of the reals beside them; samples are drawn with averaged weights
(``--train.ema_kimg 0`` for the live ones). Pictures below 64 pixels take the blocks of SNGAN (Miyato et al. 2018), with
attention at half their size.
"""

from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.conditional import BatchNorm, ClassBatchNorm
from sparring.nn.resnet import ResDiscriminator, ResGenerator, discriminator_widths, generator_widths
from sparring.nn.spectral import WEIGHTS, spectral
from sparring.objectives.adversarial import choose


@dataclass(frozen=True)
class Config:
    """Settings of `SAGAN`."""

    z_dim: int = setting(128, "size of the latent")
    width: int = setting(
        64, "channels of the finest block; below 64 pixels all of G has 4 and all of D 2 times as many"
    )
    loss: str = setting("hinge", "adversarial loss; any")
    attention: int = setting(32, "side of the largest map that gets self-attention; 0: none")
    conditional: bool = setting(True, "make pictures by class; needs labels")

    def __post_init__(self) -> None:
        if self.attention < 0:
            raise ValueError(f"attention is the side of a map, or 0 for none; got {self.attention}")


class SAGAN(Game):
    """Attention in both networks, at one map each. Paper and command: see the module."""

    config_class = Config
    not_accumulable = "BatchNorm in G: statistics are per microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if config.conditional and len(spec.classes) < 2:
            raise SparringError("game.conditional needs data with at least two classes, and this data has none")
        classes = len(spec.classes) if config.conditional else 0
        self.loss = choose(config.loss)
        norm = partial(ClassBatchNorm, classes=classes) if classes else BatchNorm
        widths = generator_widths(spec.shape, config.width, 4)
        # The tables of classes in G are scales and shifts, no maps: they stay as they are.
        self.G = spectral(ResGenerator(spec.shape, config.z_dim, widths, norm, config.attention), WEIGHTS)
        widths, downs = discriminator_widths(spec.shape, config.width, 2)
        self.D = spectral(ResDiscriminator(spec.shape, widths, downs, classes, config.attention))

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(self.config.z_dim), batch.labels)

    def discriminator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        real_logits, fake_logits = self.D(batch.real, batch.labels), self.D(fake, batch.labels)
        loss = self.loss.discriminator(real_logits, fake_logits)
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def generator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        fake_logits = self.D(fake, batch.labels)
        real_logits = self.D(batch.real, batch.labels) if self.loss.relativistic else None
        loss = self.loss.generator(fake_logits, real_logits)
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch)

    def optimisers(self) -> dict[str, Optim]:
        return {"G": Optim(lr=1e-4, betas=(0.0, 0.9)), "D": Optim(lr=4e-4, betas=(0.0, 0.9))}

    @classmethod
    def conditional(cls, config: Config) -> bool:
        return config.conditional

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 12, 9), classes=("a", "b"), class_counts=(40, 24), count=64)
        return spec, Config(z_dim=4, width=2)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        return {} if len(spec.classes) > 1 else {"game": {"conditional": False}}
