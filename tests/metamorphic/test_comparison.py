"""What the comparison says where two executions part, and where they may."""

from dataclasses import replace
from itertools import pairwise

import pytest

from gpusim.errors import ProgramError
from gpusim.history import History, Outcome
from gpusim.kernels import BUILTIN
from gpusim.program import Program
from gpusim.runtime import PRESETS
from properties.case import Case
from properties.oracles.metamorphic import (
    Execution,
    Transformation,
    parse_transformation,
    reduce_violation,
    signature,
    transform,
)
from properties.oracles.metamorphic.compare import Violation, compare_image
from properties.oracles.metamorphic.configuration import SetDevice
from properties.oracles.metamorphic.reducing import follower, moved_along
from properties.target import Capabilities

PROGRAM = Program.parse(
    "alloc a 8\nwrite a 0 0102030405060708\nread a 0 8 -> r\nread a 4 4 -> s\nsync\n"
)
CASE = Case(program=PROGRAM, policy=PRESETS["cached"], device="simulated")
SHOWN = (
    Outcome(),
    Outcome(),
    Outcome(data=bytes(range(1, 9))),
    Outcome(data=bytes(range(5, 9))),
    Outcome(data=b"r,s"),
)
DELIVERED = ("r", "s")


def execution(
    outcomes: tuple[Outcome, ...] = SHOWN,
    deliveries: tuple[str, ...] = DELIVERED,
    capabilities: Capabilities = Capabilities(),  # noqa: B008 - frozen
    closed_with: str = "",
) -> Execution:
    return Execution(
        history=History(outcomes=outcomes, deliveries=deliveries),
        capabilities=capabilities,
        closed_with=closed_with,
    )


def held_against(text: str, transformed: Execution) -> Violation | None:
    image = transform(CASE, [parse_transformation(text)])
    assert image is not None
    return compare_image(PROGRAM, image, execution(), transformed, BUILTIN)


def with_outcome(position: int, outcome: Outcome) -> tuple[Outcome, ...]:
    return (*SHOWN[:position], outcome, *SHOWN[position + 1 :])


def test_equal_executions_agree() -> None:
    assert held_against("same", execution()) is None


@pytest.mark.parametrize(
    ("position", "outcome", "kind"),
    [
        (1, Outcome(error="OutOfRange"), "error"),
        (2, Outcome(late_error="MapFailed"), "error"),
        (2, Outcome(data=bytes(8)), "value"),
        (3, Outcome(data=b""), "value"),
        (4, Outcome(data=b"r"), "delivery order"),
        (4, Outcome(data=b"s,r"), "delivery order"),
    ],
)
def test_the_first_op_that_differs_is_named(position: int, outcome: Outcome, kind: str) -> None:
    violation = held_against("same", execution(with_outcome(position, outcome)))
    assert violation is not None
    assert (violation.position, violation.kind) == (position, kind)
    assert violation.op.split()[0] in str(violation)


def test_the_order_of_all_deliveries_counts() -> None:
    violation = held_against("same", execution(deliveries=("s", "r")))
    assert violation is not None
    assert violation.kind == "delivery order"


def test_closing_counts() -> None:
    violation = held_against("same", execution(closed_with="MapFailed"))
    assert violation is not None
    assert violation.kind == "close"


def test_pieces_of_a_read_are_put_together() -> None:
    pieces = (Outcome(data=bytes(range(1, 5))), Outcome(data=bytes(range(5, 9))))
    outcomes = (*SHOWN[:2], *pieces, SHOWN[3], Outcome(data=b"t_0,t_1,s"))
    text = "split at=2 sixteenths=8"
    assert held_against(text, execution(outcomes, ("t_0", "t_1", "s"))) is None
    late = (*outcomes[:-1], Outcome(data=b"t_0,s"))
    violation = held_against(text, execution(late, ("t_0", "t_1", "s")))
    assert violation is not None
    assert violation.op == "sync"


def test_a_read_that_was_put_in_is_not_compared() -> None:
    outcomes = (*SHOWN[:2], Outcome(data=bytes(8)), *SHOWN[2:4], Outcome(data=b"t_0,r,s"))
    text = "insert_read at=2 which=0 part=whole"
    assert held_against(text, execution(outcomes, ("t_0", "r", "s"))) is None


def test_what_must_be_refused_must_be() -> None:
    text = "insert_refused at=2 which=0 refusal=past_the_end"
    refused = (*SHOWN[:2], Outcome(error="OutOfRange"), *SHOWN[2:])
    assert held_against(text, execution(refused)) is None
    violation = held_against(text, execution((*SHOWN[:2], Outcome(), *SHOWN[2:])))
    assert violation is not None
    assert violation.kind == "promise"


