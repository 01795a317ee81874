"""A worker process seen from the engine: it is started, asked, watched and ended here.

The death or hang of a worker becomes an answer like any other.  The engine, not the supervisor,
decides what an answer means.
"""

import os
import re
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gpusim import errors
from gpusim.errors import GpusimError, InternalError, NoDevice
from gpusim.text import write_op
from properties.explain.argument import Argument
from properties.explain.experiments import changed_settings
from properties.explain.explain import PASSES_NOW, explain_unrun
from properties.explain.told import told
from properties.fuzz.protocol import (
    Answer,
    Broken,
    CannotJudge,
    CannotRun,
    Explain,
    Explained,
    JudgeCase,
    Judged,
    Ready,
    Request,
    Setup,
    Stop,
)
from properties.fuzz.published import Place, Published
from properties.fuzz.standing import stands_in
from properties.fuzz.starting import context_of_workers, interrupts_held, start
from properties.fuzz.worker import work
from properties.model.case import Case
from properties.model.disturbance import Disturbance
from properties.model.failure import Failure, FailureKind

_ENDS = (FailureKind.ABORT, FailureKind.HANG)
_MOST_SETTINGS, _MOST_PASSING = 12, 3
_SETTING_STALL_SECONDS = 3.0
"""A case that ended its process is tried with other settings; then so many seconds without progress
count as a hang."""
KILLED = "SIGKILL"
MOST_KILLS = 4
"""If a worker was killed from outside so often at one program or request, that is a failure."""
_MOST_STARTS = 20
"""The most times that a worker is started, if each is killed from outside before it is ready."""
_START_SECONDS = 120.0
TICK_SECONDS = 0.1
_LAST_WORDS, _LAST_BYTES = 3, 1 << 16
_MOST_PANIC_LINES = 6
_PANIC = re.compile(
    r"panicked at (.*)\n((?:.*\n)*?)(?=stack backtrace:|note: |fatal runtime error|\Z)"
)
"""What a panic of Rust prints: its place, and its message up to the stack, if that is shown."""
_NO_UNWIND = "cannot unwind"
"""The message of a second panic, which a panic in native code causes, has these words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gone:
    """The worker has ended: it died (``abort``), or was killed because it hung (``hang``).

    ``number`` and ``place``: the program that it had published, and the place in it.
    ``trait``: how it ended.  ``words``: the last lines that it printed.
    ``stood``: the functions in which it hung.
    """

    kind: FailureKind
    trait: str
    number: int
    place: Place
    words: str
    stood: str = ""

    def __str__(self) -> str:
        end = f"ended by {self.trait}" if self.trait else "stood still"
        return f"{end}: {self.words}" if self.words else end

    @property
    def was_killed(self) -> bool:
        """Whether the worker got SIGKILL.

        A person sends it, or the system for lack of memory; no crash does.
        """
        return self.trait == KILLED

    def failure(self, case: Case) -> Failure:
        """The failure of ``case``, which the worker ran.

        It names the op, and the call on the driver, at which the worker ended.
        """
        place, program = self.place, case.program
        position, op, notes = place.position, "", []
        if place.is_closing:
            position, op = len(program), "close"
        elif place.run > 1:
            # A later run usually has a transformed program, with its ops in other positions.
            what = "the program again, or a variant of it"
            notes.append(f"in run {place.run} of the case ({what}), at op {position} of that run")
            position = -1
        elif position >= 0:
            is_end = position == len(program)
            op = "sync (after the last op)" if is_end else write_op(program[position])
        if self.stood:
            notes.append(f"it stood in {self.stood}")
        if place.call:
            notes.append(f"last call on the driver: {place.call}")
        return Failure(
            kind=self.kind,
            trait=self.trait,
            position=position,
            op=op,
            reason=f"the process that ran it {self}",
            notes=tuple(notes),
        )


class Supervisor:
    """Owns one worker; the next ``ask`` after its death starts another."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._context = context_of_workers()
        self._published = Published(self._context)
        self._folder = tempfile.TemporaryDirectory(prefix="gpusim-session-")
        self._stderr = Path(self._folder.name) / "stderr"
        self._process: Any = None
        self._connection: Any = None
        self._request: Request = Stop()
        """What the worker was asked last."""
        self._steps: tuple[int, ...] = ()
        self._moved = 0.0

    def start(self) -> Ready:
        """A fresh worker with its device; raises what ``ready`` raises."""
        self.launch()
        return self.ready()

    def launch(self) -> None:
        """Begin a fresh worker, without waiting until it has its device."""
        self.stop()
        self._stderr.write_bytes(b"")
        ours, theirs = self._context.Pipe()
        process: Any = self._context.Process(
            target=work,
            args=(self._setup, dict(os.environ), theirs, self._published, str(self._stderr)),
            daemon=True,
        )
        with interrupts_held():
            start(process)
            self._process, self._connection = process, ours
        theirs.close()

    def ready(self) -> Ready:
        """Wait until a launched worker has its device; gives its answer.

        Raises:
            NoDevice: there is no device, or the worker dies before it has one.
            ProgramError: what is judged is no target, or has no method for what it promises.
        """
        try:
            answer = self._answer(_START_SECONDS, _MOST_STARTS, self.launch)
        except GpusimError:
            self.stop()
            raise
        if isinstance(answer, Ready):
            return answer
        self.stop()
        if isinstance(answer, CannotRun):
            raise NoDevice(answer.reason)
        raise NoDevice(
            f"cannot judge {self._setup.target!r} on device {self._setup.device!r} because the "
            f"worker process {answer} (probably the driver or the target is broken)"
        )

    def ask(self, request: Request) -> None:
        """Send a request; start a worker if none runs."""
        if self._process is None:
            self.start()
        self._request, self._moved = request, time.monotonic()
        # If the worker has died, the next answer is its death.
        with suppress(ConnectionError):
            self._connection.send(request)

    def wait(self, stall_seconds: float) -> Answer | Gone:
        """The next answer; it may take any time as long as the worker makes progress.

        A worker that is killed from outside is asked again, up to ``MOST_KILLS`` kills.
        """
        return self._answer(stall_seconds, MOST_KILLS, lambda: self.ask(self._request))

    def _answer(
        self, stall_seconds: float, most_kills: int, again: Callable[[], None]
    ) -> Answer | Gone:
        """The next answer; ``again`` asks once more if the worker is killed before it answers."""
        kills = 0
        self._moved = time.monotonic()
        while True:
            answer = self.tick(stall_seconds)
            kills += isinstance(answer, Gone) and answer.was_killed
            if isinstance(answer, Gone) and answer.was_killed and kills < most_kills:
                again()
                self._moved = time.monotonic()
            elif answer is not None:
                return answer

    def tick(
        self, stall_seconds: float, wait_seconds: float = TICK_SECONDS
    ) -> Answer | Gone | None:
        """The next answer, or None if it does not come in ``wait_seconds``.

        A worker that has begun no program and no op for ``stall_seconds`` is killed.

        Raises:
            ProgramError: a kernel of the user's, or a target, cannot be judged.
            NoDevice: the target cannot be opened again.
            InternalError: the judge failed in the worker.
        """
        try:
            if self._connection.poll(wait_seconds):
                answer: Answer = self._connection.recv()
                self._moved = time.monotonic()
                return _checked(answer)
        except (EOFError, OSError):
            # The worker may have died in the middle of an answer.
            return self._bury()
        steps, now = self._published.steps, time.monotonic()
        if steps != self._steps:
            self._steps, self._moved = steps, now
        if now - self._moved < stall_seconds:
            return None
        said = [f"no progress in {stall_seconds:g} s", self._last_words()]
        stood = stands_in(self._process, self._stderr)
        self.stop()
        return self._gone(FailureKind.HANG, "", "; ".join(filter(None, said)), stood)

    def judge(self, case: Case, stall_seconds: float) -> Failure | None:
        """The failure of one case, in the worker; a death is a failure as well."""
        return self._judged(JudgeCase(case=case), stall_seconds).failure

    def judge_again(self, case: Case, stall_seconds: float) -> Judged:
        """The failure of one case, or why it was not run."""
        return self._judged(JudgeCase(case=case, is_replay=True), stall_seconds)

    def explain(self, case: Case, failure: Failure, stall_seconds: float) -> Argument:
        """Why ``case`` fails.

        A case that kills or hangs its process is not run again as it is, only with other settings.
        A new process is started whenever one has ended.  A case that passes now may depend on what
        the process ran before, so it is run in a new process as well.
        """
        if failure.kind in _ENDS:
            facts = self._disturbed(case, failure, stall_seconds)
            return explain_unrun(case, failure, self._passing(case, stall_seconds), facts)
        answer = self._explained(case, stall_seconds, tries=True)
        if isinstance(answer, Explained) and answer.argument is None:
            self.stop()
            answer = self._explained(case, stall_seconds, tries=True)
        if not isinstance(answer, Explained):
            answer = self._explained(case, stall_seconds, tries=False)
        unrun = explain_unrun(case, failure)
        if isinstance(answer, Explained):
            return answer.argument or told(PASSES_NOW).added_to(unrun)
        return unrun

    def _explained(self, case: Case, stall_seconds: float, *, tries: bool) -> Answer | Gone | None:
        self.ask(Explain(case=case, tries=tries))
        return self.wait(stall_seconds)

    def _passing(self, case: Case, stall_seconds: float) -> tuple[str, ...]:
        """In words, the first few changes of settings with which a case passes.

        With its own settings the case ends its process.
        """
        patience_seconds = min(stall_seconds, _SETTING_STALL_SECONDS)
        tried = islice(changed_settings(case), _MOST_SETTINGS)
        passing = (text for text, other in tried if self.judge(other, patience_seconds) is None)
        return tuple(islice(passing, _MOST_PASSING))

    def _disturbed(self, case: Case, failure: Failure, stall_seconds: float) -> tuple[str, ...]:
        """How a case that aborts fails behind the layer, which raises instead of aborting."""
        may_have_layer = case.follows_no_policy and not case.disturbance
        if failure.kind is not FailureKind.ABORT or not may_have_layer:
            return ()
        behind = None
        with suppress(GpusimError):  # Not every target can be given the layer.
            disturbed = replace(case, disturbance=Disturbance())
            behind = self.judge(disturbed, min(stall_seconds, _SETTING_STALL_SECONDS))
        if behind is None or behind.kind in _ENDS or behind.position < 0:
            return ()
        got = dict(behind.sides).get("got", behind.reason)
        return (f"with --adversary it does not abort; op {behind.position} ({behind.op}): {got}",)

    def _judged(self, request: JudgeCase, stall_seconds: float) -> Judged:
        self.ask(request)
        answer = self.wait(stall_seconds)
        if isinstance(answer, Gone):
            return Judged(failure=answer.failure(request.case))
        assert isinstance(answer, Judged)
        return answer

    def stop(self) -> None:
        """Kill the worker, if there is one, and all processes that it started."""
        if self._process is None:
            return
        if os.name != "nt":
            # A new worker has no group yet; a dead one may have left processes in its group.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self._connection.close()
        self._process = self._connection = None

    def close(self) -> None:
        """Kill the worker, and remove its files."""
        self.stop()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _bury(self) -> Gone:
        self._process.join()
        code = self._process.exitcode
        self.stop()
        return self._gone(FailureKind.ABORT, _cause(code), self._last_words())

    def _gone(self, kind: FailureKind, trait: str, words: str, stood: str = "") -> Gone:
        number, place = self._published.number, self._published.place
        return Gone(kind=kind, trait=trait, number=number, place=place, words=words, stood=stood)

    def _last_words(self) -> str:
        with self._stderr.open("rb") as file:
            # A target may have printed a great deal, so only the end is read.
            file.seek(-min(_LAST_BYTES, file.seek(0, os.SEEK_END)), os.SEEK_END)
            text = file.read().decode(errors="replace")
        return " / ".join(_telling(text))


def _telling(text: str) -> list[str]:
    """The lines of the error output that tell most: a panic's message, and the end."""
    lines = _lines_of(text)
    panics = [found for found in _PANIC.findall(text) if _NO_UNWIND not in found[1]]
    if not panics:
        return lines[-_LAST_WORDS:]
    place, message = panics[-1]
    told = (_lines_of(message) or [place])[:_MOST_PANIC_LINES]
    return told if lines[-1] in told else [*told, lines[-1]]


def _lines_of(text: str) -> list[str]:
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and line != "Caused by:"]


def _checked(answer: Answer) -> Answer:
    if isinstance(answer, CannotJudge):
        kind: type[GpusimError] = getattr(errors, answer.error)
        raise kind(answer.reason)
    if isinstance(answer, Broken):
        raise InternalError(
            f"cannot judge program {answer.number} because the judge itself failed (please report "
            f"it):\n{answer.traceback}"
        )
    return answer


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
