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

from gpusim.kernels import Kernel
from gpusim.kernels.kernel import NUMPY_DTYPES
from gpusim.simulated.bindings import BoundRange, GPUBindGroup
from gpusim.simulated.buffer import GPUBuffer
from gpusim.simulated.pipeline import GPUComputePipeline

_WORD = np.dtype("<u4")
BoundGroup = tuple[GPUBindGroup, tuple[int, ...]]
"""A bind group and its dynamic offsets."""


class Plan:
    """A kernel on its arrays; ``run`` reads the scalars when the queue gets there."""

    __slots__ = ("_arrays", "_kernel", "_words", "refusal", "storage")

    def __init__(self, kernel: Kernel, ranges: list[BoundRange]) -> None:
        self._kernel = kernel
        self.refusal: str | None = None
        count = len(kernel.buffers)
        self._arrays = tuple(
            _array(bound, NUMPY_DTYPES[binding.dtype])
            for bound, binding in zip(ranges[:count], kernel.buffers, strict=True)
        )
        self._words = _array(ranges[count], _WORD) if kernel.uniform_bytes else None
        self.storage = {bound.buffer for bound in ranges if bound.entry.kind == "storage"}

    def run(self, groups: int) -> None:
        """Execute ``groups`` workgroups."""
        kernel, words = self._kernel, self._words
        scalars: tuple[Any, ...] = ()
        if words is not None:
            if kernel.guarded:
                groups = min(groups, int(words[len(kernel.scalars)]))
            scalars = tuple(
                word if parameter.dtype == "u32" else word.view(NUMPY_DTYPES[parameter.dtype])
                for word, parameter in zip(words, kernel.scalars, strict=False)
            )
        if groups:
            kernel.meaning(self._arrays, scalars, groups)


class Refusal:
    """A dispatch that the bindings do not allow, and why."""

    __slots__ = ("refusal", "storage")

    def __init__(self, because: str) -> None:
        self.refusal: str | None = because
        self.storage: set[GPUBuffer] = set()


def plan(
    pipeline: GPUComputePipeline, groups: Mapping[int, BoundGroup], refuses_aliases: bool
) -> Plan | Refusal:
    """What a dispatch of ``pipeline`` with ``groups`` set comes to."""
    if len(pipeline.layouts) == 1 and 0 in groups and not groups[0][1]:
        # The plan is the group's own then, and is kept with it.
        group = groups[0][0]
        made = group.plans.get(pipeline.uid)
        if made is None:
            made = group.plans[pipeline.uid] = _plan(pipeline, groups, refuses_aliases)
        return made
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
        ranges.extend(_shifted(group, offsets))
    because = _too_small(pipeline, ranges) or _conflict(ranges, refuses_aliases)
    if because:
        return Refusal(because)
    return Plan(pipeline.kernel, ranges)


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
        if not bound.entry.min_size and bound.size < least:
            return f"binding {bound.entry.binding} has {bound.size} bytes and needs {least}"
    return None


def _conflict(ranges: list[BoundRange], refuses_aliases: bool) -> str | None:
    """Why the ranges may not be used together.

    A usage scope is the whole buffer: one writable use of it excludes every
    use that only reads.  Writable uses go together where they do not overlap.
    """
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


def _array(bound: BoundRange, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    return np.ndarray(bound.size // 4, dtype, bound.buffer.memory, bound.offset)
