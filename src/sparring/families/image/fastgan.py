"""FastGAN, for a hundred to a few thousand pictures: D must also be able to draw them (Liu, Zhu, Song, Elgammal 2021).

Paper: Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis, arXiv 2101.04775.
Command: ``sparring train photos/ --family fastgan``

Departures from the authors' code: what D's decoders draw is compared by L1 at three scales, because the perceptual
distance they use needs the weights of a network trained on other pictures; the quadrant that one decoder draws is
chosen for each picture instead of each batch; pictures may have any size, with the stages counted from the coarsest,
so that below 256 pixels there are fewer and shorter links; the noise of a sample belongs to its seed; real pictures
are brought to the size of decoded and small ones by area. DiffAugment is always on, as there.
"""

from dataclasses import dataclass

from torch import Tensor, cat, nn
from torch.nn.functional import adaptive_avg_pool2d

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.augment import diff_augment
from sparring.nn.fastgan import FastDiscriminator, FastGenerator
from sparring.objectives.adversarial import hinge_discriminator, hinge_generator
from sparring.objectives.reconstruction import pooled_l1


@dataclass(frozen=True)
class Config:
    """Settings of `FastGAN`."""

    z_dim: int = setting(256, "size of the latent")
    width: int = setting(64, "channels of G at 128 pixels, and of D where a picture of 256 is 64; the paper's")
    policy: str = setting("color,translation", "what D sees changed: color, translation, cutout; or none")
    rebuild: float = setting(1.0, "weight of what D's decoders are off by on reals")


class FastGAN(Game):
    """Skip-layer excitation in G, a self-supervised D, hinge loss. Paper and command: see the module."""

    config_class = Config
    plays = "hinge"
    not_accumulable = "BatchNorm in G and D: statistics are per microbatch"
    not_augmentable = "it changes what its D sees by itself; choose how with --game.policy"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if min(spec.shape[1:]) < 8:
            raise SparringError(
                f"fastgan needs 8 pixels a side, got {spec.shape[2]}x{spec.shape[1]}; try --data.size 8"
            )
        self.G = FastGenerator(spec.shape, config.z_dim, config.width)
        self.D = FastDiscriminator(spec.shape, config.width)
        self.augment = nn.Identity() if config.policy == "none" else diff_augment(config.policy, "game.policy")

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    def fakes(self, batch: Batch) -> Tensor:
        # What turns share is one tensor: the whole picture and the small one, laid out flat.
        return pack(*self.pictures(batch))

    def pictures(self, batch: Batch) -> tuple[Tensor, Tensor]:
        z = batch.noise(self.config.z_dim)
        whole, small = self.G(z, [batch.noise(*shape) for shape in self.G.noise_shapes])
        return whole, small

    def judged(self, fakes: Tensor) -> tuple[Tensor, Tensor]:
        whole, small = unpack(fakes, self.spec.shape, self.G.small)
        return whole, self.D(self.augment(whole), self.augment(small))

    def discriminator(self, batch: Batch) -> Outcome:
        # Eq. 3, its margins drawn from [0.8, 1), and eq. 4 on reals, as they were changed.
        real = self.augment(batch.real)
        features = self.D.features(real, adaptive_avg_pool2d(real, self.G.small))
        real_logits = self.D.score(*features)
        fake, fake_logits = self.judged(batch.share("G", self.fakes))
        margins = [0.8 + 0.2 * batch.uniform(*logits.shape[1:]) for logits in (real_logits, fake_logits)]
        quadrants = (4 * batch.uniform(1)).long().flatten()
        off = [pooled_l1(made, wanted) for made, wanted in self.D.rebuild(real, features, quadrants)]
        rebuild = off[0] + off[1] + off[2]
        loss = hinge_discriminator(real_logits, fake_logits, *margins) + self.config.rebuild * rebuild
        return Outcome(loss, {"rebuild": rebuild}, real_logits, fake_logits, fake)

    def generator(self, batch: Batch) -> Outcome:
        # Eq. 5
        fake, fake_logits = self.judged(batch.share("G", self.fakes))
        return Outcome(hinge_generator(fake_logits), {}, None, fake_logits, fake)

    def sample(self, batch: Batch) -> Tensor:
        return self.pictures(batch)[0]

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=2e-4, betas=(0.5, 0.999)) for name in self.players()}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        return DataSpec("image", (3, 12, 9), count=64), Config(z_dim=4, width=2)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        # 50,000 steps of 8; the half-life of an average with decay 0.999 a step.
        train = {"kimg": 400.0, "batch": 8, "ema_kimg": 5.5}
        return {"train": train, "game": {"width": 32}} if max(spec.shape[1:]) <= 128 else {"train": train}


def pack(whole: Tensor, small: Tensor) -> Tensor:
    """``(n, values of both)``."""
    return cat([whole.flatten(1), small.flatten(1)], dim=1)


def unpack(flat: Tensor, shape: tuple[int, ...], small: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """What `pack` was given."""
    values = shape[0] * shape[1] * shape[2]
    return flat[:, :values].unflatten(1, shape), flat[:, values:].unflatten(1, (shape[0], *small))
