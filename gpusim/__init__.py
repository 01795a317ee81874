"""gpusim: a batched WebGPU compute runtime, and the judge of such runtimes.

The import loads neither wgpu nor the runtime: the names in ``_LATE`` are imported when they are
first used.  Every name that a user of the runtime has to write is here.
"""

from typing import TYPE_CHECKING, Any

from gpusim.errors import (
    DataLost,
    DeviceFault,
    DeviceLost,
    GpusimError,
    InternalError,
    InvalidBinding,
    InvalidCapture,
    InvalidData,
    InvalidHandle,
    InvalidKernel,
    InvalidScalar,
    LimitExceeded,
    MapFailed,
    NoDevice,
    OutOfMemory,
    OutOfRange,
    ProgramError,
    Refused,
    RuntimeClosed,
    SubmitFailed,
    WaitTimedOut,
    WrongThread,
)
from gpusim.kernels import BUILTIN, Binding, Kernel, Kernels, Scalar
from gpusim.limits import Limits
from gpusim.program import Program

if TYPE_CHECKING:
    from gpusim.devices import adapters, open_device
    from gpusim.layer import Report, Sanitizer, sanitize
    from gpusim.runtime import PRESETS, Buffer, Graph, Policy, Runtime, Stats, Ticket, Uniforms

__version__ = "0.1.0"

_LATE = {
    "Buffer": "gpusim.runtime",
    "Graph": "gpusim.runtime",
    "PRESETS": "gpusim.runtime",
    "Policy": "gpusim.runtime",
    "Report": "gpusim.layer",
    "Runtime": "gpusim.runtime",
    "Sanitizer": "gpusim.layer",
    "Stats": "gpusim.runtime",
    "Ticket": "gpusim.runtime",
    "Uniforms": "gpusim.runtime",
    "adapters": "gpusim.devices",
    "open_device": "gpusim.devices",
    "sanitize": "gpusim.layer",
}

__all__ = [
    "BUILTIN",
    "PRESETS",
    "Binding",
    "Buffer",
    "DataLost",
    "DeviceFault",
    "DeviceLost",
    "GpusimError",
    "Graph",
    "InternalError",
    "InvalidBinding",
    "InvalidCapture",
    "InvalidData",
    "InvalidHandle",
    "InvalidKernel",
    "InvalidScalar",
    "Kernel",
    "Kernels",
    "LimitExceeded",
    "Limits",
    "MapFailed",
    "NoDevice",
    "OutOfMemory",
    "OutOfRange",
    "Policy",
    "Program",
    "ProgramError",
    "Refused",
    "Report",
    "Runtime",
    "RuntimeClosed",
    "Sanitizer",
    "Scalar",
    "Stats",
    "SubmitFailed",
    "Ticket",
    "Uniforms",
    "WaitTimedOut",
    "WrongThread",
    "adapters",
    "open_device",
    "sanitize",
]


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'gpusim' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
