"""``--train.reference``: formulas as they are written, in place of their faster rewritings."""

from collections.abc import Iterable


class Rewritten:
    """Of a module: it computes its formula another, faster way. Where `reference`, it computes it as it is written."""

    reference: bool = False


def set_reference(modules: Iterable[object], wanted: bool) -> None:
    """Say which way, to those of the ``modules`` that know two."""
    for module in modules:
        if isinstance(module, Rewritten):
            module.reference = wanted
