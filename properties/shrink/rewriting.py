"""Pure rewrites that make a whole program smaller or simpler, or give its buffers room.

Each rewrite gives well-formed programs, or None if it does not apply.  The reducer decides
which rewrite is tried when; nothing here runs a program.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from gpusim.effects import accesses
from gpusim.errors import ProgramError
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES
from gpusim.ops import (
    VERBS,
    Alloc,
    AnyDispatch,
    Bound,
    Capture,
    Command,
    Copy,
    Dispatch,
    Flush,
    Free,
    Op,
    Operand,
    Part,
    Read,
    Replay,
    Write,
    each_command,
    operands_of,
    with_operands,
)
from gpusim.program import Program, buffers_of, captures_of, inlined, renamed, replayed
from properties.shrink.simpler import in_kernel, resized, simpler_kernels

_MOST_REACHED_BYTES = 1 << 12
"""An op that reaches further is out of range on purpose."""


def without(program: Program, positions: Iterable[int]) -> Program:
    """The program without these ops, and without the ops that use a name that these introduce."""
    gone = frozenset(positions)
    buffers: set[str] = set()
    graphs: set[str] = set()
    kept: list[Op] = []
    for position, op in enumerate(program):
        over_graph = isinstance(op, Replay) and op.graph in graphs
        if position not in gone and not over_graph and buffers.isdisjoint(buffers_of(op)):
            kept.append(op)
        elif isinstance(op, Alloc):
            buffers.add(op.buffer)
        elif isinstance(op, Capture):
            graphs.add(op.graph)
    return Program(tuple(kept))


def with_op(program: Program, position: int, op: Op) -> Program | None:
    """The program with another op at ``position``."""
    return _well_formed((*program.ops[:position], op, *program.ops[position + 1 :]))


def merges(program: Program) -> Iterator[Program]:
    """The program with two buffers merged into one of the two, for every pair.

    Each pair is tried in two forms.  In the first, the kept buffer has its own alloc and free.  In
    the second, it is never freed, and a flush stands in the place of each free, since a free may
    submit the batch.  The second form is for two buffers that are never alive together.
    """
    names = [op.buffer for op in program if isinstance(op, Alloc)]
    for kept in names:
        for dropped in names:
            if dropped != kept:
                for lives_on in (False, True):
                    merged = _merged(program, kept, dropped, lives_on)
                    if merged is not None:
                        yield merged


def _merged(program: Program, kept: str, dropped: str, lives_on: bool) -> Program | None:
    ops: list[Op] = []
    for op in program:
        if lives_on and isinstance(op, Free) and op.buffer in (kept, dropped):
            ops.append(Flush())
        elif not (isinstance(op, Alloc | Free) and op.buffer == dropped):
            ops.append(renamed(op, {dropped: kept}))
    return _well_formed(ops)


def without_commands(program: Program) -> Iterator[Program]:
    """The program without one command of a capture, and without its scalars in replays."""
    for position, op in enumerate(program):
        if isinstance(op, Capture):
            for at in reversed(range(len(op.commands))):
                yield _without_command(program, position, op, at)


def _without_command(program: Program, position: int, capture: Capture, at: int) -> Program:
    commands = (*capture.commands[:at], *capture.commands[at + 1 :])
    before = sum(isinstance(command, AnyDispatch) for command in capture.commands[:at])
    ops: list[Op] = []
    for here, op in enumerate(program):
        if here == position:
            op = replace(capture, commands=commands)
        elif isinstance(op, Replay) and op.graph == capture.graph:
            names = buffers_of(replace(capture, commands=commands))
            bindings = tuple(pair for pair in op.bindings if pair[0] in names)
            scalars = op.scalars
            if scalars is not None and isinstance(capture.commands[at], AnyDispatch):
                scalars = (*scalars[:before], *scalars[before + 1 :])
            op = replace(op, scalars=scalars, bindings=bindings)
        ops.append(op)
    return Program(tuple(ops))


def unrolled(program: Program) -> Iterator[Program]:
    """The program with one replay replaced by its command, if the graph has at most one."""
    captures = captures_of(program)
    for position, op in enumerate(program):
        if isinstance(op, Replay) and len(captures[op.graph].commands) <= 1:
            commands = replayed(captures[op.graph], op)
            rolled = _well_formed(
                (*program.ops[:position], *commands, *program.ops[position + 1 :])
            )
            if rolled is not None:
                yield rolled


def numbers_of(program: Program) -> tuple[int, ...]:
    """The distinct sizes, offsets and lengths of a program, the largest first."""
    numbers: list[int] = []
    for op in inlined(program):
        for what, value in operands_of(op):
            if what in (Operand.OFFSET, Operand.SIZE):
                numbers.append(value)
            elif what is Operand.DATA:
                numbers.append(len(value))
            elif what is Operand.BUFFERS:
                numbers += [number for one in value if isinstance(one, Part) for number in one[1:]]
    return tuple(sorted(dict.fromkeys(numbers), reverse=True))


def with_number(program: Program, old: int, new: int) -> Program:
    """The program with one size, offset or length replaced everywhere.

    So a buffer and the reads of all its bytes change together.
    """
    return _with_numbers(program, {old: new})


def less_together(program: Program) -> Iterator[Program]:
    """The program with its largest sizes, offsets and lengths lowered by the same amount.

    The failure may need a write that reaches from inside a buffer to its end.  Then neither the
    write nor the buffer can be shortened alone.
    """
    numbers = [number for number in numbers_of(program) if number > 0]
    # Whole words only, so that aligned numbers stay aligned.
    words = max(numbers, default=0) // WORD_BYTES // 2
    while words:
        by = words * WORD_BYTES
        for count in range(len(numbers), 1, -1):
            if by <= numbers[count - 1]:
                yield _with_numbers(program, {number: number - by for number in numbers[:count]})
        words //= 2


def _with_numbers(program: Program, changes: Mapping[int, int]) -> Program:
    return _each(program, lambda op: _on_numbers(op, lambda n: changes.get(n, n)))


def in_simpler_kernels(program: Program, kernels: Mapping[str, Kernel]) -> Iterator[Program]:
    """The program with all dispatches of one kernel changed to a simpler kernel at once."""
    for name in dict.fromkeys(op.kernel for op in inlined(program) if isinstance(op, AnyDispatch)):
        for kernel in simpler_kernels(name, kernels):
            yield _each(program, partial(_in_kernel, name, kernel))


def in_writes(program: Program, kernels: Mapping[str, Kernel]) -> Iterator[Program]:
    """The program with a host write of one word in the place of one dispatch or copy.

    For the failure it may be enough that the command changes some bytes.
    """
    for position, op in enumerate(program):
        target = _only_target(op, kernels)
        if target is not None:
            write = Write(buffer=target, offset=0, data=b"\1" * WORD_BYTES)
            changed = with_op(program, position, write)
            if changed is not None:
                yield changed


def _only_target(op: Op, kernels: Mapping[str, Kernel]) -> str | None:
    """The only buffer that a copy or dispatch writes, if it is bound whole; otherwise None."""
    if isinstance(op, Copy):
        return op.target
    if not isinstance(op, Dispatch):
        return None
    writes = kernels[op.kernel].writes
    written = [one for one, is_written in zip(op.buffers, writes, strict=False) if is_written]
    return written[0] if len(written) == 1 and isinstance(written[0], str) else None


def _in_kernel(name: str, kernel: Kernel, op: Op) -> Op:
    if isinstance(op, Capture):
        return _captured(op, partial(_in_kernel, name, kernel))
    if isinstance(op, AnyDispatch) and op.kernel == name:
        return next(in_kernel(op, kernel), op)
    return op


def shifts(program: Program) -> Iterator[Program]:
    """The program with all offsets in one buffer lowered by the lowest of them.

    They are also lowered by the lowest offset rounded down to whole words.  Both are tried with the
    buffer shortened by as much, and with its old size.
    """
    for alloc in program:
        if isinstance(alloc, Alloc):
            low = min(_offsets(program, alloc.buffer), default=0)
            for by in (low, low - low % WORD_BYTES):
                if by > 0:
                    for cut in (by, 0):
                        yield _each(program, partial(_shifted, alloc.buffer, by, cut))


def canonical(program: Program) -> Program:
    """The program with buffers named a, b, c by their allocs, results r0, r1, graphs g0, g1."""
    buffers: dict[str, str] = {}
    results: dict[str, str] = {}
    graphs: dict[str, str] = {}
    for op in program:
        if isinstance(op, Alloc):
            turn, letter = divmod(len(buffers), 26)
            buffers[op.buffer] = chr(ord("a") + letter) + (str(turn) if turn else "")
        if isinstance(op, Read):
            results[op.result] = f"r{len(results)}"
        if isinstance(op, Capture):
            graphs[op.graph] = f"g{len(graphs)}"
    changes: dict[Operand, Callable[[str], str]] = {
        Operand.RESULT: lambda name: results[name],
        Operand.GRAPH: lambda name: graphs[name],
    }
    return _each(program, lambda op: with_operands(renamed(op, buffers), changes))


def _on_numbers(op: Op, change: Callable[[int], int]) -> Op:
    return with_operands(
        op,
        {
            Operand.OFFSET: change,
            Operand.SIZE: change,
            Operand.DATA: lambda data: resized(data, max(change(len(data)), 0)),
            Operand.BUFFERS: lambda bound: tuple([_part(one, change) for one in bound]),
            Operand.COMMANDS: each_command(lambda command: _on_numbers(command, change)),
        },
    )


def _part(bound: Bound, change: Callable[[int], int]) -> Bound:
    if isinstance(bound, str):
        return bound
    return Part(bound.buffer, change(bound.offset), change(bound.size_bytes))


def _offsets(program: Program, buffer: str) -> Iterator[int]:
    for op in inlined(program):
        for span in VERBS[type(op)].spans:
            if getattr(op, span.buffer) == buffer:
                yield getattr(op, span.offset)


def _shifted(buffer: str, by: int, cut: int, op: Op) -> Op:
    if isinstance(op, Capture):
        return _captured(op, partial(_shifted, buffer, by, cut))
    if isinstance(op, Alloc):
        return replace(op, size_bytes=op.size_bytes - cut) if op.buffer == buffer else op
    spans = [span for span in VERBS[type(op)].spans if getattr(op, span.buffer) == buffer]
    return replace(op, **{span.offset: getattr(op, span.offset) - by for span in spans})


def _captured(capture: Capture, change: Callable[[Op], Op]) -> Capture:
    """``capture`` with ``change`` applied to each command; ``change`` must give a command."""
    changed = map(change, capture.commands)
    return replace(capture, commands=tuple(op for op in changed if isinstance(op, Command)))


def _each(program: Program, change: Callable[[Op], Op]) -> Program:
    return Program(tuple(change(op) for op in program))


def _well_formed(ops: Iterable[Op]) -> Program | None:
    try:
        return Program(tuple(ops))
    except ProgramError:
        return None


def with_room(program: Program, kernels: Mapping[str, Kernel]) -> Program:
    """``program`` with each buffer at least as large as its reads, writes and copies need.

    If a rewrite has made a buffer smaller, an op that was valid may be out of range.  A program
    that fails with larger buffers as well does not need the refusal of such an op.
    """
    ends: dict[str, int] = {}
    for op in program:
        for reached in accesses(op, kernels) if isinstance(op, Read | Write | Copy) else ():
            if reached.end <= _MOST_REACHED_BYTES:
                ends[reached.buffer] = max(reached.end, ends.get(reached.buffer, 0))
    return Program(tuple([_enlarged(op, ends) for op in program]))


def _enlarged(op: Op, ends: Mapping[str, int]) -> Op:
    if not isinstance(op, Alloc) or (end := ends.get(op.buffer, op.size_bytes)) <= op.size_bytes:
        return op
    words = -(-end // WORD_BYTES)
    return replace(op, size_bytes=words * WORD_BYTES)
