"""DoppelGANger: series with attributes, each normalised by itself (Lin et al. 2020).

Paper: Using GANs for Sharing Networked Time Series Data: Challenges, Initial Promise, and Open Questions,
arXiv 1909.13403.
Command: ``sparring train stock.csv --family doppelganger``

A series is made in three steps: its attributes; then, given these, the middle and half of the range of each channel,
which are two more attributes; then, given all of them, its steps within that range, by an LSTM that emits several of
them at once. Without the ranges G would make one height for all, as amplitudes of real series differ by magnitudes. Two
critics judge: one all of it, the other the attributes alone, which are too few numbers among the steps to be heard.

Departures, each said in docs/families/doppelganger.md: the penalty of the critic of attributes is one-sided; one flag a
step where the authors' code has two; the steps of one LSTM step come from one linear layer; a length that they do not
divide is cut off; samples are drawn with averaged weights and in evaluation mode.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.columns import Column
from sparring.core.config import Optim, Settings, setting
from sparring.core.game import Game, Turn
from sparring.core.series import Channel, Series
from sparring.core.spec import DataSpec
from sparring.core.steps import join, split
from sparring.nn.series import StepGenerator, attribute_network, series_critic
from sparring.nn.table import States
from sparring.objectives import penalties
from sparring.objectives.adversarial import wasserstein

LEAST_HALF = 1e-6  # of a range, by which a channel that stands still is divided
GOES_ON = 4.0  # logit that a series goes on, before anything is learnt: by halves it would end with its first step


@dataclass(frozen=True)
class Config:
    """Settings of `DoppelGANger`."""

    sample_len: int = setting(10, "S: steps of a series that come from one step of the LSTM")
    z_dim: int = setting(5, "size of the noise of the attributes, of the ranges, and of each step of the LSTM")
    width: int = setting(100, "units of G: of the LSTM, and of each hidden layer for attributes")
    critic_width: int = setting(200, "units of each hidden layer of both critics")
    critic_depth: int = setting(4, "hidden layers of both critics")
    auto_normalise: bool = setting(True, "scale each channel of each series by its own range, which G makes first")
    d_steps: int = setting(1, "turns of the critics, each on fresh data, for one of G")
    gp_weight: float = setting(10.0, "weight of the penalty (||grad D|| - 1)^2, one-sided of attributes")
    attribute_weight: float = setting(1.0, "alpha: weight of the critic of attributes beside the other")

    def __post_init__(self) -> None:
        for name in ("sample_len", "z_dim", "width", "critic_width", "critic_depth", "d_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        for name in ("gp_weight", "attribute_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} cannot be negative, got {getattr(self, name)}")


class Generator(nn.Module):
    """Attributes, ranges, steps: what `DoppelGANger` trains as one player.

    Whole samples lie side by side: attributes, ranges, flags, and the channels one after the other.
    """

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__()
        series, length = series_of(spec), spec.shape[1]
        self.channels, self.flags = len(series.channels), series.flags
        self.states = States(series.layout)
        self.about = series.layout.width
        self.ranges = 2 * self.channels * config.auto_normalise
        self.attributes = attribute_network(config.z_dim, config.width, self.about) if self.about else None
        inputs = self.about + config.z_dim
        self.range = attribute_network(inputs, config.width, self.ranges) if self.ranges else None
        outputs, about, together = self.channels + self.flags, self.about + self.ranges, min(config.sample_len, length)
        self.series = StepGenerator(about, config.z_dim, config.width, outputs, length, together)
        with torch.no_grad():
            self.series.heads.bias.view(together, outputs)[:, self.channels :] = GOES_ON

    def forward(self, of_about: Tensor, of_steps: Tensor, begin: Tensor, hard: bool = False) -> Tensor:
        """Samples ``(n, ...)`` as critics see them.

        Args:
            of_about: noise of the attributes and of the ranges, ``(n, 2, z_dim)``.
            of_steps: noise of the steps of the LSTM, ``(n, steps, z_dim)``.
            begin: the LSTM's state to begin with, ``(n, 2 width)``.
            hard: attributes are each in one state, and a series ends where its flag falls below a half.
        """
        about = said = begin[:, :0]
        if self.attributes is not None:
            raw = self.attributes(of_about[:, 0])
            about, said = self.chosen(raw, hard), self.chosen(raw, hard=True).detach()
        if self.range is not None:
            ranges = torch.tanh(self.range(torch.cat([of_about[:, 1], said], dim=1)))
            about, said = torch.cat([about, ranges], dim=1), torch.cat([said, ranges.detach()], dim=1)
        raw = self.series(of_steps, said, begin)
        channels = torch.tanh(raw[:, : self.channels])
        if not self.flags:
            return torch.cat([about, channels.flatten(1)], dim=1)
        goes_on = torch.sigmoid(raw[:, self.channels :, 1:])
        alive = torch.cat([torch.ones_like(raw[:, -1:, :1]), goes_on], 2).cumprod(2)
        if hard:
            alive = (alive > 0.5).to(raw.dtype)
        return torch.cat([about, (alive * 2 - 1).flatten(1), (channels * alive).flatten(1)], dim=1)

    def chosen(self, raw: Tensor, hard: bool) -> Tensor:
        """Attributes by softmax, or each in its likeliest state."""
        shares = self.states.logits(raw).softmax(2)
        if hard and self.states.columns:
            shares = nn.functional.one_hot(shares.argmax(2), self.states.most).to(raw.dtype)
        return self.states.rows(torch.tanh(raw.index_select(1, self.states.scalars)), shares)


class DoppelGANger(Game):
    """Attributes, ranges, steps, and two critics. Paper and command: see the module."""

    modalities = ("series",)
    config_class = Config
    not_accumulable = "BatchNorm in G: statistics are per microbatch"
    plays = "wasserstein"

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        self.series, self.length = series_of(spec), spec.shape[1]
        self.G = Generator(spec, config)
        self.told = self.G.about + self.G.ranges  # numbers of attributes, ranges among them
        steps = (self.G.channels + self.G.flags) * self.length
        self.D = series_critic(self.told + steps, config.critic_width, config.critic_depth)
        if self.told:
            self.D_attributes = series_critic(self.told, config.critic_width, config.critic_depth)

    def players(self) -> dict[str, nn.Module]:
        critics = {"D": self.D, "D_attributes": self.D_attributes} if self.told else {"D": self.D}
        return {"G": self.G, **critics}

    def judges(self) -> tuple[str, ...]:
        return ("D", "D_attributes") if self.told else ("D",)

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn(self.judges(), self.critics, times=self.config.d_steps), Turn("G", self.generator)]

    # ------------------------------------------------------------------ losses

    def critics(self, batch: Batch) -> Outcome:
        """L1 + alpha L2 of the paper (section 4.2), less the share of G; each critic has its own optimiser.

        Between two numbers the critic of attributes has a slope of 1 either way: by a two-sided penalty it pays to keep
        one that has the wrong sign, as the way over 0 costs more than the distance of the attributes is worth.
        """
        fake, real = batch.share("G", self.fakes), self.normalised(batch.real)
        real_logits, fake_logits = self.D(real), self.D(fake)
        penalty = penalties.wgan_gp(self.D, real, fake, batch.uniform(1), self.config.gp_weight)
        loss, terms = wasserstein.discriminator(real_logits, fake_logits) + penalty, {"penalty": penalty}
        if self.told:
            ours, theirs = real[:, : self.told], fake[:, : self.told]
            apart = wasserstein.discriminator(self.D_attributes(ours), self.D_attributes(theirs))
            mix = batch.uniform(1)
            bent = penalties.wgan_gp(self.D_attributes, ours, theirs, mix, self.config.gp_weight, one_sided=True)
            loss = loss + self.config.attribute_weight * (apart + bent)
            terms |= {"attributes": apart, "attribute_penalty": bent}
        return Outcome(loss, terms, real_logits, fake_logits, fake)

    def generator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.fakes)
        fake_logits = self.D(fake)
        loss, terms = wasserstein.generator(fake_logits, None), dict[str, Tensor]()
        if self.told:
            attributes = wasserstein.generator(self.D_attributes(fake[:, : self.told]), None)
            loss = loss + self.config.attribute_weight * attributes
            terms = {"attributes": attributes}
        return Outcome(loss, terms, fake_logits=fake_logits, fake=fake)

    def fakes(self, batch: Batch, hard: bool = False) -> Tensor:
        z_dim, steps = self.config.z_dim, self.G.series.steps
        begin = batch.noise(2 * self.config.width)
        fake: Tensor = self.G(batch.noise(2, z_dim), batch.noise(steps, z_dim), begin, hard)
        return fake

    # ------------------------------------------------------------------ normalised and back

    def normalised(self, samples: Tensor) -> Tensor:
        """Real samples ``(n, rows, length)`` as G makes them: attributes, ranges, flags, channels within their ranges.

        A range is told as its middle and half, the latter from -1 (none) to 1 (all that the data has).
        """
        channels, there, about = split(samples, self.series)
        alive = there[:, None].to(channels.dtype)
        parts = [about]
        if self.G.ranges:
            low = channels.masked_fill(~there[:, None], 2).amin(2, keepdim=True)
            high = channels.masked_fill(~there[:, None], -2).amax(2, keepdim=True)
            middle, half = (high + low) / 2, (high - low) / 2
            channels = (channels - middle) / half.clamp(min=LEAST_HALF)
            parts += [middle.squeeze(2), half.squeeze(2) * 2 - 1]
        if self.series.flags:
            parts.append((alive * 2 - 1).squeeze(1))
        return torch.cat([*parts, (channels * alive).flatten(1)], dim=1)

    def sample(self, batch: Batch) -> Tensor:
        """What G makes, taken out of its ranges."""
        count, length = len(self.series.channels), self.length
        sizes = [self.G.about, self.G.ranges, length * self.series.flags, count * length]
        about, ranges, flags, values = self.fakes(batch, hard=True).split(sizes, dim=1)
        channels = values.view(-1, count, length)
        there = flags > 0 if self.series.flags else torch.ones_like(channels[:, 0], dtype=torch.bool)
        if self.G.ranges:
            middle, half = ranges.view(-1, 2, count, 1).unbind(1)
            channels = (middle + (half + 1) / 2 * channels).clamp(-1, 1)
        return join(channels, there, about, self.series)

    # ------------------------------------------------------------------ settings

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=1e-3, betas=(0.5, 0.999)) for name in self.players()}

    @classmethod
    def defaults(cls, spec: DataSpec) -> Settings:
        """400 passes as in the paper, within bounds, in batches of 100."""
        return {"train": {"kimg": float(min(max(round(spec.count * 0.4), 1500), 5000)), "batch": 100, "ema_kimg": 0.5}}

    @classmethod
    def tiny(cls) -> tuple[DataSpec, Config]:
        attributes = (
            Column("kind", "categorical", (30, 34), ("a", "b")),
            Column("size", "continuous", (64,), centres=(0.0,), reaches=(1.0,)),
        )
        series = Series((Channel("x", 0.0, 1.0), Channel("y", -5.0, 5.0)), attributes, flags=True)
        spec = DataSpec("series", (series.rows, 8), count=64, series=series)
        return spec, cls.config_class(sample_len=3, z_dim=2, width=8, critic_width=8, critic_depth=2)


def series_of(spec: DataSpec) -> Series:
    """What the rows are. Raises `ValueError` where that is not said."""
    if spec.series is None:
        raise ValueError("series cannot be made without their channels")
    return spec.series
