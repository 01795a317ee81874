"""A client with buffers and queue work of its own, which it shares with the runtime.

The client adopts buffers, borrows the runtime's buffers, and puts its own work into the same queue,
or lets a second runtime do that.  The program shows the same, since a loan puts that work exactly
where the op was.  If the device refuses the client's work, the client leaves the op to the runtime.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from itertools import count
from types import SimpleNamespace
from typing import Any
from zlib import crc32

from wgpu import BufferUsage, GPUError, GPUValidationError

from gpusim.errors import DataLost, DeviceFault, InvalidBinding, InvalidHandle, Refused
from gpusim.limits import WORD_BYTES
from gpusim.ops import (
    GRID_BYTES,
    Alloc,
    Capture,
    Command,
    Copy,
    DispatchIndirect,
    Free,
    Op,
    Replay,
    Write,
)
from gpusim.program import buffers_of, replayed
from gpusim.runtime import Buffer, Runtime, Stats
from gpusim.runtime.policy import PRESETS
from gpusim.text import write_op
from properties.clients.client import BrokenPromise, Client
from properties.clients.forbidden import NAMING
from properties.model.target import Delivery
from properties.targets.runtime_target import RuntimeTarget

_USAGE = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST | BufferUsage.INDIRECT
_UNFIT_BYTES = 16
_UNMAPPED, _MAPPED, _PENDING = "unmapped", "mapped", "pending"
_Unfit = tuple[int, str, type[Refused], str]
"""The usage that a buffer lacks, the state of its mapping, the error class of the refusal, and
words of its message."""
_UNFIT: Sequence[_Unfit] = (
    (BufferUsage.STORAGE, _UNMAPPED, InvalidBinding, "without STORAGE usage"),
    (BufferUsage.COPY_SRC, _UNMAPPED, InvalidBinding, "without COPY_SRC usage"),
    (BufferUsage.COPY_DST, _UNMAPPED, InvalidBinding, "without COPY_DST usage"),
    (0, _MAPPED, InvalidHandle, "that is mapped"),
    (0, _PENDING, InvalidHandle, "that is about to be mapped"),
)
_BARE: _Unfit = (
    _USAGE & ~BufferUsage.INDIRECT,
    _UNMAPPED,
    InvalidBinding,
    "without any of the three",
)
"""A buffer that lacks all three usages.  It is offered only if another unfit one was adopted."""


class _AboutToBeMapped:
    """A buffer that seems about to be mapped; few devices can really map storage buffers."""

    map_state = _PENDING

    def __init__(self, native: Any) -> None:
        self._native = native

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)


class SharingClient(Client):
    """Takes turns with the runtime: every second time it makes the buffer or moves words itself."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._turns, self._loans = count(), count()
        self._mine: dict[str, Any] = {}
        self._guest: Runtime | None = None
        self._uses = count()
        self._captures: dict[str, Capture] = {}
        self._last: dict[str, Op] = {}
        """The last command, or replay, over each buffer."""

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``; notes which buffers were used, and how."""
        delivery = super().perform(op)
        if isinstance(op, Capture):
            self._captures[op.graph] = op
        commands: Iterable[Op] = [op] if isinstance(op, Command) else ()
        if isinstance(op, Replay):
            commands = replayed(self._captures[op.graph], op)
        self._last |= {name: op for command in commands for name in buffers_of(command)}
        return delivery

    def alloc(self, op: Alloc) -> None:
        """Make a buffer; by turns the client makes it itself, and it must count like any other."""
        runtime, limits = self.target.runtime, self.target.limits
        before = runtime.stats()
        fits = 0 < op.size_bytes <= limits.max_buffer_bytes and not op.size_bytes % WORD_BYTES
        if limits.memory_budget_bytes is not None:
            fits &= before.live_bytes + op.size_bytes <= limits.memory_budget_bytes
        if not fits or next(self._turns) % 2:
            self.target.perform(op)
            return
        self._offer_unfit(_UNFIT[crc32(write_op(op).encode()) % len(_UNFIT)])
        native = self._made(op.size_bytes, _USAGE)
        if native is None:
            self.target.perform(op)
            return
        self._mine[op.buffer] = native
        self.target.name(op.buffer, runtime.adopt(native, label=op.buffer))
        self._check_counted(before, op.size_bytes, 1)

    def _check_counted(self, before: Stats, size_bytes: int, buffers: int) -> None:
        """Check that ``stats()`` has grown by ``size_bytes`` and ``buffers`` since ``before``."""
        now, live_bytes = self.target.runtime.stats(), before.live_bytes + size_bytes
        counted = {
            "live_buffers": before.live_buffers + buffers,
            "live_bytes": live_bytes,
            "peak_bytes": max(before.peak_bytes, live_bytes),
            "total_bytes": before.total_bytes + max(size_bytes, 0),
        }
        for name, meant in counted.items():
            if getattr(now, name) != meant:
                raise BrokenPromise(
                    f"an adopted buffer of {abs(size_bytes)} bytes came or went: {name} should be "
                    f"{meant}, and is {getattr(now, name)}"
                )

    def _offer_unfit(self, own: _Unfit) -> None:
        """Offer a buffer that lacks a usage or is mapped; the runtime must refuse to adopt it."""
        *_, error, unfit = own
        if not self._adopts(own):
            return
        ends: dict[bool, list[str]] = {True: [], False: []}
        for other in (*_UNFIT, _BARE):
            if other is not own:
                with suppress(Exception):
                    ends[self._adopts(other)].append(f"one {other[-1]}")
        told = {"adopted as well is": ends[True], "refused is": ends[False]}
        others = [f"; {words} {', '.join(names)}" for words, names in told.items() if names]
        raise BrokenPromise(
            f"a buffer {unfit} is adopted, and is to be refused with {error.__name__}"
            f"{''.join(others)}"
        )

    def _adopts(self, unfit: _Unfit) -> bool:
        lacks, state, error, _ = unfit
        native = self._made(_UNFIT_BYTES, _USAGE & ~lacks, is_mapped=state == _MAPPED)
        if native is None:
            return False
        try:
            self.target.runtime.adopt(_AboutToBeMapped(native) if state == _PENDING else native)
        except error:
            return False
        finally:
            native.destroy()
        return True

    def dispatch_indirect(self, op: DispatchIndirect) -> None:
        """First take the grid from a buffer without INDIRECT usage, which must be refused."""
        if self.target.limits.memory_budget_bytes is None:
            self._ask_for_unfit_grid(op)
        self.target.perform(op)

    def _ask_for_unfit_grid(self, op: DispatchIndirect) -> None:
        native = self._made(GRID_BYTES, _USAGE & ~BufferUsage.INDIRECT)
        if native is None:
            return
        target = self.target
        try:
            counts = target.runtime.adopt(native, label="counts")
        except DeviceFault:
            native.destroy()
            raise
        try:
            bound = [target.find_bound(each) for each in op.buffers]
            kernel = target.kernels[op.kernel]
            target.runtime.dispatch_indirect(kernel, bound, op.scalars, counts=counts)
        except Refused:
            return
        finally:
            try:
                _give_up(target.runtime, counts)
            finally:
                native.destroy()
        raise BrokenPromise("a grid is taken from a buffer without INDIRECT usage")

    def _made(self, size_bytes: int, usage: int, *, is_mapped: bool = False) -> Any:
        """A buffer of the client's own; None if the device fails."""
        make = self.target.runtime.device.create_buffer
        try:
            return make(size=size_bytes, usage=usage, mapped_at_creation=is_mapped)
        except GPUError as error:
            _check_fault(error)
            return None

    def write(self, op: Write) -> None:
        """Write; by turns the client writes whole words itself, in a loan."""
        buffer = self._lendable(op.buffer, op.offset, len(op.data))
        if buffer is None or next(self._turns) % 2:
            self.target.perform(op)
            return
        runtime = self.target.runtime
        before = runtime.live_buffers(), runtime.stats().live_bytes
        with runtime.lend(buffer) as native:
            self._check_lent(before)
            self._use_lent(op.buffer)
            is_done = self._work(
                lambda: runtime.device.queue.write_buffer(native, op.offset, op.data),
                lambda guest, mine: guest.write(mine, op.data, op.offset),
                native,
            )
        if not is_done:
            self.target.perform(op)

    def copy(self, op: Copy) -> None:
        """Copy; by turns the client itself copies whole words between two lent buffers."""
        source = self._lendable(op.source, op.source_offset, op.size_bytes)
        target = self._lendable(op.target, op.target_offset, op.size_bytes)
        if source is None or target is None or source is target or next(self._turns) % 2:
            self.target.perform(op)
            return
        runtime, device = self.target.runtime, self.target.runtime.device
        at = {"source_offset": op.source_offset, "target_offset": op.target_offset}

        def copied() -> None:
            encoder = device.create_command_encoder()
            encoder.copy_buffer_to_buffer(
                origin, op.source_offset, place, op.target_offset, op.size_bytes
            )
            device.queue.submit([encoder.finish()])

        before = runtime.live_buffers(), runtime.stats().live_bytes
        with runtime.lend(source) as origin, runtime.lend(target) as place:
            self._check_lent(before)
            self._use_lent(op.source)
            self._use_lent(op.target)
            is_done = self._work(
                copied,
                lambda guest, first, second: guest.copy(
                    first, second, **at, size_bytes=op.size_bytes
                ),
                origin,
                place,
            )
        if not is_done:
            self.target.perform(op)

    def _work(self, own: Callable[[], object], of_guest: Callable[..., None], *lent: Any) -> bool:
        """Do the work in a loan: by turns ``own``, or ``of_guest`` with the second runtime.

        False if the device refuses the work.
        """
        try:
            if next(self._loans) % 2:
                self._let_guest(of_guest, lent)
            else:
                own()
        except DeviceFault:
            # The second runtime has met the fault, and not the runtime that lends.
            return False
        except GPUError as error:
            _check_fault(error)
            return False
        return True

    def _let_guest(self, work: Callable[..., None], lent: Sequence[Any]) -> None:
        """Let the second runtime adopt what is lent, work with it, and give it up."""
        if self._guest is None:
            self._guest = self.target.runtime_around(lambda driver: driver, PRESETS["pooled"])
        guest, adopted = self._guest, []
        with ExitStack() as given_up:
            for native in lent:
                adopted.append(guest.adopt(native))
                given_up.callback(_give_up, guest, adopted[-1])
            work(guest, *adopted)

    def free(self, op: Free) -> None:
        """Free; a buffer of the client's own must stay alive and unchanged after that."""
        before = self.target.runtime.stats()
        self.target.perform(op)
        native = self._mine.pop(op.buffer, None)
        if native is None:
            return
        self._check_counted(before, -native.size, -1)
        queue, wanted = self.target.runtime.device.queue, b"\xee" * native.size
        try:
            queue.write_buffer(native, 0, wanted)
            found = bytes(queue.read_buffer(native))
        except (GPUError, RuntimeError) as error:
            _check_fault(error)
            found = wanted
        if found != wanted:
            raise BrokenPromise("a buffer of the client's is written after its free")
        native.destroy()

    def close(self) -> None:
        """Close, while one buffer is lent; the client's own buffers must outlive the runtime."""
        runtime, device = self.target.runtime, self.target.runtime.device
        if self._guest is not None:
            with suppress(DeviceFault):
                self._guest.close()
        fault: DeviceFault | None = None
        try:
            with ExitStack() as loan:
                try:
                    for buffer in [one for one in runtime.live_buffers() if not one.lost][:1]:
                        loan.enter_context(runtime.lend(buffer))
                except DeviceFault as met:
                    fault = met
                self.target.close()
        finally:
            for native in self._mine.values():
                try:
                    device.queue.write_buffer(native, 0, bytes(native.size))
                except GPUError as error:
                    _check_fault(error)
                native.destroy()
        if fault is not None:
            raise fault

    def _check_lent(self, before: tuple[list[Buffer], int]) -> None:
        """Check that a lent buffer counts as live, and that no earlier call waits for a submit."""
        runtime = self.target.runtime
        if (runtime.live_buffers(), runtime.stats().live_bytes) != before:
            raise BrokenPromise("a buffer that is lent is not among the live ones")
        submits = runtime.stats().submits
        runtime.flush()
        if runtime.stats().submits != submits:
            raise BrokenPromise("a loan has not submitted all that was called before it")

    def _use_lent(self, name: str) -> None:
        """Use a buffer while it is lent: by a call that names it, and by the last op over it again.

        Both must be refused.
        """
        lent, runtime = self.target.find(name), self.target.runtime
        told, call = list(NAMING.items())[next(self._uses) % len(NAMING)]
        tries: dict[str, Callable[[], object]] = {
            told: lambda: call(SimpleNamespace(runtime=runtime, x=lent), lent)
        }
        if name in self._last:
            tries["once more the last op over"] = lambda: self.target.perform(self._last[name])
        for told, again in tries.items():
            try:
                again()
            except (Refused, DataLost):
                continue
            raise BrokenPromise(f"{told} a buffer is not refused, though the buffer is lent")

    def _lendable(self, name: str, offset: int, size_bytes: int) -> Buffer | None:
        """The live buffer ``name``, if its data is not lost and these words lie in the buffer."""
        buffer = self.target.find(name)
        if (
            not buffer.is_live
            or buffer.lost
            or offset % WORD_BYTES
            or size_bytes % WORD_BYTES
            or size_bytes <= 0
        ):
            return None
        return buffer if 0 <= offset <= buffer.size_bytes - size_bytes else None


def _give_up(runtime: Runtime, buffer: Any) -> None:
    """Free an adopted buffer.  The free may have to submit; if that fails, it has freed nothing."""
    try:
        runtime.free(buffer)
    except DeviceFault:
        runtime.free(buffer)
        raise


def _check_fault(error: Exception) -> None:
    """Raise ``error`` if a call was invalid; a fault of the device says nothing of the runtime."""
    if isinstance(error, GPUValidationError) and "device is lost" not in str(error):
        raise error
