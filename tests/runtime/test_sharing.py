"""The caller's buffers, adopted; and the runtime's, lent for queue work of the caller's."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from wgpu import BufferUsage

from gpusim.errors import InvalidBinding, InvalidCapture, InvalidHandle
from gpusim.kernels import AFFINE
from gpusim.runtime import PRESETS, Buffer, Driver, Parts, Runtime
from gpusim.runtime.buffers import BufferTable

USAGE = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST
WORDS = np.arange(16, dtype=np.uint32)


def native_of(runtime: Runtime, usage: int = USAGE) -> Any:
    return runtime.device.create_buffer(size=64, usage=usage)


def words(runtime: Runtime, buffer: Buffer) -> list[int]:
    found: list[int] = runtime.read(buffer, dtype=np.uint32).result().tolist()
    return found


def content(runtime: Runtime, native: Any) -> list[int]:
    found: list[int] = np.frombuffer(runtime.device.queue.read_buffer(native), np.uint32).tolist()
    return found


def test_an_adopted_buffer_is_one_like_any_other(runtime: Runtime) -> None:
    native = native_of(runtime)
    runtime.device.queue.write_buffer(native, 0, WORDS)
    a, b = runtime.adopt(native, label="theirs"), runtime.alloc(64)
    assert (a.size_bytes, repr(a)) == (64, "<theirs, 64 bytes>")
    runtime.dispatch(AFFINE, [a], (2, 1))
    runtime.write(a, b"\x09", 3)
    runtime.copy(a, b)
    assert words(runtime, b)[1:] == list(WORDS[1:] * 2 + 1)
    assert words(runtime, a)[0] == 1 + (9 << 24)


def test_the_free_of_an_adopted_buffer_gives_it_up_whole(runtime: Runtime) -> None:
    native = native_of(runtime)
    a = runtime.adopt(native)
    runtime.write(a, WORDS)
    runtime.dispatch(AFFINE, [a], (3, 0))
    runtime.free(a)
    # What was recorded is on the queue: it may be looked at, and destroyed.
    assert content(runtime, native) == list(WORDS * 3)
    runtime.device.queue.write_buffer(native, 0, WORDS)
    again = runtime.adopt(native)
    assert words(runtime, again) == list(WORDS)
    runtime.dispatch(AFFINE, [again], (3, 0))
    runtime.free(again)
    native.destroy()
    runtime.sync()


def test_a_close_leaves_an_adopted_buffer_alive(driver: Driver) -> None:
    native = driver.device.create_buffer(size=64, usage=USAGE)
    runtime = Runtime(driver=driver)
    runtime.dispatch(AFFINE, [runtime.adopt(native)], (0, 7))
    with pytest.warns(ResourceWarning):
        runtime.close()
    assert content(runtime, native) == [7] * 16
    native.destroy()


def test_what_cannot_be_adopted_is_refused(runtime: Runtime) -> None:
    native = native_of(runtime)
    a = runtime.adopt(native)
    for wrong in (None, a, b"bytes", native):
        with pytest.raises(InvalidHandle):
            runtime.adopt(wrong)
    mapped = runtime.device.create_buffer(size=64, usage=USAGE, mapped_at_creation=True)
    with pytest.raises(InvalidHandle):
        runtime.adopt(mapped)
    for usage in (BufferUsage.STORAGE, USAGE & ~BufferUsage.COPY_SRC):
        with pytest.raises(InvalidBinding):
            runtime.adopt(native_of(runtime, usage=usage))
    with runtime.lend(a) as lent, pytest.raises(InvalidHandle):
        runtime.adopt(lent)


def test_a_grid_is_read_only_from_what_was_made_for_it(runtime: Runtime) -> None:
    a, plain = runtime.alloc(64), runtime.adopt(native_of(runtime))
    with pytest.raises(InvalidBinding):
        runtime.dispatch_indirect(AFFINE, [a], (1, 1), counts=plain)
    made = runtime.adopt(native_of(runtime, usage=USAGE | BufferUsage.INDIRECT))
    runtime.write(made, np.ones(3, np.uint32))
    runtime.dispatch_indirect(AFFINE, [a], (1, 1), counts=made)
    assert words(runtime, a) == [1] * 16


def test_queue_work_of_a_loan_comes_between_what_is_called_around_it(runtime: Runtime) -> None:
    a, b = runtime.alloc(64), runtime.alloc(64)
    runtime.write(a, WORDS)
    runtime.dispatch(AFFINE, [a], (2, 0))
    before = runtime.read(a, dtype=np.uint32)
    with runtime.lend(a) as native:
        queue, encoder = runtime.device.queue, runtime.device.create_command_encoder()
        with runtime.lend(b) as other:
            encoder.copy_buffer_to_buffer(native, 0, other, 0, 64)
            queue.submit([encoder.finish()])
        queue.write_buffer(native, 0, np.full(16, 5, np.uint32))
        runtime.dispatch(AFFINE, [b], (1, 1))
    runtime.dispatch(AFFINE, [a], (10, 1))
    assert before.result().tolist() == list(WORDS * 2)
    assert words(runtime, b) == list(WORDS * 2 + 1)
    assert words(runtime, a) == [51] * 16


def test_no_op_may_use_what_is_lent(runtime: Runtime) -> None:
    a, b = runtime.alloc(64), runtime.alloc(64)
    runtime.dispatch(AFFINE, [a], (1, 1))
    with runtime.capture() as graph:
        runtime.dispatch(AFFINE, [a], (1, 1))
        with pytest.raises(InvalidCapture):
            runtime.lend(b).__enter__()
    graph.replay()
    with runtime.lend(a):
        assert a.is_live
        for refused in (
            lambda: runtime.write(a, b"1234"),
            lambda: runtime.read(a),
            lambda: runtime.copy(a, b),
            lambda: runtime.dispatch(AFFINE, [a], (1, 1)),
            lambda: runtime.dispatch(AFFINE, [a.part(0)], (1, 1)),
            lambda: runtime.dispatch_indirect(AFFINE, [b], (1, 1), counts=a),
            lambda: graph.replay(),
            lambda: runtime.lend(a).__enter__(),
            lambda: runtime.free(a),
        ):
            with pytest.raises(InvalidHandle, match="is lent"):
                refused()
    graph.replay()
    assert words(runtime, a) == [3] * 16


def test_a_runtime_may_be_closed_in_a_loan(driver: Driver) -> None:
    runtime = Runtime(driver=driver, policy=PRESETS["ring"])
    with pytest.warns(ResourceWarning), runtime.lend(runtime.alloc(64)):
        runtime.close()
    freed = Runtime(driver=driver)
    a = freed.alloc(64)
    freed.free(a)
    with pytest.raises(InvalidHandle):
        freed.lend(a).__enter__()
    freed.close()


def test_an_adopted_buffer_is_found_without_a_look_at_each(driver: Driver) -> None:
    class Looking(BufferTable):
        """Counts how often all live buffers are walked through."""

        walks = 0

        def __iter__(self) -> Iterator[Buffer]:
            self.walks += 1
            return super().__iter__()

    table = Looking()
    with Runtime(driver=driver, parts=Parts(buffers=lambda: table)) as runtime:
        native = native_of(runtime)
        handle = runtime.adopt(native)
        with pytest.raises(InvalidHandle, match="stands for it already"):
            runtime.adopt(native)
        runtime.free(handle)
        runtime.free(runtime.adopt(native))
        assert not table.walks
