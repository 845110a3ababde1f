"""Coarse to fine along a Laplacian pyramid, one small GAN a level (Denton, Chintala, Szlam, Fergus 2015).

Paper: Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks, arXiv 1506.05751.
Command: ``sparring train photos/ --family lapgan``

Level K, the coarsest, makes a small picture from noise; each finer level k makes the details h_k that the picture
below it lacks once it is enlarged to l_k. The levels are independent games: while training, l_k comes from real
pictures. Only sampling chains them, p(I) = p(I_K) prod_k p(I_k | l_k).

Departures: Adam in place of SGD with a rising momentum; a lazy R1 penalty on each D in place of dropout
(``--game.dropout 0.5 --game.r1_gamma 0`` is the release's D); pictures in [-1, 1] in place of standardised pixels, with
a tanh at the coarsest level; samples are drawn with averaged weights. All levels are trained in one run.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.dropout import Dropout
from sparring.nn.laplacian import Size, down, size_of, sizes, up
from sparring.objectives.adversarial import choose
from sparring.objectives.penalties import r1

REFUSED = [("wasserstein", "it needs a critic of bounded slope; --family wgan has one")]


@dataclass(frozen=True)
class Config:
    """Settings of `LAPGAN`."""

    levels: int = setting(0, "K: how often a picture is halved; 0: until its shorter side is 7 to 13, once at least")
    z_dim: int = setting(100, "size of the coarsest level's latent; a finer level takes one plane of noise")
    width: int = setting(64, "channels of a finer level's convolutions")
    hidden: int = setting(1200, "units of the coarsest G's layers; its D has half as many")
    dropout: float = setting(0.0, "share of features dropped before the last layer of each D; the release has 0.5")
    loss: str = setting("non_saturating", "adversarial loss; any but wasserstein")
    r1_gamma: float = setting(0.5, "strength of the R1 penalty, gamma/2 ||grad D(x)||^2; 0: none")
    r1_every: int = setting(16, "steps from one R1 turn to the next; each counts so many times")
    conditional: bool = setting(False, "make pictures by class (the paper's CC-LAPGAN); needs labels")


class LAPGAN(Game):
    """K + 1 pairs of players that never meet while training. Paper and command: see the module."""

    config_class = Config
    not_accumulable = "dropout, where D has any: masks are drawn per microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if config.conditional and len(spec.classes) < 2:
            raise SparringError("game.conditional needs data with at least two classes, and this data has none")
        channels, height, width = spec.shape
        self.top = config.levels or max(1, int(math.log2(min(height, width) / 7)))  # K
        self.sizes = sizes(height, width, self.top)
        if min(self.sizes[-1]) < 2:
            raise SparringError(f"game.levels {self.top} leaves nothing of {width}x{height} pixels; take fewer")
        classes = len(spec.classes) if config.conditional else 0
        self.loss = choose(config.loss, REFUSED)
        for k, size in enumerate(self.sizes):
            coarsest = k == self.top
            G, D = (CoarseGenerator, CoarseDiscriminator) if coarsest else (DetailGenerator, DetailDiscriminator)
            self.add_module(f"G{k}", G(channels, size, classes, config))
            self.add_module(f"D{k}", D(channels, size, classes, config))

    def players(self) -> dict[str, nn.Module]:
        return {f"{role}{k}": self.get_submodule(f"{role}{k}") for k in range(self.top + 1) for role in "GD"}

    def averaged(self) -> tuple[str, ...]:
        return tuple(f"G{k}" for k in range(self.top + 1))

    def judges(self) -> tuple[str, ...]:
        return tuple(f"D{k}" for k in range(self.top + 1))

    def turns(self, nimg: int) -> list[Turn]:
        return [turn for k in reversed(range(self.top + 1)) for turn in self.level(k)]

    def level(self, k: int) -> list[Turn]:
        """The game of level k: nobody else's weights enter it."""
        D = self.get_submodule(f"D{k}")

        def fakes(batch: Batch) -> Tensor:
            return self.make(k, batch, None if k == self.top else up(down(self.real(k, batch)), self.sizes[k]))

        # D_k judges the sum l_k + h_k (sec. 3.2). Of a real picture that sum is I_k itself.

        def discriminator(batch: Batch) -> Outcome:
            fake = batch.share(f"G{k}", fakes)
            real_logits, fake_logits = D(self.real(k, batch), batch.labels), D(fake, batch.labels)
            loss = self.loss.discriminator(real_logits, fake_logits)
            return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

        def penalty(batch: Batch) -> Outcome:
            value = r1(lambda x: D(x, batch.labels), self.real(k, batch), self.config.r1_gamma)
            return Outcome(self.config.r1_every * value, terms={"r1": value})

        def generator(batch: Batch) -> Outcome:
            fake = batch.share(f"G{k}", fakes)
            fake_logits = D(fake, batch.labels)
            real_logits = D(self.real(k, batch), batch.labels) if self.loss.relativistic else None
            loss = self.loss.generator(fake_logits, real_logits)
            return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

        lazy = [Turn(f"D{k}", penalty, every=self.config.r1_every)] if self.config.r1_gamma > 0 else []
        return [Turn(f"D{k}", discriminator), *lazy, Turn(f"G{k}", generator)]

    def real(self, k: int, batch: Batch) -> Tensor:
        """I_k of the real pictures."""
        image = batch.real
        for _ in range(k):
            image = down(image)
        return image

    def make(self, k: int, batch: Batch, low_pass: Tensor | None) -> Tensor:
        """A picture of level k, ``I_K = G_K(z_K)`` or ``I_k = l_k + G_k(z_k, l_k)``."""
        G = self.get_submodule(f"G{k}")
        if low_pass is None:
            made: Tensor = G(batch.uniform(self.config.z_dim) * 2 - 1, batch.labels)
            return made
        return low_pass + G(batch.uniform(1, *size_of(low_pass)) * 2 - 1, low_pass, batch.labels)

    def sample(self, batch: Batch) -> Tensor:
        image = self.make(self.top, batch, None)
        for k in reversed(range(self.top)):
            image = self.make(k, batch, up(image, self.sizes[k]))
        return image.clamp(-1, 1)

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=2e-4, betas=(0.5, 0.999)) for name in self.players()}

    @classmethod
    def conditional(cls, config: Config) -> bool:
        return config.conditional

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        return {}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 12, 9), classes=("a", "b"), class_counts=(40, 24), count=64)
        return spec, Config(levels=1, z_dim=4, width=4, hidden=8, dropout=0.5, conditional=True, r1_every=2)


