"""Shader modules and compute pipelines, and the plan of one dispatch of a pipeline.

WGSL is recognised and never compiled: a module runs as the Kernel that has this WGSL.  A
Plan is made once for a pipeline and its bind groups: the bindings are checked, and the
arrays and scalars found.  It says how to run; a Refusal says why not.
Source: WebGPU specification, section 9 "Shader Modules", 10.2 "GPUComputePipeline",
"Validate encoder bind groups", "usage scope validation" and "Encoder bind groups
alias a writable resource".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import combinations, groupby
from typing import Any

import numpy as np
import wgpu

from gpusim.kernels import Kernel
from gpusim.kernels.kernel import NUMPY_DTYPES, Dtype
from gpusim.simulated.bindings import (
    BoundRange,
    GPUBindGroup,
    GPUBindGroupLayout,
    GPUPipelineLayout,
    LayoutEntry,
)
from gpusim.simulated.buffer import GPUBuffer
from gpusim.simulated.profile import check_keys, invalid
from gpusim.simulated.state import DeviceState, next_uid

_COMPUTE = wgpu.ShaderStage.COMPUTE
_WORD = NUMPY_DTYPES["u32"]
_array = np.ndarray
_STAGE_KEYS = ("module", "entry_point", "constants")
_ENTRY_POINT = re.compile(r"@compute[^{]*?\bfn\s+(\w+)", re.DOTALL)
BoundGroup = tuple[GPUBindGroup, tuple[int, ...]]
"""A bind group with its dynamic offsets."""


@lru_cache(maxsize=64)
def shaders_of(kernels: tuple[Kernel, ...]) -> Mapping[str, Kernel]:
    """The kernels by their WGSL."""
    return {kernel.wgsl().strip(): kernel for kernel in kernels}


class GPUShaderModule:
    """The WGSL of a kernel; made by ``GPUDevice.create_shader_module``."""

    __slots__ = ("_device", "entry_point", "kernel", "label", "uid")

    def __init__(self, device: DeviceState, label: str, kernel: Kernel, entry_point: str) -> None:
        self._device = device
        self.label = label
        self.uid = next_uid()
        self.kernel = kernel
        self.entry_point = entry_point


class GPUComputePipeline:
    """A kernel and its layout; made by ``GPUDevice.create_compute_pipeline``."""

    __slots__ = (
        "_device",
        "_scalar_runs",
        "dtypes",
        "guarded",
        "kernel",
        "label",
        "layouts",
        "least_sizes",
        "meaning",
        "scalar_count",
        "takes_uniform",
        "uid",
    )

    def __init__(
        self,
        device: DeviceState,
        label: str,
        kernel: Kernel,
        layouts: tuple[GPUBindGroupLayout | None, ...] | None,
    ) -> None:
        self._device = device
        self.label = label
        self.uid = next_uid()
        self.kernel = kernel
        wanted = bindings_of(kernel)
        if layouts is None:
            layouts = (GPUBindGroupLayout(device, "", wanted, owner=self.uid),)
        self.layouts = layouts
        self.least_sizes = tuple(entry.min_size for entry in wanted)
        """The bytes that each binding of the shader needs at least, checked at a dispatch."""
        self.meaning = kernel.meaning
        self.dtypes = tuple(NUMPY_DTYPES[binding.dtype] for binding in kernel.buffers)
        self.takes_uniform = kernel.uniform_bytes > 0
        self.guarded = kernel.guarded
        self.scalar_count = len(kernel.scalars)
        self._scalar_runs = _runs_of([scalar.dtype for scalar in kernel.scalars])

    def scalars(self, words: Any) -> tuple[Any, ...]:
        """The kernel's scalars, typed, from the words of its uniforms; ``words`` may be None."""
        if not self.scalar_count:
            return ()
        values: list[Any] = []
        for start, stop, dtype in self._scalar_runs:
            run = words[start:stop]
            values.extend(run if dtype is _WORD else run.view(dtype))
        return tuple(values)

    def get_bind_group_layout(self, index: int) -> GPUBindGroupLayout:
        """The layout of bind group ``index``; GPUValidationError past the limit."""
        limit = self._device.limits["max-bind-groups"]
        if not 0 <= index < limit:
            because = f"index {index} is not below {limit}"
            raise invalid("get this bind group layout", because, "a wrong number")
        layout = self.layouts[index] if index < len(self.layouts) else None
        return layout or GPUBindGroupLayout(self._device, "", ())


