"""Networks for rows of a table: what they end in, and perceptrons as in CTGAN and TVAE (Xu et al. 2019, sec. 4.4)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from sparring.core.columns import Layout

NEVER = -1e9  # the logit of a state that is not there
TINY = 1e-20


class States(nn.Module):
    """The choices among an encoded row, side by side: columns of unlike numbers of states, padded to one size.

    It holds no weights. A raw row is what a network ends in: a number for each scalar, a logit for each state.
    """

    scalars: Tensor  # where the scalars lie in a row
    states: Tensor  # where the states do, in the order of a condition
    spread: Tensor  # which number of a row stands at each place of the padded choices
    back: Tensor  # and the other way round
    told: Tensor  # padded choices x scalars: 1 where a state is told by a scalar
    alone: Tensor  # 1 for each scalar of a column with one state

    def __init__(self, layout: Layout):
        super().__init__()
        self.width, self.columns = layout.width, len(layout.choices)
        self.most = max((span.states for span in layout.choices), default=0)
        spread = torch.full((self.columns, self.most), self.width)
        back = torch.zeros(layout.width, dtype=torch.int64)
        row = {span.place: number for number, span in enumerate(layout.choices)}
        for number, span in enumerate(layout.choices):
            places = torch.arange(span.states)
            spread[number, : span.states] = span.first + places
            back[span.first : span.first + span.states] = number * self.most + places
        told = torch.zeros(max(self.columns, 1) * max(self.most, 1), len(layout.scalars))
        alone = torch.zeros(len(layout.scalars))
        for number, span in enumerate(layout.scalars):
            first, last = layout.columns[span.place].told
            if span.states:
                told[row[span.place] * self.most + first : row[span.place] * self.most + last, number] = 1
            else:
                alone[number] = 1
        for name, value in (
            ("scalars", torch.tensor([span.scalar for span in layout.scalars], dtype=torch.int64)),
            ("states", torch.tensor([p for s in layout.choices for p in range(s.first, s.first + s.states)]).long()),
            *(("spread", spread.flatten()), ("back", back), ("told", told), ("alone", alone)),
        ):
            self.register_buffer(name, value, persistent=False)

    def logits(self, raw: Tensor) -> Tensor:
        """``(n, width)`` to ``(n, columns, most)``; a very negative number where there is no such state."""
        padded = torch.cat([raw, raw.new_full((len(raw), 1), NEVER)], dim=1)
        return padded.index_select(1, self.spread).view(len(raw), self.columns, self.most)

    def rows(self, scalars: Tensor, shares: Tensor) -> Tensor:
        """A row of scalars ``(n, scalars)`` and shares of states ``(n, columns, most)``.

        A scalar counts as far as its column is in a state that has one.
        """
        flat = shares.flatten(1)
        row = flat.index_select(1, self.back) if self.columns else scalars.new_zeros(len(scalars), self.width)
        if len(self.scalars):
            row = row.index_copy(1, self.scalars, scalars * self.weights(flat))
        return row

    def weights(self, flat: Tensor) -> Tensor:
        """How far each scalar counts, ``(n, scalars)``, by padded shares ``(n, columns * most)``."""
        return self.alone + flat @ self.told if self.columns else self.alone

    def noisy(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """Logits with Gumbel noise of ``uniform`` ``(n, width)``: their largest is a state drawn by the logits."""
        noise = self.logits(-torch.log(-torch.log(uniform.clamp(TINY, 1 - 1e-7)))).clamp(min=-100)
        return self.logits(raw) + noise

    def soft(self, raw: Tensor, uniform: Tensor, temperature: float) -> Tensor:
        """Encoded rows by Gumbel-softmax (Jang et al. 2017): scalars by tanh, states drawn softly."""
        return self.rows(
            torch.tanh(raw.index_select(1, self.scalars)), (self.noisy(raw, uniform) / temperature).softmax(2)
        )

    def hard(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """States drawn by their logits, as padded shares ``(n, columns, most)`` of 0 and 1."""
        if not self.columns:
            return raw.new_zeros(len(raw), 0, 0)
        return one_hot(self.noisy(raw, uniform).argmax(2), self.most).to(raw.dtype)

    def cross_entropy(self, raw: Tensor, target: Tensor) -> Tensor:
        """-sum over states of target * log softmax(logits), per sample ``(n,)``; ``target`` is laid out as a row is."""
        wanted = torch.cat([target, target.new_zeros(len(target), 1)], dim=1).index_select(1, self.spread)
        return -(wanted.view(len(raw), self.columns, self.most) * self.logits(raw).log_softmax(2)).sum((1, 2))

    def told_in(self, rows: Tensor) -> Tensor:
        """How far each scalar of encoded rows counts, ``(n, scalars)``."""
        padded = torch.cat([rows, rows.new_zeros(len(rows), 1)], dim=1).index_select(1, self.spread)
        return self.weights(padded)

    def only_states(self, rows: Tensor) -> Tensor:
        """Encoded rows without their scalars."""
        return rows.index_fill(1, self.scalars, 0.0)

    def as_row(self, condition: Tensor) -> Tensor:
        """A condition ``(n, asked)`` laid out as a row is, 0 elsewhere."""
        return condition.new_zeros(len(condition), self.width).index_copy(1, self.states, condition)


class TableGenerator(nn.Module):
    """z and a condition to a raw row ``(n, width)``; every block adds its output to what it saw, side by side."""

    def __init__(self, inputs: int, widths: Sequence[int], outputs: int):
        super().__init__()
        self.blocks = nn.ModuleList()
        for width in widths:
            self.blocks.append(nn.Sequential(nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU()))
            inputs += width
        self.last = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = torch.cat([block(x), x], dim=1)
        raw: Tensor = self.last(x)
        return raw


class TableDecoder(nn.Module):
    """z to a raw row ``(n, width)``, and the standard deviation of each scalar, between 0.01 and 1, at first 0.1.

    It is learnt as the place ``sigmoid(STEEP * theta)`` between those ends. A number that is cut off there would get
    stuck beyond them; at first this moves as fast as that would.
    """

    STEEP = 12.0
    theta: Tensor

    def __init__(self, inputs: int, widths: Sequence[int], outputs: int, scalars: int):
        super().__init__()
        self.layers = perceptron(inputs, widths, outputs)
        theta = torch.full((scalars,), -math.log(10) / self.STEEP)
        if scalars:
            self.theta = nn.Parameter(theta)
        else:  # a table without numbers: an empty parameter would be a layer without weights
            self.register_buffer("theta", theta)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.layers(z), 0.01 + 0.99 * torch.sigmoid(self.STEEP * self.theta)


def table_critic(inputs: int, widths: Sequence[int], dropout: float) -> nn.Sequential:
    """Rows of ``inputs`` numbers to one score ``(n, 1)``; leaky ReLU of slope 0.2 and dropout behind each layer."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.LeakyReLU(0.2), nn.Dropout(dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 1))


