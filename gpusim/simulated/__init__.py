"""A WebGPU device in pure Python: strict, adversarial and deterministic.

It has the interface of wgpu-py's device and needs no driver: shaders are compiled to
NumPy.  It refuses what the specification refuses.  A Scheduler decides what
the specification leaves open.  The import loads no native library.
"""

from gpusim.simulated.adapter import (
    GPU,
    GPUAdapter,
    make_adapter,
    on_device,
    open_device,
    stand_in,
)
from gpusim.simulated.device import GPUDevice
from gpusim.simulated.faults import NO_FAULTS, FaultPlan, parse_faults
from gpusim.simulated.profile import PROFILES, SPEC, WGPU_NATIVE, Profile
from gpusim.simulated.scheduler import (
    STRATEGIES,
    AsEarly,
    AsLate,
    AtRandom,
    Drawn,
    Recording,
    Replaying,
    Scheduler,
    explore,
    parse_schedule,
    strategy,
    write_schedule,
)

__all__ = [
    "GPU",
    "NO_FAULTS",
    "PROFILES",
    "SPEC",
    "STRATEGIES",
    "WGPU_NATIVE",
    "AsEarly",
    "AsLate",
    "AtRandom",
    "Drawn",
    "FaultPlan",
    "GPUAdapter",
    "GPUDevice",
    "Profile",
    "Recording",
    "Replaying",
    "Scheduler",
    "explore",
    "make_adapter",
    "on_device",
    "open_device",
    "parse_faults",
    "parse_schedule",
    "stand_in",
    "strategy",
    "write_schedule",
]
