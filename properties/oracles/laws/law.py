"""What a law is, and what breaking one looks like.  No law is defined here."""

from collections.abc import Mapping
from dataclasses import dataclass

from gpusim.kernels import COPY_BYTES, PATCH_WORDS, Kernel
from gpusim.limits import Limits
from gpusim.runtime.policy import Policy

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """A law broken: where, and why, as an argument."""

    law: Law
    position: int
    """The op under way, counted from 0; the closing sync and the close come after the last."""
    argument: str

    def __str__(self) -> str:
        return (
            f"law {self.law.name}: {self.law.sentence}\n"
            f"  at op {self.position}: {self.argument}\n"
            f"  source: {self.law.source}"
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