def _runs_of(dtypes: list[Dtype]) -> list[tuple[int, int, Any]]:
    """Runs of scalars of one type: the first, one past the last, and the type."""
    runs, start = [], 0
    for dtype, group in groupby(dtypes):
        stop = start + len(list(group))
        runs.append((start, stop, NUMPY_DTYPES[dtype]))
        start = stop
    return runs


@lru_cache(maxsize=64)
def bindings_of(kernel: Kernel) -> tuple[LayoutEntry, ...]:
    """The entries of a kernel's shader; ``min_size`` is what its variables need."""
    entries = [
        LayoutEntry(
            number,
            "storage" if binding.access == "read_write" else "read-only-storage",
            False,
            4,
            _COMPUTE,
        )
        for number, binding in enumerate(kernel.buffers)
    ]
    if kernel.uniform_bytes:
        entries.append(LayoutEntry(len(entries), "uniform", False, kernel.uniform_bytes, _COMPUTE))
    return tuple(entries)


def make_module(
    device: DeviceState, shaders: Mapping[str, Kernel], label: str, code: Any
) -> GPUShaderModule:
    """The module of a known WGSL text; TypeError, or GPUValidationError where it is unknown."""
    if not isinstance(code, str):
        raise TypeError("Shader code must be str for WGSL or GLSL, or bytes for SpirV.")
    kernel = shaders.get(code.strip())
    if kernel is None:
        raise invalid(
            "create this shader module",
            f"none of the {len(shaders)} kernels that this device knows has this WGSL",
            "it has to be registered: open_device(kernels=...), or device.learn(kernel)",
        )
    return GPUShaderModule(device, label, kernel, _entry_point_of(code))


@lru_cache(maxsize=64)
def _entry_point_of(code: str) -> str:
    found = _ENTRY_POINT.search(code)
    return found.group(1) if found else "main"


def make_pipeline(device: DeviceState, label: str, layout: Any, compute: Any) -> GPUComputePipeline:
    """A checked pipeline; GPUValidationError where shader and layout do not match."""
    check_keys("ProgrammableStage", compute, _STAGE_KEYS)
    module = compute["module"]
    doing = "create this compute pipeline"
    if not isinstance(layout, GPUPipelineLayout) and layout != "auto":
        raise TypeError(
            "create_compute_pipeline() 'layout' arg must be a GPUPipelineLayout or 'auto'"
        )
    parts = (module,) if layout == "auto" else (module, layout)
    if any(part._device.home is not device.home for part in parts):
        raise invalid(doing, "its parts are another device's", "two devices are mixed up")
    entry_point = compute.get("entry_point")
    if entry_point not in (None, module.entry_point):
        because = f"its module has no entry point {entry_point!r}"
        raise invalid(doing, because, f"{module.entry_point!r} was meant")
    if compute.get("constants"):
        raise invalid(doing, "its module has no constants", "they belong to another shader")
    if layout == "auto":
        return GPUComputePipeline(device, label, module.kernel, None)
    because_of = _mismatch(layout.layouts, bindings_of(module.kernel))
    if because_of:
        raise invalid(doing, because_of, "a layout of another kernel")
    return GPUComputePipeline(device, label, module.kernel, layout.layouts)


def _mismatch(
    layouts: tuple[GPUBindGroupLayout | None, ...], wanted: Iterable[LayoutEntry]
) -> str | None:
    """Why a layout does not fit a shader; None where it does."""
    first = layouts[0].entries if layouts and layouts[0] else {}
    for entry in wanted:
        given = first.get(entry.binding)
        if given is None or not given.visibility & _COMPUTE:
            return f"its layout has no binding {entry.binding} for compute shaders"
        if given.kind != entry.kind:
            return f"binding {entry.binding} is {entry.kind} in the shader, not {given.kind}"
        if given.min_size and given.min_size < entry.min_size:
            return f"binding {entry.binding} needs {entry.min_size} bytes, not {given.min_size}"
    return None


class Plan:
    """A kernel with its arrays; ``run`` reads the scalars when the queue executes it."""

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
    """Why the bindings do not allow a dispatch."""

    __slots__ = ("refusal",)

    def __init__(self, because: str) -> None:
        self.refusal = because


def plan(
    pipeline: GPUComputePipeline, groups: Mapping[int, BoundGroup], refuses_aliases: bool
) -> Plan | Refusal:
    """The plan of a dispatch of ``pipeline`` with ``groups`` set, or its refusal."""
    if len(pipeline.layouts) == 1 and 0 in groups and not groups[0][1]:
        # The plan depends on this one group, and is kept with it.
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
    """Why the ranges may not be used together; None where they may.

    A usage scope takes buffers as wholes: a writable use of one excludes every use
    that only reads.  Writable uses may go together where they do not overlap.
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
