"""Varies one thing of a failing case, and says which changes make it pass and which do not.

A change gives one op or buffer another size, one write other data, or a repeated dispatch other
operands; or it splits one op in two, or issues the commands of a replay as plain calls.  Each
change is tried alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from gpusim.errors import DataLost
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES
from gpusim.ops import (
    Alloc,
    AnyDispatch,
    Capture,
    Command,
    Copy,
    Dispatch,
    Free,
    Op,
    Read,
    Replay,
    Write,
)
from gpusim.program import Program, buffers_of, captures_of, replayed
from properties.clients import BESIDE
from properties.clients.passed import is_second_into_one
from properties.explain.experiments import Judge
from properties.explain.neighbours import instead, neighbours, of_equal_sizes, of_places
from properties.model.case import Case
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.metamorphic.rewrites import sizes_of

_MOST_OPS = 24
_LEAST_BYTES = 4
_MOST_SHOWN = 3
BY_THE_TEXT = ("misusing", BESIDE)
"""The own calls of these clients depend on the text of each op, so a changed op tells nothing."""
_FLUSHED = "with a flush in "
_PLAIN = ("0", "1", "2", "3", "0.0", "1.0", "2.0", "3.0")
_OTHER_DATA = (b"\x01", b"\x02", b"\x00", b"\x03", b"\x04", b"\x05")


@dataclass(frozen=True, kw_only=True, slots=True)
class Varied:
    """The changes with which the case passes, and those with which it fails all the same."""

    passes: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()


def vary(verdict: Verdict, failure: Failure, again: Judge) -> Varied:
    """What one change at a time does to the case."""
    case = verdict.execution.case
    if len(case.program) > _MOST_OPS or case.transformations or case.client in BY_THE_TEXT:
        return Varied()
    passes: list[str] = []
    fails: list[str] = []

    def run(program: Program) -> Verdict:
        return again(replace(case, program=program))

    def is_passing(program: Program) -> bool:
        return run(program).failure is None

    equal = list(of_equal_sizes(case.program, is_passing))
    near = [text for _, _, text in equal] + list(of_places(case.program, run))
    has_faults = len(case.device.faults) > 0
    others = neighbours(case.program, has_faults=has_faults)
    is_value = failure.kind is FailureKind.VALUE and not has_faults
    kernels = verdict.execution.kernels
    for text, program in chain(others, _variants(case.program, kernels, is_value=is_value)):
        tried = run(program)
        if tried.failure is None and _refused(tried) == _refused(verdict):
            # A flush in the place of the write that overtakes cures any program: that is no news.
            if has_faults or not text.startswith(_FLUSHED):
                passes.append(text)
        elif (
            tried.failure is not None
            and tried.failure.signature == failure.signature
            and text.startswith(("with op ", _FLUSHED, "with a copy in "))
        ):
            # It is not worth a line to say that data and sizes do not matter.
            fails.append(text)
    if failure.kind is FailureKind.STATISTICS:
        around = _around_the_last(case.program)
        passes.extend(text for text, program in around if is_passing(program))
    known = {at for one, other, _ in equal for at in (one, other)}
    told = islice(_thresholds(case, known, again), _MOST_SHOWN)
    first = islice(chain(near, told), _MOST_SHOWN)
    return Varied(passes=(*first, *passes[:_MOST_SHOWN]), fails=tuple(fails[:_MOST_SHOWN]))


def _around_the_last(program: Program) -> Iterator[tuple[str, Program]]:
    """The program with one op more before or after its last.

    That changes what the open batch holds at the end, on which the statistics depend.
    """
    last = len(program) - 1
    for at, op in enumerate(program):
        if isinstance(op, Alloc) and op.size_bytes >= WORD_BYTES:
            one = Dispatch(kernel="affine", buffers=(op.buffer,), scalars=(1, 1), grid=(1, 1, 1))
            if at < last:
                before = instead(program, last, one, program[last])
                yield f"with a dispatch before op {last}", before
            yield f"with a free after op {last}", Program((*program, Free(buffer=op.buffer)))
            return


def _refused(verdict: Verdict) -> set[str]:
    """The errors with which ops should be refused.

    A change that makes such an op legal asks another question.  DataLost is left out: what is
    expected of a lost buffer follows from what the target accepted.
    """
    errors = {each.error for each in verdict.expected.outcomes if each.error is not None}
    return errors - {DataLost.__name__}


def _variants(
    program: Program, kernels: Mapping[str, Kernel], *, is_value: bool
) -> Iterator[tuple[str, Program]]:
    """Pairs: a change in words, and the program with it."""
    for at, op in enumerate(program):
        yield from _plainer(program, at, op)
        before = program[at - 1] if at else None
        if is_value and isinstance(op, Dispatch) and isinstance(before, Dispatch):
            sizes = [kernels[each.kernel].uniform_bytes for each in (before, op)]
            for _, unlike in [*_unlike(before)][:1] if len({*sizes}) > 1 else ():
                text = f"with op {at} like op {at - 1}, but with other scalars of as many bytes"
                yield text, instead(program, at, unlike)
        if is_value and isinstance(op, Dispatch) and op in program.ops[:at]:
            for said, unlike in _unlike(op):
                yield f"with op {at} {said}", instead(program, at, unlike)
        if isinstance(op, Replay):
            commands = replayed(captures_of(program)[op.graph], op)
            yield f"with op {at}'s commands called plainly", instead(program, at, *commands)
        elif isinstance(op, Write) and len(op.data) >= 2 * _LEAST_BYTES:
            yield f"with op {at} in two writes", instead(program, at, *_halves(op))
        if isinstance(op, Write) and op.data:
            other = _other_data(op.data, program)
            words = other[:_LEAST_BYTES].hex()
            text = f"with {words} for {op.data[:_LEAST_BYTES].hex()} in op {at}"
            yield text, instead(program, at, replace(op, data=other))
        if isinstance(op, Alloc) and 0 < op.size_bytes < 1 << 16:
            larger = replace(op, size_bytes=2 * op.size_bytes)
            moved, said = _reads_at_the_end(instead(program, at, larger), op)
            yield f"with {op.buffer} of {larger.size_bytes} bytes{said}", moved


def _plainer(program: Program, at: int, op: Op) -> Iterator[tuple[str, Program]]:
    """The program with a plain scalar in the place of one that is not plain."""
    ops: Sequence[Op] = op.commands if isinstance(op, Capture) else [op]
    for n, each in enumerate(ops):
        if not isinstance(each, AnyDispatch):
            continue
        for place, scalar in enumerate(each.scalars):
            plain = type(scalar)(0 if str(scalar) == "-0.0" else 1)
            if str(scalar) in _PLAIN:
                continue
            scalars = (*each.scalars[:place], plain, *each.scalars[place + 1 :])
            other: Op = replace(each, scalars=scalars)
            if isinstance(op, Capture) and isinstance(other, Command):
                other = replace(op, commands=(*op.commands[:n], other, *op.commands[n + 1 :]))
            yield f"with {plain} for {scalar} in op {at}", instead(program, at, other)


def _reads_at_the_end(program: Program, made: Alloc) -> tuple[Program, str]:
    """Moves reads of the end of a buffer to its new end, after the buffer became twice as large.

    Only if nothing but reads uses the buffer: there a mistake at the end would pass unseen.
    ``made`` is the alloc as it was.  Gives the program, and what was moved, in words.
    """
    size, ops = made.size_bytes, list(program.ops)
    if any(made.buffer in buffers_of(op) for op in ops if not isinstance(op, Alloc | Read)):
        return program, ""
    moved = [
        n
        for n, op in enumerate(ops)
        if isinstance(op, Read)
        and (op.buffer, op.offset + op.size_bytes) == (made.buffer, size)
        and op.offset
    ]
    for n in moved:
        read = ops[n]
        assert isinstance(read, Read)
        ops[n] = replace(read, offset=read.offset + size)
    said = f", and op {moved[0]} reading its last bytes" if moved else ""
    return (Program(tuple(ops)), said)


def _unlike(op: Dispatch) -> Iterator[tuple[str, Dispatch]]:
    """The dispatch ``op`` with other scalars, and then over another grid, each with words."""
    if op.scalars and type(op.scalars[0]) is int:
        scalars = (op.scalars[0] + 1, *op.scalars[1:])
        shown = ",".join(map(str, scalars))
        yield f"with other scalars, {shown}", replace(op, scalars=scalars)
    if op.grid == (1, 1, 1):
        yield "over another grid, 2x1x1", replace(op, grid=(2, 1, 1))


def _halves(op: Write) -> tuple[Write, Write]:
    """Two writes that mean the same, the second of four bytes."""
    cut = len(op.data) - _LEAST_BYTES
    rest = replace(op, offset=op.offset + cut, data=op.data[cut:])
    return replace(op, data=op.data[:cut]), rest


def _other_data(data: bytes, program: Program) -> bytes:
    """Data of the same length that no write of the program begins with."""
    taken = {op.data[:1] for op in program if isinstance(op, Write)}
    free = (each for each in _OTHER_DATA if each not in taken)
    return next(free, _OTHER_DATA[-1]) * len(data)


def _thresholds(case: Case, known: set[int], again: Judge) -> Iterator[str]:
    """The largest size of each op with which the case passes, found by halving.

    The ops at ``known`` are left out: more is known of their sizes.
    """
    for at, op in enumerate(case.program):
        size = _size(op)
        if size <= 2 * _LEAST_BYTES or at in known:
            continue

        def passes(size_bytes: int, at: int = at, op: Op = op) -> bool:
            program = instead(case.program, at, _sized(op, size_bytes))
            return again(replace(case, program=program)).failure is None

        if not passes(_LEAST_BYTES):
            continue
        low, high = _LEAST_BYTES, size
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if passes(middle) else (low, middle)
        if _is_into_one(case, op, high) and not _is_into_one(case, op, low):
            continue  # The client reads the shorter one in another way, so its size tells nothing.
        passing, failing = (_bytes(_sized(op, each), each) for each in (low, high))
        yield f"with op {at} ({op.verb}) cut to at most {passing}, while {failing} fail"


def _is_into_one(case: Case, op: Op, size_bytes: int) -> bool:
    """Whether the client makes the read ``op``, cut to ``size_bytes``, as two into one array."""
    size = sizes_of(case.program).get(op.buffer, 0) if isinstance(op, Read) else 0
    if not isinstance(op, Read) or op.offset + size_bytes > size:
        return False
    return is_second_into_one(case.client, replace(op, size_bytes=size_bytes), size)


def _size(op: Op) -> int:
    if isinstance(op, Write):
        return len(op.data)
    return op.size_bytes if isinstance(op, Read | Copy) else 0


def _bytes(op: Op, size_bytes: int) -> str:
    """The bytes of an op, and how many a read copies as whole words, if these are more."""
    said = f"{size_bytes} bytes"
    if not isinstance(op, Read):
        return said
    start, end = op.offset // WORD_BYTES, -(-(op.offset + op.size_bytes) // WORD_BYTES)
    copied = (end - start) * WORD_BYTES
    return f"{said} ({copied} in whole words)" if copied != op.size_bytes else said


def _sized(op: Op, size_bytes: int) -> Op:
    if isinstance(op, Write):
        return replace(op, data=op.data[:size_bytes])
    assert isinstance(op, Read | Copy)
    return replace(op, size_bytes=size_bytes)
