"""Bind group layouts, bind groups and pipeline layouts: what a dispatch may reach.

Source: WebGPU specification, section 8 "Resource Binding".  Only buffers can be
bound; there are no textures and no samplers here.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import wgpu

from gpusim.simulated.buffer import DESTROYED, GPUBuffer, flag_bits
from gpusim.simulated.profile import LARGER_LIMIT, aborting, check_keys, invalid, unsigned
from gpusim.simulated.state import DeviceState, next_uid

_TYPES = ("buffer", "sampler", "texture", "storage_texture")
_ENTRY_KEYS = ("binding", "visibility", "binding_array_size", *_TYPES, "external_texture")
_BUFFER_BINDINGS = (dict, wgpu.BufferBinding)
_BUFFER_KEYS = ("type", "has_dynamic_offset", "min_binding_size")
_BUFFER_TYPES = ("uniform", "storage", "read-only-storage")
_STAGES = wgpu.ShaderStage.VERTEX | wgpu.ShaderStage.FRAGMENT | wgpu.ShaderStage.COMPUTE
_COMPUTE = wgpu.ShaderStage.COMPUTE
_SLOT_LIMITS = (
    "max-uniform-buffers-per-shader-stage",
    "max-storage-buffers-per-shader-stage",
    "max-dynamic-uniform-buffers-per-pipeline-layout",
    "max-dynamic-storage-buffers-per-pipeline-layout",
)
_new_tuple = tuple.__new__
"""Makes a named tuple at half the cost of calling its class."""
_UNIFORM, _STORAGE = wgpu.BufferUsage.UNIFORM, wgpu.BufferUsage.STORAGE


class LayoutEntry(NamedTuple):
    """One binding of a layout."""

    binding: int
    kind: str
    dynamic: bool
    min_size: int
    visibility: int


class Rule(NamedTuple):
    """The conditions on a range that fills an entry, under the device's limits."""

    entry: LayoutEntry
    usage: int
    shortest: int
    longest: int
    alignment: int
    multiple: int


class BoundRange(NamedTuple):
    """A range of bytes of a buffer, and the layout entry that it fills."""

    entry: LayoutEntry
    buffer: GPUBuffer
    offset: int
    size: int


Given = tuple[int, GPUBuffer, int, int]
"""A bind group entry before it is checked: binding, buffer, offset and size."""


class GPUBindGroupLayout:
    """What a bind group holds; made by ``GPUDevice.create_bind_group_layout``.

    ``owner`` is the ``uid`` of the pipeline that made this layout automatically; 0 if the program
    made it.  Bind groups fit only layouts of the same owner (specification, "group-equivalent").
    """

    __slots__ = (
        "__weakref__",
        "_device",
        "dynamic",
        "entries",
        "label",
        "numbers",
        "owner",
        "rules",
        "uid",
    )

    def __init__(
        self, device: DeviceState, label: str, entries: Iterable[LayoutEntry], owner: int = 0
    ) -> None:
        self._device = device
        self.label = label
        self.uid = next_uid()
        self.entries = {entry.binding: entry for entry in sorted(entries)}
        self.dynamic = tuple(entry for entry in self.entries.values() if entry.dynamic)
        self.owner = owner
        self.numbers = list(self.entries)
        self.rules = [_rule(device, entry) for entry in self.entries.values()]

    def equivalent(self, other: "GPUBindGroupLayout") -> bool:
        """Whether bind groups of one layout fit the other."""
        return self is other or (self.owner == other.owner and self.entries == other.entries)


class GPUBindGroup:
    """Buffers bound together; made by ``GPUDevice.create_bind_group``."""

    __slots__ = (
        "__weakref__",
        "_device",
        "buffers",
        "label",
        "layout",
        "plan",
        "planned_for",
        "ranges",
        "uid",
    )

    def __init__(
        self, device: DeviceState, label: str, layout: GPUBindGroupLayout, ranges: list[BoundRange]
    ) -> None:
        self._device = device
        self.label = label
        self.uid = next_uid()
        self.layout = layout
        self.ranges = ranges
        self.buffers = dict.fromkeys([bound.buffer for bound in ranges])
        self.planned_for = 0
        self.plan: Any = None
        """The ``pipeline.Plan`` of dispatches that bind only this group; None before the first.

        It is for the pipeline whose ``uid`` is ``planned_for``.
        """


class GPUPipelineLayout:
    """The bind group layouts of a pipeline; made by ``GPUDevice.create_pipeline_layout``."""

    __slots__ = ("__weakref__", "_device", "immediate_size", "label", "layouts", "uid")

    def __init__(
        self,
        device: DeviceState,
        label: str,
        layouts: Sequence[GPUBindGroupLayout | None],
        immediate_size: int,
    ) -> None:
        self._device = device
        self.label = label
        self.uid = next_uid()
        self.layouts = tuple(layouts)
        self.immediate_size = immediate_size


