"""The GAN that the standard "GAN in PyTorch on CIFAR-10" tutorial teaches: everybody's baseline.

Source: the tutorial's networks, losses and Adam settings, layer by layer; after Radford et al. 2015 (arXiv 1511.06434).
Command: ``sparring train cifar10 --family tutorial``

J_D = (BCE(D(x), 1) + BCE(D(G(z)), 0)) / 2 and J_G = BCE(D(G(z)), 1), on the same z in both turns. The tutorial ends D
with a sigmoid and takes the logarithm of its result; here D ends in the logit and the losses are written with
softplus, which is the same function without its overflow.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.convolution import Conv2d, UpConv2d
from sparring.nn.dropout import Dropout
from sparring.nn.together import BatchNorm2d, judge_together
from sparring.objectives.adversarial import non_saturating

Z_DIM = 100


@dataclass(frozen=True)
class Config:
    """`Tutorial` has no settings: it is what it is."""


class Tutorial(Game):
    """The tutorial's generator and discriminator for 3x32x32. Paper and command: see the module."""

    config_class = Config
    not_accumulable = "BatchNorm: statistics are per microbatch; dropout: masks are drawn per microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if spec.shape != (3, 32, 32):
            raise SparringError(
                f"the tutorial's networks are for 3x32x32, the data is {'x'.join(map(str, spec.shape))}; "
                "add --data.size 32 --data.channels 3"
            )
        self.G = nn.Sequential(
            nn.Linear(Z_DIM, 128 * 8 * 8),
            nn.ReLU(),
            nn.Unflatten(1, (128, 8, 8)),
            nn.Identity(),  # the tutorial has a layer here that doubles; what follows does both
            UpConv2d(128, 128),
            nn.BatchNorm2d(128, momentum=0.78),
            nn.ReLU(),
            nn.Identity(),
            UpConv2d(128, 64),
            nn.BatchNorm2d(64, momentum=0.78),
            nn.ReLU(),
            Conv2d(64, 3, 3, padding=1),
            nn.Tanh(),
        )
        self.D = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            Dropout(0.25),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ZeroPad2d((0, 1, 0, 1)),
            BatchNorm2d(64, momentum=0.82),
            nn.LeakyReLU(0.25),
            Dropout(0.25),
            nn.Conv2d(64, 128, 3, stride=2, padding=1),
            BatchNorm2d(128, momentum=0.82),
            nn.LeakyReLU(0.2),
            Dropout(0.25),
            nn.Conv2d(128, 256, 3, padding=1),
            BatchNorm2d(256, momentum=0.8),
            nn.LeakyReLU(0.25),
            Dropout(0.25),
            nn.Flatten(),
            nn.Linear(256 * 5 * 5, 1),
        )

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(Z_DIM))

    def discriminator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        real_logits, fake_logits = judge_together(self.D, [batch.real, fake], apart=self.reference)
        loss = non_saturating.discriminator(real_logits, fake_logits) / 2
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def generator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        fake_logits = self.D(fake)
        return Outcome(non_saturating.generator(fake_logits, None), fake_logits=fake_logits, fake=fake)

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch)

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=2e-4, betas=(0.5, 0.999)) for name in self.players()}

    def boundary(self, judge: str) -> float | None:
        return non_saturating.boundary

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        return {"train": {"batch": 32, "kimg": 10 * spec.count / 1000, "ema_kimg": 0}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        return DataSpec("image", (3, 32, 32), count=16), Config()
