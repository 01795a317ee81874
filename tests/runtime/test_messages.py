"""Every refusal to the letter: it says what cannot be, why, and what was probably meant."""

from collections.abc import Callable, Iterator
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpusim.errors import GpusimError, WrongThread
from gpusim.kernels import (
    AFFINE,
    EXCHANGE,
    FOLD,
    SCRAMBLE,
    TALLY,
    Binding,
    Kernel,
)
from gpusim.runtime import PRESETS, Driver, Policy, Runtime
from gpusim.runtime.policy import parse_policy

OBJECTS: Any = np.array([None])
MANY = Kernel(
    name="many_bound",
    buffers=tuple(Binding(name=f"b{n}", access="read") for n in range(100)),
    body="",
    meaning=lambda arrays, scalars, groups: None,
)


@pytest.fixture
def at(driver: Driver) -> Iterator[SimpleNamespace]:
    """A runtime, and a buffer for each reason to be refused."""
    with Runtime(driver=driver, policy=Policy(memory_budget_bytes=4096)) as runtime:
        a, odd = runtime.alloc(16, label="a"), runtime.alloc(3)
        lost, gone = runtime.alloc(8, label="lost"), runtime.alloc(8, label="gone")
        runtime.free(gone)
        lost.lost = True
        yield SimpleNamespace(
            runtime=runtime, a=a, odd=odd, lost=lost, gone=gone, limits=runtime.limits
        )
        for buffer in (a, odd, lost):
            runtime.free(buffer)


