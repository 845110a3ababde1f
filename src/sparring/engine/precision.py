"""Where and in which precision networks run."""

import contextlib
import os
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


def autocast(precision: Literal["fp32", "bf16"], device: torch.device) -> contextlib.AbstractContextManager[object]:
    """bf16 autocast, or nothing. Penalties leave it by themselves (objectives/penalties.py)."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()
