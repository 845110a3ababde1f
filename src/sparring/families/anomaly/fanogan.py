"""f-AnoGAN: a GAN of what is normal, and an encoder that shows what is not (Schlegl et al. 2019).

Paper: f-AnoGAN: Fast Unsupervised Anomaly Detection with Generative Adversarial Networks, Medical Image Analysis 54.
Command: ``sparring train normal/ --family fanogan``, then ``sparring score runs/normal-fanogan new/ --out scores/``

Trained on normal samples alone. First G and D play as in WGAN-GP; then both are held, and E learns the codes by which G
makes a sample again, so that D sees the same in both (izi_f). G makes nothing that is not normal: how far a sample is
from what G makes of its code, in its own numbers and in D's features, is its score.

Departures: DCGAN's layers in place of residual ones, normalised within a sample; tables, which the paper does not have;
no weights are averaged (``--train.ema_kimg``), since E inverts the G that is there.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sparring.core.anomaly import Abnormal
from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, Train, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.fanogan import Critic, encoder, generator
from sparring.nn.together import judge_together
from sparring.objectives import penalties
from sparring.objectives.adversarial import wasserstein

SHARE = 0.7  # of a run, that of G and D


@dataclass(frozen=True)
class Config:
    """Settings of `FAnoGAN`."""

    z_dim: int = setting(128, "size of the latent; of a table half its columns, 2 to 32")
    width: int = setting(32, "channels of the finest layer; of a table 128, the units of each hidden layer")
    gp_weight: float = setting(10.0, "weight of the penalty (||grad D|| - 1)^2 between reals and fakes")
    d_steps: int = setting(5, "turns of D, each on fresh data, for one of G")
    gan_kimg: float = setting(700.0, "kimg of G and D; from there on they are held and E learns; 0.7 of the run")
    kappa: float = setting(1.0, "weight of D's features beside a sample's own numbers, in E's loss and in scores")
    reach: float = setting(1.0, "E's codes lie within so much of 0; the paper's 1, though G learns from normal noise")

    def __post_init__(self) -> None:
        for name in ("z_dim", "width", "d_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        for name in ("gp_weight", "gan_kimg", "reach"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.kappa < 0:
            raise ValueError(f"kappa cannot be negative, got {self.kappa}")


class FAnoGAN(Game):
    """What is normal, and how far from it. Paper and command: see the module."""

    modalities = ("image", "table")
    config_class = Config
    not_augmentable = "E is to match D's features of samples as they are"
    plays = "wasserstein"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        self.G = generator(spec, config.z_dim, config.width)
        self.D = Critic(spec, config.width)
        self.E = encoder(spec, config.z_dim, config.width)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D, "E": self.E}

    def averaged(self) -> tuple[str, ...]:
        """All of them: a score needs all three."""
        return ("G", "D", "E")

    def turns(self, nimg: int) -> list[Turn]:
        if nimg < self.config.gan_kimg * 1000:
            return [Turn("D", self.critic, times=self.config.d_steps), Turn("G", self.generator)]
        return [Turn("E", self.encoder)]

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(self.config.z_dim))

    def critic(self, batch: Batch) -> Outcome:
        real, fake = batch.real, self.fakes(batch)
        real_logits, fake_logits = judge_together(self.D, [real, fake], apart=self.reference)
        mix = batch.uniform(*[1] * len(self.spec.shape))  # a point on the line between a real and a fake
        penalty = penalties.wgan_gp(self.D, real, fake, mix, self.config.gp_weight)
        loss = wasserstein.discriminator(real_logits, fake_logits) + penalty
        return Outcome(loss, {"penalty": penalty}, real_logits, fake_logits, fake)

    def generator(self, batch: Batch) -> Outcome:
        fake = self.fakes(batch)
        fake_logits = self.D(fake)
        return Outcome(wasserstein.generator(fake_logits, None), fake_logits=fake_logits, fake=fake)

    def encoder(self, batch: Batch) -> Outcome:
        """izi_f: image to code to image, and D's features of both (section 3.2)."""
        _, reconstruction, features = self.residuals(batch.real)
        terms = {"reconstruction": reconstruction.mean(), "features": features.mean()}
        return Outcome(terms["reconstruction"] + self.config.kappa * terms["features"], terms)

    def residuals(self, sample: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """G(E(x)); the mean of (x - G(E(x)))^2 of each sample; that of (f(x) - f(G(E(x))))^2."""
        again: Tensor = self.G(self.config.reach * self.E(sample))
        features = self.D.features(sample) - self.D.features(again)
        return again, (sample - again).square().flatten(1).mean(1), features.square().mean(1)

    def abnormal(self, batch: Batch) -> Abnormal:
        """A(x), E's loss of each sample, and |x - G(E(x))| (section 3.3)."""
        again, reconstruction, features = self.residuals(batch.real)
        return Abnormal(reconstruction + self.config.kappa * features, (batch.real - again).abs(), again)

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch)

    def optimisers(self) -> dict[str, Optim]:
        adam = Optim(lr=1e-4, betas=(0.0, 0.9))
        return {"G": adam, "D": adam, "E": Optim("rmsprop", lr=5e-5, betas=(0.0, 0.9))}

    @classmethod
    def refuse(cls, spec: DataSpec, config: Config, train: Train) -> None:
        if train.kimg <= config.gan_kimg:
            raise SparringError(
                f"E learns from game.gan_kimg {config.gan_kimg:g} on, and the run ends at train.kimg {train.kimg:g}: "
                "make it longer, or let E begin earlier"
            )

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        if spec.modality == "table":
            learnt = sum(column.learnt and column.kind != "constant" for column in spec.columns)
            kimg = float(min(max(round(spec.count * 0.2), 1000), 5000))
            return {
                "train": {"kimg": kimg, "batch": 128, "ema_kimg": 0.0},
                "game": {"z_dim": min(max(learnt // 2, 2), 32), "width": 128},
                "optim": {"lr": 5e-4},
            }
        return {"train": {"kimg": float(min(max(round(spec.count * 0.3), 1000), 10000)), "ema_kimg": 0.0}}

    @classmethod
    def scaled(cls, spec: DataSpec, train: Train) -> Settings:
        return {"game": {"gan_kimg": round(SHARE * train.kimg, 3)}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        return DataSpec("image", (1, 12, 9), count=64), Config(z_dim=4, width=2, d_steps=2, gan_kimg=0.02)
