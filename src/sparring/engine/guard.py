"""Nothing that is not finite reaches a weight.

On a CPU the norm of a turn's gradient is read at once, and the turn is stopped or skipped (`Prompt`). To read a number
off an accelerator is to wait for all that it has still to do: there the verdict stays on the device, the optimisers
heed it there, and it is read where a run looks at numbers anyway (`Deferred`).
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from sparring.core.config import Train

Parameters = Sequence[tuple[str, nn.Parameter]]
Verdict = Tensor | bool


class NonFinite(ArithmeticError):
    """A gradient that is not finite, with the turn and parameter where it was seen."""

    def __init__(self, turn: str, parameter: str, nimg: int):
        super().__init__(f"the gradient of {parameter} is not finite in turn {turn} at {nimg / 1000:.3f} kimg")
        self.turn, self.parameter, self.nimg = turn, parameter, nimg


class Guard(Protocol):
    """What the engine asks.

    Attributes:
        skipped: turns that were skipped, because a gradient was not finite, since the last step without any.
        stumbles: those of them that nobody was told of yet.
    """

    skipped: int
    stumbles: list[NonFinite]

    def begin(self) -> None:
        """A step begins."""

    def end(self) -> None:
        """A step ends."""

    def see(self, turn: str, parameters: Parameters, norm: Tensor, nimg: int) -> Verdict:
        """Whether the turn is to move nobody; a tensor, 1 for yes, is to be heeded on the device.

        Raises `NonFinite` when the gradient is not finite, unless ``train.guard`` skips and its patience lasts.
        """

    def settle(self) -> None:
        """Read what was not read yet; raises `NonFinite` as `see` does. Until then no turn moved anybody."""


class Prompt:
    """Reads one number a turn."""

    def __init__(self, train: Train):
        self.limit = patience(train)
        self.skipped = self.before = 0
        self.stumbles: list[NonFinite] = []

    def begin(self) -> None:
        self.before = self.skipped

    def end(self) -> None:
        if self.skipped == self.before:
            self.skipped = 0

    def see(self, turn: str, parameters: Parameters, norm: Tensor, nimg: int) -> bool:
        if bool(norm.isfinite()):
            return False
        failure = NonFinite(turn, first_non_finite(parameters), nimg)
        self.skipped += 1
        if self.skipped > self.limit:
            raise failure
        self.stumbles.append(failure)
        return True

    def settle(self) -> None:
        """Everything is read."""


class Deferred:
    """Reads nothing until it is asked to settle. From the turn on that ends the run, no turn moves anybody."""

    def __init__(self, train: Train, device: torch.device):
        self.limit, self.device = patience(train), device
        self.stumbles: list[NonFinite] = []
        # A turn's name and those of the parameters that move in it, more and more where a network grows, to the norm of
        # each one's gradient where it stumbled last.
        self.norms: dict[tuple[str, tuple[str, ...]], Tensor] = {}
        self._forget(0)

    def _forget(self, skipped: int) -> None:
        def number(value: int) -> Tensor:
            return torch.full((), value, dtype=torch.int64, device=self.device)

        self.row = self.before = number(skipped)  # skipped since the last step without any
        self.count, self.over = number(0), number(0)  # skipped since they were read; whether patience has ended
        self.at, self.where = number(0), number(0)  # images shown and place in `norms` of the last of them

    @property
    def skipped(self) -> int:
        """As `Guard` says; reads a number."""
        return int(self.row)

    @skipped.setter
    def skipped(self, value: int) -> None:
        self._forget(value)

    def begin(self) -> None:
        self.before = self.row

    def end(self) -> None:
        self.row = torch.where(self.row == self.before, 0, self.row)

    @torch.no_grad()
    def see(self, turn: str, parameters: Parameters, norm: Tensor, nimg: int) -> Tensor:
        moving = [(name, p.grad) for name, p in parameters if p.grad is not None]
        bad = ~norm.isfinite()
        if not moving:
            return bad.float()
        key = (turn, tuple(name for name, _ in moving))
        norms = torch.stack(torch._foreach_norm([gradient for _, gradient in moving]))
        new = bad & (self.over == 0)
        self.row, self.count = self.row + new, self.count + new
        self.at = torch.where(new, nimg, self.at)
        self.norms[key] = torch.where(new, norms, self.norms.get(key, norms))
        self.where = torch.where(new, list(self.norms).index(key), self.where)
        self.over = self.over | (new & (self.row > self.limit))
        return (bad | (self.over > 0)).float()

    def settle(self) -> None:
        count, over, at, where = torch.stack([self.count, self.over, self.at, self.where]).tolist()
        if not count:
            return
        (turn, names), norms = list(self.norms.items())[where]
        wrong = (~norms.isfinite()).tolist()
        failure = NonFinite(turn, next((n for n, bad in zip(names, wrong, strict=True) if bad), TOGETHER), at)
        self.stumbles += [failure] * (count - over)
        self._forget(self.skipped)
        if over:
            raise failure


@contextlib.contextmanager
def undone(tensors: Sequence[Tensor], where: Tensor) -> Iterator[None]:
    """What the block writes to ``tensors`` is taken back where a scalar on their device says 1."""
    kept = [tensor.detach().clone() for tensor in tensors]
    yield
    with torch.no_grad():
        for tensor, before in zip(tensors, kept, strict=True):
            tensor.copy_(torch.where(where > 0, before, tensor))


def patience(train: Train) -> int:
    """How many turns in a row may be skipped."""
    return train.guard_limit if train.guard == "skip" else 0


def gradient_norm(parameters: Parameters) -> Tensor:
    """Joint L2 norm of the gradients; not finite when any gradient is not."""
    gradients = [p.grad for _, p in parameters if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)


TOGETHER = "several parameters together (each is finite, their norm overflows)"


def first_non_finite(parameters: Parameters) -> str:
    """Name of the first parameter whose gradient is not finite."""
    for name, parameter in parameters:
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            return name
    return TOGETHER


def clip(parameters: Parameters, norm: Tensor, limit: float) -> None:
    """Scale the gradients so that their joint norm is at most ``limit``."""
    torch.nn.utils.clip_grads_with_norm_([p for _, p in parameters], limit, norm)
