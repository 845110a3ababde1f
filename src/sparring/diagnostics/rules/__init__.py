"""Every rule of the referee: a file for each failure, and those of other packages by entry point."""

import importlib.metadata

from sparring.diagnostics.finding import Rule
from sparring.diagnostics.rules.class_confusion import ClassConfusion
from sparring.diagnostics.rules.collapse import Collapse
from sparring.diagnostics.rules.converged import Converged
from sparring.diagnostics.rules.discriminator_overfitting import DiscriminatorOverfitting
from sparring.diagnostics.rules.divergence import Divergence
from sparring.diagnostics.rules.dropped_modes import DroppedModes
from sparring.diagnostics.rules.imbalance import DeadDiscriminator, StrongDiscriminator, WeakDiscriminator
from sparring.diagnostics.rules.memorisation import Memorisation
from sparring.diagnostics.rules.non_finite import NonFinite
from sparring.diagnostics.rules.oscillation import Oscillation
from sparring.diagnostics.rules.spectra import SpectralCollapse, SpectralExplosion
from sparring.diagnostics.rules.vanishing_gradient import VanishingGradient

ENTRY_POINTS = "sparring.rules"

# In the order in which findings of one severity are told: causes before their effects.
BUILT_IN: tuple[type[Rule], ...] = (
    NonFinite,
    Divergence,
    VanishingGradient,
    DeadDiscriminator,
    Collapse,
    DroppedModes,
    Memorisation,
    DiscriminatorOverfitting,
    Oscillation,
    SpectralExplosion,
    SpectralCollapse,
    WeakDiscriminator,
    StrongDiscriminator,
    ClassConfusion,
    Converged,
)


def find_rules() -> tuple[list[Rule], list[str]]:
    """Every rule, and a sentence for each plug-in that cannot be used."""
    rules, broken = [rule() for rule in BUILT_IN], []
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            rule = entry.load()()
            if not isinstance(rule, Rule):
                raise TypeError("it is no sparring.diagnostics.finding.Rule")
            if any(rule.name == other.name for other in rules):
                raise ValueError(f"another rule is called '{rule.name}'")
            rules.append(rule)
        except Exception as error:  # whatever a stranger's module raises is shown, not thrown
            broken.append(f"the rule '{entry.name}' ({entry.value}) is left out: {type(error).__name__}: {error}")
    return rules, broken
