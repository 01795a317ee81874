"""Twins: for a kernel, another kernel with the same name and a different text.

A twin takes its scalars in the reverse order, so its uniforms, its WGSL and its results differ.  A
cache that knows kernels by their names takes one for the other.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from gpusim.kernels import Kernel

_SUFFIX = "_twin"


def with_twins(kernels: Mapping[str, Kernel]) -> dict[str, Kernel]:
    """``kernels``, and their twins, each under its kernel's name with ``_twin`` added."""
    twins = {name + _SUFFIX: twin_of(kernel) for name, kernel in kernels.items()}
    return {**{name: twin for name, twin in twins.items() if twin is not None}, **kernels}


def twin_name(name: str, kernels: Mapping[str, Kernel]) -> str:
    """The name that a kernel's twin has in ``with_twins``; the kernel's own if it has no twin."""
    return name + _SUFFIX if name + _SUFFIX in kernels else name


@cache
def twin_of(kernel: Kernel) -> Kernel | None:
    """The twin of ``kernel``; every call for a kernel returns the same object.

    None if the kernel has fewer than two scalars, or scalars that are floats or of several types.
    """
    dtypes = {scalar.dtype for scalar in kernel.scalars}
    if len(kernel.scalars) < 2 or len(dtypes) > 1 or kernel.scalars[0].is_float:
        return None

    def meaning(arrays: Any, scalars: Any, groups: int) -> None:
        kernel.meaning(arrays, scalars[::-1], groups)

    return replace(kernel, scalars=kernel.scalars[::-1], meaning=meaning, operation=None)
