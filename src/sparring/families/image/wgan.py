"""Wasserstein GAN: a critic of bounded slope measures how far the fakes are (Arjovsky, Chintala, Bottou 2017).

Paper: Wasserstein GAN, arXiv 1701.07875.
Command: ``sparring train photos/ --family wgan``

Algorithm 1 on the networks of DCGAN: the critic moves five times, its weights clipped after each move, then G moves
once. The critic's loss is minus an estimate of the distance, up to the unknown bound of its slope: it may be compared
along one run and never between two.

Departures: weights are clipped after each move as in the algorithm, and before the first (the authors' code clips
before each); samples are drawn with averaged weights; of the code's extra critic moves, those of the first 25 steps
are ``--game.warmup_kimg 160``, those at every 500th step are left out.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim, Settings, setting
from sparring.core.game import Game, Turn
from sparring.core.observer import Controller
from sparring.core.spec import DataSpec
from sparring.nn.dcgan import DCDiscriminator, DCGenerator
from sparring.nn.together import judge_together
from sparring.objectives.adversarial import wasserstein
from sparring.objectives.penalties import clip_weights


@dataclass(frozen=True)
class Config:
    """Settings of `WGAN`, named as in algorithm 1."""

    z_dim: int = setting(100, "size of the latent")
    width: int = setting(64, "channels of the finest hidden layer; doubled with each coarser one")
    clip: float = setting(0.01, "c: every weight of the critic stays in [-c, c]")
    n_critic: int = setting(5, "moves of the critic to one of G, each on fresh data")
    warmup_kimg: float = setting(0.0, "so long the critic moves 100 times to one of G; 160 in the authors' code")
    critic_norm: Literal["none", "batch"] = setting("batch", "normalisation in the critic")

    def __post_init__(self) -> None:
        if self.clip <= 0:
            raise ValueError(f"clip must be above 0, got {self.clip}")
        if self.n_critic < 1:
            raise ValueError(f"n_critic must be 1 or more, got {self.n_critic}")


class WGAN(Game):
    """The critic estimates a distance, G shortens it. Paper and command: see the module."""

    config_class = Config
    plays = "wasserstein"
    not_accumulable = "BatchNorm: statistics are per microbatch"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        self.G = DCGenerator(spec.shape, config.z_dim, config.width)
        self.D = DCDiscriminator(spec.shape, config.width, config.critic_norm)
        clip_weights(self.D, config.clip)  # the first move, too, is made by a critic of bounded slope

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        warming_up = nimg < self.config.warmup_kimg * 1000
        return [Turn("D", self.critic, times=100 if warming_up else self.config.n_critic), Turn("G", self.generator)]

    def controllers(self) -> list[Controller]:
        return [WeightClip("D", self.config.clip)]

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(self.config.z_dim))

    def critic(self, batch: Batch) -> Outcome:  # lines 3 to 6; `WeightClip` is line 7
        fake = self.fakes(batch)
        real_logits, fake_logits = judge_together(self.D, [batch.real, fake], apart=self.reference)
        loss = wasserstein.discriminator(real_logits, fake_logits)
        return Outcome(loss, {"distance": -loss}, real_logits, fake_logits, fake)

    def generator(self, batch: Batch) -> Outcome:  # lines 9 to 11
        fake = self.fakes(batch)
        fake_logits = self.D(fake)
        return Outcome(wasserstein.generator(fake_logits, None), fake_logits=fake_logits, fake=fake)

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch)

    def optimisers(self) -> dict[str, Optim]:
        # Momentum makes it unstable, so the paper leaves Adam for RMSProp (sec. 4.3); 0.99 is its decay in their code.
        return {name: Optim("rmsprop", lr=5e-5, betas=(0.0, 0.99)) for name in self.players()}

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        return {}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        return DataSpec("image", (3, 12, 9), count=64), Config(z_dim=4, width=4, n_critic=2)


class WeightClip(Controller):
    """Line 7 of algorithm 1: after each move of ``player``, clamp its weights to [-limit, limit].

    A controller, because a loss may not write weights, and because nothing else is the paper's. Were the networks built
    from clamped copies of free weights (a parametrisation), a weight past the limit would get no gradient and never
    come back; a clipped one can. BatchNorm's scales and shifts are clipped, too, as in the authors' code.
    """

    def __init__(self, player: str, limit: float):
        self.player, self.limit = player, limit

    def buffers(self, game: Game) -> tuple[str, ...]:
        return ()

    def parameters(self, game: Game) -> tuple[str, ...]:
        return tuple(name for name, _ in game.named_parameters() if name.startswith(f"{self.player}."))

    def act(self, game: Game, turn: Turn, measured: Tensor | None, nimg: int) -> None:
        if self.player in turn.movers:
            clip_weights(game.get_submodule(self.player), self.limit)
