"""sparring: trains, watches, evaluates and uses generative adversarial networks of every kind from one small engine.

import sparring
run = sparring.train("digits", kimg=60)    # a Run
images = run.sample(16, seed=7)            # float tensor (16, 1, 8, 8) in [-1, 1]
run = sparring.load("runs/digits-dcgan")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparring.core.errors import SparringError
    from sparring.tools.diagnose import diagnose
    from sparring.tools.evaluate import evaluate
    from sparring.tools.run import Run, load
    from sparring.tools.train import train

__version__ = "0.1.0"
__all__ = ["Run", "SparringError", "diagnose", "evaluate", "load", "train"]

_HOMES = {
    "Run": "sparring.tools.run",
    "SparringError": "sparring.core.errors",
    "diagnose": "sparring.tools.diagnose",
    "evaluate": "sparring.tools.evaluate",
    "load": "sparring.tools.run",
    "train": "sparring.tools.train",
}


def __getattr__(name: str) -> Any:
    """Import on first use: ``import sparring`` alone costs next to nothing."""
    if name == "tables":
        import sparring.tables

        return sparring.tables
    if name not in _HOMES:
        raise AttributeError(f"module 'sparring' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
