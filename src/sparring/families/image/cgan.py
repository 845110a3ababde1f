"""Conditional GAN whose every layer is told the class (Mirza and Osindero 2014).

Paper: Conditional Generative Adversarial Nets, arXiv 1411.1784.
Command: ``sparring train mnist --family cgan``

The networks are the class-conditional DCGAN that Radford et al. 2015 (arXiv 1511.06434) released for MNIST: the class,
one-hot, is joined to the latent and again to the input of every later layer, in G and in D, as constant planes where
the layer is a convolution. A G told once, beside z, can forget it.

Departures from that release: any picture of 8 pixels or more a side (28x28 gives its layers), tanh in place of a
sigmoid for data in [-1, 1], standard normal z in place of uniform, batches of 64 in place of 128, and samples drawn
with averaged weights (``--train.ema_kimg 0`` for the live ones).
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.dcgan import initialise, stages
from sparring.objectives.adversarial import choose
from sparring.objectives.penalties import r1

REFUSED = [("wasserstein", "it needs a critic of bounded slope; --family wgan has one")]


@dataclass(frozen=True)
class Config:
    """Settings of `CGAN`."""

    z_dim: int = setting(100, "size of the latent")
    width: int = setting(64, "channels of the finest hidden layer; doubled with each coarser one")
    hidden: int = setting(1024, "units of the fully connected layers")
    loss: str = setting("non_saturating", "adversarial loss; minimax is the paper's equation 2; any but wasserstein")
    discriminator_norm: Literal["none", "batch"] = setting("batch", "normalisation in D; none goes well with R1")
    r1_gamma: float = setting(0.0, "strength of the R1 penalty, gamma/2 ||grad D(x, y)||^2; 0: none")
    r1_every: int = setting(16, "steps from one R1 turn to the next; each counts so many times")


class CGAN(Game):
    """Told the class at every layer. Paper and command: see the module."""

    config_class = Config
    not_accumulable = "BatchNorm: statistics are per microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if len(spec.classes) < 2:
            raise SparringError("family 'cgan' needs data with at least two classes; --family dcgan does without")
        classes = len(spec.classes)
        self.loss = choose(config.loss, REFUSED)
        self.G = Generator(spec.shape, classes, config)
        self.D = Discriminator(spec.shape, classes, config)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        main = [Turn("D", self.discriminator), Turn("G", self.generator)]
        if self.config.r1_gamma > 0:
            main.insert(1, Turn("D", self.penalty, every=self.config.r1_every))
        return main

    # Equation 2: min_G max_D E log D(x|y) + E log(1 - D(G(z|y)|y)). Fakes are made and judged with the classes of the
    # reals beside them: were y drawn otherwise, D could win on how often a class comes.

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(self.config.z_dim), batch.labels)

    def discriminator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        real_logits, fake_logits = self.D(batch.real, batch.labels), self.D(fake, batch.labels)
        loss = self.loss.discriminator(real_logits, fake_logits)
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def penalty(self, batch: Batch) -> Outcome:
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
        return {name: Optim(lr=2e-4, betas=(0.5, 0.999), weight_decay=2.5e-5) for name in self.players()}

    @classmethod
    def conditional(cls, config: Config) -> bool:
        return True

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        if min(spec.shape[1:]) > 32:
            return {}
        # A size that a CPU trains in minutes; smaller batches and longer steps than the release's get there sooner.
        return {"game": {"width": 32, "hidden": 256}, "train": {"batch": 32}, "optim": {"lr": 5e-4}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 12, 9), classes=("a", "b", "c"), class_counts=(30, 20, 14), count=64)
        return spec, Config(z_dim=4, width=4, hidden=8, r1_gamma=0.1, r1_every=2)


def join(x: Tensor, y: Tensor) -> Tensor:
    """``x`` ``(n, c)`` or ``(n, c, h, w)`` with the one-hot classes ``y`` ``(n, k)`` behind its channels."""
    return torch.cat([x, y if x.ndim == 2 else y[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)


class Generator(nn.Module):
    """z and y to a picture: two linear layers, then 5x5 transposed convolutions, each given y anew.

    Args:
        shape: of a picture, ``(channels, height, width)``. A side that is no multiple of the grid is cut to size.
        classes: how many there are.
        config: z_dim, width and hidden matter here.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, config: Config):
        super().__init__()
        channels, self.height, self.width = shape
        self.classes = classes
        depth = stages(self.height, self.width)
        grid = (math.ceil(self.height / 2**depth), math.ceil(self.width / 2**depth))
        widths = [config.width * 2**level for level in reversed(range(depth))]
        units = widths[0] * grid[0] * grid[1]
        layers: list[nn.Module] = [
            nn.Sequential(nn.Linear(config.z_dim + classes, config.hidden, bias=False), nn.BatchNorm1d(config.hidden)),
            nn.Sequential(
                nn.Linear(config.hidden + classes, units, bias=False),
                nn.BatchNorm1d(units),
                nn.Unflatten(1, (widths[0], *grid)),
            ),
        ]
        for before, after in pairwise(widths):
            layers.append(nn.Sequential(_up(before + classes, after), nn.BatchNorm2d(after)))
        self.layers = nn.ModuleList(layers)
        self.last = _up(widths[-1] + classes, channels)
        self.apply(initialise)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """``(n, z_dim)`` and int64 ``(n,)`` to ``(n, *shape)`` in [-1, 1]."""
        y = one_hot(labels, self.classes).to(z.dtype)
        for layer in self.layers:
            z = layer(join(z, y)).relu()
        image: Tensor = self.last(join(z, y)).tanh()
        top, left = (image.shape[2] - self.height) // 2, (image.shape[3] - self.width) // 2
        return image[:, :, top : top + self.height, left : left + self.width]


