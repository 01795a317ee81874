"""What a program costs the host under our runtime: counted, never timed.

Work: the program is widened, so that each op is issued several times, each time over buffers of its
own.  The executed lines of the runtime's source are counted for each verb.  Twice as many ops, live
buffers, recorded commands and reads in flight should take twice as many lines.  If they take more,
an op looks at everything there is.  A loop inside a function of C is not seen.

Memory: the program is repeated on one runtime, with other scalars and grids each time.  This is
done in two ways.  In the first, each round makes all that it uses and leaves nothing alive.  In the
second, buffers and graphs live through all rounds, and a graph is replayed at ever new places of
its batch.  Host memory counts only if it was allocated by code of the runtime or of the simulated
device.  Later rounds should keep no more of it than earlier ones.

Both are counted on a separate runtime without a trace.  Its batches have no limits.  So the program
decides at which op a batch is submitted, and widening it changes nothing of that.  Its caches are
small, so that they are full soon.
Work is counted once more with caches that keep every plan.  Nothing here looks at values or errors.
"""

import gc
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gpusim.runtime
import gpusim.simulated
from gpusim.ops import Alloc, Capture, Dispatch, Flush, Free, Op, Replay, Sync
from gpusim.program import Program, never_freed
from gpusim.runtime.policy import Policy, Uniforms
from gpusim.simulated import NO_FAULTS
from properties.generate.choices import SeededChoices
from properties.model.case import PLAIN, Case
from properties.model.failure import Failure, FailureKind
from properties.model.target import Delivery, Target
from properties.oracles.kept import Collections, collections_of, tell_growth
from properties.oracles.lines import COUNTED, FunctionLines, Lines, widened
from properties.targets.factory import TargetFactory

_ONE_IN = 600
"""One case in this many is counted.  Its seed decides, so that a replay counts the case too."""
_MOST_OPS = 48
_MOST_BYTES = 1 << 14
"""Programs with more ops, or with larger buffers, take too long."""
_WIDTHS = (4, 8, 16)
"""How often each op is issued."""
_FEW = (2, 4, 8)
"""The widths that are tried first; most programs show with them that they cost no more."""
_FACTOR, _SLACK_LINES = 1.15, 40
"""How much more the second doubling may cost than the first: 15 percent and 40 lines.

The second adds twice as many ops, so half its lines are compared.  With ``_FEW`` a quarter of both
is allowed.
"""
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


