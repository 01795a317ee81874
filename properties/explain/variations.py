"""Varies one thing of a failing case, and says which changes make it pass and which do not.

A change alters, replaces, splits or adds one op, or resizes one buffer.  Each is tried alone.
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
from properties.explain.neighbours import (
    Changed,
    instead,
    neighbours,
    of_equal_sizes,
    of_places,
    one_group,
)
from properties.explain.trials import Judge, Trials, edge
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.metamorphic.rewrites import sizes_of

_MOST_OPS = 24
_MOST_SHOWN = 3
BY_THE_TEXT = ("misusing", BESIDE)
"""The own calls of these clients depend on the text of each op, so a changed op tells nothing."""
_FLUSHED = "with a flush in "
_TOLD_IF_FAILING = ("with op ", _FLUSHED, "with a copy in ")
"""A change that leaves the case failing is told only if its text begins with one of these.  That
other data or sizes change nothing is not worth a line."""
_PLAIN = ("0", "1", "2", "3", "0.0", "1.0", "2.0", "3.0")
_OTHER_DATA = (b"\x01", b"\x02", b"\x00", b"\x03", b"\x04", b"\x05")


@dataclass(frozen=True, kw_only=True, slots=True)
class Varied:
    """The changes with which the case passes, and those with which it still fails."""

    passes: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()


def vary(verdict: Verdict, failure: Failure, again: Judge) -> Varied:
    """What one change at a time does to the case."""
    case, program = verdict.execution.case, verdict.execution.case.program
    if len(program) > _MOST_OPS or case.transformations or case.client in BY_THE_TEXT:
        return Varied()
    trials = Trials(case, again)
    passes: list[str] = []
    fails: list[str] = []

    def is_passing(changed: Program) -> bool:
        return not trials.fails(changed)

    equal = list(of_equal_sizes(program, is_passing))
    near = [text for _, _, text in equal] + list(of_places(program, trials.run))
    has_faults = len(case.device.faults) > 0
    is_value = failure.kind is FailureKind.VALUE and not has_faults
    variants = _variants(program, verdict.execution.kernels, is_value=is_value)
    for text, changed in chain(neighbours(program, has_faults=has_faults), variants):
        tried = trials.run(changed)
        if tried.failure is None and _refused(tried) == _refused(verdict):
            # A flush instead of the write that overtakes cures any program: that is no news.
            if has_faults or not text.startswith(_FLUSHED):
                passes.append(text)
        elif (
            tried.failure is not None
            and tried.failure.signature == failure.signature
            and text.startswith(_TOLD_IF_FAILING)
        ):
            fails.append(text)
    if failure.kind is FailureKind.STATISTICS:
        around = _around_the_last(program)
        passes.extend(text for text, changed in around if is_passing(changed))
    known = {at for one, other, _ in equal for at in (one, other)}
    first = islice(chain(near, islice(_thresholds(trials, known), _MOST_SHOWN)), _MOST_SHOWN)
    return Varied(passes=(*first, *passes[:_MOST_SHOWN]), fails=tuple(fails[:_MOST_SHOWN]))


def _around_the_last(program: Program) -> Iterator[Changed]:
    """The program with one op more before or after its last.

    That changes what the open batch holds at the end, on which the statistics depend.
    """
    last = len(program) - 1
    for at, op in enumerate(program):
        if isinstance(op, Alloc) and op.size_bytes >= WORD_BYTES:
            if at < last:
                before = instead(program, last, one_group(op.buffer), program[last])
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
) -> Iterator[Changed]:
    """The program with one op changed."""
    for at, op in enumerate(program):
        yield from _plainer(program, at, op)
        if is_value and isinstance(op, Dispatch):
            yield from _unlike(program, at, op, kernels)
        if isinstance(op, Replay):
            commands = replayed(captures_of(program)[op.graph], op)
            yield f"with op {at}'s commands called plainly", instead(program, at, *commands)
        if isinstance(op, Write) and len(op.data) >= 2 * WORD_BYTES:
            cut = len(op.data) - WORD_BYTES
            rest = replace(op, offset=op.offset + cut, data=op.data[cut:])
            halves = instead(program, at, _sized(op, cut), rest)
            yield f"with op {at} in two writes", halves
        if isinstance(op, Write) and op.data:
            other = _other_data(op.data, program)
            words = other[:WORD_BYTES].hex()
            text = f"with {words} for {op.data[:WORD_BYTES].hex()} in op {at}"
            yield text, instead(program, at, replace(op, data=other))
        if isinstance(op, Alloc) and 0 < op.size_bytes < 1 << 16:
            yield _larger(program, at, op)


def _plainer(program: Program, at: int, op: Op) -> Iterator[Changed]:
    """The program with a plain scalar instead of one that is not plain."""
    ops: Sequence[Op] = op.commands if isinstance(op, Capture) else [op]
    for n, each in enumerate(ops):
        for place, scalar in enumerate(each.scalars if isinstance(each, AnyDispatch) else ()):
            if str(scalar) in _PLAIN:
                continue
            assert isinstance(each, AnyDispatch)
            plain = type(scalar)(0 if str(scalar) == "-0.0" else 1)
            scalars = (*each.scalars[:place], plain, *each.scalars[place + 1 :])
            other: Op = replace(each, scalars=scalars)
            if isinstance(op, Capture) and isinstance(other, Command):
                other = replace(op, commands=(*op.commands[:n], other, *op.commands[n + 1 :]))
            yield f"with {plain} for {scalar} in op {at}", instead(program, at, other)


def _unlike(
    program: Program, at: int, op: Dispatch, kernels: Mapping[str, Kernel]
) -> Iterator[Changed]:
    """Programs in which the dispatch ``op`` differs more, or less, from a dispatch before it.

    If it follows a dispatch with uniforms of another size, it becomes a copy of that
    one with one operand changed.  If it repeats an earlier dispatch, it gets other scalars or
    another grid.
    """
    before = program[at - 1] if at else op
    if isinstance(before, Dispatch):
        sizes = {kernels[each.kernel].uniform_bytes for each in (before, op)}
        for said, other in islice(_other_operands(before), len(sizes) - 1):
            if other.scalars != before.scalars:
                said = "with other scalars of as many bytes"
            yield f"with op {at} like op {at - 1}, but {said}", instead(program, at, other)
    if op in program.ops[:at]:
        for said, other in _other_operands(op):
            yield f"with op {at} {said}", instead(program, at, other)


def _other_operands(op: Dispatch) -> Iterator[tuple[str, Dispatch]]:
    """The dispatch ``op`` with other scalars, and then over another grid, each with words."""
    if op.scalars and type(op.scalars[0]) is int:
        scalars = (op.scalars[0] + 1, *op.scalars[1:])
        shown = ",".join(map(str, scalars))
        yield f"with other scalars, {shown}", replace(op, scalars=scalars)
    if op.grid == (1, 1, 1):
        yield "over another grid, 2x1x1", replace(op, grid=(2, 1, 1))


def _other_data(data: bytes, program: Program) -> bytes:
    """Data of the same length that no write of the program begins with."""
    taken = {op.data[:1] for op in program if isinstance(op, Write)}
    free = (each for each in _OTHER_DATA if each not in taken)
    return next(free, _OTHER_DATA[-1]) * len(data)


def _larger(program: Program, at: int, op: Alloc) -> Changed:
    """The program with a buffer twice as large; reads of its end are moved to its new end.

    If only reads use the buffer they must move, or a mistake at the new end would pass unseen.  If
    another op uses it too, they stay.
    """
    size, ops = op.size_bytes, list(program.ops)
    ops[at] = replace(op, size_bytes=2 * size)
    said = f"with {op.buffer} of {2 * size} bytes"
    uses = [each for each in ops if not isinstance(each, Alloc) and op.buffer in buffers_of(each)]
    for n, each in enumerate(ops):
        is_read = isinstance(each, Read) and each.buffer == op.buffer and each.offset > 0
        if is_read and all(isinstance(use, Read) for use in uses):
            assert isinstance(each, Read)
            if each.offset + each.size_bytes == size:
                ops[n] = replace(each, offset=each.offset + size)
                said += "" if ", and op" in said else f", and op {n} reading its last bytes"
    return said, Program(tuple(ops))


def _thresholds(trials: Trials, known: set[int]) -> Iterator[str]:
    """The largest size of each op with which the case passes, found by halving.

    The ops at ``known`` are left out: more is known of their sizes.
    """
    case = trials.case
    for at, op in enumerate(case.program):
        size = _size(op)
        if size <= 2 * WORD_BYTES or at in known:
            continue

        def passes(size_bytes: int, at: int = at, op: Op = op) -> bool:
            return not trials.fails(instead(case.program, at, _sized(op, size_bytes)))

        if not passes(WORD_BYTES):
            continue
        low, high = edge(WORD_BYTES, size, passes)
        if _is_into_one(trials, op, high) and not _is_into_one(trials, op, low):
            continue  # The client reads the shorter one in another way, so its size tells nothing.
        passing, failing = (_bytes(_sized(op, each), each) for each in (low, high))
        yield f"with op {at} ({op.verb}) cut to at most {passing}, while {failing} fail"


def _is_into_one(trials: Trials, op: Op, size_bytes: int) -> bool:
    """Whether the client reads ``op``, cut to ``size_bytes``, as a second read into one array."""
    if not isinstance(op, Read):
        return False
    size = sizes_of(trials.case.program).get(op.buffer, 0)
    shorter = replace(op, size_bytes=size_bytes)
    is_inside = op.offset + size_bytes <= size
    return is_inside and is_second_into_one(trials.case.client, shorter, size)


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
