"""What a mistaken kernel is: its text, the mistake, what shows it, and how it is mended.

A line that a report must name ends in ``//!``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

HEAD = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
"""
MAIN = """
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) l: u32,
        @builtin(workgroup_id) w: vec3u) {
"""


def ramp(count: int) -> Any:
    """The numbers from 0 on."""
    return np.arange(count, dtype=np.uint32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A kernel with one mistake.

    ``mend``: pairs of texts; each first one is replaced by the second.
    ``harmless``: buffers, scalars and grid that do not show the mistake.
    """

    name: str
    kind: str
    text: str
    mend: tuple[tuple[str, str], ...]
    buffers: tuple[Any, ...] = (ramp(256), ramp(256))
    scalars: tuple[Any, ...] = ()
    grid: int | tuple[int, int, int] = 2
    harmless: tuple[Any, ...] | None = None
    arithmetic: bool = False

    @property
    def lines(self) -> set[int]:
        """The lines that a report names."""
        marked = enumerate(self.text.splitlines(), 1)
        return {number for number, line in marked if line.endswith("//!")}

    @property
    def mended(self) -> str:
        """The text without the mistake."""
        text = self.text
        for old, new in self.mend:
            assert old in text, old
            text = text.replace(old, new)
        return text
