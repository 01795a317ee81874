"""Programs and their text form: nothing is lost, and a malformed line is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpusim.errors import ProgramError
from gpusim.ops import Alloc, Copy, Dispatch, Flush, Free, Op, Read, Sync, Write
from gpusim.program import Program, buffers_of
from gpusim.text import write_op

NAMES = ["a", "b", "long_name_2"]
INTEGERS = st.integers(-(2**40), 2**40)
NAME = st.sampled_from(NAMES)
SCALARS = st.lists(INTEGERS | st.floats(allow_nan=False), max_size=3).map(tuple)
VERBS = st.one_of(
    st.builds(Write, buffer=NAME, offset=INTEGERS, data=st.binary(max_size=9)),
    st.builds(
        Dispatch,
        kernel=st.sampled_from(["affine", "Matmul_2"]),
        buffers=st.lists(NAME, max_size=3).map(tuple),
        scalars=SCALARS,
        grid=st.tuples(INTEGERS, INTEGERS, INTEGERS),
    ),
    st.builds(
        Copy,
        source=NAME,
        source_offset=INTEGERS,
        target=NAME,
        target_offset=INTEGERS,
        size_bytes=INTEGERS,
    ),
    st.builds(Read, buffer=NAME, offset=INTEGERS, size_bytes=INTEGERS, result=st.just("r")),
    st.builds(Free, buffer=NAME),
    st.just(Flush()),
    st.just(Sync()),
)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Any well-formed program, whatever its ops would be refused for."""
    ops: list[Op] = [Alloc(buffer=name, size_bytes=draw(INTEGERS)) for name in NAMES]
    for number, op in enumerate(draw(st.lists(VERBS, max_size=12))):
        if isinstance(op, Read):
            op = Read(
                buffer=op.buffer, offset=op.offset, size_bytes=op.size_bytes, result=f"r{number}"
            )
        ops.append(op)
    return Program(tuple(ops))


@given(programs())
def test_reading_what_was_written_gives_the_program(program: Program) -> None:
    text = str(program)
    assert Program.parse(text) == program
    assert str(Program.parse(text)) == text
    assert len(text.splitlines()) == len(program)


def test_floats_stay_floats_and_integers_integers() -> None:
    text = "alloc a 4\ndispatch many a 1,1.0,-0.0,1e+30 1x1x1\n"
    dispatch = Program.parse(text)[1]
    assert isinstance(dispatch, Dispatch)
    assert [type(scalar) for scalar in dispatch.scalars] == [int, float, float, float]
    assert str(Program.parse(text)) == text


def test_every_form_of_the_format() -> None:
    text = (
        "alloc a 64\nwrite a 0 00112233\nwrite a 4 -\ndispatch scramble a - 1x2x3\n"
        "copy a 0 a 4 16\nread a 0 16 -> r\nfree a\nflush\nsync\n"
    )
    program = Program.parse(text)
    assert str(program) == text
    assert "".join(write_op(op) + "\n" for op in program) == text


def test_comments_blank_lines_and_blanks_mean_nothing() -> None:
    text = "# a program\n\n  alloc  a   4 # four bytes\n\tsync\n#free a\n"
    assert Program.parse(text).ops == (Alloc(buffer="a", size_bytes=4), Sync())
    assert Program.parse("").ops == ()


