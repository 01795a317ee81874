"""Replays graphs: the calls of a graph are checked and planned once for each set of buffers.

The plan is found again by graph and buffers, and dropped when one of the buffers is freed.  Under
a uniform ring the calls are recorded as one run.  Under other uniforms, and in the debug modes,
they are recorded one by one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from gpusim.errors import DeviceFault, InvalidBinding, InvalidHandle, InvalidScalar
from gpusim.ops import Scalars
from gpusim.runtime import checks
from gpusim.runtime.buffers import Buffer
from gpusim.runtime.graph import CopyCall, Graph
from gpusim.runtime.guard import Guard
from gpusim.runtime.plans import DispatchPlan, Planner, Plans
from gpusim.runtime.policy import Policy
from gpusim.runtime.reads import Reads
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.runs import Run, RunUniforms, WordCopy
from gpusim.runtime.transfers import Transfers

Step = DispatchPlan | CopyCall
_IN_ORDER = {tuple, list}


class BoundGraph:
    """A graph whose calls were checked and planned over certain ``buffers``.

    Each replay still checks its scalars, and that no buffer in ``needed`` is lost.  ``run`` is None
    if the steps must be recorded one by one.
    """

    __slots__ = ("buffers", "dispatches", "healed", "needed", "run", "steps", "uniforms", "written")

    def __init__(
        self, steps: Sequence[Step], buffers: tuple[Buffer, ...], *, alignment_bytes: int
    ) -> None:
        self.steps = tuple(steps)
        self.buffers = buffers
        self.dispatches = [step for step in steps if isinstance(step, DispatchPlan)]
        self.written = tuple(dict.fromkeys(_written(steps)))
        self.needed, self.healed = _needed_and_healed(steps)
        self.uniforms = RunUniforms(self.dispatches, alignment_bytes)
        self.run: Run | None = None


class DebugModes:
    """The debug modes of a policy: drop dispatches past a limit, or wait for each dispatch."""

    def __init__(self, policy: Policy, reads: Reads, guard: Guard, done: dict[str, int]) -> None:
        self._limit = policy.debug_dispatch_limit
        self._waits_each = policy.debug_submit_each
        self._reads = reads
        self._guard = guard
        self._done = done

    @classmethod
    def of(cls, policy: Policy, reads: Reads, guard: Guard, done: dict[str, int]) -> Self | None:
        """The debug modes of ``policy``; None if ``policy`` sets no debug mode."""
        is_on = policy.debug_submit_each or policy.debug_dispatch_limit is not None
        return cls(policy, reads, guard, done) if is_on else None

    def drops(self) -> bool:
        """Whether the next dispatch is past the limit; if so, count it as dropped."""
        if self._limit is None or self._done["dispatches"] < self._limit:
            return False
        self._done["dispatches_dropped"] += 1
        return True

    def after_dispatch(self) -> None:
        """With ``debug_submit_each``, wait as ``sync`` does.

        If the wait meets a fault, the next op raises it, since this dispatch has already succeeded.
        """
        if self._waits_each:
            try:
                self._reads.wait_for_all()
            except DeviceFault as fault:
                self._guard.keep(fault)


class Replays:
    """Replays the graphs of one runtime; with ``as_runs``, each as a run if that is possible."""

    def __init__(
        self,
        *,
        guard: Guard,
        planner: Planner,
        recorder: Recorder,
        transfers: Transfers,
        plans: Plans[BoundGraph],
        done: dict[str, int],
        debug: DebugModes | None,
        as_runs: bool,
        alignment_bytes: int,
    ) -> None:
        self._guard = guard
        self._planner = planner
        self._recorder = recorder
        self._transfers = transfers
        self._plans = plans
        self._done = done
        self._debug = debug
        self._as_runs = as_runs
        self._alignment_bytes = alignment_bytes

    def play(
        self,
        graph: Graph,
        scalars: Sequence[Scalars | None] | None,
        bindings: Mapping[Buffer, Buffer] | None,
    ) -> None:
        """See ``Graph.replay``."""
        self._guard.check_op("replay")
        _check_complete(graph)
        buffers = _bound_buffers(graph, bindings)
        entries = _entries(graph, scalars)
        bound = self._bound(graph, buffers, entries)
        if bound.run is None:
            self._play_steps(bound, entries)
        else:
            self._play_run(bound, bound.run, entries)
        self._done["replays"] += 1

    def forget(self, buffer: Buffer) -> None:
        """Drop the plans over ``buffer``, which is about to be freed or lent."""
        self._plans.forget(buffer)

    def _bound(
        self, graph: Graph, buffers: tuple[Buffer, ...], entries: Sequence[Scalars]
    ) -> BoundGraph:
        key = (graph.key, *buffers)
        try:
            bound = self._plans.get(key)
        except TypeError:
            # What cannot be hashed is no buffer; ``_bind`` refuses it.
            bound = None
        if bound is None:
            bound = self._bind(graph, buffers, entries)
            self._plans.put(key, bound)
        return bound

    def _bind(
        self, graph: Graph, buffers: tuple[Buffer, ...], entries: Sequence[Scalars]
    ) -> BoundGraph:
        """Check every call of the graph in order, over these buffers and with these scalars."""
        names = dict(zip(graph.buffers, buffers, strict=True))
        values = iter(entries)
        steps: list[Step] = []
        for call in graph.calls:
            if isinstance(call, CopyCall):
                steps.append(self._planner.check_copy(*call.over(names)))
            else:
                kernel, over, _, grid = call.over(names)
                plan, _ = self._planner.plan(kernel, over, next(values), grid, even_lost=True)
                steps.append(plan)
        bound = BoundGraph(steps, buffers, alignment_bytes=self._alignment_bytes)
        if self._as_runs:
            bound.run = self._run_of(steps)
        return bound

    def _run_of(self, steps: Sequence[Step]) -> Run | None:
        """The steps as a run; None if a step is neither a dispatch nor a copy of whole words."""
        recorded: list[DispatchPlan | WordCopy] = []
        for step in steps:
            if isinstance(step, DispatchPlan):
                recorded += [step] if step.groups else []
            elif step.size_bytes:
                command = self._transfers.word_copy(step)
                if command is None:
                    return None
                recorded.append(WordCopy(command, step.target))
        return Run(recorded, self._alignment_bytes)

    def _play_run(self, bound: BoundGraph, run: Run, entries: Sequence[Scalars]) -> None:
        payload = bound.uniforms.pack(entries)
        _check_not_lost(bound)
        if len(run):
            self._recorder.record_run(run, payload)
        for buffer in bound.healed:
            buffer.lost = False
        self._done["dispatches"] += len(bound.dispatches)
        self._done["copies"] += len(bound.steps) - len(bound.dispatches)

    def _play_steps(self, bound: BoundGraph, entries: Sequence[Scalars]) -> None:
        plans = zip(bound.dispatches, entries, strict=True)
        values = iter([plan.kernel.pack(scalars, plan.groups) for plan, scalars in plans])
        _check_not_lost(bound)
        counted: list[str] = []
        try:
            with self._recorder.all_or_nothing(bound.written):
                for at, step in enumerate(bound.steps):
                    if at:
                        self._check_can_go_on(bound)
                    counted.append(self._play_step(step, values))
        except BaseException:
            for counter in counted:
                self._done[counter] -= 1
            raise

    def _check_can_go_on(self, bound: BoundGraph) -> None:
        self._guard.check_op("replay")
        if self._debug is None:
            return  # A callback may free a buffer, but runs here only in a debug mode.
        for buffer in bound.buffers:
            if not buffer.is_live:
                raise InvalidHandle(
                    f"cannot go on with a replay because {buffer!r} was freed half way (probably "
                    "by a done callback of a read)"
                )

    def _play_step(self, step: Step, payloads: Any) -> str:
        """Carry out a step; gives the name of the counter that counts it."""
        if isinstance(step, CopyCall):
            if step.size_bytes:
                self._transfers.copy(step)
            self._done["copies"] += 1
            return "copies"
        payload = next(payloads)
        if self._debug is not None and self._debug.drops():
            return "dispatches_dropped"
        if step.groups:
            self._recorder.dispatch(step, payload)
        self._done["dispatches"] += 1
        if self._debug is not None:
            self._debug.after_dispatch()
        return "dispatches"


def _check_not_lost(bound: BoundGraph) -> None:
    for buffer in bound.needed:
        checks.check_not_lost("replay a graph over", buffer)


def _check_complete(graph: Graph) -> None:
    if not graph.is_complete:
        raise InvalidHandle(
            f"cannot replay {graph!r} because its capture has not ended, or was left by an error "
            "(probably the replay belongs after the with block)"
        )


def _bound_buffers(graph: Graph, bindings: Mapping[Buffer, Buffer] | None) -> tuple[Buffer, ...]:
    if not bindings and (bindings is None or isinstance(bindings, Mapping)):
        return graph.buffers
    if not isinstance(bindings, Mapping):
        raise InvalidBinding(
            f"cannot replay {graph!r} because bindings={checks.short(bindings)} is no mapping "
            "(probably {captured: other} was meant)"
        )
    for buffer in bindings:
        if buffer not in graph.named:
            raise InvalidBinding(
                f"cannot bind {bindings[buffer]!r} in place of {buffer!r} because the graph does "
                f"not use {buffer!r} (probably the two are the wrong way round)"
            )
    return tuple([bindings.get(buffer, buffer) for buffer in graph.buffers])


def _entries(graph: Graph, scalars: Any) -> Sequence[Scalars]:
    captured = graph.scalars
    if scalars is None:
        return captured
    if not isinstance(scalars, list | tuple):
        raise InvalidScalar(
            f"cannot replay {graph!r} because scalars={checks.short(scalars)} is no list with an "
            "entry for each dispatch (probably brackets around the entry are missing)"
        )
    if len(scalars) != len(captured):
        raise InvalidScalar(
            f"cannot replay {graph!r} because it has {len(captured)} dispatches and scalars for "
            f"{len(scalars)} were given (probably None was meant for a dispatch that keeps its own)"
        )
    if {*map(type, scalars)} <= _IN_ORDER:
        return scalars
    entries: list[Any] = [
        kept if given is None else given if type(given) in _IN_ORDER else kernel.in_order(given)
        for given, kept, kernel in zip(scalars, captured, graph.kernels, strict=True)
    ]
    return entries


def _written(steps: Sequence[Step]) -> list[Buffer]:
    written: list[Buffer] = []
    for step in steps:
        if isinstance(step, CopyCall):
            written += (step.target,) if step.size_bytes else ()
        else:
            written += step.written if step.groups else ()
    return written


def _needed_and_healed(steps: Sequence[Step]) -> tuple[tuple[Buffer, ...], tuple[Buffer, ...]]:
    """Buffers that must not be lost when a replay begins, and buffers that a copy of it fills.

    A copy that fills a whole buffer does not need the old bytes.  After the copy the buffer is no
    longer lost.
    """
    needed: dict[Buffer, None] = {}
    healed: dict[Buffer, None] = {}
    for step in steps:
        read = (step.source,) if isinstance(step, CopyCall) else step.buffers
        needed.update((buffer, None) for buffer in read if buffer not in healed)
        if isinstance(step, CopyCall) and step.size_bytes == step.target.size_bytes:
            healed[step.target] = None
    return tuple(needed), tuple(healed)
