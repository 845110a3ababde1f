"""Where and in which precision networks run."""

import contextlib
import os
from collections.abc import Iterator
from typing import Literal

import torch

from sparring.core.errors import SparringError


def choose_device(wish: str) -> torch.device:
    """``auto`` takes CUDA (the card that ``torchrun`` means for this process), then MPS, then the CPU.

    Raises `SparringError` for a device that is not here.
    """
    if wish == "auto":
        if torch.cuda.is_available():
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
            torch.cuda.set_device(device)
            return device
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wish)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SparringError(f"train.device: '{wish}' cannot be used here ({reason}); try auto or cpu") from None
    return device


Precision = Literal["fp32", "tf32", "bf16"]


@contextlib.contextmanager
def products(precision: Precision, device: torch.device) -> Iterator[None]:
    """What a GPU multiplies inside the block is float32, or with ``tf32`` its first 11 bits, convolutions too.

    PyTorch by itself rounds convolutions and not matrix products. Raises `SparringError` for tf32 where there is none.
    """
    if device.type != "cuda":
        if precision == "tf32":
            raise SparringError(f"train.precision tf32 is a GPU's, and this is {device.type}; take fp32 or bf16")
        yield
        return
    kinds = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    before = [kind.fp32_precision for kind in kinds]
    for kind in kinds:
        kind.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        yield
    finally:
        for kind, value in zip(kinds, before, strict=True):
            kind.fp32_precision = value


def autocast(precision: Precision, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """bf16 autocast, or nothing. Penalties leave it by themselves (objectives/penalties.py)."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    """Kernels that give the same result twice, where the device has them, as resuming bit for bit asks."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before
