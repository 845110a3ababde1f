"""Photographs in the style of a painting, by a network that learnt that style (Johnson, Alahi, Fei-Fei 2016).

Paper: Perceptual Losses for Real-Time Style Transfer and Super-Resolution, arXiv 1603.08155.
Command: ``sparring train photos-and-paintings/ --family faststyle``

No GAN, but what one is compared with: G alone learns, from two losses on features of a network that is done learning.
What is in a picture is to stay, by its features at one layer; how it is painted is to be that of the paintings, by
means and deviations of features at every layer.

Departures: means and deviations of AdaIN (Huang and Belongie 2017, arXiv 1703.06868) in place of Gram matrices; the
style is that of a set, one picture of it at a time, such as the parts of one painting; no total variation. Features
are those of SqueezeNet, whose weights you have to bring; ``--game.features random`` needs none, and is coarser.
Samples are drawn with averaged weights.
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
from sparring.nn.panels import panels
from sparring.nn.perceptual import FeatureNetwork, check_weights
from sparring.nn.translator import Translator
from sparring.objectives.matching import squared, statistics_matching


@dataclass(frozen=True)
class Config:
    """Settings of `FastStyle`."""

    width: int = setting(32, "channels of G's outermost layers")
    blocks: int = setting(5, "residual blocks of G")
    features: Literal["squeezenet", "vgg19", "random"] = setting(
        "squeezenet", "network whose features are compared; its weights are yours to bring, random has none"
    )
    layer: int = setting(2, "which of its layers, counted from 0, says what is in a picture")
    content: float = setting(3.0, "weight of that")
    style: float = setting(1.0, "weight of the paintings' means and deviations")


class FastStyle(Game):
    """G plays alone. Paper and command: see the module."""

    config_class = Config
    gives = True
    not_augmentable = "there is no D"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        self.features = FeatureNetwork(config.features)
        self.G = Translator(spec.given[0], spec.shape[0], config.width, config.blocks, smooth=True)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G}

    def judges(self) -> tuple[str, ...]:
        return ()

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("G", self.painter)]

    def painter(self, batch: Batch) -> Outcome:
        assert batch.given is not None
        made = self.G(batch.given)
        with torch.no_grad():
            subject, painting = self.features(batch.given), self.features(batch.real)
        features = self.features(made)
        layer = self.config.layer
        terms = {
            "content": squared(features[layer], subject[layer]),
            "style": statistics_matching(features, painting),
        }
        loss = self.config.content * terms["content"] + self.config.style * terms["style"]
        return Outcome(loss, terms, fake=made)

    def sample(self, batch: Batch) -> Tensor:
        return self.G(batch.given)

    def show(self, batch: Batch) -> Tensor:
        """The photograph, and as a painting: there is no truth to compare with."""
        assert batch.given is not None
        return panels(batch.given, self.sample(batch))

    def optimisers(self) -> dict[str, Optim]:
        return {"G": Optim(lr=1e-3, betas=(0.9, 0.999))}

    @classmethod
    def refuse(cls, spec: DataSpec, config: Config, train: Train) -> None:
        if not spec.given or spec.given != spec.shape or spec.shape[0] not in (1, 3):
            raise SparringError(
                "faststyle learns from two sets of grey or RGB pictures of one size: photographs, such as trainA/, and "
                "paintings, such as trainB/"
            )
        check_weights(config.features)
        layers = {"squeezenet": 7, "vgg19": 5, "random": 4}[config.features]
        if not 0 <= config.layer < layers:
            raise SparringError(f"game.layer is one of the {layers} of {config.features}, 0 to {layers - 1}")

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        return {"train": {"batch": 4, "kimg": 20.0}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 16, 12), count=64, given=(3, 16, 12), paired=False)
        return spec, Config(width=2, blocks=1, features="random", layer=1)
