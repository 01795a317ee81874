"""WGSL compute shaders, compiled to Python source over NumPy arrays.

Text becomes tokens, a syntax tree, a typed tree, statements over scalars, and at last Python.
The Python runs whole workgroups at once, each invocation as a lane of its arrays.
Only NumPy and the standard library are used here; nothing here knows a device, the runtime or
the judge.  Source: WebGPU Shading Language (gpuweb/gpuweb, ``wgsl/index.bs``).
"""

from gpusim.wgsl.module import Binding, Entry, Module, compile_module
from gpusim.wgsl.syntax import ShaderError
from gpusim.wgsl.typed import override_key

__all__ = [
    "Binding",
    "Entry",
    "Module",
    "ShaderError",
    "compile_module",
    "override_key",
]
