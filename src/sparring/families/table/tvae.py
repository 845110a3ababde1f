"""Variational autoencoder for tables (Xu et al. 2019): no adversary, the honest baseline beside ctgan.

Paper: Modeling Tabular Data using Conditional GAN, arXiv 1907.00503, section 4.4.
Command: ``sparring train people.csv --family tvae``

An encoder E and a decoder, which is called G here as everywhere, move together on one loss: how well G says a row again
from what E made of it, and how far E's codes are from standard normal noise. Samples are decoded noise.

Departures: states of samples are drawn by their probabilities where the authors' code takes the likeliest; a scalar
counts only where its state has one; deviations are learnt through a sigmoid; samples are drawn with averaged weights.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.columns import Column, Layout
from sparring.core.config import Optim, Settings, setting
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.nn.table import States, TableDecoder, perceptron
from sparring.objectives.reconstruction import gaussian, kl_to_normal


@dataclass(frozen=True)
class Config:
    """Settings of `TVAE`."""

    z_dim: int = setting(128, "size of the latent")
    width: int = setting(128, "units of each hidden layer")
    depth: int = setting(2, "hidden layers of E, and of G")
    recon_weight: float = setting(2.0, "weight of the reconstruction beside the distance of codes from noise")

    def __post_init__(self) -> None:
        for name in ("z_dim", "width", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")


class TVAE(Game):
    """One team, no adversary. Paper and command: see the module."""

    modalities = ("table",)
    config_class = Config

    def __init__(self, spec: DataSpec, config: Config):
        super().__init__(spec, config)
        layout = Layout(spec.columns)
        self.states = States(layout)
        widths = [config.width] * config.depth
        self.E = perceptron(layout.width, widths, 2 * config.z_dim)
        self.G = TableDecoder(config.z_dim, widths, layout.width, len(layout.scalars))

    def players(self) -> dict[str, nn.Module]:
        return {"E": self.E, "G": self.G}

    def judges(self) -> tuple[str, ...]:
        return ()

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn(("E", "G"), self.autoencoder)]

    def autoencoder(self, batch: Batch) -> Outcome:
        """The evidence lower bound, its reconstruction ``recon_weight`` times, as a loss."""
        mean, log_variance = self.E(batch.real).chunk(2, dim=1)
        raw, deviations = self.G(mean + torch.exp(log_variance / 2) * batch.noise(self.config.z_dim))
        told = self.states.told_in(batch.real)
        scalars = gaussian(torch.tanh(raw[:, self.states.scalars]), deviations, batch.real[:, self.states.scalars])
        said = (scalars * told).sum(1) + self.states.cross_entropy(raw, self.states.only_states(batch.real))
        apart = kl_to_normal(mean, log_variance)
        terms = {"reconstruction": said.mean(), "codes": apart.mean()}
        return Outcome(self.config.recon_weight * said.mean() + apart.mean(), terms)

    def sample(self, batch: Batch) -> Tensor:
        raw, deviations = self.G(batch.noise(self.config.z_dim))
        shares = self.states.hard(raw, batch.uniform(self.states.width))
        scalars = torch.tanh(raw[:, self.states.scalars]) + deviations * batch.noise(len(self.states.scalars))
        return self.states.rows(scalars.clamp(-1, 1), shares)

    def optimisers(self) -> dict[str, Optim]:
        return {name: Optim(lr=1e-3, betas=(0.9, 0.999), weight_decay=1e-5) for name in self.players()}

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
        return spec, cls.config_class(z_dim=4, width=8)
