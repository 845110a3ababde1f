"""Pictures of one kind to another and back, learnt without pairs (Zhu, Park, Isola, Efros 2017).

Paper: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, arXiv 1703.10593.
Command: ``sparring train horse2zebra/ --family cyclegan``

Two translators, forth from A to B and back, are one player G; D_a and D_b are critics of patches. What comes back has
to be what went forth. Critics see fakes of earlier steps half of the time, from pools of 50 that are part of the state.

Departures: critics move before G, on the fakes that G then learns from. Below 256 pixels G has the paper's 6 blocks for
small pictures, and below 128 critics have fewer layers. Biases that InstanceNorm cancels are left out. Samples, from A
to B, are drawn with averaged weights. Several microbatches or processes would each need pools of their own: there say
``--game.pool 0``.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, Train, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.panels import panels
from sparring.nn.patch_discriminator import PatchDiscriminator, layers_for
from sparring.nn.pool import ImagePool
from sparring.nn.translator import Translator
from sparring.objectives.adversarial import choose
from sparring.objectives.matching import l1

REFUSED = [("wasserstein", "it needs a critic of bounded slope")]


@dataclass(frozen=True)
class Config:
    """Settings of `CycleGAN`."""

    width: int = setting(64, "channels of the outermost layers of G and D")
    blocks: int = setting(0, "residual blocks of each translator; 0: 9 from 256 pixels on, else 6")
    change: bool = setting(
        False, "translators make a change to their input, in place of a picture: they begin as the input itself"
    )
    smooth: bool = setting(False, "blurred halving and bilinear doubling, as CUT has, in place of strided convolutions")
    patch_layers: int = setting(
        0, "halvings in D: 3 judges patches of 70x70 pixels, 2 of 34x34, 1 of 16x16; 0: by the size"
    )
    loss: str = setting("least_squares", "adversarial loss; any but wasserstein")
    adversarial: float = setting(2.0, "weight of the adversarial loss; 2, for least squares are halved here")
    cycle: float = setting(10.0, "weight of the way there and back")
    identity: float = setting(5.0, "weight of leaving alone what is of the wanted kind already; 0: none")
    pool: int = setting(50, "earlier fakes that each critic may be shown; 0: none, as several processes need")


class CycleGAN(Game):
    """There and back again. Paper and command: see the module."""

    config_class = Config
    gives = True

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        self.loss = choose(config.loss, REFUSED)
        a, b = spec.given[0], spec.shape[0]
        sides = min(*spec.given[1:], *spec.shape[1:])
        blocks = config.blocks or (9 if sides >= 256 else 6)
        layers = config.patch_layers or layers_for(sides, sides)
        forth, back = (
            Translator(inputs, outputs, config.width, blocks, config.smooth, config.change)
            for inputs, outputs in ((a, b), (b, a))
        )
        self.G = nn.ModuleDict({"forth": forth, "back": back})
        self.D_a, self.D_b = (PatchDiscriminator(channels, config.width, layers, "instance") for channels in (a, b))
        self.pool_a, self.pool_b = ImagePool(config.pool, spec.given), ImagePool(config.pool, spec.shape)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D_a": self.D_a, "D_b": self.D_b}

    def judges(self) -> tuple[str, ...]:
        return "D_b", "D_a"

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D_a", self.critic_of_a), Turn("D_b", self.critic_of_b), Turn("G", self.generators)]

    def forth(self, batch: Batch) -> Tensor:
        """A to B."""
        return self.G["forth"](batch.given)

    def back(self, batch: Batch) -> Tensor:
        """B to A."""
        return self.G["back"](batch.real)

    def critic_of_a(self, batch: Batch) -> Outcome:
        coins, places = batch.uniform(2).unbind(1)
        shown = self.pool_a.exchange(batch.share("G", self.back), coins, places, batch.nimg)
        real_logits, fake_logits = self.D_a(batch.given), self.D_a(shown)
        return Outcome(self.loss.discriminator(real_logits, fake_logits), {}, real_logits, fake_logits)

    def critic_of_b(self, batch: Batch) -> Outcome:
        coins, places = batch.uniform(2).unbind(1)
        fake = batch.share("G", self.forth)
        shown = self.pool_b.exchange(fake, coins, places, batch.nimg)
        real_logits, fake_logits = self.D_b(batch.real), self.D_b(shown)
        return Outcome(self.loss.discriminator(real_logits, fake_logits), {}, real_logits, fake_logits, fake)

    def generators(self, batch: Batch) -> Outcome:
        assert batch.given is not None
        a, b = batch.given, batch.real
        forth, back = self.G["forth"], self.G["back"]
        fake_b, fake_a = batch.share("G", self.forth), batch.share("G", self.back)
        fake_logits = self.D_b(fake_b)
        compares = self.loss.relativistic
        real_logits, real_a = (self.D_b(b), self.D_a(a)) if compares else (None, None)
        adversarial = self.loss.generator(fake_logits, real_logits)
        adversarial = adversarial + self.loss.generator(self.D_a(fake_a), real_a)  # eq. 1, both ways
        terms = {"adversarial": adversarial, "cycle": l1(back(fake_b), a) + l1(forth(fake_a), b)}  # eq. 2
        loss = self.config.adversarial * adversarial + self.config.cycle * terms["cycle"]  # eq. 3
        if self.config.identity > 0:
            terms["identity"] = l1(forth(b), b) + l1(back(a), a)  # sec. 5.2
            loss = loss + self.config.identity * terms["identity"]
        return Outcome(loss, terms, real_logits, fake_logits, fake_b)

    def sample(self, batch: Batch) -> Tensor:
        return self.forth(batch)

    def show(self, batch: Batch) -> Tensor:
        """A, as B, and back as A: there is no truth to compare with."""
        assert batch.given is not None
        made = self.sample(batch)
        return panels(batch.given, made, self.G["back"](made))

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=2e-4, betas=(0.5, 0.999), schedule="linear") for name in self.players()}

    @classmethod
    def refuse(cls, spec: DataSpec, config: Config, train: Train) -> None:
        if not spec.given or spec.given[1:] != spec.shape[1:]:
            raise SparringError("cyclegan learns from two sets of pictures of one size, such as trainA/ and trainB/")
        if config.change and spec.given[0] != spec.shape[0]:
            raise SparringError("game.change changes a picture into one of as many channels; they differ here")
        if config.identity > 0 and spec.given[0] != spec.shape[0]:
            raise SparringError("game.identity compares both kinds, which differ in channels here; say it is 0")
        if config.pool > 0 and train.microbatches > 1:
            raise SparringError("game.pool holds the fakes of one microbatch at a time; say it is 0 for several")

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        # The paper's 200 passes over about 1,000 pictures.
        return {"train": {"batch": 1, "kimg": float(min(max(spec.count // 5, 20), 400))}}

    @classmethod
    def scaled(cls, spec: DataSpec, train: Train) -> Settings:
        return {"optim": {"decay_from_kimg": train.kimg / 2}}  # the rate falls to 0 over the second half

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 12, 9), count=64, given=(3, 12, 9), paired=False)
        return spec, Config(width=2, blocks=1, patch_layers=1, pool=5)