class CoarseGenerator(nn.Module):
    """z (and y) to the coarsest picture, by a perceptron."""

    def __init__(self, channels: int, size: Size, classes: int, config: Config):
        super().__init__()
        self.classes = classes
        self.layers = nn.Sequential(
            nn.Linear(config.z_dim + classes, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, channels * size[0] * size[1]),
            nn.Tanh(),
            nn.Unflatten(1, (channels, *size)),
        )

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        image: Tensor = self.layers(_with_class(z, labels, self.classes))
        return image


class CoarseDiscriminator(nn.Module):
    """The coarsest picture (and y) to one logit ``(n, 1)``, by a perceptron."""

    def __init__(self, channels: int, size: Size, classes: int, config: Config):
        super().__init__()
        self.classes = classes
        width = max(1, config.hidden // 2)
        self.layers = nn.Sequential(
            nn.Linear(channels * size[0] * size[1] + classes, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            Dropout(config.dropout),
            nn.Linear(width, 1),
        )

    def forward(self, image: Tensor, labels: Tensor | None) -> Tensor:
        logits: Tensor = self.layers(_with_class(image.flatten(1), labels, self.classes))
        return logits


class DetailGenerator(nn.Module):
    """A plane of noise and l_k (and a plane that y learns) to the details h_k, of any sign and size."""

    def __init__(self, channels: int, size: Size, classes: int, config: Config):
        super().__init__()
        self.planes = ClassPlane(classes, size) if classes else None
        self.layers = nn.Sequential(
            nn.Conv2d(1 + channels + (classes > 0), config.width, 7, padding=3),
            nn.ReLU(),
            nn.Conv2d(config.width, config.width, 7, padding=3),
            nn.ReLU(),
            nn.Conv2d(config.width, channels, 5, padding=2),
        )

    def forward(self, noise: Tensor, low_pass: Tensor, labels: Tensor | None) -> Tensor:
        planes = [noise, low_pass] if self.planes is None else [noise, low_pass, self.planes(labels)]
        details: Tensor = self.layers(torch.cat(planes, 1))
        return details


class DetailDiscriminator(nn.Module):
    """l_k + h_k (and a plane that y learns) to one logit ``(n, 1)``."""

    def __init__(self, channels: int, size: Size, classes: int, config: Config):
        super().__init__()
        self.planes = ClassPlane(classes, size) if classes else None
        self.layers = nn.Sequential(
            nn.Conv2d(channels + (classes > 0), config.width, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(config.width, config.width, 5, 2, padding=2),
            nn.ReLU(),
            nn.Flatten(),
            Dropout(config.dropout),
            nn.Linear(config.width * math.prod((side + 1) // 2 for side in size), 1),
        )

    def forward(self, image: Tensor, labels: Tensor | None) -> Tensor:
        seen = image if self.planes is None else torch.cat([image, self.planes(labels)], 1)
        logits: Tensor = self.layers(seen)
        return logits


class ClassPlane(nn.Module):
    """A class to one learnt plane ``(n, 1, h, w)``: the paper's linear layer on a one-hot class."""

    def __init__(self, classes: int, size: Size):
        super().__init__()
        self.size, self.of = size, nn.Embedding(classes, size[0] * size[1])

    def forward(self, labels: Tensor) -> Tensor:
        plane: Tensor = self.of(labels)
        return plane.unflatten(1, (1, *self.size))


def _with_class(x: Tensor, labels: Tensor | None, classes: int) -> Tensor:
    return x if labels is None or not classes else torch.cat([x, one_hot(labels, classes).to(x.dtype)], 1)
