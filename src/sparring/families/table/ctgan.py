"""Conditional GAN for tables with training by sampling (Xu et al. 2019).

Paper: Modeling Tabular Data using Conditional GAN, arXiv 1907.00503.
Command: ``sparring train people.csv --family ctgan``

Rows are dealt with a condition, one state of one column, drawn so that rare values are seen almost as often as common
ones; G is told the condition and pays a cross-entropy where its row does not meet it, D judges rows with their
conditions, ``pac`` of them at once (PacGAN). A sample without a condition gets one as often as the data has it.

Departures, each a setting or said in docs/families/ctgan.md: D judges single rows, without dropout, and both players
move faster; conditions are states of any column, modes of numbers among them; a scalar counts as far as its state does;
samples are drawn with averaged weights and in evaluation mode; conditions of samples follow the frequencies of the
data, not their logarithms.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.columns import Column, Layout
from sparring.core.config import Optim, Settings, Train, setting
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.privacy import Private
from sparring.core.spec import DataSpec
from sparring.nn.table import Frequencies, States, TableGenerator, table_critic
from sparring.objectives import accountant, penalties
from sparring.objectives.accountant import Reading
from sparring.objectives.adversarial import wasserstein
from sparring.objectives.private import private_loss, wgan_gp


@dataclass(frozen=True)
class Config:
    """Settings of `CTGAN`."""

    z_dim: int = setting(128, "size of the latent")
    width: int = setting(256, "units of each hidden layer")
    depth: int = setting(2, "hidden layers of G, and of D")
    pac: int = setting(1, "rows that D judges together (in the paper 10); the batch is a multiple of it")
    gp_weight: float = setting(
        10.0, "weight of the penalty (||grad D|| - 1)^2 over all values of the rows judged together"
    )
    temperature: float = setting(0.2, "of the Gumbel-softmax: the lower, the harder the choice between states")
    dropout: float = setting(0.0, "share of D's units that are silent in each pass (in the paper's code 0.5)")
    condition_weight: float = setting(1.0, "weight of the cross-entropy of the state that was asked for")
    dp: Private = setting(Private(), "differential privacy of the rows")  # noqa: RUF009 (it is frozen)

    def __post_init__(self) -> None:
        for name in ("z_dim", "width", "depth", "pac"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is a share from 0 to below 1, got {self.dropout}")
        if self.temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")


class CTGAN(Game):
    """Rows by condition. Paper and command: see the module."""

    modalities = ("table",)
    config_class = Config
    not_accumulable = "BatchNorm in G: statistics are per microbatch"
    asks = True
    plays = "wasserstein"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        layout = Layout(spec.columns)
        self.states, self.frequencies = States(layout), Frequencies(layout)
        widths = [config.width] * config.depth
        self.G = TableGenerator(config.z_dim + layout.asked, widths, layout.width)
        self.D = table_critic(config.pac * (layout.width + layout.asked), widths, config.dropout)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.private_critic if self.config.dp.epsilon else self.critic), Turn("G", self.generator)]

    def asked(self, batch: Batch) -> Tensor:
        """The conditions that were dealt, or that a person gave; else as often as the data has them."""
        return self.frequencies.draw(batch.uniform(2)) if batch.given is None else batch.given

    def made(self, batch: Batch) -> Tensor:
        """What G ends in, before its states are drawn, and the conditions that it was told, side by side."""
        condition = self.asked(batch)
        return torch.cat([self.G(torch.cat([batch.noise(self.config.z_dim), condition], dim=1)), condition], dim=1)

    def parts(self, batch: Batch, made: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Raw rows, rows whose states are drawn softly, and conditions."""
        raw, condition = made.split([self.states.width, made.shape[1] - self.states.width], dim=1)
        return raw, self.states.soft(raw, batch.uniform(self.states.width), self.config.temperature), condition

    def packed(self, rows: Tensor, condition: Tensor) -> Tensor:
        """Rows with their conditions, ``pac`` of them side by side (Lin et al. 2018)."""
        return torch.cat([rows, condition], dim=1).view(len(rows) // self.config.pac, -1)

    def critic(self, batch: Batch) -> Outcome:
        _, rows, condition = self.parts(batch, batch.share("G", self.made))
        real, fake = self.packed(batch.real, condition), self.packed(rows, condition)
        real_logits, fake_logits = self.D(real), self.D(fake)
        loss = wasserstein.discriminator(real_logits, fake_logits)
        mix = batch.uniform(1)[: len(real)]  # one number for all rows that are judged together
        penalty = penalties.wgan_gp(self.D, real, fake, mix, self.config.gp_weight)
        return Outcome(loss + penalty, {"penalty": penalty}, real_logits, fake_logits, rows)

    def private_critic(self, batch: Batch) -> Outcome:
        """As `critic`, with the gradient of each pack clipped and noise in their sum (docs: Privacy).

        G is told conditions as often as the noisy counts say; a real row comes with a state that it is in itself.
        """
        dp = self.config.dp
        _, rows, condition = self.parts(batch, batch.share("G", self.made))
        real = self.packed(batch.real, self.own_condition(batch.real, batch.uniform(1)))
        fake = self.packed(rows, condition)
        mix = batch.uniform(1)[: len(real)]
        count = sum(weight.numel() for weight in self.D.parameters() if weight.requires_grad)
        noise = dp.noise * dp.clip * batch.noise(-(-count // batch.size)).flatten()[:count]
        found = private_loss(self.D, wgan_gp(self.config.gp_weight), (real, fake, mix), dp.clip, noise)
        terms = {"penalty": found.readings["penalty"].mean(), "clipped": (found.norms > dp.clip).float().mean()}
        return Outcome(found.loss, terms, found.readings["real"][:, None], found.readings["fake"][:, None], rows)

    def own_condition(self, rows: Tensor, uniform: Tensor) -> Tensor:
        """Of each row the state that one of its columns is in, each column as likely by ``uniform`` ``(n, 1)``."""
        column = (uniform * self.states.columns).long()
        of_column = self.states.back.index_select(0, self.states.states) // max(self.states.most, 1)
        return rows.index_select(1, self.states.states) * (of_column == column)

    def generator(self, batch: Batch) -> Outcome:
        raw, rows, condition = self.parts(batch, batch.share("G", self.made))
        fake_logits = self.D(self.packed(rows, condition))
        missed = self.states.cross_entropy(raw, self.states.as_row(condition)).mean()
        loss = wasserstein.generator(fake_logits, None) + self.config.condition_weight * missed
        return Outcome(loss, {"condition": missed}, fake_logits=fake_logits, fake=rows)

    def sample(self, batch: Batch) -> Tensor:
        return self.parts(batch, self.made(batch))[1]

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=1e-3, betas=(0.5, 0.9), weight_decay=1e-6, schedule="cosine") for name in self.players()}

    @classmethod
    def refuse(cls, spec: DataSpec, config: Config, train: Train) -> None:
        if train.batch // train.microbatches % config.pac:
            raise SparringError(
                f"train.batch {train.batch} in {train.microbatches} microbatches leaves rows over: D judges "
                f"{config.pac} at once (game.pac)"
            )
        if config.dp.epsilon:
            accountant.refuse(config.dp, Reading.of(spec, train), train.batch // config.pac, train)

    @classmethod
    def private(cls, config: Config) -> Private | None:
        return config.dp if config.dp.epsilon else None

    @classmethod
    def implied(cls, spec: DataSpec, config: Config, train: Train) -> list[tuple[Settings, str]]:
        return accountant.implied(config.dp, Reading.of(spec, train)) if config.dp.epsilon else []

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        return {"train": {"kimg": float(min(max(round(spec.count * 0.1), 500), 5000)), "batch": 500, "ema_kimg": 25.0}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        columns = (
            Column("a", "categorical", (30, 20, 14), ("x", "y", "z")),
            Column("b", "continuous", (40, 20, 4), centres=(0.0,), reaches=(1.0,), points=(5.0,), missing=True),
        )
        layout = Layout(columns)
        spec = DataSpec("table", (layout.width,), count=64, given=(layout.asked,), columns=columns)
        return spec, cls.config_class(z_dim=4, width=8, pac=2)
