"""Progressive growing: small pictures first, each further size faded in (Karras, Aila, Laine, Lehtinen 2018).

Paper: Progressive Growing of GANs for Improved Quality, Stability, and Variation, arXiv 1710.10196.
Command: ``sparring train photos/ --family progressive``

Departures from the authors' code: one batch size for all resolutions; Adam's moments of layers that exist already are
kept when a resolution is added (new layers begin without any); the fade advances at every step; pictures need not be
square or a power of two (they are filled up with their border pixels to the next size that halves evenly); up to 64
pixels a side the phases are shorter and the networks thinner, unless said otherwise.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, Train, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.levels import halvings
from sparring.nn.progressive import Frame, ProgressiveDiscriminator, ProgressiveGenerator, growth, stage
from sparring.objectives.adversarial import wasserstein
from sparring.objectives.penalties import wgan_gp


@dataclass(frozen=True)
class Config:
    """Settings of `Progressive`."""

    z_dim: int = setting(512, "size of the latent")
    channel_base: int = setting(16384, "channels of a layer are this over its side in pixels")
    channel_max: int = setting(512, "but at most so many")
    stable_kimg: float = setting(800.0, "thousands of images at each size before the next one is faded in")
    fade_kimg: float = setting(800.0, "thousands of images over which a size is faded in")
    gp_weight: float = setting(10.0, "strength of the gradient penalty")
    drift: float = setting(0.001, "strength of the penalty on D's squared scores of reals, which keeps them near 0")
    stddev_group: int = setting(4, "samples a group of D's minibatch standard deviation")

    def __post_init__(self) -> None:
        for name in ("z_dim", "channel_base", "channel_max", "stddev_group"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is 1 or more, got {getattr(self, name)}")
        for name in ("stable_kimg", "fade_kimg"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")


class Progressive(Game):
    """WGAN-GP on a growing picture. Paper and command: see the module."""

    config_class = Config
    plays = "wasserstein"
    not_accumulable = "minibatch standard deviation: D compares the samples of a microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if min(spec.shape[1:]) < 8:
            height, width = spec.shape[1:]
            raise SparringError(f"progressive needs 8 pixels a side, got {width}x{height}; try --data.size 8")
        self.frame = Frame(spec.shape)
        self.G = ProgressiveGenerator(spec.shape, config.z_dim, config.channel_base, config.channel_max)
        self.D = ProgressiveDiscriminator(spec.shape, config.channel_base, config.channel_max, config.stddev_group)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.critic), Turn("G", self.generator)]

    def grown(self, nimg: int) -> float:
        """How far the networks have grown at this progress, 0 to the number of doublings."""
        return growth(nimg, self.frame.levels, self.config.stable_kimg, self.config.fade_kimg)

    def fakes(self, batch: Batch) -> Tensor:
        fake: Tensor = self.G(batch.noise(self.config.z_dim), *stage(self.grown(batch.nimg)))
        return fake

    def critic(self, batch: Batch) -> Outcome:
        level, alpha = stage(self.grown(batch.nimg))
        real, fake = self.frame.at(batch.real, level, alpha), batch.share("G", self.fakes)
        real_logits, fake_logits = self.D(real, level, alpha), self.D(fake, level, alpha)
        mix, weight = batch.uniform(1, 1, 1), self.config.gp_weight
        penalty = wgan_gp(lambda x: self.D(x, level, alpha), real, fake, mix, weight)
        drift = self.config.drift * real_logits.square().mean()  # appendix A.1
        loss = wasserstein.discriminator(real_logits, fake_logits) + penalty + drift
        terms = {"penalty": penalty, "drift": drift, "grown": penalty.new_full((), self.grown(batch.nimg))}
        return Outcome(loss, terms, real_logits, fake_logits, fake)

    def generator(self, batch: Batch) -> Outcome:
        grown = self.grown(batch.nimg)
        level, alpha = stage(grown)
        fake = batch.share("G", self.fakes)
        fake_logits = self.D(fake, level, alpha)
        self.G.grown.fill_(grown)  # for those who sample: a function of progress alone, whoever writes it
        loss = wasserstein.generator(fake_logits, None)
        return Outcome(loss, fake_logits=fake_logits, fake=fake)

    def sample(self, batch: Batch) -> Tensor:
        level, alpha = stage(self.G.grown.item())
        fake: Tensor = self.G(batch.noise(self.config.z_dim), level, alpha)
        return self.frame.full(fake, level).clamp(-1, 1)

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=0.001, betas=(0.0, 0.99)) for name in self.players()}  # appendix A.1

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        # The conformance suite plays 4 or 8 steps of 8 images: growth begins in the third and has ended in the seventh.
        spec = DataSpec("image", (3, 18, 16), count=64)
        return spec, Config(8, 128, 8, stable_kimg=0.008, fade_kimg=0.016)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        side = min(spec.shape[1:])
        phase = 30.0 if side < 64 else 100.0 if side < 128 else 800.0
        game: Settings = {"stable_kimg": phase, "fade_kimg": phase}
        if side <= 64:  # for one CPU, or one small device
            game.update(channel_base=4096, channel_max=128)
        kimg = 4 * phase * halvings(spec.shape)  # half of it to grow
        return {"game": game, "train": {"batch": 64 if side <= 32 else 32 if side <= 64 else 16, "kimg": kimg}}

    @classmethod
    def refuse(cls, spec: DataSpec, config: Config, train: Train) -> None:
        phase, levels = config.stable_kimg + config.fade_kimg, halvings(spec.shape)
        if train.kimg < levels * phase:
            raise SparringError(
                f"train.kimg {train.kimg:g} is too short to grow to {spec.shape[2]}x{spec.shape[1]}, which takes "
                f"{levels * phase:g}: train longer, or say --game.stable-kimg {train.kimg / levels / 4:.3g} "
                f"--game.fade-kimg {train.kimg / levels / 4:.3g}"
            )
