"""What a law is, and what breaking one looks like.  No law is defined here."""

from collections.abc import Mapping
from dataclasses import dataclass

from gpusim.kernels import COPY_BYTES, PATCH_WORDS, Kernel
from gpusim.limits import Limits
from gpusim.ops import Op
from gpusim.runtime.policy import Policy
from gpusim.text import write_op
from properties.model.failure import Failure, FailureKind

_OWN = {kernel.name: kernel for kernel in (COPY_BYTES, PATCH_WORDS)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Law:
    """One thing that must hold of every trace."""

    name: str
    """Its letter, which says what it is about, and its number."""
    sentence: str
    source: str
    """The section of the WebGPU specification, the pull request or the page that says so."""
    needs_faults: bool | None = None
    """Whether only a device that fails, or only one that does not, brings it up; None: both do."""


def broken(law: Law, position: int, op: Op | None, argument: str) -> Failure:
    """A law broken at the op under way, or at the close where there is none."""
    return Failure(
        kind=FailureKind.LAW,
        trait=law.name,
        position=position,
        op="close" if op is None else write_op(op),
        what=f"law {law.name}",
        reason=law.sentence,
        notes=(argument, f"source: {law.source}"),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What a trace is held against beside itself."""

    policy: Policy
    kernels: Mapping[str, Kernel]
    limits: Limits

    def kernel(self, name: str) -> Kernel | None:
        """The kernel of a dispatch: a program's, or one of the runtime's own."""
        return self.kernels[name] if name in self.kernels else _OWN.get(name)