def test_a_repetition_that_makes_new_objects_is_seen() -> None:
    image = transform(CASE, [parse_transformation("twice")])
    assert image is not None
    assert image.steady is not None
    start, end = image.steady
    ops = len(image.case.program)
    listed = Outcome(data=b"u_r,u_s")
    last = Outcome(data=b"u_r,u_s,r,s")
    outcomes = (*SHOWN, listed, Outcome(), listed, *SHOWN[:4], last)
    assert len(outcomes) == ops
    same = execution(outcomes, ("u_r", "u_s", "r", "s"))
    flat = replace(same, made=(3,) * ops)
    assert compare_image(PROGRAM, image, execution(), flat, BUILTIN) is None
    rising = replace(same, made=(*(3,) * start, *(4,) * (end - start)))
    violation = compare_image(PROGRAM, image, execution(), rising, BUILTIN)
    assert violation is not None
    assert violation.kind == "objects"
    excused = replace(rising, evicted=True)
    assert compare_image(PROGRAM, image, execution(), excused, BUILTIN) is None


def test_floats_may_differ_between_devices_and_nothing_else() -> None:
    program = Program.parse(
        "alloc a 4\nalloc b 4\ndispatch blend a,b 0.5 1x1x1\nread b 0 4 -> r\nread a 0 4 -> s\n"
    )
    case = replace(CASE, program=program)
    image = transform(case, [SetDevice(device="gl")])
    assert image is not None
    plain = (Outcome(),) * 3

    def shown(first: bytes, second: bytes) -> Execution:
        reads = (Outcome(data=first), Outcome(data=second))
        return execution((*plain, *reads))

    before = shown(bytes(4), bytes(4))
    other = b"\1\0\0\0"
    assert compare_image(program, image, before, shown(other, bytes(4)), BUILTIN) is None
    violation = compare_image(program, image, before, shown(bytes(4), other), BUILTIN)
    assert violation is not None
    assert violation.position == 4


def test_a_target_that_does_not_order_its_deliveries_is_not_asked() -> None:
    image = transform(CASE, [parse_transformation("same")])
    assert image is not None
    anyhow = Capabilities(orders_deliveries=False)
    one = execution(capabilities=anyhow)
    other = execution(with_outcome(4, Outcome(data=b"")), (), capabilities=anyhow)
    assert compare_image(PROGRAM, image, one, other, BUILTIN) is None


@pytest.mark.parametrize("text", ["swop at=1", "swap", "swap at=one", "swap at=1 by=2", ""])
def test_what_is_no_transformation_is_refused(text: str) -> None:
    with pytest.raises(ProgramError, match="cannot read transformation"):
        parse_transformation(text)


def test_positions_follow_their_ops_while_a_program_shrinks() -> None:
    shorter = Program((PROGRAM[0], PROGRAM[2], PROGRAM[4]))
    follow = follower(PROGRAM, shorter)
    assert [follow(position) for position in range(6)] == [0, 1, 1, 2, 2, 3]
    moved = moved_along(
        CASE,
        replace(CASE, program=shorter),
        [parse_transformation("insert_boundary boundary=flush at=4")],
        BUILTIN,
    )
    assert moved == (parse_transformation("insert_boundary boundary=flush at=2"),)


def test_transformations_are_dropped_before_the_program_shrinks() -> None:
    """A judge that dislikes a flush right before the read of r, whatever else there is."""
    disliked = Violation(
        position=0, op="read", kind="value", reason="", as_it_is="", transformed=""
    )

    def dislikes(case: Case, transformations: object) -> Violation | None:
        assert isinstance(transformations, tuple)
        image = transform(case, transformations)
        if image is None:
            return None
        ops = str(image.case.program).splitlines()
        pairs = pairwise(ops)
        hit = any(one == "flush" and other.startswith("read") for one, other in pairs)
        return disliked if hit else None

    drawn: list[Transformation] = [
        parse_transformation(text)
        for text in (
            "insert_read at=1 which=0 part=whole",
            "insert_boundary boundary=flush at=3",
            "set_preset preset=eager",
        )
    ]
    small = reduce_violation(CASE, tuple(drawn), dislikes)
    assert [entry.name for entry in small.transformations] == ["insert_boundary"]
    assert [line.split()[0] for line in str(small.case.program).splitlines()] == ["alloc", "read"]
    assert signature(small.transformations, disliked) == ("value", "read", "insert_boundary")
    assert "these 2 ops, and `flush` before op 1" in str(small)


def test_what_agrees_is_not_reduced() -> None:
    with pytest.raises(ValueError, match="because they show the same"):
        reduce_violation(CASE, (), lambda case, transformations: None)