def make_layout(device: DeviceState, label: str, entries: Iterable[Any]) -> GPUBindGroupLayout:
    """A checked bind group layout.

    Raises:
        ValueError, KeyError, TypeError, OverflowError: a malformed entry.
        GPUValidationError: entries that are not valid, or exceed this device's limits.
    """
    read = [_layout_entry(device, entry) for entry in entries]
    doing = "create this bind group layout"
    limit = device.limits["max-bindings-per-bind-group"]
    for place, entry in enumerate(read):
        if any(entry.binding == earlier.binding for earlier in read[:place]):
            raise invalid(doing, f"binding {entry.binding} occurs twice", "a copied entry")
        if entry.binding >= limit:
            raise invalid(doing, f"binding {entry.binding} is not below {limit}", "a wrong number")
        _check_stages(device, entry)
    _check_slots(device, read, doing)
    return GPUBindGroupLayout(device, label, read)


def make_pipeline_layout(
    device: DeviceState, label: str, layouts: Sequence[Any], immediate_size: int
) -> GPUPipelineLayout:
    """A checked pipeline layout; GPUValidationError if it exceeds a limit."""
    doing = "create this pipeline layout"
    for layout in layouts:
        if layout is None and device.profile.unsets_bind_groups:
            continue
        if layout._device.home is not device.home:
            raise invalid(doing, "a layout is another device's", "two devices are mixed up")
    limit = device.limits["max-bind-groups"]
    if len(layouts) > limit:
        raise invalid(doing, f"{len(layouts)} groups are more than {limit}", LARGER_LIMIT)
    entries = [entry for layout in layouts if layout for entry in layout.entries.values()]
    _check_slots(device, entries, doing)
    most = device.limits["max-immediate-size"]
    size = unsigned(immediate_size, 32)
    if size % 4 or size > most:
        because = f"{size} bytes of immediates are not a multiple of 4, or are more than {most}"
        raise invalid(doing, because, LARGER_LIMIT)
    return GPUPipelineLayout(device, label, layouts, size)


def make_bind_group(
    device: DeviceState, label: str, layout: GPUBindGroupLayout, entries: Sequence[Any]
) -> GPUBindGroup:
    """A checked bind group.

    Raises:
        ValueError, KeyError, TypeError, OverflowError: a malformed entry.
        GPUValidationError: an entry that does not fit the layout, its buffer or a limit.
    """
    doing = "create this bind group"
    given = [_bind_entry(device, entry) for entry in entries]
    if layout._device.home is not device.home:
        raise invalid(doing, "its layout is another device's", "two devices are mixed up")
    if len(given) != len(layout.entries):
        because = f"it has {len(given)} entries and its layout has {len(layout.entries)}"
        raise invalid(doing, because, "an entry was forgotten")
    numbers = [entry[0] for entry in given]
    if numbers != layout.numbers:
        _check_numbers(layout, numbers)
        given.sort(key=_binding_of)
    ranges = [
        _bound(device, rule, buffer, offset, size)
        for rule, (_, buffer, offset, size) in zip(layout.rules, given, strict=True)
    ]
    return GPUBindGroup(device, label, layout, ranges)


def _rule(device: DeviceState, entry: LayoutEntry) -> Rule:
    limits, shortest = device.limits, max(1, entry.min_size)
    if entry.kind == "uniform":
        longest = limits["max-uniform-buffer-binding-size"]
        alignment = limits["min-uniform-buffer-offset-alignment"]
        return Rule(entry, _UNIFORM, shortest, longest, alignment, 1)
    longest = limits["max-storage-buffer-binding-size"]
    alignment = limits["min-storage-buffer-offset-alignment"]
    return Rule(entry, _STORAGE, shortest, longest, alignment, 4)


def _binding_of(given: Given) -> int:
    return given[0]


def _check_numbers(layout: GPUBindGroupLayout, numbers: list[int]) -> None:
    doing = "create this bind group"
    for place, number in enumerate(numbers):
        if number not in layout.entries:
            raise invalid(doing, f"its layout has no binding {number}", "a wrong number")
        if number in numbers[:place]:
            raise invalid(doing, f"binding {number} occurs twice", "a copied entry")


