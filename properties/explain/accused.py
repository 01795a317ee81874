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
    """Tells of the wrong command, unless ``best`` says as much.

    ``best``: the mistake that explains the bytes, if one does.  ``most_groups``: the device's limit
    of workgroups in one dimension.
    """
    if accused is None:
        return NOTHING
    at = accused.expected.position
    if isinstance(accused.expected, ExpectedWrite):
        # If a mistake explains the bytes, it says more than the command that wrote them.
        said = "" if best is not None else _of_write(accused, accused.expected, program)
        return Told(sentence=said, culprit=at, rule=accused.law)
    kind, said = _difference(accused, program)
    if best is not None and best.culprit == at and best.kind in _SAYS_AS_MUCH[kind]:
        return NOTHING
    facts = (*_reordered(accused, program), *_apart(accused, program))
    if kind in ("grid", "call") and most_groups in accused.command.about["groups"]:
        facts += (f"{most_groups} is the device's limit of workgroups in one dimension",)
    return Told(sentence=said, culprit=at, rule=accused.law, facts=facts)


def _of_write(accused: Accused, expected: ExpectedWrite, program: Program) -> str:
    piece = accused.command.piece
    if not isinstance(piece, WritePiece) or not piece.runs:
        return ""
    start = expected.op.offset
    runs = " and ".join(f"{_data(data)} at byte {at}" for at, data in piece.runs[:_MOST_RUNS])
    return (
        f"{quoted(step_of(expected, program))} was carried out as a write of {runs} of "
        f"{_named(piece.target, accused)}, and should write bytes {start} to "
        f"{start + len(expected.op.data) - 1}"
    )


def _data(data: bytes) -> str:
    return data.hex() if len(data) <= _MOST_SHOWN else f"{len(data)} bytes"


def _reordered(accused: Accused, program: Program) -> Iterator[str]:
    """Says so if an earlier replay of the graph bound the same buffers in another order."""
    at = accused.expected.position
    own = program[at]
    for n, op in enumerate(program.ops[:at]):
        if isinstance(own, Replay) and isinstance(op, Replay) and op.graph == own.graph:
            before, bound = _bound(op, program), _bound(own, program)
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


def _apart(accused: Accused, program: Program) -> Iterator[str]:
    """Tells how far apart two buffers were allocated: the one that was used, and the right one.

    Nothing is told of a dispatch or a write.
    """
    if isinstance(accused.expected, ExpectedDispatch | ExpectedWrite):
        return
    made = [op.buffer for op in program if isinstance(op, Alloc)]
    _, *ends = _ends(accused)
    one, other = (accused.names.get(number, "") for number, _, _ in ends)
    if one != other and {one, other} <= {*made}:
        first, second = made.index(one) + 1, made.index(other) + 1
        yield (
            f"in the order of the allocs, {one} is buffer {first} and {other} is buffer {second}: "
            f"{abs(first - second)} apart"
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
    size_bytes, copy = piece.size_bytes, expected.op
    # A copy takes its bytes from its source or, if it has one, from its scratch buffer.
    source, shift = expected.scratch or (expected.source.number, 0)
    target = expected.target.number, copy.target_offset, copy.size_bytes
    given = piece.target, piece.target_offset, size_bytes
    if piece.source == source and given != target:
        return "to", given, target
    own = source, copy.source_offset - shift, copy.size_bytes
    return "from", (piece.source, piece.source_offset, size_bytes), own


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
    issued = [each for each in accused.issued if isinstance(each, ExpectedDispatch)]
    same = [each for each in issued if is_dispatch(each, accused.command.about)]
    return next((each for each in reversed(same) if each is not expected), None)


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