def _up(before: int, after: int) -> nn.Module:
    return nn.ConvTranspose2d(before, after, 5, 2, 2, output_padding=1, bias=False)


class Discriminator(nn.Module):
    """x and y to one logit: 5x5 convolutions of stride 2, then two linear layers, each given y anew.

    Args:
        shape: of a picture, ``(channels, height, width)``.
        classes: how many there are.
        config: width, hidden and discriminator_norm matter here.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, config: Config):
        super().__init__()
        channels, height, width = shape
        self.classes = classes
        depth, batch_norm = stages(height, width), config.discriminator_norm == "batch"
        grid = math.ceil(height / 2**depth) * math.ceil(width / 2**depth)
        widths = [channels, *(config.width * 2**level for level in range(depth))]
        convolutions = []
        for level, (before, after) in enumerate(pairwise(widths)):
            normed = batch_norm and level > 0
            layer = nn.Conv2d(before + classes, after, 5, 2, 2, bias=not normed)
            convolutions.append(nn.Sequential(layer, nn.BatchNorm2d(after) if normed else nn.Identity()))
        self.convolutions = nn.ModuleList(convolutions)
        self.hidden = nn.Sequential(
            nn.Linear(widths[-1] * grid + classes, config.hidden, bias=not batch_norm),
            nn.BatchNorm1d(config.hidden) if batch_norm else nn.Identity(),
        )
        self.last = nn.Linear(config.hidden + classes, 1)
        if batch_norm:
            self.apply(initialise)
        else:  # nothing rescales what 0.02 would shrink with every layer: keep each layer's variance (He et al. 2015)
            self.apply(_keep_variance)

    def forward(self, image: Tensor, labels: Tensor) -> Tensor:
        """``(n, *shape)`` and int64 ``(n,)`` to logits ``(n, 1)``."""
        y = one_hot(labels, self.classes).to(image.dtype)
        for convolution in self.convolutions:
            image = nn.functional.leaky_relu(convolution(join(image, y)), 0.2)
        features = nn.functional.leaky_relu(self.hidden(join(image.flatten(1), y)), 0.2)
        logits: Tensor = self.last(join(features, y))
        return logits


def _keep_variance(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.kaiming_normal_(module.weight, 0.2)
        nn.init.zeros_(module.bias)
