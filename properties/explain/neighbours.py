"""Makes programs that differ from a failing one in one thing, to ask what matters.

For example, an op is replaced, or a write goes to another place or is shorter.  Some mistakes look
the same on the failing program.  The neighbours that pass tell them apart.  Nothing here says which
mistake it was.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from gpusim.limits import WORD_BYTES
from gpusim.ops import (
    GRID_BYTES,
    Alloc,
    AnyDispatch,
    Capture,
    Copy,
    Dispatch,
    DispatchIndirect,
    Flush,
    Op,
    Part,
    Read,
    Replay,
    Write,
)
from gpusim.program import Program, buffers_of, captures_of, replayed
from gpusim.text import write_op
from properties.explain.calls import calls
from properties.oracles.judge import Verdict
from properties.oracles.laws.expected import STORAGE
from properties.oracles.metamorphic.rewrites import sizes_of

_MOST_PLACES = 16
Changed = tuple[str, Program]
"""A change in words, and the program with it."""


def instead(program: Program, at: int, *ops: Op) -> Program:
    """The program with ``ops`` in the place of the op at ``at``."""
    return Program((*program.ops[:at], *ops, *program.ops[at + 1 :]))


def one_group(buffer: str) -> Dispatch:
    """A dispatch of one workgroup over a buffer."""
    return Dispatch(kernel="affine", buffers=(buffer,), scalars=(1, 1), grid=(1, 1, 1))


def neighbours(program: Program, *, has_faults: bool) -> Iterator[Changed]:
    """The programs that differ in one thing; each with the change in words."""
    sizes = sizes_of(program)
    last_replay = max((n for n, op in enumerate(program) if isinstance(op, Replay)), default=-1)
    yield from _without_unused(program)
    for at, op in enumerate(program):
        before = program[at - 1] if at else None
        behind = program[at + 1] if at + 1 < len(program) else None
        if isinstance(op, AnyDispatch | Copy) and isinstance(behind, Write):
            yield f"with op {at} twice", instead(program, at, op, op)
        if isinstance(op, Copy) and sizes.get(op.target, 0) >= WORD_BYTES:
            said = f"with a dispatch over {op.target} in place of op {at}"
            yield said, instead(program, at, one_group(op.target))
        if isinstance(op, Read) and not op.size_bytes and sizes.get(op.buffer, 0) >= WORD_BYTES:
            longer = replace(op, offset=0, size_bytes=WORD_BYTES)
            yield f"with op {at} reading 4 bytes", instead(program, at, longer)
        if isinstance(op, Capture):
            yield from _with_groups(program, at, op)
        if isinstance(op, Write) and isinstance(before, AnyDispatch | Copy):
            yield f"with a flush in place of op {at}", instead(program, at, Flush())
            if has_faults and behind is None:
                copy, made = _from_spare(op.buffer, op.offset, len(op.data))
                yield (
                    f"with a copy in place of op {at}",
                    instead(_behind(made, program), at + 1, copy),
                )
        if has_faults and at == last_replay and isinstance(op, Replay):
            yield from _only_reading(program, at, op, sizes)


def _behind(made: Alloc, program: Program) -> Program:
    return Program((made, *program))


def _from_spare(buffer: str, offset: int, size: int) -> tuple[Copy, Alloc]:
    """A copy of zeros to a buffer, and the alloc of their source."""
    spare = f"{buffer}_spare"
    copy = Copy(source=spare, source_offset=0, target=buffer, target_offset=offset, size_bytes=size)
    return copy, Alloc(buffer=spare, size_bytes=size)


def _without_unused(program: Program) -> Iterator[Changed]:
    """The program without a buffer that nothing uses: then later buffers have other numbers."""
    made = [(at, op.buffer) for at, op in enumerate(program) if isinstance(op, Alloc)]
    used = {name for op in program if not isinstance(op, Alloc) for name in buffers_of(op)}
    for at, name in made[:-1]:
        if name not in used:
            said = f"without op {at} ({write_op(program[at])}), which nothing uses"
            numbers = f"then {made[-1][1]} is buffer {len(made) - 1}, and not {len(made)}"
            yield f"{said}: {numbers}", instead(program, at)
            return


def _with_groups(program: Program, at: int, op: Capture) -> Iterator[Changed]:
    """Programs in which a captured dispatch over no groups has one group."""
    for n, command in enumerate(op.commands):
        if isinstance(command, Dispatch) and 0 in command.grid:
            full = replace(command, grid=(1, 1, 1))
            commands = (*op.commands[:n], full, *op.commands[n + 1 :])
            said = f"with one group in place of none in command {n} of op {at}"
            yield said, instead(program, at, replace(op, commands=commands))


def _only_reading(
    program: Program, at: int, op: Replay, sizes: dict[str, int]
) -> Iterator[Changed]:
    """Programs in which a replay is replaced by one of a graph that only reads a buffer."""
    used = [buffers_of(each) for each in replayed(captures_of(program)[op.graph], op)]
    for name in dict.fromkeys(name for names in used for name in names):
        if sizes.get(name, 0) >= WORD_BYTES:
            copy, made = _from_spare(name, 0, WORD_BYTES)
            read = replace(copy, source=name, target=made.buffer)
            graph = f"{op.graph}_reads"
            ops = Capture(graph=graph, commands=(read,)), Replay(graph=graph)
            said = f"with a graph that only reads {name} in place of op {at}"
            yield said, instead(_behind(made, program), at + 1, *ops)


def of_places(program: Program, run: Callable[[Program], Verdict]) -> Iterator[str]:
    """Tries a write at other places of its buffer, if dispatches use a part or a grid in it.

    Says at which places the program passes, and at which the write is held back, because the
    runtime takes those bytes for used.
    """
    sizes, parted = sizes_of(program), _parted(program)
    for at, op in enumerate(program):
        if not isinstance(op, Write) or not op.data or op.buffer not in parted:
            continue
        used, last = parted[op.buffer], sizes.get(op.buffer, 0) - len(op.data)
        places: Sequence[int] = range(op.offset % WORD_BYTES, last + 1, WORD_BYTES)
        if len(places) > _MOST_PLACES:
            edges = {0, WORD_BYTES, *(edge for each in used for edge in each)}
            places = [n for n in places if {n, n + WORD_BYTES} & edges][:_MOST_PLACES]
        if len(places) < 2:
            continue
        tried = {n: run(instead(program, at, replace(op, offset=n))) for n in places}
        good = [n for n in places if tried[n].failure is None]
        bad = [n for n in places if n not in good]
        held = [n for n in places if _is_held_back(tried[n], at)]
        if good and bad:
            by = " and ".join(f"{low} to {high - 1}" for low, high in used)
            more = f"; the write is held back at {_listed(held)}; dispatches use bytes {by}"
            yield (
                f"with op {at} at byte {_listed(good)} of {op.buffer} (fails at {_listed(bad)}"
                f"{more if held else ''})"
            )


def _is_held_back(verdict: Verdict, at: int) -> bool:
    """Whether a write first submits what waits, or goes into the batch; False without a trace."""
    made = [call for call in calls(verdict.execution.trace) if call.position == at]
    kinds = [call.event.kind for call in made if call.event.about.get("role", STORAGE) == STORAGE]
    return verdict.execution.is_lawful and ("submit" in kinds or "write_buffer" not in kinds)


def _parted(program: Program) -> dict[str, list[tuple[int, int]]]:
    """For each buffer, the ranges that dispatches bind as parts, or use as a grid past byte 0."""
    found: dict[str, list[tuple[int, int]]] = {}
    for op in program:
        bound = op.buffers if isinstance(op, AnyDispatch) else ()
        ranges = [each for each in bound if isinstance(each, Part)]
        if isinstance(op, DispatchIndirect) and op.offset:
            ranges.append(Part(op.counts, op.offset, GRID_BYTES))
        for name, start, size in ranges:
            found.setdefault(name, []).append((start, start + size))
    return found


def of_equal_sizes(
    program: Program, passes: Callable[[Program], bool]
) -> Iterator[tuple[int, int, str]]:
    """Finds two writes of one size: the program passes if either is shortened, but not if both are.

    Gives the positions of both, and what was tried.
    """
    writes = [(at, op) for at, op in enumerate(program) if isinstance(op, Write)]
    for (at, one), (later, other) in combinations(writes, 2):
        size = len(one.data)
        if len(other.data) != size or size <= 2 * WORD_BYTES:
            continue
        less = size - WORD_BYTES
        shorter = replace(other, data=other.data[:less])
        first = instead(program, at, replace(one, data=one.data[:less]))
        both = instead(first, later, shorter)
        if passes(first) and passes(instead(program, later, shorter)) and not passes(both):
            said = f"with op {at} or op {later} shortened from {size} to {less} bytes"
            yield at, later, f"{said} (with both shortened it fails)"


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
