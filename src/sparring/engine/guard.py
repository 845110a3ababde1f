"""Nothing that is not finite reaches a weight."""

import torch
from torch import Tensor, nn


class NonFinite(ArithmeticError):
    """A gradient that is not finite, with the turn and parameter where it was seen."""

    def __init__(self, turn: str, parameter: str, nimg: int):
        super().__init__(f"the gradient of {parameter} is not finite in turn {turn} at {nimg / 1000:.3f} kimg")
        self.turn, self.parameter, self.nimg = turn, parameter, nimg


def gradient_norm(parameters: list[tuple[str, nn.Parameter]]) -> Tensor:
    """Joint L2 norm of the gradients; not finite when any gradient is not."""
    gradients = [p.grad for _, p in parameters if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)


def first_non_finite(parameters: list[tuple[str, nn.Parameter]]) -> str:
    """Name of the first parameter whose gradient is not finite."""
    for name, parameter in parameters:
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            return name
    return "several parameters together (each is finite, their norm overflows)"


def clip(parameters: list[tuple[str, nn.Parameter]], norm: Tensor, limit: float) -> None:
    """Scale the gradients so that their joint norm is at most ``limit``."""
    torch.nn.utils.clip_grads_with_norm_([p for _, p in parameters], limit, norm)
