"""The contract of each op on the real device, where a program's text cannot say it."""

import array
import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpusim.errors import (
    InvalidBinding,
    InvalidData,
    InvalidHandle,
    LimitExceeded,
    OutOfMemory,
    OutOfRange,
    ProgramError,
    Refused,
)
from gpusim.kernels import AFFINE, FOLD, TALLY, Binding, Kernel
from gpusim.runtime import PRESETS, Driver, Policy, Runtime


@pytest.mark.parametrize(
    "data",
    [
        b"abcdef",
        bytearray(b"abcdef"),
        memoryview(b"xabcdefx")[1:-1],
        array.array("B", b"abcdef"),
        np.frombuffer(b"abcdef", np.uint8),
        np.frombuffer(b"abcdef", np.uint16),
        np.frombuffer(b"aXbXcXdXeXfX", np.uint8)[::2],
        np.frombuffer(b"adbecf", np.uint8).reshape(3, 2).T,
        memoryview(b"aXbXcXdXeXfX")[::2],
        np.frombuffer(b"abcdef", [("a", "u1"), ("b", "u1", 5)]),
    ],
    ids=[
        "bytes",
        "bytearray",
        "memoryview",
        "array",
        "bytes of an array",
        "half words",
        "every other byte",
        "columns",
        "every other byte of a memoryview",
        "records",
    ],
)
def test_write_takes_any_array_or_buffer(runtime: Runtime, data: object) -> None:
    buffer = runtime.alloc(8)
    runtime.write(buffer, data, 1)
    assert runtime.read(buffer).result() == b"\0abcdef\0"


@pytest.mark.parametrize(
    "data",
    [
        np.array([object()]),
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        np.array([1], dtype="timedelta64[s]"),
        np.array([1, 2], dtype=">u4"),
        np.zeros(1, dtype=[("a", ">u4")]),
        [1, 2, 3],
        "text",
        7,
        None,
    ],
    ids=[
        "objects",
        "dates",
        "times",
        "foreign byte order",
        "records of foreign byte order",
        "a list",
        "a text",
        "a number",
        "nothing",
    ],
)
def test_write_refuses_what_has_no_plain_bytes(runtime: Runtime, data: object) -> None:
    buffer = runtime.alloc(8)
    runtime.write(buffer, b"12345678")
    with pytest.raises(InvalidData, match=r"cannot write .* because .*probably"):
        runtime.write(buffer, data)
    assert runtime.read(buffer).result() == b"12345678"


def test_data_and_scalars_are_those_of_the_call(runtime: Runtime) -> None:
    buffer = runtime.alloc(16)
    words = np.arange(4, dtype=np.uint32)
    runtime.write(buffer, words)
    words[:] = 99
    scalars = [3, 5]
    runtime.dispatch(AFFINE, [buffer], scalars)
    scalars[:] = 0, 0
    assert runtime.read(buffer, dtype=np.uint32).result().tolist() == [5, 8, 11, 14]


def test_a_result_is_memory_of_its_own(runtime: Runtime) -> None:
    buffer = runtime.alloc(16)
    runtime.write(buffer, b"a" * 16)
    first = runtime.read(buffer, dtype=np.uint8).result()
    kept = first.copy()
    runtime.write(buffer, b"b" * 16)
    second = runtime.read(buffer, dtype=np.uint8).result()
    assert first.tobytes() == kept.tobytes() == b"a" * 16
    assert second.tobytes() == b"b" * 16
    first[:] = 0
    assert runtime.read(buffer).result() == b"b" * 16


@pytest.mark.parametrize(
    ("dtype", "shape", "expected"),
    [
        (np.uint32, None, (4,)),
        (np.uint32, (2, 2), (2, 2)),
        ("f4", 4, (4,)),
        (None, (4, 4), (4, 4)),
        (np.uint64, (1, 2), (1, 2)),
        (np.complex128, (), ()),
    ],
)
def test_read_gives_arrays_of_a_dtype_and_shape(
    runtime: Runtime, dtype: object, shape: Any, expected: tuple[int, ...]
) -> None:
    buffer = runtime.alloc(16)
    runtime.write(buffer, bytes(range(16)))
    result = runtime.read(buffer, dtype=dtype, shape=shape).result()
    assert result.shape == expected
    assert result.tobytes() == bytes(range(16))
    assert result.flags.writeable


