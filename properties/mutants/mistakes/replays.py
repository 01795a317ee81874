"""Mistakes in how a captured graph is kept, bound and played again.

A replay repeats the graph's calls with given scalars and buffers.  Under a uniform ring it records
a run: all its commands as one piece, which is split where the flush rules would have split single
calls.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from gpusim.ops import Scalars
from gpusim.runtime.batch import Batch
from gpusim.runtime.buffers import Buffer
from gpusim.runtime.graph import Graph
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.replays import BoundGraph, Replays, Step
from gpusim.runtime.runs import Run
from properties.mutants.mistakes.caches import KeyedPlans
from properties.mutants.mutant import mutant

Entries = Sequence[Scalars | None] | None


Bindings = Mapping[Buffer, Buffer] | None


@mutant(part="bound_graphs", origin="ORT#28325, #29594, #32074")
class ReplayKeepsOldBindings(KeyedPlans[BoundGraph]):
    """Every replay of a graph uses the buffers of its first replay."""

    def _key(self, key: tuple[Any, ...]) -> Hashable:
        return (key[0],)


@mutant(part="bound_graphs", hard=True)
class ReplayBoundInAnyOrder(KeyedPlans[BoundGraph]):
    """The key of a bound graph ignores the order of its buffers."""

    def _key(self, key: tuple[Any, ...]) -> Hashable:
        graph, *buffers = key
        return (graph, *sorted(getattr(buffer, "uid", -1) for buffer in buffers))


@mutant(part="replays", hard=True)
class BoundGraphSurvivesFree(Replays):
    """The plan of a graph is still found after one of its buffers was freed."""

    def forget(self, buffer: Buffer) -> None:
        """Drop nothing."""


@mutant(part="replays")
class ReplayKeepsOldScalars(Replays):
    """Every replay of a graph uses the scalars of its first replay."""

    def play(self, graph: Graph, scalars: Entries, bindings: Bindings) -> None:
        seen = self.__dict__.setdefault("seen", {})
        super().play(graph, seen.setdefault(graph, scalars), bindings)


@mutant(part="replays")
class KeptScalarsOfReplayBefore(Replays):
    """A dispatch that should keep the scalars of the capture gets those of the last replay."""

    def play(self, graph: Graph, scalars: Entries, bindings: Bindings) -> None:
        super().play(graph, scalars, bindings)
        if scalars is not None:
            both = zip(graph.scalars, scalars, strict=True)
            graph.scalars = tuple(old if new is None else tuple(new) for old, new in both)


@mutant(part="replays", hard=True)
class SwapsOneAfterTheOther(Replays):
    """A buffer that replaces another is itself replaced if it has a replacement too."""

    def play(self, graph: Graph, scalars: Entries, bindings: Bindings) -> None:
        chained = dict(bindings or {})
        for old, new in chained.items():
            while new in chained and chained[new] is not new and new is not old:
                new = chained[new]
            chained[old] = new
        super().play(graph, scalars, chained)


@mutant(part="replays", found_by="faults", hard=True)
class ReplayNeedsNothing(Replays):
    """A replay does not check whether a buffer that it reads was lost."""

    def _bind(
        self, graph: Graph, buffers: tuple[Buffer, ...], entries: Sequence[Scalars]
    ) -> BoundGraph:
        bound = super()._bind(graph, buffers, entries)
        bound.needed = ()
        return bound


@mutant(part="replays", found_by="faults", hard=True)
class ReplayHealsWhatItWrites(Replays):
    """A replay over a lost buffer that it writes is accepted, and the buffer counts as whole."""

    def _bind(
        self, graph: Graph, buffers: tuple[Buffer, ...], entries: Sequence[Scalars]
    ) -> BoundGraph:
        bound = super()._bind(graph, buffers, entries)
        bound.needed = tuple(buffer for buffer in bound.needed if buffer not in bound.written)
        bound.healed = bound.written
        return bound


@mutant(part="replays", hard=True)
class EmptyStepKeepsItsPlace(Replays):
    """If a dispatch of a run has no groups, each dispatch gets the scalars of the one before."""

    def _play_run(self, bound: BoundGraph, run: Run, entries: Sequence[Scalars]) -> None:
        plans = [plan for plan in bound.dispatches if plan.groups]
        if len(plans) < len(bound.dispatches):
            shifted = [
                entry if len(entry) == len(plan.kernel.scalars) else kept
                for plan, entry, kept in zip(
                    bound.dispatches,
                    [entries[-1], *entries[:-1]],
                    entries,
                    strict=True,
                )
            ]
            entries = shifted
        super()._play_run(bound, run, entries)


class _FixedRun(Run):
    """A run whose parts bind uniforms as if the uniforms of the run began at the ring's start."""

    def part(self, start: int, stop: int, offset: int) -> Batch:
        return super().part(start, stop, self.starts[start])


