"""Kernels described as one operation, for runtimes that take no WGSL but have such operations.

Each adds or multiplies, word by word, a buffer and a scalar, or two buffers.  The result replaces
the first words of the last buffer: 64 for each workgroup, but no more than the shortest buffer has.
Integers are modulo 2^32.  Programs have these kernels only if the target promises them by name.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from gpusim.kernels.builtin import BUILTIN, Kernels
from gpusim.kernels.kernel import Array, Binding, Dtype, Kernel, Meaning, Operation, Scalar

_GROUP = 64
_ROUNDED = 2.0**-22
"""The relative error that a float kernel may have.

WGSL rounds a sum or product correctly (specification, "Floating Point Accuracy"), so a device's own
error is smaller."""
Op = Literal["add", "mul"]
_OPS: dict[Op, tuple[str, Callable[..., Any]]] = {
    "add": ("+", np.add),
    "mul": ("*", np.multiply),
}
_DTYPES: tuple[Dtype, ...] = ("u32", "i32", "f32")


def _by_scalar(compute: Callable[..., Any]) -> Meaning:
    def meaning(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
        head = arrays[0][: groups * _GROUP]
        compute(head, scalars[0], out=head)

    return meaning


def _by_tensor(compute: Callable[..., Any]) -> Meaning:
    def meaning(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
        x, y = arrays
        n = min(len(x), len(y), groups * _GROUP)
        compute(y[:n], x[:n], out=y[:n])

    return meaning


def _scalar_kernel(op: Op, dtype: Dtype) -> Kernel:
    sign, compute = _OPS[op]
    return Kernel(
        name=f"{op}_scalar_{dtype}",
        buffers=(Binding(name="x", dtype=dtype, access="read_write"),),
        scalars=(Scalar(name="a", dtype=dtype),),
        body=f"    if (i < arrayLength(&x)) {{ x[i] = x[i] {sign} args.a; }}",
        meaning=_by_scalar(compute),
        tolerance=_ROUNDED if dtype == "f32" else None,
        operation=Operation(op=op, of="scalar", dtype=dtype),
    )


def _tensor_kernel(op: Op, dtype: Dtype) -> Kernel:
    sign, compute = _OPS[op]
    return Kernel(
        name=f"{op}_tensor_{dtype}",
        buffers=(
            Binding(name="x", dtype=dtype),
            Binding(name="y", dtype=dtype, access="read_write"),
        ),
        body=(f"    if (i < min(arrayLength(&x), arrayLength(&y))) {{ y[i] = y[i] {sign} x[i]; }}"),
        meaning=_by_tensor(compute),
        tolerance=_ROUNDED if dtype == "f32" else None,
        operation=Operation(op=op, of="tensor", dtype=dtype),
    )


ELEMENTWISE = Kernels(
    *(_scalar_kernel(op, dtype) for op in _OPS for dtype in _DTYPES),
    *(_tensor_kernel(op, dtype) for op in _OPS for dtype in _DTYPES),
)
"""``add_scalar_u32`` to ``mul_tensor_f32``, each with its ``operation``."""
OFFERED = BUILTIN.adding(*ELEMENTWISE.values())
"""The kernels that a target may promise."""
