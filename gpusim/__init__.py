"""gpusim: a batched WebGPU compute runtime, and the judge of such runtimes.

The import gives the vocabulary.  It loads neither wgpu nor the runtime: ``Runtime``,
``Policy`` and ``open_device`` are imported when they are first used.
"""

from typing import TYPE_CHECKING, Any

from gpusim.errors import GpusimError
from gpusim.kernels import BUILTIN, Binding, Kernel, Kernels, Scalar
from gpusim.limits import Limits
from gpusim.program import Program

if TYPE_CHECKING:
    from gpusim.devices import open_device
    from gpusim.runtime import Buffer, Policy, Runtime, Ticket

__version__ = "0.1.0"

_LATE = {
    "Buffer": "gpusim.runtime",
    "Policy": "gpusim.runtime",
    "Runtime": "gpusim.runtime",
    "Ticket": "gpusim.runtime",
    "open_device": "gpusim.devices",
}

__all__ = [
    "BUILTIN",
    "Binding",
    "Buffer",
    "GpusimError",
    "Kernel",
    "Kernels",
    "Limits",
    "Policy",
    "Program",
    "Runtime",
    "Scalar",
    "Ticket",
    "open_device",
]


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'gpusim' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATE[name]), name)