@mutant(part="replays")
class RunOffsetsKept(Replays):
    """A run binds its uniforms from the start of the ring, even if they begin later."""

    def _run_of(self, steps: Sequence[Step]) -> Run | None:
        run = super()._run_of(steps)
        if run is not None:
            run.__class__ = _FixedRun
        return run


@mutant(part="recorder", hard=True, rare=True)
class RunBoundToOldRing(Recorder):
    """A run keeps its bind groups when a larger uniform ring takes the place of the old one."""

    def _bind_run(self, run: Run) -> None:
        if run.is_bound:
            run.bind = lambda ring, commands: None  # type: ignore[method-assign]
        super()._bind_run(run)


@mutant(part="recorder", hard=True)
class RunTouchesNothing(Recorder):
    """A run that follows other commands in its batch conflicts with no host write and no free."""

    def _record_part(self, run: Run, payload: bytes, start: int) -> int:
        touched = dict(self._batch._touched)
        stop = super()._record_part(run, payload, start)
        if self._batch.commands[stop - start :]:
            self._batch._touched = touched
        return stop


@mutant(part="recorder", found_by="faults")
class RunWritesUnmarked(Recorder):
    """The buffers that a run writes are not lost with its batch."""

    def _record_part(self, run: Run, payload: bytes, start: int) -> int:
        stop = super()._record_part(run, payload, start)
        for buffer in run.written:
            self._batch.written.pop(buffer, None)
        return stop


@mutant(part="recorder", hard=True)
class RunLosesStepAtCut(Recorder):
    """After a cut, the run skips one step."""

    def _record_part(self, run: Run, payload: bytes, start: int) -> int:
        stop = super()._record_part(run, payload, start)
        return stop + 1 if stop < len(run) - 1 else stop


@mutant(part="recorder", hard=True)
class RunRepeatsStepAtCut(Recorder):
    """A run that is cut goes on with the last step that it had recorded."""

    def _record_part(self, run: Run, payload: bytes, start: int) -> int:
        stop = super()._record_part(run, payload, start)
        return stop - 1 if start + 1 < stop < len(run) else stop


@mutant(part="recorder", found_by="laws", hard=True)
class RunNeverCut(Recorder):
    """A run goes into one batch, however long it is, if the uniform ring has room."""

    def _end_of_part(self, run: Run, start: int) -> int:
        capacity_bytes = getattr(self._uniforms, "capacity_bytes", 0)
        room_bytes = capacity_bytes - len(self._batch.uniform_data)
        fits = run.starts[-1] - run.starts[start] <= room_bytes
        return len(run) if fits else super()._end_of_part(run, start)


@mutant(part="recorder", found_by="laws")
class RunCutLate(Recorder):
    """A run is cut one command too late, if the uniform ring has room."""

    def _end_of_part(self, run: Run, start: int) -> int:
        stop = super()._end_of_part(run, start)
        capacity_bytes = getattr(self._uniforms, "capacity_bytes", 0)
        room_bytes = capacity_bytes - len(self._batch.uniform_data)
        fits = stop < len(run) and run.starts[stop + 1] - run.starts[start] <= room_bytes
        return stop + 1 if fits else stop


@mutant(part="recorder", found_by="faults", hard=True)
class ReplayHalfDoneStands(Recorder):
    """If a replay fails, the commands that it recorded stay in the batch, and no buffer is lost."""

    @contextmanager
    def all_or_nothing(self, written: Sequence[Buffer]) -> Iterator[None]:
        yield


@mutant(part="recorder")
class EarlyBatchLosesOne(Recorder):
    """A batch that is submitted early loses its last command."""

    def submit(self, reason: Any) -> None:
        if reason == "early" and len(self._batch.commands) > 1:
            self._batch.commands.pop()
        super().submit(reason)
