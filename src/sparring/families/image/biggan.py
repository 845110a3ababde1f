"""BigGAN: self-attention GAN with latents for every block, a shared class embedding and truncation (Brock et al. 2019).

Paper: Large Scale GAN Training for High Fidelity Natural Image Synthesis, arXiv 1809.11096.
Command: ``sparring train photos/ --family biggan``

z comes in chunks: one for the first layer and one for each block, which also sees the class, embedded once for all
blocks. Both networks are spectrally normalised and start orthogonal; G is kept near that by the penalty of equation 3,
which is what makes it amenable to truncated latents.

Departures: fakes are made and judged with the labels of the reals beside them. From 64 pixels a side the settings are
the paper's but for the batch (``--train.batch 2048 --train.microbatches 32``); below, they are those of the authors'
CIFAR-10 script. The finest block at 64 pixels has half the channels of the authors' code. Without classes, a block's
chunk of z is all that its scales and shifts follow. For few pictures there is, off unless said, LeCam regularisation
(Tseng et al. 2021, arXiv 2104.03310), here from the first step on, with running means that begin at 0.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.conditional import CodeBatchNorm
from sparring.nn.latent import truncate
from sparring.nn.resnet import (
    ResDiscriminator,
    ResGenerator,
    discriminator_widths,
    generator_widths,
    orthogonalise,
)
from sparring.nn.spectral import WEIGHTS, raw_weights, spectral
from sparring.objectives.adversarial import choose
from sparring.objectives.penalties import lecam, orthogonal

ANCHOR_RATE = 0.01  # how far LeCam's running means follow each batch (Tseng et al. 2021: a decay of 0.99)


@dataclass(frozen=True)
class Config:
    """Settings of `BigGAN`."""

    z_chunk: int = setting(20, "size of each share of the latent: one for the first layer, one for each block of G")
    width: int = setting(64, "channels of the finest block; below 64 pixels every block has 4 times as many")
    shared_dim: int = setting(128, "size of the class embedding that all blocks of G share")
    loss: str = setting("hinge", "adversarial loss; any")
    d_steps: int = setting(2, "turns of D, each on fresh data, for one of G")
    lecam: float = setting(0.0, "weight of LeCam's penalty on D; the paper has 0.3 for CIFAR-10; 0: none")
    ortho: float = setting(1e-4, "weight of the orthogonal penalty on G's maps; 0: none")
    attention: int = setting(64, "side of the largest map that gets self-attention; 0: none")
    conditional: bool = setting(True, "make pictures by class; needs labels")

    def __post_init__(self) -> None:
        if self.attention < 0:
            raise ValueError(f"attention is the side of a map, or 0 for none; got {self.attention}")
        if self.d_steps < 1:
            raise ValueError(f"d_steps must be 1 or more, got {self.d_steps}")


class Hierarchical(nn.Module):
    """z in chunks, and a class embedded once, to a picture.

    Args:
        shape: of a picture, ``(channels, height, width)``.
        chunk: size of a chunk of z; there is one more than blocks.
        widths: of the coarsest grid and of each block.
        classes: how many classes there are; 0 for none.
        shared: size of the class embedding.
        attention: side of the map that gets self-attention; 0 for none.
    """

    def __init__(
        self, shape: tuple[int, ...], chunk: int, widths: list[int], classes: int, shared: int, attention: int
    ):
        super().__init__()
        self.chunk, self.z_dim = chunk, chunk * len(widths)
        self.embed = nn.Embedding(classes, shared) if classes else None
        norm = partial(CodeBatchNorm, size=chunk + (shared if classes else 0))
        self.body = ResGenerator(shape, chunk, widths, norm, attention)
        self.apply(orthogonalise)
        spectral(self.body, WEIGHTS)  # but not the embedding, as in the authors' code

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """``(n, z_dim)`` and int64 ``(n,)`` to ``(n, *shape)`` in [-1, 1]."""
        first, *codes = z.split(self.chunk, dim=1)
        if self.embed is not None:
            shared = self.embed(labels)
            codes = [torch.cat([shared, code], dim=1) for code in codes]
        image: Tensor = self.body(first, codes)
        return image


class BigGAN(Game):
    """Latents by block, classes by a shared code. Paper and command: see the module."""

    config_class = Config
    truncates: ClassVar[bool] = True
    not_accumulable = "BatchNorm in G: statistics are per microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if config.conditional and len(spec.classes) < 2:
            raise SparringError("game.conditional needs data with at least two classes, and this data has none")
        classes = len(spec.classes) if config.conditional else 0
        self.loss = choose(config.loss)
        widths = generator_widths(spec.shape, config.width, 4)
        self.G = Hierarchical(spec.shape, config.z_chunk, widths, classes, config.shared_dim, config.attention)
        widths, downs = discriminator_widths(spec.shape, config.width, 4)
        self.D = ResDiscriminator(spec.shape, widths, downs, classes, config.attention, wide=True, bias=True)
        self.D.apply(orthogonalise)
        spectral(self.D)
        self.real_anchor: Tensor
        self.fake_anchor: Tensor
        self.register_buffer("real_anchor", torch.zeros(()))  # of LeCam: D's mean scores so far
        self.register_buffer("fake_anchor", torch.zeros(()))

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.discriminator, times=self.config.d_steps), Turn("G", self.generator)]

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(self.G.z_dim), batch.labels)

    def judged(self, batch: Batch) -> Tensor:
        """Fresh fakes for every turn; played one to one, the turns share them."""
        return batch.share("G", self.fakes) if self.config.d_steps == 1 else self.fakes(batch)

    def discriminator(self, batch: Batch) -> Outcome:
        fake = self.judged(batch)
        real_logits, fake_logits = self.D(batch.real, batch.labels), self.D(fake, batch.labels)
        loss, terms = self.loss.discriminator(real_logits, fake_logits), {}
        if self.config.lecam > 0:
            with torch.no_grad():
                self.real_anchor.lerp_(real_logits.float().mean(), ANCHOR_RATE)
                self.fake_anchor.lerp_(fake_logits.float().mean(), ANCHOR_RATE)
            terms["lecam"] = self.config.lecam * lecam(real_logits, fake_logits, self.real_anchor, self.fake_anchor)
            loss = loss + terms["lecam"]
        return Outcome(loss, terms, real_logits, fake_logits, fake)

    def generator(self, batch: Batch) -> Outcome:
        fake = self.judged(batch)
        fake_logits = self.D(fake, batch.labels)
        real_logits = self.D(batch.real, batch.labels) if self.loss.relativistic else None
        loss, terms = self.loss.generator(fake_logits, real_logits), {}
        if self.config.ortho > 0:  # eq. 3, on the weights as they are before normalisation
            terms["orthogonal"] = self.config.ortho * orthogonal(raw_weights(self.G.body))
            loss = loss + terms["orthogonal"]
        return Outcome(loss, terms, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def sample(self, batch: Batch) -> Tensor:
        z = batch.noise(self.G.z_dim)
        if batch.truncation is not None:
            z = truncate(z, max(batch.truncation, 1e-6))  # sec. 3.1
        return self.G(z, batch.labels)

    def optimisers(self) -> dict[str, Optim]:
        rate = 2e-4 if small(self.spec) else 5e-5
        return {"G": Optim(lr=rate, betas=(0.0, 0.999)), "D": Optim(lr=2e-4, betas=(0.0, 0.999))}

    @classmethod
    def conditional(cls, config: Config) -> bool:
        return config.conditional

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 12, 9), classes=("a", "b"), class_counts=(40, 24), count=64)
        return spec, Config(z_chunk=4, width=1, shared_dim=4)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        game: Settings = {} if len(spec.classes) > 1 else {"conditional": False}
        return {"game": game | ({"d_steps": 4, "attention": 0} if small(spec) else {})}


def small(spec: DataSpec) -> bool:
    """Whether the authors' settings for CIFAR-10 suit better than those for ImageNet."""
    return min(spec.shape[1:]) < 64
