"""The small file in which a person says what columns are, where what is seen of them is not enough."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparring.core.columns import Column
from sparring.core.config import build
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.settings_file import read_file

KINDS = ("continuous", "integer", "date", "categorical", "boolean", "identifier", "drop")
KEYS = ("columns", "header", "missing", "protected", "rules", "series", "target")


@dataclass(frozen=True)
class Roles:
    """What columns of a long table of series are for; the others are channels.

    Attributes:
        id: tells series apart; "": the table is one series.
        time: orders the rows of a series; "": seen from the columns, else the order of the file.
        window: steps of the windows that series are cut into; 0: they stay whole, and their lengths may differ.
        attributes: say something of a series as a whole, the same in all its rows.
    """

    id: str = ""
    time: str = ""
    window: int = 0
    attributes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.window and not 2 <= self.window <= 1 << 20:
            raise ValueError(f"window is 2 steps to 2^20, or 0 for whole series; got {self.window}")


@dataclass(frozen=True)
class Schema:
    """What a person says of a table.

    Attributes:
        columns: the kind of some columns, by name; a date may say its format, as in ``date %d/%m/%Y``.
        header: whether the first line names the columns; None: seen from the line.
        missing: more texts that mean "missing".
        rules: ``"start <= end"`` and ``"total = a + b"``, which samples keep exactly.
        target: the column that models are to predict; "": the last one, if it has few values.
        protected: columns that say who people are, by which samples are audited for fairness.
        series: of a table of series, what its columns are for.
    """

    columns: dict[str, str] = field(default_factory=dict)
    header: bool | None = None
    missing: frozenset[str] = frozenset()
    rules: tuple[str, ...] = ()
    target: str = ""
    protected: tuple[str, ...] = ()
    series: Roles | None = None

    def kind(self, name: str) -> str:
        """What is said of a column, without a format; "" where nothing is."""
        return self.columns.get(name, "").split(" ", 1)[0]

    def format(self, name: str) -> str:
        """The format that is said of a date, or ""."""
        return self.columns.get(name, "").partition(" ")[2].strip()


def read_schema(path: str) -> Schema:
    """Read a schema file (TOML or JSON); "" is an empty one. Raises `SparringError` for what it does not know."""
    if not path:
        return Schema()
    said = read_file(Path(path).expanduser())
    for key in said:
        if key not in KEYS:
            raise SparringError(f"{path}: unknown key '{key}'{did_you_mean(key, KEYS)}")
    columns, header, target = said.get("columns", {}), said.get("header"), said.get("target", "")
    if not isinstance(columns, dict):
        raise SparringError(f"{path}: [columns] holds lines of NAME = KIND")
    for name, kind in columns.items():
        if not isinstance(kind, str) or kind.split(" ", 1)[0] not in KINDS:
            raise SparringError(f"{path}: column '{name}' is one of {', '.join(KINDS)}; got {kind!r}")
    if header not in (None, True, False):
        raise SparringError(f"{path}: header is true or false; got {header!r}")
    if not isinstance(target, str):
        raise SparringError(f"{path}: target is the name of a column; got {target!r}")
    missing, rules, protected = (
        _texts(said.get(key, []), f"{path}: {key}") for key in ("missing", "rules", "protected")
    )
    roles = said.get("series")
    if roles is not None and not isinstance(roles, dict):
        raise SparringError(f"{path}: [series] holds lines of id, time, window and attributes")
    series = None if roles is None else build(Roles, roles, f"{path}: series")
    return Schema(dict(columns), header, frozenset(text.lower() for text in missing), rules, target, protected, series)


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SparringError(f"{where} is a list of texts; got {value!r}")
    return tuple(value)


@dataclass(frozen=True)
class Rule:
    """``name`` is never below ``base``, or the sum of ``terms``."""

    name: str
    base: str = ""
    terms: tuple[str, ...] = ()


def read_rules(schema: Schema, columns: list[Column]) -> list[Rule]:
    """The rules of a schema. Raises `SparringError` for one that cannot be kept."""
    known = {column.name: column for column in columns}
    found: list[Rule] = []
    for text in schema.rules:
        if match := re.fullmatch(r"(.+?)<=(.+)", text):
            rule = Rule(match[2].strip(), base=match[1].strip())
        elif match := re.fullmatch(r"([^=]+)=([^=]+)", text):
            rule = Rule(match[1].strip(), terms=tuple(part.strip() for part in match[2].split("+")))
        else:
            raise SparringError(f"the rule '{text}' is neither 'a <= b' nor 'c = a + b'")
        others = [rule.base] if rule.base else list(rule.terms)
        for name in (rule.name, *others):
            if name not in known:
                raise SparringError(f"the rule '{text}' names no column '{name}'{did_you_mean(name, known)}")
            column = known[name]
            if not column.numeric or column.missing:
                what = "has missing values" if column.numeric else f"is {column.kind}"
                raise SparringError(f"the rule '{text}' is for numbers and dates without gaps, and '{name}' {what}")
        if len({tells_units(known[name]) for name in (rule.name, *others)}) > 1:
            raise SparringError(f"the rule '{text}' compares columns of different kinds")
        found.append(rule)
    led = [rule.name for rule in found]
    for rule in found:
        if led.count(rule.name) > 1 or {rule.base, *rule.terms} & set(led):
            raise SparringError(f"the rules of '{rule.name}' hang on one another; each column may follow one rule only")
    return found


def tells_units(column: Column) -> str:
    """What a number of this column counts."""
    return "number" if column.kind != "date" else "seconds" if "%H" in column.format else "days"
