"""What a program costs the host under our runtime: counted, never timed.

Work: the program is widened, so that each op is issued several times, each time over buffers of its
own.  The executed lines of the runtime's source are counted for each verb.  Twice as many ops, live
buffers, recorded commands and reads in flight should take twice as many lines.  If they take more,
some op walks through everything there is.  A loop inside a function of C is not seen.

Memory: the program is repeated on one runtime (see ``rounds``), and large data is moved (see
``peaks``).

Both are counted on a separate runtime without a trace.  Its batches have no limits.  So the program
decides at which op a batch is submitted, and the widened program submits at the same ops.  The
runtime's caches are small, so that they are full soon.
Work is counted once more with caches that keep every plan.  Three things are counted without the
program: the work of the fourth replay of a graph, the memory that a kept ticket holds, and whether
a kernel is compiled again after a close.  Nothing here looks at values or errors.
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from gpusim.kernels import AFFINE
from gpusim.ops import Alloc, Capture, Command, Copy, Dispatch, Flush, Free, Op, Replay, Sync
from gpusim.runtime.policy import ENDLESS_BATCHES, Policy, Uniforms
from gpusim.simulated import NO_FAULTS
from properties.generate.choices import SeededChoices
from properties.model.case import PLAIN, Case
from properties.model.failure import Failure
from properties.oracles.lines import FunctionLines, Lines, widened
from properties.oracles.peaks import judge_batches, judge_peaks
from properties.oracles.rounds import (
    cleared,
    cost_failure,
    judge_long_lived,
    judge_memory,
    judge_tickets,
    perform,
    untraced_target,
)
from properties.targets.factory import TargetFactory
from properties.targets.runtime_target import RuntimeTarget

_ONE_IN = 600
"""One case in this many is counted.

The case's seed decides, so that the case is counted again when its finding is replayed.
"""
_MOST_OPS = 48
_MOST_BYTES = 1 << 14
"""Programs with more ops, or with larger buffers, take too long."""
_WIDTHS = (4, 8, 16)
"""How often each op is issued."""
_FEW = (2, 4, 8)
"""The widths that are tried first; with these most programs pass."""
_FACTOR, _SLACK_LINES = 1.15, 40
"""How much more the second doubling of the width (8 to 16) may cost than the first (4 to 8).

It may cost 15 percent and 40 lines more.  It adds twice as many ops as the first, so only half of
its lines are compared with those of the first.  With the widths ``_FEW``, a quarter of the 15
percent and of the 40 lines is allowed.
"""


def judge_cost(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure if ``case`` is drawn to be counted, and costs more than it should."""
    if not case.seed or len(case.program) > _MOST_OPS:
        return None
    is_drawn = SeededChoices(f"cost {case.seed}").chance(1, _ONE_IN)
    return count_cost(case, factory) if is_drawn else None


