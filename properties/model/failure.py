"""What is wrong with an execution: where it shows, and the argument.

Every oracle gives one Failure or none.  What a failure means for a session is the session's
business.
"""

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """What an execution shows that it must not."""

    ERROR = "error"
    """An op is refused or fails, is accepted, or is refused for another reason."""
    VALUE = "value"
    LATE_ERROR = "late error"
    """A read that was accepted has no value at the end, or another than at first."""
    DELIVERY_ORDER = "delivery order"
    FAULTS = "faults"
    """A fault of the device was not told, or told to the wrong op."""
    LAW = "law"
    """The calls on the device break a law."""
    RELATION = "relation"
    """A case and the same case transformed show different things."""
    CRASH = "crash"
    """The target raised what the contract has no class for, or as it was closed."""
    ABORT = "abort"
    """The process that ran it died."""
    HANG = "hang"


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Where an execution parts from what it should show, and why that is wrong.

    ``position`` counts ops from 0 and is the program's length for the closing
    sync and for what only shows at the end; -1 where no op is to blame.
    """

    kind: FailureKind
    trait: str = ""
    """What else must stay the same while the case shrinks: the error, the law, or nothing."""
    position: int = -1
    op: str = ""
    """The op as text, or what stands in its place."""
    what: str = ""
    """What differs, where the kind does not say it."""
    reason: str
    sides: tuple[tuple[str, str], ...] = ()
    """What was held against what, each with its name."""
    notes: tuple[str, ...] = ()
    """What else belongs to the argument, a line each."""
    byte: int | None = None
    """The first wrong byte of the buffer, where that is what differs."""
    details: str = ""
    """What an exception said, whole: a message of several lines, or a traceback."""

    @property
    def signature(self) -> tuple[str, str]:
        """Failures with equal ones fail in the same way."""
        return str(self.kind), self.trait

    @property
    def argument(self) -> str:
        """All of it but the details."""
        width = max((len(name) for name, _ in self.sides), default=0) + 1
        first = f"op {self.position}: {self.op}\n  " if self.position >= 0 else ""
        sides = [f"  {name + ':':{width}} {shown}" for name, shown in self.sides]
        notes = [f"  {note}" for note in self.notes]
        return "\n".join([f"{first}{self.what or self.kind}: {self.reason}", *sides, *notes])

    def __str__(self) -> str:
        details = [f"  {line}".rstrip() for line in self.details.splitlines()]
        return "\n".join([self.argument, *details])
