"""StyleGAN3: an alias-free generator whose details move with what they belong to (Karras et al. 2021).

Paper: Alias-Free Generative Adversarial Networks, arXiv 2106.12423.
Command: ``sparring train photos/ --family stylegan3``

Configuration T (moves) by default, R (moves and turns) with ``--game.rotation``. Departures from the authors' code: D
plays before G; pictures need not be square or a power of two (the middle of the next larger canvas is cut out, which
the generator cannot tell); the magnitudes' moving averages have a fixed decay; up to 64 pixels a side networks are
thinner, unless said otherwise; of ADA's changes D sees those that need no interpolation.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, Train, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.alias_free import AliasFreeSynthesis
from sparring.nn.fir import filter_down
from sparring.nn.style import Mapping
from sparring.nn.style_critic import StyleDiscriminator
from sparring.nn.together import judge_together
from sparring.objectives.adversarial import non_saturating
from sparring.objectives.penalties import r1


@dataclass(frozen=True)
class Config:
    """Settings of `StyleGAN3`."""

    z_dim: int = setting(512, "size of the latent")
    w_dim: int = setting(512, "size of a style")
    mapping_layers: int = setting(2, "dense layers from latent to style")
    layers: int = setting(14, "layers of the generator, RGB not counted; 3 or more")
    channel_base: int = setting(32768, "channels of a layer are this over its side in pixels; G has twice that for R")
    channel_max: int = setting(512, "but at most so many; G twice that for R")
    rotation: bool = setting(False, "configuration R: pictures turn with their waves; else T")
    stddev_group: int = setting(4, "samples a group of D's minibatch standard deviation")
    r1_gamma: float = setting(2.0, "strength of the R1 penalty, gamma/2 ||grad D(x)||^2; 0: none")
    r1_every: int = setting(16, "steps from one R1 turn to the next; each counts so many times")
    blur_sigma: float = setting(10.0, "blur of what D sees at the beginning, in pixels, for R; 0: none")
    blur_kimg: float = setting(200.0, "thousands of images in which that blur fades")
    conditional: bool = setting(False, "make pictures by class; needs labels")

    def __post_init__(self) -> None:
        for name in ("z_dim", "w_dim", "mapping_layers", "channel_max", "stddev_group", "r1_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is 1 or more, got {getattr(self, name)}")
        if self.blur_sigma < 0 or self.blur_kimg <= 0:
            raise ValueError("blur_sigma cannot be negative, and blur_kimg must be above 0")


class AliasFreeGenerator(nn.Module):
    """z to a style to a picture ``(n, *shape)``, unbounded."""

    def __init__(self, shape: tuple[int, ...], config: Config, classes: int):
        super().__init__()
        more = 2 if config.rotation else 1
        base, most = more * config.channel_base, more * config.channel_max
        self.mapping = Mapping(config.z_dim, config.w_dim, config.mapping_layers, classes, decay=0.998)
        self.synthesis = AliasFreeSynthesis(shape, config.w_dim, config.layers, base, most, config.rotation)

    def forward(self, z: Tensor, labels: Tensor | None = None, psi: float = 1.0, observe: bool = False) -> Tensor:
        """``(n, z_dim)`` and int64 ``(n,)`` to pictures; with ``observe``, running averages move."""
        w = self.mapping(z, labels, psi)
        picture: Tensor = self.synthesis(w[:, None].expand(-1, self.synthesis.styles, -1), observe)
        return picture


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Blurred by taps of ``2^-(distance / sigma)^2``, as far as 3 sigma, zeros beyond the border; 0 for no blur."""
    reach = math.floor(3 * sigma)
    if reach < 1:
        return images
    line = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype).div(sigma).square().neg().exp2()
    line = line / line.sum()
    return filter_down(filter_down(images, line[:, None], padding=(reach, 0)), line[None, :], padding=(0, reach))


