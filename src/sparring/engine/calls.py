"""How a module is called: another way may stand between, with the same name, weights and hooks."""

from collections.abc import Callable
from typing import Any

from torch import nn


def call_through(module: nn.Module, way: Callable[..., Any]) -> None:
    """Calls of ``module`` go to ``way``, which may call ``module._call_impl``, as `nn.Module.compile` has it.

    A copy of the module is called as ever: ``way`` knows this one alone.
    """
    module._compiled_call_impl = way
