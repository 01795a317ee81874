"""A random walk: WebGPU calls on buffers of its own, and the bytes that these buffers must hold.

The calls are those that our runtime never makes: parts of buffers mapped for writing, queue writes
of parts of data, clears, copies without a size, several pipelines over one bind group, immediates.
Each step is a call, or a few that belong together; its meaning is a line of NumPy.  The queue keeps
the order of the calls, so after each step the bytes are known.

A device may fail as planned.  A call that fails has changed nothing, and is made again or left out.
"""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import wgpu
from wgpu import BufferUsage

from gpusim.limits import WORD_BYTES
from gpusim.simulated import Profile
from properties.clients.blocks import Block
from properties.clients.client import BrokenPromise, is_idle
from properties.clients.illegal import Row
from properties.clients.passes import Dispatched, Pipelines, encode_pass
from properties.generate.choices import Choices, Weights

T = TypeVar("T")
_USAGES = {
    "storage": BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST,
    "upload": BufferUsage.MAP_WRITE | BufferUsage.COPY_SRC,
    "download": BufferUsage.MAP_READ | BufferUsage.COPY_DST,
}
_SOURCES, _TARGETS = ("storage", "upload"), ("storage", "download")
_LEAST_WORDS, _MOST_WORDS = 2, 24
_MUCH_BYTES = 1 << 23
_WRITES_OF_MUCH = 9
"""Together more bytes than a simulated device lets wait in its queue."""


