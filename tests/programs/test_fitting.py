"""Programs that are fitted to promises ask for nothing beyond them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from gpusim.kernels import BUILTIN, OFFERED
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import Alloc, Capture, Copy, Dispatch, DispatchIndirect, Op, Read, Write
from gpusim.program import Program, flattened
from properties.generate.choices import SeededChoices
from properties.generate.fitting import first_beyond, fitted
from properties.generate.generator import generate
from properties.model.capabilities import capabilities_of
from properties.targets.runtime_target import RuntimeTarget
from reference import run as run_reference

PROGRAMS = 300
WORDS = capabilities_of(byte_exact=False, replays=True, indirect=True, parts=True)


def in_words(program: Program) -> Program:
    return fitted(program, WORDS, BUILTIN, Limits())


def programs(*, invalid: bool) -> Iterator[tuple[int, Program]]:
    for number in range(PROGRAMS):
        yield number, generate(SeededChoices(f"words/{number}"), invalid=invalid)


def numbers(op: Op) -> tuple[int, ...]:
    match op:
        case Alloc():
            return (op.size_bytes,)
        case Write():
            return op.offset, len(op.data)
        case Read():
            return op.offset, op.size_bytes
        case Copy():
            return op.source_offset, op.target_offset, op.size_bytes
    return ()


def test_every_number_is_whole_words_and_no_copy_stays_within_a_buffer() -> None:
    for _, program in programs(invalid=True):
        worded = in_words(program)
        captured = [c for op in worded if isinstance(op, Capture) for c in op.commands]
        for op in [*flattened(worded), *captured]:
            assert all(number % WORD_BYTES == 0 for number in numbers(op))
            if isinstance(op, Copy):
                assert op.source != op.target
            if isinstance(op, Copy | Read):
                assert op.size_bytes != 0


def test_what_is_in_words_stays_as_it_is() -> None:
    for _, program in programs(invalid=True):
        worded = in_words(program)
        assert in_words(worded) == worded


def test_what_was_accepted_still_is_and_most_of_a_program_is_left() -> None:
    before = after = 0
    for number, program in programs(invalid=False):
        worded = in_words(program)
        history = run_reference(worded, limits=Limits())
        errors = [outcome.error for outcome in history.outcomes if outcome.error]
        assert errors == [], f"program {number}\n{worded}"
        before, after = before + len(program), after + len(worded)
    assert after > 0.9 * before


@pytest.mark.parametrize(
    ("text", "worded"),
    [
        ("alloc a 0", "alloc a 4"),
        ("alloc a 7", "alloc a 4"),
        ("alloc a 8\nwrite a 7 ab", "alloc a 8\nwrite a 4 ab202020"),
        ("alloc a 9\nwrite a 1 0102030405060708", "alloc a 8\nwrite a 0 0102030405060708"),
        ("alloc a 8\nread a 8 0 -> r", "alloc a 8\nread a 4 4 -> r"),
        ("alloc a 8\ncopy a 0 a 4 4", "alloc a 8"),
        ("alloc a 8\nalloc b 5\ncopy a 6 b 3 2", "alloc a 8\nalloc b 4\ncopy a 4 b 0 4"),
        (
            "alloc a 8\nalloc b 8\ncapture g copy a 0 b 0 8\nreplay g * b=a\nreplay g * -",
            "alloc a 8\nalloc b 8\ncapture g copy a 0 b 0 8\nreplay g * -",
        ),
        (
            "alloc a 8\nalloc b 8\ncapture g copy a 1 b 0 3; copy a 0 b 1 5",
            "alloc a 8\nalloc b 8\ncapture g copy a 0 b 0 4",
        ),
    ],
)
def test_a_program_in_words(text: str, worded: str) -> None:
    assert str(in_words(Program.parse(text))).strip() == worded


def test_a_program_for_a_target_that_promises_all_is_within_that() -> None:
    # What is not within its promises is not run again, and so never made small.
    every = RuntimeTarget.capabilities
    for _, program in programs(invalid=True):
        assert first_beyond(program, every, BUILTIN, Limits()) is None


def test_a_large_grid_is_left_out_wherever_it_stands_after_a_replay() -> None:
    program = Program.parse(
        "alloc a 64\nalloc b 12\nwrite b 0 60ea000060ea000001000000\n"
        "capture g dispatch affine a 3,5 1x1x1; dispatch affine a 3,5 1x1x1\nreplay g * -\n"
        "dispatch_indirect affine a 1,1 b 0\nread a 0 64 -> r0\nsync\n"
    )
    assert first_beyond(program, RuntimeTarget.capabilities, BUILTIN, Limits()) == 5
    fit = fitted(program, RuntimeTarget.capabilities, BUILTIN, Limits())
    assert [*fit] == [op for op in program if not isinstance(op, DispatchIndirect)]


def test_a_described_kernel_is_for_those_that_name_it() -> None:
    add = Dispatch(kernel="add_scalar_u32", buffers=("a",), scalars=(1,), grid=(1, 1, 1))
    program = Program((Alloc(buffer="a", size_bytes=4), add))
    named = replace(WORDS, kernels=("add_scalar_u32",))
    assert first_beyond(program, WORDS, OFFERED, Limits()) == 1
    assert first_beyond(program, named, OFFERED, Limits()) is None
