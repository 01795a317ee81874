"""What one dispatch comes to: its bindings checked, its arrays and scalars found.

Planning only: a Plan is made once for a pipeline and the bind groups set, and
says how to run, or why not.
Source: WebGPU specification, "Validate encoder bind groups", "usage scope
validation" and "Encoder bind groups alias a writable resource".
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from gpusim.simulated.bindings import BoundRange, GPUBindGroup
from gpusim.simulated.buffer import GPUBuffer
from gpusim.simulated.pipeline import GPUComputePipeline

_WORD = np.dtype("<u4")
_array = np.ndarray
BoundGroup = tuple[GPUBindGroup, tuple[int, ...]]
"""A bind group and its dynamic offsets."""


class Plan:
    """A kernel on its arrays; ``run`` reads the scalars when the queue gets there."""

    __slots__ = ("_arrays", "_pipeline", "_ranges", "_words")

    refusal: str | None = None

    def __init__(self, pipeline: GPUComputePipeline, ranges: list[BoundRange]) -> None:
        self._pipeline = pipeline
        self._ranges = ranges
        self._arrays = tuple(
            [
                _array(bound.size // 4, dtype, bound.buffer.memory, bound.offset)
                for dtype, bound in zip(pipeline.dtypes, ranges, strict=False)
            ]
        )
        self._words: Any = None
        if pipeline.takes_uniform:
            bound = ranges[len(pipeline.dtypes)]
            count = pipeline.scalar_count + pipeline.guarded
            self._words = _array(count, _WORD, bound.buffer.memory, bound.offset)

    def run(self, groups: int) -> None:
        """Execute ``groups`` workgroups."""
        pipeline, words = self._pipeline, self._words
        if pipeline.guarded:
            groups = min(groups, int(words[pipeline.scalar_count]))
        if groups:
            pipeline.meaning(self._arrays, pipeline.scalars(words), groups)

    def writes(self, buffer: GPUBuffer) -> bool:
        """Whether the dispatch may write ``buffer``."""
        return any(
            bound.buffer is buffer and bound.entry.kind == "storage" for bound in self._ranges
        )


class Refusal:
    """A dispatch that the bindings do not allow, and why."""

    __slots__ = ("refusal",)

    def __init__(self, because: str) -> None:
        self.refusal = because


def plan(
    pipeline: GPUComputePipeline, groups: Mapping[int, BoundGroup], refuses_aliases: bool
) -> Plan | Refusal:
    """What a dispatch of ``pipeline`` with ``groups`` set comes to."""
    if len(pipeline.layouts) == 1 and 0 in groups and not groups[0][1]:
        # The plan is the group's own then, and is kept with it.
        group = groups[0][0]
        if group.planned_for != pipeline.uid:
            group.planned_for = pipeline.uid
            group.plan = _plan(pipeline, groups, refuses_aliases)
        kept: Plan | Refusal = group.plan
        return kept
    return _plan(pipeline, groups, refuses_aliases)


def _plan(
    pipeline: GPUComputePipeline, groups: Mapping[int, BoundGroup], refuses_aliases: bool
) -> Plan | Refusal:
    ranges: list[BoundRange] = []
    for index, layout in enumerate(pipeline.layouts):
        if layout is None:
            continue
        if index not in groups:
            return Refusal(f"bind group {index} is not set")
        group, offsets = groups[index]
        if not group.layout.equivalent(layout):
            return Refusal(f"bind group {index} is of another layout than the pipeline's")
        ranges.extend(_shifted(group, offsets) if offsets else group.ranges)
    because = _too_small(pipeline, ranges) or _conflict(ranges, refuses_aliases)
    if because:
        return Refusal(because)
    return Plan(pipeline, ranges)


def _shifted(group: GPUBindGroup, offsets: tuple[int, ...]) -> Iterator[BoundRange]:
    """The ranges of a group, its dynamic offsets added in the order of the bindings."""
    remaining = iter(offsets)
    for bound in group.ranges:
        if bound.entry.dynamic:
            yield bound._replace(offset=bound.offset + next(remaining))
        else:
            yield bound


def _too_small(pipeline: GPUComputePipeline, ranges: list[BoundRange]) -> str | None:
    for bound, least in zip(ranges, pipeline.least_sizes, strict=False):
        if bound.size < least:
            return f"binding {bound.entry.binding} has {bound.size} bytes and needs {least}"
    return None


def _conflict(ranges: list[BoundRange], refuses_aliases: bool) -> str | None:
    """Why the ranges may not be used together.

    A usage scope is the whole buffer: one writable use of it excludes every
    use that only reads.  Writable uses go together where they do not overlap.
    """
    if len({bound.buffer for bound in ranges}) == len(ranges):
        return None
    for left, right in combinations(ranges, 2):
        if left.buffer is not right.buffer:
            continue
        writes = (left.entry.kind == "storage") + (right.entry.kind == "storage")
        if writes == 1:
            return "a buffer is bound for writing and, in the same dispatch, for reading"
        overlap = left.offset < right.offset + right.size and right.offset < left.offset + left.size
        if writes == 2 and overlap and refuses_aliases:
            return "two writable bindings of one buffer overlap"
    return None
