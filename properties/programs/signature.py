"""What the generator needs to know of a kernel, read off its signature once.

Nothing here names a kernel: one added by a user is drawn like a built-in one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from gpusim.kernels import Kernel
from gpusim.kernels.kernel import Dtype

Parameters = tuple[bool, tuple[Dtype, ...]]
"""Whether floats are computed, and the types of the scalars: who shares them can share scalars."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Signature:
    """A kernel's parameters, as the generator binds them."""

    name: str
    reals: tuple[bool, ...]
    """For each buffer, whether it holds floats."""
    written: tuple[bool, ...]
    scalars: tuple[Dtype, ...]
    group_size: int
    max_groups: int
    guarded: bool
    real: bool
    """Whether any buffer holds floats."""

    @cached_property
    def parameters(self) -> Parameters:
        return self.real, self.scalars


@lru_cache(maxsize=256)
def signature_of(kernel: Kernel) -> Signature:
    """The signature of ``kernel``."""
    reals = tuple(binding.dtype == "f32" for binding in kernel.buffers)
    return Signature(
        name=kernel.name,
        reals=reals,
        written=kernel.writes,
        scalars=tuple(scalar.dtype for scalar in kernel.scalars),
        group_size=kernel.group_size,
        max_groups=kernel.max_groups,
        guarded=kernel.guarded,
        real=any(reals),
    )


def drawable(kernels: Mapping[str, Kernel]) -> tuple[Signature, ...]:
    """The signatures of all kernels that a generated program may name, in their order.

    Left out is a kernel that writes integers computed from floats: a float
    result is known up to a tolerance only, and nothing could be said of an
    integer made of it.
    """
    return _signatures(tuple(kernels.values()))


@lru_cache(maxsize=16)
def _signatures(kernels: tuple[Kernel, ...]) -> tuple[Signature, ...]:
    return tuple(signature_of(kernel) for kernel in kernels if _keeps_floats_apart(kernel))


def _keeps_floats_apart(kernel: Kernel) -> bool:
    computes_floats = kernel.tolerance is not None or any(
        binding.dtype == "f32" for binding in kernel.buffers
    )
    return not computes_floats or all(
        binding.dtype == "f32" for binding in kernel.buffers if binding.access == "read_write"
    )