def count_cost(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure of a case that costs too much; None also if it is too large to count."""
    bare = _bare(case)
    if bare is None:
        return None
    kept = replace(bare, policy=replace(bare.policy, **_KEEPS_PLANS))
    return (
        judge_memory(bare, factory)
        or _judge_work(bare, factory)
        or _judge_work(kept, factory)
        or judge_long_lived(bare, factory)
        or judge_tickets(bare, factory)
        or judge_peaks(bare, factory)
        or judge_batches(bare, factory)
        or _judge_replays(bare, factory)
        or _judge_pipelines(bare, factory)
    )


def _bare(case: Case) -> Case | None:
    """``case`` without a client or faults, and under a ``_roomy`` policy; None if too large."""
    sizes = [op.size_bytes for op in case.program if isinstance(op, Alloc)]
    if len(case.program) > _MOST_OPS or any(size > _MOST_BYTES for size in sizes):
        return None
    # The roomy policy makes buffers that are larger than such a limit may allow.
    limits = [each for each in case.device.limits if each[0] != "max_buffer_bytes"]
    device = replace(case.device, faults=NO_FAULTS, schedule=(), limits=tuple(limits))
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
        **ENDLESS_BATCHES,
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


def _judge_replays(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure if replaying a graph again takes more work for a longer graph.

    Under a uniform ring a graph is bound once for each set of buffers.  So a further replay over
    the same buffers should take equally many lines, however long the graph is.
    """
    if sys.gettrace() is not None:
        return None
    policy = replace(case.policy, uniforms=Uniforms.RING, graph_cache=1 << 20)
    case = replace(case, policy=policy)
    short, long = [_lines_of_a_replay(case, factory, length) for length in _LENGTHS]
    if long - short < _LENGTHS[1] - _LENGTHS[0]:
        return None
    return cost_failure(
        case,
        "work of replay",
        f"a graph is replayed for the fourth time, over the same buffers, and {short} lines of the "
        f"runtime are executed if it has {_LENGTHS[0]} pairs of commands, and {long} if it has "
        f"{_LENGTHS[1]}",
    )


_LENGTHS = (2, 12)
"""Pairs of commands in the graphs whose replays are counted."""
_PAIR: tuple[Command, ...] = (
    Dispatch(kernel="affine", buffers=("here",), scalars=(3, 5), grid=(1, 1, 1)),
    Copy(source="here", source_offset=0, target="there", target_offset=0, size_bytes=8),
)
_AGAIN = Replay(graph="pairs", scalars=None, bindings=())


def _lines_of_a_replay(case: Case, factory: TargetFactory, length: int) -> int:
    """The lines executed when a graph of ``length`` pairs is replayed for the fourth time."""
    counter = Lines()
    with untraced_target(case, factory) as target:
        if target is None:
            return 0
        for name in ("here", "there"):
            perform(target, Alloc(buffer=name, size_bytes=16))
        perform(target, Capture(graph="pairs", commands=_PAIR * length))
        for _ in range(3):
            perform(target, _AGAIN)
            perform(target, Sync())
        with counter.counting():
            perform(target, _AGAIN)
    return counter.lines


def _judge_pipelines(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure if the close of a runtime drops what its driver has compiled for others."""
    with untraced_target(case, factory) as target:
        if not isinstance(target, RuntimeTarget):
            return None
        driver, made = target.driver, []
        for _ in range(2):
            with suppress(Exception):
                made.append(driver.compile(AFFINE, dynamic_uniforms=False))
                target.another(target.kernels, case.policy).close()
        if len({*map(id, made)}) <= 1:
            return None
    reason = "after another runtime on the driver was closed, a compiled kernel is compiled again"
    return cost_failure(case, "work of close", reason)


def _judge_work(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure if the work of a verb grows faster than the number of its ops."""
    if sys.gettrace() is not None or not _steep(case, factory, _FEW, 0.25):
        return None
    steep = _steep(case, factory, _WIDTHS, 1.0)
    if not steep:
        return None
    verb, counts = next(iter(steep.items()))
    shown, widths = (", ".join(map(str, each)) for each in (counts, _WIDTHS))
    return cost_failure(
        case,
        f"work of {verb}",
        f"the work of {verb} grows faster than the number of its ops: {shown} lines of the "
        f"runtime are executed, where each op is issued {widths} times over buffers of its own",
        _where(case, factory, verb),
    )


def _steep(
    case: Case, factory: TargetFactory, widths: tuple[int, ...], share: float
) -> dict[str, tuple[int, ...]]:
    """Finds the verbs whose second doubling of the width costs too much more than the first.

    Returns their executed lines, one number for each of ``widths``.  ``share``: how much is allowed
    of what ``_FACTOR`` and ``_SLACK_LINES`` allow.
    """
    counts = [_lines(case, factory, width) for width in widths]
    steep: dict[str, tuple[int, ...]] = {}
    for verb in counts[0]:
        few, more, most = lines = tuple(each[verb] for each in counts)
        first, second = more - few, (most - more) / 2
        if second > first + share * ((_FACTOR - 1) * first + _SLACK_LINES):
            steep[verb] = lines
    return steep


def _lines(case: Case, factory: TargetFactory, width: int) -> Counter[str]:
    """The executed lines of each verb if each op is issued ``width`` times."""
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
    with untraced_target(case, factory) as target:
        if target is None:
            return lines
        for op in cleared(case.program):
            counter.lines = 0
            counter.functions = functions.setdefault(op.verb, Counter())
            for each in widen(op):
                with counter.counting():
                    perform(target, each)
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
        # More buffers should not make a single op take more lines; one more line is allowed.
        grows = first > _FACTOR if widen is _buffers_only else second > _FACTOR * first
        shown, widths = (", ".join(map(str, each)) for each in (lines, _WIDTHS))
        makes = "make" if grows else "do not make"
        note = (
            f"more {what} alone {makes} an op cost more: with {widths}, {name} takes {shown} lines"
        )
        alone.append((not grows, note))
    return (*notes, *[note for _, note in sorted(alone)])


def _buffers_only(op: Op, width: int) -> list[Op]:
    """The op once, but an alloc ``width`` times, so that more buffers live while other ops run."""
    return widened(op, width if isinstance(op, Alloc) else 1)


def _ops_only(op: Op, width: int) -> list[Op]:
    """An op that moves bytes ``width`` times over the same buffers; any other op once."""
    is_once = isinstance(op, Alloc | Free | Capture | Flush | Sync)
    return widened(op, 1) * (1 if is_once else width)
