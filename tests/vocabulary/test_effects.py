"""The bytes that an op reads and writes, and changes of operands by their kind."""

from inspect import signature

import pytest

from gpusim.effects import WHOLE, Access, accesses, written_by
from gpusim.kernels import BUILTIN
from gpusim.ops import VERBS, Capture, Operand, arguments_of, with_operands
from gpusim.program import Program, renamed
from gpusim.runtime import Runtime
from gpusim.text import parse_op, write_op
from properties.model.target import Adapter
from properties.targets.naive_target import NaiveTarget
from properties.targets.runtime_target import RuntimeTarget
from reference import Reference

CAPTURED = parse_op("capture g dispatch fold a,b 1 1x1x1; copy a 1 b 2 3")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("alloc a 4", []),
        ("write a 2 0011", [("a", 2, 4, True)]),
        ("dispatch fold a,b 1 1x1x1", [("a", *WHOLE, False), ("b", *WHOLE, True)]),
        ("dispatch fold a[0:9],b 1 1x1x1", [("a", 0, 9, False), ("b", *WHOLE, True)]),
        ("dispatch_indirect affine a 1,2 c 4", [("c", 4, 16, False), ("a", *WHOLE, True)]),
        ("copy a 1 b 2 3", [("a", 1, 4, False), ("b", 2, 5, True)]),
        ("read a 1 2 -> r", [("a", 1, 3, False)]),
        ("free a", []),
        ("sync", []),
        ("capture g copy a 1 b 2 3", []),
        (
            "replay g * a=c",
            [
                ("c", *WHOLE, False),
                ("b", *WHOLE, True),
                ("c", 1, 4, False),
                ("b", 2, 5, True),
            ],
        ),
    ],
)
def test_the_accesses_of_every_op(line: str, expected: list[tuple[str, int, int, bool]]) -> None:
    assert isinstance(CAPTURED, Capture)
    op, captures = parse_op(line), {"g": CAPTURED}
    found = accesses(op, BUILTIN, captures)
    assert found == [Access(*each) for each in expected]
    assert written_by(op, BUILTIN, captures) == [one.buffer for one in found if one.writes]


def test_every_op_of_the_table_has_a_form_and_arguments() -> None:
    program = Program.parse(
        "alloc a 8\nalloc b 8\nwrite a 0 01\ndispatch fold a,b[0:4] 1 1x1x1\ncopy a 0 b 0 4\n"
        "dispatch_indirect fold a,b 1 a 4\n"
        "read a 0 4 -> r\ncapture g copy a 0 b 0 4\nreplay g * -\nflush\nsync\nfree a\n"
    )
    assert {type(op) for op in program} == set(VERBS)
    for op in program:
        assert parse_op(write_op(op)) == op
        names = [name for name, what in VERBS[type(op)].operands.items()]
        missing = [name for name in names if VERBS[type(op)].operands[name] is Operand.RESULT]
        assert len(arguments_of(op)) == len(names) - len(missing)


def test_every_face_takes_a_write_in_the_same_order() -> None:
    assert arguments_of(parse_op("write a 3 0102")) == ("a", b"\1\2", 3)
    faces = (Runtime, Adapter, RuntimeTarget, NaiveTarget, Reference)
    for face in faces:
        assert [*signature(face.write).parameters] == ["self", "buffer", "data", "offset"]


def test_operands_are_changed_by_what_they_are() -> None:
    op = parse_op("copy a 1 b 2 3")
    assert write_op(with_operands(op, {Operand.OFFSET: lambda n: n + 4})) == "copy a 5 b 6 3"
    assert with_operands(op, {Operand.GRID: lambda grid: (1, 1, 1)}) is op
    assert write_op(renamed(CAPTURED, {"a": "x"})) == (
        "capture g dispatch fold x,b 1 1x1x1; copy x 1 b 2 3"
    )
