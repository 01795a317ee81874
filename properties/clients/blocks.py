"""What a walk over a device uses: buffers with the bytes that they must hold, and pipelines.

Nothing here chooses a call.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import wgpu

from gpusim.limits import WORD_BYTES
from properties.clients.client import BrokenPromise

_HEAD = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
"""
_ENTRY = "@compute @workgroup_size(1) fn {}(@builtin(workgroup_id) at: vec3<u32>)"
_PLAIN = f"""{_HEAD}
{_ENTRY.format("triple")} {{ x[at.x] = x[at.x] * 3u + 7u; }}
{_ENTRY.format("shift")} {{ x[at.x] = (x[at.x] << 1u) ^ 5u; }}
"""
AFFINE = "affine"
"""The only shader with immediates: a factor and a summand."""
_WITH_IMMEDIATES = f"""{_HEAD}
var<immediate> by: vec2<u32>;
{_ENTRY.format(AFFINE)} {{ x[at.x] = x[at.x] * by.x + by.y; }}
"""
MEANINGS: Mapping[str, Callable[[Any, Any], Any]] = {
    "triple": lambda x, by: x * np.uint32(3) + np.uint32(7),
    "shift": lambda x, by: (x << np.uint32(1)) ^ np.uint32(5),
    AFFINE: lambda x, by: x * by[0] + by[1],
}
"""What each shader makes of its first words."""
_IMMEDIATES = "immediates"


class Block:
    """A buffer, and the bytes that it must hold."""

    def __init__(self, kind: str, native: Any) -> None:
        self.kind = kind
        self.native = native
        self.bytes = np.zeros(native.size, np.uint8)
        self.group: Any = None
        self._writes: list[tuple[int, int, str]] = []

    def put(self, start: int, data: Any, said: str) -> None:
        """Note that a call, ``said`` in words, writes ``data`` from ``start`` on."""
        end = start + len(data)
        self.bytes[start:end] = data
        self._writes.append((start, end, said))

    def compare(self, shown: Any, start: int, size: int) -> None:
        """Compare bytes that the device has shown.  BrokenPromise if they are wrong."""
        got, meant = bytes(shown), self.bytes[start : start + size].tobytes()
        if got == meant:
            return
        pairs = zip(got, meant, strict=False)
        wrong = next((at for at, (one, other) in enumerate(pairs) if one != other), len(meant))
        at, shows = start + wrong, got[wrong : wrong + 1].hex() or "missing"
        said = [said for begin, end, said in self._writes if begin <= at < end]
        writer = said[-1] if said else "nobody"
        raise BrokenPromise(
            f"byte {at} of a buffer for {self.kind}, of {self.bytes.size} bytes, must be "
            f"{meant[wrong : wrong + 1].hex()}, and is {shows}; it was last written by {writer}"
        )


class Pipelines:
    """The pipelines of a device, all over one bind group layout."""

    def __init__(self, device: Any) -> None:
        entry = {"binding": 0, "visibility": wgpu.ShaderStage.COMPUTE}
        self.layout = device.create_bind_group_layout(
            entries=[{**entry, "buffer": {"type": "storage"}}]
        )
        self.by_name: dict[str, Any] = {}
        self._add(device, _PLAIN, "triple", "shift")
        if _IMMEDIATES in device.features:
            self._add(device, _WITH_IMMEDIATES, AFFINE, immediate_size=2 * WORD_BYTES)

    def _add(self, device: Any, code: str, *names: str, **about: int) -> None:
        module = device.create_shader_module(code=code)
        layout = device.create_pipeline_layout(bind_group_layouts=[self.layout], **about)
        for name in names:
            self.by_name[name] = device.create_compute_pipeline(
                layout=layout, compute={"module": module, "entry_point": name}
            )
