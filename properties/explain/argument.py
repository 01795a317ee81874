"""An argument: why a case fails, as data, and as ten lines of text.

A text or a page is a rendering of an argument.  Nothing here finds anything out.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from gpusim.program import Program
from gpusim.trace import Event
from properties.model.case import Case
from properties.model.failure import Failure
from properties.model.results import cut_hex, cut_line
from properties.oracles.laws.catalogue import Law

MOST_LINES = 10
NONE_BROKEN = "the calls on the device break none"
_MOST_BRIEF = 6
_FIRST_FACT = 2
"""The row of the first fact, after the sentence and what shows it."""
_BROKEN = "is broken first"
_MOST_SAID = 110
_LEFT_OUT = ("or", "inevitable", "free", "clock")
"""Rows that the report of a session leaves out.

If an argument would have over ten lines, these rows are dropped first, in this order.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Crossing:
    """Two ops that took effect in the wrong order: ``later`` was called after ``earlier``."""

    earlier: int
    later: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ByteStory:
    """A wrong byte: its place, the value that it should have, and the value that came back."""

    buffer: str
    byte: int
    meant: int
    shown: int
    writer: int
    """The op whose byte should have been seen; -1 if no op wrote the byte."""
    source: str = ""
    """Which op wrote what came back instead, and to which byte; empty if unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """The numbers of the calls on the device at which an op reached each clock; -1 for never.

    Recording makes no call, so ``recorded`` is the first call after the op began.
    """

    position: int
    recorded: int
    submitted: int = -1
    done: int = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """Why a case fails.

    ``sentence``: what went wrong, with the op to blame.  ``facts``: what contradicts the rule.
    ``rule``: the law, or the sentence of the contract, that was broken.  ``clock``: on which of the
    three clocks the op went wrong.  ``first_broken``: the first law that the trace breaks.
    ``passes``: small changes with which the case passes.  ``fails``: changes with which the case
    fails as before.  ``free``: whether data and scalars may be anything.  ``inevitable``: the step
    from which on the case could only fail.  ``others``: further mistakes that would look the same.
    """

    failure: Failure
    case: Case
    sentence: str
    facts: tuple[str, ...] = ()
    rule: Law | None = None
    clock: str = ""
    first_broken: str = ""
    passes: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()
    free: str = ""
    inevitable: str = ""
    others: tuple[str, ...] = ()
    culprit: int = -1
    crossing: Crossing | None = None
    lost: tuple[int, ...] = ()
    """The ops that had no effect, as far as the bytes show."""
    bytes: tuple[ByteStory, ...] = ()
    reached: tuple[Reached, ...] = ()
    events: tuple[Event, ...] = field(default=(), repr=False)
    """The trace: marks for the ops and, if the device is traced, the calls on it."""

    @property
    def marked(self) -> tuple[int, ...]:
        """The ops that went wrong."""
        crossing = self.crossing
        if crossing is not None:
            return crossing.earlier, crossing.later
        return self.lost or (self.culprit,) * (self.culprit >= 0)

    @property
    def program(self) -> Program:
        """The program that fails."""
        return self.case.program

    @property
    def lines(self) -> tuple[str, ...]:
        """The argument in ten lines at most, the sentence first."""
        rows = [row for row in self._rows if row[1]]
        for name in (*_LEFT_OUT, *("fact",) * len(self.facts)):
            if len(rows) > MOST_LINES:
                # Of the facts, the last tells least.
                last = max((n for n, row in enumerate(rows) if row[0] == name), default=-1)
                rows = [row for n, row in enumerate(rows) if n != last]
        return _said(rows)

    @property
    def in_full(self) -> tuple[str, ...]:
        """The argument with all that is known, for a page."""
        return _said(self._rows)

    @property
    def brief(self) -> tuple[str, ...]:
        """Six lines at most: what went wrong, facts, the rule, and what cures it."""
        rows = [row for row in self._rows if row[0] not in _LEFT_OUT and row[1]]
        for is_weak in self._weak:
            # Of several weak rows the last is dropped first; the first fact always stays.
            weak = [n for n, row in enumerate(rows) if n > _FIRST_FACT and is_weak(row)]
            while len(rows) > _MOST_BRIEF and weak:
                del rows[weak.pop()]
        return _said(rows)

    @property
    def _weak(self) -> tuple[Callable[[tuple[str, str]], bool], ...]:
        """Tests for rows that tell little; the test for those that tell least comes first."""
        has_facts = len(self.facts) > 1
        name = self.rule.name if self.rule is not None else ""
        return (
            lambda row: row == ("law", NONE_BROKEN),
            lambda row: row[0] == "fact" and row[1].startswith("byte "),
            lambda row: has_facts and row[0] == "law" and row[1].startswith(f"{name} {_BROKEN}"),
            lambda row: has_facts and row[0] == "law" and f" {_BROKEN}" in row[1],
            lambda row: row[0] == "fact",
        )

    @property
    def _rows(self) -> list[tuple[str, str]]:
        rule = self.rule
        said = rule and f"{_law(rule)}: {rule.sentence} ({rule.source})"
        return [
            ("", self.sentence),
            ("shown by", _shown_by(self.failure)),
            *(("fact", fact) for fact in self.facts),
            ("rule", said or ""),
            ("clock", self.clock),
            ("law", self.first_broken),
            ("passes", self._flips),
            ("free", self.free),
            ("inevitable", self.inevitable),
            ("or", "; ".join(self.others)),
        ]

    @property
    def _flips(self) -> str:
        return "; ".join([*self.passes, *(f"not {text}" for text in self.fails)])

    def __str__(self) -> str:
        return "\n  ".join(self.lines)


def _said(rows: list[tuple[str, str]]) -> tuple[str, ...]:
    filled = [(name, cut_line(cut_hex(" ".join(text.split())))) for name, text in rows if text]
    return tuple(f"{name}: {text}" if name else text for name, text in filled)


def _law(rule: Law) -> str:
    return f"law {rule.name}" if rule.name[:1].isupper() else rule.name


def _shown_by(failure: Failure) -> str:
    """The op that shows the failure, with what was expected and what came."""
    op = f"op {failure.position}: {failure.op}" if failure.position >= 0 else failure.op
    sides = ", ".join(f"{name} {said_shortly(shown)}" for name, shown in failure.sides)
    return "; ".join(part for part in (_without_middle(cut_hex(op)), sides) if part)


def said_shortly(message: str) -> str:
    """A message without its "(probably ...)", and shortened if that is still too long.

    Shortening keeps what stands before the first ": ", and the reason after the last "because".  If
    that is still too long, only its two ends stay.
    """
    text = " ".join(cut_hex(message).split()).partition(" (probably")[0]
    head, because, reason = text.rpartition(" because ")
    if len(text) > _MOST_SAID and because:
        text = f"{head.partition(': ')[0]}: {reason}"
    return _without_middle(text)


def _without_middle(text: str) -> str:
    """``text`` without its middle if it is long, since its two ends say most."""
    half = _MOST_SAID // 2
    return text if len(text) <= _MOST_SAID else f"{text[:half]} ... {text[-half:]}"
