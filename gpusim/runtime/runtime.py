"""The public interface of the batched runtime: each op is checked, planned and carried out.

No batching is decided here (see ``batch``), and no queue is touched (see ``recorder``).
"""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

from gpusim.errors import OutOfRange
from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.runtime import checks
from gpusim.runtime.batch import FlushReason
from gpusim.runtime.buffers import Bound, Buffer
from gpusim.runtime.byte_plans import words_up
from gpusim.runtime.commands import Role
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.drivers.opening import open_driver
from gpusim.runtime.graph import Graph, GridIn
from gpusim.runtime.host_data import Destination, plain_bytes
from gpusim.runtime.loans import Loan
from gpusim.runtime.parts import Assembly, Parts
from gpusim.runtime.policy import PRESETS, Policy, policy_of
from gpusim.runtime.readbacks import Ticket
from gpusim.runtime.stats import Stats, stats_of


class Runtime(Assembly):
    """A batched compute runtime on one WebGPU device.

    Commands gather and reach the queue in few submissions; results are those of
    running every op at its call.  A runtime belongs to the thread that made it; asyncio
    tasks of that thread may share it, and their calls take effect in the order
    in which they are made.

    Args:
        device: a wgpu-py device, a device with its interface, or the name of a device; by
            default the best adapter.
        policy: every batching decision, or the name of a preset; by default ``ring``.
        driver: the driver that calls the device, instead of a new driver;
            runtimes that share a driver compile each kernel once.
        parts: how each collaborator is made, to replace some of them.

    Every op raises ``Refused`` classes for what the caller did wrong, and ``DeviceFault``
    classes for what no check could foresee.  If there are several reasons to refuse an op,
    docs/CONTRACT.md says which one is raised.  A refused op changes nothing.

    Raises:
        NoDevice, ProgramError: no runtime can be made of these arguments.
    """

    _instead = "each process, and each thread, makes its own"

    def __init__(
        self,
        device: Any = None,
        policy: Policy | str = PRESETS["ring"],
        *,
        driver: Driver | None = None,
        parts: Parts = Parts(),  # noqa: B008 - frozen
    ) -> None:
        self.policy = policy_of(policy)
        self._driver = open_driver(device, driver)
        self.policy.check_fits(self._driver.limits.max_buffer_bytes)
        self.device: Any = self._driver.device
        self.limits: Limits = self._driver.limits.within(self.policy.memory_budget_bytes)
        self._assemble(parts)

    def alloc(self, size_bytes: int, *, label: str = "") -> Buffer:
        """A new buffer of ``size_bytes`` bytes, all zero; ``label`` is for messages.

        Raises:
            OutOfRange, LimitExceeded: no buffer of the device can have that size.
            OutOfMemory: the policy's budget or the device is exhausted.
        """
        self._guard.check_op("alloc")
        size_bytes = checks.whole("alloc", size_bytes, "size_bytes")
        checks.check_alloc(size_bytes, self._buffers.live_bytes, self.limits)
        device_buffer = self._driver.create_buffer(words_up(max(size_bytes, 1)), Role.STORAGE)
        self._done["allocs"] += 1
        return self._buffers.add(device_buffer, size_bytes, label)

    def adopt(self, buffer: Any, *, label: str = "") -> Buffer:
        """A handle to a wgpu buffer of the caller's; the runtime never destroys that buffer.

        From now until the ``free``, the caller may use the buffer only in a ``lend``.

        Raises:
            InvalidHandle: ``buffer`` is not of this device, is mapped, or has a handle already.
            InvalidBinding: it has no bytes or no whole number of words, or lacks one of the usages
                STORAGE, COPY_SRC and COPY_DST.
        """
        self._guard.check_op("adopt a buffer")
        self._buffers.check_new(buffer)
        device_buffer = self._driver.adopt_buffer(buffer)
        return self._buffers.add(device_buffer, device_buffer.size_bytes, label)

    def lend(self, buffer: Buffer) -> Loan:
        """Lend the wgpu buffer of ``buffer``: ``with runtime.lend(x) as native: ...``

        The caller's queue work in the block comes after all earlier calls and before all later
        calls.  In the block no op may use ``buffer``.

        Raises:
            InvalidHandle, DataLost: on entry, and nothing is lent.
        """
        return Loan(buffer, self._guard, self._buffers, self._recorder, self._forget)

    def write(self, buffer: Buffer, data: Any, offset: int = 0) -> None:
        """Host to GPU: exactly the bytes of ``data``, taken now, at byte ``offset``.

        ``data`` is any array or buffer; if it is not contiguous, it is copied.

        Raises:
            InvalidHandle, OutOfRange, InvalidData: and the buffer is unchanged.
        """
        self._guard.check_op("write")
        self._buffers.device_buffer(buffer)
        offset = checks.whole("write", offset)
        view = plain_bytes(data)
        checks.check_range("write", offset, len(view), buffer.size_bytes)
        if len(view):
            self._transfers.write(buffer, offset, view)
        self._done["writes"] += 1

    def copy(
        self,
        source: Buffer,
        target: Buffer,
        *,
        source_offset: int = 0,
        target_offset: int = 0,
        size_bytes: int | None = None,
    ) -> None:
        """GPU to GPU, at any byte offsets and of any length.

        Within one buffer the ranges may overlap: the target gets the bytes from before the copy.
        Without ``size_bytes``, the rest of the source is copied.

        Raises:
            InvalidHandle, OutOfRange, DataLost: and nothing is changed.
        """
        self._guard.check()
        call = self._planner.check_copy(source, source_offset, target, target_offset, size_bytes)
        if self._captures.open is not None:
            self._captures.open.calls.append(call)
            return
        checks.check_not_lost("copy", source)
        if call.size_bytes:
            self._transfers.copy(call)
        self._done["copies"] += 1

    def dispatch(
        self,
        kernel: Kernel,
        buffers: Sequence[Bound],
        scalars: Sequence[int | float] = (),
        grid: int | Sequence[int] | GridIn = 1,
    ) -> None:
        """Run ``kernel`` over the whole words of ``buffers``; ``grid`` counts workgroups.

        ``buffer.part(...)`` binds a part of a buffer.  A grid with a zero in it does
        nothing.  The scalars are taken now.

        Raises:
            InvalidBinding, InvalidHandle, OutOfRange, LimitExceeded, InvalidScalar, DataLost:
                in the order of docs/CONTRACT.md, and nothing is changed.
            ProgramError: the device refuses the kernel's WGSL.
        """
        self._guard.check()
        if self._captures.open is not None:
            self._captures.open.calls.append(self._planner.call(kernel, buffers, scalars, grid))
            return
        plan, payload = self._planner.plan(kernel, buffers, scalars, grid)
        debug = self._debug
        if debug is not None and debug.drops():
            return
        if plan.groups:
            self._recorder.dispatch(plan, payload)
        self._done["dispatches"] += 1
        if debug is not None:
            debug.after_dispatch()

    def dispatch_indirect(
        self,
        kernel: Kernel,
        buffers: Sequence[Bound],
        scalars: Sequence[int | float] = (),
        *,
        counts: Buffer,
        offset: int = 0,
    ) -> None:
        """``dispatch`` over a grid that the GPU reads when the dispatch runs.

        The grid is x, y and z: three u32 of ``counts`` from byte ``offset``, a multiple of
        four.  A grid past the device's limit in a dimension does nothing.

        Raises:
            Refused, DataLost, ProgramError: as ``dispatch``; also if no grid can be read there.
        """
        if type(offset) is not int:
            # ``dispatch`` refuses what is no whole number, in the contract's order of checks.
            with suppress(OutOfRange):
                offset = checks.whole("dispatch", offset)
        self.dispatch(kernel, buffers, scalars, GridIn(counts, offset))

    def capture(self) -> Graph:
        """A graph of the dispatches and copies that its ``with`` block calls.

        The calls are checked and not carried out.  Any other op in the block is refused
        with InvalidCapture.

            with runtime.capture() as graph:
                runtime.dispatch(AFFINE, [x], (3, 1))
            graph.replay([(5, 2)], {x: y})
        """
        self._guard.check_op("capture")
        return Graph(self._guard.check, self._captures, self._replays.play)

    def read(
        self,
        buffer: Buffer,
        offset: int = 0,
        size_bytes: int | None = None,
        *,
        dtype: Any = None,
        shape: int | Sequence[int] | None = None,
        out: Any = None,
    ) -> Ticket:
        """GPU to host: a ticket for the value at this point of the program.

        The value is bytes; a new array if ``dtype`` or ``shape`` is given; or ``out``, a writable
        contiguous buffer of exactly that size, which is filled at delivery.  Without ``size_bytes``
        the rest of the buffer is read.

        Raises:
            InvalidHandle, OutOfRange, InvalidData, DataLost: and no read is issued.
        """
        self._guard.check_op("read")
        origin = self._buffers.device_buffer(buffer)
        offset = checks.whole("read", offset)
        rest = buffer.size_bytes - offset
        size_bytes = rest if size_bytes is None else checks.whole("read", size_bytes, "size_bytes")
        checks.check_range("read", offset, size_bytes, buffer.size_bytes)
        destination = Destination(size_bytes, dtype=dtype, shape=shape, out=out)
        checks.check_not_lost("read", buffer)
        ticket = self._reads.issue(origin, offset, size_bytes, destination)
        ticket.span = buffer, offset, size_bytes
        self._done["reads"] += 1
        return ticket

    def free(self, buffer: Buffer) -> None:
        """Free a buffer; this works on a lost device too.  InvalidHandle if it was freed before."""
        self._guard.check_free()
        device_buffer = self._buffers.device_buffer(buffer)
        if not self._driver.lost:
            self._recorder.before_free(device_buffer)
        self._forget(buffer)
        self._bind_groups.forget(device_buffer)
        self._recorder.destroy(self._buffers.remove(buffer))
        self._done["frees"] += 1

    def flush(self) -> None:
        """Submit what is recorded; changes no result, ever."""
        self._guard.check_op("flush")
        self._recorder.submit(FlushReason.ASKED)

    def sync(self, timeout: float | None = None) -> None:
        """Return when every earlier op is done, on the GPU and in host memory.

        ``timeout`` is in seconds; None is the policy's ``wait_seconds``.

        Raises:
            DeviceFault: a fault that no call has raised yet; every read is settled by then.
            WaitTimedOut: a TimeoutError; the earlier ops are still pending.
        """
        self._guard.check_sync()
        self._reads.wait_for_all(checks.seconds("sync", timeout))
        self._guard.raise_fault()

    async def sync_async(self, timeout: float | None = None) -> None:
        """``sync`` without blocking the event loop; covers the calls made before it.

        Several syncs may wait for one map.  If the map fails, each of them raises its error.
        """
        self._guard.check_sync()
        await self._reads.wait_for_all_async(checks.seconds("sync", timeout))
        self._guard.raise_fault()

    def poll(self) -> int:
        """Deliver the reads that have arrived, in order, and call back; never wait.

        Gives the number of pending reads; reads in the open batch need a ``flush`` to arrive.
        While a submitted read has a done callback, a running asyncio loop polls by itself.
        Without such a loop, ``poll`` is for callers that neither wait nor sync.
        """
        self._guard.check_op("poll")
        return self._readbacks.poll()

    @property
    def is_open(self) -> bool:
        """Whether the runtime is open."""
        return self._guard.is_open

    def live_buffers(self) -> list[Buffer]:
        """Every live buffer, in the order of the allocs."""
        return list(self._buffers)

    def stats(self) -> Stats:
        """The counters of everything done so far."""
        return stats_of(
            self._done,
            self._recorder,
            self._clock,
            self._buffers,
            uniforms=self._uniforms,
            bind_groups=self._bind_groups,
            shapes=self._shapes,
            staging=self._staging,
        )

    def close(self, timeout: float | None = 60.0) -> None:
        """Finish all ops, settle every ticket, and release everything.

        Buffers still alive are freed with a ResourceWarning.  Closing again does nothing.  The
        wait for the device ends after ``timeout`` seconds; each read that has not arrived by then
        has the error WaitTimedOut.

        Raises:
            DeviceFault: a fault that no call has raised yet; everything is released even then.
        """
        if not self._guard.is_open:
            return
        self._guard.check_thread()
        fault = self._reads.finish(checks.seconds("close", timeout))
        self._guard.is_open = False
        left = self._buffers.describe_left()
        self._give_back()
        if left:
            warnings.warn(left, ResourceWarning, stacklevel=2)
        if fault is not None:
            raise fault

    def __enter__(self) -> Self:
        if not self._guard.is_open:
            raise checks.runtime_closed()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _forget(self, buffer: Buffer) -> None:
        self._planner.forget(buffer)
        self._replays.forget(buffer)

    def _give_back(self) -> None:
        self._bind_groups.clear()
        device_buffers = [self._buffers.remove(buffer) for buffer in self._buffers]
        device_buffers += self._recorder.retired() + self._uniforms.clear() + self._staging.clear()
        device_buffers += self._reads.clear() + self._uploads.clear()
        for device_buffer in device_buffers:
            self._driver.destroy_buffer(device_buffer)
