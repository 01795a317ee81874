"""The distinct failures of a session; each is written to one file.

Two failing programs count as one bug where they shrink to the same kinds of ops and
fail in the same way.  Nothing is shrunk or judged here.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import wgpu

import gpusim
from gpusim.errors import ProgramError
from gpusim.program import Program
from properties.finding_file import Finding, printable, write
from properties.fuzz.settings import UsageError
from properties.model.case import Case
from properties.model.failure import Failure
from properties.shrink.reducer import Shrunk

Signature = tuple[str, ...]


@dataclass(kw_only=True, slots=True)
class Bug:
    """One failure: its smallest program, its file, and how often it was met."""

    case: Case
    failure: Failure
    file: Path
    reproduced: bool | None
    """Whether the program failed again when it was run by itself; None where it was not run."""
    shrunk: Shrunk | None = None
    """The result of shrinking it; None where it was not shrunk."""
    count: int = 1
    unsaved: str = ""
    """Why the file could not be written; empty where it was."""

    @property
    def is_cut_short(self) -> bool:
        """Whether shrinking was cut short, by its time or the session's end."""
        return self.reproduced is None or (self.shrunk is not None and self.shrunk.is_cut_short)

    @property
    def summary(self) -> str:
        """The failure in one line."""
        return one_line(self.failure, self.reproduced, self.is_cut_short)


class Bugs:
    """Bugs in the order in which they were met."""

    def __init__(self, folder: Path, *, kernels: str) -> None:
        _check_can_save(folder)
        self.met: dict[Signature, Bug] = {}
        self._folder = folder
        self._kernels = kernels

    def add(
        self,
        case: Case,
        failure: Failure,
        *,
        reproduced: bool | None,
        shrunk: Shrunk | None = None,
    ) -> Bug:
        """Note a failing case; the first of its kind is written to a file."""
        signature = signature_of(case.program, failure) + _variants(case)
        bug = self.met.get(signature)
        if bug is not None:
            bug.count += 1
            return bug
        name = re.sub(r"[/ :]", "-", f"{case.device}-{failure.kind}-{case.seed}")
        path = self._folder / f"{name}.txt"
        bug = Bug(case=case, failure=failure, file=path, reproduced=reproduced, shrunk=shrunk)
        self.met[signature] = bug
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write(path, self._finding(bug))
        except (OSError, ProgramError) as error:
            # It may have taken hours to find, so it is shown even without a file.
            bug.unsaved = str(error)
        return bug

    def __len__(self) -> int:
        return len(self.met)

    @property
    def failures(self) -> int:
        """Programs that failed."""
        return sum(bug.count for bug in self.met.values())

    def _finding(self, bug: Bug) -> Finding:
        return Finding(
            case=bug.case,
            versions=f"gpusim {gpusim.__version__}, wgpu {wgpu.__version__}",
            summary=bug.summary,
            kernels=self._kernels,
            details=printable(bug.failure.details),
        )


def signature_of(program: Program, failure: Failure) -> Signature:
    """How a program failed, and the kinds of its ops."""
    kinds = {type(op).__name__ for op in program}
    return *failure.signature, *sorted(kinds)


def _check_can_save(folder: Path) -> None:
    """Raise UsageError where ``folder``, which may be missing still, cannot be written to."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(
            f"cannot save findings in {folder} because {there} is no folder that can be written "
            "(probably another is meant: --save)"
        )


def _variants(case: Case) -> Signature:
    """The kinds of a case's transformations, and its client."""
    return (case.client, *sorted(each.name for each in case.transformations))


def one_line(failure: Failure, reproduced: bool | None = True, is_cut_short: bool = False) -> str:
    """The failure in one line, for a header of a file."""
    lines = printable(failure.argument).splitlines()
    text = "; ".join(" ".join(line.split()) for line in lines)
    text += " (it did not fail again by itself)" * (reproduced is False)
    return text + " (shrinking it was cut short)" * is_cut_short
