"""Each refusal of the contract beside its valid neighbour, and the order among them."""

import re

import pytest

import reference
from gpusim.errors import GpusimError
from gpusim.kernels import BUILTIN, Kernel
from gpusim.limits import Limits
from gpusim.ops import Alloc, Dispatch
from gpusim.program import Program, buffers_of
from reference.executor import Reference, run

LIMITS = Limits(
    max_buffer_bytes=64,
    max_binding_bytes=32,
    max_groups_per_dimension=4,
    memory_budget_bytes=192,
)
SETUP = """
alloc a 16
alloc b 32
alloc odd 7
alloc tiny 3
alloc empty 0
alloc big 40
alloc gone 16
write a 0 000102030405060708090a0b0c0d0e0f
free gone
"""

REFUSALS = {
    "alloc negative": ("alloc n -1", "OutOfRange", "alloc n 0"),
    "alloc past the limit": ("alloc n 65", "LimitExceeded", "alloc n 64"),
    "alloc past the budget": (
        "alloc n 64\nalloc m 31",
        "OutOfMemory",
        "alloc n 64\nalloc m 30",
    ),
    "write freed": ("write gone 0 00", "InvalidHandle", "write a 0 00"),
    "write past the end": ("write a 13 00010203", "OutOfRange", "write a 12 00010203"),
    "write negative offset": ("write a -1 00", "OutOfRange", "write a 0 00"),
    "write nothing past the end": ("write a 17 -", "OutOfRange", "write a 16 -"),
    "read freed": ("read gone 0 1 -> r", "InvalidHandle", "read a 0 1 -> r"),
    "read past the end": ("read odd 4 4 -> r", "OutOfRange", "read odd 3 4 -> r"),
    "read negative offset": ("read a -1 1 -> r", "OutOfRange", "read a 0 1 -> r"),
    "read negative size": ("read a 4 -1 -> r", "OutOfRange", "read a 4 0 -> r"),
    "read nothing past the end": ("read empty 1 0 -> r", "OutOfRange", "read empty 0 0 -> r"),
    "free freed": ("free gone", "InvalidHandle", "free a"),
    "copy freed source": ("copy gone 0 a 0 4", "InvalidHandle", "copy b 0 a 0 4"),
    "copy freed target": ("copy a 0 gone 0 4", "InvalidHandle", "copy a 0 b 0 4"),
    "copy source range": ("copy a 13 b 0 4", "OutOfRange", "copy a 12 b 0 4"),
    "copy target range": ("copy b 0 a 13 4", "OutOfRange", "copy b 0 a 12 4"),
    "copy negative size": ("copy a 0 b 0 -1", "OutOfRange", "copy a 0 b 0 0"),
    "copy negative offset": ("copy a 0 b -1 1", "OutOfRange", "copy a 0 b 0 1"),
    "too few buffers": ("dispatch fold a 1 1x1x1", "InvalidBinding", "dispatch fold a,b 1 1x1x1"),
    "too many buffers": (
        "dispatch scramble a,b - 1x1x1",
        "InvalidBinding",
        "dispatch scramble a - 1x1x1",
    ),
    "freed buffer": (
        "dispatch scramble gone - 1x1x1",
        "InvalidHandle",
        "dispatch scramble a - 1x1x1",
    ),
    "no whole word": (
        "dispatch scramble tiny - 1x1x1",
        "InvalidBinding",
        "dispatch scramble odd - 1x1x1",
    ),
    "binding past the limit": (
        "dispatch scramble big - 1x1x1",
        "LimitExceeded",
        "dispatch scramble b - 1x1x1",
    ),
    "bound twice and written": (
        "dispatch mix a,b,b 1,2 1x1x1",
        "InvalidBinding",
        "dispatch mix a,a,b 1,2 1x1x1",
    ),
    "too few scalars": (
        "dispatch affine a 1 1x1x1",
        "InvalidScalar",
        "dispatch affine a 1,2 1x1x1",
    ),
    "scalar past its type": (
        "dispatch affine a 4294967296,2 1x1x1",
        "InvalidScalar",
        "dispatch affine a 4294967295,2 1x1x1",
    ),
    "scalar of another type": (
        "dispatch affine a 1.0,2 1x1x1",
        "InvalidScalar",
        "dispatch affine a 1,2 1x1x1",
    ),
    "scalar not finite": (
        "dispatch blend a,b inf 1x1x1",
        "InvalidScalar",
        "dispatch blend a,b 1 1x1x1",
    ),
    "negative grid": (
        "dispatch scramble a - 1x-1x1",
        "LimitExceeded",
        "dispatch scramble a - 1x0x1",
    ),
    "grid past the limit": (
        "dispatch scramble a - 5x1x1",
        "LimitExceeded",
        "dispatch scramble a - 4x1x1",
    ),
    "grid past the limit, and none to run": (
        "dispatch scramble a - 5x0x1",
        "LimitExceeded",
        "dispatch scramble a - 4x0x1",
    ),
    "unguarded beside guarded": (
        "dispatch scramble a - 1x1x5",
        "LimitExceeded",
        "dispatch tally a 1 1x1x5",
    ),
    "grid past what an index counts": (
        f"dispatch tally a 1 {BUILTIN['tally'].max_groups + 1}x1x1",
        "LimitExceeded",
        "dispatch tally a 1 9x7x1",
    ),
    "grid past what three dimensions hold": (
        "dispatch tally a 1 65x1x1",
        "LimitExceeded",
        "dispatch tally a 1 64x1x1",
    ),
    "negative guarded grid": (
        "dispatch tally a 1 -1x1x1",
        "LimitExceeded",
        "dispatch tally a 1 9x1x1",
    ),
}
MESSAGE = r"^cannot [a-z].* because [a-z0-9<].* \(probably [a-z].*[a-z]\)$"
END = "read a 0 16 -> end_a\nread b 0 32 -> end_b\n"