Refused = Callable[[Any], object]
CASES: list[tuple[str, Refused, str]] = [
    (
        "a size that is no number",
        lambda at: at.runtime.alloc(1.5),
        "cannot alloc with size_bytes=1.5 because that is no whole number of bytes (probably a "
        "division that gave a float)",
    ),
    (
        "a negative size",
        lambda at: at.runtime.alloc(-1),
        "cannot alloc -1 bytes because a size is not negative (probably a difference the wrong way "
        "round)",
    ),
    (
        "a size beyond the device",
        lambda at: at.runtime.alloc(at.limits.max_buffer_bytes + 1),
        "cannot alloc {over} bytes because a buffer of this device holds at most {buffer} "
        "(probably several buffers are needed)",
    ),
    (
        "a size beyond the budget",
        lambda at: at.runtime.alloc(4096),
        "cannot alloc 4096 bytes because 27 of the budget of 4096 are in use (probably something "
        "should be freed first)",
    ),
    (
        "a range beyond the end",
        lambda at: at.runtime.write(at.a, b"12345", 12),
        "cannot write 5 bytes at offset 12 because the buffer holds 16 (probably an offset counts "
        "elements instead of bytes)",
    ),
    (
        "a lost buffer",
        lambda at: at.runtime.read(at.lost),
        "cannot read <lost, 8 bytes> because a batch that would have written it failed (probably "
        "it should be written whole again, or freed)",
    ),
    (
        "a freed buffer",
        lambda at: at.runtime.read(at.gone),
        "cannot use <gone, 8 bytes, freed> because it was freed (probably too early, or twice)",
    ),
    (
        "a foreign buffer",
        lambda at: at.runtime.free("a"),
        "cannot use a value of type str as a buffer because this runtime did not make it (probably "
        "alloc makes the buffer, and write brings the bytes)",
    ),
    (
        "a handle to pickle",
        lambda at: at.odd.__reduce__(),
        "cannot pickle or copy <buffer 2, 3 bytes> because it belongs to this process's device "
        "(probably its bytes were meant: read them)",
    ),
    (
        "a kernel by name",
        lambda at: at.runtime.dispatch("affine", [at.a]),
        "cannot dispatch 'affine' because it is no Kernel (probably the name of one)",
    ),
    (
        "a buffer too many",
        lambda at: at.runtime.dispatch(AFFINE, [at.a, at.a], [1, 2]),
        "cannot dispatch affine because it binds 1 buffers and 2 were given (probably the kernel's "
        "signature changed)",
    ),
    (
        "a kernel that binds more than the device",
        lambda at: at.runtime.dispatch(MANY, [at.a] * 100),
        "cannot dispatch many_bound because this device binds at most {bound} storage buffers "
        "(probably some can be merged)",
    ),
    (
        "a buffer without a word",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.odd]),
        "cannot bind <buffer 2, 3 bytes> as x of scramble because it has no whole word (probably "
        "its size counts elements)",
    ),
    (
        "a part without a byte",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.a.part(0, 0)]),
        "cannot bind 0 bytes at 0 of <a, 16 bytes> as x of scramble because it has no whole word "
        "(probably its size counts elements)",
    ),
    (
        "a buffer bound twice",
        lambda at: at.runtime.dispatch(FOLD, [at.a, at.a], [1]),
        "cannot bind <a, 16 bytes> as y of fold because all bytes of that buffer are bound as x, "
        "and the kernel writes bytes that are in both bindings (probably a copy of it is needed)",
    ),
    (
        "parts that share a written word",
        lambda at: at.runtime.dispatch(EXCHANGE, [at.a.part(0, 8), at.a.part(0, 4)], [1]),
        "cannot bind bytes 0 to 3 of <a, 16 bytes> as y of exchange because bytes 0 to 7 of that "
        "buffer are bound as x, and the kernel writes bytes that are in both bindings (probably a "
        "copy of it is needed)",
    ),
    (
        "a part past the end",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.a.part(0, 17)]),
        "cannot bind to scramble 17 bytes at offset 0 because the buffer holds 16 (probably an "
        "offset counts elements instead of bytes)",
    ),
    (
        "a part that is not aligned",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.a.part(4)]),
        "cannot bind bytes 4 to 15 of <a, 16 bytes> as x of scramble because this device binds at "
        "multiples of {aligned} bytes (probably the data needs padding)",
    ),
    (
        "a grid at an odd byte",
        lambda at: at.runtime.dispatch_indirect(SCRAMBLE, [at.a], counts=at.a, offset=2),
        "cannot dispatch scramble over a grid at byte 2 of <a, 16 bytes> because that is no "
        "multiple of 4 (probably an offset counts elements of another size)",
    ),
    (
        "a grid past the end",
        lambda at: at.runtime.dispatch_indirect(SCRAMBLE, [at.a], counts=at.a, offset=8),
        "cannot read a grid of 12 bytes at offset 8 because the buffer holds 16 (probably an "
        "offset counts elements instead of bytes)",
    ),
    (
        "a grid that the kernel writes",
        lambda at: at.runtime.dispatch_indirect(SCRAMBLE, [at.a], counts=at.a),
        "cannot dispatch scramble over a grid in <a, 16 bytes> because the kernel writes that "
        "buffer (probably the grid needs a buffer of its own)",
    ),
    (
        "a grid of floats",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.a], grid=1.0),
        "cannot dispatch scramble over grid=1.0 because a grid is one to three whole numbers of "
        "workgroups (probably a number of elements, or a float)",
    ),
    (
        "a grid beyond the device",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.a], grid=(1, -1, 1)),
        "cannot dispatch scramble over (1, -1, 1) because a dimension holds 0 to {groups} "
        "workgroups (probably the kernel should be guarded)",
    ),
    (
        "a grid beyond what an index counts",
        lambda at: at.runtime.dispatch(TALLY, [at.a], [0], grid=TALLY.max_groups + 1),
        "cannot dispatch tally over ({most}, 1, 1) because {most} workgroups exceed the {index} "
        "that its u32 index can count (probably several dispatches are needed)",
    ),
    (
        "data without bytes",
        lambda at: at.runtime.write(at.a, 7),
        "cannot write data of type int because it has no plain bytes (probably np.uint32 of it was "
        "meant, or the offset, which comes after the data)",
    ),
    (
        "a buffer of objects",
        lambda at: at.runtime.write(at.a, memoryview(OBJECTS)),
        "cannot write a buffer of format 'O' because its elements are not this machine's plain "
        "bytes (probably it needs a conversion)",
    ),
    (
        "an array of dates",
        lambda at: at.runtime.write(at.a, np.array(["2026-01-01"], "M8[D]")),
        "cannot write an array of datetime64[D] because its elements are not plain bytes (probably "
        "astype to a type of numbers was meant)",
    ),
    (
        "an array of another machine's",
        lambda at: at.runtime.write(at.a, np.zeros(1, ">u4")),
        "cannot write an array of >u4 because its byte order is not the device's (probably "
        "array.astype(array.dtype.newbyteorder('=')) was meant)",
    ),
    (
        "two ways to say what is read",
        lambda at: at.runtime.read(at.a, out=bytearray(16), shape=16),
        "cannot read into out with a dtype or shape because out has its own (probably one of them "
        "is left over)",
    ),
    (
        "an array too small for what is read",
        lambda at: at.runtime.read(at.a, out=bytearray(15)),
        "cannot read 16 bytes into out because it is not a writable, contiguous buffer of that "
        "size (probably its shape or dtype differs): bytearray",
    ),
    (
        "a read of objects",
        lambda at: at.runtime.read(at.a, dtype=object),
        "cannot read as object because the bytes of a device are no such elements (probably a "
        "number type was meant)",
    ),
    (
        "a shape of another size",
        lambda at: at.runtime.read(at.a, dtype="u2", shape=(2, 3)),
        "cannot read 16 bytes as uint16 of shape (2, 3) because that array has 12 bytes (probably "
        "size_bytes counts elements)",
    ),
    (
        "a policy of nonsense",
        lambda at: Policy(uniforms="shared"),  # type: ignore[arg-type]
        "cannot make a policy with uniforms='shared' because they are one of fresh, pooled, "
        "cached, ring (probably a misspelling)",
    ),
    (
        "a capacity of nought",
        lambda at: Policy(shape_cache=0),
        "cannot make a policy with shape_cache=0 because it is a whole number of at least 1 "
        "(probably 1 will do)",
    ),
    (
        "a policy's field misspelt",
        lambda at: parse_policy("ring slots=1"),
        "cannot read policy 'ring slots=1' because 'slots' is no field of a policy (probably a "
        "misspelling)",
    ),
    (
        "a policy's field without a number",
        lambda at: parse_policy("ring batch_commands=many"),
        "cannot read policy field batch_commands=many because it is no whole number (probably None "
        "was meant)",
    ),
]


