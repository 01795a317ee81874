"""Targets of a runtime in another process or language, for a session to judge."""

import shlex
import time

from gpusim.errors import GpusimError, NoDevice
from gpusim.kernels import BUILTIN, Kernels
from gpusim.trace import Trace
from properties.model.case import Case
from properties.targets.factory import Opened, TargetFactory
from properties.targets.process_target import ProcessTarget
from properties.targets.target_process import TargetProcess
from properties.targets.wire import READY, Ready, TargetFailed, parse_ready, write_hello

START_SECONDS = 60.0
"""How long a process may take until it is ready."""


class ProcessFactory(TargetFactory):
    """The targets that the process of ``command`` serves, one a program.

    A process that died, or went silent, is followed by another: what became of
    it belongs to the program that it was given.

    Raises:
        NoDevice: the command does not start, or does not say that it is ready.
    """

    def __init__(self, device: str, kernels: Kernels = BUILTIN, *, command: str) -> None:
        self.kernels = kernels
        self._hello = write_hello(device, kernels.values())
        self._command = command
        self._process, self._ready = self._start()
        self.limits, self.capabilities = self._ready.limits, self._ready.capabilities
        self.description = self._ready.description or command

    def open(self, case: Case) -> Opened:
        """The target of a new program; nothing of it can be traced."""
        if not self._process.is_alive:
            self._process.end()
            self._process, self._ready = self._start()
        return Opened(target=ProcessTarget(self._process, self._ready), trace=Trace())

    def close(self) -> None:
        """Let the process end; a session need not, since it ends with the session's own."""
        self._process.end()

    def _start(self) -> tuple[TargetProcess, Ready]:
        try:
            process = TargetProcess(shlex.split(self._command))
        except (OSError, ValueError) as error:
            raise self._useless(error) from None
        try:
            process.tell(self._hello)
            return process, parse_ready(_ready_line(process))
        except (GpusimError, TargetFailed) as error:
            process.end()
            raise self._useless(error) from None

    def _useless(self, error: Exception) -> NoDevice:
        return NoDevice(
            f"cannot judge {self._command!r} because it does not get ready (probably it is to be "
            f"started in another way): {error}"
        )


def _ready_line(process: TargetProcess) -> str:
    """Its first line that says so; whatever it prints before that does not make it later."""
    until = time.monotonic() + START_SECONDS
    while (line := process.hear(max(0.0, until - time.monotonic()))).split()[:1] != [READY]:
        if time.monotonic() > until:
            raise TargetFailed(f"it said much, and in {START_SECONDS:g} s not {READY!r}")
    return line
