"""Describes the first command that no op asked for: whose place it took, and how they differ.

A law reports such a command by the numbers that buffers have in the trace.  Here it is described by
the names that they have in the program.  The trace shows the command itself.  A hypothesis only
shows that a mistake would give the same bytes, and so counts less than what is said here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gpusim.ops import Alloc, Replay
from gpusim.program import Program, buffers_of, captures_of, replayed
from properties.explain.hypothesis import Hypothesis, named, quoted
from properties.explain.scene import Step
from properties.explain.told import NOTHING, Told
from properties.oracles.laws.catalogue import Law
from properties.oracles.laws.expected import (
    GRID_DIMENSIONS,
    Bytes,
    ExpectedCopy,
    ExpectedDispatch,
    ExpectedOp,
    ExpectedRead,
    ExpectedWrite,
)
from properties.oracles.laws.matching import (
    Command,
    CopyPiece,
    ReadPiece,
    WritePiece,
    is_dispatch,
)

_SAYS_AS_MUCH = {
    "grid": ("grid", "counts"),
    "buffers": ("buffers", "part", "replay"),
    "call": ("replay",),
    "kernel": ("kernel",),
    "copy": ("copy",),
    "read": ("read",),
}
"""For each way in which a command can differ, the kinds of hypotheses that say the same."""
_STANDS_FOR = {
    ReadPiece: ExpectedRead,
    CopyPiece: ExpectedCopy,
    WritePiece: ExpectedWrite,
    type(None): ExpectedDispatch,
}
"""The kind of op whose place a command takes, by the class of the command's piece.

A dispatch has no piece.
"""
_MOST_RUNS, _MOST_SHOWN = 2, 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Accused:
    """A command that no op asked for, and what is needed to describe it.

    ``expected``: the op whose place it took.  ``issued``: all ops that were issued until then.
    ``names``: what to call each device buffer, by its number: its name in the program, if it has or
    had one.  ``law``: the law that the command breaks.
    """

    command: Command
    expected: ExpectedOp
    issued: tuple[ExpectedOp, ...]
    names: Mapping[int, str]
    law: Law


def stood_for(command: Command, waiting: tuple[ExpectedOp, ...]) -> ExpectedOp | None:
    """The first op of ``waiting`` that is of the command's kind; None without such an op."""
    kind = _STANDS_FOR.get(type(command.piece))
    return next((each for each in waiting if kind and isinstance(each, kind)), None)


def tell_accused(
    accused: Accused | None, program: Program, best: Hypothesis | None, most_groups: int
) -> Told:
    """Tells of the wrong command, unless ``best``, the mistake that explains the bytes, says it.

    ``most_groups``: the device's limit of workgroups in one dimension.
    """
    if accused is None:
        return NOTHING
    at = accused.expected.position
    if isinstance(accused.expected, ExpectedWrite):
        # If a mistake explains the bytes, it says more than the command that wrote them.
        said = "" if best is not None else _of_write(accused, accused.expected, program)
        return Told(sentence=said, culprit=at, rule=accused.law) if said else NOTHING
    kind, said = _difference(accused, program)
    is_said = best is not None and best.culprit == at and best.kind in _SAYS_AS_MUCH[kind]
    if is_said:
        return NOTHING
    facts = (*_reordered(accused, program), *_apart(accused, program))
    facts = (*facts, *_at_the_limit(accused, most_groups))
    return Told(sentence=said, culprit=at, rule=accused.law, facts=facts)


def _at_the_limit(accused: Accused, most_groups: int) -> Iterator[str]:
    """Says so if the command's grid is wrong and is, in one dimension, the device's limit."""
    groups = accused.command.about.get("groups", ())
    expected = accused.expected
    is_own = isinstance(expected, ExpectedDispatch) and groups != expected.grid
    if is_own and len(groups) == GRID_DIMENSIONS and most_groups in groups:
        yield f"{most_groups} is the device's limit of workgroups in one dimension"


def _of_write(accused: Accused, expected: ExpectedWrite, program: Program) -> str:
    piece = accused.command.piece
    if not isinstance(piece, WritePiece) or not piece.runs:
        return ""
    start = expected.op.offset
    end = start + len(expected.op.data) - 1
    runs = " and ".join(f"{_data(data)} at byte {at}" for at, data in piece.runs[:_MOST_RUNS])
    return (
        f"{quoted(step_of(expected, program))} was carried out as a write of {runs} of "
        f"{_named(piece.target, accused)}, and should be one of bytes {start} to {end}"
    )


def _data(data: bytes) -> str:
    return data.hex() if len(data) <= _MOST_SHOWN else f"{len(data)} bytes"


def _reordered(accused: Accused, program: Program) -> Iterator[str]:
    """Says so if an earlier replay of the graph bound the same buffers in another order."""
    at = accused.expected.position
    own = program[at]
    if not isinstance(own, Replay):
        return
    bound = _bound(own, program)
    for n, op in enumerate(program.ops[:at]):
        if isinstance(op, Replay) and op.graph == own.graph:
            before = _bound(op, program)
            if before != bound and sorted(before) == sorted(bound):
                yield (
                    f"op {n} replayed {own.graph} over {', '.join(before)}, and op {at} over "
                    f"{', '.join(bound)}: the same buffers in another order"
                )
                return


def _bound(op: Replay, program: Program) -> tuple[str, ...]:
    """The buffers of a replay, in the order in which its commands name them."""
    commands = replayed(captures_of(program)[op.graph], op)
    return tuple(dict.fromkeys(name for command in commands for name in buffers_of(command)))


