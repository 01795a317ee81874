"""Small runtimes whose mistakes the device's own order mostly hides, each beside a sound one.

Every runtime records into one encoder, and its reads arrive at the next sync, in an event loop.
The first class of a pair is right; the second changes one method.  ``PAIRS`` names them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from wgpu import BufferUsage

from gpusim.ops import Grid
from gpusim.testing import Adapter, Capabilities
from tests.layer.mistakes.parts import STAGING, STORAGE

QUIET = Capabilities(orders_deliveries=False)
SURVIVING = Capabilities(orders_deliveries=False, survives_failed_maps=True)
FRUGAL = Capabilities(orders_deliveries=False, survives_out_of_memory=True)


class Late:
    """A read that arrives at the next sync; its staging buffer meanwhile."""

    def __init__(self, staging: Any, size_bytes: int) -> None:
        self.staging, self.size_bytes = staging, size_bytes
        self.data: bytes | None = None
        self.error: Exception | None = None

    def result(self) -> bytes:
        """The bytes, after the sync."""
        if self.error is not None:
            raise self.error
        assert self.data is not None, "it is asked for before the sync"
        return self.data

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Nobody is promised a call."""

    def take(self) -> None:
        """Take the bytes of the mapped buffer."""
        self.data = bytes(self.staging.read_mapped(0, self.size_bytes))
        self.staging.unmap()


def whole(buffer: Any) -> dict[str, Any]:
    """A binding of all of a buffer."""
    return {"buffer": buffer, "offset": 0, "size": buffer.size}