@pytest.mark.parametrize(
    "wanted",
    [
        {"dtype": np.uint32, "shape": (3,)},
        {"dtype": np.uint32, "shape": (-1,)},
        {"dtype": object},
        {"dtype": "datetime64[s]"},
        {"dtype": np.dtype([("a", "u1", (3,))])},
        {"out": bytearray(15)},
        {"out": bytes(16)},
        {"out": np.zeros((4, 8), np.uint8)[:, ::2]},
        {"out": [0] * 16},
        {"out": bytearray(16), "dtype": np.uint8},
        {"out": np.ma.zeros(4, np.uint32)},
        {"dtype": ("u4", (2,))},
        {"dtype": "u4", "shape": (1,) * 69 + (4,)},
        {"dtype": "u4", "shape": (0, 2**70), "size_bytes": 0},
        {"dtype": "u4", "shape": {4}},
        {"dtype": "u4", "shape": {4: 0}},
        {"dtype": "u4", "shape": (True,), "size_bytes": 4},
    ],
    ids=repr,
)
def test_read_refuses_a_result_that_does_not_fit(
    runtime: Runtime, wanted: dict[str, object]
) -> None:
    buffer = runtime.alloc(16)
    reads = runtime.stats().reads
    with pytest.raises(InvalidData, match=r"cannot read .* because .*probably"):
        runtime.read(buffer, **wanted)  # type: ignore[arg-type]
    assert runtime.stats().reads == reads


def test_read_fills_what_the_caller_owns(runtime: Runtime) -> None:
    buffer = runtime.alloc(16)
    runtime.write(buffer, bytes(range(16)))
    out = np.zeros((2, 2), np.uint16)
    ticket = runtime.read(buffer, 4, 8, out=out)
    assert ticket.result() is out
    assert out.tobytes() == bytes(range(4, 12))


def test_callbacks_come_in_order_and_may_use_the_runtime(runtime: Runtime) -> None:
    buffer = runtime.alloc(4)
    seen: list[bytes] = []

    def again(ticket: object) -> None:
        seen.append(b"callback")
        runtime.write(buffer, b"wxyz")
        seen.append(runtime.read(buffer).result())

    runtime.write(buffer, b"abcd")
    first = runtime.read(buffer)
    second = runtime.read(buffer)
    first.add_done_callback(again)
    second.add_done_callback(lambda ticket: seen.append(ticket.result()))
    runtime.sync()
    assert seen == [b"callback", b"abcd", b"wxyz"]
    assert first.result() == second.result() == b"abcd"


