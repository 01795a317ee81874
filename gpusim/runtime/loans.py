"""Loans: the caller uses a buffer of the runtime in queue work of its own.

A loan is ordered by the queue alone.  Earlier calls are submitted when the loan begins, and nothing
of the runtime touches the buffer until the loan ends.  So the caller's queue work comes after the
earlier calls and before the later calls.  The runtime waits for nothing.
"""

from collections.abc import Callable
from typing import Any

from gpusim.runtime import checks
from gpusim.runtime.batch import FlushReason
from gpusim.runtime.buffers import Buffer, BufferTable
from gpusim.runtime.guard import Guard
from gpusim.runtime.recorder import Recorder


class Loan:
    """The result of ``Runtime.lend``; its ``with`` block is the loan.

    ``forget`` drops what was planned over a buffer.
    """

    def __init__(
        self,
        buffer: Buffer,
        guard: Guard,
        buffers: BufferTable,
        recorder: Recorder,
        forget: Callable[[Buffer], None],
    ) -> None:
        self._buffer = buffer
        self._guard = guard
        self._buffers = buffers
        self._recorder = recorder
        self._forget = forget

    def __enter__(self) -> Any:
        self._guard.check_op("lend a buffer")
        self._buffers.device_buffer(self._buffer)
        checks.check_not_lost("lend", self._buffer)
        self._recorder.submit(FlushReason.ASKED)
        self._forget(self._buffer)
        return self._buffers.lend(self._buffer).native

    def __exit__(self, *_: object) -> None:
        self._buffers.take_back(self._buffer)
