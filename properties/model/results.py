"""What the judge hands to a caller: findings, the error that carries one, and a session's result.

The text of a finding is made here, so that the command line, a test that fails and a report for
other tools say the same.  Data only; nothing here runs or explains a program.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from gpusim.program import Program

MOST_LINES = 8
"""The most lines of a finding that can be replayed; a session's report adds two of its own."""
_MOST_COLUMNS = 240
"""The most characters of a line, except the command, which people copy."""
_HEX = re.compile(r"\b[0-9a-f]{33,}\b")
_SHOWN_HEX = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A program that a target fails, as small as the judge could make it."""

    program: Program
    failure: str
    """The op that shows the failure, the expected result and the actual one."""
    path: Path | None = None
    """The file of the finding; None if there is no file."""
    replay: str = ""
    """The command that replays that file; empty after a replay."""
    reproduced: bool = True
    """Whether the program failed again when it was run by itself."""
    is_cut_short: bool = False
    """Whether the time for shrinking ran out, so that the program may become smaller."""
    unsaved: str = ""
    """Why the file could not be written; empty if it was written, or no file was wanted."""
    argument: tuple[str, ...] = ()
    """Why the program fails, in lines, the most telling first; empty if not explained."""

    def __str__(self) -> str:
        """At most eight lines if ``replay`` is given; otherwise the whole program and failure."""
        if not self.replay:
            whole = f"{self.program}\n{cut_hex(self.failure)}"
            return "\n".join([*self.argument, *[""] * bool(self.argument), whole, *self._doubts])
        last = [f"  program: {_in_a_line(self.program)}", *self._doubts, f"replay: {self.replay}"]
        told = self.argument or tuple(self.failure.splitlines())
        first, *rest = map(_cut, told[: MOST_LINES - len(last)])
        return "\n".join([first, *(f"  {line.strip()}" for line in rest), *last])

    @property
    def _doubts(self) -> list[str]:
        lines = ["  It did not fail again when it was run by itself."] * (not self.reproduced)
        cut_short = "  Shrinking it was cut short: with more time it may become smaller."
        unsaved = [f"  It could not be saved: {self.unsaved}"] * bool(self.unsaved)
        return lines + [cut_short] * self.is_cut_short + unsaved


class TargetFailed(AssertionError):
    """A target failed a program.  ``finding`` says which, and where."""

    __module__ = "gpusim.testing"  # A traceback shows this module, which users can import.

    def __init__(self, target: str, finding: Finding) -> None:
        super().__init__(f"{target} fails this program:\n\n{finding}")
        self.finding = finding


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionResult:
    """The results of a session.  Only a valid session without findings counts as clean."""

    device: str
    """The name of the device; never ``best``."""
    programs: int
    """How many programs ran."""
    seconds: float
    seed: int
    findings: tuple[Finding, ...]
    """The different findings, in the order in which they were met."""
    invalid_because: str
    """Why the session is invalid, for instance a missed planted mistake; empty if it is valid."""
    interrupted: bool
    """Whether Ctrl-C ended it."""


def cut_hex(text: str) -> str:
    """``text`` with long runs of hexadecimal digits cut."""
    return _HEX.sub(
        lambda met: f"{met[0][:_SHOWN_HEX]}...({len(met[0]) // 2} bytes)",
        text,
    )


def _in_a_line(program: Program) -> str:
    ops = str(program).splitlines()
    # The commands of a capture are joined like ops, so the end of a capture must be visible.
    shown = _cut("; ".join(f"({op})" if "; " in op else op for op in ops))
    return f"{shown} ({len(ops)} ops)" if shown.endswith("...") else shown


def _cut(line: str) -> str:
    return cut_line(cut_hex(line))


def cut_line(line: str) -> str:
    """``line``, cut if it has too many characters."""
    return line if len(line) <= _MOST_COLUMNS else f"{line[: _MOST_COLUMNS - 3]}..."
