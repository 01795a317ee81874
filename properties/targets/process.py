"""Targets in another process, for runtimes in any language.

Each op is a line to the process that serves the targets.  Nothing here knows what an op means.
"""

import re
import shlex
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Self

from gpusim.errors import GpusimError, NoDevice
from gpusim.kernels import BUILTIN, Kernels
from gpusim.layer import Memory, Sanitizer
from gpusim.ops import Op, Read, Sync, Write
from gpusim.text import write_op
from gpusim.trace import Event
from properties.model.case import Case
from properties.model.disturbance import Disturbance
from properties.model.target import Delivery, TargetRaised
from properties.targets.factory import Counting, Opened, TargetFactory
from properties.targets.layer import adversary_source, judging_sanitizer
from properties.targets.lines import TargetProcess
from properties.targets.wire import (
    AWAIT,
    BEGIN,
    BESIDE,
    CLOSE,
    COLLECT,
    END,
    HELLO,
    INTO,
    READY,
    RECLAIM,
    SPOILT,
    Detail,
    Failed,
    Ok,
    Raised,
    Ready,
    TargetFailed,
    Told,
    Value,
    exception_of,
    parse_answer,
    parse_ready,
    ready_in,
    write_adversary,
    write_hello,
    write_open,
)


class ProcessTarget:
    """The target that ``process`` serves, for one program.

    Raises the errors that the process answers, and ``TargetFailed`` if there is no answer that can
    be read.  A wait has no limit; the session ends a target that hangs.
    """

    def __init__(
        self,
        process: TargetProcess,
        ready: Ready,
        disturbance: Disturbance | None = None,
        see: Callable[[Event], object] = lambda _: None,
    ) -> None:
        self.capabilities, self.limits = ready.capabilities, ready.limits
        self._process = process
        self._opening = write_open(disturbance)
        self._see = see
        self._reads: dict[str, _Read] = {}
        self._begun: dict[str, list[_Read]] = {}
        """For each sync that is under way, by its name, the reads before it."""
        self._is_open = False
        self._broken: TargetFailed | None = None
        """Why the process can no longer be used; None while it can."""

    def perform(self, op: Op) -> Delivery | None:
        """Send the op, and read its answer."""
        if isinstance(op, Read):
            return self._read(op, write_op(op))
        before = [*self._reads.values()] if isinstance(op, Sync) else []
        self._ask(write_op(op))
        _fall_due(before)
        return None

    def write_spoilt(self, op: Write) -> None:
        """See ``Doors``."""
        self._ask(f"{SPOILT} {write_op(op)}")

    def read_into(self, op: Read, array: str) -> Delivery:
        """See ``Doors``."""
        return self._read(op, f"{INTO} {array} {write_op(op)}")

    def reclaim(self, array: str) -> None:
        """See ``Doors``."""
        self._ask(f"{RECLAIM} {array}")

    def begin_sync(self, name: str) -> None:
        """See ``Doors``."""
        self._begun[name] = [*self._reads.values()]
        self._ask(f"{BEGIN} {name}")

    def sync_beside(self, name: str) -> None:
        """See ``Doors``."""
        self._begun[name] = [*self._reads.values()]
        self._ask(f"{BESIDE} {name} {write_op(Sync())}")
        _fall_due(self._begun[name])

    def end_sync(self, name: str) -> None:
        """See ``Doors``."""
        self._ask(f"{END} {name}")
        _fall_due(self._begun.pop(name))

    def close(self) -> None:
        self._ask(CLOSE)

    def send(self, line: str) -> None:
        """Send a line, but open no program; raises the error of its answer."""
        raised = self._exchange(line)
        if raised is not None:
            raise exception_of(raised)

    def _read(self, op: Read, line: str) -> Delivery:
        read = _Read(op.result, self._ask)
        self._reads[op.result] = read
        self._ask(line)
        return read

    def _ask(self, line: str) -> None:
        """Send a line, and take answers up to the outcome of the line.

        Before the first line a program is opened, so an error in opening becomes the outcome of an
        op.
        """
        if not self._is_open:
            self._is_open = True
            self._ask(self._opening)
        self.send(line)

    def _exchange(self, line: str) -> Raised | None:
        """Send a line, and take its answers.  Returns the error in the last answer, if any.

        Done callbacks of reads are called after the last answer, since a callback may send a line
        itself.
        """
        arrived: list[_Read] = []
        try:
            return self._answered(line, arrived)
        finally:
            for read in arrived:
                read.tell()

    def _answered(self, line: str, arrived: list["_Read"]) -> Raised | None:
        """Like ``_exchange``, without callbacks.  A process that does not answer is ended."""
        if self._broken is not None:
            raise self._broken
        details: list[str] = []
        try:
            self._process.tell(line)
            while True:
                match self._process.hear_answer():
                    case Detail(text):
                        details.append(text)
                    case Told(event):
                        self._see(event)
                    case Value(result, data):
                        arrived.append(self._read_of(result).settled(data))
                    case Failed(result) as failed:
                        whole = replace(failed, details="\n".join(details))
                        arrived.append(self._read_of(result).settled(exception_of(whole)))
                        details.clear()
                    case Raised() as raised:
                        return replace(raised, details="\n".join(details))
                    case Ok():
                        return None
        except TargetFailed as failure:
            self._broken = failure
            self._process.end()
            raise

    def _read_of(self, result: str) -> "_Read":
        read = self._reads.get(result)
        if read is None:
            raise TargetFailed(f"the target delivered {result}, but no read of that name was sent")
        return read


