"""The one exception that is meant for a person."""

import difflib
from collections.abc import Iterable


class SparringError(Exception):
    """What was wrong, where, and what to do, in one sentence: shown as it stands, exit code 2, never a traceback."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known word, or what there is when nothing is close."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; there is: {', '.join(known)}" if known else ""
