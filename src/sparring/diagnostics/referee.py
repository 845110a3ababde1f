"""The referee: listens to every rule and speaks only when signs agree over several looks."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparring.diagnostics.finding import Finding, Level, Rule, Sign
from sparring.diagnostics.history import Context, History, ticks_of
from sparring.diagnostics.rules import find_rules

# Looks are those at which a rule had something to say; with the default settings a run has twenty with samples.
WINDOW = 6
WARN = (3, 5)  # so many of the latest so many
CRITICAL = (5, 6)
SURE = (2, 3)  # where independent readings agree
LEAVE = 5  # looks in a row without the sign

RANK: dict[Level, int] = {"good": 0, "warn": 1, "critical": 2}


@dataclass
class Standing:
    """What one rule has said lately, and what the referee makes of it.

    Attributes:
        severity: the present verdict.
        since: images shown at the first of the signs that led to it.
        well: images shown at the last look that was well; 0 where none was.
        signs: the newest, oldest first, with their positions.
    """

    severity: Level = "good"
    since: int = 0
    well: int = 0
    signs: deque[tuple[int, Sign]] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def hear(self, nimg: int, sign: Sign) -> bool:
        """Take in one look; whether the verdict changed."""
        self.signs.append((nimg, sign))
        self.well = nimg if sign.level == "good" else self.well
        before = self.severity
        reached = self._reached()
        if RANK[reached] > RANK[before]:
            if before == "good":
                self.since = next(at for at, heard in self.signs if heard.level != "good")
            self.severity = reached
        elif len(self.signs) >= LEAVE and not any(
            RANK[heard.level] >= RANK[before] for _, heard in list(self.signs)[-LEAVE:]
        ):
            self.severity = reached
        return self.severity != before

    def _reached(self) -> Level:
        """The severity that the latest looks are enough for."""
        if self._seen("critical", *CRITICAL) or self._seen("critical", *SURE, sure=True):
            return "critical"
        return "warn" if self._seen("warn", *WARN) or self._seen("warn", *SURE, sure=True) else "good"

    def _seen(self, level: Level, enough: int, latest: int, sure: bool = False) -> bool:
        heard = [sign for _, sign in list(self.signs)[-latest:] if RANK[sign.level] >= RANK[level]]
        return sum(sign.sure or not sure for sign in heard) >= enough

    @property
    def confidence(self) -> float:
        """Share of the latest looks that agree with the verdict."""
        agree = [(sign.level == "good") == (self.severity == "good") for _, sign in self.signs]
        return sum(agree) / max(1, len(agree))

    @property
    def shown(self) -> Sign:
        """The newest sign that speaks for the verdict, or the newest of all."""
        fitting = [sign for _, sign in self.signs if sign.level == self.severity]
        return fitting[-1] if fitting else self.signs[-1][1]


class Referee:
    """Judges a run by its readings. The same readings give the same verdicts, live or from the log.

    Args:
        context: what there is to know beside the readings.
        rules: which to heed; left out, all built-in ones and those of other packages.
    """

    def __init__(self, context: Context, rules: Sequence[Rule] | None = None):
        found, broken = find_rules() if rules is None else (list(rules), [])
        self.rules, self.broken = found, broken
        self.history = History(context)
        self.standings = {rule.name: Standing() for rule in self.rules}

    @classmethod
    def of_log(
        cls, context: Context, records: Iterable[Mapping[str, Any]], rules: Sequence[Rule] | None = None
    ) -> "Referee":
        """One that has seen the lines of ``log.jsonl``."""
        referee = cls(context, rules)
        for nimg, terms in ticks_of(records):
            referee.see(nimg, terms)
        return referee

    def see(self, nimg: int, terms: Mapping[str, float]) -> list[Finding]:
        """Take in a tick. Returns what is new, what changed its severity, and what is over (severity ``good``)."""
        if self.history.ticks and nimg <= self.history.nimg:
            self._forget_from(nimg)
        self.history.add(nimg, terms)
        changed = [rule for rule in list(self.rules) if self._ask(rule)]
        return [self._finding(rule) for rule in changed]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What stands, the worst first; good news last."""
        standing = [rule for rule in self.rules if self._stands(rule)]
        return tuple(sorted(map(self._finding, standing), key=lambda finding: -RANK[finding.severity]))

    def _stands(self, rule: Rule) -> bool:
        standing = self.standings[rule.name]
        return bool(standing.signs) if rule.hoped_for else standing.severity != "good"

    def _ask(self, rule: Rule) -> bool:
        """Whether what is to be told of this rule changed. One that fails is named and left out."""
        try:
            sign = rule.look(self.history)
        except Exception as error:  # a stranger's rule must not end a run
            self.broken.append(f"the rule '{rule.name}' is left out: {type(error).__name__}: {error}")
            self.rules.remove(rule)
            return False
        standing = self.standings[rule.name]
        if not rule.hoped_for:
            return sign is not None and standing.hear(self.history.nimg, sign)
        if sign is None:
            standing.signs.clear()
            return False
        fresh = not standing.signs
        if fresh:
            standing.since = self.history.nimg
        standing.signs.append((self.history.nimg, sign))
        return fresh

    def _finding(self, rule: Rule) -> Finding:
        standing = self.standings[rule.name]
        sign = standing.shown
        over = standing.severity == "good" and not rule.hoped_for
        return Finding(
            name=rule.name,
            title=rule.title,
            severity=standing.severity,
            reading=sign.reading,
            value=sign.value,
            threshold=sign.threshold,
            evidence=f"over: {sign.evidence}" if over else sign.evidence,
            since=standing.since,
            nimg=self.history.nimg,
            confidence=standing.confidence,
            remedy="" if over else rule.remedy,
            against=sign.against,
            well=standing.well,
        )

    def _forget_from(self, nimg: int) -> None:
        """A run was set back: see again what is left of it."""
        kept = [tick for tick in self.history.ticks if tick[0] < nimg]
        self.history = History(self.history.context)
        self.standings = {rule.name: Standing() for rule in self.rules}
        for tick in kept:
            self.see(*tick)
