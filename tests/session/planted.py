"""Targets with one mistake each, for a session to find; a test names them by this file's path."""

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from gpusim.errors import SubmitFailed
from gpusim.kernels import Kernel
from gpusim.runtime import Parts
from gpusim.runtime.commands import Command, DispatchCommand
from gpusim.runtime.driver import WgpuDriver
from gpusim.runtime.flush_rules import FlushReason, FlushRules
from properties.case import Case
from properties.session.subject import NaiveSubject, Opened, RuntimeSubject
from properties.target import Arrived
from properties.targets.naive_target import NaiveTarget


def write_overtakes_batch(device: str, kernels: Mapping[str, Kernel]) -> RuntimeSubject:
    """A host write acts on the queue before what was recorded before it."""
    return RuntimeSubject(device, kernels, parts=Parts(flush_rules=_WritesOvertake))


def submits_each(device: str, kernels: Mapping[str, Kernel]) -> RuntimeSubject:
    """Every command is submitted at once, which changes no value and wastes all batching."""
    return RuntimeSubject(device, kernels, parts=Parts(flush_rules=_SubmitsEach))


def aborts(device: str, kernels: Mapping[str, Kernel]) -> RuntimeSubject:
    """A driver that kills its process over a batch of two kernels."""
    return RuntimeSubject(device, kernels, make_driver=_Aborts)


def hangs(device: str, kernels: Mapping[str, Kernel]) -> RuntimeSubject:
    """A driver that never returns from a batch of two kernels."""
    return RuntimeSubject(device, kernels, make_driver=_Hangs)


def ignores_failed_submits(device: str, kernels: Mapping[str, Kernel]) -> RuntimeSubject:
    """A driver that says nothing of a submit that failed."""
    return RuntimeSubject(device, kernels, make_driver=_IgnoresFailedSubmits)


def gathers_writes(device: str, kernels: Mapping[str, Kernel]) -> NaiveSubject:
    """A naive target that makes host writes at the next read or free."""
    return NaiveSubject(device, kernels, make_target=_GathersWrites)


def fails_to_judge(device: str, kernels: Mapping[str, Kernel]) -> RuntimeSubject:
    """No target at all: the judge itself is broken."""
    return _NoTarget(device, kernels)


class _WritesOvertake(FlushRules):
    def before_write(self, *about: Any) -> FlushReason | None:
        return None


class _SubmitsEach(FlushRules):
    def after_recording(self, *about: Any) -> FlushReason | None:
        return FlushReason.COMMANDS


class _Trouble(WgpuDriver):
    """In trouble where a batch dispatches two kernels or more."""

    def encode(self, commands: Sequence[Command], *how: Any, **named: Any) -> Any:
        dispatches = [command for command in commands if isinstance(command, DispatchCommand)]
        if any(command.pipeline is not dispatches[0].pipeline for command in dispatches):
            self.trouble()
        return super().encode(commands, *how, **named)

    def trouble(self) -> None:
        raise NotImplementedError


class _Aborts(_Trouble):
    def trouble(self) -> None:
        if os.name != "nt":
            import resource

            # To write down the memory of a process takes seconds where a machine keeps it.
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.write(2, b"the driver is beyond help\n")
        os.abort()


class _Hangs(_Trouble):
    def trouble(self) -> None:
        threading.Event().wait()


class _IgnoresFailedSubmits(WgpuDriver):
    def submit(self, command_buffer: Any) -> None:
        with suppress(SubmitFailed):
            super().submit(command_buffer)


class _GathersWrites(NaiveTarget):
    def __init__(self, device: Any, kernels: Mapping[str, Kernel]) -> None:
        super().__init__(device, kernels)
        self._gathered: list[tuple[str, int, bytes]] = []

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        self._gathered.append((buffer, offset, data))

    def read(self, buffer: str, offset: int, size_bytes: int) -> Arrived:
        self._make_writes()
        return super().read(buffer, offset, size_bytes)

    def free(self, buffer: str) -> None:
        self._make_writes()
        super().free(buffer)

    def _make_writes(self) -> None:
        for write in self._gathered:
            super().write(*write)
        self._gathered.clear()


class _NoTarget(RuntimeSubject):
    def open(self, case: Case) -> Opened:
        raise RuntimeError("there is no target")
