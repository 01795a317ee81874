"""What the ops mean, compared with a plain bytearray and without NumPy."""

import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from gpusim.errors import InvalidHandle, InvalidKernel, ProgramError
from gpusim.kernels import BUILTIN, Binding, Kernel
from gpusim.ops import Alloc, Copy, Op, Read, Write
from gpusim.program import Program
from reference import Reference, ReferenceDelivery

SIZES = {"a": 13, "b": 32}


@st.composite
def byte_ops(draw: st.DrawFn) -> list[Op]:
    """Valid writes, copies and reads at any offset and length, over two buffers."""
    ops: list[Op] = [Alloc(buffer=name, size_bytes=size) for name, size in SIZES.items()]
    for number in range(draw(st.integers(1, 12))):
        source, target = draw(st.sampled_from("ab")), draw(st.sampled_from("ab"))
        size = draw(st.integers(0, min(SIZES[source], SIZES[target])))
        source_offset = draw(st.integers(0, SIZES[source] - size))
        target_offset = draw(st.integers(0, SIZES[target] - size))
        kind = draw(st.sampled_from(["write", "copy", "read"]))
        if kind == "write":
            data = draw(st.binary(min_size=size, max_size=size))
            ops.append(Write(buffer=target, offset=target_offset, data=data))
        elif kind == "copy":
            ops.append(
                Copy(
                    source=source,
                    source_offset=source_offset,
                    target=target,
                    target_offset=target_offset,
                    size_bytes=size,
                )
            )
        else:
            read = Read(buffer=source, offset=source_offset, size_bytes=size, result=f"r{number}")
            ops.append(read)
    ops += [Read(buffer=n, offset=0, size_bytes=s, result=f"end_{n}") for n, s in SIZES.items()]
    return ops


def by_hand(ops: list[Op]) -> list[bytes]:
    memory: dict[str, bytearray] = {}
    reads = []
    for op in ops:
        match op:
            case Alloc():
                memory[op.buffer] = bytearray(op.size_bytes)
            case Write():
                memory[op.buffer][op.offset : op.offset + len(op.data)] = op.data
            case Copy():
                start, end = op.source_offset, op.source_offset + op.size_bytes
                taken = bytes(memory[op.source][start:end])
                memory[op.target][op.target_offset : op.target_offset + op.size_bytes] = taken
            case Read():
                reads.append(bytes(memory[op.buffer][op.offset : op.offset + op.size_bytes]))
    return reads


@given(byte_ops())
def test_bytes_move_as_in_a_bytearray(ops: list[Op]) -> None:
    history = reference.run(Program(tuple(ops)))
    shown = [outcome.data for outcome in history.outcomes if outcome.data is not None]
    assert shown == by_hand(ops)
    assert all(outcome.error_bound is None for outcome in history.outcomes)


def value(text: str) -> bytes:
    """What the last op of a program reads."""
    data = reference.run(Program.parse(text)).outcomes[-1].data
    assert data is not None
    return data


@pytest.mark.parametrize(
    ("copy", "expected"),
    [("copy a 0 a 3 5", "0001020001020304"), ("copy a 3 a 0 5", "0304050607050607")],
)
def test_overlap_is_memmove(copy: str, expected: str) -> None:
    text = f"alloc a 8\nwrite a 0 0001020304050607\n{copy}\nread a 0 8 -> r"
    assert value(text).hex() == expected


def test_dispatch_leaves_the_bytes_past_the_last_whole_word() -> None:
    text = "alloc a 7\nwrite a 0 01000000070707\ndispatch affine a 3,5 1x1x1\nread a 0 7 -> r"
    assert value(text).hex() == "08000000070707"


def test_dispatch_reaches_as_far_as_its_grid() -> None:
    text = "alloc a 520\ndispatch affine a 0,1 2x1x1\nread a 0 520 -> r"
    assert struct.unpack("<130I", value(text)) == (1,) * 128 + (0,) * 2


def test_dimensions_of_the_grid_multiply() -> None:
    text = "alloc a 24\ndispatch tally a 1 1x2x3\nread a 0 24 -> r"
    assert struct.unpack("<6I", value(text)) == (1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize("grid", ["0x1x1", "1x0x1", "1x1x0"])
def test_a_zero_in_the_grid_does_nothing(grid: str) -> None:
    text = f"alloc a 4\nwrite a 0 01000000\ndispatch affine a 3,5 {grid}\nread a 0 4 -> r"
    assert value(text).hex() == "01000000"


def test_a_read_is_the_value_at_its_point() -> None:
    text = "alloc a 1\nread a 0 1 -> r\nwrite a 0 ff\nfree a\nsync"
    assert reference.run(Program.parse(text)).outcomes[1].data == b"\x00"


def test_deliveries_are_the_accepted_reads_in_order() -> None:
    text = "alloc a 4\nread a 0 1 -> z\nsync\nread a 9 1 -> y\nread a 0 0 -> x\nflush\n"
    history = reference.run(Program.parse(text))
    assert history.deliveries == ("z", "x")
    assert history.outcomes[2].data == b"z"
    assert history.closing is not None
    assert history.closing.data == b"z,x"


def test_no_closing_sync_after_a_sync() -> None:
    assert reference.run(Program.parse("sync")).closing is None
    assert reference.run(Program.parse("sync\nflush")).closing is not None
    assert reference.run(Program(())).closing is not None


def test_unregistered_kernel_is_found_before_anything_runs() -> None:
    ran = []
    spy = Kernel(
        name="spy",
        buffers=(Binding(name="x", access="read_write"),),
        body="",
        meaning=lambda arrays, scalars, groups: ran.append(groups),
    )
    kernels = BUILTIN.adding(spy)
    known = "alloc a 4\ndispatch spy a - 2x1x1\n"
    with pytest.raises(ProgramError, match="cannot dispatch nobody because no kernel"):
        reference.run(Program.parse(known + "dispatch nobody a - 1x1x1"), kernels)
    assert ran == []
    reference.run(Program.parse(known), kernels)
    assert ran == [2]


def test_a_meaning_may_not_write_what_it_binds_to_read() -> None:
    def careless(arrays, scalars, groups):  # type: ignore[no-untyped-def]
        arrays[0][0] = 1

    kernel = Kernel(name="careless", buffers=(Binding(name="x"),), body="", meaning=careless)
    with pytest.raises(InvalidKernel, match=r"kernel careless does .*ValueError(.|\n)*read-only"):
        reference.run(
            Program.parse("alloc a 4\ndispatch careless a - 1x1x1"), BUILTIN.adding(kernel)
        )


def test_op_by_op_a_refusal_is_raised() -> None:
    executor = Reference()
    executor.alloc("a", 4)
    executor.write("a", b"\x01", 0)
    delivered: list[ReferenceDelivery] = []
    delivery = executor.read("a", 0, 2)
    delivery.add_done_callback(delivered.append)
    assert delivered == [delivery]
    executor.free("a")
    assert delivery.result() == b"\x01\x00"
    with pytest.raises(InvalidHandle, match="cannot use <a> because no live buffer has that name"):
        executor.free("a")


def test_importing_the_oracle_loads_neither_wgpu_nor_the_runtime() -> None:
    code = (
        "import sys, reference; "
        "print([m for m in ('wgpu', 'gpusim.runtime', 'gpusim.devices', 'properties') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
