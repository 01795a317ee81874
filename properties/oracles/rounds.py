"""Repeats a program on one runtime, and looks at the host memory that the rounds leave in use.

This is done in two ways.  In the first, each round makes all that it uses and leaves nothing alive.
In the second, buffers and graphs live through all rounds, and a graph is replayed each time at a
new place in its batch.  Scalars and grids differ from round to round.  Host memory counts only if
code of the runtime or of the simulated device allocated it.  Later rounds should keep no more of it
than earlier rounds.  Nothing here counts work, or looks at values or errors.
"""

import gc
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import gpusim.simulated
from gpusim.ops import Alloc, Capture, Dispatch, DispatchIndirect, Free, Op, Read, Replay, Sync
from gpusim.program import Program, never_freed
from gpusim.runtime.policy import Uniforms
from properties.model.case import Case
from properties.model.failure import Failure, FailureKind
from properties.model.target import Delivery, Target
from properties.oracles.kept import Collections, collections_of, tell_growth
from properties.oracles.lines import COUNTED
from properties.targets.factory import TargetFactory

_WARM_UP_ROUNDS = 4
_LOOKS = (4, 8, 16, 32, 64)
"""The rounds after which the memory is looked at.

Memory that is bounded stops growing, so over more rounds its growth for each round falls below the
limit.
"""
_LEAST_BYTES = 64
"""A failure needs at least this many bytes more in each round."""

_KEEPING = (*COUNTED, f"{Path(gpusim.simulated.__path__[0])}/")
"""The folders whose allocations count: the runtime's, and the simulated device's."""