class _Read:
    """A pending read of the other process."""

    def __init__(self, name: str, ask: Callable[[str], None]) -> None:
        self._name, self._ask = name, ask
        self.is_due = False
        """Whether a sync after it has returned."""
        self._outcome: bytes | Exception | None = None
        self._callbacks: list[Callable[[Delivery], None]] = []

    def settled(self, outcome: bytes | Exception) -> Self:
        """Take the outcome.  A second outcome calls back again, so that the judge sees it."""
        self._outcome = outcome
        return self

    def tell(self) -> None:
        """Call the done callbacks."""
        for callback in self._callbacks:
            callback(self)

    def result(self) -> bytes:
        """See ``Delivery``."""
        if self._outcome is None and self.is_due:
            raise TargetFailed(
                f"{self._name} was read before a sync, and the sync was answered without its value"
            )
        if self._outcome is None:
            self._ask(f"{AWAIT} {self._name}")
        if self._outcome is None:
            raise TargetFailed("the target answered a wait for a read without its value")
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        """See ``Delivery``."""
        self._callbacks.append(callback)
        if self._outcome is not None:
            callback(self)


def _fall_due(reads: list[_Read]) -> None:
    """Note that a sync after these reads has returned."""
    for read in reads:
        read.is_due = True


START_SECONDS = 60.0
"""How long a process may take to get ready."""


