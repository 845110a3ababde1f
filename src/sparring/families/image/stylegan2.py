"""StyleGAN2: styles modulate every convolution, for any picture of 8 pixels or more a side (Karras et al. 2020).

Paper: Analyzing and Improving the Image Quality of StyleGAN, arXiv 1912.04958. Conditioning and the settings chosen by
size: Training Generative Adversarial Networks with Limited Data, arXiv 2006.06676.
Command: ``sparring train photos/ --family stylegan2``

Departures from the authors' code: D plays before G; G learns from the fakes that D judged; each sample mixes styles at
a crossover of its own instead of one for the batch; the mean style moves once a step, and there is one for each class;
pictures need not be square or a power of two; up to 64 pixels a side networks are thinner, unless said otherwise; of
ADA's changes D sees those that need no interpolation (``--train.augment ada``).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, Train, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.style import Mapping, Synthesis
from sparring.nn.style_critic import StyleDiscriminator
from sparring.nn.together import judge_together
from sparring.objectives.adversarial import non_saturating
from sparring.objectives.path_length import path_lengths, path_penalty
from sparring.objectives.penalties import r1


@dataclass(frozen=True)
class Config:
    """Settings of `StyleGAN2`."""

    z_dim: int = setting(512, "size of the latent")
    w_dim: int = setting(512, "size of a style")
    mapping_layers: int = setting(8, "dense layers from latent to style")
    channel_base: int = setting(16384, "channels of a layer are this over its side in pixels; 32768 is config F")
    channel_max: int = setting(512, "but at most so many")
    residual: bool = setting(True, "residual blocks in D")
    stddev_group: int = setting(4, "samples a group of D's minibatch standard deviation")
    mixing: float = setting(0.9, "share of samples made of two styles")
    r1_gamma: float = setting(10.0, "strength of the R1 penalty, gamma/2 ||grad D(x)||^2; 0: none")
    r1_every: int = setting(16, "steps from one R1 turn to the next; each counts so many times")
    path_weight: float = setting(2.0, "strength of path length regularisation; 0: none")
    path_every: int = setting(4, "steps from one path length turn to the next; each counts so many times")
    conditional: bool = setting(False, "make pictures by class; needs labels")

    def __post_init__(self) -> None:
        for name in ("z_dim", "w_dim", "mapping_layers", "channel_max", "stddev_group", "r1_every", "path_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is 1 or more, got {getattr(self, name)}")
        if not 0 <= self.mixing <= 1:
            raise ValueError(f"mixing lies in 0 to 1, got {self.mixing}")


class StyleGenerator(nn.Module):
    """z to a style to a picture ``(n, *shape)``, unbounded."""

    def __init__(self, shape: tuple[int, ...], config: Config, classes: int):
        super().__init__()
        self.mapping = Mapping(config.z_dim, config.w_dim, config.mapping_layers, classes)
        self.synthesis = Synthesis(shape, config.w_dim, config.channel_base, config.channel_max)

    def styles(self, z: Tensor, labels: Tensor | None, psi: float = 1.0) -> Tensor:
        """One style for all layers: ``(n, layers, w_dim)``."""
        return self.mapping(z, labels, psi)[:, None].expand(-1, self.synthesis.styles, -1)

    def mixed(self, z: Tensor, labels: Tensor | None, share: float) -> Tensor:
        """Styles of which ``share`` of the samples take the layers past a random one from another latent."""
        styles, layers = self.styles(z, labels), self.synthesis.styles
        if share == 0:
            return styles
        others = self.styles(torch.randn_like(z), labels)
        crossover = torch.randint(1, layers, (len(z), 1), device=z.device)
        mixes = torch.rand(len(z), 1, device=z.device) < share
        late = (torch.arange(layers, device=z.device) >= crossover) & mixes
        return torch.where(late[:, :, None], others, styles)

    def forward(self, z: Tensor, labels: Tensor | None = None, psi: float = 1.0) -> Tensor:
        """``(n, z_dim)`` and int64 ``(n,)`` to pictures, with the layers' own noise."""
        picture: Tensor = self.synthesis(self.styles(z, labels, psi), fresh=False)
        return picture