class Recording(Adapter):
    """What the runtimes have in common."""

    capabilities = QUIET

    def __init__(self, device: Any, kernels: Any) -> None:
        super().__init__(device, kernels)
        self.buffers: dict[str, Any] = {}
        self.waiting: list[Late] = []
        self.encoder: Any = None

    def alloc(self, buffer: str, size_bytes: int) -> None:
        self.buffers[buffer] = self.device.create_buffer(size=max(4, size_bytes), usage=STORAGE)

    def write(self, buffer: str, data: bytes, offset: int) -> None:
        self.flush()
        if data:
            self.device.queue.write_buffer(self.buffers[buffer], offset, data)

    def dispatch(
        self, kernel: str, buffers: Sequence[str], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        made = self.kernels[kernel]
        bound = [whole(self.buffers[buffer]) for buffer in buffers]
        if payload := made.pack(scalars, grid[0] * grid[1] * grid[2]):
            bound.append(self.uniform(payload))
        module = self.device.create_shader_module(code=made.wgsl())
        pipeline = self.device.create_compute_pipeline(layout="auto", compute={"module": module})
        entries = [{"binding": at, "resource": each} for at, each in enumerate(bound)]
        layout = pipeline.get_bind_group_layout(0)
        group = self.device.create_bind_group(layout=layout, entries=entries)
        compute_pass = self.open().begin_compute_pass()
        compute_pass.set_pipeline(pipeline)
        compute_pass.set_bind_group(0, group)
        compute_pass.dispatch_workgroups(*grid)
        compute_pass.end()

    def uniform(self, payload: bytes) -> dict[str, Any]:
        """Where a dispatch that is about to be recorded finds its scalars."""
        usage = BufferUsage.UNIFORM
        return whole(self.device.create_buffer_with_data(data=payload, usage=usage))

    def copy(self, source: str, at: int, target: str, to: int, size_bytes: int) -> None:
        if size_bytes:
            self.open().copy_buffer_to_buffer(
                self.buffers[source], at, self.buffers[target], to, size_bytes
            )

    def read(self, buffer: str, offset: int, size_bytes: int) -> Any:
        staging = self.staging_of(size_bytes)
        self.open().copy_buffer_to_buffer(self.buffers[buffer], offset, staging, 0, size_bytes)
        late = Late(staging, size_bytes)
        self.waiting.append(late)
        return late

    def staging_of(self, size_bytes: int) -> Any:
        return self.device.create_buffer(size=max(8, size_bytes), usage=STAGING)

    def free(self, buffer: str) -> None:
        self.flush()
        self.buffers.pop(buffer).destroy()

    def open(self) -> Any:
        if self.encoder is None:
            self.encoder = self.device.create_command_encoder()
        return self.encoder

    def flush(self) -> None:
        if self.encoder is not None:
            encoder, self.encoder = self.encoder, None
            self.device.queue.submit([encoder.finish()])

    def sync(self) -> None:
        self.flush()
        waiting, self.waiting = self.waiting, []
        if waiting:
            asyncio.run(self.arrive(waiting))

    def close(self) -> None:
        self.sync()
        for buffer in self.buffers.values():
            buffer.destroy()

    async def arrive(self, waiting: list[Late]) -> None:
        promises = [each.staging.map_async("READ") for each in waiting]
        for each, promise in zip(waiting, promises, strict=True):
            await promise
            each.take()


class ByCallback(Recording):
    """Each map that settles hands out the bytes of its read."""

    broken: Exception | None = None

    async def arrive(self, waiting: list[Late]) -> None:
        left = list(waiting)
        for each in waiting:
            promise = each.staging.map_async("READ")
            self.then(promise, partial(self.settled, left, each))
            promise.catch(partial(self.failed, left, each))
        await self.until(lambda: not left)

    def then(self, promise: Any, callback: Callable[[object], None]) -> None:
        """Call back; what that raises ends the sync."""

        def call(value: object) -> None:
            try:
                callback(value)
            except Exception as error:
                self.broken = error

        promise.then(call)

    async def until(self, is_over: Callable[[], bool]) -> None:
        self.broken = None
        while not is_over():
            if self.broken is not None:
                raise self.broken
            await asyncio.sleep(0)

    def settled(self, left: list[Late], late: Late, _: object) -> None:
        late.take()
        left.remove(late)

    def failed(self, left: list[Late], late: Late, error: Exception) -> None:
        late.error = error
        left.remove(late)


class FirstWaiting(ByCallback):
    """The bytes that arrive first go to the read that was asked for first."""

    def settled(self, left: list[Late], late: Late, _: object) -> None:
        first = left.pop(0)
        first.data = bytes(late.staging.read_mapped(0, late.size_bytes))[: first.size_bytes]
        late.staging.unmap()


class LastMap(Recording):
    """When the last map has settled, all are taken for settled."""

    async def arrive(self, waiting: list[Late]) -> None:
        promises = [each.staging.map_async("READ") for each in waiting]
        await promises[-1]
        for each in waiting:
            each.take()


class HighestNumber(ByCallback):
    """A sync waits until the read with the highest number has arrived."""

    async def arrive(self, waiting: list[Late]) -> None:
        highest = [0]
        for number, each in enumerate(waiting, 1):
            promise = each.staging.map_async("READ")
            promise.then(lambda _, number=number: highest.append(max(number, highest.pop())))
        await self.until(lambda: highest[0] == len(waiting))
        for each in waiting:
            each.take()


class Counted(ByCallback):
    """The number of settled maps says which read has arrived."""

    def settled(self, left: list[Late], late: Late, _: object) -> None:
        left[0].take()
        left.pop(0)


class Halved(ByCallback):
    """A read of much is two maps, and its bytes are both halves."""

    async def arrive(self, waiting: list[Late]) -> None:
        for each in waiting:
            whole = each.staging.size
            half = max(8, whole // 2 // 8 * 8)
            parts: list[Any] = []
            ranges = [(0, half), (half, whole - half)] if whole > half else [(0, whole)]
            stagings = [self.part_of(each.staging, at, size) for at, size in ranges]
            for at, staging in enumerate(stagings):
                self.then(staging.map_async("READ"), partial(self.half, parts, at, staging))
            await self.until(partial(self.has_all, parts, len(stagings)))
            each.data = b"".join(self.joined(parts))[: each.size_bytes]

    def part_of(self, source: Any, offset: int, size_bytes: int) -> Any:
        part = self.device.create_buffer(size=max(8, size_bytes), usage=STAGING)
        encoder = self.device.create_command_encoder()
        encoder.copy_buffer_to_buffer(source, offset, part, 0, size_bytes)
        self.device.queue.submit([encoder.finish()])
        return part

    def staging_of(self, size_bytes: int) -> Any:
        return self.device.create_buffer(size=max(8, size_bytes), usage=STORAGE)

    def has_all(self, parts: list[Any], count: int) -> bool:
        return len(parts) == count

    def half(self, parts: list[Any], at: int, staging: Any, _: object) -> None:
        parts.append((at, bytes(staging.read_mapped())))
        staging.unmap()

    def joined(self, parts: list[Any]) -> list[bytes]:
        return [data for _, data in sorted(parts)]


class AsTheyArrive(Halved):
    """The half that arrives first is taken for the first half."""

    def joined(self, parts: list[Any]) -> list[bytes]:
        return [data for _, data in parts]


class Pooled(ByCallback):
    """A staging buffer is used again, for the next read that waits, once its read has arrived."""

    async def arrive(self, waiting: list[Late]) -> None:
        used = [self.staging_of(max(each.size_bytes for each in waiting)) for _ in range(2)]
        self.free_stagings = list(used)
        self.in_use: list[Any] = []
        left = list(waiting)
        for each in waiting:
            await self.until(lambda: bool(self.free_stagings))
            source, each.staging = each.staging, self.free_stagings.pop()
            self.in_use.append(each.staging)
            encoder = self.device.create_command_encoder()
            encoder.copy_buffer_to_buffer(source, 0, each.staging, 0, max(4, each.size_bytes))
            self.device.queue.submit([encoder.finish()])
            self.then(each.staging.map_async("READ"), partial(self.settled, left, each))
        await self.until(lambda: not left)

    def staging_of(self, size_bytes: int) -> Any:
        usage = STAGING if hasattr(self, "is_arriving") else STORAGE
        return self.device.create_buffer(size=max(8, size_bytes), usage=usage)

    def sync(self) -> None:
        self.is_arriving = True
        super().sync()
        del self.is_arriving

    def settled(self, left: list[Late], late: Late, _: object) -> None:
        late.take()
        left.remove(late)
        self.give_back(late.staging)

    def give_back(self, staging: Any) -> None:
        self.in_use.remove(staging)
        self.free_stagings.append(staging)


class OldestRecycled(Pooled):
    """The staging buffer that is longest in use goes back, whichever has arrived."""

    def give_back(self, staging: Any) -> None:
        self.free_stagings.append(self.in_use.pop(0))


class Surviving(ByCallback):
    """A map may fail; its read is to say so."""

    capabilities = SURVIVING


class FailedIsZeros(Surviving):
    """A read whose map has failed gives the zeros that its array began with."""

    def failed(self, left: list[Late], late: Late, error: Exception) -> None:
        late.data = bytes(late.size_bytes)
        left.remove(late)


class FailedShifts(Surviving):
    """A failed map takes the newest read from the queue, since it was the last call."""

    def failed(self, left: list[Late], late: Late, error: Exception) -> None:
        left[-1].error = error
        left.pop()
        if late in left:
            late.data = bytes(late.size_bytes)
            left.remove(late)


class FailedPoisons(Surviving):
    """The error of a map is kept, and raised by the next call."""

    kept: Exception | None = None

    def failed(self, left: list[Late], late: Late, error: Exception) -> None:
        super().failed(left, late, error)
        self.kept = error

    def write(self, buffer: str, data: bytes, offset: int) -> None:
        if self.kept is not None:
            error, self.kept = self.kept, None
            raise error
        super().write(buffer, data, offset)


class Frugal(Recording):
    """There may be no memory; the op that finds none is to raise, and nothing else."""

    capabilities = FRUGAL


class LosesBatch(Frugal):
    """Where there is no memory for a read, the batch that is open is thrown away."""

    def staging_of(self, size_bytes: int) -> Any:
        encoder, self.encoder = self.encoder, None
        staging = super().staging_of(size_bytes)
        self.encoder = encoder
        return staging


class Lossy(Recording):
    """The device may be lost; from then on every op may raise, and reads fail."""

    capabilities = replace(QUIET, survives_loss=True)


class LossIsZeros(Lossy):
    """A read that a lost device leaves behind gives zeros, and the sync says nothing."""

    def sync(self) -> None:
        waiting = list(self.waiting)
        try:
            super().sync()
        except Exception:
            for each in waiting:
                each.data = each.data or bytes(each.size_bytes)


PAIRS: dict[str, tuple[type[Adapter], type[Adapter]]] = {
    "first_waiting": (ByCallback, FirstWaiting),
    "last_map": (Recording, LastMap),
    "highest_number": (ByCallback, HighestNumber),
    "counted": (ByCallback, Counted),
    "as_they_arrive": (Halved, AsTheyArrive),
    "oldest_recycled": (Pooled, OldestRecycled),
    "failed_is_zeros": (Surviving, FailedIsZeros),
    "failed_shifts": (Surviving, FailedShifts),
    "failed_poisons": (Surviving, FailedPoisons),
    "loses_open_batch": (Frugal, LosesBatch),
    "loss_is_zeros": (Lossy, LossIsZeros),
}
