"""A small runtime that is not gpusim's, and defects that can be planted in it, one or several.

    gpusim fuzz --target tests/judge/foreign.py:sound
    gpusim fuzz --target tests/judge/foreign.py:pads+overtakes

It has a batch of deferred commands, handles that are used again, a pool of memory, uniform slots
and bind groups that are kept.  The name of a target lists its defects; ``DEFECTS`` says what each
is.  All promise the same, and the sound one keeps it.  Nothing here knows the judge's own runtime.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gpusim import Kernel
from gpusim.errors import InvalidHandle, OutOfRange
from gpusim.testing import Adapter, Capabilities, Refusal

SOUND = "sound"
DEFECTS = {
    "loses_batch": "accepts a copy out of range, and then drops the batch that holds it",
    "drops_commands": "raises for a copy out of range, and forgets the batch before it",
    "pads": "pads a write of odd length with zeros, over its neighbour",
    "stale_handles": "accepts a freed handle, which now names another buffer",
    "clears_late": "clears a new buffer with the next batch, and not when it is made",
    "overtakes": "a host write does not wait for the batch",
    "reuses_early": "hands out memory that the batch still uses",
    "forgets_reads": "a sync leaves out the last of three reads",
    "keeps_bindings": "finds a bind group by its handles, which may name other buffers by now",
    "shares_slots": "the fourth dispatch of a batch has the uniform slot of the first",
}
_SLOTS = 3
_DTYPES: Mapping[str, Any] = {"u32": np.uint32, "i32": np.int32, "f32": np.float32}
Memory = bytearray


@dataclass(frozen=True, slots=True)
class Handle:
    """A slot of the table of buffers, and how often that was given out before."""

    slot: int
    generation: int


class Pending:
    """A read on its way: the batch copies into ``staging``, and a sync takes it from there."""

    def __init__(self, runtime: "Foreign", size_bytes: int) -> None:
        self.staging = bytearray(size_bytes)
        self._runtime = runtime
        self._value: bytes | None = None
        self._callbacks: list[Callable[[Any], None]] = []

    def settle(self, data: bytes) -> None:
        """The value has arrived."""
        self._value = data
        for callback in self._callbacks:
            callback(self)

    def result(self) -> bytes:
        """The value; a sync makes it arrive."""
        if self._value is None:
            self._runtime.sync()
        assert self._value is not None
        return self._value

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call it when the value is there."""
        self._callbacks.append(callback)


