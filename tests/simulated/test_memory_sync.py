"""What a read sees of a write: every pair of operations, over every boundary between them.

After the WebGPU conformance suite's ``memory_sync/buffer`` (single and multiple
buffers, read-write, write-read, write-write, dispatches of one pass), for the
operations that compute has, on every strategy.
"""

from itertools import product
from typing import Any

import numpy as np
import pytest
import wgpu

from gpusim.kernels import AFFINE, FOLD, Kernel
from gpusim.simulated import STRATEGIES, open_device, strategy
from tests.simulated.recording import bind

U = wgpu.BufferUsage
ALL = U.STORAGE | U.COPY_SRC | U.COPY_DST | U.INDIRECT
OLD, NEW, NEWER, SEEN = 0, 1, 7, 9
WRITES = ("storage", "copy", "write-buffer")
READS = ("storage-read", "copy", "indirect")
BOUNDARIES = ("dispatch", "pass", "command-buffer", "queue-op")
"""What lies between two operations, from nothing at all to a submit."""


class World:
    """A device, and a recorder that crosses a boundary only when told."""

    def __init__(self, name: str) -> None:
        self.device = open_device(scheduler=strategy(name, 3))
        self._commands: list[Any] = []
        self._encoder: Any = None
        self._pass: Any = None
        self._pipelines = {kernel.name: self._compile(kernel) for kernel in (AFFINE, FOLD)}

    def buffer(self, *words: int) -> Any:
        """A buffer of three words."""
        data = np.array((*words, 1, 1, 1)[:3], np.uint32)
        return self.device.create_buffer_with_data(data=data, usage=ALL)

    def word(self, buffer: Any) -> int:
        """The first word, once everything was submitted."""
        self.cross("queue-op")
        return int(np.frombuffer(self.device.queue.read_buffer(buffer, 0, 4), np.uint32)[0])

    def cross(self, boundary: str) -> None:
        """End what has to end for ``boundary`` to lie behind."""
        if boundary == "dispatch":
            return
        if self._pass is not None:
            self._pass.end()
            self._pass = None
        if boundary == "pass":
            return
        if self._encoder is not None:
            self._commands.append(self._encoder.finish())
            self._encoder = None
        if boundary == "queue-op":
            self.device.queue.submit(self._commands)
            self._commands = []

    def dispatch(self, kernel: Kernel, scalars: list[int], *buffers: Any, grid: Any = 1) -> None:
        """In the open pass, or a new one; ``grid`` is a count, or a buffer that holds it."""
        pipeline = self._pipelines[kernel.name]
        uniform = self.device.create_buffer_with_data(
            data=np.array(scalars, np.uint32), usage=U.UNIFORM
        )
        group = bind(self.device, pipeline.get_bind_group_layout(0), *buffers, uniform)
        self._pass = self._pass or self._open().begin_compute_pass()
        self._pass.set_pipeline(pipeline)
        self._pass.set_bind_group(0, group)
        if isinstance(grid, int):
            self._pass.dispatch_workgroups(grid)
        else:
            self._pass.dispatch_workgroups_indirect(grid, 0)

    def copy(self, source: Any, target: Any) -> None:
        """The first word of one to the other; a copy ends a pass."""
        self.cross("pass")
        self._open().copy_buffer_to_buffer(source, 0, target, 0, 4)

    def write(self, target: Any, value: int) -> None:
        """On the queue; whatever was recorded before it has to be submitted before it."""
        self.cross("queue-op")
        self.device.queue.write_buffer(target, 0, np.array([value], np.uint32))

    def _open(self) -> Any:
        self._encoder = self._encoder or self.device.create_command_encoder()
        return self._encoder

    def _compile(self, kernel: Kernel) -> Any:
        module = self.device.create_shader_module(code=kernel.wgsl())
        return self.device.create_compute_pipeline(layout="auto", compute={"module": module})


def perform_write(world: World, how: str, target: Any, value: int) -> None:
    if how == "storage":
        world.dispatch(AFFINE, [0, value], target)
    elif how == "copy":
        world.copy(world.buffer(value), target)
    else:
        world.write(target, value)


