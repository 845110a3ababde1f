"""Pictures from pictures, learnt from pairs: a U-Net, a critic of patches, and L1 (Isola, Zhu, Zhou, Efros 2017).

Paper: Image-to-Image Translation with Conditional Adversarial Networks, arXiv 1611.07004.
Command: ``sparring train pairs/ --family pix2pix``

Departures: each picture is normalised by itself (InstanceNorm), which is what the paper's BatchNorm does with its
batches of one, so that larger batches may be used and pictures come out the same alone and among others;
``--game.norm batch`` is the paper's layer. Dropout, the paper's only source of chance, is off when samples are made:
one input gives one output. Smaller pictures get fewer levels and a critic of smaller patches. Samples are drawn with
averaged weights. ``--game.adversarial 0`` leaves the L1 regression alone, for comparison.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, Train, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.panels import panels
from sparring.nn.patch_discriminator import PatchDiscriminator, layers_for
from sparring.nn.unet import UNet, levels_for
from sparring.objectives.adversarial import choose
from sparring.objectives.matching import feature_matching, l1

REFUSED = [("wasserstein", "it needs a critic of bounded slope")]


@dataclass(frozen=True)
class Config:
    """Settings of `Pix2Pix`."""

    width: int = setting(64, "channels of the finest level of G and of the first layer of D")
    levels: int = setting(0, "how often G halves a picture; 0: until its shorter side is 1 pixel, 8 times at most")
    patch_layers: int = setting(
        0, "halvings in D: 3 judges patches of 70x70 pixels, 2 of 34x34, 1 of 16x16; 0: by the size"
    )
    norm: Literal["instance", "batch"] = setting("instance", "normalisation in G and D; the paper has batch")
    dropout: float = setting(0.5, "share of features dropped in G's innermost levels while training")
    loss: str = setting("non_saturating", "adversarial loss; any but wasserstein")
    adversarial: float = setting(1.0, "weight of the adversarial loss in G; 0: plain L1 regression, without D")
    l1: float = setting(100.0, "weight of the distance to the true picture")
    matching: float = setting(0.0, "weight of matching D's features of the true picture (Wang et al. 2018: 10)")


class Pix2Pix(Game):
    """G draws y from x; D judges the pair. Paper and command: see the module."""

    config_class = Config
    gives = True
    not_accumulable = "dropout, and BatchNorm where asked for: both are a matter of the microbatch"
    not_augmentable = "D compares a picture with its input, and only one of them would change"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        self.loss = choose(config.loss, REFUSED)
        levels = config.levels or levels_for(*spec.shape[1:])
        self.G = UNet(spec.given[0], spec.shape[0], config.width, levels, config.norm, config.dropout)
        layers = config.patch_layers or layers_for(*spec.shape[1:])
        self.D = PatchDiscriminator(spec.shape[0] + spec.given[0], config.width, layers, config.norm)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        if self.config.adversarial == 0:
            return [Turn("G", self.regression)]
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.given)

    def judge(self, batch: Batch, picture: Tensor) -> Tensor:
        """D sees the picture with what it was made from."""
        assert batch.given is not None
        return self.D(picture, batch.given)

    def seen(self, batch: Batch, picture: Tensor) -> list[Tensor]:
        """What D's layers make of both, the logits last."""
        assert batch.given is not None
        return self.D.features(picture, batch.given)

    def discriminator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        real_logits, fake_logits = self.judge(batch, batch.real), self.judge(batch, fake)
        # Halved, so that D learns more slowly than G (sec. 3.3).
        loss = self.loss.discriminator(real_logits, fake_logits) / 2
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def generator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        compares = self.loss.relativistic or self.config.matching > 0
        made, wanted = self.seen(batch, fake), self.seen(batch, batch.real) if compares else None
        fake_logits, real_logits = made[-1], None if wanted is None else wanted[-1]
        terms = {"adversarial": self.loss.generator(fake_logits, real_logits), "l1": l1(fake, batch.real)}
        loss = self.config.adversarial * terms["adversarial"] + self.config.l1 * terms["l1"]  # eq. 4
        if wanted is not None and self.config.matching > 0:
            terms["matching"] = feature_matching(made[:-1], wanted[:-1])  # without the logits
            loss = loss + self.config.matching * terms["matching"]
        return Outcome(loss, terms, real_logits, fake_logits, fake)

    def regression(self, batch: Batch) -> Outcome:
        fake = self.fakes(batch)
        distance = l1(fake, batch.real)
        return Outcome(self.config.l1 * distance, {"l1": distance}, fake=fake)

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch)

    def show(self, batch: Batch) -> Tensor:
        assert batch.given is not None
        return panels(batch.given, self.sample(batch), batch.real)

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=2e-4, betas=(0.5, 0.999)) for name in self.players()}

    @classmethod
    def refuse(cls, spec: DataSpec, config: Config, train: Train) -> None:
        if not spec.given or not spec.paired or spec.given[1:] != spec.shape[1:]:
            raise SparringError(
                "pix2pix learns from pairs of pictures of one size, and this data has none; give pairs, or take "
                "--family cyclegan or cut for two sets without pairs"
            )

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        # The paper's 200 passes over the 400 facades, in small batches; of more data, fewer.
        return {"train": {"batch": 4, "kimg": float(min(max(spec.count // 5, 20), 400))}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        return DataSpec("image", (3, 12, 9), count=64, given=(1, 12, 9)), Config(width=4, patch_layers=1)