@pytest.mark.parametrize(
    ("line", "reason", "form"),
    [
        ("aloc a 4", "'aloc' is no op", "probably one of alloc, write, dispatch"),
        ("alloc a", "it has 1 operands instead of 2", "alloc BUFFER SIZE"),
        ("alloc a four", "'four' is no whole number", "alloc BUFFER SIZE"),
        ("alloc a 4.0", "'4.0' is no whole number", "alloc BUFFER SIZE"),
        ("write a 0", "it has 2 operands instead of 3", "write BUFFER OFFSET HEX"),
        ("write a 0 0g", "'0g' is not hexadecimal", "write BUFFER OFFSET HEX"),
        ("write a 0 012", "'012' is not hexadecimal", "write BUFFER OFFSET HEX"),
        ("dispatch k a 1", "it has 3 operands instead of 4", "dispatch KERNEL BUFFER,..."),
        ("dispatch k a x 1x1x1", "'x' is no number", "dispatch KERNEL BUFFER,..."),
        ("dispatch k a 1 1x1", "has 2 dimensions instead of 3", "dispatch KERNEL BUFFER,..."),
        ("dispatch k a 1 1xyx1", "'y' is no whole number", "dispatch KERNEL BUFFER,..."),
        ("copy a 0 a 4", "it has 4 operands instead of 5", "copy SOURCE OFFSET TARGET"),
        ("read a 0 4 r", "it has 4 operands instead of 5", "read BUFFER OFFSET SIZE -> RESULT"),
        ("read a 0 4 = r", "'=' stands where '->' should", "read BUFFER OFFSET SIZE -> RESULT"),
        ("free", "it has 0 operands instead of 1", "free BUFFER"),
        ("flush now", "it has 1 operands instead of 0", "expected: flush"),
        ("sync 1", "it has 1 operands instead of 0", "expected: sync"),
        ("capture", "it has no graph", "capture GRAPH dispatch ...; copy ... (none: -)"),
        ("capture g", "it has no commands, not even a '-'", "(none: -)"),
    ],
)
def test_a_malformed_line_is_named_with_what_was_expected(
    line: str, reason: str, form: str
) -> None:
    with pytest.raises(ProgramError) as caught:
        Program.parse(f"alloc a 4\n# a comment counts as a line\n{line}\nsync\n")
    message = str(caught.value)
    assert message.startswith("cannot read line 3 because ")
    assert reason in message
    assert form in message


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("alloc a 8", "cannot introduce buffer a in op 2 because an op before it did"),
        ("alloc A 8", "cannot name a buffer 'A' in op 2 because a name has lower-case letters"),
        ("read a 0 1 -> r", "cannot introduce result r in op 2"),
        ("read a 0 1 -> 9", "cannot name a result '9' in op 2"),
        ("write b 0 00", "cannot use b in op 2 because no op before it allocates it"),
        ("copy a 0 b 0 1", "cannot use b in op 2"),
        ("dispatch k a,b - 1x1x1", "cannot use b in op 2"),
        ("dispatch k a, - 1x1x1", "cannot use  in op 2"),
    ],
)
def test_a_line_that_does_not_fit_those_before_it_is_named(line: str, reason: str) -> None:
    text = f"alloc a 4\n\nread a 0 1 -> r # r is taken\n{line}\nalloc b 4\n"
    with pytest.raises(ProgramError) as caught:
        Program.parse(text)
    assert str(caught.value).startswith("cannot read line 4 because it does not fit the lines")
    assert reason in str(caught.value)


def test_use_after_free_is_well_formed() -> None:
    assert len(Program.parse("alloc a 4\nfree a\nread a 0 1 -> r\nfree a")) == 4


def test_a_slice_of_a_program_is_a_program() -> None:
    program = Program.parse("alloc a 4\nfree a\nsync")
    assert program[:2] == Program.parse("alloc a 4\nfree a")
    assert program[2] == Sync()
    assert list(program) == list(program.ops)
    with pytest.raises(ProgramError, match="cannot use a in op 0"):
        program[1:]


def test_buffers_of_an_op_in_the_order_of_its_text() -> None:
    program = Program.parse(
        "alloc a 4\nalloc b 4\nwrite a 0 -\ncopy b 0 a 0 1\ndispatch k b,a,b - 1x1x1\n"
        "read b 0 0 -> r\nfree a\nflush\nsync"
    )
    assert [buffers_of(op) for op in program] == [
        ("a",),
        ("b",),
        ("a",),
        ("b", "a"),
        ("b", "a", "b"),
        ("b",),
        ("a",),
        (),
        (),
    ]
