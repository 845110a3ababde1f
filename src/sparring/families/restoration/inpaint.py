"""Holes in pictures filled with what could have been there: gated convolutions (Yu, Lin, Yang, Shen, Lu, Huang 2019).

Paper: Free-Form Image Inpainting with Gated Convolution, arXiv 1806.03589.
Command: ``sparring train photos/ --family inpaint``

What is given is a picture with one channel more, its alpha: where it is transparent there is a hole. While training,
boxes and brush strokes are cut out of the data. Known pixels come out as they went in, bit for bit.

Departures: no contextual attention; both networks are alike, and narrow ones will do for small pictures; a critic of
the whole picture beside that of patches (after Iizuka, Simo-Serra, Ishikawa 2017); every picture of a batch has a hole
of its own; L1 counts in holes ``hole_weight`` times as much. G also matches D's features (Wang et al. 2018, eq. 4), as
in `Colorize`, and D has InstanceNorm, which makes them worth matching; its verdict counts little. The paper's critic is
``--game.norm spectral --game.matching 0 --game.l1 1 --game.adversarial 1``. Samples are drawn with averaged weights.
``--game.adversarial 0`` leaves L1 alone, for comparison.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, setting
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.gated import GlobalPatchDiscriminator, Inpainter
from sparring.nn.holes import NUMBERS, random_holes
from sparring.nn.panels import panels
from sparring.nn.patch_discriminator import layers_for
from sparring.objectives.adversarial import choose
from sparring.objectives.critics import by_critic, over_critics
from sparring.objectives.matching import feature_matching

REFUSED = [("wasserstein", "it needs a critic of slope 1")]


@dataclass(frozen=True)
class Config:
    """Settings of `Inpaint`."""

    width: int = setting(24, "channels of G's outermost layers")
    critic_width: int = setting(64, "channels of D's first layer")
    holes: Literal["both", "box", "stroke"] = setting("both", "what is cut out: boxes, brush strokes, or both at once")
    loss: str = setting("hinge", "adversarial loss; any but wasserstein")
    norm: Literal["spectral", "instance"] = setting(
        "instance", "what D has: InstanceNorm, or spectral normalisation, the paper's"
    )
    adversarial: float = setting(0.1, "weight of the adversarial loss; the paper has 1; 0: plain L1, without D")
    l1: float = setting(10.0, "weight of the distance to the true picture, of both proposals; the paper has 1")
    matching: float = setting(10.0, "weight of matching D's features of the true picture; the paper has 0")
    hole_weight: float = setting(5.0, "how much more that distance counts within holes; the paper has 1")


class Inpaint(Game):
    """G proposes the whole, only the hole is taken. Paper and command: see the module."""

    config_class = Config
    gives = True
    not_augmentable = "D sees the hole beside the picture, and only one of them would change"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        self.loss = choose(config.loss, REFUSED)
        self.G = Inpainter(spec.shape[0], config.width)
        layers = 2 + layers_for(*spec.shape[1:])
        self.D = GlobalPatchDiscriminator(spec.shape[0] + 1, config.critic_width, layers, config.norm)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        if self.config.adversarial == 0:
            return [Turn("G", self.generator)]
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    def give(self, batch: Batch) -> Tensor:
        """The picture, grey in its holes, and its alpha: 1 where it is known, -1 in holes."""
        height, width = batch.real.shape[2:]
        hole = random_holes(batch.uniform(NUMBERS), height, width, self.config.holes)
        return torch.cat([batch.real * (1 - hole), 1 - 2 * hole], 1)

    def proposals(self, batch: Batch) -> Tensor:
        """Both of G's and the hole that they are for, ``(n, 2 * channels + 1, h, w)``."""
        image, hole = split(self.give(batch))
        return torch.cat([self.G(image, hole), hole], 1)

    def taken(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The coarse and the fine proposal, the hole, and the true picture with the fine one in its hole."""
        channels = self.spec.shape[0]
        coarse, fine, hole = batch.share("G", self.proposals).split([channels, channels, 1], 1)
        return coarse, fine, hole, torch.where(hole > 0, fine, batch.real)

    def discriminator(self, batch: Batch) -> Outcome:
        _, _, hole, fake = self.taken(batch)
        of_real, of_fake = self.D(batch.real, hole), self.D(fake, hole)
        loss = over_critics(self.loss.discriminator, of_real, of_fake)
        return Outcome(loss, real_logits=by_critic(of_real), fake_logits=by_critic(of_fake), fake=fake)

    def generator(self, batch: Batch) -> Outcome:
        coarse, fine, hole, fake = self.taken(batch)
        weight = 1 + (self.config.hole_weight - 1) * hole
        weight = weight / weight.mean((2, 3), keepdim=True)
        distance = [(weight * (proposal - batch.real).abs()).mean() for proposal in (coarse, fine)]
        terms = {"coarse": distance[0], "fine": distance[1]}
        loss = self.config.l1 * (distance[0] + distance[1])
        if self.config.adversarial == 0:
            return Outcome(loss, terms, fake=fake)
        compares = self.loss.relativistic or self.config.matching > 0
        made, wanted = self.D.features(fake, hole), self.D.features(batch.real, hole) if compares else None
        of_fake, of_real = self.D.logits(made), None if wanted is None else self.D.logits(wanted)
        terms["adversarial"] = over_critics(self.loss.generator, of_fake, of_real)
        loss = loss + self.config.adversarial * terms["adversarial"]
        if wanted is not None and self.config.matching > 0:
            terms["matching"] = feature_matching(made[:-1], wanted[:-1])  # without the logits
            loss = loss + self.config.matching * terms["matching"]
        return Outcome(loss, terms, None if of_real is None else by_critic(of_real), by_critic(of_fake), fake)

    def sample(self, batch: Batch) -> Tensor:
        assert batch.given is not None
        image, hole = split(batch.given)
        fine = self.G(image, hole)[:, self.spec.shape[0] :]
        return torch.where(hole > 0, fine, image)

    def show(self, batch: Batch) -> Tensor:
        assert batch.given is not None
        return panels(split(batch.given)[0], self.sample(batch), batch.real)

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=1e-4, betas=(0.5, 0.999)) for name in self.players()}

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        return {"train": {"batch": 16}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        return DataSpec("image", (3, 12, 9), count=64), Config(width=4, critic_width=4)


def split(given: Tensor) -> tuple[Tensor, Tensor]:
    """The picture ``(n, c, h, w)`` and its holes ``(n, 1, h, w)``, 1 where alpha is below one half, else 0."""
    return given[:, :-1], (given[:, -1:] < 0).to(given.dtype)
