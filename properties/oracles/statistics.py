"""Compares the statistics of our runtime with the history and the trace of its program.

The history says which ops were accepted, and the trace which calls reached the driver.  Both are
complete if the client issues only the program's ops.  The statistics are compared at the end of the
program.  In some cases they are also compared after one of its ops, since a wrong counter may be
right again when nothing is under way.  If a call on the driver failed, the counters of pools and
caches are not checked.  Launch shapes are followed in one case in three.  Nothing here looks at
values.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from zlib import crc32

from gpusim.history import Outcome
from gpusim.ops import (
    Alloc,
    AnyDispatch,
    Capture,
    Command,
    Copy,
    Dispatch,
    DispatchIndirect,
    Free,
    Op,
    Read,
    Replay,
    Write,
)
from gpusim.runtime.policy import Policy, Uniforms
from gpusim.runtime.stats import Counts, Stats
from gpusim.text import write_op
from gpusim.trace import Event, Trace
from properties.model.case import PLAIN, Case
from properties.model.execution import Execution
from properties.model.failure import Failure, FailureKind
from properties.oracles.laws import LawContext
from properties.oracles.lookups import Lookups

Figures = Iterator[tuple[str, int, int]]
"""For each figure its name, what it should be, and what it is."""
Told = dict[str, list[Event]]
"""The events that the figures are made of, by kind; the kinds of ``_OF_BATCHES`` share a list."""
Issued = Sequence[tuple[Op, Outcome]]
"""The ops so far, with their outcomes."""

_COUNTED: Mapping[type[Op], str] = {
    Alloc: "allocs",
    Write: "writes",
    Dispatch: "dispatches",
    DispatchIndirect: "dispatches",
    Copy: "copies",
    Replay: "replays",
    Read: "reads",
    Free: "frees",
}
"""The counter of each kind of op."""
_LOOKUPS_ONE_IN = 3
_OF_BATCHES = ("encode", "submit", "failed")
_SINGLE = ("create_buffer", "create_bind_group", "dispatch", "take")


def judge_statistics(execution: Execution) -> Failure | None:
    """The first figure of ``stats()`` that history and trace contradict."""
    stats = execution.stats
    if stats is None or not execution.is_lawful:
        return None
    events, looked = execution.trace.before_close(), execution.looked
    told, lookups = _no_events(), _lookups(execution.case)
    middle = 0 if looked is None else looked.events
    if looked is not None:
        _sort(events[:middle], told)
        failure = _judge(execution, lookups, told, looked.stats, looked.ops)
        if failure is not None:
            return failure
    _sort(events[middle:], told)
    return _judge(execution, lookups, told, stats, None)


def _lookups(case: Case) -> Lookups | None:
    """The lookups of the case, or None: its seed decides whether they are followed."""
    is_drawn = not case.seed or not crc32(f"caches {case.seed}".encode()) % _LOOKUPS_ONE_IN
    return Lookups(case.policy) if is_drawn else None


def judge_ops(execution: Execution) -> Failure | None:
    """The first figure of ``stats()`` that is wrong, where the trace does not show the ops alone.

    That is so if a second runtime shares the driver, or if the policy drops dispatches.  Then only
    the figures that follow from the ops are compared, and the totals of both runtimes.
    """
    case, stats = execution.case, execution.stats
    if stats is None or execution.trace.count("failed"):
        return None
    issued = [*zip(case.program.ops, execution.history.outcomes, strict=True)]
    figures = [*_ops(issued, stats, case.policy.debug_dispatch_limit), *_sizes(issued, stats)]
    figures += _held(case.policy, stats)
    if execution.beside is not None and execution.beside.stats is not None:
        figures += _of_both(execution.trace, stats, execution.beside.stats)
    return _first_wrong(figures, len(case.program), "the end of the program")


def _of_both(trace: Trace, stats: Stats, other: Stats) -> Figures:
    """What two runtimes on one driver have submitted and made together."""
    made = [event["role"] for event in trace if event.kind == "create_buffer"]
    totals = {
        "submits": trace.count("submit"),
        "uniforms": made.count("uniform"),
        "staging": made.count("staging"),
        "bind_groups": trace.count("create_bind_group"),
    }
    yield "submits of both runtimes", totals.pop("submits"), stats.submits + other.submits
    for name, total in totals.items():
        created = [getattr(each, name).created for each in (stats, other)]
        yield f"{name} created by both runtimes", total, sum(created)


def _judge(
    execution: Execution, lookups: Lookups | None, told: Told, stats: Stats, ops: int | None
) -> Failure | None:
    """The first wrong figure after the first ``ops`` ops, which caused the events in ``told``.

    If ``ops`` is None: after all ops, and the sync at the end.
    """
    program, is_over = execution.case.program, ops is None
    ops = len(program) if ops is None else ops
    has_failed = any([event.kind == "failed" for event in told["submit"]])
    if has_failed and execution.case.client != PLAIN:
        # A call of the client itself may fail.  The history then shows the fault at an op that the
        # runtime has accepted and counted.
        return None
    issued = [*zip(program.ops[:ops], execution.history.outcomes[:ops], strict=True)]
    figures = [*_ops(issued, stats), *_sizes(issued, stats)]
    figures += _submits(told["submit"], stats)
    if not has_failed:
        figures += _stores(execution, told, stats, is_over=is_over)
        if lookups is not None and lookups.follow(issued):
            figures += _shapes(lookups, stats)
    if is_over:
        return _first_wrong(figures, len(program), "the end of the program")
    return _first_wrong(figures, ops - 1, write_op(program[ops - 1]))


def _first_wrong(figures: Iterable[tuple[str, int, int]], position: int, op: str) -> Failure | None:
    for name, meant, shown in figures:
        if meant != shown:
            return Failure(
                kind=FailureKind.STATISTICS,
                trait=name.partition(" ")[0],
                position=position,
                op=op,
                reason=f"stats() has the wrong number of {name}",
                sides=(("expected", str(meant)), ("got", str(shown))),
            )
    return None


def _no_events() -> Told:
    batches: list[Event] = []
    return {kind: [] for kind in _SINGLE} | dict.fromkeys(_OF_BATCHES, batches)


def _sort(events: Iterable[Event], told: Told) -> None:
    """Add each event that a figure is made of to the list of its kind in ``told``."""
    for event in [event for event in events if event.kind in told]:
        told[event.kind].append(event)


def _ops(issued: Issued, stats: Stats, limit: int | None = None) -> Figures:
    """Ops that were accepted; those of a replay are counted as well.

    ``limit``: after how many dispatches the policy drops them.
    """
    accepted = [op for op, outcome in issued if outcome.error is None]
    kinds = [*map(type, accepted)]
    done = dict.fromkeys((*_COUNTED.values(), "dispatches_dropped"), 0)
    for kind, name in _COUNTED.items():
        done[name] += kinds.count(kind)
    captures: dict[str, Sequence[Command]] = {}
    for op in accepted if Replay in kinds else ():
        if type(op) is Capture:
            captures[op.graph] = op.commands
        elif type(op) is Replay:
            commands = captures[op.graph]
            done["dispatches"] += sum(isinstance(command, AnyDispatch) for command in commands)
            done["copies"] += sum(isinstance(command, Copy) for command in commands)
    if limit is not None:
        done["dispatches_dropped"] = max(0, done["dispatches"] - limit)
        done["dispatches"] -= done["dispatches_dropped"]
    for name, times in done.items():
        yield name, times, getattr(stats, name)


def _sizes(issued: Issued, stats: Stats) -> Figures:
    """Live buffers and their bytes: now, at the most, and all that were ever allocated."""
    live: dict[str, int] = {}
    now = peak = total = 0
    for op, outcome in issued:
        if type(op) is Alloc and outcome.error is None:
            live[op.buffer] = op.size_bytes
            now, total = now + op.size_bytes, total + op.size_bytes
            peak = max(peak, now)
        elif type(op) is Free and outcome.error is None:
            now -= live.pop(op.buffer)
    yield "live_buffers", len(live), stats.live_buffers
    yield "live_bytes", now, stats.live_bytes
    yield "peak_bytes", peak, stats.peak_bytes
    yield "total_bytes", total, stats.total_bytes


def _submits(batches: list[Event], stats: Stats) -> Figures:
    """Batches that the queue has taken, and their commands."""
    taken: list[Event] = []
    encoded: Event | None = None
    for event in batches:
        if event.kind == "encode":
            encoded = event
        elif event.kind == "submit" and encoded is not None:
            taken.append(encoded)
        elif event.kind == "failed" and event["verb"] == "submit":
            taken.pop()
    yield "submits", len(taken), stats.submits
    yield "commands", sum([event.about["commands"] for event in taken]), stats.commands
    reasons = Counter([str(event.about["reason"]) for event in taken])
    for reason in sorted({*reasons, *stats.flushes}):
        yield f"flushes for {reason}", reasons[reason], stats.flushes.get(reason, 0)


def _stores(execution: Execution, told: Told, stats: Stats, *, is_over: bool) -> Figures:
    """What pools and caches made, and what they hold.

    A staging buffer comes back to the pool when its bytes were taken.  So all have come back once
    every read was delivered.
    """
    policy = execution.case.policy
    made = [event.about["role"] for event in told["create_buffer"]]
    yield "uniforms created", made.count("uniform"), stats.uniforms.created
    yield "staging created", made.count("staging"), stats.staging.created
    yield "bind_groups created", len(told["create_bind_group"]), stats.bind_groups.created
    yield from _held(policy, stats)
    back = len(told["take"]) - stats.staging.reused - stats.staging.evicted
    yield "staging held", back, stats.staging.held
    if is_over:
        yield "staging dropped", stats.staging.created - stats.staging.held, _dropped(stats.staging)
    yield "uniforms exhausted", stats.flushes.get("uniforms", 0), stats.uniforms.exhausted
    missed = stats.staging.created if policy.staging_buffers else 0
    yield "staging exhausted", missed, stats.staging.exhausted
    if is_over and policy.uniforms is not Uniforms.RING:
        yield "uniforms used", _with_scalars(execution, told["dispatch"]), _used(stats.uniforms)


def _held(policy: Policy, stats: Stats) -> Figures:
    """What each pool or cache holds: all that it made and has not dropped."""
    keeping: Mapping[str, tuple[Counts, bool]] = {
        "uniforms": (stats.uniforms, policy.uniforms is not Uniforms.FRESH),
        "bind_groups": (stats.bind_groups, policy.cache_bind_groups),
        "shapes": (stats.shapes, True),
    }
    for name, (counts, keeps) in keeping.items():
        dropped = _dropped(counts)
        yield f"{name} held", counts.created - dropped if keeps else 0, counts.held
        yield f"{name} dropped", dropped if keeps else 0, dropped


def _shapes(lookups: Lookups, stats: Stats) -> Figures:
    """Launch shapes that were made, and found again, while dispatches were planned."""
    yield "shapes created", lookups.created, stats.shapes.created
    yield "shapes used", lookups.used, _used(stats.shapes)


def _with_scalars(execution: Execution, dispatches: list[Event]) -> int:
    """Dispatches whose kernel has uniforms."""
    context = LawContext.of(execution)
    launched = Counter([event.about["kernel"] for event in dispatches])
    return sum(
        times
        for name, times in launched.items()
        if (kernel := context.kernel(name)) is not None and kernel.uniform_bytes
    )


def _dropped(counts: Counts) -> int:
    return counts.evicted + counts.invalidated


def _used(counts: Counts) -> int:
    return counts.created + counts.reused
