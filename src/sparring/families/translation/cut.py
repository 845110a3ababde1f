"""Pictures of one kind to another, learnt without pairs and without a way back (Park, Efros, Zhang, Zhu 2020).

Paper: Contrastive Learning for Unpaired Image-to-Image Translation, arXiv 2007.15651.
Command: ``sparring train horse2zebra/ --family cut``

Each patch of what G makes is to be recognised, among patches of the input, as made from the one at its place
(PatchNCE); features are those of G's own first half, through small perceptrons H that learn with G. Pictures that are
of the wanted kind already are to stay as they are, by the same loss.

Departures: positions are drawn for each picture, not once for a batch; the upsampling is bilinear in place of a blurred
one; the rate falls to 0 over the second half of any length. D has fewer layers below 128 pixels. Samples are drawn with
averaged weights. ``--game.identity 0 --game.nce 10`` is FastCUT's loss, without its flips.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, Train, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.panels import panels
from sparring.nn.patch_discriminator import PatchDiscriminator, layers_for
from sparring.nn.patch_features import PatchSampler, choose_places
from sparring.nn.translator import Translator
from sparring.objectives.adversarial import choose
from sparring.objectives.matching import patch_nce

REFUSED = [("wasserstein", "it needs a critic of bounded slope")]


@dataclass(frozen=True)
class Config:
    """Settings of `CUT`."""

    width: int = setting(64, "channels of the outermost layers of G and D")
    blocks: int = setting(0, "residual blocks of G; 0: 9 from 256 pixels on, else 6")
    change: bool = setting(False, "G makes a change to its input, in place of a picture: it begins as the input itself")
    patch_layers: int = setting(
        0, "halvings in D: 3 judges patches of 70x70 pixels, 2 of 34x34, 1 of 16x16; 0: by the size"
    )
    loss: str = setting("least_squares", "adversarial loss; any but wasserstein")
    adversarial: float = setting(2.0, "weight of the adversarial loss; 2, for least squares are halved here")
    nce: float = setting(1.0, "weight of PatchNCE from the input to what is made of it")
    identity: float = setting(1.0, "weight of PatchNCE on pictures that are of the wanted kind already; 0: none")
    patches: int = setting(256, "places of each feature map that are compared")
    features: int = setting(256, "size of a patch's feature")
    temperature: float = setting(0.07, "by which likenesses are divided")


class CUT(Game):
    """One way only. Paper and command: see the module."""

    config_class = Config
    gives = True

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        self.loss = choose(config.loss, REFUSED)
        side = min(spec.shape[1:])
        blocks = config.blocks or (9 if side >= 256 else 6)
        layers = config.patch_layers or layers_for(side, side)
        self.G = Translator(spec.given[0], spec.shape[0], config.width, blocks, smooth=True, change=config.change)
        self.D = PatchDiscriminator(spec.shape[0], config.width, layers, "instance")
        # The input, both halved maps, the first block and the middle one: 0, 4, 8, 12 and 16 of the authors' layers.
        self.taps = (0, 1, 2, 3, 2 + (blocks + 1) // 2) if blocks > 2 else (0, 1, 2, 3)
        self.H = PatchSampler([self.G.channels[tap] for tap in self.taps], config.features)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D, "H": self.H}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.discriminator), Turn(("G", "H"), self.generator)]

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.given)

    def discriminator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        real_logits, fake_logits = self.D(batch.real), self.D(fake)
        loss = self.loss.discriminator(real_logits, fake_logits)
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def generator(self, batch: Batch) -> Outcome:
        assert batch.given is not None
        fake = batch.share("G", self.fakes)
        fake_logits = self.D(fake)
        real_logits = self.D(batch.real) if self.loss.relativistic else None
        terms = {
            "adversarial": self.loss.generator(fake_logits, real_logits),
            "nce": self.nce(batch, batch.given, fake),
        }
        contrast = self.config.nce * terms["nce"]
        if self.config.identity > 0:
            terms["identity"] = self.nce(batch, batch.real, self.G(batch.real))
            contrast = (contrast + self.config.identity * terms["identity"]) / 2  # as in the authors' code
        loss = self.config.adversarial * terms["adversarial"] + contrast
        return Outcome(loss, terms, real_logits, fake_logits, fake)

    def nce(self, batch: Batch, source: Tensor, made: Tensor) -> Tensor:
        """eq. 3, the mean over the feature maps of `patch_nce`: queries from ``made``, keys from ``source``."""
        queries, keys = self.G.features(made, self.taps), self.G.features(source, self.taps)
        places = [choose_places(batch.uniform(q.shape[2] * q.shape[3]), self.config.patches) for q in queries]
        pairs = zip(self.H(queries, places), self.H(keys, places), strict=True)
        return torch.stack([patch_nce(query, key, self.config.temperature) for query, key in pairs]).mean()

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch)

    def show(self, batch: Batch) -> Tensor:
        """A, and as B: there is no truth to compare with."""
        assert batch.given is not None
        return panels(batch.given, self.sample(batch))

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=2e-4, betas=(0.5, 0.999), schedule="linear") for name in self.players()}

    @classmethod
    def refuse(cls, spec: DataSpec, config: Config, train: Train) -> None:
        if not spec.given or spec.given[1:] != spec.shape[1:]:
            raise SparringError("cut learns from two sets of pictures of one size, such as trainA/ and trainB/")
        if config.change and spec.given[0] != spec.shape[0]:
            raise SparringError("game.change changes a picture into one of as many channels; they differ here")
        if config.identity > 0 and spec.given[0] != spec.shape[0]:
            raise SparringError("game.identity sends both kinds through G, which differ in channels here; say it is 0")

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        # The paper's 400 passes over about 1,000 pictures.
        return {"train": {"batch": 1, "kimg": float(min(max(spec.count * 2 // 5, 40), 400))}}

    @classmethod
    def scaled(cls, spec: DataSpec, train: Train) -> Settings:
        return {"optim": {"decay_from_kimg": train.kimg / 2}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 12, 9), count=64, given=(3, 12, 9), paired=False)
        return spec, Config(width=2, blocks=3, patch_layers=1, patches=8, features=4)