@pytest.mark.parametrize(
    ("refused", "message"), [pytest.param(*case, id=name) for name, *case in CASES]
)
def test_a_refusal_says_what_why_and_what_was_probably_meant(
    at: SimpleNamespace, refused: Refused, message: str
) -> None:
    limits = at.limits
    figures = {
        "{over}": limits.max_buffer_bytes + 1,
        "{buffer}": limits.max_buffer_bytes,
        "{bound}": limits.max_storage_buffers,
        "{most}": TALLY.max_groups + 1,
        "{index}": TALLY.max_groups,
        "{groups}": limits.max_groups_per_dimension,
        "{aligned}": limits.storage_offset_alignment_bytes,
    }
    for figure, value in figures.items():
        message = message.replace(figure, str(value))
    with pytest.raises(GpusimError) as raised:
        refused(at)
    assert str(raised.value) == message


@pytest.mark.parametrize("op", ["write", "copy", "read"])
def test_a_range_or_number_that_is_refused_names_its_op(at: SimpleNamespace, op: str) -> None:
    runtime, a = at.runtime, at.a
    wrong: dict[str, list[Refused]] = {
        "write": [
            lambda at: runtime.write(a, b"12345", 12),
            lambda at: runtime.write(a, b"1", 0.5),
        ],
        "copy": [
            lambda at: runtime.copy(a, at.odd, source_offset=14, size_bytes=3),
            lambda at: runtime.copy(a, at.odd, target_offset=1, size_bytes=3),
            lambda at: runtime.copy(a, at.odd, source_offset=0.5),
            lambda at: runtime.copy(a, at.odd, target_offset=0.5),
            lambda at: runtime.copy(a, at.odd, size_bytes=0.5),
            lambda at: runtime.copy(at.lost, a),
        ],
        "read": [
            lambda at: runtime.read(a, 12, 5),
            lambda at: runtime.read(a, 0.5),
            lambda at: runtime.read(a, 0, 0.5),
            lambda at: runtime.read(at.lost),
        ],
    }
    for refused in wrong[op]:
        with pytest.raises(GpusimError, match=f"^cannot {op} .* because "):
            refused(at)


def test_a_closed_runtime_says_so(driver: Driver) -> None:
    runtime = Runtime(driver=driver)
    runtime.close()
    with pytest.raises(GpusimError) as raised:
        runtime.flush()
    assert str(raised.value) == (
        "cannot call a runtime because it was closed (probably its with block has ended)"
    )


def test_another_thread_is_told_whose_the_runtime_is(driver: Driver) -> None:
    said: list[str] = []

    def call() -> None:
        try:
            runtime.flush()
        except WrongThread as error:
            said.append(str(error))

    with Runtime(driver=driver) as runtime:
        thread = Thread(target=call)
        thread.start()
        thread.join()
    assert said == [
        "cannot call a runtime from this thread because another thread made the runtime "
        "(probably each thread needs a runtime of its own)"
    ]


def test_closing_names_the_first_of_what_was_left(driver: Driver) -> None:
    runtime = Runtime(driver=driver, policy=PRESETS["eager"])
    runtime.alloc(16, label="weights")
    runtime.alloc(4)
    with pytest.warns(ResourceWarning) as warned:
        runtime.close()
    assert [str(warning.message) for warning in warned] == [
        "closing a runtime frees 2 buffers of 20 bytes that were never freed, the first of them "
        "<weights, 16 bytes> (probably a missing free)"
    ]
    assert warned[0].filename == __file__
