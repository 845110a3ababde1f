"""Tables in a notebook: see `Synthesizer`."""

from sparring.tools.tables import Synthesizer

__all__ = ["Synthesizer"]