def last_error(text: str, limits: Limits = LIMITS) -> str | None:
    program = Program.parse(text)
    return reference.run(program, limits=limits).outcomes[-1].error


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_beside_its_neighbour(name: str) -> None:
    refused, error, accepted = REFUSALS[name]
    assert last_error(SETUP + refused) == error
    assert last_error(SETUP + accepted) is None


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_op_changes_nothing(name: str) -> None:
    refused = REFUSALS[name][0]
    with_it = reference.run(Program.parse(SETUP + refused + "\n" + END), limits=LIMITS)
    without = reference.run(Program.parse(SETUP + END), limits=LIMITS)
    assert with_it.outcomes[-2:] == without.outcomes[-2:]
    assert with_it.deliveries == without.deliveries


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_says_what_why_and_what_was_probably_meant(name: str) -> None:
    *before, op = Program.parse(SETUP + REFUSALS[name][0])
    executor = Reference(limits=LIMITS)
    for done in before:
        executor.perform(done)
    with pytest.raises(GpusimError, match=MESSAGE) as raised:
        executor.perform(op)
    named = [str(op.size_bytes)] if isinstance(op, Alloc) else [*buffers_of(op)]
    named += [op.kernel] if isinstance(op, Dispatch) else []
    words = re.split(r"[ <>]+", str(raised.value))
    assert any(name in words for name in named)


def test_names_that_stand_for_nothing_are_told_from_names_that_were_never_there() -> None:
    executor = Reference(limits=LIMITS)
    with pytest.raises(GpusimError):
        executor.alloc("n", 65)
    with pytest.raises(GpusimError, match=MESSAGE) as raised:
        executor.dispatch("scramble", ["n"], [], (1, 1, 1))
    assert "<n> because its alloc was refused" in str(raised.value)
    with pytest.raises(GpusimError, match=MESSAGE) as raised:
        executor.dispatch("nonsense", ["n"], [], (1, 1, 1))
    assert "nonsense because no kernel of that name" in str(raised.value)