def perceptron(inputs: int, widths: Sequence[int], outputs: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class Frequencies(nn.Module):
    """Conditions as often as the data has them: a column, each as likely, and one of its states by its count."""

    def __init__(self, layout: Layout):
        super().__init__()
        self.columns = len(layout.choices)
        most = max((span.states for span in layout.choices), default=1)
        ends = torch.ones(max(self.columns, 1), most, dtype=torch.float64)
        for number, span in enumerate(layout.choices):
            counts = torch.tensor(layout.columns[span.place].counts or (1,) * span.states, dtype=torch.float64)
            ends[number, : span.states] = counts.cumsum(0) / counts.sum().clamp(min=1)
        firsts = torch.tensor([span.asked for span in layout.choices] or [0])
        self.register_buffer("ends", ends, persistent=False)
        self.register_buffer("firsts", firsts, persistent=False)
        self.asked = layout.asked

    def draw(self, uniform: Tensor) -> Tensor:
        """Conditions ``(n, asked)`` from uniform numbers ``(n, 2)`` in [0, 1)."""
        given = uniform.new_zeros(len(uniform), self.asked)
        if not self.columns:
            return given
        column = (uniform[:, 0] * self.columns).long().clamp(max=self.columns - 1)
        ends = self.get_buffer("ends")[column]
        state = (uniform[:, 1:].to(ends.dtype) >= ends).sum(1).clamp(max=ends.shape[1] - 1)
        return given.scatter_(1, (self.get_buffer("firsts")[column] + state)[:, None], 1.0)