class StyleGAN2(Game):
    """Skip generator, residual discriminator, lazy regularisation. Paper and command: see the module."""

    config_class = Config
    plays = "non_saturating"
    truncates: ClassVar[bool] = True
    not_accumulable = "minibatch standard deviation: D compares the samples of a microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        if min(spec.shape[1:]) < 8:
            raise SparringError(
                f"stylegan2 needs 8 pixels a side, got {spec.shape[2]}x{spec.shape[1]}; try --data.size 8"
            )
        if config.conditional and len(spec.classes) < 2:
            raise SparringError("game.conditional needs data with at least two classes, and this data has none")
        classes = len(spec.classes) if config.conditional else 0
        self.G = StyleGenerator(spec.shape, config, classes)
        self.D = StyleDiscriminator(
            spec.shape, config.channel_base, config.channel_max, config.stddev_group, config.residual, classes
        )
        self.path_mean: Tensor
        self.register_buffer("path_mean", torch.zeros(()))

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        turns = [Turn("D", self.discriminator)]
        if self.config.r1_gamma > 0:
            turns.append(Turn("D", self.penalty, every=self.config.r1_every))
        turns.append(Turn("G", self.generator))
        if self.config.path_weight > 0:
            turns.append(Turn("G", self.path_length, every=self.config.path_every))
        return turns

    def fakes(self, batch: Batch) -> Tensor:
        styles = self.G.mixed(batch.noise(self.config.z_dim), batch.labels, self.config.mixing)
        picture: Tensor = self.G.synthesis(styles, fresh=True)
        return picture

    def discriminator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        # The minibatch standard deviation sees reals and fakes apart, in one call as in two.
        real_logits, fake_logits = judge_together(self.D, [batch.real, fake], batch.labels, apart=self.reference)
        loss = non_saturating.discriminator(real_logits, fake_logits)
        return Outcome(loss, real_logits=real_logits, fake_logits=fake_logits, fake=fake)

    def penalty(self, batch: Batch) -> Outcome:
        # Lazy regularisation: played every r1_every steps, so many times as strong (sec. 3.1).
        value = r1(lambda x: self.D(x, batch.labels), batch.real, self.config.r1_gamma)
        return Outcome(self.config.r1_every * value, terms={"r1": value})

    def generator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        fake_logits = self.D(fake, batch.labels)
        self.G.mapping.observe(batch.noise(self.config.z_dim), batch.labels)
        return Outcome(non_saturating.generator(fake_logits, None), fake_logits=fake_logits, fake=fake)

    def path_length(self, batch: Batch) -> Outcome:
        # Eq. 4 on half a batch, to save memory (appendix B). The weight 2 is the paper's
        # ln 2 / (r^2 (ln r - ln 2)): the mean over 2 log2(r) - 2 layers and the noise over sqrt(h w) do the rest.
        half = slice(max(1, batch.size // 2))
        labels = None if batch.labels is None else batch.labels[half]
        styles = self.G.mixed(batch.noise(self.config.z_dim)[half], labels, self.config.mixing)
        noise = batch.noise(*self.spec.shape)[half]
        lengths = path_lengths(lambda w: self.G.synthesis(w, fresh=True), styles, noise)
        value, mean = path_penalty(lengths, self.path_mean)
        self.path_mean.copy_(mean)
        weight = self.config.path_weight * self.config.path_every
        return Outcome(weight * value, terms={"penalty": value, "length": lengths.mean()})

    def sample(self, batch: Batch) -> Tensor:
        picture: Tensor = self.G(
            batch.noise(self.config.z_dim), batch.labels, 1.0 if batch.truncation is None else batch.truncation
        )
        return picture.clamp(-1, 1)

    def optimisers(self) -> dict[str, Optim]:
        # k steps are followed by one of the regulariser: k + 1 in the time of k (sec. 3.1), so each is smaller.
        lazy = {
            "G": self.config.path_every if self.config.path_weight > 0 else 0,
            "D": self.config.r1_every if self.config.r1_gamma > 0 else 0,
        }
        rate = 0.002 if min(self.spec.shape[1:]) >= 1024 else 0.0025
        shares = {name: every / (every + 1) if every else 1.0 for name, every in lazy.items()}
        return {name: Optim(lr=round(rate * c, 6), betas=(0.0, round(0.99**c, 6))) for name, c in shares.items()}

    def boundary(self, judge: str) -> float | None:
        return non_saturating.boundary

    @classmethod
    def conditional(cls, config: Config) -> bool:
        return config.conditional

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        spec = DataSpec("image", (3, 12, 9), classes=("a", "b"), class_counts=(40, 24), count=64)
        return spec, Config(8, 8, 2, 128, 8, r1_gamma=1.0, conditional=True)

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        # Karras et al. 2020 (2006.06676), appendix C, as is what `scaled` says.
        side = min(spec.shape[1:])
        game: Settings = {"mapping_layers": 2}
        if side <= 64:  # for one CPU, or one small device
            game.update(channel_base=4096 if side <= 32 else 8192, channel_max=128 if side <= 32 else 256)
            game.update(path_weight=0.0, mixing=0.0)  # as their settings for 32 pixels have it
        elif side >= 512:
            game["channel_base"] = 32768
        return {"game": game, "train": {"batch": int(max(min(4096 // side, 32), 4))}}

    @classmethod
    def scaled(cls, spec: DataSpec, train: Train) -> Settings:
        side = min(spec.shape[1:])
        gamma = round(0.0002 * side**2 / train.batch, 5)
        if side <= 64:  # their settings for 32 pixels; the rule leaves next to nothing for small pictures
            gamma = max(gamma, 0.01)
        return {"game": {"r1_gamma": gamma}, "train": {"ema_kimg": train.batch * 10 / 32}}