def _layout_entry(device: DeviceState, given: Any) -> LayoutEntry:
    check_keys("BindGroupLayoutEntry", given, _ENTRY_KEYS)
    types = [name for name in _TYPES if given.get(name) is not None]
    if not types:
        raise ValueError(
            "Bind group layout entry did not contain field 'buffer', 'sampler', 'texture', "
            "nor 'storage_texture'"
        )
    doing = "create this bind group layout"
    if len(types) > 1 and device.profile.checks_entry_types:
        raise invalid(doing, f"an entry names {' and '.join(types)}", "one was left over")
    if types[0] != "buffer":
        raise invalid(doing, f"a simulated device binds no {types[0]}", "a buffer was meant")
    info = given["buffer"]
    check_keys("BufferBindingLayout", info, _BUFFER_KEYS)
    visibility = given["visibility"]
    if isinstance(visibility, str):
        visibility = flag_bits(wgpu.ShaderStage, visibility)
    kind = info.get("type", "uniform")
    if kind not in _BUFFER_TYPES:
        raise KeyError(f"BufferBindingType.{kind}")
    return LayoutEntry(
        unsigned(int(given["binding"]), 32),
        kind,
        bool(info.get("has_dynamic_offset", False)),
        unsigned(info.get("min_binding_size") or 0),
        int(visibility),
    )


def _check_stages(device: DeviceState, entry: LayoutEntry) -> None:
    doing = "create this bind group layout"
    if entry.visibility & ~_STAGES and device.profile.checks_visibility:
        raise invalid(doing, f"visibility {entry.visibility} has unknown bits", "a wrong flag")
    if entry.visibility & wgpu.ShaderStage.VERTEX and entry.kind == "storage":
        raise invalid(doing, "a vertex shader may not write a buffer", "COMPUTE was meant")


def _check_slots(device: DeviceState, entries: Sequence[LayoutEntry], doing: str) -> None:
    """Refuse more entries than the limits allow.

    This is the specification's "exceeds the binding slot limits", as far as it is about buffers.
    """
    counts = dict.fromkeys(_SLOT_LIMITS, 0)
    for entry in entries:
        kind = "uniform" if entry.kind == "uniform" else "storage"
        if entry.visibility & _COMPUTE:
            counts[f"max-{kind}-buffers-per-shader-stage"] += 1
        if entry.dynamic:
            counts[f"max-dynamic-{kind}-buffers-per-pipeline-layout"] += 1
    for name, count in counts.items():
        limit = device.limits[name]
        if count > limit:
            raise invalid(doing, f"{count} exceeds {name}={limit}", LARGER_LIMIT)


def _bind_entry(device: DeviceState, given: Any) -> Given:
    if len(given) != 2 or "binding" not in given or "resource" not in given:
        check_keys("BindGroupEntry", given, ("binding", "resource"))
    resource = given["resource"]
    size: Any
    binding = given["binding"]
    if type(binding) is not int or binding < 0:
        binding = unsigned(int(binding), 32)
    if isinstance(resource, GPUBuffer):
        buffer, offset, size = resource, 0, resource.size
    elif isinstance(resource, _BUFFER_BINDINGS):
        buffer = resource["buffer"]
        offset = resource.get("offset", 0)
        size = resource.get("size")
        if type(offset) is not int or offset < 0:
            offset = unsigned(offset)
        if size is None:
            return binding, buffer, offset, max(0, buffer.size - offset)
        if type(size) is not int or size < 0:
            size = unsigned(size)
    else:
        raise TypeError(f"Unexpected resource type {type(resource)}")
    if size == 0:
        error = invalid("bind a buffer", "the range has no bytes", "the buffer is empty")
        raise aborting(error, device.profile.empty_binding_raises)
    return binding, buffer, offset, size


def _bound(
    device: DeviceState, rule: Rule, buffer: GPUBuffer, offset: int, size: int
) -> BoundRange:
    doing = "create this bind group"
    if buffer._device is not device:
        raise invalid(doing, "a buffer is another device's", "two devices are mixed up")
    if buffer.state is DESTROYED and not device.profile.binds_destroyed_buffers:
        raise invalid(doing, "a buffer was destroyed", "it is used too late")
    entry, usage, shortest, longest, alignment, multiple = rule
    if (
        offset + size > buffer.size
        or not shortest <= size <= longest
        or offset % alignment
        or size % multiple
        or not buffer.usage & usage
    ):
        because = _misfit(rule, buffer, offset, size)
        raise invalid(doing, f"binding {entry.binding} {because}", "a wrong range or buffer")
    return _new_tuple(BoundRange, (entry, buffer, offset, size))


def _misfit(rule: Rule, buffer: GPUBuffer, offset: int, size: int) -> str:
    entry = rule.entry
    if size == 0 or offset + size > buffer.size:
        return f"is {size} bytes from byte {offset} on, and its buffer has {buffer.size} bytes"
    if not rule.shortest <= size <= rule.longest:
        return f"has {size} bytes, and {rule.shortest} to {rule.longest} are allowed"
    if offset % rule.alignment:
        return f"starts at {offset}, which is not a multiple of {rule.alignment}"
    if size % rule.multiple:
        return f"has {size} bytes, which is not a multiple of {rule.multiple}"
    return f"is {entry.kind}, for which its buffer lacks the usage"