def judge_cost(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure where ``case`` is drawn to be counted, and costs more than it should."""
    if not case.seed or not SeededChoices(f"cost {case.seed}").chance(1, _ONE_IN):
        return None
    return count_cost(case, factory)


def count_cost(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure of a case that costs too much; None also if it is too large to count."""
    bare = _bare(case)
    if bare is None:
        return None
    kept = replace(bare, policy=replace(bare.policy, **_KEEPS_PLANS))
    return (
        _judge_memory(bare, factory)
        or _judge_work(bare, factory)
        or _judge_work(kept, factory)
        or _judge_long_lived(bare, factory)
    )


def _bare(case: Case) -> Case | None:
    """The program by itself, on a device that fails nowhere; None if it is too large."""
    sizes = [op.size_bytes for op in case.program if isinstance(op, Alloc)]
    if len(case.program) > _MOST_OPS or any(size > _MOST_BYTES for size in sizes):
        return None
    device = replace(case.device, faults=NO_FAULTS, schedule=())
    if device.is_simulated:
        device = replace(device, scheduler="early", seed=0)
    return replace(
        case.plain, client=PLAIN, disturbance=None, device=device, policy=_roomy(case.policy)
    )


_KEEPS_PLANS: Mapping[str, Any] = {"plan_cache": 1 << 20, "graph_cache": 1 << 20}
"""Settings with which the caches of plans always have room."""


def _roomy(policy: Policy) -> Policy:
    """``policy`` with unlimited batches and small caches."""
    return replace(
        policy,
        batch_commands=None,
        batch_bytes=None,
        batch_groups=None,
        first_batch=None,
        queued_write_bytes=None,
        upload_bytes=1 << 20,
        uniform_slots=1 << 20,
        uniform_ring_bytes=1 << 20,
        uniform_cache=2,
        bind_group_cache=2,
        shape_cache=2,
        plan_cache=min(2, policy.plan_cache),
        graph_cache=min(2, policy.graph_cache),
        staging_buffers=min(2, policy.staging_buffers),
        memory_budget_bytes=None,
        wait_seconds=None,
        debug_dispatch_limit=None,
        debug_submit_each=False,
    )


def _judge_memory(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure if each few rounds of the program keep more host memory."""
    ops = _cleared(case.program)
    reason = "though every buffer is freed and every read delivered"
    with _target(case, factory) as target:
        if target is None:
            return None
        return _judge_rounds(case, factory, target, lambda _: ops, reason, _LEAST_BYTES)


def _judge_long_lived(case: Case, factory: TargetFactory) -> Failure | None:
    """As ``_judge_memory``, but buffers and graphs live through all rounds.

    Under a uniform ring a replay is recorded as a ``Run``, so ``runtime/runs.py`` is looked at too.
    """
    made = [op for op in case.program if isinstance(op, Alloc | Capture)]
    used = [op for op in case.program if not isinstance(op, Alloc | Capture | Free)]
    policy = replace(case.policy, uniforms=Uniforms.RING, graph_cache=_GRAPHS)
    reason = "though no buffer is made and every read is delivered"
    with _target(replace(case, policy=policy), factory) as target:
        if target is None:
            return None
        for op in (*_SPARE, *made):
            _perform(target, op)
        least_bytes = _PLACES * _PLACE_BYTES
        return _judge_rounds(
            case, factory, target, lambda number: _shifted(used, number), reason, least_bytes
        )


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
    return _failure(
        case,
        "memory",
        f"the program leaves more host memory in use each time, {reason}: "
        f"{', '.join(map(str, kept[1:]))} bytes after {', '.join(map(str, looks))} rounds",
        tuple(tell_growth(before, held, (looks[-2], looks[-1]))),
    )


def _cleared(program: Program) -> list[Op]:
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
        factory.make_trace()  # With each trace a worker says that it makes progress.
        for op in ops_of(number):
            _perform(target, _varied(op, number) if isinstance(op, Dispatch) else op)


def _varied(op: Dispatch, number: int) -> Dispatch:
    """The dispatch with other whole scalars and another grid in each round."""
    more = number + _WARM_UP_ROUNDS
    scalars = tuple([each + more if type(each) is int else each for each in op.scalars])
    x, y, z = op.grid
    return replace(op, scalars=scalars, grid=(x + more if x > 0 else x, y, z))


def _kept_bytes() -> int:
    """Bytes that runtime and device have allocated since the start, and that are still in use."""
    gc.collect()
    taken = tracemalloc.take_snapshot().statistics("filename")
    return sum(each.size for each in taken if each.traceback[0].filename.startswith(_KEEPING))


def _judge_work(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure if the work of a verb grows faster than the number of its ops."""
    if sys.gettrace() is not None or not _steep(case, factory, _FEW, 0.25):
        return None
    steep = _steep(case, factory, _WIDTHS, 1.0)
    if not steep:
        return None
    verb, counts = next(iter(steep.items()))
    shown, widths = (", ".join(map(str, each)) for each in (counts, _WIDTHS))
    return _failure(
        case,
        f"work of {verb}",
        f"the work of {verb} grows faster than the number of its ops: {shown} lines of the "
        f"runtime are executed, where each op is issued {widths} times over buffers of its own",
        _where(case, factory, verb),
    )


def _steep(
    case: Case, factory: TargetFactory, widths: tuple[int, ...], share: float
) -> dict[str, tuple[int, ...]]:
    """The verbs whose second doubling costs more than the first, and their lines by width."""
    counts = [_lines(case, factory, width) for width in widths]
    steep: dict[str, tuple[int, ...]] = {}
    for verb in counts[0]:
        few, more, most = lines = tuple(each[verb] for each in counts)
        first, second = more - few, (most - more) / 2
        if second > first + share * ((_FACTOR - 1) * first + _SLACK_LINES):
            steep[verb] = lines
    return steep


def _lines(case: Case, factory: TargetFactory, width: int) -> Counter[str]:
    """The executed lines of each verb, where each op is issued ``width`` times."""
    return _counted_lines(case, factory, partial(widened, width=width), Lines(), {})


def _counted_lines(
    case: Case,
    factory: TargetFactory,
    widen: Callable[[Op], list[Op]],
    counter: "Lines",
    functions: dict[str, Counter[str]],
) -> Counter[str]:
    """The executed lines of each verb; adds those of each function to ``functions``, by verb."""
    lines: Counter[str] = Counter()
    with _target(case, factory) as target:
        if target is None:
            return lines
        for op in _cleared(case.program):
            counter.lines = 0
            counter.functions = functions.setdefault(op.verb, Counter())
            for each in widen(op):
                with counter.counting():
                    _perform(target, each)
            lines[op.verb] += counter.lines
    return lines


def _where(case: Case, factory: TargetFactory, verb: str) -> tuple[str, ...]:
    """The function whose lines grow most, and whether live buffers or ops alone make them grow."""
    told: list[Counter[str]] = []
    for width in _WIDTHS:
        functions: dict[str, Counter[str]] = {}
        _counted_lines(case, factory, partial(widened, width=width), FunctionLines(), functions)
        told.append(functions.get(verb, Counter()))
    few, more, most = told
    name = max(sorted(most), key=lambda each: most[each] - 2 * more[each], default="")
    counts = ", ".join(str(each[name]) for each in (few, more, most))
    notes = [f"most of it in the function {name}: {counts} lines"] if name else []
    alone: list[tuple[bool, str]] = []
    for what, widen in (("live buffers", _buffers_only), ("ops on one buffer", _ops_only)):
        lines = []
        for width in _WIDTHS:
            functions = {}
            each = partial(widen, width=width)
            _counted_lines(case, factory, each, FunctionLines(), functions)
            lines.append(functions.get(verb, Counter())[name])
        first, second = lines[1] - lines[0], (lines[2] - lines[1]) / 2
        # With more buffers there is still one op, so its lines should not become more; one may.
        grows = first > _FACTOR if widen is _buffers_only else second > _FACTOR * first
        shown, widths = (", ".join(map(str, each)) for each in (lines, _WIDTHS))
        makes = "make" if grows else "do not make"
        note = (
            f"more {what} alone {makes} an op cost more: with {widths}, {name} takes {shown} lines"
        )
        alone.append((not grows, note))
    return (*notes, *[note for _, note in sorted(alone)])


def _buffers_only(op: Op, width: int) -> list[Op]:
    """The op once, over ``width`` times as many live buffers."""
    return widened(op, width if isinstance(op, Alloc) else 1)


def _ops_only(op: Op, width: int) -> list[Op]:
    """The op ``width`` times over the same buffers."""
    is_once = isinstance(op, Alloc | Free | Capture | Flush | Sync)
    return widened(op, 1) * (1 if is_once else width)


@contextmanager
def _target(case: Case, factory: TargetFactory) -> Iterator[Target | None]:
    """An untraced target, which is closed; None if the factory makes none."""
    factory.make_trace()  # With each trace a worker says that it makes progress.
    target = factory.untraced(case)
    try:
        yield target
    finally:
        if target is not None:
            # What a close raises is judged elsewhere.
            with suppress(Exception):
                target.close()


def _perform(target: Target, op: Op) -> None:
    """Issue an op, and ignore its refusal, which costs something too.  A read gets a callback."""
    with suppress(Exception):
        delivery = target.perform(op)
        if delivery is not None:
            delivery.add_done_callback(_delivered)


def _delivered(_: Delivery) -> None:
    """Do nothing with the value."""


def _failure(case: Case, trait: str, reason: str, notes: tuple[str, ...] = ()) -> Failure:
    return Failure(
        kind=FailureKind.COST,
        trait=trait,
        position=len(case.program),
        op="the whole program",
        reason=reason,
        notes=notes,
    )
