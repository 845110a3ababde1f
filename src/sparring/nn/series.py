"""Networks for series with attributes: DoppelGANger's perceptrons and batched LSTM (Lin et al. 2020, sec. 4)."""

import torch
from torch import Tensor, nn

from sparring.nn.table import perceptron


def attribute_network(inputs: int, width: int, outputs: int, hidden: int = 2) -> nn.Sequential:
    """Noise ``(n, inputs)`` to ``(n, outputs)``: hidden layers of ReLU, then BatchNorm."""
    layers: list[nn.Module] = []
    for _ in range(hidden):
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.BatchNorm1d(width)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def series_critic(inputs: int, width: int, hidden: int = 4) -> nn.Sequential:
    """Values of a sample side by side, ``(n, inputs)``, to one score ``(n, 1)``; nothing in it looks across a batch."""
    return perceptron(inputs, [width] * hidden, 1)


class StepGenerator(nn.Module):
    """Noise and what is known of a series to its steps, several of them for each step of an LSTM.

    Fewer steps through which to remember: a series of 100 takes 10 of them (the paper's batched generation).

    Args:
        about: numbers that are known of the series, told at each step.
        z_dim: numbers of noise at each step.
        width: of the LSTM.
        outputs: numbers that a step of the series has.
        length: steps of the series.
        together: of them that come from one step of the LSTM; the last may have some over, which are cut off.
    """

    def __init__(self, about: int, z_dim: int, width: int, outputs: int, length: int, together: int):
        super().__init__()
        self.steps, self.length, self.outputs = -(-length // together), length, outputs
        self.cell = nn.LSTMCell(about + z_dim, width)
        self.heads = nn.Linear(width, together * outputs)

    def forward(self, noise: Tensor, about: Tensor, begin: Tensor) -> Tensor:
        """Raw steps ``(n, outputs, length)``.

        Args:
            noise: ``(n, steps, z_dim)``.
            about: ``(n, about)``.
            begin: ``(n, 2 width)``, the state to begin with.
        """
        hidden, cell = begin.chunk(2, dim=1)
        parts = []
        for step in range(self.steps):
            hidden, cell = self.cell(torch.cat([about, noise[:, step]], dim=1), (hidden, cell))
            parts.append(self.heads(hidden))
        made = torch.stack(parts, dim=1).view(len(noise), -1, self.outputs)
        return made[:, : self.length].transpose(1, 2)
