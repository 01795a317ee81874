"""The comparison rejects every way in which a history can be wrong, and no right one."""

import dataclasses
import struct
from typing import Any

import numpy as np
import pytest

import reference
from gpusim.errors import ProgramError
from gpusim.history import History, Raised
from gpusim.program import Program
from properties.model.capabilities import CONTRACT, Capabilities, capabilities_of
from properties.model.failure import Failure, FailureKind
from properties.oracles.compare import Checked, compare, count_checked

PROGRAM = Program.parse(
    """
    alloc a 16
    write a 0 000102030405060708090a0b0c0d0e0f
    read a 1 9 -> first
    write a 15 0000
    read a 0 16 -> second
    sync
    dispatch affine a 3,5 1x1x1
    read a 0 16 -> third
    """
)
EXPECTED = reference.run(PROGRAM)


def changed(position: int, **changes: Any) -> History:
    outcomes = list(EXPECTED.outcomes)
    outcomes[position] = dataclasses.replace(outcomes[position], **changes)
    return dataclasses.replace(EXPECTED, outcomes=tuple(outcomes))


def with_closing(**changes: Any) -> History:
    assert EXPECTED.closing is not None
    return dataclasses.replace(EXPECTED, closing=dataclasses.replace(EXPECTED.closing, **changes))


def flipped(position: int, at: int) -> bytes:
    data = bytearray(EXPECTED.outcomes[position].data or b"")
    data[at] ^= 0x10
    return bytes(data)


CORRUPTED = {
    "one byte": (changed(4, data=flipped(4, 7)), 4, FailureKind.VALUE),
    "the last byte": (changed(7, data=flipped(7, 15)), 7, FailureKind.VALUE),
    "a byte of an unaligned read": (changed(2, data=flipped(2, 0)), 2, FailureKind.VALUE),
    "a byte short": (changed(4, data=bytes(range(15))), 4, FailureKind.VALUE),
    "a byte long": (changed(4, data=bytes(range(17))), 4, FailureKind.VALUE),
    "no value": (changed(4, data=None), 4, FailureKind.VALUE),
    "refused without cause": (changed(1, error="OutOfRange"), 1, FailureKind.ERROR),
    "accepted without right": (changed(3, error=None), 3, FailureKind.ERROR),
    "another class": (changed(3, error="InvalidHandle"), 3, FailureKind.ERROR),
    "a crash": (changed(6, error="crash: TypeError"), 6, FailureKind.CRASH),
    "a value that never came": (
        changed(2, data=None, late_error="MapFailed"),
        2,
        FailureKind.LATE_ERROR,
    ),
    "a value that changed": (
        changed(2, late_error="changed after delivery"),
        2,
        FailureKind.LATE_ERROR,
    ),
    "a read that sync forgot": (changed(5, data=b"first"), 5, FailureKind.DELIVERY_ORDER),
    "two reads swapped": (changed(5, data=b"second,first"), 5, FailureKind.DELIVERY_ORDER),
    "a read that nobody made": (
        changed(5, data=b"first,second,other"),
        5,
        FailureKind.DELIVERY_ORDER,
    ),
    "a sync that failed": (changed(5, error="DeviceLost", data=None), 5, FailureKind.ERROR),
    "the closing sync failed": (
        with_closing(error="DeviceLost", data=None),
        8,
        FailureKind.ERROR,
    ),
    "the closing sync forgot": (with_closing(data=b"first,second"), 8, FailureKind.DELIVERY_ORDER),
    "one delivered twice": (
        dataclasses.replace(EXPECTED, deliveries=("first", "second", "third", "third")),
        8,
        FailureKind.DELIVERY_ORDER,
    ),
    "one missing at the end": (
        dataclasses.replace(EXPECTED, deliveries=("first", "second")),
        8,
        FailureKind.DELIVERY_ORDER,
    ),
}


def judge(got: History, capabilities: Capabilities | None = None) -> Failure | None:
    return compare(PROGRAM, EXPECTED, got, capabilities or CONTRACT)