def judge_memory(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure if, at each look, the program keeps more host memory than at the look before."""
    ops = cleared(case.program)
    reason = "though every buffer is freed and every read delivered"
    with untraced_target(case, factory) as target:
        if target is None:
            return None
        return _judge_rounds(case, factory, target, lambda _: ops, reason, _LEAST_BYTES)


def judge_long_lived(case: Case, factory: TargetFactory) -> Failure | None:
    """Like ``judge_memory``, but buffers and graphs live through all rounds.

    The policy gets a uniform ring.  Under a ring a replay is recorded as a ``Run``, so what
    ``runtime/runs.py`` keeps is seen too.
    """
    ops = _with_fixed_grids(case.program)
    made = [op for op in ops if isinstance(op, Alloc | Capture)]
    used = [op for op in ops if not isinstance(op, Alloc | Capture | Free)]
    policy = replace(case.policy, uniforms=Uniforms.RING, graph_cache=_GRAPHS)
    reason = "though no buffer is made and every read is delivered"
    with untraced_target(replace(case, policy=policy), factory) as target:
        if target is None:
            return None
        for op in (*_SPARE, *made):
            perform(target, op)
        least_bytes = _PLACES * _PLACE_BYTES
        return _judge_rounds(
            case, factory, target, lambda number: _shifted(used, number), reason, least_bytes
        )


def judge_tickets(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure if a ticket that the caller keeps holds clearly more bytes than its value."""
    alone = Read(buffer="spare", offset=0, size_bytes=_TICKET_BYTES, result="alone")
    with untraced_target(case, factory) as target:
        if target is None or tracemalloc.is_tracing():
            return None
        perform(target, Alloc(buffer="spare", size_bytes=_TICKET_BYTES))
        kept, tickets = [], [*_read_alone(target, alone, _WARM_UP_ROUNDS)]
        tracemalloc.start()
        try:
            for rounds in (_TICKETS, _TICKETS):
                tickets += _read_alone(target, alone, rounds)
                kept.append(_kept_bytes())
        finally:
            tracemalloc.stop()
        each = (kept[1] - kept[0]) // _TICKETS
    if each < _TICKET_BYTES + _OF_A_TICKET_BYTES:
        return None
    reason = f"a ticket of a read of {_TICKET_BYTES} bytes keeps {each} bytes of host memory"
    return cost_failure(case, "memory of tickets", reason)


_TICKET_BYTES = 1 << 13
_OF_A_TICKET_BYTES = 1 << 11
"""How many bytes a ticket may keep beside its value."""
_TICKETS = 8


def _read_alone(target: Target, read: Read, rounds: int) -> list[Delivery | None]:
    """The deliveries of reads that are each alone in their batch."""
    deliveries = []
    for _ in range(rounds):
        with suppress(Exception):
            deliveries.append(target.perform(read))
        perform(target, Sync())
    return deliveries


def _with_fixed_grids(program: Program) -> list[Op]:
    """The program without indirect dispatches, and without graphs that have one.

    Each round computes on what the round before left.  A grid that is read from a buffer would soon
    have billions of workgroups.
    """
    fixed = [op for op in program if not _is_indirect(op)]
    graphs = {op.graph for op in fixed if isinstance(op, Capture)}
    return [op for op in fixed if not isinstance(op, Replay) or op.graph in graphs]


def _is_indirect(op: Op) -> bool:
    commands = op.commands if isinstance(op, Capture) else (op,)
    return any(isinstance(each, DispatchIndirect) for each in commands)


_GRAPHS = 64
"""The size of the graph cache: more than the replays of a program, so that no plan is evicted."""
_SPARE_DISPATCH = Dispatch(kernel="affine", buffers=("spare",), scalars=(3, 5), grid=(1, 1, 1))
_SPARE_REPLAY = Replay(graph="spare_graph", scalars=None, bindings=())
_SPARE: Sequence[Op] = (
    Alloc(buffer="spare", size_bytes=16),
    Capture(graph="spare_graph", commands=(_SPARE_DISPATCH,)),
)
_PLACES = 8
"""How often a graph is replayed in a round, each time at a new place in its batch."""
_PLACE_BYTES = 256
"""A failure needs at least this many bytes for each new place.

Rounds become longer, so some growth is right.
"""


def _shifted(ops: Sequence[Op], number: int) -> list[Op]:
    """The ops of a round, after a batch with replays at places that no earlier round used.

    The sync before ``ops`` ends the batch of these replays.  So the replays in ``ops`` stand at the
    same places of a batch in each round.
    """
    before = [_SPARE_DISPATCH] * (_PLACES * (number + _WARM_UP_ROUNDS))
    return [*before, *[_SPARE_REPLAY] * _PLACES, Sync(), *ops, Sync()]


def _judge_rounds(
    case: Case,
    factory: TargetFactory,
    target: Target,
    ops_of: Callable[[int], Sequence[Op]],
    reason: str,
    least_bytes: int,
) -> Failure | None:
    """The failure if each round keeps at least ``least_bytes`` more of host memory."""
    # Rounds with new places become longer and longer, so there are fewer of them.
    looks = _LOOKS if least_bytes == _LEAST_BYTES else _LOOKS[:-1]
    kept, done = [0], 0
    held: Collections = {}
    before = held
    if tracemalloc.is_tracing():
        return None
    _repeat(factory, target, ops_of, range(-_WARM_UP_ROUNDS, 0))
    tracemalloc.start()
    try:
        for look in looks:
            _repeat(factory, target, ops_of, range(done, look))
            kept.append(_kept_bytes())
            if kept[-1] - kept[-2] < least_bytes * (look - done):
                return None
            done = look
            held, before = collections_of(getattr(target, "runtime", target)), held
    finally:
        tracemalloc.stop()
    return cost_failure(
        case,
        "memory",
        f"the program leaves more host memory in use each time, {reason}: "
        f"{', '.join(map(str, kept[1:]))} bytes after {', '.join(map(str, looks))} rounds",
        tuple(tell_growth(before, held, (looks[-2], looks[-1]))),
    )


def cleared(program: Program) -> list[Op]:
    """The ops of the program, and then ops that leave nothing alive or under way."""
    frees = [Free(buffer=op.buffer) for op in never_freed(program)]
    return [*program, Sync(), *frees, Sync()]


def _repeat(
    factory: TargetFactory,
    target: Target,
    ops_of: Callable[[int], Sequence[Op]],
    rounds: Iterable[int],
) -> None:
    for number in rounds:
        factory.make_trace()  # Making a trace shows that the worker is not stuck.
        ops = ops_of(number)
        # Other scalars would make other grids of indirect dispatches, which may be far too large.
        keeps_scalars = any(map(_is_indirect, ops))
        for op in ops:
            if isinstance(op, Dispatch):
                op = _varied(op, number, keeps_scalars)
            perform(target, op)


def _varied(op: Dispatch, number: int, keeps_scalars: bool) -> Dispatch:
    """The dispatch with another grid in each round.

    With ``keeps_scalars`` its scalars stay; otherwise those that are whole numbers change too.
    """
    more = number + _WARM_UP_ROUNDS
    varies = not keeps_scalars
    scalars = tuple([each + more * varies if type(each) is int else each for each in op.scalars])
    x, y, z = op.grid
    return replace(op, scalars=scalars, grid=(x + more if x > 0 else x, y, z))


def _kept_bytes() -> int:
    """Bytes that runtime and device have allocated since the start, and that are still in use."""
    gc.collect()
    taken = tracemalloc.take_snapshot().statistics("filename")
    return sum(each.size for each in taken if each.traceback[0].filename.startswith(_KEEPING))


@contextmanager
def untraced_target(case: Case, factory: TargetFactory) -> Iterator[Target | None]:
    """Makes an untraced target for the block, and closes it; None if the factory makes none."""
    factory.make_trace()  # The trace is not used: making one shows that the worker is not stuck.
    target = factory.untraced(case)
    try:
        yield target
    finally:
        if target is not None:
            # What a close raises is judged elsewhere.
            with suppress(Exception):
                target.close()


def perform(target: Target, op: Op) -> None:
    """Issue an op, and ignore any error.  A read gets a callback."""
    with suppress(Exception):
        delivery = target.perform(op)
        if delivery is not None:
            delivery.add_done_callback(_delivered)


def _delivered(_: Delivery) -> None:
    """Do nothing with the value."""


def cost_failure(case: Case, trait: str, reason: str, notes: tuple[str, ...] = ()) -> Failure:
    return Failure(
        kind=FailureKind.COST,
        trait=trait,
        position=len(case.program),
        op="the whole program",
        reason=reason,
        notes=notes,
    )
