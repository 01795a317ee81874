"""The distinct failures of a session; each is written to one file.

Two failing programs show one bug if they fail in the same way and, once shrunk, need the same.
What a program needs is the first of these that it has:

- invalid ops of some classes;
- forms of ops that not every runtime takes;
- two ops that must share a batch;
- else the kinds of its ops.

If it has one of the first three, its other ops are no part of the signature.

A client asks one thing of a target.  So what shows under a client when promises settle in another
order, and what shows when maps fail, count as one bug.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import wgpu

import gpusim
from gpusim.errors import ProgramError
from gpusim.history import History
from gpusim.kernels import BUILTIN, Kernels
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import Copy, Op
from gpusim.program import Program, flattened
from properties.arguments import UsageError
from properties.explain.argument import Argument
from properties.finding_file import FindingFile, printable, write
from properties.model.case import PLAIN, Case
from properties.model.failure import Failure, FailureKind
from properties.model.refusals import RAISED, parted
from properties.model.results import Finding
from properties.shrink.avoid import Avoided, avoidable
from properties.shrink.reducer import Shrunk
from properties.shrink.together import Together
from reference import run as run_reference

Signature = tuple[str, ...]


@dataclass(kw_only=True, slots=True)
class Bug:
    """One failure: its smallest program, its file, and how often it was met."""

    case: Case
    failure: Failure
    file: Path
    reproduced: bool | None
    """Whether the program failed again when it was run by itself; None if it was not run."""
    shrunk: Shrunk | None = None
    """The result of shrinking it; None if it was not shrunk."""
    count: int = 1
    needs: Avoided = frozenset()
    """What the bug needs and programs can do without; without this they do not show the bug."""
    argument: Argument | None = None
    """Why it fails; None if it was not explained."""
    unsaved: str = ""
    """Why the file could not be written; empty if it was."""

    @property
    def is_cut_short(self) -> bool:
        """Whether shrinking was cut short, by its time or the session's end."""
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
        """What all bugs need, including those whose shrinking was cut short."""
        self.explained = 0
        """Failing programs that pass once what the found bugs need is removed."""
        self.known_failures = 0
        """How many failing programs showed a bug that was known before."""
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
        """If this finding still fails, stop reporting failures of its kind."""
        signature = () if failure is None else signature_of(case, failure, self._kernels, together)
        needs = frozenset() if failure is None else _needs(signature, case, failure)
        known = Known(
            file=file, signature=signature, needs=needs, case=case, not_run_because=not_run_because
        )
        self.known.append(known)
        self.needs, self.avoided = self.needs | needs, self.avoided | needs

    def take(self, signature: Signature, bug: Bug) -> None:
        """Note a bug that another session met; its file is not written.

        Of two findings of one bug, the one that was made small is kept, or else the shorter
        program.
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
        """Note a failing case; the first of its kind is written to a file.  None if it is known."""
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
                    self._leave_out(bug, _needs(signature, case, failure))
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

    def _note(self, signature: Signature, bug: Bug) -> None:
        """Note a bug under its signature."""
        self.met = {each: one for each, one in self.met.items() if one is not bug}
        self.met[signature] = bug
        bug.needs = frozenset()
        self._leave_out(bug, _needs(signature, bug.case, bug.failure))

    def _leave_out(self, bug: Bug, needs: Avoided) -> None:
        """Note what a bug needs; a bug that shows in two ways needs either."""
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
        """A bug whose shrinking was cut short, and that needs what ``signature`` says and more."""
        wider = ((each, bug) for each, bug in self.met.items() if bug.is_cut_short)
        return next((bug for each, bug in wider if {*each} > {*signature}), None)

    def _within(self, signature: Signature) -> Bug | None:
        """A bug that needs less than ``signature``, of a case whose shrinking was cut short."""
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
        """Whether no met bug needs exactly the client and the faults of ``case``."""
        met = [*(bug.case for bug in self.met.values()), *(one.case for one in self.known)]
        condition = case.client, case.injected
        return condition not in [(PLAIN, frozenset()), *((one.client, one.injected) for one in met)]

    def _is_known(self, signature: Signature) -> bool:
        return any(signature == known.signature for known in self.known)

    @property
    def takes(self) -> tuple[str, ...]:
        """What each met or known bug needs, in the words of its signature."""
        signatures = [*self.met, *(one.signature for one in self.known)]
        return tuple(dict.fromkeys(word for one in signatures for word in one[2:]))

    def __len__(self) -> int:
        return len(self.met)

    @property
    def failures(self) -> int:
        """Programs that failed."""
        return self.explained + sum(bug.count for bug in self.met.values())

    def finding(self, bug: Bug) -> FindingFile:
        """What the file of a bug holds."""
        return FindingFile(
            case=bug.case,
            versions=f"gpusim {gpusim.__version__}, wgpu {wgpu.__version__}",
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
    """Empty if it does not fail any more, or was not run."""
    needs: Avoided = frozenset()
    """As those of a ``Bug``."""
    not_run_because: str = ""

    def __str__(self) -> str:
        if self.not_run_because:
            return f"not run because {self.not_run_because}"
        return "still fails" if self.signature else "does not fail any more"


def signature_of(
    case: Case, failure: Failure, kernels: Kernels, together: Together = ()
) -> Signature:
    """The signature of a bug: how the case failed, and what it needs in order to fail.

    Harm that an invalid op did may show in any other op.  So then the other ops, the client and the
    disturbance are left out.  The kinds of ops are also left out if a form of ops that not every
    runtime takes, or two ops that must stand ``together``, explain the failure.
    """
    meant = run_reference(case.program, kernels, case.limits(Limits()))
    how, forms = _how(failure, meant), _forms(case.program, meant, failure)
    if how == _HARMED:
        return *how, *sorted(forms)
    if forms and failure.kind in _HARM:
        how = _HARMED
    pair = {" to ".join(together)} if together else set()
    takes = forms or pair or _kinds(case.program)
    if case.injected or (case.client != PLAIN and case.disturbance is not None):
        # It takes a fault, or a client and an order of promises, which ops bring about.
        takes = forms
    return *how, *sorted(takes), *_variants(case)


def _needs(signature: Signature, case: Case, failure: Failure) -> Avoided:
    return avoidable((*signature, *case.injected), failure.refused)


def forms_of(case: Case, failure: Failure, kernels: Kernels) -> set[str]:
    """The sorts of a case's invalid ops, or the forms that not every runtime takes."""
    meant = run_reference(case.program, kernels, case.limits(Limits()))
    return _forms(case.program, meant, failure)