def test_a_callback_that_raises_is_logged_and_harms_nobody(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    buffer = runtime.alloc(4)
    ticket = runtime.read(buffer)
    ticket.add_done_callback(lambda _: 1 / 0)
    runtime.sync()
    assert ticket.result() == bytes(4)
    assert "a done callback of a read raised" in caplog.text


def test_waiting_for_a_ticket_delivers_those_before_it_only(runtime: Runtime) -> None:
    buffer = runtime.alloc(4)
    tickets = [runtime.read(buffer) for _ in range(3)]
    tickets[1].result()
    assert [ticket.done() for ticket in tickets] == [True, True, False]
    runtime.sync()
    assert tickets[2].done()


def test_a_handle_reaches_only_its_own_runtime(driver: Driver, runtime: Runtime) -> None:
    mine = runtime.alloc(8)
    with Runtime(driver=driver) as other:
        foreign = other.alloc(8)
        for use in (
            lambda: runtime.write(foreign, b"12345678"),
            lambda: runtime.read(foreign),
            lambda: runtime.free(foreign),
            lambda: runtime.copy(mine, foreign),
            lambda: runtime.dispatch(FOLD, [mine, foreign], [1]),
            lambda: runtime.read("a name"),  # type: ignore[arg-type]
        ):
            with pytest.raises(InvalidHandle, match="this runtime did not make it"):
                use()
        other.free(foreign)
    runtime.write(mine, b"12345678")
    assert runtime.read(mine).result() == b"12345678"


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_handle_is_neither_pickled_nor_copied(runtime: Runtime, duplicate: object) -> None:
    with pytest.raises(InvalidHandle, match="cannot pickle or copy"):
        duplicate(runtime.alloc(8))  # type: ignore[operator]


def test_a_stale_handle_never_finds_its_successor(runtime: Runtime) -> None:
    stale = runtime.alloc(64)
    runtime.free(stale)
    fresh = runtime.alloc(64)
    runtime.write(fresh, b"x" * 64)
    for use in (
        lambda: runtime.read(stale),
        lambda: runtime.write(stale, b"y"),
        lambda: runtime.dispatch(AFFINE, [stale], [1, 2]),
        lambda: runtime.free(stale),
    ):
        with pytest.raises(InvalidHandle, match="was freed"):
            use()
    assert runtime.read(fresh).result() == b"x" * 64


def test_a_refused_op_leaves_its_batch_whole(runtime: Runtime) -> None:
    buffer, gone = runtime.alloc(16), runtime.alloc(16)
    runtime.write(buffer, np.arange(4, dtype=np.uint32))
    runtime.free(gone)
    runtime.dispatch(AFFINE, [buffer], [3, 5])
    before = runtime.stats()
    refusals: list[tuple[Callable[[], object], type[Refused]]] = [
        (lambda: runtime.dispatch(FOLD, [buffer, gone], [1]), InvalidHandle),
        (lambda: runtime.dispatch(FOLD, [buffer, buffer], [1]), InvalidBinding),
        (lambda: runtime.dispatch(AFFINE, [buffer], [1, 2], 70_000), LimitExceeded),
        (lambda: runtime.copy(buffer, buffer, target_offset=1), OutOfRange),
        (lambda: runtime.write(buffer, bytes(17)), OutOfRange),
        (lambda: runtime.dispatch("affine", [buffer], [1, 2]), InvalidBinding),  # type: ignore[arg-type]
        (lambda: runtime.dispatch(AFFINE, [buffer], [1, 2], (1, 1, 1, 1)), LimitExceeded),
        (lambda: runtime.dispatch(AFFINE, [buffer], [1, 2], 1.0), LimitExceeded),  # type: ignore[arg-type]
    ]
    for refused, error in refusals:
        with pytest.raises(error, match=r"cannot .* because .*\(probably"):
            refused()
    assert runtime.stats() == before
    runtime.dispatch(AFFINE, [buffer], [7, 1])
    assert runtime.read(buffer, dtype="u4").result().tolist() == [36, 57, 78, 99]


@pytest.mark.parametrize("groups", [65_535, 65_536, 65_537, 131_071, 200_003])
def test_a_guarded_grid_runs_each_group_once(runtime: Runtime, groups: int) -> None:
    buffer = runtime.alloc(28)
    runtime.dispatch(TALLY, [buffer], [0], groups)
    tallies = runtime.read(buffer, dtype="u4").result()
    assert tallies.sum() == groups
    assert tallies.max() - tallies.min() <= 1


def test_a_kernel_of_your_own(runtime: Runtime) -> None:
    def reverse_bits(arrays, scalars, groups):  # type: ignore[no-untyped-def]
        (x,) = arrays
        x[:] = [int(f"{word:032b}"[::-1], 2) for word in x.tolist()]

    kernel = Kernel(
        name="reverse_bits",
        buffers=(Binding(name="x", access="read_write"),),
        body="if (i < arrayLength(&x)) { x[i] = reverseBits(x[i]); }",
        meaning=reverse_bits,
    )
    buffer = runtime.alloc(8)
    runtime.write(buffer, np.array([1, 6], np.uint32))
    runtime.dispatch(kernel, [buffer])
    assert runtime.read(buffer, dtype="u4").result().tolist() == [1 << 31, 3 << 29]


def test_a_kernel_of_vectors_binds_no_buffer_that_is_smaller_than_one(runtime: Runtime) -> None:
    kernel = Kernel.from_wgsl(
        "@group(3) @binding(7) var<storage, read_write> x: array<vec4u>;\n"
        "@compute @workgroup_size(1) fn twice() { x[0] *= 2u; }"
    )
    small, buffer = runtime.alloc(12), runtime.alloc(16)
    runtime.write(buffer, np.array([1, 2, 3, 4], np.uint32))
    with pytest.raises(InvalidBinding, match="has 12 bytes in whole words and needs 16"):
        runtime.dispatch(kernel, [small])
    runtime.dispatch(kernel, [buffer])
    assert runtime.read(buffer, dtype="u4").result().tolist() == [2, 4, 6, 8]


def test_wgsl_that_does_not_compile_is_the_programs_fault(runtime: Runtime) -> None:
    kernel = Kernel(
        name="broken",
        buffers=(Binding(name="x", access="read_write"),),
        body="x[i] = nonsense;",
        meaning=lambda arrays, scalars, groups: None,
    )
    buffer = runtime.alloc(8)
    runtime.dispatch(AFFINE, [buffer], [1, 2])
    with pytest.raises(ProgramError, match="cannot compile kernel broken because"):
        runtime.dispatch(kernel, [buffer])
    assert runtime.read(buffer, dtype="u4").result().tolist() == [2, 2]


def test_the_memory_budget_is_kept(driver: Driver) -> None:
    with Runtime(driver=driver, policy=Policy(memory_budget_bytes=100)) as runtime:
        first = runtime.alloc(60)
        with pytest.raises(OutOfMemory, match="60 of the budget of 100 are in use"):
            runtime.alloc(41)
        second = runtime.alloc(40)
        runtime.free(first)
        third = runtime.alloc(60)
        runtime.free(second)
        runtime.free(third)
        assert runtime.stats().peak_bytes == 100
        assert runtime.stats().total_bytes == 160


def test_a_buffer_beyond_a_binding_is_still_written_copied_and_read(driver: Driver) -> None:
    size = driver.limits.max_binding_bytes + 4096
    with Runtime(driver=driver, policy=PRESETS["cached"]) as runtime:
        if size > driver.limits.max_buffer_bytes:
            with pytest.raises(LimitExceeded, match="cannot alloc"):
                runtime.alloc(size)
            return
        big, small = runtime.alloc(size), runtime.alloc(16)
        runtime.write(big, b"123456789", size - 13)
        runtime.write(big, b"abc", 1)
        runtime.copy(big, small, source_offset=size - 13, target_offset=3, size_bytes=9)
        runtime.copy(big, big, source_offset=size - 13, target_offset=size - 11, size_bytes=9)
        with pytest.raises(LimitExceeded):
            runtime.dispatch(AFFINE, [big], [1, 1])
        assert runtime.read(small).result() == bytes(3) + b"123456789" + bytes(4)
        assert runtime.read(big, size - 16).result() == b"\0\0\x0012123456789\0\0"
        assert runtime.read(big, 0, 8).result() == b"\0abc\0\0\0\0"
        runtime.write(big, b"Z" * (size - 5), 3)
        assert runtime.read(big, 0, 8).result() == b"\0abZZZZZ"
        assert runtime.read(big, size - 8).result() == b"ZZZZZZ9\0"[:6] + b"\0\0"
        runtime.free(big)
        runtime.free(small)


@pytest.mark.parametrize("number", [1.0, "1", None, b"1"])
def test_offsets_and_sizes_are_whole_numbers(runtime: Runtime, number: Any) -> None:
    sixteen: Any = np.int64(16)
    buffer = runtime.alloc(sixteen)
    for use in (
        lambda: runtime.alloc(number),
        lambda: runtime.write(buffer, b"1", number),
        lambda: runtime.read(buffer, number),
        lambda: runtime.copy(buffer, buffer, source_offset=number),
        lambda: runtime.copy(buffer, buffer, target_offset=number),
    ):
        with pytest.raises(OutOfRange, match="no whole number"):
            use()
    one: Any = np.int64(1)
    four: Any = np.uint8(4)
    runtime.dispatch(AFFINE, [buffer], [1, 1], grid=one)
    assert runtime.read(buffer, four, four).result() == b"\1\0\0\0"


@pytest.mark.parametrize("text", ["nonsense", "0"])
def test_a_policy_of_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ProgramError, match="cannot make a policy with"):
        Policy(uniforms=text)  # type: ignore[arg-type]
    with pytest.raises(ProgramError, match="cannot make a policy with uniform_slots=0"):
        Policy(uniform_slots=0)
