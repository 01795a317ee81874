"""The batched runtime on wgpu-py.  The import loads wgpu."""

from gpusim.runtime.buffers import Buffer
from gpusim.runtime.drivers.driver import Driver, WgpuDriver
from gpusim.runtime.drivers.native import NativeDriver, driver_for
from gpusim.runtime.drivers.traced import TracedDriver, traced_parts
from gpusim.runtime.graph import Graph
from gpusim.runtime.parts import Parts
from gpusim.runtime.policy import PRESETS, Policy, Uniforms, parse_policy
from gpusim.runtime.readbacks import Ticket
from gpusim.runtime.runtime import Runtime
from gpusim.runtime.stats import Counts, Stats

__all__ = [
    "PRESETS",
    "Buffer",
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
