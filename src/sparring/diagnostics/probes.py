"""Every probe of the referee, those of other packages included.

Another package offers one by the entry point ``sparring.probes``: a callable without arguments, such as a class, that
returns a `sparring.core.observer.Probe`.
"""

import importlib.metadata

from sparring.core.game import Game
from sparring.core.observer import Probe
from sparring.diagnostics.gradients import FakeGradient
from sparring.diagnostics.judges import Judges
from sparring.diagnostics.logits import Logits, Pace
from sparring.diagnostics.samples import Samples
from sparring.diagnostics.weights import Weights

ENTRY_POINTS = "sparring.probes"


def find_probes(game: Game, pace: Pace, microbatches: int = 1, seed: int = 0) -> tuple[dict[str, Probe], list[str]]:
    """Every probe by name, and a sentence for each plug-in that cannot be used.

    Args:
        game: what is watched.
        pace: which steps are read.
        microbatches: of this process.
        seed: of whatever a probe draws.
    """
    probes: dict[str, Probe] = {
        "logits": Logits(game, pace),
        "gradients": FakeGradient(game, pace, microbatches),
        "samples": Samples(copies=not game.gives, seed=seed),
        "judges": Judges(),
        "weights": Weights(),
    }
    broken = []
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            probe = entry.load()()
            if not isinstance(probe, Probe):
                raise TypeError("it is no sparring.core.observer.Probe")
            if entry.name in probes:
                raise ValueError(f"another probe is called '{entry.name}'")
            probes[entry.name] = probe
        except Exception as error:  # whatever a stranger's module raises is shown, not thrown
            broken.append(f"the probe '{entry.name}' ({entry.value}) is left out: {type(error).__name__}: {error}")
    return probes, broken
