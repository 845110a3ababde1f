"""Photos from label maps, which every layer is told anew (Park, Liu, Wang, Zhu 2019).

Paper: Semantic Image Synthesis with Spatially-Adaptive Normalization, arXiv 1903.07291.
Command: ``sparring train pairs/ --family spade --data.palette auto``

Normalisation washes a label map out of what a network carries; SPADE puts it back in after every one, as scales and
shifts for each place. D is two critics of patches, at full and half size, and G also matches their features.

Departures: no encoder, so one label map gives one picture; the perceptual loss is off unless ``--game.features`` names
a network whose weights you have; small pictures are doubled fewer times. Samples are drawn with averaged weights. A map
that is no palette's classes, such as a sketch, is taken as it is.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, Train, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.panels import panels
from sparring.nn.patch_discriminator import MultiScaleDiscriminator, layers_for
from sparring.nn.perceptual import FeatureNetwork, check_weights
from sparring.nn.spade import SPADEGenerator
from sparring.nn.spectral import spectral
from sparring.objectives.adversarial import choose
from sparring.objectives.critics import by_critic, over_critics
from sparring.objectives.matching import feature_matching, perceptual

REFUSED = [("wasserstein", "it needs a critic of slope 1")]


@dataclass(frozen=True)
class Config:
    """Settings of `SPADE`."""

    width: int = setting(64, "channels of G's finest block and of D's first layers")
    ups: int = setting(0, "how often G doubles the size; 0: from a map of 4 to 7 pixels, 5 times at most")
    hidden: int = setting(128, "channels between the label map and scales and shifts")
    norm: Literal["batch", "instance"] = setting("batch", "what SPADE puts the labels back into")
    critics: int = setting(2, "critics of patches, each at half the size of the one before")
    loss: str = setting("hinge", "adversarial loss; any but wasserstein")
    matching: float = setting(10.0, "weight of matching D's features")
    features: Literal["none", "squeezenet", "vgg19"] = setting(
        "none", "network whose features are compared; its weights are yours to bring"
    )
    feature_weight: float = setting(10.0, "weight of that comparison")


class SPADE(Game):
    """G draws a label map, D sees both. Paper and command: see the module."""

    config_class = Config
    gives = True
    not_accumulable = "BatchNorm in G: statistics are per microbatch"
    not_augmentable = "D compares a picture with its label map, and only one of them would change"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        side = min(spec.shape[1:])
        ups = config.ups or max(1, min(5, int(math.log2(side / 4))))
        labels, channels = spec.given[0], spec.shape[0]
        self.loss = choose(config.loss, REFUSED)
        self.features = None if config.features == "none" else FeatureNetwork(config.features)
        self.G = SPADEGenerator(labels, channels, config.width, ups, config.hidden, config.norm)
        layers = layers_for(*spec.shape[1:])
        self.D = spectral(
            MultiScaleDiscriminator(channels + labels, config.width, layers, "instance", config.critics),
            kinds=(nn.Conv2d,),
        )

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    def labels(self, batch: Batch) -> Tensor:
        """The label map, of classes 0 and 1 in a channel each."""
        assert batch.given is not None
        return (batch.given + 1) / 2 if self.spec.palette else batch.given

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(self.labels(batch))

    def discriminator(self, batch: Batch) -> Outcome:
        labels, fake = self.labels(batch), batch.share("G", self.fakes)
        of_real, of_fake = self.D(batch.real, labels), self.D(fake, labels)
        loss = over_critics(self.loss.discriminator, of_real, of_fake)
        return Outcome(loss, real_logits=by_critic(of_real), fake_logits=by_critic(of_fake), fake=fake)

    def generator(self, batch: Batch) -> Outcome:
        labels, fake = self.labels(batch), batch.share("G", self.fakes)
        made, wanted = self.D.features(fake, labels), self.D.features(batch.real, labels)
        of_fake, of_real = self.D.logits(made), self.D.logits(wanted)
        adversarial = over_critics(self.loss.generator, of_fake, of_real)
        matched = [feature_matching(a[:-1], b[:-1]) for a, b in zip(made, wanted, strict=True)]  # without the logits
        terms = {"adversarial": adversarial, "matching": torch.stack(matched).mean()}
        loss = adversarial + self.config.matching * terms["matching"]
        if self.features is not None:
            terms["features"] = perceptual(self.features, fake, batch.real)
            loss = loss + self.config.feature_weight * terms["features"]
        return Outcome(loss, terms, by_critic(of_real), by_critic(of_fake), fake)

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch)

    def show(self, batch: Batch) -> Tensor:
        assert batch.given is not None
        return panels(batch.given, self.sample(batch), batch.real)

    def optimisers(self) -> dict[str, Optim]:
        # Two time scales (Heusel et al. 2017), about the paper's 2e-4.
        return {"G": Optim(lr=1e-4, betas=(0.0, 0.9)), "D": Optim(lr=4e-4, betas=(0.0, 0.9))}

    @classmethod
    def refuse(cls, spec: DataSpec, config: Config, train: Train) -> None:
        if not spec.given or not spec.paired or spec.given[1:] != spec.shape[1:]:
            raise SparringError("spade learns from pairs of a label map and a picture of one size; this data has none")
        if config.features != "none":
            check_weights(config.features)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        return {"train": {"batch": 8, "kimg": float(min(max(spec.count // 5, 40), 1000))}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 16, 12), count=64, given=(2, 16, 12))
        return spec, Config(width=2, ups=2, hidden=4)