class StyleGAN3(Game):
    """Alias-free generator, StyleGAN2's discriminator. Paper and command: see the module."""

    config_class = Config
    plays = "non_saturating"
    truncates: ClassVar[bool] = True
    not_accumulable = "minibatch standard deviation: D compares the samples of a microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if min(spec.shape[1:]) < 8:
            height, width = spec.shape[1:]
            raise SparringError(f"stylegan3 needs 8 pixels a side, got {width}x{height}; try --data.size 8")
        if config.conditional and len(spec.classes) < 2:
            raise SparringError("game.conditional needs data with at least two classes, and this data has none")
        classes = len(spec.classes) if config.conditional else 0
        self.G = AliasFreeGenerator(spec.shape, config, classes)
        self.D = StyleDiscriminator(
            spec.shape, config.channel_base, config.channel_max, config.stddev_group, classes=classes
        )

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        turns = [Turn("D", self.discriminator), Turn("G", self.generator)]
        if self.config.r1_gamma > 0:
            turns.insert(1, Turn("D", self.penalty, every=self.config.r1_every))
        return turns

    def seen(self, images: Tensor, batch: Batch) -> Tensor:
        """For R, D is short-sighted at first, or it would see the waves themselves (appendix D.2)."""
        if not self.config.rotation:
            return images
        fade = max(1 - batch.nimg / (1000 * self.config.blur_kimg), 0.0)
        return blurred(images, fade * self.config.blur_sigma)

    def judge(self, images: Tensor, batch: Batch) -> Tensor:
        """D's logits."""
        logits: Tensor = self.D(self.seen(images, batch), batch.labels)
        return logits

    def discriminator(self, batch: Batch) -> Outcome:
        # Fakes of its own, as in the authors' code: running averages move with these and with no others.
        z = batch.noise(self.config.z_dim)
        self.G.mapping.observe(z, batch.labels)
        fake = self.G(z, batch.labels, observe=True)
        shown = [self.seen(batch.real, batch), self.seen(fake, batch)]
        real_logits, fake_logits = judge_together(self.D, shown, batch.labels, apart=self.reference)
        loss = non_saturating.discriminator(real_logits, fake_logits)
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def penalty(self, batch: Batch) -> Outcome:
        # Lazy regularisation: played every r1_every steps, so many times as strong (Karras et al. 2020, sec. 3.1).
        value = r1(lambda x: self.judge(x, batch), batch.real, self.config.r1_gamma)
        return Outcome(self.config.r1_every * value, terms={"r1": value})

    def generator(self, batch: Batch) -> Outcome:
        fake = self.G(batch.noise(self.config.z_dim), batch.labels)
        fake_logits = self.judge(fake, batch)
        return Outcome(non_saturating.generator(fake_logits, None), fake_logits=fake_logits, fake=fake)

    def sample(self, batch: Batch) -> Tensor:
        psi = 1.0 if batch.truncation is None else batch.truncation
        picture: Tensor = self.G(batch.noise(self.config.z_dim), batch.labels, psi)
        return picture.clamp(-1, 1)

    def optimisers(self) -> dict[str, Optim]:
        c = self.config.r1_every / (self.config.r1_every + 1) if self.config.r1_gamma > 0 else 1.0
        D = Optim(lr=round(0.002 * c, 6), betas=(0.0, round(0.99**c, 6)))
        return {"G": Optim(lr=0.0025, betas=(0.0, 0.99)), "D": D}

    def boundary(self, judge: str) -> float | None:
        return non_saturating.boundary

    @classmethod
    def conditional(cls, config: Config) -> bool:
        return config.conditional

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 12, 9), classes=("a", "b"), class_counts=(40, 24), count=64)
        return spec, Config(8, 8, 1, 3, 64, 4, r1_gamma=1.0, conditional=True)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        side = min(spec.shape[1:])
        game: Settings = {}
        if side <= 64:  # for one small device
            game.update(channel_base=4096 if side <= 32 else 8192, channel_max=128 if side <= 32 else 256)
        return {"game": game, "train": {"batch": 32, "ema_kimg": 10.0}}

    @classmethod
    def scaled(cls, spec: DataSpec, train: Train) -> Settings:
        # The authors' gamma for 1024 pixels in batches of 32, four times as much for each doubling (docs/configs.md).
        return {"game": {"r1_gamma": round(32.8 * (min(spec.shape[1:]) / 1024) ** 2 * 32 / train.batch, 5)}}
