"""GAN with an auxiliary classifier: D names the class, G is paid for being recognised (Odena, Olah, Shlens 2017).

Paper: Conditional Image Synthesis with Auxiliary Classifier GANs, arXiv 1610.09585.
Command: ``sparring train mnist --family acgan``

Two departures are against what the paper's objective is known to do, trade variety within a class for pictures that
are easy to classify. D's classifier learns from reals alone (as in the code of Gulrajani et al. 2017), so that G and D
cannot agree on prototypes; and it weighs less in G than the adversarial loss does. The paper's objective is
``--game.class_weight_fakes 1 --game.class_weight_generator 1``.

Others: the networks are DCGAN's for any picture of 8 pixels or more a side, without dropout; D carries a lazy R1
penalty in place of BatchNorm, as in `dcgan`; samples are drawn with averaged weights.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.dcgan import DCGenerator, DCTrunk, initialise
from sparring.objectives.adversarial import choose
from sparring.objectives.classes import auxiliary_classifier
from sparring.objectives.penalties import r1

REFUSED = [("wasserstein", "it needs a critic of bounded slope; --family wgan has one")]


@dataclass(frozen=True)
class Config:
    """Settings of `ACGAN`."""

    z_dim: int = setting(100, "size of the latent")
    width: int = setting(64, "channels of the finest hidden layer; doubled with each coarser one")
    embed_dim: int = setting(16, "size of a class embedding in G")
    loss: str = setting("non_saturating", "adversarial loss; any but wasserstein")
    class_weight_reals: float = setting(1.0, "weight of D's classification loss on reals")
    class_weight_fakes: float = setting(0.0, "weight of D's classification loss on fakes; the paper has 1")
    class_weight_generator: float = setting(0.5, "weight of the classification loss in G; the paper has 1")
    discriminator_norm: Literal["none", "batch"] = setting("none", "normalisation in D; the paper has batch")
    r1_gamma: float = setting(0.5, "strength of the R1 penalty, gamma/2 ||grad D(x)||^2; 0: none")
    r1_every: int = setting(16, "steps from one R1 turn to the next; each counts so many times")


class ACGAN(Game):
    """D has two answers: real or fake, and which class. Paper and command: see the module."""

    config_class = Config
    not_accumulable = "BatchNorm in G: statistics are per microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if len(spec.classes) < 2:
            raise SparringError("family 'acgan' needs data with at least two classes; --family dcgan does without")
        classes = len(spec.classes)
        self.loss = choose(config.loss, REFUSED)
        self.G = DCGenerator(spec.shape, config.z_dim, config.width, classes, config.embed_dim)
        self.D = Discriminator(spec.shape, config.width, config.discriminator_norm, classes)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        main = [Turn("D", self.discriminator), Turn("G", self.generator)]
        if self.config.r1_gamma > 0:
            main.insert(1, Turn("D", self.penalty, every=self.config.r1_every))
        return main

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(self.config.z_dim), batch.labels)

    # D maximises L_S + L_C, G maximises L_C - L_S: how well D tells the source (L_S, eq. 1) and the class (L_C, eq. 2).

    def discriminator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        (real_logits, real_classes), (fake_logits, fake_classes) = self.D(batch.real), self.D(fake)
        source = self.loss.discriminator(real_logits, fake_logits)
        on_reals = auxiliary_classifier(real_classes, batch.labels)
        on_fakes = auxiliary_classifier(fake_classes, batch.labels)
        loss = source + self.config.class_weight_reals * on_reals + self.config.class_weight_fakes * on_fakes
        terms = {"source": source, "class_reals": on_reals, "class_fakes": on_fakes}
        return Outcome(loss, terms, real_logits, fake_logits, fake)

    def penalty(self, batch: Batch) -> Outcome:
        value = r1(lambda x: self.D(x)[0], batch.real, self.config.r1_gamma)
        return Outcome(self.config.r1_every * value, terms={"r1": value})

    def generator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        fake_logits, fake_classes = self.D(fake)
        real_logits = self.D(batch.real)[0] if self.loss.relativistic else None
        source = self.loss.generator(fake_logits, real_logits)
        on_fakes = auxiliary_classifier(fake_classes, batch.labels)
        loss = source + self.config.class_weight_generator * on_fakes
        return Outcome(loss, {"source": source, "class_fakes": on_fakes}, real_logits, fake_logits, fake)

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch)

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=2e-4, betas=(0.5, 0.999)) for name in self.players()}

    @classmethod
    def conditional(cls, config: Config) -> bool:
        return True

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        if min(spec.shape[1:]) > 32:
            return {}
        # A size that a CPU trains in minutes; smaller batches and longer steps than DCGAN's get there sooner.
        return {"game": {"width": 32}, "train": {"batch": 32}, "optim": {"lr": 5e-4}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 12, 9), classes=("a", "b", "c"), class_counts=(30, 20, 14), count=64)
        return spec, Config(z_dim=4, width=4, class_weight_fakes=0.5, r1_every=2)


class Discriminator(nn.Module):
    """A picture to a logit ``(n, 1)`` for its source and logits ``(n, classes)`` for its class, from one trunk."""

    def __init__(self, shape: tuple[int, ...], width: int, norm: Literal["none", "batch"], classes: int):
        super().__init__()
        self.trunk = DCTrunk(shape, width, norm)
        self.source = nn.Conv2d(self.trunk.features, 1, self.trunk.grid)
        self.classes = nn.Conv2d(self.trunk.features, classes, self.trunk.grid)
        for head in (self.source, self.classes):
            initialise(head)  # small: at first one class is as likely as another

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(image)
        return self.source(features).flatten(1), self.classes(features).flatten(1)
