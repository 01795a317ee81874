"""A failure: where an execution is wrong, and why.

Every oracle gives one Failure or none.  Data only; the session decides what a failure means.
"""

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """The ways in which an execution can be wrong."""

    ERROR = "error"
    """An op wrongly fails, is wrongly accepted, or has the wrong error."""
    VALUE = "value"
    LATE_ERROR = "late error"
    """An accepted read has no value at the end, or not the value that it had at first."""
    DELIVERY_ORDER = "delivery order"
    FAULTS = "faults"
    """A fault of the device was not reported, or reported by the wrong op."""
    WORDS = "words"
    """An error is right, but its message names something that the error is not about."""
    STATISTICS = "statistics"
    """The counters of a runtime differ from what it did."""
    LAW = "law"
    """The calls on the driver break a law."""
    RELATION = "relation"
    """A case and its rewrite show different results."""
    CRASH = "crash"
    """The target raised an error that the contract does not have, or raised in its close."""
    GROWTH = "growth"
    """Every run of the program leaves more buffers alive."""
    COST = "cost"
    """The program costs the host or the device more than it should."""
    SHADER = "shader"
    """A run showed a race or another mistake in a shader."""
    ABORT = "abort"
    """The process that ran the program died."""
    HANG = "hang"


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Where an execution differs from what it should show, and why that is wrong.

    ``position`` counts ops from 0.  It is the program's length for the closing sync and for what
    shows only at the end; -1 if no op is to blame.
    """

    kind: FailureKind
    trait: str = ""
    """What must stay the same while the case shrinks, beside the kind: an error, a law, or
    nothing."""
    position: int = -1
    op: str = ""
    """The op as text, or a description if the failure is about no op."""
    what: str = ""
    """What differs, if the kind does not say it."""
    reason: str
    sides: tuple[tuple[str, str], ...] = ()
    """The two sides that differ, each with its name."""
    notes: tuple[str, ...] = ()
    """Further remarks for the reader, a line each."""
    byte: int | None = None
    """The first wrong byte of the buffer, if bytes differ."""
    details: str = ""
    """The whole message of an exception, or its traceback."""
    refused: frozenset[str] = frozenset()
    """For each op of the program that the contract refuses: its sort, and what the target did."""

    @property
    def signature(self) -> tuple[str, str]:
        """The kind and the trait; they are equal for cases that fail in the same way."""
        return str(self.kind), self.trait

    @property
    def said(self) -> str:
        """The first remark, which says the most; without remarks the reason."""
        return self.notes[0] if self.notes else self.reason

    @property
    def argument(self) -> str:
        """The failure without the details."""
        width = max((len(name) for name, _ in self.sides), default=0) + 1
        first = f"op {self.position}: {self.op}\n  " if self.position >= 0 else ""
        sides = [f"  {name + ':':{width}} {shown}" for name, shown in self.sides]
        notes = [f"  {note}" for note in self.notes]
        return "\n".join([f"{first}{self.what or self.kind}: {self.reason}", *sides, *notes])

    def __str__(self) -> str:
        details = [f"  {line}".rstrip() for line in self.details.splitlines()]
        return "\n".join([self.argument, *details])