def test_the_right_history_passes() -> None:
    assert judge(EXPECTED) is None


@pytest.mark.parametrize("name", CORRUPTED)
def test_a_corrupted_history_is_rejected(name: str) -> None:
    history, position, kind = CORRUPTED[name]
    failure = judge(history)
    assert failure is not None
    assert (failure.position, failure.kind) == (position, kind)


def test_the_first_op_in_program_order_is_named() -> None:
    later = changed(7, data=flipped(7, 0))
    both = dataclasses.replace(
        later, outcomes=(*later.outcomes[:4], changed(4, data=b"").outcomes[4], *later.outcomes[5:])
    )
    failure = judge(both)
    assert failure is not None
    assert failure.position == 4


def test_the_verdict_reads_as_an_argument() -> None:
    data = bytearray(EXPECTED.outcomes[4].data or b"")
    data[5:7] = b"\xaa\xbb"
    assert str(judge(changed(4, data=bytes(data)))) == (
        "op 4: read a 0 16 -> second\n"
        "  value: 2 of 16 bytes of second are wrong, the first is byte 5 of a and the last byte 6\n"
        "  expected: from byte 0: 00010203 04050607 08090a0b 0c0d "
        "(u32 0x03020100 0x07060504 0x0b0a0908)\n"
        "  got:      from byte 0: 00010203 04aabb07 08090a0b 0c0d "
        "(u32 0x03020100 0x07bbaa04 0x0b0a0908)"
    )


def test_the_verdict_shows_whole_words_of_the_buffer_where_a_read_cuts_them() -> None:
    verdict = str(judge(changed(2, data=flipped(2, 8))))
    assert "expected: from byte 1: 010203 04050607 0809 (u32 0x07060504)" in verdict
    assert "got:      from byte 1: 010203 04050607 0819 (u32 0x07060504)" in verdict


def test_the_verdict_shows_both_errors() -> None:
    refused, accepted = judge(CORRUPTED["refused without cause"][0]), judge(changed(3, error=None))
    assert refused is not None
    assert accepted is not None
    assert refused.sides == (("expected", "accepted"), ("got", "OutOfRange"))
    assert accepted.sides == (("expected", "OutOfRange"), ("got", "accepted"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("refused without cause", "nothing in the contract refuses this op, yet it was refused"),
        ("accepted without right", "the contract refuses this op, yet it was accepted"),
        ("another class", "but for another reason"),
        ("a value that never came", "has its value by the next sync"),
        ("a read that sync forgot", "second was read before the sync, yet not delivered"),
        ("two reads swapped", "first was read before second, yet second was delivered first"),
        ("a read that nobody made", "other was delivered, yet no read of that name"),
        ("one delivered twice", "third was delivered 2 times"),
        ("a byte short", "exactly the bytes that were asked for"),
        ("a byte of an unaligned read", "byte 1 of a"),
    ],
)
def test_the_verdict_says_why(name: str, words: str) -> None:
    assert words in str(judge(CORRUPTED[name][0]))


def test_what_a_target_does_not_promise_is_not_asked() -> None:
    swapped = dataclasses.replace(changed(5, data=b"second,first"), deliveries=("second", "first"))
    assert judge(swapped, Capabilities(orders_deliveries=False)) is None
    accepted = changed(3, error=None)
    assert judge(accepted, capabilities_of(refuses=False)) is None
    value = changed(4, data=flipped(4, 0))
    assert judge(value, capabilities_of(refuses=False, orders_deliveries=False)) is not None


def test_an_extra_delivery_of_a_refused_read_where_nothing_is_refused() -> None:
    program = Program.parse("alloc a 4\nread a 9 1 -> bad\nread a 0 4 -> good\n")
    expected = reference.run(program)
    got = dataclasses.replace(expected, deliveries=("bad", "good"))
    assert compare(program, expected, got, CONTRACT) is not None
    assert compare(program, expected, got, capabilities_of(refuses=False)) is None


