"""The chains of dependent dispatches that ``bench dispatch`` times.

A chain is data: what is dispatched, how often, and what the caller does in between.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpusim.kernels import AFFINE, Binding, Kernel, Scalar
from gpusim.kernels.kernel import Array

_GROUP = 64


def _spin(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    (x,) = arrays
    a, b, turns = scalars
    head = x[: groups * _GROUP]
    for turn in range(int(turns)):
        head[:] = (head ^ np.uint32(turn)) * a + b


SPIN = Kernel(
    name="bench_spin",
    buffers=(Binding(name="x", access="read_write"),),
    scalars=(Scalar(name="a"), Scalar(name="b"), Scalar(name="turns")),
    body=(
        "    if (i < arrayLength(&x)) {\n"
        "        var t = x[i];\n"
        "        for (var turn = 0u; turn < args.turns; turn++) {\n"
        "            t = (t ^ turn) * args.a + args.b;\n"
        "        }\n"
        "        x[i] = t;\n"
        "    }"
    ),
    meaning=_spin,
)
"""x <- a*(x xor turn) + b, ``turns`` times: as much work for the GPU as is asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """``dispatches`` dispatches in a row on one buffer, no two with the same scalars."""

    name: str
    dispatches: int
    kernel: Kernel = AFFINE
    words: int = 64
    turns: int | None = None
    """The last scalar of ``SPIN``; None for a kernel that has none."""
    caller_us: float = 0.0
    """What the caller computes before each dispatch, in microseconds."""

    @property
    def scalars(self) -> list[tuple[int, ...]]:
        """The scalars of each dispatch."""
        last = () if self.turns is None else (self.turns,)
        return [(2 * n + 1, n, *last) for n in range(self.dispatches)]

    @property
    def groups(self) -> int:
        """Workgroups of each dispatch, a word a lane."""
        return -(-self.words // self.kernel.group_size)
