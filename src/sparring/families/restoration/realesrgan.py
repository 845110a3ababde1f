"""Photographs of unknown history made larger and clean: Real-ESRGAN (Wang, Xie, Dong, Shan 2021).

Paper: Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data, arXiv 2107.10833.
Command: ``sparring train photos/ --family realesrgan``

Small pictures are made from the data by blur, resizing, noise and JPEG, twice over, drawn anew each time: what undoes
all of that undoes what real photographs went through. For ``warmup_kimg`` G learns by pixels alone; then a U-Net with
spectral normalisation joins as D and judges every pixel.

Departures: damage is drawn for each picture apart, so no pool of pairs is needed; shot noise is Gaussian noise of the
same variance; targets are not sharpened; the perceptual loss is off unless ``--game.features`` names a network whose
weights you have. G begins with bicubic interpolation. Samples are drawn with averaged weights.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, Train, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.degrade import NUMBERS, degrade
from sparring.nn.panels import panels
from sparring.nn.perceptual import FeatureNetwork, check_weights
from sparring.nn.spectral import spectral
from sparring.nn.super_resolution import NETWORKS, UNetDiscriminator
from sparring.objectives.adversarial import choose
from sparring.objectives.matching import l1, perceptual

REFUSED = [("wasserstein", "it needs a critic of slope 1")]


@dataclass(frozen=True)
class Config:
    """Settings of `RealESRGAN`."""

    scale: int = setting(4, "how many times larger, in pixels a side: 2, 3, 4 or 8")
    network: Literal["rrdb", "srresnet"] = setting("rrdb", "G: ESRGAN's dense blocks, or plain residual ones")
    width: int = setting(64, "channels of G and of D's first layer")
    blocks: int = setting(23, "blocks of G")
    strength: float = setting(1.0, "of the damage, 1 is the paper's; less for pictures that are not so bad")
    warmup_kimg: float = setting(0.0, "kimg by pixels alone, before D joins; unless said, half of the run")
    pixel_weight: float = setting(1.0, "weight of the distance to the true picture")
    features: Literal["none", "squeezenet", "vgg19"] = setting(
        "none", "network whose features are compared; its weights are yours to bring"
    )
    feature_weight: float = setting(1.0, "weight of that comparison")
    loss: str = setting("non_saturating", "adversarial loss; any but wasserstein")
    adversarial: float = setting(0.1, "weight of the adversarial loss")

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength is a share from 0 to 1, got {self.strength}")


class RealESRGAN(Game):
    """G restores, D looks at every pixel. Paper and command: see the module."""

    config_class = Config
    gives = True

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        self.scale = config.scale
        self.loss = choose(config.loss, REFUSED)
        self.features = None if config.features == "none" else FeatureNetwork(config.features)
        self.G = NETWORKS[config.network](spec.shape[0], config.width, config.blocks, config.scale)
        self.D = UNetDiscriminator(spec.shape[0], config.width)
        spectral(self.D.inner)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        if nimg < self.config.warmup_kimg * 1000:
            return [Turn("G", self.warmup)]
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    @torch.no_grad()
    def give(self, batch: Batch) -> Tensor:
        """The small picture and all that it went through."""
        channels, height, width = batch.real.shape[1:]
        noise = batch.noise(2 * channels, height, width)
        return degrade(batch.real, batch.uniform(NUMBERS), noise, self.scale, self.config.strength)

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(self.give(batch))

    def warmup(self, batch: Batch) -> Outcome:
        fake = self.fakes(batch)
        return Outcome(l1(fake, batch.real), fake=fake)

    def discriminator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        real_logits, fake_logits = self.D(batch.real), self.D(fake)
        loss = self.loss.discriminator(real_logits, fake_logits)
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def generator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        fake_logits = self.D(fake)
        real_logits = self.D(batch.real) if self.loss.relativistic else None
        terms = {"pixels": l1(fake, batch.real), "adversarial": self.loss.generator(fake_logits, real_logits)}
        loss = self.config.pixel_weight * terms["pixels"] + self.config.adversarial * terms["adversarial"]
        if self.features is not None:
            terms["features"] = perceptual(self.features, fake, batch.real)
            loss = loss + self.config.feature_weight * terms["features"]
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
        channels, height, width = spec.shape
        if channels not in (1, 3):
            raise SparringError(f"realesrgan is for grey or RGB pictures, and these have {channels} channels")
        if height % config.scale or width % config.scale or min(height, width) < 8:
            raise SparringError(
                f"{height}x{width} pixels cannot be {config.scale} times something smaller; say --data.size "
                f"{max(height // config.scale, 4) * config.scale}x{max(width // config.scale, 4) * config.scale}"
            )
        if config.features != "none":
            check_weights(config.features)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        return {"train": {"batch": 12}}

    @classmethod
    def scaled(cls, spec: DataSpec, train: Train) -> Settings:
        return {"game": {"warmup_kimg": train.kimg / 2}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        return DataSpec("image", (3, 12, 16), count=64), Config(scale=2, width=4, blocks=1)