def perform_read(world: World, how: str, source: Any, target: Any) -> None:
    """After it ``target`` holds what ``source`` held, or whether it was not zero."""
    if how == "storage-read":
        world.dispatch(FOLD, [0], source, target)
    elif how == "copy":
        world.copy(source, target)
    else:
        world.dispatch(AFFINE, [0, SEEN], target, grid=source)


def seen(how: str, value: int, before: int = 0) -> int:
    """What a read of ``value`` leaves in its target."""
    return (SEEN if value else before) if how == "indirect" else value


CASES = list(product(BOUNDARIES, STRATEGIES))


@pytest.mark.parametrize(("read", "write"), list(product(READS, WRITES)))
@pytest.mark.parametrize(("boundary", "name"), CASES)
def test_a_read_does_not_see_the_write_after_it(
    boundary: str, name: str, read: str, write: str
) -> None:
    world = World(name)
    source, target = world.buffer(OLD), world.buffer(0)
    perform_read(world, read, source, target)
    world.cross(boundary)
    perform_write(world, write, source, NEW)
    assert (world.word(target), world.word(source)) == (seen(read, OLD), NEW)


@pytest.mark.parametrize(("write", "read"), list(product(WRITES, READS)))
@pytest.mark.parametrize(("boundary", "name"), CASES)
def test_a_read_sees_the_write_before_it(boundary: str, name: str, write: str, read: str) -> None:
    world = World(name)
    source, target = world.buffer(OLD), world.buffer(0)
    perform_write(world, write, source, NEW)
    world.cross(boundary)
    perform_read(world, read, source, target)
    assert world.word(target) == seen(read, NEW)


@pytest.mark.parametrize(("first", "second"), list(product(WRITES, WRITES)))
@pytest.mark.parametrize(("boundary", "name"), CASES)
def test_the_later_write_stays(boundary: str, name: str, first: str, second: str) -> None:
    world = World(name)
    target = world.buffer(OLD)
    perform_write(world, first, target, NEW)
    world.cross(boundary)
    perform_write(world, second, target, NEWER)
    assert world.word(target) == NEWER


@pytest.mark.parametrize(("write", "read"), list(product(WRITES, READS)))
@pytest.mark.parametrize(("boundary", "name"), CASES)
def test_two_buffers_keep_apart(boundary: str, name: str, write: str, read: str) -> None:
    """Two writes, then two reads that cross over."""
    world = World(name)
    sources = [world.buffer(OLD), world.buffer(OLD)]
    targets = [world.buffer(0), world.buffer(0)]
    for source, value in zip(sources, (NEW, NEW + 1), strict=True):
        perform_write(world, write, source, value)
    world.cross(boundary)
    for source, target in zip(sources, reversed(targets), strict=True):
        perform_read(world, read, source, target)
    assert [world.word(target) for target in targets] == [seen(read, NEW + 1), seen(read, NEW)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_dispatches_of_one_pass_run_one_after_the_other(name: str) -> None:
    """Each sees all of the one before it: x <- 3x + n does not commute."""
    world = World(name)
    buffer = world.buffer(1)
    expected = 1
    for number in range(12):
        world.dispatch(AFFINE, [3, number], buffer)
        expected = (3 * expected + number) % 2**32
    assert world.word(buffer) == expected


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_queue_write_overtakes_what_is_not_submitted(name: str) -> None:
    """The one hazard: recorded commands see a write that was made after them."""
    world = World(name)
    source, target = world.buffer(OLD), world.buffer(0)
    perform_read(world, "copy", source, target)
    world.device.queue.write_buffer(source, 0, np.array([NEW], np.uint32))
    assert world.word(target) == NEW


def test_a_read_that_misses_its_write_would_show() -> None:
    """The control: without the write the target stays as it was."""
    world = World("late")
    source, target = world.buffer(OLD), world.buffer(5)
    perform_read(world, "indirect", source, target)
    assert world.word(target) == 5
