"""Deep convolutional GAN, for any picture of 8 pixels or more a side (Radford, Metz, Chintala 2015).

Paper: Unsupervised Representation Learning with Deep Convolutional GANs, arXiv 1511.06434.
Command: ``sparring train photos/ --family dcgan``

Departures from the paper, each undone by a setting: D carries no BatchNorm but a lazy R1 penalty (Mescheder et al.
2018; every 16 steps as in Karras et al. 2020), because BatchNorm lets D tell batches apart instead of pictures;
``--game.discriminator_norm batch --game.r1_gamma 0`` is the paper's D. Samples are drawn with averaged weights
(``--train.ema_kimg 0`` for the live ones). With labels, ``--game.conditional`` embeds the class beside z in G and
scores it by projection in D (Miyato and Koyama 2018).
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.objectives.adversarial import LOSSES
from sparring.objectives.penalties import r1


@dataclass(frozen=True)
class Config:
    """Settings of `DCGAN`."""

    z_dim: int = setting(100, "size of the latent")
    width: int = setting(64, "channels of the finest hidden layer; doubled with each coarser one")
    loss: Literal["non_saturating", "minimax"] = setting("non_saturating", "adversarial loss")
    r1_gamma: float = setting(0.5, "strength of the R1 penalty, gamma/2 ||grad D(x)||^2; 0: none")
    r1_every: int = setting(16, "steps from one R1 turn to the next; each counts so many times")
    discriminator_norm: Literal["none", "batch"] = setting("none", "normalisation in D; the paper has batch")
    conditional: bool = setting(False, "make pictures by class; needs labels")
    embed_dim: int = setting(16, "size of a class embedding in G")


class DCGAN(Game):
    """Strided convolutions all the way down and up. Paper and command: see the module."""

    config_class = Config
    not_accumulable = "BatchNorm in G: statistics are per microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if config.conditional and len(spec.classes) < 2:
            raise SparringError("game.conditional needs data with at least two classes, and this data has none")
        classes = len(spec.classes) if config.conditional else 0
        self.loss = LOSSES[config.loss]
        self.G = Generator(spec.shape, config, classes)
        self.D = Discriminator(spec.shape, config, classes)

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
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def penalty(self, batch: Batch) -> Outcome:
        # Lazy regularisation: played every r1_every steps, so many times as strong (Karras et al. 2020, sec. 3.1).
        value = r1(lambda x: self.D(x, batch.labels), batch.real, self.config.r1_gamma)
        return Outcome(self.config.r1_every * value, terms={"r1": value})

    def generator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        fake_logits = self.D(fake, batch.labels)
        return Outcome(self.loss.generator(fake_logits), fake_logits=fake_logits, fake=fake)

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
        return {}


def stages(height: int, width: int) -> int:
    """How often a picture is halved: until its shorter side is 4 to 7, but twice at least, or D would be shallow."""
    return max(2, int(math.log2(min(height, width) / 4)))


class Generator(nn.Module):
    """z (and a class) to a picture: a linear layer to the coarsest grid, then 4x4 transposed convolutions."""

    def __init__(self, shape: tuple[int, ...], config: Config, classes: int):
        super().__init__()
        channels, self.height, self.width = shape
        depth = stages(self.height, self.width)
        grid = (math.ceil(self.height / 2**depth), math.ceil(self.width / 2**depth))
        widths = [config.width * 2**level for level in reversed(range(depth))]
        self.embed = nn.Embedding(classes, config.embed_dim) if classes else None
        layers: list[nn.Module] = [
            # On a 1x1 latent the paper's first 4x4 transposed convolution is this linear layer.
            nn.Linear(config.z_dim + (config.embed_dim if classes else 0), widths[0] * grid[0] * grid[1], bias=False),
            nn.Unflatten(1, (widths[0], *grid)),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for before, after in pairwise(widths):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(initialise)

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        if self.embed is not None:
            z = torch.cat([z, self.embed(labels)], dim=1)
        image: Tensor = self.layers(z)
        top, left = (image.shape[2] - self.height) // 2, (image.shape[3] - self.width) // 2
        return image[:, :, top : top + self.height, left : left + self.width]


class Discriminator(nn.Module):
    """A picture (and a class) to one logit: 4x4 convolutions of stride 2, then one over the whole grid."""

    def __init__(self, shape: tuple[int, ...], config: Config, classes: int):
        super().__init__()
        channels, height, width = shape
        depth = stages(height, width)
        widths = [config.width * 2**level for level in range(depth)]
        layers: list[nn.Module] = []
        for level, (before, after) in enumerate(pairwise([channels, *widths])):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False)]
            layers += [nn.BatchNorm2d(after)] if config.discriminator_norm == "batch" and level > 0 else []
            layers += [nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        grid = (height // 2**depth, width // 2**depth)
        self.head = nn.Conv2d(widths[-1], 1, grid, bias=False)
        # Projection: f(x, y) = psi(phi(x)) + <embed(y), phi(x)>, phi summed over the grid.
        self.embed = nn.Embedding(classes, widths[-1]) if classes else None
        if config.discriminator_norm == "batch":
            self.apply(initialise)
        else:  # nothing rescales what 0.02 would shrink with every layer: keep each layer's variance (He et al. 2015)
            for layer in self.layers:
                if isinstance(layer, nn.Conv2d):
                    nn.init.kaiming_normal_(layer.weight, 0.2)

    def forward(self, image: Tensor, labels: Tensor | None) -> Tensor:
        features = self.layers(image)
        logits: Tensor = self.head(features).flatten(1)
        if self.embed is not None:
            logits = logits + (features.sum((2, 3)) * self.embed(labels)).sum(1, keepdim=True)
        return logits


def initialise(module: nn.Module) -> None:
    """Convolutions and the linear layer N(0, 0.02), BatchNorm's scale N(1, 0.02) (the paper's sec. 4)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
