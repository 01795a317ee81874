"""Mistakes in the public interface: in arguments, in results, and in who may call what, and when.

Only a client can show these mistakes, because a program holds only plain bytes and numbers, and
nothing that a runtime refuses because of its form.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np

from gpusim.errors import InvalidHandle
from gpusim.runtime import Graph, Runtime, Ticket
from gpusim.runtime.batch import FlushReason
from gpusim.runtime.commands import DeviceBuffer
from gpusim.runtime.readbacks import Readback, Readbacks
from gpusim.runtime.reads import Reads
from properties.mutants.mutant import Overlay, mutant


@mutant(part="runtime", found_by="clients", hard=True)
class ColumnsWrittenAsTheyLie(Runtime):
    """An array in Fortran's order is written in the order of its memory."""

    def write(self, buffer: Any, data: Any, offset: int = 0) -> None:
        if isinstance(data, np.ndarray):
            data = data.ravel(order="K")
        super().write(buffer, data, offset)


@mutant(part="runtime", found_by="clients", hard=True)
class ViewCountedInElements(Runtime):
    """Of a memoryview of n u16 or u32 only the first n bytes are written."""

    def write(self, buffer: Any, data: Any, offset: int = 0) -> None:
        if isinstance(data, memoryview) and data.format in ("H", "I"):
            data = data.tobytes()[: len(data)]
        super().write(buffer, data, offset)


@mutant(part="runtime", found_by="clients", hard=True)
class ArrayTakenLater(Runtime):
    """The next dispatch writes a complex array once more, with the bytes that it has by then."""

    _kept: tuple[Any, ...] | None = None

    def write(self, buffer: Any, data: Any, offset: int = 0) -> None:
        super().write(buffer, data, offset)
        if isinstance(data, np.ndarray) and data.dtype.kind == "c":
            self._kept = buffer, data, offset

    def dispatch(self, *given: Any, **named: Any) -> None:
        kept, self._kept = self._kept, None
        if kept is not None and kept[0].is_live:
            super().write(*kept)
        super().dispatch(*given, **named)


@mutant(part="runtime", found_by="clients", hard=True)
class NamedScalarsByPlace(Runtime):
    """Scalars that are given by name are taken in the order in which they are given."""

    def dispatch(self, kernel: Any, buffers: Any, scalars: Any = (), grid: Any = 1) -> None:
        if isinstance(scalars, Mapping) and len(scalars) == len(kernel.scalars):
            scalars = tuple(scalars.values())
        super().dispatch(kernel, buffers, scalars, grid)


@mutant(part="runtime", found_by="clients", hard=True)
class GridOfTwoCut(Runtime):
    """A grid of two dimensions loses its second."""

    def dispatch(self, kernel: Any, buffers: Any, scalars: Any = (), grid: Any = 1) -> None:
        if isinstance(grid, tuple | list) and len(grid) == 2:
            grid = grid[:1]
        super().dispatch(kernel, buffers, scalars, grid)


@mutant(part="runtime", found_by="clients", hard=True)
class ShapeOfAReadLost(Runtime):
    """A read with a dtype and a shape gives an array of one dimension."""

    def read(self, buffer: Any, offset: int = 0, size_bytes: Any = None, **form: Any) -> Ticket:
        if form.get("dtype") is not None:
            form.pop("shape", None)
        return super().read(buffer, offset, size_bytes, **form)


@mutant(part="readbacks", found_by="clients", hard=True)
class OutFilledOnce(Readbacks):
    """A second read into an array leaves it as it is, if the first read is still pending."""

    def issue(self, readback: Readback) -> None:
        owners = [each.destination._owner for each in self._queue]
        if any(readback.destination._owner is owner for owner in owners if owner is not None):
            readback.destination._out = memoryview(bytearray(readback.size_bytes))
        super().issue(readback)


@mutant(part="runtime", found_by="clients", hard=True)
class FlushInACapture(Runtime):
    """A flush inside a capture is not refused, and submits what was recorded before."""

    def flush(self) -> None:
        self._guard.check()
        self._recorder.submit(FlushReason.ASKED)


@mutant(part="runtime", found_by="clients", hard=True)
class PollFromAnywhere(Runtime):
    """A poll of an open runtime checks nothing: neither thread, nor capture, nor fault."""

    def poll(self) -> int:
        return self._readbacks.poll() if self.is_open else super().poll()


@mutant(part="runtime", found_by="clients", hard=True)
class CopyToNowhere(Runtime):
    """A copy that should raise InvalidHandle does nothing instead, if its target is live."""

    def copy(self, source: Any, target: Any, **named: Any) -> None:
        try:
            super().copy(source, target, **named)
        except InvalidHandle:
            if not target.is_live:
                raise


class _Whole(Graph):
    def __exit__(self, *raised: Any) -> None:
        super().__exit__(None, None, None)


@mutant(part="runtime", found_by="clients", hard=True)
class AbortedCaptureKept(Runtime):
    """A capture whose block raised can be replayed all the same."""

    def capture(self) -> Graph:
        self._guard.check_op("capture")
        return _Whole(self._guard.check, self._captures, self._replays.play)


@mutant(part="readbacks", found_by="clients", hard=True)
class CallbackStopsTheNext(Readbacks):
    """If a done callback raises, the later callbacks of the same read are not called."""

    def _deliver(self, readback: Readback) -> None:
        callbacks = readback.ticket._callbacks
        kept = [*callbacks]

        def all_in_turn(ticket: Ticket) -> None:
            for callback in kept:
                callback(ticket)

        callbacks[:] = [all_in_turn] if kept else []
        super()._deliver(readback)


@mutant(part="reads", found_by="clients", hard=True)
class SyncsShareOneWait(Reads):
    """Awaited syncs that overlap share one wait, and cancelling one of them cancels all."""

    _waiting: asyncio.Task[None] | None = None

    async def wait_for_all_async(self, seconds: float | None = None) -> None:
        if self._waiting is None or self._waiting.done():
            self._waiting = asyncio.create_task(super().wait_for_all_async(seconds))
        await self._waiting


@mutant(part="runtime", found_by="clients")
class NarrowOffsetDropsWrite(Runtime):
    """A write is dropped where its end does not fit into the NumPy type of its offset."""

    def write(self, buffer: Any, data: Any, offset: Any = 0) -> None:
        if isinstance(offset, np.integer):
            size_bytes = memoryview(data).nbytes
            if int(offset) + size_bytes > np.iinfo(offset.dtype).max:
                return
        super().write(buffer, data, offset)


@mutant(part="runtime", found_by="clients")
class ViewOfBoolsIsWritten(Runtime):
    """An array of bools is refused, but a memoryview of bools is written."""

    def write(self, buffer: Any, data: Any, offset: int = 0) -> None:
        if isinstance(data, memoryview) and data.format == "?":
            data = data.cast("B")
        super().write(buffer, data, offset)


@mutant(part="driver", found_by="clients")
class AdoptionAsksForNoUsage(Overlay):
    """A buffer of the caller's is adopted whatever usages it has."""

    def adopt_buffer(self, native: Any) -> DeviceBuffer:
        adopted: DeviceBuffer = self._inner.adopt_buffer(_Fit(native))
        adopted.native = native
        return adopted


class _Fit(Overlay):
    usage = 0xFFFF
