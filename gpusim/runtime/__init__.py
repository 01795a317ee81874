"""The batched runtime on wgpu-py.  The import loads wgpu."""

from gpusim.runtime.buffers import Buffer, BufferPart
from gpusim.runtime.drivers.driver import Driver, WgpuDriver
from gpusim.runtime.drivers.native import NativeDriver, driver_for
from gpusim.runtime.drivers.traced import TracedDriver
from gpusim.runtime.graph import Graph
from gpusim.runtime.parts import Parts
from gpusim.runtime.policy import PRESETS, Policy, Uniforms, parse_policy
from gpusim.runtime.readbacks import Ticket
from gpusim.runtime.runtime import Runtime
from gpusim.runtime.stats import Counts, Stats
from gpusim.runtime.traced_parts import traced_parts

__all__ = [
    "PRESETS",
    "Buffer",
    "BufferPart",
    "Counts",
    "Driver",
    "Graph",
    "NativeDriver",
    "Parts",
    "Policy",
    "Runtime",
    "Stats",
    "Ticket",
    "TracedDriver",
    "Uniforms",
    "WgpuDriver",
    "driver_for",
    "parse_policy",
    "traced_parts",
]
