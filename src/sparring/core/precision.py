"""Where networks run in bfloat16, some sums must not."""

import contextlib
from contextlib import AbstractContextManager

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> AbstractContextManager[object]:
    """No autocast inside the block on the tensor's device. On one without memory (meta) there is none to turn off."""
    kind = tensor.device.type
    return contextlib.nullcontext() if kind == "meta" else torch.autocast(kind, enabled=False)
