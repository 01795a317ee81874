"""Targets with one mistake each, for a session to find; a test names them by this file's path."""

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from wgpu import GPUValidationError

from gpusim.errors import SubmitFailed
from gpusim.kernels import Kernel
from gpusim.ops import Copy, Op, Read, Write
from gpusim.runtime import Parts
from gpusim.runtime.batch import FlushReason, FlushRules
from gpusim.runtime.commands import DispatchCommand, RecordedCommand
from gpusim.runtime.drivers.driver import WgpuDriver
from properties.model.case import Case
from properties.model.target import Delivery
from properties.targets.factory import Opened, RuntimeFactory
from properties.targets.naive_target import NaiveTarget


class _WritesOvertake(FlushRules):
    def before_write(self, *about: Any) -> FlushReason | None:
        return None


class _SubmitsEach(FlushRules):
    def after_recording(self, *about: Any) -> FlushReason | None:
        return FlushReason.COMMANDS


class _Trouble(WgpuDriver):
    """In trouble where a batch dispatches two kernels or more."""

    def encode(self, commands: Sequence[RecordedCommand], *how: Any, **named: Any) -> Any:
        dispatches = [command for command in commands if isinstance(command, DispatchCommand)]
        if any(command.pipeline is not dispatches[0].pipeline for command in dispatches):
            self.trouble()
        return super().encode(commands, *how, **named)

    def trouble(self) -> None:
        raise NotImplementedError


class _Aborts(_Trouble):
    def trouble(self) -> None:
        _abort(b"the driver is beyond help\n")


def _abort(words: bytes) -> None:
    if os.name != "nt":
        import resource

        # To write down the memory of a process takes seconds where a machine keeps it.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.write(2, words)
    os.abort()


class _Hangs(_Trouble):
    def trouble(self) -> None:
        threading.Event().wait()


class _IgnoresFailedSubmits(WgpuDriver):
    def submit(self, command_buffer: Any) -> None:
        with suppress(SubmitFailed):
            super().submit(command_buffer)


class SubmitsDestroyed(NaiveTarget):
    """Aborts as wgpu-native does with RUST_BACKTRACE=1, unless a layer refuses the submit."""

    def free(self, buffer: str) -> None:
        encoder = self.device.create_command_encoder()
        encoder.clear_buffer(self._buffers[buffer][0])
        super().free(buffer)
        try:
            self.device.queue.submit([encoder.finish()])
        except GPUValidationError as error:
            if "a submitted " in str(error):
                raise  # The layer has refused it.
            _abort(_PANIC)


_PANIC = b"""
thread '<unnamed>' (7) panicked at src/lib.rs:605:5:
Error in wgpuQueueSubmit: Validation Error

Caused by:
    Buffer with '' label has been destroyed

stack backtrace:
   0: __rustc::rust_begin_unwind
   1: core::panicking::panic_fmt
   2: _start
note: Some details are omitted
fatal runtime error: failed to initiate panic, error 5, aborting
"""


class RefusesOddSizes(NaiveTarget):
    """Raises where a write, a read or a copy is not of whole words, as nearly every program's."""

    def perform(self, op: Op) -> Delivery | None:
        if isinstance(op, Write | Read | Copy) and size_of(op) % 4:
            raise RuntimeError(f"{op} is not of whole words")
        return super().perform(op)


def size_of(op: Write | Read | Copy) -> int:
    return len(op.data) if isinstance(op, Write) else op.size_bytes


class _GathersWrites(NaiveTarget):
    def __init__(self, device: Any, kernels: Mapping[str, Kernel]) -> None:
        super().__init__(device, kernels)
        self._gathered: list[tuple[str, bytes, int]] = []

    def write(self, buffer: str, data: bytes, offset: int) -> None:
        self._gathered.append((buffer, data, offset))

    def read(self, buffer: str, offset: int, size_bytes: int) -> bytes:
        self._make_writes()
        return super().read(buffer, offset, size_bytes)

    def free(self, buffer: str) -> None:
        self._make_writes()
        super().free(buffer)

    def _make_writes(self) -> None:
        for write in self._gathered:
            super().write(*write)
        self._gathered.clear()


class _NoTarget(RuntimeFactory):
    def open(self, case: Case) -> Opened:
        raise RuntimeError("there is no target")


write_overtakes_batch = partial(RuntimeFactory, parts=Parts(flush_rules=_WritesOvertake))
"""A host write acts on the queue before what was recorded before it."""
submits_each = partial(RuntimeFactory, parts=Parts(flush_rules=_SubmitsEach))
"""Every command is submitted at once, which changes no value and wastes all batching."""
aborts = partial(RuntimeFactory, make_driver=_Aborts)
"""A driver that kills its process over a batch of two kernels."""
hangs = partial(RuntimeFactory, make_driver=_Hangs)
"""A driver that never returns from a batch of two kernels."""
ignores_failed_submits = partial(RuntimeFactory, make_driver=_IgnoresFailedSubmits)
"""A driver that says nothing of a submit that failed."""
gathers_writes = _GathersWrites
"""A naive target that makes host writes at the next read or free."""
fails_to_judge = _NoTarget
"""No target at all: the judge itself is broken."""