def _apart(accused: Accused, program: Program) -> tuple[str, ...]:
    """Says how far apart the allocs of the used buffer and of the right buffer are.

    Only for a read or a copy.
    """
    if isinstance(accused.expected, ExpectedDispatch | ExpectedWrite):
        return ()
    _, given, own = _ends(accused)
    made = [op.buffer for op in program if isinstance(op, Alloc)]
    names = [accused.names.get(number, "") for number, _, _ in (given, own)]
    if names[0] == names[1] or not {*names} <= {*made}:
        return ()
    one, other = (made.index(name) + 1 for name in names)
    return (
        f"in the order of the allocs, {names[0]} is buffer {one} and {names[1]} is buffer {other}: "
        f"{abs(one - other)} apart",
    )


def _difference(accused: Accused, program: Program) -> tuple[str, str]:
    """How the command differs from its op: as a key of ``_SAYS_AS_MUCH``, and as a sentence."""
    expected = accused.expected
    if isinstance(expected, ExpectedDispatch):
        return _of_dispatch(accused, expected, program)
    kind = "read" if isinstance(expected, ExpectedRead) else "copy"
    way, given, own = _ends(accused)
    said = f"the copy for {quoted(step_of(expected, program))} was made {way}"
    name = _named(given[0], accused)
    if given[0] != own[0]:
        return kind, f"{said} {name}, and not {way} {_named(own[0], accused)}"
    return kind, f"{said} {_ranged(given)} of {name}, and not {way} {_ranged(own)}"


def _ends(accused: Accused) -> tuple[str, Bytes, Bytes]:
    """Which end of a copy or read is wrong ("from" or "to"), its bytes, and the right bytes."""
    expected, piece = accused.expected, accused.command.piece
    if isinstance(expected, ExpectedRead) and isinstance(piece, ReadPiece):
        op = expected.op
        given = piece.source, piece.source_offset, piece.size_bytes
        return "from", given, (expected.source.number, op.offset, op.size_bytes)
    assert isinstance(expected, ExpectedCopy)
    assert isinstance(piece, CopyPiece)
    return _end_of_copy(expected, piece)


def _end_of_copy(expected: ExpectedCopy, piece: CopyPiece) -> tuple[str, Bytes, Bytes]:
    """Which end of a copy is wrong ("from" or "to"), its bytes, and the bytes that are right."""
    op, size_bytes = expected.op, piece.size_bytes
    source, target = _source_of(expected), (expected.target.number, op.target_offset, op.size_bytes)
    given = piece.target, piece.target_offset, size_bytes
    if piece.source == source[0] and given != target:
        return "to", given, target
    return "from", (piece.source, piece.source_offset, size_bytes), source


def _source_of(expected: ExpectedCopy) -> Bytes:
    """Where a copy is to take its bytes: from its source or, if it has one, its scratch buffer."""
    op = expected.op
    if expected.scratch is None:
        return expected.source.number, op.source_offset, op.size_bytes
    number, shift = expected.scratch
    return number, op.source_offset - shift, op.size_bytes


def _of_dispatch(accused: Accused, expected: ExpectedDispatch, program: Program) -> tuple[str, str]:
    about = accused.command.about
    place = quoted(step_of(expected, program))
    given: tuple[Bytes, ...] = about["ranges"][: len(expected.ranges)]
    groups: tuple[int, ...] = about["groups"]
    twin = _twin(accused, expected)
    whose = f", {{}} of {named(step_of(twin, program))}," if twin is not None else ""
    if about["kernel"] != expected.kernel.name:
        said = f"{place} ran kernel {about['kernel']}, and not {expected.kernel.name}"
        return "kernel", said
    if given == expected.ranges:
        own = _grid(expected.grid, accused)
        said = f"{place} was dispatched over {_grid(groups, accused)}"
        return "grid", f"{said}{whose.format('the grid')} and asks for {own}"
    if groups == expected.grid:
        bound, own = _all(given, accused), _all(expected.ranges, accused)
        return "buffers", f"{place} bound {bound}{whose.format('the buffers')} and not {own}"
    if twin is not None:
        once = quoted(step_of(twin, program))
        return "call", f"{place} was given the call of {once} in the place of its own"
    said = f"{place} was dispatched over {_grid(groups, accused)} with {_all(given, accused)}"
    own = f"{_grid(expected.grid, accused)} with {_all(expected.ranges, accused)}"
    return "call", f"{said}, and asks for {own}"


def _twin(accused: Accused, expected: ExpectedDispatch) -> ExpectedDispatch | None:
    """The last issued dispatch, other than ``expected``, that asks for just what was submitted."""
    about = accused.command.about
    return next(
        (
            each
            for each in reversed(accused.issued)
            if isinstance(each, ExpectedDispatch)
            and each is not expected
            and is_dispatch(each, about)
        ),
        None,
    )


def step_of(expected: ExpectedOp, program: Program) -> Step:
    """The step of the program for an expected op."""
    position = expected.position
    op = program[position]
    if isinstance(op, Replay):
        op = replayed(captures_of(program)[op.graph], op)[expected.command]
    return Step(position, op, expected.command, position)


def _named(number: int, accused: Accused) -> str:
    return accused.names.get(number, f"device buffer {number}")


def _ranged(bytes_: Bytes) -> str:
    _, start, size = bytes_
    return f"bytes {start} to {start + size - 1}"


def _all(ranges: tuple[Bytes, ...], accused: Accused) -> str:
    return ", ".join(f"{_ranged(each)} of {_named(each[0], accused)}" for each in ranges)


def _grid(groups: tuple[int, ...], accused: Accused) -> str:
    """A grid of a trace: three numbers, or a buffer and a place in it."""
    if len(groups) == GRID_DIMENSIONS:
        return f"{'x'.join(map(str, groups))} groups"
    return f"the grid at byte {groups[1]} of {_named(groups[0], accused)}"
