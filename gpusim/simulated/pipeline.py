"""Shader modules and compute pipelines, and the plan of one dispatch of a pipeline.

A module runs as its WGSL says, compiled to NumPy by ``gpusim.wgsl``; the NumPy meaning that a
kernel has is not used.  ``plan`` checks the bindings of a dispatch and looks up their bytes.  It
gives a Plan, which can run the dispatch again and again, or a Refusal, which says why the dispatch
cannot run.  Source: WebGPU specification, section 9 "Shader Modules", 10.2 "GPUComputePipeline",
"Validate encoder bind groups", "usage scope validation" and "Encoder bind groups alias a writable
resource".
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import wgpu

from gpusim.simulated.bindings import (
    BoundRange,
    GPUBindGroup,
    GPUBindGroupLayout,
    GPUPipelineLayout,
    LayoutEntry,
)
from gpusim.simulated.buffer import GPUBuffer
from gpusim.simulated.profile import LARGER_LIMIT, Profile, check_keys, invalid
from gpusim.simulated.state import DeviceState, next_uid
from gpusim.wgsl import Entry, Module, ShaderError, compile_module, override_key
from gpusim.wgsl.checks import checked

_COMPUTE = wgpu.ShaderStage.COMPUTE
_BYTE = np.dtype(np.uint8)
_array = np.ndarray
_NO_IMMEDIATES = np.zeros(0, np.uint8)
_STAGE_KEYS = ("module", "entry_point", "constants")
_KINDS = {
    ("storage", "read_write"): "storage",
    ("storage", "read"): "read-only-storage",
    ("uniform", "read"): "uniform",
}
BoundGroup = tuple[GPUBindGroup, tuple[int, ...]]
"""A bind group with its dynamic offsets."""


class GPUShaderModule:
    """A compiled WGSL text; made by ``GPUDevice.create_shader_module``."""

    __slots__ = ("__weakref__", "_device", "label", "module", "uid")

    def __init__(self, device: DeviceState, label: str, module: Module) -> None:
        self._device = device
        self.label = label
        self.uid = next_uid()
        self.module = module


class GPUComputePipeline:
    """An entry point and its layout; made by ``GPUDevice.create_compute_pipeline``."""

    __slots__ = ("__weakref__", "_device", "entry", "label", "layouts", "least_sizes", "uid")

    def __init__(
        self,
        device: DeviceState,
        label: str,
        entry: Entry,
        layouts: tuple[GPUBindGroupLayout | None, ...] | None,
    ) -> None:
        self._device = device
        self.label = label
        self.uid = next_uid()
        self.entry = entry
        if layouts is None:
            layouts = tuple(
                GPUBindGroupLayout(device, "", entries, owner=self.uid) if entries else None
                for entries in bindings_of(entry)
            )
        self.layouts = layouts
        self.least_sizes = {
            (each.group, each.binding): each.least_bytes for each in entry.point.bindings
        }
        """The bytes that each binding of the shader needs at least, checked at a dispatch."""

    def get_bind_group_layout(self, index: int) -> GPUBindGroupLayout:
        """The layout of bind group ``index``; GPUValidationError past the limit."""
        limit = self._device.limits["max-bind-groups"]
        if not 0 <= index < limit:
            because = f"index {index} is not below {limit}"
            raise invalid("get this bind group layout", because, "a wrong number")
        layout = self.layouts[index] if index < len(self.layouts) else None
        return layout or GPUBindGroupLayout(self._device, "", ())


def bindings_of(entry: Entry) -> tuple[tuple[LayoutEntry, ...], ...]:
    """For each bind group, the layout entries that a shader needs.

    An entry's ``min_size`` is the number of bytes that its variable needs.
    """
    groups: list[list[LayoutEntry]] = []
    for binding in entry.point.bindings:
        groups += [[] for _ in range(len(groups), binding.group + 1)]
        kind = _KINDS[binding.space, binding.access]
        number, least = binding.binding, binding.least_bytes
        groups[binding.group].append(LayoutEntry(number, kind, False, least, _COMPUTE))
    return tuple(map(tuple, groups))


def make_module(
    device: DeviceState, features: Collection[str], label: str, code: Any
) -> GPUShaderModule:
    """The module of a WGSL text; TypeError, or GPUValidationError if it is not valid."""
    if not isinstance(code, str):
        raise TypeError("Shader code must be str for WGSL or GLSL, or bytes for SpirV.")
    try:
        module = compile_module(code)
        _check_profile(device.profile, module)
    except ShaderError as error:
        raise invalid("create this shader module", str(error), "a misspelling") from error
    for feature in module.features:
        if feature not in features:
            because = f"its device lacks the feature {feature}"
            raise invalid("create this shader module", because, "the program did not require it")
    return GPUShaderModule(device, label, module)


def _check_profile(profile: Profile, module: Module) -> None:
    """Raise ShaderError if the module has something that only the other profile allows."""
    if profile.refuses_missed_barriers and module.missed_barriers:
        because = "not every invocation of a workgroup may come to this barrier"
        raise ShaderError(because, module.missed_barriers[0])
    if profile.refuses_aliased_pointers and module.aliased_calls:
        because = "this call may reach and write a variable by two pointers, or by one and by name"
        raise ShaderError(because, module.aliased_calls[0])
    if not profile.extends_the_language:
        for name, place in module.checked.extensions.items():
            raise ShaderError(f"this needs the language extension {name}", place)


def make_pipeline(device: DeviceState, label: str, layout: Any, compute: Any) -> GPUComputePipeline:
    """A checked pipeline; GPUValidationError if shader and layout do not match."""
    check_keys("ProgrammableStage", compute, _STAGE_KEYS)
    module = compute["module"]
    doing = "create this compute pipeline"
    if not isinstance(layout, GPUPipelineLayout) and layout != "auto":
        raise TypeError(
            "create_compute_pipeline() 'layout' arg must be a GPUPipelineLayout or 'auto'"
        )
    constants = _constants(compute.get("constants"))
    parts = (module,) if layout == "auto" else (module, layout)
    if any(part._device.home is not device.home for part in parts):
        raise invalid(doing, "its parts are another device's", "two devices are mixed up")
    name = _entry_point(module.module, compute.get("entry_point"), doing)
    entry = _entry(module.module, name, constants, doing)
    _check_size(device, entry, doing)
    if device.checks is not None:
        entry = checked(entry, device.checks, module.module.text)
    if layout == "auto":
        return GPUComputePipeline(device, label, entry, None)
    because_of = _mismatch(layout.layouts, bindings_of(entry))
    if entry.point.immediate_bytes > layout.immediate_size:
        because_of = f"its immediates need {entry.point.immediate_bytes} bytes"
    if because_of:
        raise invalid(doing, because_of, "a layout of another kernel")
    return GPUComputePipeline(device, label, entry, layout.layouts)


def _entry_point(module: Module, wanted: Any, doing: str) -> str:
    names = module.entry_points
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is None:
        because = f"its module has {len(names)} compute entry points and none is named"
        raise invalid(doing, because, "entry_point is missing")
    if wanted not in names:
        shown = " or ".join(repr(name) for name in names) or "another stage"
        raise invalid(doing, f"its module has no entry point {wanted!r}", f"{shown} was meant")
    return str(wanted)


def _constants(given: Any) -> Mapping[Any, float]:
    """The constants as given; AssertionError, as in wgpu-py, if a key or value has a wrong type."""
    for key, value in (given or {}).items():
        if not isinstance(key, str | int) or not isinstance(value, int | float):
            raise AssertionError(
                f"cannot set constant {key!r} to {value!r} because a constant is a number of "
                "Python's (probably float() of it was meant)"
            )
    return given or {}


def _entry(module: Module, name: str, constants: Mapping[Any, float], doing: str) -> Entry:
    known = [override_key(each) for each in module.overrides]
    for key in constants:
        if str(key) not in known:
            because = f"its module has no constant {key!r}"
            raise invalid(doing, because, "it belongs to another shader")
    try:
        entry = module.entry(name, constants)
        entry.compile()
        return entry
    except ShaderError as error:
        raise invalid(doing, str(error), "a constant of a wrong value") from error


def _check_size(device: DeviceState, entry: Entry, doing: str) -> None:
    """Refuse an entry point past the limits on bind groups and workgroups."""
    point, limits = entry.point, device.limits
    limit = limits["max-bind-groups"]
    for binding in point.bindings:
        if binding.group >= limit:
            because = f"{binding.name} is in group {binding.group}, not below {limit}"
            raise invalid(doing, because, "a wrong number")
    for axis, size in zip("xyz", point.workgroup_size, strict=True):
        limit = limits[f"max-compute-workgroup-size-{axis}"]
        if size > limit:
            because = f"its workgroup size {axis} is {size}, above {limit}"
            raise invalid(doing, because, LARGER_LIMIT)
    count = math.prod(point.workgroup_size)
    limit = limits["max-compute-invocations-per-workgroup"]
    if count > limit:
        raise invalid(doing, f"its workgroup has {count} invocations, above {limit}", LARGER_LIMIT)
    limit = limits["max-compute-workgroup-storage-size"]
    if point.workgroup_bytes > limit:
        because = f"its workgroup memory has {point.workgroup_bytes} bytes, above {limit}"
        raise invalid(doing, because, LARGER_LIMIT)


def _mismatch(
    layouts: tuple[GPUBindGroupLayout | None, ...], wanted: Iterable[Iterable[LayoutEntry]]
) -> str | None:
    """Why a layout does not fit a shader; None if it fits."""
    for group, entries in enumerate(wanted):
        layout = layouts[group] if group < len(layouts) else None
        known = layout.entries if layout else {}
        for entry in entries:
            given = known.get(entry.binding)
            if given is None or not given.visibility & _COMPUTE:
                return f"its layout has no binding {entry.binding} for compute shaders"
            if given.kind != entry.kind:
                return f"binding {entry.binding} is {entry.kind} in the shader, not {given.kind}"
            if given.min_size and given.min_size < entry.min_size:
                return f"binding {entry.binding} needs {entry.min_size} bytes, not {given.min_size}"
    return None


Slots = dict[tuple[int, int], BoundRange]


class Plan:
    """An entry point and the bytes bound to it; ``run(x, y, z)`` executes a grid of workgroups."""

    __slots__ = ("_ranges", "immediates", "run")

    refusal: str | None = None

    def __init__(self, pipeline: GPUComputePipeline, ranges: Slots) -> None:
        self._ranges = ranges
        bounds = [ranges[slot] for slot in pipeline.least_sizes]
        size_bytes = pipeline.entry.point.immediate_bytes
        self.immediates = np.zeros(size_bytes, np.uint8) if size_bytes else _NO_IMMEDIATES
        """The bytes of the immediates, which each dispatch sets before it runs."""
        self.run = pipeline.entry.bind(
            [_array(bound.size, _BYTE, bound.buffer.memory, bound.offset) for bound in bounds],
            self.immediates,
        )

    def writes(self, buffer: GPUBuffer) -> bool:
        """Whether the dispatch may write ``buffer``."""
        return any(
            bound.buffer is buffer and bound.entry.kind == "storage"
            for bound in self._ranges.values()
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
        # The plan depends on nothing but the pipeline and this group, so the group keeps it.
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
    ranges: Slots = {}
    for index, layout in enumerate(pipeline.layouts):
        if layout is None:
            continue
        if index not in groups:
            return Refusal(f"bind group {index} is not set")
        group, offsets = groups[index]
        if not group.layout.equivalent(layout):
            return Refusal(f"bind group {index} is of another layout than the pipeline's")
        for bound in _shifted(group, offsets) if offsets else group.ranges:
            ranges[index, bound.entry.binding] = bound
    because = _too_small(pipeline, ranges) or _conflict([*ranges.values()], refuses_aliases)
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


def _too_small(pipeline: GPUComputePipeline, ranges: Slots) -> str | None:
    for slot, least in pipeline.least_sizes.items():
        bound = ranges[slot]
        if bound.size < least:
            return f"binding {bound.entry.binding} has {bound.size} bytes and needs {least}"
    return None


def _conflict(ranges: list[BoundRange], refuses_aliases: bool) -> str | None:
    """Why the ranges may not be used together; None if they may.

    In a usage scope a buffer counts as a whole: a writable use of some of its bytes excludes every
    read-only use of the buffer.  Two writable uses may go together if they do not overlap.
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
