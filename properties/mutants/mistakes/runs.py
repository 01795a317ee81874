"""Mistakes in the runs that replays record: in their scalars, parts, bytes and plans.

Mistakes in where a run is cut are in ``replays``.
"""

from collections.abc import Sequence
from typing import Any

from gpusim.ops import Scalars
from gpusim.runtime.batch import Batch
from gpusim.runtime.buffers import Buffer
from gpusim.runtime.graph import Graph
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.replays import BoundGraph, Replays
from gpusim.runtime.runs import Run, RunUniforms
from properties.mutants.mutant import mutant


@mutant(part="recorder", hard=True)
class RunReplacesWhatIsTouched(Recorder):
    """If a batch and a run touch a buffer, only the run's bytes of it count as touched."""

    def _record_part(self, run: Run, payload: bytes, start: int) -> int:
        stop = super()._record_part(run, payload, start)
        offset = len(self._batch.uniform_data) - (run.starts[stop] - run.starts[start])
        self._batch._touched.update(run.part(start, stop, offset)._touched)
        return stop


@mutant(part="recorder", found_by="laws", hard=True)
class ReplayGroupsUncounted(Recorder):
    """The workgroups of replays do not count for the limit of a batch."""

    def _record_part(self, run: Run, payload: bytes, start: int) -> int:
        batch, groups = self._batch, self._batch.groups
        stop = super()._record_part(run, payload, start)
        self._batch.groups = groups if self._batch is batch else 0
        return stop


class _FoundByStart(Run):
    def part(self, start: int, stop: int, offset: int) -> Batch:
        for (begun, _, at), part in self._parts.items():
            if (begun, at) == (start, offset):
                return part
        return super().part(start, stop, offset)


@mutant(part="replays", hard=True)
class PartOfARunFoundByItsStart(Replays):
    """A part of a run is found by its start and offset, even if it must now end elsewhere."""

    def _run_of(self, steps: Any) -> Run | None:
        run = super()._run_of(steps)
        if run is not None:
            run.__class__ = _FoundByStart
        return run


@mutant(part="replays", hard=True)
class RunAlignedAsStorage(Replays):
    """The uniforms of a run have the device's alignment for storage, not for uniforms."""

    def __init__(self, **parts: Any) -> None:
        alignment_bytes = parts["planner"]._limits.storage_offset_alignment_bytes
        super().__init__(**{**parts, "alignment_bytes": alignment_bytes})


class _WithoutSigns(RunUniforms):
    def pack(self, entries: Sequence[Scalars]) -> bytes:
        return super().pack([tuple([scalar or 0 for scalar in entry]) for entry in entries])


@mutant(part="replays", hard=True)
class NegativeZeroLosesItsSign(Replays):
    """The scalars of a run are packed as ``value or 0``, so that -0.0 becomes 0."""

    def _bind(self, *bound: Any) -> BoundGraph:
        made = super()._bind(*bound)
        made.uniforms.__class__ = _WithoutSigns
        return made


@mutant(part="replays", hard=True)
class FiniteByOwnPlace(Replays):
    """The check for finite floats uses a scalar's place in its dispatch as its place in the run."""

    def _bind(self, *bound: Any) -> BoundGraph:
        made = super()._bind(*bound)
        made.uniforms._floats = [
            at
            for plan in made.dispatches
            for at, scalar in enumerate(plan.kernel.scalars)
            if scalar.is_float
        ]
        return made


@mutant(part="replays", found_by="clients", hard=True)
class GraphKeyIsAddress(Replays):
    """The plan of a graph is found by the graph's address, which a later graph may have."""

    def _bound(
        self, graph: Graph, buffers: tuple[Buffer, ...], entries: Sequence[Scalars]
    ) -> BoundGraph:
        key = (id(graph), *buffers)
        try:
            bound = self._plans.get(key)
        except TypeError:
            bound = None
        if bound is None:
            bound = self._bind(graph, buffers, entries)
            self._plans.put(key, bound)
        return bound
