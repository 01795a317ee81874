"""Checked calls as data, over the caller's handles: what a graph keeps of them.

They name handles and not device buffers, so that a replay can put others in
their place.  Nothing here checks or records.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gpusim.kernels import Kernel
from gpusim.program import Grid, Scalars
from gpusim.runtime.buffers import Buffer


class DispatchCall(NamedTuple):
    """Run ``kernel`` over ``grid`` workgroups."""

    kernel: Kernel
    buffers: tuple[Buffer, ...]
    scalars: Scalars
    grid: Grid


class CopyCall(NamedTuple):
    """Copy ``size_bytes`` bytes, at any offsets, from a buffer to another or to itself."""

    source: Buffer
    source_offset: int
    target: Buffer
    target_offset: int
    size_bytes: int

    def over(self, names: Mapping[Buffer, Buffer]) -> "CopyCall":
        """The same between the buffers that stand in their places."""
        return self._replace(source=names[self.source], target=names[self.target])


Call = DispatchCall | CopyCall