def _harming(refused: str) -> str:
    """What may have done harm, from the sort of a refused op and what the target did with it.

    An op that raised does harm by what it leaves behind, so it does not matter what was wrong with
    it.
    """
    sort, done = parted(refused)
    if done == RAISED:
        return f"raises at {sort.partition(' ')[2].removesuffix(' twice')}"
    return f"accepts {sort}"


def _refused(meant: History) -> set[str]:
    """The classes of the refused ops, if it is not known what the target did with them."""
    return {f"refuses {outcome.error}" for outcome in meant.outcomes if outcome.error}


_HARMED = "harm", ""
_HARM = (
    FailureKind.VALUE,
    FailureKind.ERROR,
    FailureKind.LATE_ERROR,
    FailureKind.DELIVERY_ORDER,
    FailureKind.CRASH,
)


def _how(failure: Failure, meant: History) -> tuple[str, str]:
    """How it failed; a valid op may show in many ways the harm that an invalid op did."""
    outcomes, at = meant.outcomes, failure.position
    is_valid = at >= len(outcomes) or outcomes[at].error is None
    if is_valid and failure.kind in _HARM and any(outcome.error for outcome in outcomes):
        return _HARMED
    return failure.signature


def _forms(program: Program, meant: History, failure: Failure) -> set[str]:
    refused = {*map(_harming, failure.refused)} or _refused(meant)
    if refused:
        return refused
    ops = list(flattened(program))
    odd = {f"odd {op.verb}" for op in ops if any(number % WORD_BYTES for number in _numbers(op))}
    within = any(isinstance(op, Copy) and op.source == op.target for op in ops)
    return {*odd, *(["copy within"] if within else [])}


_PLAIN_VERBS = ("alloc", "read", "flush", "sync")
"""The kinds of ops that nearly every program has."""


def _kinds(program: Program) -> set[str]:
    """The kinds of its ops; beside a command a write does not count, since it only gives bytes."""
    kinds = {op.verb for op in program if op.verb not in _PLAIN_VERBS}
    return kinds - {"write"} or kinds


def _numbers(op: Op) -> list[int]:
    names = ("size_bytes", "offset", "source_offset", "target_offset")
    return [*(getattr(op, name, 0) for name in names), len(getattr(op, "data", b""))]


def _check_can_save(folder: Path) -> None:
    """Raise UsageError if ``folder``, which may be missing still, cannot be written to."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(
            f"cannot save findings in {folder} because {there} is no folder that can be written "
            "(probably another is meant: --save)"
        )


def _variants(case: Case) -> Signature:
    """A case's client, its disturbance and the kinds of its transformations."""
    disturbed = () if case.disturbance is None else ("disturbed",)
    faults = sorted(case.injected) if case.client == PLAIN else ()
    return (case.client, *disturbed, *faults, *sorted(each.name for each in case.transformations))


def one_line(failure: Failure, reproduced: bool | None = True, is_cut_short: bool = False) -> str:
    """The failure in one line, for a header of a file."""
    lines = printable(failure.argument).splitlines()
    text = "; ".join(" ".join(line.split()) for line in lines)
    text += " (it did not fail again by itself)" * (reproduced is False)
    return text + " (shrinking it was cut short)" * is_cut_short
