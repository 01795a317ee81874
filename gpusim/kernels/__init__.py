"""Kernels: what one is, those that come with gpusim, and how to add yours."""

from gpusim.kernels.builtin import (
    AFFINE,
    BLEND,
    BUILTIN,
    COUNT,
    EXCHANGE,
    FOLD,
    MANY,
    MIX,
    SCRAMBLE,
    TALLY,
    WIDEN,
    Kernels,
)
from gpusim.kernels.bytewise import COPY_BYTES, PATCH_WORDS
from gpusim.kernels.elementwise import ELEMENTWISE, OFFERED
from gpusim.kernels.kernel import Binding, Kernel, Operation, Scalar

__all__ = [
    "AFFINE",
    "BLEND",
    "BUILTIN",
    "COPY_BYTES",
    "COUNT",
    "ELEMENTWISE",
    "EXCHANGE",
    "FOLD",
    "MANY",
    "MIX",
    "OFFERED",
    "PATCH_WORDS",
    "SCRAMBLE",
    "TALLY",
    "WIDEN",
    "Binding",
    "Kernel",
    "Kernels",
    "Operation",
    "Scalar",
]