def test_a_history_of_another_program_is_refused() -> None:
    with pytest.raises(ProgramError, match="do not belong together"):
        compare(PROGRAM[:4], EXPECTED, EXPECTED, CONTRACT)
    short = dataclasses.replace(EXPECTED, outcomes=EXPECTED.outcomes[:-1])
    for histories in ((EXPECTED, short), (short, EXPECTED)):
        with pytest.raises(ProgramError, match="a history of 7 ops with a program of 8"):
            compare(PROGRAM, *histories, CONTRACT)
    empty = reference.run(Program(()))
    assert compare(Program(()), empty, empty, CONTRACT) is None
    ended = Program.parse("sync")
    unended = reference.run(Program.parse("flush"))
    with pytest.raises(ProgramError, match="do not belong together"):
        compare(ended, unended, unended, CONTRACT)


FLOATS = Program.parse(
    f"""
    alloc x 16
    alloc y 16
    write x 0 {"0000803f" * 4}
    dispatch blend x,y 1.5 1x1x1
    write y 12 01020304
    write y 9 00
    read y 3 13 -> r
    """
)


def judge_floats(first: float, **bytes_at: int) -> Failure | None:
    """The read starts a byte before word 1: its index 1 is that word's first byte."""
    expected = reference.run(FLOATS)
    data = bytearray(expected.outcomes[-1].data or b"")
    data[1:5] = struct.pack("<f", first)
    for name, value in bytes_at.items():
        data[int(name.removeprefix("at_"))] = value
    return compare(FLOATS, expected, with_last(expected, data), CONTRACT)


STEP = 2.0**-23


def test_a_float_within_its_tolerance_passes() -> None:
    """2^-21 of 1.5 is six steps of 2^-23."""
    assert judge_floats(1.5) is None
    assert judge_floats(1.5 + 6 * STEP) is None
    assert judge_floats(1.5 - 6 * STEP) is None


@pytest.mark.parametrize(
    "number", [1.5 + 7 * STEP, 1.5 - 7 * STEP, -1.5, 0.0, float("inf"), float("nan")]
)
def test_a_float_past_its_tolerance_is_rejected(number: float) -> None:
    failure = judge_floats(number)
    assert failure is not None
    assert failure.kind == FailureKind.VALUE
    assert "float (may be off by 4.77e-07 of its value) at byte 4 of y" in failure.reason


@pytest.mark.parametrize("offset", range(9))
def test_floats_are_found_wherever_a_read_starts_and_ends(offset: int) -> None:
    """Four words: a float, an exact word that is no number, and two floats."""
    setup = str(FLOATS[:4]) + "write y 4 0100c07f\n"
    for size in range(17 - offset):
        program = Program.parse(f"{setup}read y {offset} {size} -> r")
        expected = reference.run(program)
        whole = bytearray(struct.pack("<f", 1.5 + STEP) * 4)
        whole[4:8] = bytes.fromhex("0100c07f")
        near = whole[offset : offset + size]
        assert compare(program, expected, with_last(expected, near), CONTRACT) is None
        for word in range(4):
            if offset <= word * 4 and word * 4 + 4 <= offset + size:
                far = near.copy()
                far[word * 4 - offset + 2] ^= 0x10
                failure = compare(program, expected, with_last(expected, far), CONTRACT)
                assert failure is not None
                assert ("float (may be off" in failure.reason) == (word != 1)


def with_last(history: History, data: bytearray) -> History:
    outcome = dataclasses.replace(history.outcomes[-1], data=bytes(data))
    return dataclasses.replace(history, outcomes=(*history.outcomes[:-1], outcome))


def test_bytes_without_promise_are_skipped_and_exact_ones_are_not() -> None:
    assert judge_floats(1.5, at_0=0x77, at_5=0x77, at_7=0x77) is None
    assert judge_floats(1.5, at_6=0x77) is not None
    assert judge_floats(1.5, at_12=0x77) is not None


