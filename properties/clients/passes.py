"""Compute passes of a walk: the shaders, what they make of the words of buffers, and how a pass of
several dispatches is encoded.

Before a dispatch, a pass sets what differs from the dispatch before, or sets everything again.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import wgpu

from gpusim.limits import WORD_BYTES
from properties.clients.blocks import Block

_HEAD = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(1) @binding(0) var<storage, read_write> y: array<u32>;
override factor: u32 = 3u;
"""
_ENTRY = "@compute @workgroup_size(1) fn {}(@builtin(workgroup_id) at: vec3<u32>)"
_PLAIN = f"""{_HEAD}
{_ENTRY.format("scale")} {{ x[at.x] = x[at.x] * factor + 7u; }}
{_ENTRY.format("shift")} {{ x[at.x] = (x[at.x] << 1u) ^ 5u; }}
{_ENTRY.format("add")} {{ x[at.x] = x[at.x] * 3u + y[at.x]; }}
"""
_WITH_IMMEDIATES = f"""{_HEAD}
var<immediate> by: vec2<u32>;
{_ENTRY.format("affine")} {{ x[at.x] = x[at.x] * by.x + by.y; }}
"""
_IMMEDIATES = "immediates"


class Shader(NamedTuple):
    """A shader.  ``meaning`` returns the new words of x, given the words of x and y and the
    immediates."""

    code: str
    entry: str
    meaning: Callable[[Any, Any, Any], Any]
    constants: Mapping[str, float] = {}


_u32 = np.uint32
SHADERS: Mapping[str, Shader] = {
    "scale by 3": Shader(_PLAIN, "scale", lambda x, y, by: x * _u32(3) + _u32(7)),
    "scale by 5": Shader(_PLAIN, "scale", lambda x, y, by: x * _u32(5) + _u32(7), {"factor": 5}),
    "shift": Shader(_PLAIN, "shift", lambda x, y, by: (x << _u32(1)) ^ _u32(5)),
    "add": Shader(_PLAIN, "add", lambda x, y, by: x * _u32(3) + y),
    "affine": Shader(_WITH_IMMEDIATES, "affine", lambda x, y, by: x * by[0] + by[1]),
}
_TAKES_IMMEDIATES = "affine"


class Pipelines:
    """The pipelines of a device by shader, all over two bind groups of one layout."""

    def __init__(self, device: Any) -> None:
        entry = {"binding": 0, "visibility": wgpu.ShaderStage.COMPUTE}
        self.layout = device.create_bind_group_layout(
            entries=[{**entry, "buffer": {"type": "storage"}}]
        )
        self.by_name: dict[str, Any] = {}
        modules: dict[str, tuple[Any, Any]] = {}
        for name, (code, entry_point, _, constants) in SHADERS.items():
            if code is _WITH_IMMEDIATES and _IMMEDIATES not in device.features:
                continue
            if code not in modules:
                modules[code] = device.create_shader_module(code=code), self._layout(device, code)
            module, layout = modules[code]
            compute = {"module": module, "entry_point": entry_point, "constants": {**constants}}
            self.by_name[name] = device.create_compute_pipeline(layout=layout, compute=compute)

    def _layout(self, device: Any, code: str) -> Any:
        about = {"immediate_size": 2 * WORD_BYTES} if code is _WITH_IMMEDIATES else {}
        return device.create_pipeline_layout(bind_group_layouts=[self.layout] * 2, **about)


class Dispatched(NamedTuple):
    """A dispatch over the first ``words`` words of ``x``; ``resets``: whether its pass sets
    everything again before it."""

    shader: str
    x: Block
    y: Block
    words: int
    by: Any
    resets: bool

    def act(self) -> None:
        """Do to the bytes of ``x`` what the dispatch does."""
        x, y = [each.bytes[: self.words * WORD_BYTES].view(_u32) for each in (self.x, self.y)]
        changed = SHADERS[self.shader].meaning(x, y, self.by)
        self.x.put(0, changed.view(np.uint8), f"dispatch {self.shader}")


def encode_pass(encoder: Any, pipelines: Pipelines, dispatches: Sequence[Dispatched]) -> None:
    """Encode a compute pass."""
    begun = encoder.begin_compute_pass()
    shader, groups, by = "", [None, None], np.zeros(2, _u32)
    for each in dispatches:
        if each.shader != shader or each.resets:
            begun.set_pipeline(pipelines.by_name[each.shader])
            shader = each.shader
        for index, block in enumerate((each.x, each.y)):
            if groups[index] is not block.group or each.resets:
                begun.set_bind_group(index, block.group)
                groups[index] = block.group
        if each.shader == _TAKES_IMMEDIATES:
            for at in range(len(by)):
                if by[at] != each.by[at] or each.resets:
                    start = at * WORD_BYTES
                    begun.set_immediates(start, each.by, start, WORD_BYTES)
            by = each.by
        begun.dispatch_workgroups(each.words)
    begun.end()