class Foreign(Adapter):
    """The runtime with some defects; without any it keeps what it promises."""

    capabilities = Capabilities(
        write_offset_bytes=1,
        write_size_bytes=1,
        invalid_handle=Refusal.CONTAINED,
        out_of_range=Refusal.CONTAINED,
        kernels=("affine", "fold", "mix", "scramble"),
        orders_deliveries=False,
    )

    def __init__(
        self, device: Any, kernels: Mapping[str, Kernel], *, defects: Sequence[str] = ()
    ) -> None:
        super().__init__(device, kernels)
        self._defects = defects
        self._handles: dict[str, Handle] = {}
        self._table: list[Memory | None] = []
        self._generations: list[int] = []
        self._pool: list[Memory] = []
        self._batch: list[Callable[[], None]] = []
        self._dirty: list[Memory] = []
        self._slots: list[tuple[Any, ...]] = []
        self._taken = -1
        self._groups: dict[Any, list[Memory]] = {}
        self._reads: list[Pending] = []

    def alloc(self, buffer: str, size_bytes: int) -> None:
        memory = next((each for each in self._pool if len(each) == size_bytes), None)
        if memory is None:
            memory = bytearray(size_bytes)
        else:
            self._pool = [each for each in self._pool if each is not memory]
        if "clears_late" in self._defects:
            self._dirty.append(memory)
        else:
            _clear(memory)
        free = [slot for slot, each in enumerate(self._table) if each is None]
        if not free:
            free = [len(self._table)]
            self._table.append(None)
            self._generations.append(0)
        self._table[free[-1]] = memory
        self._handles[buffer] = Handle(free[-1], self._generations[free[-1]])

    def write(self, buffer: str, data: bytes, offset: int) -> None:
        memory = self._find(buffer)
        self._see_inside(memory, offset, len(data))
        if "overtakes" not in self._defects:
            self.flush()
        if "pads" in self._defects:
            data = data.ljust(min(-(-len(data) // 4) * 4, len(memory) - offset), b"\0")
        memory[offset : offset + len(data)] = data

    def dispatch(
        self, kernel: str, buffers: Sequence[str], scalars: Any, grid: tuple[int, int, int]
    ) -> None:
        meant = self.kernels[kernel]
        values = tuple(
            _DTYPES[scalar.dtype](value)
            for scalar, value in zip(meant.scalars, scalars, strict=True)
        )
        bound = self._bound(kernel, buffers)
        slots, slot, groups = self._slots, self._slot_with(values), grid[0] * grid[1] * grid[2]
        count = len(values)
        self._later(lambda: _run(meant, bound, slots[slot][:count], groups))

    def copy(self, source: str, at: int, target: str, target_at: int, size_bytes: int) -> None:
        one, other = self._find(source), self._find(target)
        try:
            self._see_inside(one, at, size_bytes)
            self._see_inside(other, target_at, size_bytes)
        except OutOfRange:
            if "drops_commands" in self._defects:
                self._batch.clear()
            if "loses_batch" not in self._defects:
                raise
            self._later(self._fail)
            return
        self._later(partial(_copy, one, at, other, target_at, size_bytes))

    def read(self, buffer: str, offset: int, size_bytes: int) -> Pending:
        memory = self._find(buffer)
        self._see_inside(memory, offset, size_bytes)
        read = Pending(self, size_bytes)
        self._reads.append(read)
        self._later(partial(_copy, memory, offset, read.staging, 0, size_bytes))
        return read

    def free(self, buffer: str) -> None:
        memory = self._find(buffer)
        if "reuses_early" not in self._defects:
            self.flush()
        slot = self._handles[buffer].slot
        self._table[slot] = None
        self._generations[slot] += 1
        self._pool.append(memory)
        if "keeps_bindings" not in self._defects:
            self._groups.clear()

    def flush(self) -> None:
        batch, self._batch = self._batch, []
        self._slots, self._taken = [], -1
        try:
            if self._fail not in batch:
                for command in batch:
                    command()
        finally:
            for memory in self._dirty:
                _clear(memory)
            self._dirty.clear()

    def sync(self) -> None:
        self.flush()
        reads, self._reads = self._reads, []
        forgotten = reads[2:3] if "forgets_reads" in self._defects else []
        for read in reads:
            read.settle(bytes(len(read.staging)) if read in forgotten else bytes(read.staging))

    def _later(self, command: Callable[[], None]) -> None:
        self._batch.append(command)

    def _fail(self) -> None:
        """A command that the device refuses, and all of its batch with it."""

    def _slot_with(self, values: tuple[Any, ...]) -> int:
        """The number of the batch's uniform slot that holds ``values``; all have one size."""
        payload = (values + (np.uint32(0),) * 2)[:2]
        if "shares_slots" in self._defects and len(self._slots) == _SLOTS:
            self._taken = (self._taken + 1) % _SLOTS
            self._slots[self._taken] = payload
            return self._taken
        self._slots.append(payload)
        return len(self._slots) - 1

    def _find(self, name: str) -> Memory:
        handle = self._handles[name]
        memory = self._table[handle.slot]
        is_stale = self._generations[handle.slot] != handle.generation
        if memory is None or (is_stale and "stale_handles" not in self._defects):
            raise InvalidHandle(f"cannot use {name} because it was freed")
        return memory

    def _bound(self, kernel: str, buffers: Sequence[str]) -> list[Memory]:
        bound = [self._find(name) for name in buffers]
        key = kernel, *(self._handles[name].slot for name in buffers)
        return self._groups.setdefault(key, bound)

    def _see_inside(self, memory: Memory, offset: int, size_bytes: int) -> None:
        if min(offset, size_bytes) < 0 or offset + size_bytes > len(memory):
            raise OutOfRange(f"cannot reach {size_bytes} bytes at {offset} of {len(memory)}")


def _clear(memory: Memory) -> None:
    memory[:] = bytes(len(memory))


def _copy(source: Memory, at: int, target: Memory, target_at: int, size_bytes: int) -> None:
    target[target_at : target_at + size_bytes] = source[at : at + size_bytes]


def _run(kernel: Kernel, bound: Sequence[Memory], scalars: tuple[Any, ...], groups: int) -> None:
    arrays = [np.frombuffer(memory, np.uint8) for memory in bound]
    words = [each[: len(each) // 4 * 4].view(np.uint32) for each in arrays]
    kernel.meaning(tuple(words), scalars, groups)


def __getattr__(name: str) -> Callable[[Any, Mapping[str, Kernel]], Foreign]:
    """The runtime whose defects are in ``name``, with a plus between two."""
    defects = () if name == SOUND else tuple(name.split("+"))
    if not set(defects) <= DEFECTS.keys():
        raise AttributeError(name)
    return partial(Foreign, defects=defects)