@pytest.mark.parametrize(
    ("op", "error"),
    [
        ("write gone 99 00", "InvalidHandle"),
        ("copy gone 99 a 99 4", "InvalidHandle"),
        ("copy a 99 gone 0 4", "InvalidHandle"),
        ("dispatch fold gone 1 1x1x1", "InvalidBinding"),
        ("dispatch fold tiny,gone 1 1x1x1", "InvalidHandle"),
        ("dispatch fold big,tiny 1 1x1x1", "InvalidBinding"),
        ("dispatch fold big,big 1 1x1x1", "LimitExceeded"),
        ("dispatch fold a,a - 1x1x1", "InvalidBinding"),
        ("dispatch affine a 1 9x1x1", "InvalidScalar"),
    ],
)
def test_the_first_check_in_order_names_the_error(op: str, error: str) -> None:
    assert last_error(SETUP + op) == error


def test_budget_counts_live_buffers_only() -> None:
    fill = "alloc a 64\nalloc b 64\nalloc c 64\n"
    assert last_error(fill + "alloc d 1") == "OutOfMemory"
    assert last_error(fill + "alloc d 0") is None
    assert last_error(fill + "alloc d 65") == "LimitExceeded"
    assert last_error(fill + "free b\nalloc d 64") is None
    assert last_error(fill + "free b\nalloc d 64\nalloc e 1") == "OutOfMemory"


def test_no_budget_refuses_nothing() -> None:
    assert last_error("alloc a 1000\nalloc b 1000", Limits()) is None


def test_groups_in_all_are_limited_by_the_kernel() -> None:
    most = BUILTIN["affine"].max_groups
    wide = Limits(max_groups_per_dimension=2**32)
    assert last_error(f"alloc a 4\ndispatch affine a 1,1 {most}x1x1", wide) is None
    assert last_error(f"alloc a 4\ndispatch affine a 1,1 {most + 1}x1x1", wide) == "LimitExceeded"
    across = f"alloc a 4\ndispatch affine a 1,1 {most}x2x1"
    assert last_error(across, wide) == "LimitExceeded"


def test_a_name_whose_alloc_was_refused_stands_for_nothing() -> None:
    """It wins over every other check, the number of buffers included."""
    text = "alloc a 16\nalloc n 65\n"
    for op in (
        "write n 0 00",
        "read n 99 1 -> r",
        "free n",
        "copy a 99 n 0 4",
        "copy n 0 a 0 4",
        "dispatch fold n 1 1x1x1",
    ):
        assert last_error(text + op) == "InvalidHandle"
    assert last_error(text + "dispatch fold a 1 1x1x1") == "InvalidBinding"


def test_the_device_binds_so_many_buffers() -> None:
    """Looked for after the number of buffers, and before what they are."""
    few = Limits(max_storage_buffers=2)
    assert last_error(SETUP + "dispatch fold a,b 1 1x1x1", few) is None
    assert last_error(SETUP + "dispatch mix a,a,b 1,2 1x1x1", few) == "LimitExceeded"
    assert last_error(SETUP + "dispatch mix gone,a,b 1,2 1x1x1", few) == "LimitExceeded"
    assert last_error(SETUP + "dispatch mix a,b 1,2 1x1x1", few) == "InvalidBinding"


def test_bool_is_no_scalar() -> None:
    ops = (
        Alloc(buffer="a", size_bytes=4),
        Dispatch(kernel="affine", buffers=("a",), scalars=(True, 1), grid=(1, 1, 1)),
    )
    assert reference.run(Program(ops)).outcomes[1].error == "InvalidScalar"


def test_a_kernel_of_vectors_binds_no_buffer_that_is_smaller_than_one() -> None:
    kernel = Kernel.from_wgsl(
        "@group(0) @binding(0) var<storage, read_write> x: array<vec4u>;\n"
        "@compute @workgroup_size(1) fn twice() { x[0] *= 2u; }"
    )
    program = Program.parse(
        "alloc a 12\nalloc b 16\ndispatch twice a - 1x1x1\ndispatch twice b - 1x1x1"
    )
    outcomes = run(program, BUILTIN.adding(kernel)).outcomes
    assert [outcome.error for outcome in outcomes] == [None, None, "InvalidBinding", None]
