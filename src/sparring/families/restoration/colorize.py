"""Colours for grey pictures: lightness is given, a and b are made (Isola, Zhu, Zhou, Efros 2017, sec. 4; Lab by CIE).

Paper: Image-to-Image Translation with Conditional Adversarial Networks, arXiv 1611.07004.
Command: ``sparring train photos/ --family colorize``

A grey picture goes in; its L*a*b* lightness L stays what it was, and a U-Net adds a and b. D judges patches of L, a and
b together. While training, grey is the data without its colours.

Departures: as for pix2pix, whose networks these are: InstanceNorm, no dropout when samples are made, fewer levels for
smaller pictures, averaged weights. The L1 weight is 30, not 100: a strong one gives what all colours average to, brown.
G also matches D's features (Wang et al. 2018, eq. 4), and D's verdict counts a tenth: a D that has few pictures is soon
sure, and what it then asks for leads away from the true colours; what it looks at does not.
``--game.adversarial 0`` leaves L1 alone, for comparison.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, Train, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.colour import from_lab, grey, lightness, to_lab
from sparring.nn.panels import panels
from sparring.nn.patch_discriminator import PatchDiscriminator, layers_for
from sparring.nn.unet import UNet, levels_for
from sparring.objectives.adversarial import choose
from sparring.objectives.matching import feature_matching, l1

REFUSED = [("wasserstein", "it needs a critic of bounded slope")]
MIDDLE, REACH = 50.0, 110.0  # L / 50 - 1, a / 110 and b / 110 lie within [-1, 1]


@dataclass(frozen=True)
class Config:
    """Settings of `Colorize`."""

    width: int = setting(64, "channels of the finest level of G and of the first layer of D")
    levels: int = setting(0, "how often G halves a picture; 0: until its shorter side is 1 pixel, 8 times at most")
    patch_layers: int = setting(
        0, "halvings in D: 3 judges patches of 70x70 pixels, 2 of 34x34, 1 of 16x16; 0: by the size"
    )
    dropout: float = setting(0.5, "share of features dropped in G's innermost levels while training")
    loss: str = setting("non_saturating", "adversarial loss; any but wasserstein")
    adversarial: float = setting(
        0.1, "weight of the adversarial loss in G; the paper has 1; 0: plain L1 regression, without D"
    )
    l1: float = setting(30.0, "weight of the distance to the true a / 110 and b / 110")
    matching: float = setting(10.0, "weight of matching D's features of the true colours; the paper has 0")


class Colorize(Game):
    """G paints, the drawing stays. Paper and command: see the module."""

    config_class = Config
    gives = True
    not_accumulable = "dropout: masks are drawn per microbatch"
    not_augmentable = "D compares colours with lightness, and only one of them would change"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        self.loss = choose(config.loss, REFUSED)
        levels = config.levels or levels_for(*spec.shape[1:])
        self.G = UNet(1, 2, config.width, levels, "instance", config.dropout)
        self.D = PatchDiscriminator(3, config.width, config.patch_layers or layers_for(*spec.shape[1:]), "instance")

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        if self.config.adversarial == 0:
            return [Turn("G", self.generator)]
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    def give(self, batch: Batch) -> Tensor:
        """The grey picture of the same lightness."""
        return grey(lightness(batch.real))

    def truth(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """L ``(n, 1, h, w)``, and a and b ``(n, 2, h, w)``, of real pictures, scaled to [-1, 1]."""
        lab = to_lab(batch.real)
        return lab[:, :1] / MIDDLE - 1, lab[:, 1:] / REACH

    def colours(self, batch: Batch) -> Tensor:
        """a and b, scaled."""
        return self.G(self.truth(batch)[0])

    def discriminator(self, batch: Batch) -> Outcome:
        (light, colours), fake = self.truth(batch), batch.share("G", self.colours)
        real_logits, fake_logits = self.D(colours, light), self.D(fake, light)
        loss = self.loss.discriminator(real_logits, fake_logits) / 2
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def generator(self, batch: Batch) -> Outcome:
        (light, colours), fake = self.truth(batch), batch.share("G", self.colours)
        terms = {"l1": l1(fake, colours)}
        loss = self.config.l1 * terms["l1"]
        if self.config.adversarial == 0:
            return Outcome(loss, terms, fake=fake)
        compares = self.loss.relativistic or self.config.matching > 0
        made, wanted = self.D.features(fake, light), self.D.features(colours, light) if compares else None
        fake_logits, real_logits = made[-1], None if wanted is None else wanted[-1]
        terms["adversarial"] = self.loss.generator(fake_logits, real_logits)
        loss = loss + self.config.adversarial * terms["adversarial"]
        if wanted is not None and self.config.matching > 0:
            terms["matching"] = feature_matching(made[:-1], wanted[:-1])  # without the logits
            loss = loss + self.config.matching * terms["matching"]
        return Outcome(loss, terms, real_logits, fake_logits, fake)

    def sample(self, batch: Batch) -> Tensor:
        """Of grey pictures, or of coloured ones, whose colours are not looked at."""
        assert batch.given is not None
        light = lightness(batch.given)
        return from_lab(torch.cat([light, REACH * self.G(light / MIDDLE - 1)], 1))

    def show(self, batch: Batch) -> Tensor:
        assert batch.given is not None
        return panels(batch.given, self.sample(batch), batch.real)

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=2e-4, betas=(0.5, 0.999)) for name in self.players()}

    @classmethod
    def refuse(cls, spec: DataSpec, config: Config, train: Train) -> None:
        if spec.shape[0] != 3:
            raise SparringError(f"colorize learns from RGB pictures, and these have {spec.shape[0]} channels")

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        return {"train": {"batch": 8}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        return DataSpec("image", (3, 12, 9), count=64), Config(width=4, patch_layers=1)