class ProcessFactory(TargetFactory):
    """The targets that the process of ``command`` serves, one for each program.

    A process that died or went silent is replaced by a new one for the next program.  Before the
    first program that is disturbed, or whose memory is counted, a process gets the layer, which
    tells of the calls on the device.  From then on ``memory`` sees the calls of every program.

    Raises:
        NoDevice: the command does not start, or does not get ready.
    """

    disturbs = True
    _sanitizer: Sanitizer

    def __init__(
        self,
        device: str,
        kernels: Kernels = BUILTIN,
        *,
        command: str,
        memory: Memory | None = None,
    ) -> None:
        self.kernels = kernels
        self._device, self._memory = device, memory
        self._counting: Counting | None = None
        self._may_count = True
        self._hello = write_hello(device, kernels.values())
        self._command = command
        self._process, self._ready = self._start()
        self.limits, self.capabilities = self._ready.limits, self._ready.capabilities
        self.description = self._ready.description or command

    def open(self, case: Case) -> Opened:
        """The target of a new program, without a trace."""
        if not self._process.is_alive:
            self._process.end()
            self._process, self._ready = self._start()
        if (case.disturbance or self._memory) and not self._has_layer:
            self._give_layer()
        self._sanitizer.begin()
        reports = () if case.disturbance is None else self._sanitizer.reports
        target = self._target(case.disturbance)
        return Opened(target=target, trace=self.make_trace(), reports=reports)

    def counting(self) -> Counting | None:
        """The same targets in a second process, whose memory is counted.

        None if that process does not take the layer, or cannot collect garbage when it is told to.
        """
        if self._counting is None and self._ready.layer and self._may_count:
            memory, factory = Memory(), None
            try:
                factory = ProcessFactory(
                    self._device, self.kernels, command=self._command, memory=memory
                )
                factory._give_layer()
                factory._target(None).send(COLLECT)
            except (GpusimError, TargetRaised):
                self._may_count = False
                if factory is not None:
                    factory.close()
                return None
            self._counting = Counting(factory=factory, memory=memory, collect=factory._collect)
        return self._counting

    def close(self) -> None:
        """End the process; without this call, it ends with the session's process."""
        self._process.end()
        if self._counting is not None:
            self._counting.factory.close()

    def _target(self, disturbance: Disturbance | None) -> ProcessTarget:
        see = self._memory or self._sanitizer
        return ProcessTarget(self._process, self._ready, disturbance, see)

    def _collect(self) -> None:
        with suppress(TargetRaised):  # A process that has died holds nothing.
            self._target(None).send(COLLECT)

    def _give_layer(self) -> None:
        """Send the layer to the process; NoDevice if the process does not take it."""
        try:
            self._target(None).send(write_adversary(adversary_source()))
        except (GpusimError, TargetRaised) as error:
            raise NoDevice(
                f"cannot disturb {self._command!r} because it does not take the layer (probably "
                f"its target.js is of an older version, or it is not JavaScript): {error}"
            ) from None
        self._has_layer = True

    def _start(self) -> tuple[TargetProcess, Ready]:
        self._has_layer = False
        self._sanitizer = judging_sanitizer()
        try:
            process = TargetProcess(shlex.split(self._command))
        except (OSError, ValueError) as error:
            raise self._useless(error) from None
        try:
            return process, self._greet(process)
        except (GpusimError, TargetFailed) as error:
            process.end()
            raise self._useless(error) from None

    def _greet(self, process: TargetProcess) -> Ready:
        """Send the greeting, and read its answer."""
        try:
            process.tell(self._hello)
        except TargetFailed:
            # What the process printed before it ended says more than that it ended.
            parse_ready(_ready_line(process))
            raise
        return parse_ready(_ready_line(process))

    def _useless(self, error: Exception) -> NoDevice:
        return NoDevice(
            f"cannot judge {self._command!r} because it does not get ready "
            f"(probably {_remedy(error)}): {error}"
        )


def _remedy(error: Exception) -> str:
    """The likely remedy for a command that does not get ready."""
    if isinstance(error, FileNotFoundError):
        return "a misspelled command, or one that is not installed"
    found = ((re.search(pattern, str(error)), remedy) for pattern, remedy in _MISSING)
    remedies = (remedy.format(match[1]) for match, remedy in found if match)
    return next(remedies, "it is to be started in another way")


_MISSING = (
    (r"Cannot find (?:package|module) '([^'/.][^']*)'", "`npm install {}` beside its script"),
    (r"No module named '([^']+)'", "{} is to be installed for the Python of that command"),
)
"""How an error names a missing package, and the remedy."""


def _ready_line(process: TargetProcess) -> str:
    """The line that says that the process is ready; TargetFailed if it takes START_SECONDS.

    Other lines, in between, do not give the process more time.  An echo of the greeting ends it.
    """
    until, details = time.monotonic() + START_SECONDS, [""]
    while True:
        line = process.hear(max(0.0, until - time.monotonic()))
        if ready := ready_in(line):
            return ready
        match parse_answer(line):
            case Detail(text):
                details.append(f"\n{text}")
            case Raised(name, message):
                words = f"it answered {HELLO!r} with {name}: {message}{''.join(details)}"
                raise TargetFailed(words)
            case _ if line.split()[:1] == [HELLO]:
                raise TargetFailed(f"it sent {HELLO!r} back, like a program that copies its input")
            case _:
                process.leave(line)
        if time.monotonic() > until:
            raise TargetFailed(f"it printed other lines, but in {START_SECONDS:g} s no {READY!r}")