def test_what_was_compared_is_counted() -> None:
    assert count_checked(FLOATS, reference.run(FLOATS)) == Checked(
        exact_bytes=5, tolerant_bytes=4, skipped_bytes=4, reads=1
    )
    assert count_checked(PROGRAM, EXPECTED) == Checked(exact_bytes=41, reads=3)


def test_the_first_wrong_byte_is_found_by_a_plain_search() -> None:
    program = Program.parse("alloc a 40\nread a 3 33 -> r")
    expected = reference.run(program)
    for at in range(33):
        data = np.zeros(33, dtype=np.uint8)
        data[at:] = 1
        outcome = dataclasses.replace(expected.outcomes[1], data=data.tobytes())
        got = dataclasses.replace(expected, outcomes=(expected.outcomes[0], outcome))
        failure = compare(program, expected, got, CONTRACT)
        assert failure is not None
        assert f"the first is byte {3 + at} of a and the last byte 35" in failure.reason


def test_an_order_of_deliveries_is_told_name_by_name() -> None:
    program = Program.parse("alloc a 4\nread a 0 4 -> r0\nread a 0 4 -> r1\nsync")
    expected = reference.run(program)
    last = dataclasses.replace(expected.outcomes[-1], data=b"r1,r0")
    got = dataclasses.replace(expected, outcomes=(*expected.outcomes[:-1], last))
    failure = compare(program, expected, got, CONTRACT)
    assert failure is not None
    assert failure.kind == FailureKind.DELIVERY_ORDER
    assert failure.sides == (("expected", "r0, r1"), ("got", "r1, r0"))


def test_a_read_of_one_byte_over_and_over_is_counted_as_showing_little() -> None:
    program = Program.parse(
        "alloc a 8\nwrite a 0 0102\nread a 0 1 -> r0\nread a 1 1 -> r1\nread a 0 2 -> r2\n"
        "read a 2 2 -> r3\nread a 2 6 -> r4\nread a 1 7 -> r5\n"
    )
    counted = count_checked(program, reference.run(program))
    assert (counted.reads, counted.constant_reads) == (4, 2)


def test_an_error_keeps_what_it_said() -> None:
    raised = Raised("cannot submit because the device refused: out of luck\ncode 5")
    shown = changed(2, data=None, late_error="SubmitFailed", raised=raised)
    failure = compare(PROGRAM, EXPECTED, shown, Capabilities())
    assert failure is not None
    assert dict(failure.sides) == {
        "expected": "a value",
        "got": "SubmitFailed: cannot submit because the device refused: out of luck",
    }
    assert str(failure).endswith("out of luck\n  code 5")
    assert "code 5" not in failure.argument


def test_a_crash_is_called_one_and_shows_where_it_came_from() -> None:
    raised = Raised("'a'", "Traceback (most recent call last):\n  File x.py\nKeyError: 'a'")
    crashed = changed(6, error="crash: KeyError", raised=raised)
    failure = compare(PROGRAM, EXPECTED, crashed, Capabilities())
    assert failure is not None
    assert failure.signature == ("crash", "KeyError")
    assert "refused" not in str(failure)
    assert "crash: it ended with KeyError, which is no error of the contract" in str(failure)
    assert "got:      KeyError: 'a'" in str(failure)
    assert str(failure).endswith(
        "  Traceback (most recent call last):\n    File x.py\n  KeyError: 'a'"
    )


def test_a_fault_is_no_refusal() -> None:
    failure = compare(PROGRAM, EXPECTED, changed(1, error="SubmitFailed"), Capabilities())
    assert failure is not None
    assert failure.reason == "nothing in the contract refuses this op, yet it failed"


def test_every_bit_of_a_long_read_is_compared() -> None:
    program = Program.parse("alloc a 4096\ndispatch affine a 3,5 64x1x1\nread a 3 4090 -> r")
    expected = reference.run(program)
    for at in (0, 1, 63, 64, 100, 2047, 2048, 4089):
        for bit in range(8):
            data = bytearray(expected.outcomes[-1].data or b"")
            data[at] ^= 1 << bit
            assert compare(program, expected, with_last(expected, data), CONTRACT) is not None
