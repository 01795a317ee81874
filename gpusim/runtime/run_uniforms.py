"""The uniforms of a run, packed in one go where every scalar is of its plain type.

Elsewhere they are packed kernel by kernel, which finds what is wrong, or is
only unusual, and says so.  Pure.
"""

import math
from collections.abc import Sequence
from itertools import chain
from struct import Struct
from struct import error as StructError

from gpusim.program import Scalars
from gpusim.runtime.byte_plans import aligned_up
from gpusim.runtime.plans import DispatchPlan


class RunUniforms:
    """What packs the scalars of all dispatches of a run, each padded to its stride in bytes.

    A dispatch over no groups has scalars to check, and no uniforms.
    """

    def __init__(self, plans: Sequence[DispatchPlan], alignment_bytes: int) -> None:
        self._plans = tuple(plans)
        self._alignment_bytes = alignment_bytes
        scalars = [scalar for plan in plans for scalar in plan.kernel.scalars]
        self._counts = [len(plan.kernel.scalars) for plan in plans]
        self._types = [float if scalar.dtype == "f32" else int for scalar in scalars]
        self._floats = [at for at, scalar in enumerate(scalars) if scalar.dtype == "f32"]
        self._packer = None if any(map(_is_special, plans)) else self._packer_of_all()

    def pack(self, entries: Sequence[Scalars]) -> bytes:
        """The uniforms of an entry of scalars a dispatch; InvalidScalar of the first that is bad.

        As in ``Kernel.pack``, integers out of range are found by packing them.
        """
        if self._packer is not None and [*map(len, entries)] == self._counts:
            scalars = [*chain.from_iterable(entries)]
            if [*map(type, scalars)] == self._types and self._are_finite(scalars):
                try:
                    return self._packer.pack(*scalars)
                except (StructError, OverflowError):
                    pass
        return self._pack_each(entries)

    def _pack_each(self, entries: Sequence[Scalars]) -> bytes:
        payloads = [
            plan.kernel.pack(scalars, plan.groups)
            for plan, scalars in zip(self._plans, entries, strict=True)
        ]
        plans = zip(self._plans, payloads, strict=True)
        return b"".join(
            [payload.ljust(self._stride(plan), b"\0") for plan, payload in plans if plan.groups]
        )

    def _packer_of_all(self) -> Struct:
        codes = [
            f"{plan.kernel.uniform_format}{self._stride(plan) - plan.uniform_bytes}x"
            for plan in self._plans
        ]
        return Struct("<" + "".join(codes))

    def _stride(self, plan: DispatchPlan) -> int:
        return aligned_up(plan.uniform_bytes, self._alignment_bytes)

    def _are_finite(self, scalars: Sequence[int | float]) -> bool:
        return all(math.isfinite(scalars[at]) for at in self._floats)


def _is_special(plan: DispatchPlan) -> bool:
    """Whether there is more, or less, in its uniforms than its scalars."""
    return plan.kernel.guarded or not plan.groups
