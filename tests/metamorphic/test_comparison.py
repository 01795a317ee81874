"""A case compared with its rewrite: which differences are failures, and which are allowed."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from gpusim.errors import MapFailed, ProgramError
from gpusim.history import History, Outcome
from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.program import Program
from gpusim.runtime import PRESETS
from gpusim.trace import Event, Trace
from properties.model.capabilities import CONTRACT, Capabilities
from properties.model.case import Case, DeviceSpec, Transformation
from properties.model.execution import Execution
from properties.model.failure import Failure, FailureKind
from properties.oracles.metamorphic import (
    compare_rewrite,
    parse_transformation,
    signature,
    transform,
)
from properties.oracles.metamorphic.boundaries import SetDevice
from properties.oracles.metamorphic.rewrites import follower, moved_along
from properties.shrink.reducer import shrink

PROGRAM = Program.parse(
    "alloc a 8\nwrite a 0 0102030405060708\nread a 0 8 -> r\nread a 4 4 -> s\nsync\n"
)
CASE = Case(program=PROGRAM, policy=PRESETS["cached"], device=DeviceSpec(name="simulated"))
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
    capabilities: Capabilities = CONTRACT,
    close_error: Exception | None = None,
    case: Case = CASE,
    events: tuple[Event, ...] = (),
) -> Execution:
    trace = Trace()
    trace.events += events
    return Execution(
        case=case,
        history=History(outcomes=outcomes, deliveries=deliveries),
        capabilities=capabilities,
        limits=Limits(),
        kernels=BUILTIN,
        trace=trace,
        close_error=close_error,
    )


def held_against(text: str, transformed: Execution) -> Failure | None:
    rewrite = transform(CASE, [parse_transformation(text)])
    assert rewrite is not None
    return compare_rewrite(rewrite, execution(), replace(transformed, case=rewrite.case))


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
    assert (violation.position, violation.trait) == (position, kind)
    assert violation.kind is FailureKind.RELATION
    assert violation.op.split()[0] in str(violation)


def test_the_order_of_all_deliveries_counts() -> None:
    violation = held_against("same", execution(deliveries=("s", "r")))
    assert violation is not None
    assert violation.trait == "delivery order"


def test_closing_counts() -> None:
    violation = held_against("same", execution(close_error=MapFailed("at last")))
    assert violation is not None
    assert violation.trait == "close"


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
    assert violation.trait == "promise"


def test_a_repetition_that_makes_new_objects_is_seen() -> None:
    rewrite = transform(CASE, [parse_transformation("twice")])
    assert rewrite is not None
    assert rewrite.steady is not None
    start, end = rewrite.steady
    ops = len(rewrite.case.program)
    listed = Outcome(data=b"u_r,u_s")
    last = Outcome(data=b"u_r,u_s,r,s")
    outcomes = (*SHOWN, listed, Outcome(), listed, *SHOWN[:4], last)
    assert len(outcomes) == ops
    assert 0 < start < end <= ops
    image_case = rewrite.case

    def making(made: Sequence[Event], again: Sequence[Event], *more: Event) -> Execution:
        """One that makes some objects in its first op, and others as the repetition begins."""
        events: list[Event] = []
        for position in range(ops):
            events += [*made] * (position == 0) + [*again] * (position == start)
            events.append(Event("outcome", {"position": position, "error": None}))
        deliveries = ("u_r", "u_s", "r", "s")
        return execution(outcomes, deliveries, case=image_case, events=(*events, *more))

    pooled = [Event("create_buffer", {"role": role}) for role in ("uniform", "staging", "staging")]
    flat = making(pooled, ())
    assert compare_rewrite(rewrite, execution(), flat) is None
    rising = making(pooled, pooled[:1])
    violation = compare_rewrite(rewrite, execution(), rising)
    assert violation is not None
    assert violation.trait == "objects"
    assert violation.sides[1] == ("transformed", "1")
    excused = making(pooled, pooled[:1], Event("staging.evicted", {}))
    assert compare_rewrite(rewrite, execution(), excused) is None


def test_floats_may_differ_between_devices_and_nothing_else() -> None:
    program = Program.parse(
        "alloc a 4\nalloc b 4\ndispatch blend a,b 0.5 1x1x1\nread b 0 4 -> r\nread a 0 4 -> s\n"
    )
    case = replace(CASE, program=program)
    rewrite = transform(case, [SetDevice(device="gl")])
    assert rewrite is not None
    plain = (Outcome(),) * 3

    def shown(first: bytes, second: bytes) -> Execution:
        reads = (Outcome(data=first), Outcome(data=second))
        return execution((*plain, *reads), case=case)

    before = shown(bytes(4), bytes(4))
    other = b"\1\0\0\0"
    assert compare_rewrite(rewrite, before, shown(other, bytes(4))) is None
    violation = compare_rewrite(rewrite, before, shown(bytes(4), other))
    assert violation is not None
    assert violation.position == 4


def test_a_target_that_does_not_order_its_deliveries_is_not_asked() -> None:
    rewrite = transform(CASE, [parse_transformation("same")])
    assert rewrite is not None
    anyhow = Capabilities(orders_deliveries=False)
    one = execution(capabilities=anyhow)
    other = execution(with_outcome(4, Outcome(data=b"")), (), capabilities=anyhow)
    assert compare_rewrite(rewrite, one, other) is None


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


DISLIKED = Failure(kind=FailureKind.RELATION, trait="value", position=0, op="read", reason="")


def test_transformations_are_dropped_and_the_program_shrinks() -> None:
    """A judge that dislikes a flush right before the read of r, whatever else there is."""

    def dislikes(case: Case) -> Failure | None:
        rewrite = transform(case.plain, case.transformations)
        if rewrite is None:
            return None
        ops = str(rewrite.case.program).splitlines()
        pairs = pairwise(ops)
        hit = any(one == "flush" and other.startswith("read") for one, other in pairs)
        return DISLIKED if hit else None

    drawn: list[Transformation] = [
        parse_transformation(text)
        for text in (
            "insert_read at=1 which=0 part=whole",
            "insert_boundary boundary=flush at=3",
            "set_preset preset=eager",
        )
    ]
    case = replace(CASE, transformations=tuple(drawn))
    shrunk = shrink(case, DISLIKED, dislikes, seconds=10)
    assert shrunk is not None
    small, failure = shrunk.case, shrunk.failure
    assert [entry.name for entry in small.transformations] == ["insert_boundary"]
    assert [line.split()[0] for line in str(small.program).splitlines()] == ["alloc", "read"]
    assert signature(small.transformations, failure) == ("value", "read", "insert_boundary")
    assert [entry.description for entry in small.transformations] == ["`flush` before op 1"]


def test_what_agrees_is_not_reduced() -> None:
    assert shrink(CASE, DISLIKED, lambda case: None, seconds=10) is None
