"""A kernel of one's own: its WGSL, its meaning in NumPy, and one signature for both.

gpusim fuzz --kernels examples/own_kernel.py
"""

from typing import Any

from gpusim import Binding, Kernel, Scalar


def _saturate(arrays: tuple[Any, ...], scalars: tuple[Any, ...], groups: int) -> None:
    (x,), (most,) = arrays, scalars
    x[: groups * 64].clip(max=most, out=x[: groups * 64])


SATURATE = Kernel(
    name="saturate",
    buffers=(Binding(name="x", access="read_write"),),
    scalars=(Scalar(name="most"),),
    body="    if (i < arrayLength(&x)) { x[i] = min(x[i], args.most); }",
    meaning=_saturate,
)
KERNELS = [SATURATE]
