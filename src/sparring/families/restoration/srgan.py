"""Pictures made larger, first true to the pixels, then sharp: SRResNet and SRGAN (Ledig et al. 2017).

Paper: Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network, arXiv 1609.04802.
Command: ``sparring train photos/ --family srgan``

For ``warmup_kimg`` G learns by pixels alone, which is what a high PSNR takes; then D joins, and G gives some of it up
for texture. Small pictures are made from the data by antialiased bicubic interpolation, or given in pairs.
``--data.crop 96`` deals crops of whole pictures, as the paper does; without it pictures of many sizes are all brought
to one, which changes their pixels.

Departures: G is SRResNet without BatchNorm and on top of bicubic interpolation, as its successors have it (Lim et al.
2017), and D is normalised spectrally; ``--game.network paper --game.discriminator_norm batch`` is the paper's, and
``--game.network rrdb --game.loss relativistic_average`` ESRGAN (Wang et al. 2018, arXiv 1809.00219). L1 in place of
squares (``--game.pixels l2``). The perceptual loss is off unless ``--game.features`` names a network whose weights
you have: then ``--game.pixel_weight 0.01``, as in ESRGAN. Samples are drawn with averaged weights.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, Train, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.panels import panels
from sparring.nn.perceptual import FeatureNetwork, check_weights
from sparring.nn.resample import shrink
from sparring.nn.spectral import spectral
from sparring.nn.super_resolution import NETWORKS, VGGDiscriminator
from sparring.objectives.adversarial import choose
from sparring.objectives.matching import PIXELS, perceptual

REFUSED = [("wasserstein", "it needs a critic of slope 1")]


@dataclass(frozen=True)
class Config:
    """Settings of `SRGAN`."""

    scale: int = setting(4, "how many times larger, in pixels a side: 2, 3, 4 or 8; pairs say it themselves")
    network: Literal["srresnet", "paper", "rrdb"] = setting(
        "srresnet", "G: residual blocks, the same with BatchNorm, or ESRGAN's dense ones"
    )
    width: int = setting(64, "channels of G, and of the first layer of D")
    blocks: int = setting(16, "blocks of G; ESRGAN has 23 of its kind")
    discriminator_norm: Literal["spectral", "batch"] = setting("spectral", "normalisation in D; the paper has batch")
    warmup_kimg: float = setting(0.0, "kimg by pixels alone, before D joins; unless said, half of the run")
    pixels: Literal["l1", "l2", "charbonnier"] = setting("l1", "distance to the true picture; the paper has l2")
    pixel_weight: float = setting(1.0, "its weight once D has joined")
    features: Literal["none", "squeezenet", "vgg19"] = setting(
        "none", "network whose features are compared; its weights are yours to bring"
    )
    feature_weight: float = setting(1.0, "weight of that comparison")
    loss: str = setting("non_saturating", "adversarial loss; any but wasserstein")
    adversarial: float = setting(5e-3, "weight of the adversarial loss; 0: none, D idle")


class SRGAN(Game):
    """G enlarges, D compares with pictures that were large. Paper and command: see the module."""

    config_class = Config
    gives = True
    not_accumulable = "BatchNorm, where asked for: statistics are per microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        self.scale = spec.shape[1] // spec.given[1] if spec.given else config.scale
        self.loss = choose(config.loss, REFUSED)
        self.pixels = PIXELS[config.pixels]
        self.features = None if config.features == "none" else FeatureNetwork(config.features)
        self.G = NETWORKS[config.network](spec.shape[0], config.width, config.blocks, self.scale)
        batch_norm = config.discriminator_norm == "batch"
        D = VGGDiscriminator(spec.shape, config.width, batch_norm)
        self.D = D if batch_norm else spectral(D)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        if nimg < self.config.warmup_kimg * 1000:
            return [Turn("G", self.warmup)]
        if self.config.adversarial == 0:
            return [Turn("G", self.generator)]
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    def give(self, batch: Batch) -> Tensor | None:
        """The small picture."""
        return batch.given if self.spec.given else shrink(batch.real, self.scale, self.spec.deep)

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(self.give(batch))

    def warmup(self, batch: Batch) -> Outcome:
        fake = self.fakes(batch)
        return Outcome(self.pixels(fake, batch.real), fake=fake)

    def discriminator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        real_logits, fake_logits = self.D(batch.real), self.D(fake)
        loss = self.loss.discriminator(real_logits, fake_logits)
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def generator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        terms = {"pixels": self.pixels(fake, batch.real)}
        loss = self.config.pixel_weight * terms["pixels"]
        if self.features is not None:
            terms["features"] = perceptual(self.features, fake, batch.real)
            loss = loss + self.config.feature_weight * terms["features"]
        if self.config.adversarial == 0:
            return Outcome(loss, terms, fake=fake)
        fake_logits = self.D(fake)
        real_logits = self.D(batch.real) if self.loss.relativistic else None
        terms["adversarial"] = self.loss.generator(fake_logits, real_logits)
        loss = loss + self.config.adversarial * terms["adversarial"]  # eq. 3
        return Outcome(loss, terms, real_logits, fake_logits, fake)

    def sample(self, batch: Batch) -> Tensor:
        return self.G(batch.given).clamp(-1, 1)

    def show(self, batch: Batch) -> Tensor:
        assert batch.given is not None
        return panels(batch.given, self.sample(batch), batch.real)

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=2e-4, betas=(0.9, 0.99)) for name in self.players()}

    @classmethod
    def refuse(cls, spec: DataSpec, config: Config, train: Train) -> None:
        refuse_shapes(spec, config.scale)
        if config.features != "none":
            if spec.shape[0] not in (1, 3):
                raise SparringError("game.features are of grey or RGB pictures; leave it at none for these")
            check_weights(config.features)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        return {"train": {"batch": 16}}

    @classmethod
    def scaled(cls, spec: DataSpec, train: Train) -> Settings:
        return {"game": {"warmup_kimg": train.kimg / 2}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        return DataSpec("image", (3, 12, 16), count=64), Config(width=4, blocks=2)


def refuse_shapes(spec: DataSpec, scale: int) -> None:
    """Raise `SparringError` where pictures cannot be made from pictures ``scale`` times smaller."""
    _, height, width = spec.shape
    if spec.given and (spec.given[1] * width != spec.given[2] * height or height % spec.given[1] or not spec.paired):
        raise SparringError("pairs for super-resolution are a picture and the same a whole number of times smaller")
    if not spec.given and (height % scale or width % scale):
        even = f"{max(height // scale, 1) * scale}x{max(width // scale, 1) * scale}"
        raise SparringError(
            f"{height}x{width} pixels cannot be {scale} times something smaller; say --data.size {even}"
        )
