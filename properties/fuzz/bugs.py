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
from gpusim.program import Program
from properties.finding_file import Finding, write
from properties.fuzz.settings import UsageError
from properties.model.case import Case
from properties.model.failure import Failure

Signature = tuple[str, ...]


@dataclass(kw_only=True, slots=True)
class Bug:
    """One failure: its smallest program, its file, and how often it was met."""

    case: Case
    failure: Failure
    file: Path
    reproduced: bool
    """Whether the program failed again when it was run by itself."""
    count: int = 1
    unsaved: str = ""
    """Why the file could not be written; empty where it was."""

    @property
    def summary(self) -> str:
        """The failure in one line."""
        return one_line(self.failure, self.reproduced)


class Bugs:
    """Bugs in the order in which they were met."""

    def __init__(self, folder: Path, *, kernels: str) -> None:
        _check_can_save(folder)
        self.met: dict[Signature, Bug] = {}
        self._folder = folder
        self._kernels = kernels

    def add(self, case: Case, failure: Failure, *, reproduced: bool) -> Bug:
        """Note a failing case; the first of its kind is written to a file."""
        signature = signature_of(case.program, failure) + _variants(case)
        bug = self.met.get(signature)
        if bug is not None:
            bug.count += 1
            return bug
        name = re.sub(r"[/ :]", "-", f"{case.device}-{failure.kind}-{case.seed}")
        path = self._folder / f"{name}.txt"
        bug = Bug(case=case, failure=failure, file=path, reproduced=reproduced)
        self.met[signature] = bug
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write(path, self._finding(bug))
        except OSError as error:
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


def one_line(failure: Failure, reproduced: bool = True) -> str:
    """The failure in one line, for a header of a file."""
    text = "; ".join(" ".join(line.split()) for line in str(failure).splitlines())
    return text if reproduced else f"{text} (it did not fail again by itself)"
