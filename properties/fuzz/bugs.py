"""The distinct failures of a session; each is written to one file.

``properties.fuzz.signatures`` tells which failures are of one bug.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import wgpu

import gpusim
from gpusim.errors import ProgramError
from gpusim.kernels import BUILTIN, Kernels
from properties.arguments import UsageError
from properties.explain.argument import Argument
from properties.finding_file import FindingFile, printable, write
from properties.fuzz.signatures import Signature, needs_of, signature_of
from properties.model.case import PLAIN, Case
from properties.model.failure import Failure
from properties.model.results import Finding
from properties.shrink.avoid import Avoided
from properties.shrink.reducer import Shrunk
from properties.shrink.together import Together


@dataclass(kw_only=True, slots=True)
class Bug:
    """One failure: its smallest program, its file, and how often it was met."""

    case: Case
    failure: Failure
    file: Path
    reproduced: bool | None
    """Whether the program failed again when it was run by itself; None if it was not run."""
    shrunk: Shrunk | None = None
    """The result of shrinking the program; None if it was not shrunk."""
    count: int = 1
    needs: Avoided = frozenset()
    """The forms of ops, sorts of refused ops, client and faults that the bug needs and that
    programs can leave out.  A program that leaves them out never shows the bug."""
    argument: Argument | None = None
    """Why the program fails; None if that was not explained."""
    unsaved: str = ""
    """Why the file could not be written; empty if it was written."""

    @property
    def is_cut_short(self) -> bool:
        """Whether shrinking was cut short: by its time, or by what ended the session."""
        return self.reproduced is None or (self.shrunk is not None and self.shrunk.is_cut_short)

    @property
    def summary(self) -> str:
        """The failure in one line."""
        return one_line(self.failure, self.reproduced, self.is_cut_short)

    def told(self, replay: str) -> Finding:
        """The bug as a finding for the caller; ``replay`` is the command that replays its file."""
        return Finding(
            program=self.case.program,
            failure=str(self.failure),
            path=None if self.unsaved else self.file,
            replay="" if self.unsaved else replay,
            reproduced=self.reproduced is not False,
            is_cut_short=self.is_cut_short,
            unsaved=self.unsaved,
            argument=() if self.argument is None else self.argument.brief,
        )


class Bugs:
    """Bugs in the order in which they were met."""

    def __init__(self, folder: Path, *, place: str = "", kernels: Kernels = BUILTIN) -> None:
        _check_can_save(folder)
        self.met: dict[Signature, Bug] = {}
        self.known: list[Known] = []
        self.avoided: Avoided = frozenset()
        """What most further programs leave out, since a bug that needs it was found and shrunk."""
        self.needs: Avoided = frozenset()
        """The ``needs`` of all bugs together, even of bugs whose shrinking was cut short."""
        self.explained = 0
        """How many failing programs passed once what the found bugs need was taken out of them.
        They are not counted for any one bug."""
        self.known_failures = 0
        """How many failing programs showed a bug that was known before the session."""
        self._folder = folder
        self._place = place
        self._kernels = kernels

    def know(
        self,
        file: Path,
        case: Case,
        failure: Failure | None,
        not_run_because: str,
        together: Together = (),
    ) -> None:
        """Note a finding of an earlier session.

        If it still fails (``failure``), programs that show its bug are counted and not reported.
        """
        signature = () if failure is None else signature_of(case, failure, self._kernels, together)
        needs = frozenset() if failure is None else needs_of(signature, case, failure)
        known = Known(
            file=file, signature=signature, needs=needs, case=case, not_run_because=not_run_because
        )
        self.known.append(known)
        self.needs, self.avoided = self.needs | needs, self.avoided | needs

    def take(self, signature: Signature, bug: Bug) -> None:
        """Note a bug that another session met; its file is not written.

        Of two findings of one bug, one whose shrinking was not cut short is kept.  If that is true
        of both or of neither, the one with the shorter program is kept.  A bug whose shrinking was
        cut short is not noted if it may be a bug that was met (see ``_within``).
        """
        before = self.met.get(signature)
        if before is None and bug.is_cut_short and self._within(signature) is not None:
            return
        if before is not None:
            order = [(each.is_cut_short, len(each.case.program)) for each in (before, bug)]
            if order[0] <= order[1]:
                return
            bug.count = before.count
        self._note(signature, bug)

    def add(
        self,
        case: Case,
        failure: Failure,
        *,
        reproduced: bool | None,
        shrunk: Shrunk | None = None,
        together: Together = (),
    ) -> Bug | None:
        """Count a failing case as a new bug or as one that was met, and return that bug.

        The file of a new bug is written.  None if the bug is known from an earlier session.
        """
        signature = signature_of(case, failure, self._kernels, together)
        if self._is_known(signature):
            self.known_failures += 1
            return None
        is_cut_short = shrunk is not None and shrunk.is_cut_short
        bug = self.met.get(signature) or (self._within(signature) if is_cut_short else None)
        if bug is None and not is_cut_short and shrunk is not None:
            bug = self._around(signature)
        if bug is not None:
            bug.count += 1
            if not bug.is_cut_short or is_cut_short or shrunk is None:
                if not is_cut_short and shrunk is not None:
                    self._leave_out(bug, needs_of(signature, case, failure))
                return bug
            bug.case, bug.failure, bug.shrunk, bug.argument = case, failure, shrunk, None
            bug.reproduced = reproduced
        else:
            name = re.sub(r"[/ :]", "-", f"{case.device}-{failure.kind}-{case.seed}")
            path = self._folder / f"{name}.txt"
            bug = Bug(case=case, failure=failure, file=path, reproduced=reproduced, shrunk=shrunk)
        self._note(signature, bug)
        self.save(bug)
        return bug

    def resume(self, bug: Bug, shrunk: Shrunk, together: Together) -> Bug | None:
        """Replace the program of ``bug`` by the smaller one in ``shrunk``, and return ``bug``.

        None if the smaller program shows another bug, which was met or is known.  Then ``bug`` and
        its file are dropped, and the programs counted for it are counted for the other bug.
        """
        signature = signature_of(shrunk.case, shrunk.failure, self._kernels, together)
        other = self.met.get(signature)
        if other is None and shrunk.is_cut_short:
            other = self._within(signature)
        if other in (None, bug) and not self._is_known(signature):
            bug.case, bug.failure, bug.shrunk = shrunk.case, shrunk.failure, shrunk
            bug.argument = None
            self._note(signature, bug)
            self.save(bug)
            return bug
        if other is None or other is bug:
            self.known_failures += bug.count
        else:
            other.count += bug.count
        self.met = {each: one for each, one in self.met.items() if one is not bug}
        bug.file.unlink(missing_ok=True)
        return None

    def _note(self, signature: Signature, bug: Bug) -> None:
        """Note ``bug`` under ``signature``, and no longer under an earlier signature."""
        self.met = {each: one for each, one in self.met.items() if one is not bug}
        self.met[signature] = bug
        bug.needs = frozenset()
        self._leave_out(bug, needs_of(signature, bug.case, bug.failure))

    def _leave_out(self, bug: Bug, needs: Avoided) -> None:
        """Add ``needs`` to those of ``bug``: if it shows in two ways, it has the needs of both.

        Unless shrinking was cut short, most further programs leave the needs out.
        """
        bug.needs |= needs
        self.needs |= needs
        if not bug.is_cut_short:
            self.avoided |= needs

    def save(self, bug: Bug) -> None:
        """Write the file of a bug."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write(bug.file, self.finding(bug))
        except (OSError, ProgramError) as error:
            # The bug may have taken hours to find, so it is shown even without a file.
            bug.unsaved = str(error)

    def _around(self, signature: Signature) -> Bug | None:
        """Find a bug whose signature has all words of ``signature``, and more.

        Its shrinking was cut short, so the words that it has beyond ``signature`` may be chance.
        """
        wider = ((each, bug) for each, bug in self.met.items() if bug.is_cut_short)
        return next((bug for each, bug in wider if {*each} > {*signature}), None)

    def _within(self, signature: Signature) -> Bug | None:
        """Find a bug whose signature has only some of the words of ``signature``.

        Shrinking the case of ``signature`` was cut short, so the words that it has beyond this
        bug's may be chance, and the case may show this bug.
        """
        return next((bug for each, bug in self.met.items() if {*each} < {*signature}), None)

    def meet(self, bug: "Bug | Known") -> None:
        """Count one more program that shows a bug that was met or is known."""
        if isinstance(bug, Known):
            self.known_failures += 1
        else:
            bug.count += 1

    def has(self, case: Case, failure: Failure, together: Together) -> bool:
        """Whether a failure of this kind was met, or is known."""
        signature = signature_of(case, failure, self._kernels, together)
        return signature in self.met or self._is_known(signature)

    def is_new_condition(self, case: Case) -> bool:
        """Whether ``case`` has a client or faults, and no other finding has the same ones."""
        met = [*(bug.case for bug in self.met.values()), *(one.case for one in self.known)]
        condition = case.client, case.injected
        return condition not in [(PLAIN, frozenset()), *((one.client, one.injected) for one in met)]

    def _is_known(self, signature: Signature) -> bool:
        return any(signature == known.signature for known in self.known)

    @property
    def takes(self) -> tuple[str, ...]:
        """The words that say, in the signatures of all met and known bugs, what the bugs need."""
        signatures = [*self.met, *(one.signature for one in self.known)]
        return tuple(dict.fromkeys(word for one in signatures for word in one[2:]))

    def __len__(self) -> int:
        return len(self.met)

    @property
    def failures(self) -> int:
        """How many programs failed, not counting those that showed a known bug."""
        return self.explained + sum(bug.count for bug in self.met.values())

    def finding(self, bug: Bug) -> FindingFile:
        """What the file of a bug holds."""
        return FindingFile(
            case=bug.case,
            versions=versions(),
            summary=bug.summary,
            kernels=self._place,
            details=printable(bug.failure.details),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A finding of an earlier session, and the result of running it again."""

    file: Path
    case: Case
    signature: Signature = ()
    """Empty if the finding does not fail any more, or was not run."""
    needs: Avoided = frozenset()
    """Like ``needs`` of a ``Bug``."""
    not_run_because: str = ""

    def __str__(self) -> str:
        if self.not_run_because:
            return f"not run because {self.not_run_because}"
        return "still fails" if self.signature else "does not fail any more"


def _check_can_save(folder: Path) -> None:
    """Raise UsageError if ``folder`` cannot be written to; it need not exist yet."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        # Of root, and of some file systems, the permissions do not say whether a write succeeds.
        with TemporaryFile(dir=there):
            pass
    except OSError:
        raise UsageError(
            f"cannot save findings in {folder} because {there} is no folder that can be written "
            "(probably another folder is meant; --save names it)"
        ) from None


def versions() -> str:
    """The versions of what judges and of what is judged, for a header of a file."""
    return f"gpusim {gpusim.__version__}, wgpu {wgpu.__version__}"


def one_line(failure: Failure, reproduced: bool | None = True, is_cut_short: bool = False) -> str:
    """The failure in one line, for a header of a file."""
    lines = printable(failure.argument).splitlines()
    text = "; ".join(" ".join(line.split()) for line in lines)
    text += " (it did not fail again by itself)" * (reproduced is False)
    return text + " (shrinking it was cut short)" * is_cut_short