class Walk:
    """Calls on one device.

    ``faults``: how many of the calls may fail.  ``pipelines`` are those of the device, if it has
    them already.  ``told``: the device in words.
    """

    def __init__(
        self,
        device: Any,
        profile: Profile,
        choices: Choices,
        *,
        faults: int = 0,
        pipelines: Pipelines | None = None,
        told: str = "a device",
    ) -> None:
        self._told = told
        self.device = device
        self.faults = faults
        self.profile = profile
        self._choices = choices
        self.pipelines = pipelines or Pipelines(device)
        self._turns = 0
        self.blocks = [self.made(kind) for kind in ("storage", "storage", "upload", "download")]

    def go(self, steps: int) -> None:
        """Take ``steps`` steps, look at every buffer, and destroy them all."""
        for _ in range(steps):
            self._choices.weighted(_STEPS)(self)
        for block in self.blocks:
            self.end(block)

    def write(self) -> None:
        """Write a part of some data into a part of a buffer."""
        block = self._block(_TARGETS)
        start, size = self._part(block)
        data = self._data(size)
        skip, rest = (self._choices.pick((0, 0, 4, 8)) for _ in range(2))
        given = bytes(skip) + data.tobytes() + bytes(rest)
        part: dict[str, int] = {"data_offset": skip} if skip else {}
        part |= {"size": size} if rest else {}
        queue = self.device.queue
        self.again(lambda: queue.write_buffer(block.native, start, given, **part))
        block.put(start, data, f"write_buffer({len(given)} bytes, {part})")

    def write_mapped(self) -> None:
        """Map a part of a buffer, and write all or some of the mapped bytes, in pieces."""
        block = self._block(("upload",))
        start, size = self._part(block, 2 * WORD_BYTES)
        if not self.map(block, "WRITE", start, size):
            return
        at = start
        while at < start + size and not (at > start and self._choices.chance(1, 3)):
            more = min(2 * WORD_BYTES, start + size - at)
            data = self._data(more)
            if at > start or self._choices.chance(1, 2):
                block.native.write_mapped(data, at)
            else:
                block.native.write_mapped(data)
            block.put(at, data, f"write_mapped({at}) in a map of {start}, {size}")
            at += more
        block.native.unmap()

    def read_mapped(self) -> None:
        """Map a part of a buffer, and look at all or some of the mapped bytes."""
        block = self._block(("download",))
        start, size = self._part(block, 2 * WORD_BYTES)
        if self.map(block, "READ", start, size):
            skip = 2 * WORD_BYTES if size > 2 * WORD_BYTES and self._choices.chance(1, 2) else 0
            part = (start + skip, size - skip) if skip else ()
            shown = block.native.read_mapped(*part)
            block.native.unmap()
            block.compare(shown, start + skip, size - skip)

    def read(self) -> None:
        """Read a part of a buffer by the queue."""
        block = self._block(_SOURCES)
        start, size = self._part(block)
        read = self.device.queue.read_buffer
        block.compare(self.again(lambda: read(block.native, start, size)), start, size)

    def wait(self) -> None:
        """Wait for the submitted work, which must then be done."""
        if self.profile.tells_work_done:
            self.again(self.device.queue.on_submitted_work_done_sync)
            if not is_idle(self.device):
                raise BrokenPromise("the promise of the submitted work settles before it is done")

    def map(self, block: Block, mode: str, *part: int) -> bool:
        """Map a part of a buffer.  If the map fails, use or replace the buffer; return False."""
        try:
            block.native.map_sync(mode, *part)
            state = block.native.map_state
        except Exception as error:
            self.excuse(error)
            if self.profile.failed_map_unmaps:
                self.use(block)
            else:
                self._replace(block)
            return False
        if state != "mapped":
            raise BrokenPromise(f"a buffer is mapped, and its map_state is {state}")
        return True

    def use(self, block: Block) -> None:
        """Submit a command that uses a buffer, and that changes its bytes if a command can."""
        is_target = block.kind in _TARGETS
        command = self._clear_of(block) if is_target else self._copy_from(block)
        self._submit([[command]])

    def submit(self) -> None:
        """Submit one command buffer or two, each with a few commands."""
        counts = [self._choices.integer(1, 3) for _ in range(self._choices.integer(1, 2))]
        self._submit([[self._command() for _ in range(count)] for count in counts])

    def replace(self) -> None:
        """Destroy a buffer, and make another in its place."""
        self._replace(self._choices.pick(self.blocks))

    def write_much(self) -> None:
        """Write so much that a device can not let all of it wait."""
        if self.device.limits["max-buffer-size"] < _MUCH_BYTES or not self._choices.chance(1, 12):
            return
        usage = _USAGES["storage"]
        native = self.again(lambda: self.device.create_buffer(size=_MUCH_BYTES, usage=usage))
        data = bytes(_MUCH_BYTES)
        for _ in range(_WRITES_OF_MUCH):
            self.again(lambda: self.device.queue.write_buffer(native, 0, data))
        native.destroy()

    def misuse(self, row: Row) -> None:
        """Make a call that must be refused, and that changes nothing."""
        told, call, error = row
        at: Any = SimpleNamespace(device=self.device)
        for block in self.blocks:
            setattr(at, block.kind, block.native)
        try:
            call(at)
        except error:
            return
        except Exception as raised:
            raise BrokenPromise(f"{told} ends with {raised!r}, not {error.__name__}") from raised
        raise BrokenPromise(f"{told} is not refused")

    def again(self, call: Callable[[], T]) -> T:
        """Make a call, and make it again as long as it fails as planned."""
        while True:
            try:
                return call()
            except Exception as error:
                self.excuse(error)

    def excuse(self, error: Exception) -> None:
        """Take an error for one of the planned faults.  BrokenPromise if none is left."""
        if not self.faults or not isinstance(error, wgpu.GPUError | RuntimeError):
            raise BrokenPromise(f"a legal call on {self._told} ends with {error!r}") from error
        self.faults -= 1

    def _command(self) -> "_Command":
        make = self._choices.pick((Walk._copy, Walk._copy, Walk._clear, Walk._pass, Walk._pass))
        return make(self)

    def _submit(self, recorded: "list[list[_Command]]") -> None:
        def call() -> None:
            buffers = []
            for commands in recorded:
                encoder = self.device.create_command_encoder()
                for encode, _ in commands:
                    encode(encoder)
                buffers.append(encoder.finish())
            self.device.queue.submit(buffers)

        self.again(call)
        for commands in recorded:
            for _, act in commands:
                act()

    def _clear(self) -> "_Command":
        return self._clear_of(self._block(_TARGETS))

    def _clear_of(self, block: Block) -> "_Command":
        start, size = self._part(block)
        part: tuple[int, ...] = start, size
        match self._choices.integer(0, 3):
            case 0 if self.profile.clears_nothing:
                part = (start, 0)
            case 1:
                part = (start,)
            case 2:
                part = ()
        begin = part[0] if part else 0
        end = begin + part[1] if len(part) == 2 else len(block.bytes)

        def act() -> None:
            block.put(begin, np.zeros(end - begin, np.uint8), f"clear_buffer{part}")

        return (lambda encoder: encoder.clear_buffer(block.native, *part)), act

    def _copy(self) -> "_Command":
        return self._copy_from(self._block(_SOURCES))

    def _copy_from(self, source: Block) -> "_Command":
        others = [one for one in self.blocks if one.kind in _TARGETS and one is not source]
        target = self._choices.pick(others)
        start, size = self._part(source)
        rest = len(source.bytes) - start
        has_size = not self.profile.defaults_copy_size or self._flip()
        has_size |= rest > len(target.bytes)
        size = min(size, len(target.bytes)) if has_size else rest
        given = (size,) if has_size else ()
        most = (len(target.bytes) - size) // WORD_BYTES
        to = WORD_BYTES * self._choices.integer(0, most)

        def act() -> None:
            data = source.bytes[start : start + size]
            target.put(to, data, f"copy_buffer_to_buffer{(start, to, *given)}")

        return (
            lambda encoder: encoder.copy_buffer_to_buffer(
                source.native, start, target.native, to, *given
            )
        ), act

    def _pass(self) -> "_Command":
        """A compute pass of a few dispatches."""
        dispatches = [self._dispatch() for _ in range(self._choices.integer(1, 4))]
        for block in self.blocks:
            if block.kind == "storage" and block.group is None:
                block.group = self.again(partial(self._bound, block))

        def act() -> None:
            for each in dispatches:
                each.act()

        return (lambda encoder: encode_pass(encoder, self.pipelines, dispatches)), act

    def _dispatch(self) -> Dispatched:
        x = self._block(("storage",))
        y = next(one for one in self.blocks if one.kind == "storage" and one is not x)
        most = min(len(x.bytes), len(y.bytes)) // WORD_BYTES
        return Dispatched(
            shader=self._choices.pick([*self.pipelines.by_name]),
            x=x,
            y=y,
            words=self._choices.integer(1, most),
            by=np.array([self._choices.integer(1, 3), self._choices.integer(0, 9)], np.uint32),
            resets=self._flip(),
        )

    def _bound(self, block: Block) -> Any:
        bound = {"binding": 0, "resource": {"buffer": block.native}}
        return self.device.create_bind_group(layout=self.pipelines.layout, entries=[bound])

    def made(self, kind: str) -> Block:
        """A new buffer, small or as large as is allowed, with bytes of its own or zeroed."""
        limit = self.device.limits["max-buffer-size"]
        size = WORD_BYTES * self._choices.integer(_LEAST_WORDS, _MOST_WORDS)
        if limit <= WORD_BYTES * _MOST_WORDS and self._flip():
            size = limit
        size, usage = min(size, limit), _USAGES[kind]
        make = self.device.create_buffer
        match self._choices.integer(0, 3):
            case 0:
                block = Block(
                    kind, self.again(lambda: make(size=size, usage=usage, mapped_at_creation=True))
                )
                data = self._data(size)
                block.native.write_mapped(data)
                block.native.unmap()
                block.put(0, data, "write_mapped at its creation")
            case 1:
                data = self._data(size)
                made = self.device.create_buffer_with_data
                block = Block(kind, self.again(lambda: made(data=data, usage=usage)))
                block.put(0, data, "create_buffer_with_data")
            case _:
                block = Block(kind, self.again(lambda: make(size=size, usage=usage)))
        return block

    def _replace(self, block: Block) -> None:
        block.native.destroy()
        self.blocks[self.blocks.index(block)] = self.made(block.kind)

    def end(self, block: Block) -> None:
        """Look at all bytes of a buffer, and destroy it."""
        if block.kind != "download":
            read = self.device.queue.read_buffer
            block.compare(self.again(lambda: read(block.native)), 0, len(block.bytes))
        elif self.map(block, "READ"):
            shown = block.native.read_mapped()
            block.native.unmap()
            block.compare(shown, 0, len(block.bytes))
        block.native.destroy()

    def _block(self, kinds: tuple[str, ...]) -> Block:
        return self._choices.pick([block for block in self.blocks if block.kind in kinds])

    def _part(self, block: Block, alignment: int = WORD_BYTES) -> tuple[int, int]:
        """A part of a buffer: its offset and its size, in bytes."""
        words = len(block.bytes) // WORD_BYTES
        start = self._choices.integer(0, words - 1) * WORD_BYTES // alignment * alignment
        return start, self._choices.integer(1, words - start // WORD_BYTES) * WORD_BYTES

    def _data(self, size: int) -> Any:
        """Bytes that differ from those of other calls."""
        self._turns += 1
        return (np.arange(size) * 7 + 31 * self._turns).astype(np.uint8)

    def _flip(self) -> bool:
        return self._choices.chance(1, 2)


_Command = tuple[Callable[[Any], object], Callable[[], None]]
"""A command: what encodes it, and what it does to the bytes."""
_STEPS: Weights[Callable[[Walk], None]] = Weights(
    (Walk.write, 8),
    (Walk.submit, 10),
    (Walk.write_mapped, 5),
    (Walk.read_mapped, 4),
    (Walk.replace, 3),
    (Walk.read, 2),
    (Walk.wait, 1),
    (Walk.write_much, 1),
)
