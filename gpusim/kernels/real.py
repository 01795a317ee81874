"""Float kernels: each states the relative error of one application.

Exact kernels do not belong here.
"""

from typing import Any

import numpy as np

from gpusim.kernels.kernel import Array, Binding, Kernel, Scalar


def _blend(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    x, y = arrays
    (a,) = scalars
    n = min(len(x), len(y), groups * 64)
    y[:n] = np.abs(x[:n]) * np.abs(a) + np.abs(y[:n]) * np.float32(0.5)


BLEND = Kernel(
    name="blend",
    buffers=(
        Binding(name="x", dtype="f32"),
        Binding(name="y", dtype="f32", access="read_write"),
    ),
    scalars=(Scalar(name="a", dtype="f32"),),
    body=(
        "    if (i < min(arrayLength(&x), arrayLength(&y))) {\n"
        "        y[i] = abs(x[i]) * abs(args.a) + abs(y[i]) * 0.5;\n"
        "    }"
    ),
    meaning=_blend,
    tolerance=2.0**-21,
)
"""y <- |a|*|x| + |y|/2: terms of one sign, so errors add up and nothing cancels."""
