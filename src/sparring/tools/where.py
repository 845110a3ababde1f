"""Rows of a table that meet conditions: ``"income=>50K,sex=Female,age>=30"``.

Of several conditions the rarest steers the generator; whatever it makes is decoded and kept only if all of them hold,
so every row that is given out meets them exactly. How often it may try is bounded.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.core.batch import Batch
from sparring.core.cells import is_missing, is_number, to_time
from sparring.core.columns import Column, Layout
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.game import Game
from sparring.core.rows import Rows, Values, compact, decode
from sparring.core.seeds import seed_of
from sparring.tools.sample import CHUNK

TRIES = 100  # rows made for each one that is wanted, at most
LEAST_TRIES = 20_000
OPERATORS: dict[str, Callable[[Values, float], NDArray[np.bool_]]] = {
    "!=": lambda x, y: x != y,
    "<=": lambda x, y: x <= y,
    ">=": lambda x, y: x >= y,
    "=": lambda x, y: x == y,
    "<": lambda x, y: x < y,
    ">": lambda x, y: x > y,
}
GRID = np.linspace(-1, 1, 201)  # places in a mode, in reaches: 4 standard deviations to either side
BELL = np.exp(-8 * GRID**2) / np.exp(-8 * GRID**2).sum()


@dataclass(frozen=True)
class Term:
    """One condition.

    Attributes:
        place: the number of its column.
        text: as it was written.
        holds: which of some values of the column meet it.
    """

    place: int
    text: str
    holds: Callable[[Values], NDArray[np.bool_]]


def parse_where(text: str, columns: Sequence[Column]) -> list[Term]:
    """Read conditions, separated by commas, each ``COLUMN OPERATOR VALUE``.

    Numbers and dates take ``= != < <= > >=``, anything else ``=`` and ``!=``; several values are parted by ``|``, and
    ``missing`` is one. A comma parts conditions only where a column and an operator follow it.

    Raises:
        SparringError: for a column, an operator or a value that there is not.
    """
    names = sorted((column.name for column in columns), key=len, reverse=True)
    known, operators = "|".join(map(re.escape, names)), "|".join(OPERATORS)
    terms = []
    for part in re.split(rf",(?=\s*(?:{known})\s*(?:{operators}))", text):
        match = re.match(rf"\s*({known})\s*({operators})(.*)", part, re.S)
        if match is None:
            name = re.split("[!<>=]", part, maxsplit=1)[0].strip()
            raise SparringError(
                f"'{part.strip()}' is no condition{did_you_mean(name, names)}; write income=>50K,age>=30"
            )
        place = [column.name for column in columns].index(match[1])
        terms.append(Term(place, part.strip(), _test(columns[place], match[2], match[3].strip())))
    return terms


def _test(column: Column, operator: str, value: str) -> Callable[[Values], NDArray[np.bool_]]:
    if column.kind == "identifier":
        raise SparringError(f"'{column.name}' numbers the rows and cannot be asked for")
    if column.numeric:
        return _number_test(column, operator, value)
    known = [*column.categories, *column.rest]
    if operator not in ("=", "!="):
        whole = f"{operator}{value}"
        hint = f"{column.name}={whole}" if whole in known else f"{column.name}={known[0] if known else 'missing'}"
        raise SparringError(f"'{column.name}' is {column.kind} and takes = and != only, as in {hint}")
    wanted = [_code(column, known, part.strip()) for part in ([value] if value in known else value.split("|"))]
    return lambda codes: np.isin(codes, wanted) == (operator == "=")


def _code(column: Column, known: list[str], word: str) -> int:
    if word in known:
        return known.index(word)
    if column.missing and (word == "missing" or is_missing(word)):
        return -1
    raise SparringError(f"'{column.name}' has no value '{word}'{did_you_mean(word, known[:1000])}")


def _number_test(column: Column, operator: str, value: str) -> Callable[[Values], NDArray[np.bool_]]:
    if value == "missing" or is_missing(value):
        if operator not in ("=", "!=") or not column.missing:
            raise SparringError(
                f"'{column.name}' is never missing" if column.missing is False else "missing takes = and !="
            )
        return lambda numbers: np.isnan(numbers) == (operator == "=")
    limit = to_time(value, column.format) if column.kind == "date" else float(value) if is_number(value) else None
    if limit is None:
        what = f"a date as in the data ({column.format})" if column.kind == "date" else "a number"
        raise SparringError(f"'{column.name}' is compared with {what}; got '{value}'")
    compare = OPERATORS[operator]
    return lambda numbers: compare(numbers, limit) & ~np.isnan(numbers)


def weights(term: Term, column: Column) -> NDArray[np.float64]:
    """How many rows of the data meet a condition in each state of its column; of modes it is estimated."""
    counts = np.array(column.counts or (1,) * column.states, np.float64)
    met = np.zeros(len(counts))
    if column.numeric:
        modes = len(column.centres)
        for k, (centre, reach) in enumerate(zip(column.centres, column.reaches, strict=True)):
            numbers = np.clip(centre + GRID * reach, column.minimum, column.maximum)
            numbers = numbers if column.decimals < 0 else numbers.round(column.decimals)
            met[k] = (BELL * term.holds(numbers)).sum()
        met[modes : modes + len(column.points)] = term.holds(np.array(column.points))
        if column.missing:
            met[-1] = term.holds(np.array([np.nan]))[0]
    else:
        first = len(column.categories)
        met[:first] = term.holds(np.arange(first))
        if column.rest:
            rare = term.holds(np.arange(first, first + len(column.rest)))
            met[first] = (rare * np.array(column.rest_counts)).sum() / max(sum(column.rest_counts), 1)
        if column.missing:
            met[-1] = term.holds(np.array([-1]))[0]
    return counts * met


def steering(terms: Sequence[Term], layout: Layout) -> tuple[int, NDArray[np.float64]] | None:
    """Where in a condition the states of the rarest term's column begin, and their cumulative shares; None where no
    term is of a column with states. Raises `SparringError` for a term that no row of the data meets."""
    found: list[tuple[float, int, NDArray[np.float64]]] = []
    for term in terms:
        column, span = layout.columns[term.place], layout.spans[term.place]
        if column.base or not column.learnt:
            continue
        met = weights(term, column)
        share = met.sum() / max(sum(column.counts), 1)
        if column.counts and share <= 1e-9:
            raise SparringError(f"no row of the training data meets '{term.text}', so none can be made")
        if span.states:
            found.append((share, span.asked, met.cumsum() / met.sum()))
    if not found:
        return None
    _, asked, ends = min(found, key=lambda item: item[0])
    return asked, ends


@torch.inference_mode()
def draw_where(game: Game, text: str, count: int, first: int = 0) -> Iterator[Tensor]:
    """Yield ``count`` encoded rows that meet the conditions, `CHUNK` at a time, from seeds ``first`` on.

    Raises:
        SparringError: for conditions that cannot be read or met, or not within `TRIES` rows for each.
    """
    layout = Layout(game.spec.columns)
    if not layout.columns:
        raise SparringError("--where is for runs on tables; this one makes other things")
    terms = parse_where(text, layout.columns)
    lead = steering(terms, layout)
    device = next(game.parameters()).device
    tried, kept, waiting, most = 0, 0, torch.empty(0, layout.width, device=device), max(TRIES * count, LEAST_TRIES)
    while kept + len(waiting) < count:
        if tried >= most:
            raise SparringError(
                f"of {tried:,} rows made, {kept + len(waiting):,} meet '{text}', and {count:,} are wanted: it is too "
                "rare, or these things do not go together; ask for fewer rows or less"
            )
        seeds = range(first + tried, first + tried + CHUNK)
        given = conditions(seeds, *lead, layout.asked) if lead is not None and game.asks else None
        rows = game.sample(Batch.of_seeds(seeds, None, device, given=given))
        met = meets(terms, decode(compact(rows, layout), layout))
        waiting = torch.cat([waiting, rows[torch.from_numpy(met).to(device)]])
        tried += CHUNK
        while len(waiting) >= CHUNK and kept + CHUNK <= count:
            yield waiting[:CHUNK]
            waiting, kept = waiting[CHUNK:], kept + CHUNK
    if count > kept:
        yield waiting[: count - kept]


def conditions(seeds: Sequence[int], asked: int, ends: NDArray[np.float64], width: int) -> Tensor:
    """One condition for each seed ``(n, width)``: a state drawn by its cumulative shares."""
    draws = [torch.rand(1, generator=torch.Generator().manual_seed(seed_of("where", seed))).item() for seed in seeds]
    states = np.searchsorted(ends, draws, side="right").clip(0, len(ends) - 1)
    given = torch.zeros(len(draws), width)
    return given.scatter_(1, torch.from_numpy(asked + states)[:, None], 1.0)


def meets(terms: Sequence[Term], rows: Rows) -> NDArray[np.bool_]:
    """Which rows meet all terms."""
    return np.logical_and.reduce([term.holds(rows.values[term.place]) for term in terms])
